# SPDX-License-Identifier: MIT
"""
Which nodes have drifted, each told once.

An episode begins when a node at rest is seen with other power than is wanted,
and ends when it is as wanted, or when something else is wanted.  A read that
fails in between says nothing either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.entries import Drifted
from powercoord.errors import JournalUnavailable
from powercoord.model import Goal, PowerState
from powercoord.registry.surroundings import Write

_log = Logger(namespace="powercoord.registry")

PAUSE = 30.0
"""
Seconds until what could not be written is tried again, if nothing is seen before.
"""


@define(eq=False)
class _Episode:
    """
    :param told: whether it is written; None while it is being written.
    """

    goal: Goal
    seen: PowerState
    told: bool | None = False


@define(eq=False, kw_only=True)
class Episodes:
    """
    The nodes that have drifted.

    :param told: called with a node's name when its episode is written.
    """

    clock: IReactorTime
    now: Callable[[], datetime]
    write: Write
    told: Callable[[str], None]
    _episodes: dict[str, _Episode] = field(factory=dict, init=False)
    _again: IDelayedCall | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    def __contains__(self, name: str) -> bool:
        return name in self._episodes

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._episodes))

    def is_told(self, name: str) -> bool:
        """
        Whether a node has drifted, and that is written.
        """
        episode = self._episodes.get(name)
        return episode is not None and episode.told is True

    def begin(self, name: str, goal: Goal, seen: PowerState, *, told: bool = False) -> None:
        """
        A node was seen so; one that has drifted already is told again only if it could not be.
        """
        if name not in self._episodes:
            self._episodes[name] = _Episode(goal, seen, told)
        self._tell([name])

    def end(self, name: str) -> bool:
        """
        It is over, if it was going on.
        """
        ended = self._episodes.pop(name, None) is not None
        if not self._episodes:
            self._disarm()
        return ended

    def stop(self) -> None:
        """
        Write nothing any more.
        """
        self._stopped = True
        self._disarm()

    def _tell(self, names: list[str]) -> None:
        telling = {name: self._episodes[name] for name in names if self._episodes[name].told is False}
        if not telling or self._stopped:
            return
        for episode in telling.values():
            episode.told = None
        now = self.now()
        entries = [Drifted(now, name, episode.goal, episode.seen) for name, episode in telling.items()]
        written = self.write(entries)
        written.addCallbacks(self._written, self._unwritten, (telling,), errbackArgs=(telling,))
        written.addErrback(_log_fault)

    def _written(self, _: int, telling: dict[str, _Episode]) -> None:
        for name, episode in telling.items():
            episode.told = True
            if self._episodes.get(name) is episode:
                self.told(name)

    def _unwritten(self, failure: Failure, telling: dict[str, _Episode]) -> None:
        for episode in telling.values():
            episode.told = False
        failure.trap(JournalUnavailable)
        if self._again is None and self._episodes and not self._stopped:
            _log.warn(
                "{node} has drifted, and that is not written: {error}",
                node=next(iter(telling)),
                error=failure.value,
            )
            self._again = self.clock.callLater(PAUSE, self._tell_again)

    def _tell_again(self) -> None:
        self._again = None
        self._tell(list(self._episodes))

    def _disarm(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while telling of drift", failure)
