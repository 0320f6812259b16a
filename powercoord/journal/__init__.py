# SPDX-License-Identifier: MIT
"""
Where what was accepted is written down.
"""

from powercoord.journal.build import sqlite_journal
from powercoord.journal.history import History
from powercoord.journal.journal import SqliteJournal
from powercoord.journal.null import NullJournal

__all__ = ["History", "NullJournal", "SqliteJournal", "sqlite_journal"]
