# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from powercoord.certificates import ICertified, ShownCertificate
from powercoord.drivers.children import Children
from powercoord.drivers.children.places import Rank
from powercoord.drivers.web import Answer, Ask, Bounds, Exchange, Place, Trust, sockets
from powercoord.drivers.web.look import look
from powercoord.drivers.web.trust_settings import trust_of
from powercoord.drivers.webhook.patterns import by_child, found_by, found_here, is_cheap
from powercoord.drivers.webhook.settings import CONTEXT, Address, WebhookSettings, from_context
from powercoord.drivers.webhook.verdict import error_of, state_of
from powercoord.errors import PowerActionError, PowerConnError, PowerSettingError, PowerUnsupportedError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target

_URIS: Mapping[Command, str] = {
    Command.ON: "power_on_uri",
    Command.OFF: "power_off_uri",
    Command.SOFT: "power_soft_uri",
    Command.RESET: "power_reset_uri",
}
_BODY = 65536


@implementer(IPowerDriver, ICertified)
@define(eq=False)
class WebhookDriver:
    """
    One HTTP request for each operation. A change is never repeated here, whatever is lost.
    """

    name = "webhook"
    title = "Webhook"
    settings = WebhookSettings
    context_names = CONTEXT
    capabilities = Capabilities(commands=frozenset(Command), at_once=4)

    _reactor: Any
    _children: Children
    _endpoint: Callable[[Place], IStreamClientEndpoint]
    _exchanges: dict[tuple[Place, Trust], Exchange] = field(factory=dict, init=False)
    _closed: bool = field(default=False, init=False)

    def target(self, settings: WebhookSettings) -> Target:
        """
        The server, and the node's id there; without one, the path that tells its state.
        """
        query = Address.parse(settings.power_query_uri)
        return Target(self.name, query.place.text, settings.node_id or query.path, settings)

    def from_context(self, context: Mapping[str, Any]) -> WebhookSettings:
        """
        From MAAS's power parameters.
        """
        return from_context(context)

    def worst_case(self, settings: WebhookSettings, command: Command | None) -> float:
        """
        Nothing takes longer than the timeout.
        """
        return settings.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        It needs no tools.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        settings = _settings(target)
        until = self._deadline(settings, operation)
        answer = await self._ask(settings, "GET", settings.power_query_uri, None, operation, until)
        what = _what(settings.power_query_uri)
        error = error_of(what, answer, changes=False)
        if error is not None:
            raise error
        on, off = await self._found(settings, answer.body.decode(errors="replace"), operation, until)
        return state_of(what, on=on, off=off)

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        settings = _settings(target)
        uri: str = getattr(settings, _URIS[command])
        if not uri:
            raise PowerUnsupportedError(f"this webhook has no {_URIS[command]}")
        until = self._deadline(settings, operation)
        answer = await self._ask(settings, "POST", uri, command, operation, until)
        error = error_of(_what(uri), answer, changes=True)
        if error is not None:
            raise error

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        raise PowerUnsupportedError("a webhook sets no boot device")

    async def certificate(self, target: Target) -> ShownCertificate:
        """
        See `ICertified`. The URIs may lead to several servers, and there is one pin for all of them.

        :raises PowerSettingError: also if these servers show different certificates.
        """
        settings = _settings(target)
        trust = trust_of(settings)
        first, *others = [
            await look(self._reactor, self._endpoint, place, trust, settings.timeout)
            for place in _with_certificates(settings)
        ]
        for other in others:
            if other.fingerprint != first.fingerprint:
                raise PowerSettingError(
                    f"{first.place} and {other.place} show different certificates, and a node has one pin;"
                    " right would be URIs of one server, or a ca_file that signed both"
                )
        return first

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        self._closed = True
        exchanges, self._exchanges = list(self._exchanges.values()), {}
        closing = [Deferred.fromCoroutine(each.close()) for each in exchanges]
        await gatherResults([*closing, self._children.close()])

    def _deadline(self, settings: WebhookSettings, operation: IOperation) -> float:
        now: float = self._reactor.seconds()
        return min(operation.deadline, now + settings.timeout)

    async def _ask(
        self,
        settings: WebhookSettings,
        method: str,
        uri: str,
        command: Command | None,
        operation: IOperation,
        until: float,
    ) -> Answer:
        address = Address.parse(uri)
        ask = Ask(
            method=method,
            path=address.path,
            headers=headers(settings, command),
            body=None if command is None else body(settings, command),
        )
        exchange = self._exchange(address.place, trust_of(settings))
        return await exchange.ask(ask, operation, until, changes=command is not None)

    def _exchange(self, place: Place, trust: Trust) -> Exchange:
        if self._closed:
            raise PowerConnError(f"{place.text}: the driver is closed")
        found = self._exchanges.get((place, trust))
        if found is None:
            found = Exchange(self._reactor, place, trust, self._endpoint, Bounds(body=_BODY, connections=4))
            self._exchanges[place, trust] = found
        return found

    async def _found(
        self, settings: WebhookSettings, text: str, operation: IOperation, until: float
    ) -> tuple[bool, bool]:
        """
        Whether the words for on and off are there; see note [Patience with a regex].
        """
        patterns = (settings.power_on_regex, settings.power_off_regex)
        if all(is_cheap(each, text) for each in patterns):
            on, off = found_here(patterns, text)
            return on, off
        try:
            ended = await self._children.run(by_child(patterns, text), operation, until, Rank.READ)
        except PowerConnError:
            raise PowerActionError("power_on_regex or power_off_regex takes too long on the answer") from None
        found = found_by(ended)
        if found is None:
            raise PowerActionError(f"looking for the regexes in the answer failed: {ended.words()}")
        return found[0], found[1]


def headers(settings: WebhookSettings, command: Command | None) -> Mapping[str, str]:
    """
    What a request says besides where it goes to.
    """
    found = {"Accept": "application/json, text/*;q=0.9, */*;q=0.1"}
    if settings.node_id:
        found["System_Id"] = settings.node_id
    if command is not None:
        found["Content-Type"] = "application/json"
    if settings.token:
        found["Authorization"] = f"Bearer {settings.token}"
    elif settings.username or settings.password:
        pair = f"{settings.username}:{settings.password}".encode()
        found["Authorization"] = f"Basic {b64encode(pair).decode()}"
    return found


def body(settings: WebhookSettings, command: Command) -> bytes:
    """
    What is to be done, for servers that have one address for all.
    """
    return json.dumps({"command": command.value, "node": settings.node_id}).encode()


def _with_certificates(settings: WebhookSettings) -> Sequence[Place]:
    """
    The servers that are spoken to with TLS, each once; the one of the status if there are none.
    """
    uris = [settings.power_query_uri, *(getattr(settings, name) for name in _URIS.values())]
    places = dict.fromkeys(Address.parse(uri).place for uri in uris if uri)
    return [place for place in places if place.secure] or list(places)[:1]


def _what(uri: str) -> str:
    return f"webhook {Address.parse(uri).place.text}"


def _settings(target: Target) -> WebhookSettings:
    if not isinstance(target.settings, WebhookSettings):
        raise TypeError(f"settings of {target.driver} given to webhook")
    return target.settings


def driver(reactor: Any) -> WebhookDriver:
    """
    The driver of a process.
    """
    return WebhookDriver(reactor, Children(reactor), sockets(reactor))
