# SPDX-License-Identifier: MIT
"""
The network between a simulated BMC and whoever asks it: it may lose, delay and repeat.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from powercoord.sim.bmc import Bmc, Reply

#: Host and port of whoever asked.
Peer = tuple[str, int]
Send = Callable[[bytes, Peer], None]

#: Answers that are under way at a time, at most; more are lost, as in a full queue.
IN_FLIGHT = 256


@define(eq=False)
class Line:
    """
    Carries datagrams to one BMC, and its answers back.

    :param seed: of what is lost; the same seed and the same traffic lose the same.
    """

    _clock: IReactorTime = field(repr=False)
    _bmc: Bmc
    _send: Send = field(repr=False)
    _seed: str
    _random: Random | None = field(init=False, default=None)
    _under_way: set[IDelayedCall] | None = field(init=False, default=None)

    def datagramReceived(self, datagram: bytes, peer: Peer) -> None:
        """
        Something came for the BMC.
        """
        if self._lost(self._bmc.faults.loss_in):
            return
        reply = self._bmc.receive(datagram)
        if reply is None:
            return
        for _ in range(self._bmc.faults.copies):
            if not self._lost(self._bmc.faults.loss_out):
                self._carry(reply, peer)

    def stop(self) -> None:
        """
        Lose whatever is still under way.
        """
        under_way, self._under_way = self._under_way or (), None
        for call in under_way:
            call.cancel()

    def _lost(self, probability: float) -> bool:
        if not probability:
            return False
        if self._random is None:  # 2.5 KB each, so only where it is needed
            self._random = Random(self._seed)
        return self._random.random() < probability

    def _carry(self, reply: Reply, peer: Peer) -> None:
        if not reply.delay:
            self._send(reply.datagram, peer)
            return
        if self._under_way is None:
            self._under_way = set()
        if len(self._under_way) < IN_FLIGHT:
            self._later(self._under_way, reply, peer)

    def _later(self, under_way: set[IDelayedCall], reply: Reply, peer: Peer) -> None:
        def arrive() -> None:
            under_way.discard(call)
            self._send(reply.datagram, peer)

        call = self._clock.callLater(reply.delay, arrive)
        under_way.add(call)
