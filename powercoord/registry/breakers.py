# SPDX-License-Identifier: MIT
"""
The endpoints that are left alone, and how they are found again.

# Note [A try of our own]

A parked endpoint is tried when its time has come, by a read that nobody asked
for, so that it is found again also if nobody asks.  Until `resume` nothing is
begun by itself; then the first who asks after the time has come is the try, or
sets one off.

# Note [After a restart, as ever]

That an endpoint was silent is not remembered over a restart: it may have been
what a person has mended meanwhile, and costs no more than one more silence.
Actions that go on after a restart are tried until their deadline (see
`powercoord.registry.running`).  The first of them find every such endpoint
trusted, and are on their way from then on; one that finds its endpoint parked
tries it instead of waiting for the time that is set, one at once, as often as
its own pauses say.

# Note [Accounts lock]

That an endpoint refused our password is remembered, for each start would be
one more wrong password, and a service that dies again and again is started
again and again.  It is left alone until the time that was set before, by the
wall clock, but no longer than is configured now.  What a person has mended
meanwhile shows: a mark of the settings is kept, and with others it is tried at
once.  Each refusal is written, that of an off and that of a try, with its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from powercoord.entries import Entry, Unparked
from powercoord.entries import Parked as ParkedEntry
from powercoord.errors import PowerParkedError
from powercoord.marks import mark
from powercoord.model import Node
from powercoord.parking import Cause, ParkingRules
from powercoord.registry.breaker import (
    Parked,
    Sign,
    Standing,
    State,
    Trusted,
    Verdict,
    first_pause,
    heard_nothing,
    is_due,
    judge,
    recalled,
    second_look,
    tried_for_nothing,
    tried_in_vain,
)
from powercoord.registry.drift_alarms import Alarms
from powercoord.registry.standstill import Standstill
from powercoord.registry.unwritten import log_unwritten

_log = Logger(namespace="powercoord.registry")
_MOST_SHARED = 10_000
_TRUSTED = Trusted()


@define(eq=False)
class Breakers(Standstill):
    """
    One state for each endpoint that is not simply well.

    :param read: begins a read of a node, as a try.
    :param heard: the last node that was heard at each shared endpoint.
    """

    _now: Callable[[], datetime]
    _write: Callable[[Sequence[Entry]], Deferred[int]]
    _jitter: Callable[[float], float]
    rules: ParkingRules = field(factory=ParkingRules)
    _heard: dict[str, str] = field(factory=dict, init=False)
    _alarms: Alarms = field(init=False)
    _read: Callable[[Node], None] = field(default=lambda _: None, init=False)
    _awake: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._alarms = Alarms(self._clock, self._due)
        self.pause()

    def connect(self, find: Callable[[str], Node | None], read: Callable[[Node], None]) -> None:
        """
        This is how nodes are found, and read.
        """
        self._find, self._read = find, read

    def recall(self, refused: Iterable[ParkedEntry], key: bytes) -> None:
        """
        Leave alone what refused our password before a restart; see note [Accounts lock].

        :param key: what makes marks of settings.
        """
        self._key = key
        for entry in refused:
            state = recalled(entry, self._now(), self._clock.seconds(), self.rules)
            node = self._find(entry.node)
            if node is not None and (node.target.endpoint != entry.endpoint or self._is_another(state, node)):
                self._unpark(entry.endpoint, state, "its settings have changed")
            else:
                self._set(entry.endpoint, state)

    def pause(self) -> None:
        """
        Begin no tries (a drain).
        """
        self._awake = False
        self._alarms.pause()

    def resume(self) -> None:
        """
        Begin tries when they are due; see note [A try of our own].
        """
        self._awake = True
        self._alarms.resume()

    def stop(self) -> None:
        """
        Begin nothing any more; no timer is left.
        """
        self._alarms.stop()

    def admit(self, node: Node, standing: Standing) -> bool:
        """
        Whether this is the try of an endpoint that is parked.

        :raises PowerParkedError: one may not speak to it now.
        """
        endpoint = node.target.endpoint
        state = self._states.get(endpoint, _TRUSTED)
        if isinstance(state, Parked) and self._is_another(state, node):
            self._unpark(endpoint, state, "its settings have changed")
            state = _TRUSTED
        verdict = judge(state, standing, self._clock.seconds())
        if isinstance(state, Parked) and verdict is Verdict.REFUSE:
            passing = state.cause is Cause.UNREACHABLE
            raise PowerParkedError(self._text(endpoint, state), passing=passing)
        if isinstance(state, Parked) and verdict is Verdict.TRY:
            self._states[endpoint] = evolve(state, trying=True)
        return verdict is Verdict.TRY

    def shown(self, node: Node, sign: Sign, error: BaseException | None, *, tried: bool) -> None:
        """
        An operation at a node's endpoint is over.
        """
        endpoint = node.target.endpoint
        state = self._states.get(endpoint, _TRUSTED)
        if sign is Sign.ANSWER:
            self._answered(node, state)
        elif sign is Sign.DENIAL:
            self._park(node, Cause.REFUSED, str(error), tried=tried)
        elif isinstance(state, Parked):
            if tried and sign is Sign.SILENCE:
                self._set(endpoint, tried_in_vain(state, self.rules, self._clock.seconds(), self._jitter))
            elif tried:
                self._set(endpoint, tried_for_nothing(state, self._clock.seconds(), self._jitter))
        elif sign is Sign.SILENCE:
            others = self._heard.get(endpoint, node.target.selector) != node.target.selector
            now = self._clock.seconds()
            after = heard_nothing(state, node, self.rules, now, others_answer=others)
            if isinstance(after, Trusted):
                self._set(endpoint, evolve(after, due=now + self._jitter(after.due - now)))
            else:
                self._park(node, after, str(error), tried=tried)

    def text(self, node: Node) -> str:
        """
        Why a node need not be read, and a try is set off if it is due; empty if it has to be.
        """
        endpoint, now = node.target.endpoint, self._clock.seconds()
        state = self._states.get(endpoint)
        if isinstance(state, Trusted):
            return self._suspicion(endpoint, state, node)
        if state is None or self._is_another(state, node):
            return ""
        if not state.trying and is_due(state, now):
            self._begin(endpoint, node.name)
        state = self._states.get(endpoint)
        return self._text(endpoint, state) if isinstance(state, Parked) else ""

    def _suspicion(self, endpoint: str, state: Trusted, node: Node) -> str:
        """
        What to say of a node that was silent; see note [Under suspicion] in `powercoord.registry.breaker`.
        """
        if not self._awake or state.node is None or node.target.selector not in state.towards:
            return ""
        if node.name == state.node.name and node.target != state.node.target:
            return ""
        times = "once" if state.silent == 1 else f"{state.silent} times"
        remaining = max(0.0, state.due - self._clock.seconds())
        return f"{endpoint} did not answer {times} just now; looked at again in {remaining:.0f} s"

    def unpark(self, node: Node, by: str) -> bool:
        """
        A person says that it may be spoken to again; False if it may be anyway.
        """
        endpoint = node.target.endpoint
        state = self._states.get(endpoint)
        if not isinstance(state, Parked):
            self._forget(endpoint)
            return False
        self._unpark(endpoint, state, f"{by or 'somebody'} said so", by)
        return True

    def reconsider(self) -> None:
        """
        Nodes may have other settings by now, or may be gone.
        """
        for endpoint, state in list(self._states.items()):
            if isinstance(state, Parked):
                self._reconsider(endpoint, state)
            elif state.node is not None and self._find(state.node.name) != state.node:
                self._forget(endpoint)

    def _reconsider(self, endpoint: str, state: Parked) -> None:
        """
        Speak to it again if it is another; who was there before a restart may only not have been named yet.
        """
        node = self._find(state.node)
        if node is None and state.target is None:
            return
        if node is None or node.target.endpoint != endpoint or self._is_another(state, node):
            self._unpark(endpoint, state, "its settings have changed")

    def _answered(self, node: Node, state: State) -> None:
        endpoint, selector = node.target.endpoint, node.target.selector
        if isinstance(state, Parked):
            self._unpark(endpoint, state, "it answers again")
        else:
            self._forget(endpoint)
        if selector:
            # The oldest go, so that endpoints which callers describe can not fill the memory.
            self._heard.pop(endpoint, None)
            self._heard[endpoint] = selector
            if len(self._heard) > _MOST_SHARED:
                del self._heard[next(iter(self._heard))]

    def _park(self, node: Node, cause: Cause, reason: str, *, tried: bool) -> None:
        endpoint, now, pause = node.target.endpoint, self._now(), first_pause(cause, self.rules)
        spread = self._jitter(pause)
        state = Parked(
            node=node.name,
            cause=cause,
            reason=reason,
            since=now,
            pause=pause,
            due=self._clock.seconds() + spread,
            target=node.target,
            mark=mark(self._key, node.target) if cause is Cause.REFUSED else "",
        )
        before, since = self._states.get(endpoint), None
        if isinstance(before, Parked):
            state = evolve(state, trying=before.trying and not tried)
            since = before.since if before.cause is cause else None
        self._set(endpoint, state if since is None else evolve(state, since=since))
        if since is None:
            _log.warn("{endpoint} is parked: {reason}", endpoint=endpoint, reason=reason)
        next_try = now + timedelta(seconds=spread)
        self._note([ParkedEntry(now, node.name, endpoint, cause, reason, next_try, since, state.mark)])

    def _unpark(self, endpoint: str, state: Parked, text: str, by: str = "") -> None:
        self._forget(endpoint)
        _log.info("{endpoint} is not parked any more: {text}", endpoint=endpoint, text=text)
        self._note([Unparked(self._now(), state.node, endpoint, text, by)])

    def _forget(self, endpoint: str) -> None:
        if self._states.pop(endpoint, None) is not None:
            self._alarms.drop(endpoint)

    def _set(self, endpoint: str, state: State) -> None:
        self._states[endpoint] = state
        self._alarms.set(endpoint, max(0.0, state.due - self._clock.seconds()))

    def _due(self, endpoint: str) -> None:
        state = self._states.get(endpoint)
        if isinstance(state, Parked) and not state.trying:
            self._begin(endpoint, state.node)
        elif isinstance(state, Trusted) and state.node is not None:
            self._look_again(endpoint, state, state.node)

    def _look_again(self, endpoint: str, state: Trusted, node: Node) -> None:
        found = self._find(node.name)
        if found is None or found.target.endpoint != endpoint:
            self._forget(endpoint)
            return
        # Should this look show nothing, there is another one.
        pause = self._jitter(second_look(state.silent, self.rules))
        self._set(endpoint, evolve(state, due=self._clock.seconds() + pause))
        self._read(found)

    def _begin(self, endpoint: str, name: str) -> None:
        """
        Try it, if there still is a node to try it with.
        """
        found = self._find(name)
        if found is not None and found.target.endpoint == endpoint:
            self._read(found)
        state = self._states.get(endpoint)
        if not isinstance(state, Parked) or state.trying:
            return
        if found is None or found.target.endpoint != endpoint:
            self._unpark(endpoint, state, "the node that has shown it is gone")
        elif is_due(state, self._clock.seconds()):
            # The node was being read anyway; should that show nothing, it is tried later.
            self._set(endpoint, tried_for_nothing(state, self._clock.seconds(), self._jitter))

    def _note(self, written: Sequence[Entry]) -> None:
        self._write(written).addErrback(log_unwritten)
