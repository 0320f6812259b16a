# SPDX-License-Identifier: MIT
"""
Where what was accepted is written down.
"""

from powercoord.journal.null import NullJournal

__all__ = ["NullJournal"]
