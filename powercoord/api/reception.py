# SPDX-License-Identifier: MIT
"""
Connections to peers that ask: each with its desks, its trust and its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList, TimeoutError, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from powercoord.api.arguments import dump
from powercoord.api.calls import LinkLost
from powercoord.api.commands import NotAuthenticated
from powercoord.api.driver_list import DriverDesk
from powercoord.api.extensions import ActionEvent, GoingAway, Readings
from powercoord.api.filter import STAGE
from powercoord.api.fleet import FleetDesk
from powercoord.api.following import Audience
from powercoord.api.health import Changes, Health, health_form
from powercoord.api.holding import HoldDesk
from powercoord.api.limits import Limits, PeerLog, name_of
from powercoord.api.past import PastDesk, PastPages
from powercoord.api.power import PowerDesk
from powercoord.api.recovery import RecoveryDesk
from powercoord.api.sparing import SparingHistory
from powercoord.api.steering import SteeringDesk
from powercoord.api.subscribing import SubscriptionDesk
from powercoord.api.trust import ALWAYS, Trust
from powercoord.api.unparking import ParkingDesk
from powercoord.api.wire import Link
from powercoord.durable import IHistory
from powercoord.errors import Draining
from powercoord.interfaces import IPowerDriver, IRegistry
from powercoord.stages import ILifecycle

LOCAL = name_of(None)


@frozen(kw_only=True)
class Coordinator:
    """
    What all connections of one coordinator share.

    :param ident: who answers Identify.
    :param new_id: makes request ids and references, unique for ever.
    :param secret: what peers that are not local must know; None: they need not.
    :param random: random bytes that nobody can guess.
    :param pxe: see `PowerDesk`.
    :param history: what was written; None: nothing is kept.
    :param lifecycle: the service around the registry, if there is one.
    :param broken: drivers that are installed and do not work, with the reason.
    :param origins: the packages that drivers come from.
    """

    registry: IRegistry
    drivers: Mapping[str, IPowerDriver]
    clock: IReactorTime
    ident: str
    new_id: Callable[[], str]
    random: Callable[[int], bytes]
    secret: bytes | None = field(default=None, repr=False)
    limits: Limits = field(factory=Limits)
    pxe: bool = True
    history: IHistory | None = None
    lifecycle: ILifecycle | None = None
    broken: Mapping[str, str] = field(factory=dict)
    origins: Mapping[str, str] = field(factory=dict)


@frozen
class _Guest:
    trust: Trust
    subscriptions: SubscriptionDesk


@define(eq=False)
class Reception:
    """
    Makes the links of a coordinator, and ends them.
    """

    coordinator: Coordinator
    _peers: PeerLog = field(init=False)
    _audience: Audience = field(init=False)
    _history: IHistory | None = field(init=False)
    _links: dict[Link, _Guest] = field(factory=dict, init=False)
    _from: Counter[str] = field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self._peers = PeerLog(self.coordinator.clock)
        self._audience = Audience(self.coordinator.registry, self.coordinator.clock)
        history = self.coordinator.history
        self._history = None if history is None else SparingHistory(history)
        if self.coordinator.lifecycle is not None:
            Changes(self.coordinator.registry, self.coordinator.lifecycle, self._changed)

    def _changed(self, now: Health) -> None:
        self._audience.tell_stage(dump({"event": STAGE, "coordinator": health_form(now)}))

    def admits(self, peer: str) -> bool:
        """
        Whether one more connection from a peer is within the limits; complains if not.
        """
        limits = self.coordinator.limits
        if len(self._links) >= limits.connections:
            self._peers.complain(peer, f"there are {limits.connections} connections already", "refused")
        elif self._from[peer] >= limits.per_peer:
            self._peers.complain(peer, f"it has {limits.per_peer} connections already", "refused")
        else:
            return True
        return False

    def link(self, peer: str = "", *, secret: bytes | None, dialled: bool = False) -> Link:
        """
        A link for a new connection with its desks.

        :param peer: who connected; empty where we do.
        :param secret: what this peer must know, if anything.
        """
        shared = self.coordinator
        link = Link(shared.clock, {}, limits=shared.limits, peers=self._peers, new_reference=shared.new_id)
        required = secret is not None and peer != LOCAL
        trust = Trust(secret, required, dialled, shared.random)
        subscriptions = self._furnish(link, trust)
        self._links[link] = _Guest(trust, subscriptions)
        self._from[peer] += 1

        def gone(_: str) -> None:
            del self._links[link]
            self._from[peer] -= 1
            if not self._from[peer]:
                del self._from[peer]
            subscriptions.close()

        link.when_lost(gone)
        return link

    def _furnish(self, link: Link, trust: Trust) -> SubscriptionDesk:
        def event(subscription: int, page: bytes) -> Deferred[Any]:
            return link.call(ActionEvent, subscription=subscription, events=page)

        def readings(stream: int, page: bytes) -> Deferred[Any]:
            return link.call(Readings, stream=stream, readings=page)

        def peer() -> str:
            return link.peer

        it = self.coordinator
        power = PowerDesk(it.registry, it.drivers, it.clock, it.new_id, peer, it.pxe)
        drivers = DriverDesk(it.drivers, it.broken, it.origins)
        fleet = FleetDesk(it.registry, it.lifecycle, it.clock, it.new_id, peer, readings, it.broken)
        recovery = RecoveryDesk(it.registry, peer)
        pages = PastPages(self._history)
        past, holding = PastDesk(it.registry, pages, peer), HoldDesk(it.registry, pages, peer)
        parking = ParkingDesk(it.registry, peer)
        steering = SteeringDesk(it.registry, it.lifecycle, it.clock, it.ident, peer)
        subscriptions = SubscriptionDesk(self._audience, self._history, it.clock, it.limits, event)
        for desk in (power, drivers, fleet, recovery, past, holding, parking, steering, subscriptions, trust):
            link.serving.add(desk.responders())
        link.serving.gate = trust.gate
        return subscriptions

    def demand_proof(self, link: Link) -> Deferred[None]:
        """
        Let a peer prove that it knows the secret, if it has to.

        :raises NotAuthenticated: it did not, in time.
        """
        trust, it = self._links[link].trust, self.coordinator
        if not trust.required:
            return succeed(None)
        return Deferred.fromCoroutine(trust.ask(link, it.clock, it.limits.unauthenticated))

    def receive(self, link: Link) -> None:
        """
        Begin with somebody who connected; a peer that has to prove itself and cannot is parted from.
        """
        self.demand_proof(link).addErrback(self._distrust, link)

    def _distrust(self, failure: Failure, link: Link) -> None:
        if failure.trap(NotAuthenticated, LinkLost) is NotAuthenticated:
            self._peers.complain(link.peer, failure.getErrorMessage(), "parted")
        link.close()

    def close(self, reason: str, *, patience: float = 2.0) -> Deferred[Any]:
        """
        Part from every peer; fires when the last is gone.

        :param patience: seconds for answers that are owed, and again for the
            goodbye to arrive.
        """
        parting = [Deferred.fromCoroutine(self._part(link, reason, patience)) for link in list(self._links)]
        return DeferredList(parting, consumeErrors=True)

    async def _part(self, link: Link, reason: str, patience: float) -> None:
        clock = self.coordinator.clock
        refusal = Draining(f"the coordinator is going away: {reason}")
        link.serving.gate = lambda name: None if name in ALWAYS else refusal
        link.call(GoingAway, reason=reason).addBoth(_whatever)
        owed = Deferred.fromCoroutine(self._owed(link))
        await owed.addTimeout(patience, clock).addBoth(_whatever)
        lost: Deferred[str] = Deferred()
        link.when_lost(lost.callback)
        link.close()
        try:
            await lost.addTimeout(patience, clock)
        except TimeoutError:
            link.abort()

    async def _owed(self, link: Link) -> None:
        """
        Until every answer was sent, and every event of what was answered was taken.
        """
        await link.serving.idle()
        if (guest := self._links.get(link)) is not None:
            await guest.subscriptions.drained()


def _whatever(_: object) -> None:
    """
    It was a courtesy.
    """


class Door(Factory):
    """
    Makes links for connections that are accepted.
    """

    noisy = False

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def buildProtocol(self, addr: IAddress | None) -> Link | None:
        """
        A link, or None (then Twisted closes the connection) where the limits are reached.
        """
        peer = name_of(addr)
        if not self._reception.admits(peer):
            return None
        link = self._reception.link(peer, secret=self._reception.coordinator.secret)
        link.made = lambda: self._reception.receive(link)
        return link
