# SPDX-License-Identifier: MIT
"""
The doors to the registry: each translates a wire to calls of it, and nothing else.
"""

__all__: list[str] = []
