# SPDX-License-Identifier: MIT
"""
Long lists in pieces that fit into a box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from powercoord.api.arguments import dump
from powercoord.api.boxes import MAX_VALUE
from powercoord.forms import Form

PAGE = 60_000


def joined(forms: Iterable[bytes]) -> bytes:
    """
    JSON values as one JSON list.
    """
    return b"[" + b",".join(forms) + b"]"


def fill(forms: Iterable[bytes], most: int = PAGE) -> list[bytes]:
    """
    The first of these JSON values that fit into one page, and at least one.
    """
    taken: list[bytes] = []
    size = 0
    for form in forms:
        size += len(form) + 1
        if taken and size > most:
            break
        taken.append(form)
    return taken


def spread(forms: Sequence[Form]) -> tuple[bytes, bytes | None]:
    """
    A list that must arrive, as one JSON value, or as two if it needs them.

    If even that is too little, texts are cut, and what was superseded is left
    out (the events tell it too).
    """
    whole = dump(forms)
    if len(whole) <= MAX_VALUE:
        return whole, None
    texts = [dump(form) for form in forms]
    if len(whole) > 2 * PAGE:
        texts = [dump(_shortened(form)) for form in forms]
    first = fill(texts, MAX_VALUE - 2)
    return joined(first), joined(texts[len(first) :])


def _shortened(form: Form) -> Form:
    form = {name: value for name, value in form.items() if name != "superseded"}
    if isinstance(form.get("outcome"), dict):
        form["outcome"] = _shortened(form["outcome"])
    if "text" in form:
        form["text"] = form["text"][:24]
    return form


@define(eq=False)
class Pusher:
    """
    JSON values on their way to a peer, page by page, each waiting for the last one's answer.

    What the peer is too slow for is dropped, and one ``lagged`` stands in its
    place with the number of those dropped.

    :param push: sends a page; fires when the peer has answered it, in
        whichever way.
    """

    _push: Callable[[bytes], Deferred[Any]]
    _most: int
    _queue: deque[bytes] = field(factory=deque, init=False)
    _dropped: int = field(default=0, init=False)
    _lost: str = field(default="", init=False)
    _under_way: bool = field(default=False, init=False)
    stopped: bool = field(default=False, init=False)
    _drained: list[Deferred[None]] = field(factory=list, init=False)

    def add(self, forms: Sequence[bytes]) -> None:
        """
        Send these after all that came before.
        """
        if self.stopped or not forms:
            return
        if len(self._queue) + len(forms) > self._most:
            self._dropped += len(self._queue) + len(forms)
            self._queue.clear()
        else:
            self._queue.extend(forms)
        self._next()

    def lost(self, reason: str) -> None:
        """
        Tell that something is missing here, and why.
        """
        if not self.stopped:
            self._dropped += len(self._queue)
            self._queue.clear()
            self._lost = reason
            self._next()

    def drained(self) -> Deferred[None]:
        """
        Fires when everything was sent and answered, or nothing more can be.
        """
        if self._idle:
            return succeed(None)
        drained: Deferred[None] = Deferred(self._drained.remove)
        self._drained.append(drained)
        return drained

    def stop(self) -> None:
        """
        Send no more.
        """
        self.stopped = True
        self._queue.clear()
        self._dropped, self._lost = 0, ""
        self._tell()

    @property
    def _idle(self) -> bool:
        return self.stopped or not (self._under_way or self._queue or self._dropped or self._lost)

    def _next(self) -> None:
        if self._under_way or self._idle:
            return
        page = fill(self._queue)
        for _ in page:
            self._queue.popleft()
        if self._dropped or self._lost:
            lagged = {"event": "lagged", "dropped": self._dropped}
            page.insert(0, dump(lagged | ({"text": self._lost} if self._lost else {})))
            self._dropped, self._lost = 0, ""
        self._under_way = True
        self._push(joined(page)).addBoth(self._answered)

    def _answered(self, answer: object) -> None:
        self._under_way = False
        if isinstance(answer, Failure):
            self.stop()
        else:
            self._next()
            self._tell()

    def _tell(self) -> None:
        if self._idle:
            drained, self._drained = self._drained, []
            for deferred in drained:
                deferred.callback(None)
