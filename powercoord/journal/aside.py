# SPDX-License-Identifier: MIT
"""
What becomes of a damaged journal: it is put where nobody writes to it, and named.

# Note [Nothing is salvaged]

A damaged file can often still be read in part.  But an action of which only
the beginning can be read looks unfinished, and to finish it may turn off a
node that was turned on since.  A request that is forgotten costs its caller a
second try; a wrong off costs the node's work.  So nothing is taken from it.
"""

from __future__ import annotations

import os
from datetime import datetime
from itertools import count
from pathlib import Path

_PARTS = ("", "-wal", "-shm")


def set_aside(path: Path, now: datetime) -> Path:
    """
    Rename a database and what belongs to it; returns its new name.

    The database goes first: a log without one is set aside the next time, but
    a database without its log would pass for a whole one.
    """
    aside = _free_name(path, now)
    for part in _PARTS:
        old = path.with_name(path.name + part)
        if old.exists():
            old.rename(aside.with_name(aside.name + part))
    _sync(path.parent)
    return aside


def _free_name(path: Path, now: datetime) -> Path:
    stem = f"{path.stem}.damaged-{now:%Y%m%dT%H%M%SZ}"
    for number in count(1):
        name = path.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}")
        if not any(name.with_name(name.name + part).exists() for part in _PARTS):
            return name
    raise AssertionError


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
