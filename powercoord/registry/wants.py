# SPDX-License-Identifier: MIT
"""
The power that is wanted of each node, and which nodes have another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from powercoord.entries import Entry
from powercoord.interfaces import ITicket
from powercoord.model import Node, Observation, Request, Wanted
from powercoord.registry.surroundings import Write


@define(eq=False, kw_only=True)
class Wants:
    """
    What is wanted, who has drifted, and what is done about it.

    :param find: the node as it is configured now; asked each time.
    :param last: what was last seen of a node.
    :param at_rest: whether nothing is in play or waiting on a node.
    :param submit: the registry's own way in.
    :param read: reads a node, as a query does.
    :param trouble: why nothing can be written just now, else None.
    """

    clock: IReactorTime
    now: Callable[[], datetime]
    write: Write
    jitter: Callable[[float], float]
    find: Callable[[str], Node | None]
    last: Callable[[str], Observation]
    at_rest: Callable[[str], bool]
    submit: Callable[[Request], Deferred[ITicket]]
    read: Callable[[str], Deferred[Observation]]
    new_id: Callable[[], str]
    trouble: Callable[[], str | None]
    _wanted: dict[str, Wanted] = field(factory=dict, init=False)

    def begin(self, wanted: Mapping[str, Wanted]) -> None:
        """
        Go on from what was wanted before; called once, when lanes and sightings are as they were.
        """
        self._wanted.update(wanted)

    def published(self, last: int, entries: Sequence[Entry]) -> None:
        """
        These have become true (a `Listener`).
        """

    def saw(self, name: str) -> None:
        """
        A read of a node ended; cheap, and may be called for every read.
        """

    def of(self, name: str) -> Wanted | None:
        """
        What is wanted of a node.
        """
        return self._wanted.get(name)

    def drifted(self, name: str) -> bool:
        """
        Whether a node is at rest and was seen with other power than is wanted.
        """
        return False

    def drifting(self) -> Sequence[str]:
        """
        The nodes that have drifted.
        """
        return ()

    def reconsider(self) -> None:
        """
        The configuration has changed: what was to be flagged may be to be enforced.
        """

    def pause(self) -> None:
        """
        Begin nothing (a drain): no reads, no requests, and no timer for any.
        """

    def resume(self) -> None:
        """
        Go on with what `pause` held up.
        """

    def stop(self) -> None:
        """
        Begin nothing any more; no timer is left.
        """
