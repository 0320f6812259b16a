# SPDX-License-Identifier: MIT
"""
A service that stands where a test says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field
from zope.interface import implementer

from powercoord.stages import Drain, ILifecycle, Source, Stage

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@implementer(ILifecycle)
@define(eq=False)
class FakeLifecycle:
    """
    Drains at once where nothing is pending, and takes down what it was asked.
    """

    stage: Stage = Stage.SERVING
    drain: Drain | None = None
    stop_requested: bool = False
    pending: int = 0
    trouble: str | None = None
    asked: list[str] = field(factory=list)
    watchers: list[Callable[[], None]] = field(factory=list)

    def start_drain(self, reason: str, by: str, source: Source) -> None:
        self.asked.append(f"drain {reason} by {by} ({source.value})")
        self.drain = self.drain or Drain(since=NOON, reason=reason, by=by, source=source)
        self.stands(Stage.DRAINING if self.pending else Stage.DRAINED)

    def resume(self, by: str, source: Source) -> None:
        self.asked.append(f"resume by {by} ({source.value})")
        self.drain = None
        self.stands(Stage.SERVING)

    def stop(self, by: str) -> None:
        self.asked.append(f"stop by {by}")
        self.stop_requested = True
        self.stands(Stage.STOPPING)

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(listener)
        return lambda: self.watchers.remove(listener)

    def stands(self, stage: Stage, pending: int | None = None) -> None:
        """
        Stand there from now on, and tell all who watch.
        """
        self.stage = stage
        self.pending = self.pending if pending is None else pending
        for watcher in list(self.watchers):
            watcher()
