# SPDX-License-Identifier: MIT
"""
Reading states on request: one read at a time per node, shared by all who ask.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import PowercoordError
from powercoord.model import Node, Observation
from powercoord.registry.gates import Priority
from powercoord.registry.steps import Steps, Stopped
from powercoord.registry.surroundings import Surroundings

_log = Logger(namespace="powercoord.registry")


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

    def read(self, node: Node) -> Deferred[Observation]:
        """
        What the next read of a node says; a new Deferred each time.
        """
        observed = self._world.sightings.next(node.name)
        if node.name not in self._reading and not self._polled(node.name):
            self._start(node)
        return observed

    def stop(self) -> None:
        """
        End all reads.
        """
        for steps in list(self._reading.values()):
            steps.stop()
            steps.tear_down()

    def _start(self, node: Node) -> None:
        clock, timing = self._world.clock, node.timing
        limit = clock.seconds() + timing.action
        steps = Steps(self._world, node, Priority.QUERY, lambda: limit, node.name)
        self._reading[node.name] = steps
        done = Deferred.fromCoroutine(self._read(node, steps))
        done.addErrback(self._fault, node)

    async def _read(self, node: Node, steps: Steps) -> None:
        try:
            await steps.read()
        except Stopped:
            self._world.sightings.give_up(node.name, "the coordinator is stopping")
        except PowercoordError:
            return  # the sighting says why
        finally:
            del self._reading[node.name]

    def _fault(self, failure: Failure, node: Node) -> None:
        _log.failure("fault while reading {node}", failure, node=node.name)
        self._world.sightings.give_up(node.name, "fault in the coordinator; the log has the details")
