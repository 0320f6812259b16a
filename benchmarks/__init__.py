# SPDX-License-Identifier: MIT
"""
Measurements, side by side with what others use: `python -m benchmarks [NAME...]`.

Not tests: nothing here passes or fails. Each benchmark prints tables in Markdown.
"""

__all__: list[str] = []
