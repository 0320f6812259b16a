# SPDX-License-Identifier: MIT
"""
A driver for a network power strip, as an example of how a driver for powercoord is made.
"""

__all__: list[str] = []
