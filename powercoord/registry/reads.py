# SPDX-License-Identifier: MIT
"""
Reading states: one read at a time per node, shared by all who ask.

# Note [In the background]

The sweep reads a node though nobody asked, and such a read stands behind all
others in every queue.  Whoever asks for the node while it stands there must not
stand there with it: the read leaves the queue, and one of theirs takes its
place.  One that is on the wire already is as good as theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import PowercoordError
from powercoord.model import Node, Observation
from powercoord.registry.breaker import Standing
from powercoord.registry.gates import Priority
from powercoord.registry.steps import Steps
from powercoord.registry.stoppable import Expired, Stopped
from powercoord.registry.surroundings import Surroundings

_log = Logger(namespace="powercoord.registry")
_STOPPING = "the coordinator is stopping"


@define(eq=False)
class Reads:
    """
    The queries of all nodes.

    A query during a change waits for the change's own next look, as long as
    it is looking; there is no second conversation with the BMC.

    :param polled: whether an action is looking at a node again and again now.
    """

    _world: Surroundings
    _polled: Callable[[str], bool]
    _reading: dict[str, Steps] = field(factory=dict, init=False)
    _unasked: set[str] = field(factory=set, init=False)
    _stopped: bool = field(default=False, init=False)

    def read(self, node: Node) -> Deferred[Observation]:
        """
        What the next read of a node says; a new Deferred each time.

        One whose endpoint is parked is not read: it is what is known, at once.
        """
        parked = "" if self._polled(node.name) else self._world.breakers.text(node)
        if parked:
            return succeed(self._world.sightings.unread(node.name, parked))
        observed = self._world.sightings.next(node.name)
        self.look(node)
        return observed

    def look(self, node: Node) -> None:
        """
        Read a node if somebody waits for that and nobody is reading it.
        """
        if not self._world.sightings.awaited(node.name):
            return
        if self._stopped:
            self._world.sightings.give_up(node.name, _STOPPING)
        elif node.name in self._unasked:
            self.make_way(node.name)
        elif node.name not in self._reading and not self._polled(node.name):
            self._start(node, Priority.QUERY)

    def sweep(self, node: Node) -> Deferred[None] | None:
        """
        Read a node though nobody asked; fires when that is over, whatever came of it.

        None: it is being read, or looked at, anyway.
        """
        if self._stopped or node.name in self._reading or self._polled(node.name):
            return None
        self._unasked.add(node.name)
        return self._start(node, Priority.SWEEP)

    def make_way(self, name: str) -> None:
        """
        If a read for which nobody asked still stands in a queue, it leaves it.
        """
        if name in self._unasked:
            self._reading[name].leave_queue()

    def withdraw(self) -> None:
        """
        End all reads for which nobody asked, nor has asked since.

        Those in a queue go first: one that ends makes room, and must not let in the next.
        """
        names = [name for name in self._unasked if not self._world.sightings.awaited(name)]
        for name in names:
            self.make_way(name)
        for name in self._unasked.intersection(names):
            self._reading[name].stop()

    def probe(self, node: Node) -> None:
        """
        Read a node whose endpoint is parked, unless it is being read anyway.
        """
        if not self._stopped and node.name not in self._reading and not self._polled(node.name):
            self._start(node, Priority.QUERY, Standing.PROBE)

    def stop(self) -> None:
        """
        End all reads; whoever waits for one is told, now and later.
        """
        self._stopped = True
        for steps in list(self._reading.values()):
            steps.stop()
            steps.tear_down()
        self._world.sightings.give_up_all(_STOPPING)

    def _start(self, node: Node, priority: Priority, standing: Standing = Standing.QUERY) -> Deferred[None]:
        steps = Steps(self._world, node, priority, _no_deadline, _never, node.name)
        steps.standing = standing
        self._reading[node.name] = steps
        done = Deferred.fromCoroutine(self._read(node, steps))
        done.addErrback(self._fault, node)
        done.addCallback(self._look_again, node)
        return done

    async def _read(self, node: Node, steps: Steps) -> None:
        try:
            await steps.read()
        except Stopped:
            if self._stopped:
                self._world.sightings.give_up(node.name, _STOPPING)
        except Expired:
            return  # it made way
        except PowercoordError:
            return  # the sighting says why
        finally:
            del self._reading[node.name]
            self._unasked.discard(node.name)

    def _look_again(self, _: None, node: Node) -> None:
        """
        Somebody may have asked while being told, or while it was being withdrawn.
        """
        self.look(node)

    def _fault(self, failure: Failure, node: Node) -> None:
        _log.failure("fault while reading {node}", failure, node=node.name)
        self._world.sightings.give_up(node.name, "fault in the coordinator; the log has the details")


def _no_deadline() -> float:
    """
    Only the operation's own time counts: a queue is no failure.
    """
    return inf


def _never() -> bool:
    return False
