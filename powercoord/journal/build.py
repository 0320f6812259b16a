# SPDX-License-Identifier: MIT
"""
A journal in a directory, with its threads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from powercoord.journal.history import History
from powercoord.journal.journal import SqliteJournal
from powercoord.journal.place import Place
from powercoord.journal.pruning import Keep
from powercoord.journal.store import Store
from powercoord.journal.worker import WorkerThread


def sqlite_journal(
    reactor: Any,
    state_dir: str | Path,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    instance: str | None = None,
    keep: float = Keep().seconds,
    keep_requests: int = Keep().requests,
) -> SqliteJournal:
    """
    The journal of a state directory; nothing is touched before it is opened.

    :param instance: the id of this start of the service; None: a new one.
    :param keep: what is older than so many seconds is pruned.
    :param keep_requests: of the requests before the last so many, nothing is kept either.
    """
    place = Place(Path(state_dir))
    return SqliteJournal(
        clock=reactor,
        worker=WorkerThread(reactor.callFromThread, "journal"),
        store=Store(place, now, instance or uuid4().hex, Keep(keep, keep_requests)),
        history=History(WorkerThread(reactor.callFromThread, "history"), place.database),
    )
