# SPDX-License-Identifier: MIT
"""
Host names of BMCs, looked up by the reactor and remembered for a while.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorTime,
    IResolutionReceiver,
)
from zope.interface import implementer

from powercoord.drivers.ipmi.address import Address, Peer
from powercoord.drivers.turns import Turns
from powercoord.errors import PowerConnError
from powercoord.interfaces import IOperation

#: How long an answer is believed, in seconds.
LIFETIME = 60.0
_MANY = 40_000


@implementer(IResolutionReceiver)
@define(eq=False)
class _Receiver:
    """
    Collects the addresses of one name, and fires with the first.
    """

    found: Deferred[str | None]
    first: str | None = None

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """
        Nothing to do: it is waited for, and not cancelled.
        """

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        """
        IPv4 is preferred, as BMCs have it.
        """
        better = self.first is None or (isinstance(address, IPv4Address) and ":" in self.first)
        if better and isinstance(address, IPv4Address | IPv6Address):
            self.first = address.host

    def resolutionComplete(self) -> None:  # noqa: N802
        """
        All addresses are known.
        """
        self.found.callback(self.first)


@define(eq=False)
class Resolver:
    """
    From the address in settings to the one that sockets have.
    """

    _clock: IReactorTime
    _names: Callable[[], IHostnameResolver]
    _known: dict[str, tuple[str, float]] = field(factory=dict, init=False)
    _running: dict[str, Turns] = field(factory=dict, init=False)

    async def peer(self, address: Address, deadline: float, operation: IOperation) -> Peer:
        """
        Where the BMC is.

        :raises PowerConnError: the name is not known, or nobody says so in time.
        """
        known = self._known.get(address.host)
        if known is None or known[1] <= self._clock.seconds():
            waiting = self._running.get(address.host)
            if waiting is None:
                waiting = self._look_up(address.host)
            late = PowerConnError(f"host name '{address.host}': no answer from the name service")
            await waiting.wait(operation, deadline, late)
            known = self._known.get(address.host)
        if known is None:
            raise PowerConnError(f"host name '{address.host}' is not known; check the address")
        return known[0], address.port

    def _look_up(self, name: str) -> Turns:
        turns = self._running[name] = Turns(self._clock)
        receiver = _Receiver(Deferred())
        receiver.found.addCallback(self._found, name)
        # After the caller waits: a resolver may answer at once.
        self._clock.callLater(0, self._names().resolveHostName, receiver, name)
        return turns

    def _found(self, host: str | None, name: str) -> None:
        if len(self._known) >= _MANY:
            self._known.clear()
        self._known.pop(name, None)
        if host is not None:
            self._known[name] = host, self._clock.seconds() + LIFETIME
        turns = self._running.pop(name)
        turns.release(len(turns))
