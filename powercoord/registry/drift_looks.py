# SPDX-License-Identifier: MIT
"""
Looking again at nodes of which it is not known what came of their last action.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import RequestRefused
from powercoord.model import Observation, PowerState
from powercoord.registry.drift_alarms import Alarms

_log = Logger(namespace="powercoord.registry")

FIRST_LOOK = 5.0
"""
Seconds before the first look at a node; the pause doubles with each.
"""

LONGEST_PAUSE = 600.0
"""
The longest pause between two looks, in seconds.
"""


@define(eq=False)
class _Look:
    pause: float = FIRST_LOOK


@define(eq=False, kw_only=True)
class Looks:
    """
    Reads nodes until something is seen, ever more rarely.

    A BMC that refuses us (`PowerState.ERROR`) is not asked again: time mends
    nothing there, and accounts lock.

    :param read: reads a node, as a query does.
    :param at_rest: whether nothing is in play or waiting on a node; what is in
        play looks for itself.
    :param seen: told when a look has seen something.
    """

    clock: IReactorTime
    jitter: Callable[[float], float]
    read: Callable[[str], Deferred[Observation]]
    at_rest: Callable[[str], bool]
    seen: Callable[[str], None]
    alarms: Alarms = field(init=False)
    _looks: dict[str, _Look] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.alarms = Alarms(self.clock, self._look)

    def begin(self, name: str, delay: float = FIRST_LOOK) -> None:
        """
        Look at a node after so long, and again until something is seen.
        """
        self._looks[name] = _Look()
        self.alarms.set(name, self.jitter(delay))

    def forget(self, name: str) -> None:
        """
        No look is needed (any more).
        """
        if self._looks.pop(name, None) is not None:
            self.alarms.drop(name)

    def stop(self) -> None:
        """
        Look no more, and heed no answer that is still to come.
        """
        self._looks.clear()
        self.alarms.stop()

    def _look(self, name: str) -> None:
        look = self._looks[name]
        if not self.at_rest(name):
            self.alarms.set(name, self.jitter(look.pause))
            return
        reading = maybeDeferred(self.read, name)
        reading.addCallbacks(self._looked, self._refused, (name, look), errbackArgs=(name,))
        reading.addErrback(_log_fault, name)

    def _looked(self, observation: Observation, name: str, look: _Look) -> None:
        if self._looks.get(name) is not look:
            return
        if observation.state is PowerState.UNKNOWN:
            self.alarms.set(name, self.jitter(look.pause))
            look.pause = min(2 * look.pause, LONGEST_PAUSE)
            return
        self.forget(name)
        if observation.state in (PowerState.ON, PowerState.OFF):
            self.seen(name)

    def _refused(self, failure: Failure, name: str) -> None:
        """
        There is no such node (any more).
        """
        self.forget(name)
        failure.trap(RequestRefused)


def _log_fault(failure: Failure, name: str) -> None:
    _log.failure("fault while looking at {node}", failure, node=name)
