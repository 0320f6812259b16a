# SPDX-License-Identifier: MIT
"""
The command that ends the parking of endpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from powercoord.api.asking import requester_of
from powercoord.api.batch import read_words
from powercoord.api.extensions import Unpark
from powercoord.api.pages import spread
from powercoord.api.serving import Responders
from powercoord.interfaces import IRegistry


@define(eq=False)
class ParkingDesk:
    """
    Unparks, for one connection.

    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _peer: Callable[[], str]

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {Unpark: self._unpark}

    def _unpark(self, *, nodes: Any, requester: str | None) -> dict[str, Any]:
        peer = self._peer()
        by = requester_of(requester, peer)
        named = by if by == peer else f"{by} via {peer}"
        names = read_words(nodes)
        for name in names:
            self._registry.roster.find(name)
        said = [{"node": name, "unparked": self._registry.unpark(name, named)} for name in names]
        answers, rest = spread(said)
        return {"answers": answers, "rest": rest}
