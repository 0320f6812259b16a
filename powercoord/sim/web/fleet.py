# SPDX-License-Identifier: MIT
"""
BMCs that speak HTTP, each at an address of its own, as one Twisted service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.sim.fleet import addresses
from powercoord.sim.machine import Machine
from powercoord.sim.sockets import allow_files
from powercoord.sim.web.bmc import WebBmc
from powercoord.sim.web.certificate import Certificate
from powercoord.sim.web.channel import Doorway
from powercoord.sim.web.faults import HEALTHY, Faults
from powercoord.sim.web.record import Record

#: Open files beside one listening port and two connections for each BMC.
_SPARE_FILES = 64

_log = Logger()

B = TypeVar("B", bound=WebBmc)


@define(eq=False)
class Station(Generic[B]):
    """
    One BMC at its address.

    :ivar bmc: what answers there.
    """

    _reactor: Any = field(repr=False)
    address: str
    bmc: B = field(repr=False)
    _certificate: Certificate | None = field(repr=False)
    port: int = field(init=False, default=0)
    _doorway: Doorway = field(init=False, repr=False)
    _listening: Any = field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        self._doorway = Doorway(self._reactor, self.bmc)

    @property
    def url(self) -> str:
        """
        Where it is, without a path.
        """
        return f"{'https' if self._certificate else 'http'}://{self.address}:{self.port}"

    @property
    def machine(self) -> Machine:
        """
        The first machine behind it: the truth to compare an answer with.
        """
        return self.bmc.machine

    @property
    def machines(self) -> Sequence[Machine]:
        """
        All machines behind it.
        """
        return self.bmc.machines

    @property
    def record(self) -> Record:
        """
        What reached it.
        """
        return self.bmc.record

    @property
    def faults(self) -> Faults:
        """
        What is wrong with it.
        """
        return self.bmc.faults

    def set_faults(self, faults: Faults = HEALTHY) -> None:
        """
        From now on this is wrong with it, and nothing else; ``closed`` from the reactor's next turn on.

        :raises ValueError: they have words that this kind of BMC does not know.
        """
        self.bmc.check(faults)
        closed, self.bmc.faults = self.bmc.faults.closed, faults
        if faults.closed and not closed:
            self.shut().addErrback(_log_failure, self.address)
        elif closed and not faults.closed:
            self.listen(self.port)

    def fail_next(self, name: str, faults: Faults, times: int = 1) -> None:
        """
        The next so many requests of this name meet these faults instead; after them all is as before.

        :raises ValueError: they have words that this kind of BMC does not know.
        """
        self.bmc.check(faults)
        self.bmc.fail_next(name, faults, times)

    def hang_up(self) -> None:
        """
        Drop all connections, as a BMC does that restarts. It listens on.
        """
        self._doorway.abort()

    def listen(self, port: int) -> int:
        """
        Listen at this port; 0 takes a free one. Returns it.

        :raises CannotListenError: it is taken.
        """
        if self._certificate is None:
            listening = self._reactor.listenTCP(port, self._doorway, interface=self.address)
        else:
            context = self._certificate.context()
            listening = self._reactor.listenSSL(port, self._doorway, context, interface=self.address)
        self._listening = listening
        self.port = listening.getHost().port
        return self.port

    def shut(self) -> Deferred[Any]:
        """
        Stop listening, and end all connections.
        """
        listening, self._listening = self._listening, None
        stop: Callable[[], Any] = (lambda: None) if listening is None else listening.stopListening
        stopped = maybeDeferred(stop)
        return DeferredList([stopped, self._doorway.close()])


class WebFleet(Service, Generic[B]):
    """
    ``len(bmcs)`` BMCs at ``base`` and the addresses after it, all on one TCP port.

    :ivar bmcs: a `Station` for each.
    :ivar certificate: what all show; None: they speak plain HTTP.
    """

    def __init__(self, reactor: Any, bmcs: Sequence[B], *, base: str, port: int, tls: bool) -> None:
        places = addresses(base, len(bmcs))
        self.certificate = Certificate.make(places) if tls else None
        self._port = port
        self.bmcs: Sequence[Station[B]] = tuple(
            Station(reactor, address, bmc, self.certificate)
            for address, bmc in zip(places, bmcs, strict=True)
        )

    @property
    def port(self) -> int:
        """
        The TCP port of all BMCs.
        """
        return self._port

    def startService(self) -> None:
        """
        Listen.

        :raises CannotListenError: the port is taken.
        """
        allow_files(3 * len(self.bmcs) + _SPARE_FILES)
        try:
            for station in self.bmcs:
                self._port = station.listen(self._port)
        except CannotListenError:
            self._shut().addErrback(_log_failure, "fleet")
            raise
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """
        Stop listening and drop all connections; answers under way are lost.
        """
        super().stopService()
        return self._shut()

    def power(self, index: int, machine: int = 0) -> bool:
        """
        Is this machine on? Not asked of its BMC.
        """
        return self.bmcs[index].machines[machine].power()

    def set_faults(self, index: int, faults: Faults = HEALTHY) -> None:
        """
        From now on this is wrong with one BMC; by default, nothing.
        """
        self.bmcs[index].set_faults(faults)

    def _shut(self) -> Deferred[Any]:
        return DeferredList([station.shut() for station in self.bmcs])


def _log_failure(failure: Failure, place: str) -> None:
    _log.failure("The port at {place} could not be closed", failure, place=place)
