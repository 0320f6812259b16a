# SPDX-License-Identifier: MIT
"""
Whatever makes work by itself, so that a drain can put it to sleep.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.logger import Logger

_log = Logger(namespace="powercoord.lifecycle")


@define(eq=False, repr=False)
class _Maker:
    name: str
    start: Callable[[], object]
    stop: Callable[[], object]
    running: bool = False


@define(eq=False, repr=False)
class WorkMakers:
    """
    Timers that make work: periodic reads, enforced wants, and their like.

    They are started in the order in which they were added, and stopped in the
    reverse order.  However often it is said, each runs once or not at all.
    """

    _makers: list[_Maker] = field(factory=list, init=False)
    _wanted: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)

    def add(self, name: str, start: Callable[[], object], stop: Callable[[], object]) -> None:
        """
        One more; ``name`` completes "could not start …".
        """
        self._makers.append(_Maker(name, start, stop))
        if self._wanted:
            self.start()

    @property
    def running(self) -> tuple[str, ...]:
        """
        The names of those that run.
        """
        return tuple(maker.name for maker in self._makers if maker.running)

    def start(self) -> None:
        """
        Start all that do not run; in vain after `end`.
        """
        if self._ended:
            return
        self._wanted = True
        for maker in self._makers:
            if not maker.running:
                maker.running = _tried(maker.start, f"start {maker.name}")

    def stop(self) -> None:
        """
        Stop all that run.  One that cannot be stopped counts as running, and is tried again the next time.
        """
        self._wanted = False
        for maker in reversed(self._makers):
            if maker.running:
                maker.running = not _tried(maker.stop, f"stop {maker.name}")

    def end(self) -> None:
        """
        Stop all for good: from here on nothing makes work by itself.
        """
        self._ended = True
        self.stop()


def _tried(call: Callable[[], object], what: str) -> bool:
    try:
        call()
    except Exception:  # noqa: BLE001 - one must not keep the others from their turn
        _log.failure("could not {what}", what=what)
        return False
    return True
