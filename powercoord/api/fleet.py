# SPDX-License-Identifier: MIT
"""
Our own commands about many nodes, answered from the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.interfaces import IReactorTime

from powercoord.api.arguments import dump
from powercoord.api.asking import requester_of, word_of
from powercoord.api.batch import read_batch, read_words
from powercoord.api.extensions import Cancel, ListActions, ListNodes, Query, Status, Submit
from powercoord.api.forms import MAX_TEXT, node_form, refusal_form
from powercoord.api.health import health, health_form
from powercoord.api.lists import Listing, page
from powercoord.api.pages import Pusher, spread
from powercoord.api.power import alone
from powercoord.api.serving import Later, Responders
from powercoord.api.tickets import answer_form
from powercoord.errors import NoSuchNode, PowercoordError
from powercoord.forms import Form
from powercoord.interfaces import IRegistry
from powercoord.model import Observation, PowerState
from powercoord.stages import ILifecycle


@define(eq=False)
class FleetDesk:
    """
    Answers commands about many nodes, for one connection.

    :param peer: who asks where the command does not say it.
    :param push: sends some readings of a stream; fires when they are answered.
    :param broken: drivers that are installed and do not work, with the reason.
    """

    _registry: IRegistry
    _lifecycle: ILifecycle | None
    _clock: IReactorTime
    _new_id: Callable[[], str]
    _peer: Callable[[], str]
    _push: Callable[[int, bytes], Deferred[Any]]
    _broken: Mapping[str, str] = field(factory=dict)
    _busy: Listing = field(factory=Listing, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {
            Submit: self._submit,
            Query: self._query,
            Status: self._status,
            ListActions: self._list_actions,
            ListNodes: self._list_nodes,
            Cancel: self._cancel,
        }

    async def _submit(self, *, batch: Any) -> dict[str, Any]:
        requests = read_batch(batch, door="amp", requester=self._peer(), new_id=self._new_id)
        tickets = await self._registry.submit_many(requests)
        answers, rest = spread([answer_form(ticket) for ticket in tickets])
        return {"answers": answers, "rest": rest}

    async def _cancel(self, *, action: str, requester: str | None) -> Later:
        by = requester_of(requester, self._peer())
        result = self._registry.cancel(word_of(action, "action"), by)
        return Later(alone(result.addCallback(lambda said: {"result": said.value})))

    # Lists.

    def _status(self, *, nodes: Any, after: str | None) -> dict[str, Any]:
        names = [] if nodes == [] else self._registry.roster.names() if nodes is None else read_words(nodes)
        answer = page(names, after, lambda name: dump(node_form(self._registry.view(name))))
        if after is None:
            now = evolve(health(self._registry, self._lifecycle), broken_drivers=self._broken)
            answer["coordinator"] = health_form(now)
        return answer

    def _list_nodes(self, *, after: str | None) -> dict[str, Any]:
        return page(self._registry.roster.names(), after, self._entry)

    def _list_actions(self, *, after: str | None) -> dict[str, Any]:
        """
        Nodes that came to rest since the list was made are left out.
        """
        return self._busy.page(
            after, lambda: [view.node.name for view in self._registry.busy()], self._action
        )

    def _entry(self, name: str) -> bytes:
        node = self._registry.roster.find(name)
        form: dict[str, Any] = {"name": node.name, "driver": node.target.driver, "groups": list(node.groups)}
        form |= {"requires": list(node.requires)} if node.requires else {}
        return dump(form if node.configured else form | {"configured": False})

    def _action(self, name: str) -> bytes:
        try:
            view = self._registry.view(name)
        except NoSuchNode:
            return b""
        return dump(node_form(view)) if view.in_play or view.waiting else b""

    # Reading.

    async def _query(self, *, nodes: Any, fresh: bool | None, stream: int | None) -> dict[str, Any] | Later:
        names = read_words(nodes)
        if fresh is False:
            return _readings([self._last_seen(name) for name in names])
        readings = [Deferred.fromCoroutine(self._read(name)) for name in names]
        if stream is not None:
            return Later(alone(self._streamed(stream, readings)))
        return Later(alone(gatherResults(readings).addCallback(_readings)))

    def _streamed(self, stream: int, readings: list[Deferred[Form]]) -> Deferred[dict[str, Any]]:
        pusher = Pusher(lambda page: self._push(stream, page), len(readings))
        told = [reading.addCallback(lambda form: pusher.add([dump(form)])) for reading in readings]
        everything = DeferredList(told, consumeErrors=True).addCallback(lambda _: pusher.drained())
        return everything.addCallback(lambda _: _readings([]))

    async def _read(self, name: str) -> Form:
        try:
            return self._reading(name, await self._registry.query(name))
        except PowercoordError as error:
            return _unreadable(name, error)

    def _last_seen(self, name: str) -> Form:
        try:
            return self._reading(name, self._registry.view(name).observed)
        except NoSuchNode as error:
            return _unreadable(name, error)

    def _reading(self, name: str, seen: Observation) -> Form:
        form: Form = {"node": name, "state": seen.state.value}
        if seen.at is not None:
            form["age"] = round(max(0.0, self._clock.seconds() - seen.at), 3)
        if seen.text:
            form["text"] = seen.text[:MAX_TEXT]
        return form


def _readings(forms: list[Form]) -> dict[str, Any]:
    readings, rest = spread(forms)
    return {"readings": readings, "rest": rest}


def _unreadable(name: str, error: PowercoordError) -> Form:
    return {"node": name, "state": PowerState.ERROR.value} | refusal_form(error)
