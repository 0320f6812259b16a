# SPDX-License-Identifier: MIT
"""
A fleet of simulated BMCs as one Twisted service.

::

    fleet = SimulatedFleet(reactor, 100, latency=Latency(on=3.0))
    fleet.startService()                 # 127.50.0.1 … 127.50.0.100, UDP port 6230
    fleet.set_faults(7, Faults(dead=True))
    ...                                  # talk IPMI to fleet.bmcs[3].address, fleet.port
    fleet.power(3), fleet.bmcs[3].machine.commands
    await fleet.stopService()

Users are ``admin``/``secret``, ``oper``/``opsecret`` and the null user with ``test``.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from powercoord.sim.bmc import Bmc
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.line import Line, Peer
from powercoord.sim.machine import Latency, Machine
from powercoord.sim.places import IPMI_BASE, IPMI_PORT
from powercoord.sim.profile import Profile
from powercoord.sim.sockets import SharedSocket, SocketEach, Wires

LOOPBACK = IPv4Network("127.0.0.0/8")
PROMPT = Latency()
USUAL = Profile()


@define(eq=False)
class SimulatedBmc:
    """
    One BMC at its address.
    """

    address: str
    bmc: Bmc
    _line: Line = field(repr=False)
    _wires: Wires = field(repr=False)

    @property
    def machine(self) -> Machine:
        """
        The machine behind it: the truth to compare an answer with.
        """
        return self.bmc.machine

    @property
    def faults(self) -> Faults:
        """
        What is wrong with it.
        """
        return self.bmc.faults

    def set_faults(self, faults: Faults) -> None:
        """
        From now on this is wrong with it, and nothing else.

        :raises ValueError: ``closed``, where all share one socket.
        """
        if faults.closed is not self.bmc.faults.closed:
            self._wires.set_closed(self.address, faults.closed)
        self.bmc.faults = faults

    def receive(self, datagram: bytes, peer: Peer) -> None:
        """
        A datagram came for it.
        """
        self._line.datagramReceived(datagram, peer)

    def stop(self) -> None:
        """
        Drop what is still under way.
        """
        self._line.stop()


class SimulatedFleet(Service):
    """
    ``count`` BMCs at ``base`` and the addresses after it, all on one UDP port.

    :param port: 0 takes a free one; see `port` after the start.
    :param latency: of every machine; a machine's own may be set later (``fleet.bmcs[3].machine.latency``).
    :param powered: the state in which machines start.
    :param each: a socket for each BMC, which `Faults.closed` needs (see `powercoord.sim.sockets`).
    :param seed: of session ids, challenges and lost datagrams. Whoever knows it can read along.
    """

    def __init__(
        self,
        reactor: Any,
        count: int,
        *,
        base: str = IPMI_BASE,
        port: int = IPMI_PORT,
        latency: Latency = PROMPT,
        profile: Profile = USUAL,
        powered: bool = False,
        each: bool = False,
        seed: int = 0,
    ) -> None:
        self._reactor = reactor
        self._wires: Wires = SocketEach(reactor, port) if each else SharedSocket(reactor, port)
        self._seed = seed
        self._random_bytes = Random(seed).randbytes
        self.bmcs: Sequence[SimulatedBmc] = tuple(
            self._bmc(address, Machine(reactor, latency, powered), profile)
            for address in addresses(base, count)
        )

    @property
    def port(self) -> int:
        """
        The UDP port of all BMCs.
        """
        return self._wires.port

    def startService(self) -> None:
        """
        Listen.

        :raises CannotListenError: the port is taken.
        """
        self._wires.open({bmc.address: bmc.receive for bmc in self.bmcs})
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening; answers under way are lost.
        """
        super().stopService()
        for bmc in self.bmcs:
            bmc.stop()
        return self._wires.close()

    def power(self, index: int) -> bool:
        """
        Is this machine on? Not asked of its BMC.
        """
        return self.bmcs[index].machine.power()

    def set_faults(self, index: int, faults: Faults = HEALTHY) -> None:
        """
        From now on this is wrong with one BMC; by default, nothing.
        """
        self.bmcs[index].set_faults(faults)

    def _bmc(self, address: str, machine: Machine, profile: Profile) -> SimulatedBmc:
        wires = self._wires
        bmc = Bmc(self._reactor, machine, profile, _guid(address), self._random_bytes)

        def send(datagram: bytes, peer: Peer) -> None:
            wires.send(address, datagram, peer)

        line = Line(self._reactor, bmc, send, f"{self._seed} {address}")
        return SimulatedBmc(address, bmc, line, wires)


def addresses(base: str, count: int) -> list[str]:
    """
    The addresses of ``count`` BMCs.

    :raises ValueError: they would leave 127.0.0.0/8, or there are none.
    """
    if count < 1:
        raise ValueError(f"a fleet has at least one BMC, not {count}")
    first = IPv4Address(base)
    last = first + (count - 1)
    if first not in LOOPBACK or last not in LOOPBACK or last == LOOPBACK.broadcast_address:
        raise ValueError(f"{count} addresses from {base} on are not all inside {LOOPBACK}")
    return [str(first + index) for index in range(count)]


def _guid(address: str) -> bytes:
    return b"powercoord\0\0" + IPv4Address(address).packed
