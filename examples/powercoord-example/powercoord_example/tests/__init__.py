# SPDX-License-Identifier: MIT
"""
Tests of the example; run them with ``trial powercoord_example``.
"""

__all__: list[str] = []
