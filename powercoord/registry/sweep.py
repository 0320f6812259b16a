# SPDX-License-Identifier: MIT
"""
Reading all nodes in the background, so that what is known of them is never old.

Who reads a node anyway, a caller or an action, saves the sweep that read: a
node is due so long after it was *seen*, by whomever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import inf

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from powercoord.entries import Accepted, Ended, Entry
from powercoord.model import Node
from powercoord.registry.hints import Watched
from powercoord.registry.reads import Reads
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.sweep_crowd import YOUNG, Crowd
from powercoord.registry.sweep_places import Place, Places
from powercoord.registry.sweep_rhythm import EARLY, POWERS, Sweeping, next_pause

_log = Logger(namespace="powercoord.registry")

_SLICE = 50
_CATCH_UP = 0.05
# Why a node that is due may not be read.
SKIPS = BUSY, RESTING, READ = "busy", "resting", "being-read"


@define(eq=False)
class Sweep:
    """
    The reads that nobody asked for.

    One timer for all.  It does nothing until `start`, and no timer and no read
    of it is left after `pause`.  Dead BMCs hold up nobody: a read without an
    answer does not count against ``concurrency`` for longer than a second.

    :param names: all nodes there are.
    :param find: the node as it is now, if it is there.
    :param busy: whether something is in play or waiting on a node.
    :param resting: until when a node is to be left alone, if it is.
    :param read: how many reads there were.
    :param skipped: how often a node that was due was not read, by reason.
    """

    _world: Surroundings
    _reads: Reads
    _names: Callable[[], Iterable[str]]
    _find: Callable[[str], Node | None]
    _busy: Callable[[str], bool]
    resting: Callable[[Node], float | None] = lambda _: None
    read: int = field(default=0, init=False)
    skipped: Counter[str] = field(factory=Counter, init=False)
    _settings: Sweeping = field(factory=Sweeping, init=False)
    _places: Places = field(factory=Places, init=False)
    _crowd: Crowd = field(init=False)
    _watched: Watched = field(init=False)
    _next: float = field(default=-inf, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _running: bool = field(default=False, init=False)
    _turning: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._crowd = Crowd(self._world.clock, self._settings.concurrency)
        self._watched = Watched(self._world.driver, self._look_now)

    def configure(self, settings: Sweeping) -> None:
        """
        Let this hold from now on, for the nodes there are now.
        """
        self._settings = settings
        self._crowd.most = settings.concurrency
        self._renew()
        self._arm()

    def start(self) -> None:
        """
        Begin, or go on; what became due meanwhile is read as evenly as ever.
        """
        if self._stopped:
            return
        self._running = True
        self._renew()
        self._arm()

    def pause(self) -> None:
        """
        Read nothing until `start`; what is being read for nobody else is given up.
        """
        self._running = False
        self._disarm()
        self._reads.withdraw()

    def stop(self) -> None:
        """
        Read nothing any more.
        """
        self._stopped = True
        self.pause()
        self._watched.leave_all()

    def changed(self, name: str) -> None:
        """
        Something else is known of a node than before.
        """
        place = self._places.get(name)
        if place is not None:
            self._consider(place)
        elif (node := self._find(name)) is not None:
            # Callers bring nodes of their own; this is how they are met.
            self._know(node)
        self._arm()

    def look_soon(self, name: str) -> None:
        """
        A node may be other than is known: read it soon, and often for a while.
        """
        place = self._places.get(name)
        if place is not None:
            self._consider(place)
            self._places.retime(place, self._fast(place.slow), place.slow)
            self._put(place, self._later(place.pause))

    def _look_now(self, name: str) -> None:
        """
        A BMC tells by itself that a node's power may have changed: read it as soon as the pace allows.
        """
        place = self._places.get(name)
        if place is not None:
            self._consider(place)
            self._put(place, self._world.clock.seconds())

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        Actions look for themselves, and leave something to be looked at (a `Listener`).
        """
        for entry in entries:
            if isinstance(entry, Accepted):
                self._reads.make_way(entry.request.node)
            elif isinstance(entry, Ended):
                self.look_soon(entry.node)

    def oldest(self) -> float:
        """
        Seconds since that node was seen of which this is longest ago; 0 if none is read.
        """
        times = (
            place.since if (at := self._world.sightings.last(place.node.name).at) is None else at
            for place in self._places
        )
        return max(0.0, self._world.clock.seconds() - min(times, default=inf))

    def _renew(self) -> None:
        """
        Know the nodes there are now, and no others.
        """
        there = dict.fromkeys(self._names())
        for place in list(self._places):
            if place.node.name not in there:
                self._drop(place.node.name)
        for name in there:
            node = self._find(name)
            if node is not None:
                self._know(node)

    def _drop(self, name: str) -> None:
        self._places.drop(name)
        self._watched.leave(name)

    def _know(self, node: Node) -> None:
        place, slow = self._places.get(node.name), self._slow(node)
        if not slow:
            self._drop(node.name)
            return
        self._watched.follow(node)
        if place is None:
            self._enter(node, slow)
        else:
            self._keep(place, node, slow)

    def _enter(self, node: Node, slow: float) -> None:
        """
        A node that was not there before: the longer ago it was seen, the sooner it is read.
        """
        seen = self._world.sightings.last(node.name)
        power = seen.state if seen.state in POWERS else None
        place = Place(
            node, self._world.clock.seconds(), self._world.jitter(1.0), slow, slow, seen.at, seen.state, power
        )
        self._places.add(place)
        self._places.put(place, -inf if seen.at is None else seen.at + self._world.jitter(EARLY * slow))

    def _keep(self, place: Place, node: Node, slow: float) -> None:
        """
        A node that was there before; reached in another way it is to be seen anew.
        """
        again, place.node = node.target != place.node.target, node
        if again:
            place.power = None
        if again or slow != place.slow:
            self._places.retime(place, slow if again else min(place.pause, slow), slow)
            if place.due is not None:
                latest = self._later(0.0 if again else place.pause)
                self._places.put(place, min(place.due, latest))

    def _slow(self, node: Node) -> float:
        """
        How often a node is read that is well; 0: never.
        """
        own = node.timing.sweep
        interval = self._settings.interval if own is None else own
        return interval if interval and self._world.readable(node) else 0.0

    def _fast(self, slow: float) -> float:
        return min(self._settings.fast, slow)

    def _later(self, pause: float) -> float:
        return self._world.clock.seconds() + self._world.jitter(EARLY * pause)

    def _consider(self, place: Place) -> bool:
        """
        If the node was seen since, by whomever, it is due so long after that; says whether it was.
        """
        seen = self._world.sightings.last(place.node.name)
        if seen.at is None or seen.at == place.seen:
            return False
        pause = next_pause(
            place.pause, place.state, place.power, seen.state, fast=self._fast(place.slow), slow=place.slow
        )
        place.seen, place.state = seen.at, seen.state
        if seen.state in POWERS:
            place.power = seen.state
        self._places.retime(place, pause, place.slow)
        self._put(place, seen.at + self._world.jitter(EARLY * pause))
        return True

    def _put(self, place: Place, due: float) -> None:
        self._places.put(place, due)
        self._arm()

    def _turn(self) -> None:
        """
        Read who is due, as many as the pace allows.
        """
        self._timer = None
        self._turning = True
        now = self._world.clock.seconds()
        for _ in range(_SLICE):
            first = self._places.first()
            if first is None or first.due is None or max(first.due, self._next) > now or self._crowd.full():
                break
            self._places.take_first()
            self._look(first, now)
        self._turning = False
        self._arm()

    def _look(self, place: Place, now: float) -> None:
        name = place.node.name
        node = self._find(name)
        if node is None:
            self._drop(name)
        elif not self._consider(place) or (place.due is not None and place.due <= now):
            place.due = None
            self._read_unless(place, node, now)

    def _read_unless(self, place: Place, node: Node, now: float) -> None:
        """
        Read a node, unless there is a reason not to.
        """
        until = self.resting(node)
        if until is not None:
            self._skip(place, RESTING, until)
            return
        if self._busy(node.name):
            self._skip(place, BUSY)
            return
        reading = self._reads.sweep(node)
        if reading is None:
            self._skip(place, READ)
            return
        self._crowd.begin(node.name)
        self.read += 1
        self._next = max(self._next, now - _CATCH_UP) + self._places.pace.gap
        reading.addCallback(self._over, node.name)
        reading.addErrback(
            lambda failure: _log.failure("fault after reading {node}", failure, node=node.name)
        )

    def _skip(self, place: Place, reason: str, until: float = -inf) -> None:
        """
        Not now; and not again at once, for the reason may stay a while.
        """
        self.skipped[reason] += 1
        self._put(place, max(until, self._later(self._fast(place.slow))))

    def _over(self, _: None, name: str) -> None:
        """
        A read has ended; one that saw nothing was withdrawn, or made way.
        """
        self._crowd.end(name)
        place = self._places.get(name)
        if place is None or self._stopped:
            return
        if not self._consider(place) and place.due is None:
            self._put(place, self._later(self._fast(place.slow)))
        self._arm()

    def _arm(self) -> None:
        """
        See to it that there is a timer, if there is anything to wait for.
        """
        first = self._places.first()
        if self._turning or not self._running:
            return
        if first is None or first.due is None:
            self._disarm()
            return
        now = self._world.clock.seconds()
        moment = max(first.due, self._next, now)
        if self._crowd.full():
            moment = max(moment, now + YOUNG)
        if self._timer is None:
            self._timer = self._world.clock.callLater(moment - now, self._turn)
        elif moment < self._timer.getTime():
            self._timer.reset(moment - now)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
