# SPDX-License-Identifier: MIT
"""
The journal's tables, from whichever version there is to ours.

One ``.sql`` file for each step, numbered; what has been released is never
changed.  ``PRAGMA user_version`` is the number of the last one applied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from powercoord.errors import JournalUnavailable


def steps() -> Mapping[int, str]:
    """
    The steps that come with this version, by number.
    """
    found = files(__package__).joinpath("sql").iterdir()
    return {int(each.name[:4]): each.read_text() for each in found if each.name.endswith(".sql")}


def migrate(connection: sqlite3.Connection, path: Path, known: Mapping[int, str]) -> None:
    """
    Apply what is missing, all of it or nothing.

    What was there before is kept beside it, in a file named after its version.

    :raises JournalUnavailable: a newer version of powercoord wrote it.
    """
    version, newest = _version(connection), max(known)
    if version > newest:
        raise JournalUnavailable(
            f"{path}: is of version {version}, written by a newer powercoord; this one knows versions up to"
            f" {newest}: install the newer one again, or move the file away"
        )
    missing = sorted(number for number in known if number > version)
    if missing and version > 0:
        _keep(connection, path.with_name(f"{path.name}.version-{version}"))
    if missing:
        script = "\n".join(known[number] for number in missing)
        _apply(connection, f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {newest};\nCOMMIT;")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _keep(connection: sqlite3.Connection, copy: Path) -> None:
    """
    Copy the database; a copy of an earlier attempt may be half of one.
    """
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    kept = sqlite3.connect(copy, isolation_level=None)
    try:
        connection.backup(kept)
    finally:
        kept.close()


def _apply(connection: sqlite3.Connection, script: str) -> None:
    try:
        connection.executescript(script)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
