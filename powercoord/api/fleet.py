# SPDX-License-Identifier: MIT
"""
Our own commands about many nodes, answered from the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.interfaces import IReactorTime

from powercoord.api.arguments import dump
from powercoord.api.batch import anybody, read_batch, read_words, word
from powercoord.api.commands import Identify
from powercoord.api.extensions import Cancel, Drain, ListActions, ListNodes, Query, Resume, Status, Submit
from powercoord.api.forms import MAX_TEXT, node_form, refusal_form
from powercoord.api.pages import Pusher, fill, joined, spread
from powercoord.api.power import alone
from powercoord.api.serving import Later, Responders
from powercoord.api.tickets import answer_form
from powercoord.errors import BadRequest, NoSuchNode, PowercoordError
from powercoord.forms import Form
from powercoord.interfaces import IRegistry
from powercoord.model import Observation, PowerState


@define(eq=False)
class FleetDesk:
    """
    Answers commands about many nodes, for one connection.

    :param peer: who asks where the command does not say it.
    :param push: sends some readings of a stream; fires when they are answered.
    """

    _registry: IRegistry
    _clock: IReactorTime
    _new_id: Callable[[], str]
    _ident: str
    _peer: Callable[[], str]
    _push: Callable[[int, bytes], Deferred[Any]]
    _busy: Sequence[str] = field(default=(), init=False)
    _lists: int = field(default=0, init=False)

    def responders(self) -> Responders:
        """
        What this desk answers.
        """
        return {
            Identify: self._identify,
            Submit: self._submit,
            Query: self._query,
            Status: self._status,
            ListActions: self._list_actions,
            ListNodes: self._list_nodes,
            Cancel: self._cancel,
            Drain: self._drain,
            Resume: self._resume,
        }

    def _identify(self) -> dict[str, Any]:
        return {"ident": self._ident, "draining": self._registry.draining}

    async def _submit(self, *, batch: Any) -> dict[str, Any]:
        requests = read_batch(batch, door="amp", requester=self._peer(), new_id=self._new_id)
        tickets = await self._registry.submit_many(requests)
        answers, rest = spread([answer_form(ticket) for ticket in tickets])
        return {"answers": answers, "rest": rest}

    async def _cancel(self, *, action: str, requester: str | None) -> Later:
        result = self._registry.cancel(_word(action, "action"), self._who(requester))
        return Later(alone(result.addCallback(lambda said: {"result": said.value})))

    def _drain(self, *, reason: str, requester: str | None) -> dict[str, Any]:
        self._registry.drain(_word(reason, "reason"), self._who(requester))
        return {}

    def _resume(self, *, requester: str | None) -> dict[str, Any]:
        self._registry.resume(self._who(requester))
        return {}

    def _who(self, requester: str | None) -> str:
        try:
            return anybody(requester or "") or self._peer()
        except ValueError as error:
            raise BadRequest(f"requester: {error}") from None

    # Lists.

    def _status(self, *, nodes: Any, after: str | None) -> dict[str, Any]:
        names = self._registry.roster.names() if nodes is None else read_words(nodes)
        return self._page(names, _cursor(after), lambda name: dump(node_form(self._registry.view(name))))

    def _list_nodes(self, *, after: str | None) -> dict[str, Any]:
        return self._page(self._registry.roster.names(), _cursor(after), self._entry)

    def _list_actions(self, *, after: str | None) -> dict[str, Any]:
        """
        The list is made once, for its first page; nodes that came to rest since are left out.
        """
        if after is None:
            self._busy = [view.node.name for view in self._registry.busy()]
            self._lists += 1
        current, _, index = (after or f"{self._lists}.0").partition(".")
        if current != str(self._lists):
            raise BadRequest("after: that list is gone; begin again without it")
        return self._page(self._busy, _cursor(index), self._action, f"{current}.")

    def _page(
        self, names: Sequence[str], begin: int, form: Callable[[str], bytes], cursor: str = ""
    ) -> dict[str, Any]:
        forms = fill(form(name) for name in names[begin:])
        end = begin + len(forms)
        page = joined(each for each in forms if each)
        return {"page": page, "next": f"{cursor}{end}" if end < len(names) else None}

    def _entry(self, name: str) -> bytes:
        node = self._registry.roster.find(name)
        form: dict[str, Any] = {"name": node.name, "driver": node.target.driver, "groups": list(node.groups)}
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


def _word(value: str, name: str) -> str:
    try:
        return str(word(value))
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from None


def _cursor(after: str | None) -> int:
    try:
        index = int(after or 0)
    except ValueError:
        index = -1
    if index < 0:
        raise BadRequest("after: it must be what the page before said as next")
    return index
