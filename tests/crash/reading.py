# SPDX-License-Identifier: MIT
"""
Reading the journal of a coordinator that has ended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from powercoord.durable import Recovered
from powercoord.entries import Entry
from powercoord.errors import PowercoordError
from powercoord.journal import sqlite_journal

PAGE = 1000


@frozen
class Journal:
    """
    What is in a journal.

    :param entries: all of them, in order.
    :param recovered: what a registry would begin with now.
    :param integrity: what SQLite itself finds wrong with the file.
    """

    entries: Sequence[Entry]
    recovered: Recovered
    integrity: Sequence[str]


async def read_journal(reactor: Any, folder: Path) -> Journal:
    """
    Read the journal in a state directory, through the same doors as the service does.
    """
    try:
        return await _read(reactor, folder)
    except PowercoordError as error:
        return Journal((), Recovered(), [f"the journal cannot be read: {error}"])


async def _read(reactor: Any, folder: Path) -> Journal:
    journal = sqlite_journal(reactor, folder)
    recovered = await journal.open()
    entries: list[Entry] = []
    last = _pruned(folder / "journal.db")
    while page := await journal.history.entries(last, PAGE):
        entries += [each.entry for each in page]
        last = page[-1].number
    await journal.close()
    return Journal(entries, recovered, _integrity(folder / "journal.db"))


def _pruned(path: Path) -> int:
    """
    Up to which number there are no entries: one that is made in place of an empty file begins high.
    """
    connection = sqlite3.connect(path)
    try:
        (number,) = connection.execute("SELECT number FROM pruned").fetchone()
        return int(number)
    finally:
        connection.close()


def _integrity(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
    finally:
        connection.close()
