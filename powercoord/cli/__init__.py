# SPDX-License-Identifier: MIT
"""
The command ``powercoord``: node sets in, the truth about each node out.
"""

from powercoord.cli.root import main

__all__ = ["main"]
