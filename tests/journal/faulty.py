# SPDX-License-Identifier: MIT
"""
A disk that fails when it is told to: a connection whose statements raise what SQLite would.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from attrs import define

CODES = {
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
}


def error(code: int) -> sqlite3.OperationalError:
    """
    What the sqlite3 module raises for a result code.
    """
    raised = sqlite3.OperationalError(CODES[code])
    raised.sqlite_errorcode = code
    return raised


@define(eq=False)
class FaultyDisk:
    """
    Opens connections that it can break.

    :param code: what every write raises now, if any.
    :param after: whether what is written is there all the same.
    :param opening: what opening raises now, if anything.
    :param opened: how many connections there were.
    """

    code: int | None = None
    after: bool = False
    opening: int | None = None
    opened: int = 0

    def connect(self, path: Any, **arguments: Any) -> sqlite3.Connection:
        """
        As `sqlite3.connect`.
        """
        if self.opening is not None:
            raise error(self.opening)
        self.opened += 1
        disk = self

        class Faulty(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if disk.code is None or sql.lstrip().startswith(("SELECT", "PRAGMA")):
                    return super().execute(sql, *values)
                if disk.after:
                    super().execute(sql, *values)
                raise error(disk.code)

        return sqlite3.connect(path, factory=Faulty, **arguments)
