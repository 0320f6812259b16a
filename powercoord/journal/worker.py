# SPDX-License-Identifier: MIT
"""
A thread of our own for what takes a disk's time.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.journal.interfaces import IWorker

T = TypeVar("T")
_Jobs = SimpleQueue[tuple[Callable[[], Any], Deferred[Any]] | None]


@implementer(IWorker)
@define(eq=False)
class WorkerThread:
    """
    One thread, begun with its first work.

    It is a daemon: whoever exits without stopping it does not wait for a disk
    that no longer answers.
    """

    _call_from_thread: Callable[..., None]
    _name: str
    _jobs: _Jobs | None = field(default=None, init=False)
    _thread: Thread | None = field(default=None, init=False)

    @property
    def alive(self) -> bool:
        """
        Whether the thread works, or has nothing to do yet.
        """
        return self._thread is None or self._thread.is_alive()

    def do(self, work: Callable[[], T]) -> Deferred[T]:
        """
        Fires in the reactor's thread.
        """
        if self._jobs is None:
            self._jobs = SimpleQueue()
            self._thread = Thread(target=self._run, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        done: Deferred[T] = Deferred()
        self._jobs.put((work, done))
        return done

    def stop(self) -> Deferred[None]:
        """
        Let the thread come to its end; more work begins another one.
        """
        if self._jobs is None:
            return succeed(None)
        ended = self.do(_nothing)
        self._jobs.put(None)
        self._jobs = self._thread = None
        return ended

    def _run(self, jobs: _Jobs) -> None:
        for work, done in iter(jobs.get, None):
            self._call_from_thread(done.callback, _result(work))


def _result(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except BaseException:  # noqa: BLE001 - whoever waits for it hears of it
        return Failure()


def _nothing() -> None:
    """
    The last work of all.
    """
