# SPDX-License-Identifier: MIT
"""
How much one peer may cost, and how loudly it is complained about.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field, frozen
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger


def name_of(address: IAddress | None) -> str:
    """
    What logs and limits call a peer: its host, or ``local``.
    """
    return str(getattr(address, "host", "local"))


@frozen(kw_only=True)
class Limits:
    """
    What one peer may hold.

    :param in_flight: commands being answered; then no more is read
    :param waiting: commands that wait for a BMC or an outcome; likewise
    :param unfinished: seconds for a box that has begun
    :param idle: seconds of silence, after which a peer is pinged, and again
        after which it counts as gone
    :param stalled: seconds without reading an answer
    :param unauthenticated: seconds until a peer has proven to know the secret
    :param connections: connections to one coordinator
    :param per_peer: connections from one address (local sockets are one)
    :param subscriptions: subscriptions on one connection
    :param queue: events that wait for one subscriber
    """

    in_flight: int = 256
    waiting: int = 2_000
    unfinished: float = 5.0
    idle: float = 60.0
    stalled: float = 60.0
    unauthenticated: float = 10.0
    connections: int = 512
    per_peer: int = 128
    subscriptions: int = 8
    queue: int = 20_000


@define
class _Complaint:
    quiet_until: float
    untold: int = 0


@define
class PeerLog:
    """
    One line a minute about each kind of misdeed of each peer, with a count of those untold.
    """

    _clock: IReactorTime
    _interval: float = 60.0
    _most: int = 1_000
    _log: Logger = field(factory=Logger)
    _told: OrderedDict[tuple[str, str], _Complaint] = field(factory=OrderedDict, init=False)

    def complain(self, peer: str, reason: str, consequence: str = "") -> None:
        """
        Log a misdeed, unless the same was logged a moment ago.

        :param reason: from a closed set of sentences, not the peer's words.
        """
        now = self._clock.seconds()
        complaint = self._told.setdefault((peer, reason), _Complaint(now))
        if now < complaint.quiet_until:
            complaint.untold += 1
            return
        more = f" (and {complaint.untold} times more before)" if complaint.untold else ""
        self._log.warn(
            "AMP peer {peer}: {reason}{consequence}{more}",
            peer=peer,
            reason=reason,
            consequence=consequence and f"; {consequence}",
            more=more,
        )
        complaint.quiet_until, complaint.untold = now + self._interval, 0
        self._told.move_to_end((peer, reason))
        if len(self._told) > self._most:
            self._told.popitem(last=False)
