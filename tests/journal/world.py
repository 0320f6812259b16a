# SPDX-License-Identifier: MIT
"""
A journal in a folder of its own, whose thread is the test itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from powercoord.durable import Recovered
from powercoord.entries import Accepted, Answered, Ended, Entered, Entry, Followed, Observed, Resolved
from powercoord.journal.history import History
from powercoord.journal.interfaces import IWorker
from powercoord.journal.journal import SqliteJournal
from powercoord.journal.opening import Connect
from powercoord.journal.place import Place
from powercoord.journal.pruning import Keep
from powercoord.journal.store import Store
from powercoord.model import (
    Disposition,
    Done,
    How,
    Observation,
    Outcome,
    Phase,
    PowerState,
    Request,
    Verb,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Done(How.COMMANDED, PowerState.ON)


@implementer(IWorker)
@define(eq=False)
class HeldWorker:
    """
    Does its work at once, or when the test says so.
    """

    held: bool = False
    work: list[tuple[Callable[[], Any], Deferred[Any]]] = field(factory=list, init=False)
    stopped: bool = field(default=False, init=False)
    alive: bool = True

    def do(self, work: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.work.append((work, done))
        if not self.held:
            self.run()
        return done

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return self.do(lambda: None)

    def run(self) -> None:
        """
        Do all that waits.
        """
        while self.work:
            work, done = self.work.pop(0)
            maybeDeferred(work).chainDeferred(done)


@define(eq=False)
class JournalWorld:
    """
    A journal that can be closed, lost and opened again.
    """

    folder: Path
    clock: Clock = field(factory=Clock)
    worker: HeldWorker = field(factory=HeldWorker)
    runs: int = 0
    keep: Keep = field(factory=Keep)
    connect: Connect = sqlite3.connect

    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds())

    def read(self, query: str) -> list[Any]:
        """
        What another program reads from the file.
        """
        with closing(sqlite3.connect(self.folder / "journal.db")) as other:
            return other.execute(query).fetchall()

    def journal(self, **arguments: Any) -> SqliteJournal:
        """
        A new one, on the same files.
        """
        self.runs += 1
        self.worker = HeldWorker()
        place = Place(self.folder)
        return SqliteJournal(
            clock=self.clock,
            worker=self.worker,
            store=Store(place, self.now, f"run-{self.runs}", self.keep, self.connect),
            history=History(HeldWorker(), place.database),
            **arguments,
        )


class JournalCase(SynchronousTestCase):
    """
    A test with a folder and a journal.
    """

    def setUp(self) -> None:
        self.world = JournalWorld(Path(self.mktemp()).absolute())

    def opened(self, **arguments: Any) -> SqliteJournal:
        """
        A journal, opened; closed after the test.
        """
        self.journal = self.world.journal(**arguments)
        self.recovered: Recovered = self.successResultOf(self.journal.open())
        self.addCleanup(self.finish, self.journal, self.world.worker)
        return self.journal

    def finish(self, journal: SqliteJournal, worker: HeldWorker) -> None:
        """
        Close, with all that is held.
        """
        worker.held = False
        worker.run()
        self.successResultOf(journal.close())

    def again(self, **arguments: Any) -> Recovered:
        """
        What a new start finds.
        """
        self.successResultOf(self.journal.close())
        self.opened(**arguments)
        return self.recovered

    def write(self, *entries: Entry) -> int:
        """
        Append, and let it become durable.
        """
        written = self.journal.append(entries)
        self.world.clock.advance(0)
        return self.successResultOf(written)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def request(node: str = "n1", verb: Verb = Verb.ON, request_id: str = "r1", **rest: Any) -> Request:
    return Request(node=node, verb=verb, request_id=request_id, **rest)


def accepted(
    action: str = "a1",
    seconds: float = 0,
    disposition: Disposition = Disposition.STARTED,
    superseded: tuple[str, ...] = (),
    **rest: Any,
) -> Accepted:
    asked = request(**rest)
    return Accepted(at(seconds), asked, action, disposition, at(seconds + 180), superseded)


def entered(
    phase: Phase, half: str = "", seconds: float = 1, text: str = "", action: str = "a1", node: str = "n1"
) -> Entered:
    return Entered(at(seconds), node, action, phase, half, text)


def followed(request_id: str, action: str, node: str = "n1", seconds: float = 1) -> Followed:
    return Followed(at(seconds), node, request_id, action)


def ended(action: str = "a1", outcome: Outcome = DONE, node: str = "n1", seconds: float = 5) -> Ended:
    return Ended(at(seconds), node, action, outcome)


def answered(
    request_id: str = "r1", action: str = "a1", outcome: Outcome = DONE, node: str = "n1", seconds: float = 5
) -> Answered:
    return Answered(at(seconds), node, request_id, action, outcome)


def observed(state: PowerState, node: str = "n1", seconds: float = 1, text: str = "") -> Observed:
    return Observed(at(seconds), node, Observation(state, text=text))


def resolved(action: str = "a1", node: str = "n1", seconds: float = 1) -> Resolved:
    return Resolved(at(seconds), node, action, "ann", "unplugged")
