# SPDX-License-Identifier: MIT
"""
Telling subscribers what happens.

The registry is listened to only while somebody follows.  Each entry is
written as JSON once for all who want it, and what happens in one turn of the
reactor travels together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.api.arguments import dump
from powercoord.api.filter import Filter
from powercoord.api.pages import Pusher
from powercoord.entries import Entry
from powercoord.forms import event_form
from powercoord.interfaces import IRegistry

# Pairs, because there are many: a value of a class takes ten times as long to make.
Happening = tuple[int, Entry]
Write = Callable[[int, Entry], bytes]


@define(eq=False)
class Follower:
    """
    Somebody who follows, and how far.

    :param told: the number up to which everything wanted was handed to the
        pusher; what comes with this or a lower one was there before.
    """

    wanted: Filter
    pusher: Pusher
    told: int = 0

    def hear(self, happened: Sequence[Happening], write: Write) -> None:
        """
        Take what happened, in order.
        """
        new = [each for each in happened if each[0] > self.told]
        if new:
            self.told = new[-1][0]
            self.pusher.add([write(number, entry) for number, entry in new if self.wanted.wants(entry)])

    def hear_stage(self, form: bytes) -> None:
        """
        Take what became of the coordinator itself.
        """
        if self.wanted.wants_stages:
            self.pusher.add([form])


@define(eq=False)
class Held:
    """
    What happens while a follower is still told what was before.

    It keeps the newest; `spilled` says that some were let go, which are on
    the disk by then.
    """

    follower: Follower
    _most: int
    spilled: bool = field(default=False, init=False)
    _kept: deque[Happening] = field(factory=deque, init=False)
    _stage: bytes | None = field(default=None, init=False)

    def hear(self, happened: Sequence[Happening], write: Write) -> None:
        """
        Keep what happened.
        """
        self._kept.extend(happened)
        if len(self._kept) > self._most:
            self.spilled = True
            self._kept.clear()

    def hear_stage(self, form: bytes) -> None:
        """
        Keep the last of these.
        """
        self._stage = form

    def release(self) -> None:
        """
        Hand over what is kept.
        """
        self.follower.hear(self._kept, written)
        if self._stage is not None:
            self.follower.hear_stage(self._stage)


Listening = Follower | Held


@define(eq=False)
class Audience:
    """
    Everybody who follows, whatever the connection.

    :param newest: the number of the last entry, None while nothing has
        happened since somebody began to follow.
    """

    _registry: IRegistry
    _clock: IReactorTime
    _followers: dict[Follower, Listening] = field(factory=dict, init=False)
    _happened: list[Happening] = field(factory=list, init=False)
    _telling: IDelayedCall | None = field(default=None, init=False)
    _stop: Callable[[], None] | None = field(default=None, init=False)
    newest: int | None = field(default=None, init=False)

    def join(self, follower: Follower, held: Held | None = None) -> Callable[[], None]:
        """
        Tell a follower what happens from now on; call the result to stop.

        :param held: takes it in the follower's place, until `release`.
        """
        if self._stop is None:
            self._stop = self._registry.subscribe(self._listen)
        self._followers[follower] = held or follower
        return lambda: self._leave(follower)

    def release(self, held: Held) -> None:
        """
        Let a follower have what was held for it, and hear the rest itself.
        """
        if held.follower in self._followers:
            held.release()
            self._followers[held.follower] = held.follower

    def flush(self) -> None:
        """
        Tell now what would be told in a moment.
        """
        if self._telling is not None:
            self._telling.cancel()
            self._tell()

    def tell_stage(self, form: bytes) -> None:
        """
        Tell what became of the coordinator itself, to all who want to hear that.
        """
        for listening in list(self._followers.values()):
            listening.hear_stage(form)

    def _leave(self, follower: Follower) -> None:
        follower.pusher.stop()
        self._followers.pop(follower, None)
        if not self._followers and self._stop is not None:
            self._stop()
            self._stop = self.newest = None
            self._happened.clear()
            if self._telling is not None:
                self._telling.cancel()
                self._telling = None

    def _listen(self, last: int, entries: Sequence[Entry]) -> None:
        self.newest = last if self.newest is None else max(last, self.newest)
        self._happened.extend(enumerate(entries, last - len(entries) + 1))
        if self._telling is None:
            self._telling = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        """
        Who hears of an entry may write another, which others then hear of first; hence the order.
        """
        self._telling = None
        happened, self._happened = self._happened, []
        happened.sort(key=itemgetter(0))
        write = _Written()
        for listening in list(self._followers.values()):
            listening.hear(happened, write)


def written(number: int, entry: Entry) -> bytes:
    """
    An event as it travels.
    """
    return dump(event_form(entry) | {"number": number})


@define(eq=False)
class _Written:
    """
    Writes each event once.
    """

    _known: dict[int, bytes] = field(factory=dict, init=False)

    def __call__(self, number: int, entry: Entry) -> bytes:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = written(number, entry)
        return known
