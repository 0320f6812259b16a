# SPDX-License-Identifier: MIT
"""
All BMCs on one socket: who is where, how many sessions are kept, how fast a sweep may go.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from collections.abc import Callable
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Protocol, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from powercoord.drivers.ipmi.address import Peer
from powercoord.drivers.ipmi.bmc import Bmc
from powercoord.drivers.ipmi.counters import Counters
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.errand import Errand
from powercoord.drivers.ipmi.link import Link
from powercoord.drivers.ipmi.wheel import Wheel
from powercoord.drivers.turns import Turns
from powercoord.errors import PowerConnError

T = TypeVar("T")


@frozen
class Bounds:
    """
    How much is kept and sent at most.

    :param sessions: kept at once; the least recently used ones end first.
    :param links: BMCs remembered at once.
    :param burst: operations begun before answers have been read: a fleet-wide sweep must not
        bring more answers than the socket's buffer can hold.
    :param crowd: conversations from which on answers are read a few at a time.
    """

    sessions: int = 10_000
    links: int = 40_000
    burst: int = 256
    crowd: int = 16


class Sender(Protocol):
    """
    The door to the wire: see `powercoord.drivers.ipmi.datagrams.Datagrams`.
    """

    def send(self, datagram: bytes, peer: Peer) -> bool:
        """
        Give a datagram to the kernel. False: it has no room just now.
        """

    def close(self) -> None:
        """
        Give the port back.
        """


@define(eq=False, kw_only=True)
class Fleet:
    """
    Hands each datagram to the BMC that it came from, and to nobody else.

    :param listen: opens the socket of an address family, when it is first needed.
    """

    clock: IReactorTime
    listen: Callable[[Fleet, AddressFamily], Sender]
    entropy: Entropy
    bounds: Bounds = Bounds()
    counters: Counters = field(factory=Counters, init=False)
    closed: bool = field(default=False, init=False)
    _senders: dict[AddressFamily, Sender] = field(factory=dict, init=False)
    _links: dict[Peer, Link] = field(factory=dict, init=False)
    _keeping: OrderedDict[Link, None] = field(factory=OrderedDict, init=False)
    _turns: Turns = field(init=False)
    _wheel: Wheel = field(init=False)
    _begun: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        """
        Nobody waits yet.
        """
        self._turns, self._wheel = Turns(self.clock), Wheel(self.clock)

    def perform(self, peer: Peer, errand: Errand[T]) -> Deferred[T]:
        """
        Have something done at the BMC at an address.
        """
        if self.closed:
            raise PowerConnError(f"{errand.login.what}: the driver is closed")
        if self._begun >= self.bounds.burst:
            return Deferred.fromCoroutine(self._later(peer, errand))
        self._begun += 1
        if self._begun == self.bounds.burst:
            self.clock.callLater(0, self._next_burst)
        link = self._links.get(peer) or self._add(peer)
        return link.perform(errand)

    async def _later(self, peer: Peer, errand: Errand[T]) -> T:
        late = PowerConnError(f"{errand.login.what}: too many operations before this one")
        await self._turns.wait(errand.operation, errand.deadline, late)
        return await self.perform(peer, errand)

    def received(self, datagram: bytes, peer: Peer) -> None:
        """
        A datagram came from somewhere.
        """
        self.counters.received += 1
        link = self._links.get(peer)
        if link is None:
            self.counters.ignored += 1
        else:
            link.received(datagram)

    def unreachable(self, peer: Peer, error: OSError) -> None:
        """
        A host on the way said that datagrams to a peer do not arrive.
        """
        self.counters.refused += 1
        link = self._links.get(peer)
        if link is not None and error.errno in _HOPELESS:
            link.unreachable(_HOPELESS[error.errno])

    def crowded(self) -> bool:
        """
        Whether so many answers are expected that it pays to let some gather.
        """
        return self.counters.talks >= self.bounds.crowd

    async def close(self) -> None:
        """
        End all conversations and sessions, in bursts that the network can take.
        """
        self.closed = True
        self._turns.dismiss(PowerConnError("the driver is closed"))
        for count, link in enumerate(list(self._links.values()), 1):
            link.close()
            if count % self.bounds.burst == 0:
                await deferLater(self.clock, 0)
        for sender in self._senders.values():
            sender.close()
        self._wheel.close()
        self._senders.clear()
        self._links.clear()
        self._keeping.clear()

    def _next_burst(self) -> None:
        self._begun = 0
        self._turns.release(self.bounds.burst)

    def _add(self, peer: Peer) -> Link:
        if len(self._links) >= self.bounds.links:
            self._links = {
                known: link for known, link in self._links.items() if link.busy or link.bmc.session
            }
        sender = self._sender(AF_INET6 if ":" in peer[0] else AF_INET)

        def send(datagram: bytes) -> bool:
            if sender.send(datagram, peer):
                return True
            self.counters.unsent += 1
            return False

        bmc = Bmc(entropy=self.entropy, seconds=self.clock.seconds, counters=self.counters)
        link = Link(
            bmc=bmc,
            clock=self.clock,
            counters=self.counters,
            send=send,
            wheel=self._wheel,
            settled=self._settle,
        )
        self._links[peer] = link
        return link

    def _sender(self, family: AddressFamily) -> Sender:
        if family not in self._senders:
            self._senders[family] = self.listen(self, family)
        return self._senders[family]

    def _settle(self, link: Link) -> None:
        """
        Remember which sessions are used, and end the one that is not when there are too many.
        """
        if link.bmc.session is None:
            self._keeping.pop(link, None)
            return
        self._keeping[link] = None
        self._keeping.move_to_end(link)
        while self.counters.sessions > self.bounds.sessions and len(self._keeping) > 1:
            oldest, _ = self._keeping.popitem(last=False)
            if oldest.bmc.session is not None and not oldest.busy:
                self.counters.evicted += 1
                oldest.hang_up()


_HOPELESS = {
    errno.ECONNREFUSED: "connection refused: nobody listens on this port",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.EACCES: "a firewall does not let us through",
}
