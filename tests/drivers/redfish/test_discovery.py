# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.redfish.discovery` and `.bmc`: what is asked of a service, and how often.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from powercoord.drivers.redfish.bmc import Bmc, Errand, Quiet
from powercoord.drivers.redfish.discovery import Discovery
from powercoord.drivers.redfish.resource import System
from powercoord.drivers.web import Answer, Ask, Place
from powercoord.errors import PowerActionError, PowerAuthError, PowerRefusedError, PowerSettingError

SYSTEMS = "/redfish/v1/Systems"


def link(path: str) -> dict[str, str]:
    return {"@odata.id": path}


@define(eq=False)
class Service:
    """
    Resources by path, in place of an exchange.

    :param open_root: whether the root is readable without a login.
    """

    resources: dict[str, Mapping[str, Any]]
    open_root: bool = True
    password: str = "p"
    asked: list[str] = field(factory=list)
    place: Place = field(factory=lambda: Place.parse("192.0.2.1"))

    async def ask(self, ask: Ask, _: object, __: float, *, changes: bool = False) -> Answer:
        proof = ask.headers.get("Authorization", "none")
        self.asked.append(f"{ask.method} {ask.path}")
        public = self.open_root and ask.path == "/redfish/v1/"
        if not public and proof != "Basic " + {"p": "dTpw"}.get(self.password, "other"):
            return Answer(401, Headers(), b"")
        found = self.resources.get(ask.path)
        return Answer(404 if found is None else 200, Headers(), json.dumps(found or {}).encode())


class DiscoveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(
            {
                "/redfish/v1/": {"Systems": link(SYSTEMS)},
                SYSTEMS: {"Members": [link(SYSTEMS + "/a")], "Members@odata.nextLink": SYSTEMS + "?page=2"},
                SYSTEMS + "?page=2": {"Members": [link(SYSTEMS + "/b")]},
                SYSTEMS + "/a": {"Id": "Node-A", "UUID": "u-1", "PowerState": "On"},
                SYSTEMS + "/b": {"Id": "Node-B", "UUID": "u-2", "PowerState": "Off"},
            }
        )
        clock = Clock()
        exchange: Any = self.service
        self.systems = Discovery(Bmc(clock, exchange, "u", "p"))
        self.errand = Errand(Quiet(10.0), 10.0)

    def look(self, name: str) -> Deferred[System]:
        return Deferred.fromCoroutine(self.systems.look(name, self.errand))

    def test_pages(self) -> None:
        """
        A collection is read to its last page.
        """
        self.assertEqual("Node-B", self.successResultOf(self.look("b")).id)
        self.assertIn(f"GET {SYSTEMS}?page=2", self.service.asked)

    def test_by_id(self) -> None:
        """
        A name that no path ends in is looked for in the systems, once, and then known.
        """
        self.assertEqual(SYSTEMS + "/b", self.successResultOf(self.look("Node-B")).path)
        self.service.asked.clear()
        self.successResultOf(self.look("Node-B"))

        self.assertEqual([f"GET {SYSTEMS}/b"], self.service.asked)

    def test_ambiguous(self) -> None:
        """
        A UUID that two systems have names neither.
        """
        self.service.resources[SYSTEMS + "/b"] = {"UUID": "u-1"}
        error = self.failureResultOf(self.look("u-1"), PowerSettingError).value

        self.assertIn("the name of several systems; there are: a, b", str(error))

    def test_moved(self) -> None:
        """
        A system that is not where it was is looked for again.
        """
        self.successResultOf(self.look("Node-A"))
        self.service.resources[SYSTEMS] = {"Members": [link(SYSTEMS + "/new")]}
        self.service.resources[SYSTEMS + "/new"] = self.service.resources.pop(SYSTEMS + "/a")

        self.assertEqual(SYSTEMS + "/new", self.successResultOf(self.look("Node-A")).path)

    def test_nothing(self) -> None:
        """
        A service without systems says so: for good, or for as long as it starts.
        """
        self.service.resources[SYSTEMS] = {"Members": []}
        self.failureResultOf(self.look(""), PowerActionError)
        self.setUp()
        self.service.resources["/redfish/v1/"] = {}
        self.failureResultOf(self.look(""), PowerRefusedError)

    def test_closed_root(self) -> None:
        """
        A root that wants a login gets it.
        """
        self.service.open_root = False

        self.assertEqual("Node-A", self.successResultOf(self.look("a")).id)

    def test_closed_root_and_wrong_password(self) -> None:
        """
        Where already the root refuses the password, it is tried once.
        """
        self.service.open_root, self.service.password = False, "another"
        self.failureResultOf(self.look("a"), PowerAuthError)

        self.assertEqual(["GET /redfish/v1/"] * 2, self.service.asked)
