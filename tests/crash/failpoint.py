# SPDX-License-Identifier: MIT
"""
A journal that kills its own process at a given write, and otherwise does what the real one does.

It stands between the registry and the real journal, so that no product code knows of it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Self

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from zope.interface import directlyProvides, implementer, providedBy

from powercoord.durable import IJournal
from powercoord.entries import Accepted, Answered, Entered, Entry, Followed, Observed

Die = Callable[[], None]

#: Seconds: enough for answers and commands to leave.
SOON = 0.002


class When(Enum):
    """
    Where in the life of one append the process ends.

    ``BEFORE``: nothing of it was handed on.
    ``HELD``: the same, but it lives on for ``detail`` milliseconds, in which nothing becomes durable.
    ``STATEMENT``: SQLite has begun the statement or trigger of the number ``detail``.
    ``WRITING``: ``detail`` microseconds after it has begun the first.
    ``DURABLE``: it is on the disk, and nobody has heard.
    ``ANSWERED``: two milliseconds later, when all who wait have heard, and what they did at once has left.
    ``SYSCALL``: not at an append, but at the system call of that number that changes a file of the journal;
    ``detail`` 0: before it, 1: when half of it is written, 2: after it (see calls.c).
    """

    BEFORE = "before"
    HELD = "held"
    STATEMENT = "statement"
    WRITING = "writing"
    SYSCALL = "syscall"
    DURABLE = "durable"
    ANSWERED = "answered"


@frozen(kw_only=True)
class Failpoint:
    """
    At which append to die: the one with the number ``at``, or the first that has an entry whose label
    is ``label`` or begins with it.

    :param detail: which statement, or how long.
    """

    when: When
    at: int = 0
    label: str = ""
    detail: int = 0

    def dump(self) -> str:
        """
        Write it as JSON, for the command line of the process that is to die.
        """
        return json.dumps(
            {"when": self.when.value, "at": self.at, "label": self.label, "detail": self.detail}
        )

    @classmethod
    def load(cls, text: str) -> Self:
        """
        Read what `dump` wrote.
        """
        form = json.loads(text)
        return cls(**(form | {"when": When(form["when"])}))

    def matches(self, number: int, labels: Sequence[str]) -> bool:
        """
        Whether this append is the one.
        """
        if self.when is When.SYSCALL:
            return False
        if not self.label:
            return number == self.at
        return any(each == self.label or each.startswith(f"{self.label} ") for each in labels)

    def __str__(self) -> str:
        extra = f"+{self.detail}" if self.detail else ""
        return f"{self.when.value}{extra} {self.label or self.at}"


def label(entry: Entry) -> str:
    """
    Name an entry by what it says, without ids and times: ``n4 entered sent off``.
    """
    match entry:
        case Accepted(request=request):
            return f"{request.node} accepted {request.verb.value}"
        case Entered(node=node, phase=phase, half=half):
            return f"{node} entered {phase.value} {half}".rstrip()
        case Observed(node=node, observation=observation):
            return f"{node} observed {observation.state.value}"
        case Answered(node=node) | Followed(node=node):
            return f"{node} {type(entry).__name__.lower()}"
        case _:
            return f"{entry.node} {type(entry).__name__.lower()}"


@define(eq=False)
class Statements:
    """
    Counts the statements of one transaction, in whichever thread they are run.

    `sqlite3` calls `trace` as each begins. One that is killed there has not been done.
    """

    _die: Die
    _armed: Failpoint | None = field(default=None, init=False)
    _seen: int = field(default=0, init=False)

    def arm(self, failpoint: Failpoint) -> None:
        """
        Count from the next statement on.
        """
        self._armed, self._seen = failpoint, 0

    def trace(self, statement: str) -> None:
        """
        A statement begins.
        """
        if self._armed is None:
            return
        self._seen += 1
        if self._armed.when is When.STATEMENT and self._seen >= self._armed.detail:
            self._die()
        elif self._armed.when is When.WRITING and self._seen == 1:
            threading.Thread(target=self._die_in, args=(self._armed.detail / 1e6,), daemon=True).start()

    def _die_in(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        self._die()


@implementer(IJournal)
@define(eq=False, slots=False)
class FailingJournal:
    """
    The journal, and the failpoint in front of it.

    :param note: keeps one line for each append: its number and the labels of its entries.
    """

    _inner: Any
    _clock: Any
    _failpoint: Failpoint | None
    _statements: Statements
    _note: Callable[[str], None]
    _die: Die
    _count: int = field(default=0, init=False)
    _held: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        directlyProvides(self, providedBy(self._inner))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_inner"], name)

    def append(self, entries: Sequence[Entry]) -> Deferred[int]:
        """
        Hand it on, and die where that was ordered.
        """
        self._count += 1
        labels = [label(entry) for entry in entries]
        self._note(f"{self._count} {' | '.join(labels)}")
        due = self._failpoint is not None and self._failpoint.matches(self._count, labels)
        if self._held:
            return Deferred()
        return self._append_and_die(entries) if due else self._inner.append(entries)

    def _append_and_die(self, entries: Sequence[Entry]) -> Deferred[int]:
        failpoint, self._failpoint = self._failpoint, None
        assert failpoint is not None
        self._note(f"{self._count} dies {failpoint}")
        if failpoint.when is When.BEFORE:
            self._die()
        if failpoint.when is When.HELD:
            self._held = True
            self._clock.callLater(failpoint.detail / 1e3, self._die)
            return Deferred()
        if failpoint.when in (When.STATEMENT, When.WRITING):
            self._statements.arm(failpoint)
        appended: Deferred[int] = self._inner.append(entries)
        if failpoint.when is When.ANSWERED:
            # This callback is added before those of whoever waits, so it only sets the time.
            appended.addCallback(lambda number: (self._clock.callLater(SOON, self._die), number)[1])
        else:
            appended.addCallback(lambda number: (self._die(), number)[1])
        return appended


def kill_self() -> None:
    """
    End this process as ``kill -9`` does: nothing is flushed, closed or told.
    """
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # never reached, and if it were, nothing would go on
