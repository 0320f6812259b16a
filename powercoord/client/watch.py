# SPDX-License-Identifier: MIT
"""
Following what happens, as an asynchronous iterator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from attrs import define, field
from twisted.internet.defer import Deferred

from powercoord.api.filter import STAGE
from powercoord.api.health import health_from
from powercoord.client.results import Lagged, WatchEvent
from powercoord.forms import KINDS, event_from

ENOUGH = 2_000
_KNOWN = frozenset(KINDS.values())


@define(eq=False)
class Watch:
    """
    Events in the order in which they became durable: ``async for event in watch``.

    It goes on over lost connections; what was missed, there or by reading too
    slowly, stands in the stream as one `Lagged`.  A `Health` tells that the
    coordinator itself has changed: it drains, resumes or stops.  It ends with `stop` and with
    the client's `close`.

    :param cursor: the number of the last event that was taken from it; what
        happened after that can be had by another watch, with ``after``.
    """

    _on_stop: Callable[[Watch], None]
    cursor: int | None = None
    _events: deque[tuple[int | None, WatchEvent]] = field(factory=deque, init=False)
    _ended: bool = field(default=False, init=False)
    _reader: Deferred[None] | None = field(default=None, init=False)
    _full: Deferred[None] | None = field(default=None, init=False)

    def __aiter__(self) -> Self:
        """
        Iterate over the watch itself.
        """
        return self

    async def __anext__(self) -> WatchEvent:
        """
        The next event; waits for it.
        """
        while not self._events and not self._ended:
            if self._reader is not None:
                raise RuntimeError("somebody waits for the next event of this watch already")
            self._reader = Deferred()
            try:
                await self._reader
            finally:
                self._reader = None
        if not self._events:
            raise StopAsyncIteration
        number, event = self._events.popleft()
        self.cursor = number or self.cursor
        if self._full is not None and len(self._events) <= ENOUGH // 2:
            full, self._full = self._full, None
            full.callback(None)
        return event

    def stop(self) -> None:
        """
        Stop following; whoever waits for an event sees the end.
        """
        if not self._ended:
            self._ended = True
            self._on_stop(self)
            self._events.clear()
            self._wake()

    def tell(self, forms: Sequence[dict[str, Any]]) -> Deferred[None] | None:
        """
        Take a page of events; answers with a Deferred when that is enough for now.
        """
        for form in forms:
            if form["event"] == STAGE:
                self._events.append((None, health_from(form["coordinator"])))
            elif form["event"] in _KNOWN:
                self._events.append((form.get("number"), event_from(form)))
        self._wake()
        if len(self._events) <= ENOUGH or self._ended:
            return None
        self._full = Deferred()
        return self._full

    def missed(self, reason: str) -> None:
        """
        Put a `Lagged` into the stream.
        """
        self._events.append((None, Lagged(reason)))
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.called:
            self._reader.callback(None)
