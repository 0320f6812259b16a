# SPDX-License-Identifier: MIT
"""
The journal's tables, from whichever version there is to ours.

One ``.sql`` file for each step, numbered; what has been released is never
changed.  ``PRAGMA user_version`` is the number of the last one applied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from powercoord.errors import JournalUnavailable
from powercoord.journal.faults import DamagedError, code


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
    :raises DamagedError: something else wrote it.
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
    elif missing and connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise DamagedError("it has tables, and none of ours")
    if missing:
        _apply(connection, path, version, [known[number] for number in missing], newest)


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


def _apply(
    connection: sqlite3.Connection, path: Path, version: int, scripts: Sequence[str], newest: int
) -> None:
    try:
        connection.executescript(
            "\n".join(["BEGIN IMMEDIATE;", *scripts, f"PRAGMA user_version = {newest};", "COMMIT;"])
        )
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if code(error) != sqlite3.SQLITE_ERROR:
            raise
        raise JournalUnavailable(
            f"{path}: cannot be brought from version {version} to {newest}, and stays as it was: {error};"
            " go on with the powercoord before, and report this"
        ) from error
