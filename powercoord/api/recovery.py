# SPDX-License-Identifier: MIT
"""
Commands by which a region and a coordinator agree again after one was away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from powercoord.api.arguments import dump
from powercoord.api.asking import requester_of
from powercoord.api.desires import read_desires
from powercoord.api.extensions import ListOutstanding, Reconcile
from powercoord.api.forms import MAX_TEXT, holds_form, node_form
from powercoord.api.lists import Listing
from powercoord.api.pages import spread
from powercoord.api.serving import Responders
from powercoord.api.tickets import answer_form
from powercoord.errors import NoSuchNode
from powercoord.forms import Form
from powercoord.interfaces import IRegistry
from powercoord.model import PowerState


@define(eq=False)
class RecoveryDesk:
    """
    Says what is outstanding, and takes what is wanted, for one connection.

    :param peer: who asks where the command does not say it.
    """

    _registry: IRegistry
    _peer: Callable[[], str]
    _outstanding: Listing = field(factory=Listing, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {ListOutstanding: self._list_outstanding, Reconcile: self._reconcile}

    def _list_outstanding(self, *, after: str | None) -> dict[str, Any]:
        return self._outstanding.page(after, self._registry.outstanding, self._node)

    def _node(self, name: str) -> bytes:
        """
        A node as it is by now; one that nobody has brought since a restart is told, too.
        """
        try:
            return dump(node_form(self._registry.view(name)))
        except NoSuchNode as error:
            return dump(_not_brought(name, error) | holds_form(self._registry.holds.of(name)))

    async def _reconcile(self, *, reconcile_id: str, items: Any, requester: str | None) -> dict[str, Any]:
        requests = read_desires(reconcile_id, items, requester_of(requester, self._peer()))
        tickets = await self._registry.submit_many(requests)
        answers, rest = spread([answer_form(ticket) for ticket in tickets])
        return {"answers": answers, "rest": rest}


def _not_brought(name: str, error: NoSuchNode) -> Form:
    form: Form = {"name": name, "driver": "", "groups": []}
    return form | {"state": PowerState.UNCONFIGURED.value, "text": str(error)[:MAX_TEXT]}
