# SPDX-License-Identifier: MIT
"""
The kinds of machines that we can power: one room per family of devices.
"""

__all__: list[str] = []
