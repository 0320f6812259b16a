# SPDX-License-Identifier: MIT
"""
Bringing nodes back to the power that is wanted, and not for ever as fast as one can.

# Note [Bringing back]

The first time it is done at once.  After that a node is left alone for
`SHORTEST_PAUSE` from the end of the last try, and twice as long after each
further one, up to `LONGEST_PAUSE`: whoever keeps turning it off may have a
reason, and a machine that can not stay on is not helped by being started every
minute.  Once it has stayed as wanted for as long as the pause would have been,
it begins anew.

It is a request like any other, with two differences.  It never takes
another's place and never waits behind one (`Policy.REJECT`): what a caller
asked for meanwhile is what is wanted now.  And it does not change who wanted it.
Whoever wanted a soft-off that may not be forced gets no other.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import RequestRefused
from powercoord.interfaces import ITicket
from powercoord.model import Goal, Policy, Request, Verb, Wanted
from powercoord.registry.drift_alarms import Alarms
from powercoord.registry.wants_projection import ENFORCING

_log = Logger(namespace="powercoord.registry")

SHORTEST_PAUSE = 60.0
"""
Seconds for which a node is left alone after it was brought back the first time.
"""

LONGEST_PAUSE = 3600.0
"""
The longest that a node is left alone.
"""


@define(eq=False)
class _Tries:
    """
    :param last: when the last try began, or ended.
    :param pause: for how long the node is left alone after it.
    :param agreed: since when it is as wanted.
    """

    last: float
    pause: float = SHORTEST_PAUSE
    agreed: float | None = None


@define(eq=False, kw_only=True)
class Enforcing:
    """
    Asks for the wanted power of nodes that have drifted; see note [Bringing back].

    :param to_bring_back: what is wanted of a node that is to be brought back
        now; None if nothing is to be done.
    :param trouble: why nothing can be written just now, else None.
    :param parked: whether a node's endpoint is left alone just now; then it
        waits, for an off of ours would be let through, and try a refused password.
    """

    clock: IReactorTime
    jitter: Callable[[float], float]
    submit: Callable[[Request], Deferred[ITicket]]
    new_id: Callable[[], str]
    trouble: Callable[[], str | None]
    parked: Callable[[str], bool]
    to_bring_back: Callable[[str], Wanted | None]
    alarms: Alarms = field(init=False)
    _tries: dict[str, _Tries] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.alarms = Alarms(self.clock, self._bring_back)

    def drifted(self, name: str) -> None:
        """
        A node was seen with other power than is wanted; repeating it is harmless.
        """
        if name not in self.alarms:
            self.alarms.set(name, self._pause(name))

    def agreed(self, name: str) -> None:
        """
        A node is as wanted.
        """
        self.alarms.drop(name)
        if name in self._tries:
            self._tries[name].agreed = self.clock.seconds()

    def ended(self, name: str) -> None:
        """
        An action of a node is over, perhaps ours.
        """
        if name in self._tries:
            self._tries[name].last = self.clock.seconds()

    def forget(self, name: str) -> None:
        """
        Something else is wanted, or nothing.
        """
        self._tries.pop(name, None)
        self.alarms.drop(name)

    def _pause(self, name: str) -> float:
        tries = self._tries.get(name)
        now = self.clock.seconds()
        if tries is None:
            return 0.0
        if tries.agreed is not None and now - tries.agreed >= tries.pause:
            del self._tries[name]
            return 0.0
        tries.agreed = None
        return self.jitter(max(0.0, tries.last + tries.pause - now))

    def _bring_back(self, name: str) -> None:
        wanted = self.to_bring_back(name)
        if wanted is None:
            return
        if self.trouble() is not None or self.parked(name):
            self.alarms.set(name, self.jitter(SHORTEST_PAUSE))
            return
        self._note(name)
        request = self._request(name, wanted)
        submitted = maybeDeferred(self.submit, request)
        submitted.addCallbacks(_log_begun, self._refused, (request,), errbackArgs=(name,))
        submitted.addErrback(_log_fault, name)

    def _note(self, name: str) -> None:
        tries = self._tries.get(name)
        if tries is None:
            self._tries[name] = _Tries(self.clock.seconds())
        else:
            tries.last = self.clock.seconds()
            tries.pause = min(2 * tries.pause, LONGEST_PAUSE)

    def _request(self, name: str, wanted: Wanted) -> Request:
        return Request(
            node=name,
            verb=_verb(wanted),
            escalate=wanted.escalate,
            request_id=f"{ENFORCING}-{self.new_id()}",
            policy=Policy.REJECT,
            requester="powercoord",
            door=ENFORCING,
        )

    def _refused(self, failure: Failure, name: str) -> None:
        """
        Not now: the node is busy, or nothing new is taken.
        """
        failure.trap(RequestRefused)
        _log.info("{node} is not brought back now: {reason}", node=name, reason=failure.value)
        if name in self._tries:
            self.alarms.set(name, self.jitter(self._tries[name].pause))


def _verb(wanted: Wanted) -> Verb:
    if wanted.goal is Goal.ON:
        return Verb.ON
    return Verb.OFF if wanted.escalate else Verb.SOFT_OFF


def _log_begun(ticket: ITicket, request: Request) -> None:
    verb = request.verb.value
    _log.info("{node} has drifted: {verb} ({action})", node=request.node, verb=verb, action=ticket.action)


def _log_fault(failure: Failure, name: str) -> None:
    _log.failure("fault while bringing back {node}", failure, node=name)
