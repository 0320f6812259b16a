# SPDX-License-Identifier: MIT
"""
The webhook driver keeps the contract of all drivers: over TLS, with a real web server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from powercoord.drivers.webhook import WebhookSettings, driver
from powercoord.errors import PowerAuthError
from powercoord.interfaces import IPowerDriver
from powercoord.model import Command
from powercoord.strict import Moment
from powercoord.testing.conformance import Bench, Device, DriverConformance
from tests.functional.web_server import Peer, identity

reactor: Any = global_reactor
USERNAME, PASSWORD, WRONG = "admin", "xyzzy-plugh-17", "not-the-password"
IDENTITY = identity(address="127.0.0.1")
AFTER = {"on": True, "off": False, "reset": True}


@define(eq=False)
class Server(Resource):
    """
    Nodes by their ids, each with its power and what was done to it.

    :ivar deaf: nothing is heard; ``dumb``: changes are done and not answered.
    :ivar stubborn: a soft stop is accepted and ignored.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    power: dict[str, bool] = field(factory=lambda: {"a": False, "b": False})
    done: dict[str, list[str]] = field(factory=lambda: {"a": [], "b": []})
    logins: int = 0
    deaf: bool = False
    dumb: bool = False
    stubborn: bool = False

    def __attrs_post_init__(self) -> None:
        Resource.__init__(self)

    def render(self, request: Request) -> Any:
        self.logins += 1
        if self.deaf:
            return NOT_DONE_YET
        if (request.getUser(), request.getPassword()) != (USERNAME.encode(), PASSWORD.encode()):
            request.setResponseCode(401)
            return b"no"
        node = (request.getHeader("System_Id") or "").replace("id-", "")
        if node not in self.power:
            request.setResponseCode(404)
            return b"no such node"
        return self.status(node) if request.method == b"GET" else self.change(node, request)

    def status(self, node: str) -> bytes:
        state = "running" if self.power[node] else "stopped"
        return f'{{"status" : "{state}"}}'.encode()

    def change(self, node: str, request: Request) -> Any:
        asked = json.load(request.content)  # type: ignore[arg-type]
        assert request.path == f"/{asked['command']}".encode()
        self.done[node].append(asked["command"])
        self.power[node] = AFTER.get(asked["command"], self.stubborn and self.power[node])
        return NOT_DONE_YET if self.dumb else b"ok"


class WebhookDevice(Device):
    def __init__(self, server: Server, number: int, node: str = "a") -> None:
        self._server, self._node = server, node
        base = f"https://127.0.0.1:{number}"
        self.settings = WebhookSettings(
            power_on_uri=f"{base}/on",
            power_off_uri=f"{base}/off",
            power_soft_uri=f"{base}/soft",
            power_reset_uri=f"{base}/reset",
            power_query_uri=f"{base}/status",
            node_id=f"id-{node}",
            username=USERNAME,
            password=PASSWORD,
            pin=IDENTITY.pin,
            timeout=Moment(0.4),
        )

    def power(self) -> bool:
        return self._server.power[self._node]

    def set_power(self, on: bool) -> None:
        self._server.power[self._node] = on

    def commands(self) -> Sequence[str]:
        return list(self._server.done[self._node])


class WebhookBench(Bench):
    """
    One web server with two nodes.
    """

    secrets = (PASSWORD, WRONG)

    def __init__(self) -> None:
        self.clock = reactor
        self._server = Server()
        self._peer = Peer()
        self._peer.listen(Site(self._server), IDENTITY.options())
        self.device: WebhookDevice = WebhookDevice(self._server, self._peer.number)
        mine = self.device.settings
        self.context = {
            "power_on_uri": mine.power_on_uri,
            "power_off_uri": mine.power_off_uri,
            "power_query_uri": mine.power_query_uri,
            "power_user": USERNAME,
            "power_pass": PASSWORD,
            "system_id": mine.node_id,
        }

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        await self._peer.close()

    def refused(self) -> WebhookSettings:
        return evolve(self.device.settings, password=WRONG)

    def logins(self) -> int:
        return self._server.logins

    def unreachable(self) -> WebhookSettings:
        uris = dict.fromkeys(("power_on_uri", "power_off_uri", "power_query_uri"), "https://127.0.0.1:1/")
        return evolve(self.device.settings, **uris)

    def neighbour(self) -> Device:
        return WebhookDevice(self._server, self._peer.number, "b")

    def mute(self) -> None:
        self._server.deaf = True

    def lose_answers(self) -> None:
        self._server.dumb = True

    def unmute(self) -> None:
        self._server.deaf = self._server.dumb = False

    def obeys_soft(self) -> None:
        self._server.stubborn = False

    def ignores_soft(self) -> None:
        self._server.stubborn = True


class WebhookConformanceTests(DriverConformance, TestCase):
    timeout = 60
    absent = {"nowhere": "what a server says of an unknown node comes after the change was announced"}

    async def make_bench(self) -> Bench:
        return WebhookBench()

    async def rule_wrong_password(self) -> None:
        """
        A refused password is `PowerAuthError` after one request, which did nothing.

        Password and command go in one request, so that it was announced is no contradiction.
        """
        settings = self.bench.refused()
        for command in (None, Command.ON):
            before = self.bench.logins()
            attempt = await self.finish(self.begin(command, settings), self.longest(command, settings))
            self.assertIsInstance(attempt.error, PowerAuthError)
            self.assertEqual((before + 1, []), (self.bench.logins(), list(self.bench.device.commands())))
