# SPDX-License-Identifier: MIT
"""
Other clients of Redfish and AMT, each in a process of its own: they block, as they do in life.
"""

from __future__ import annotations

import json
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPSConnection
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from attrs import define, field

from benchmarks.cost import Stopwatch
from benchmarks.worker import Order, obey

#: The pauses between two looks at a machine that changes: MAAS's, and one that many have.
SCHEDULE = (1, 2, 2, 4, 6, 8, 12)
EACH_SECOND = (1,) * 60

_LOGIN = "Basic " + b64encode(b"admin:secret").decode()


class Client(Protocol):
    """
    What all of them can do; `scale` is what the pauses are multiplied by.
    """

    def is_on(self) -> bool:
        """
        Ask.
        """

    def on(self) -> None:
        """
        Turn on, and wait to see it.
        """

    def off(self) -> None:
        """
        Turn off, and wait to see it.
        """


def wait_for(seen: Callable[[], bool], schedule: tuple[int, ...], scale: float) -> None:
    """
    Look until it is so.

    :raises RuntimeError: it never was.
    """
    for pause in schedule:
        time.sleep(pause * scale)
        if seen():
            return
    raise RuntimeError("it never came")


@define
class Plain:
    """
    The sequence of requests that MAAS's driver performs, as a model of it: a connection for each.

    It looks before it acts, and finds the system first each time. An on sets the boot device, and begins with
    an off if the machine is on; an off sets it, too. The certificate is not looked at. User and password go
    with each request.
    """

    url: str
    authority: str
    scale: float

    def is_on(self) -> bool:
        """
        Two requests.
        """
        return self._ask("GET", self._system())["PowerState"] in ("On", "PoweringOff")

    def on(self) -> None:
        """
        Off first, if it is on.
        """
        self._system()
        if self.is_on():
            self.off()
            self._system()
        self._boot()
        self._reset("On")
        wait_for(self.is_on, SCHEDULE, self.scale)

    def off(self) -> None:
        """
        The boot device is set after that.
        """
        self._system()
        self.is_on()
        self._reset("ForceOff")
        self._boot()
        wait_for(lambda: not self.is_on(), SCHEDULE, self.scale)

    def _system(self) -> str:
        return str(self._ask("GET", "/redfish/v1/Systems")["Members"][0]["@odata.id"])

    def _reset(self, kind: str) -> None:
        self._ask("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", {"ResetType": kind})

    def _boot(self) -> None:
        system = "/redfish/v1/Systems/1"
        self._ask("GET", system)
        tag = self._ask("GET", system)["@odata.etag"]
        once = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}
        self._ask("PATCH", system, {"Boot": once}, {"If-Match": tag})

    def _ask(self, method: str, path: str, body: Any = None, more: Mapping[str, str] | None = None) -> Any:
        place = urlsplit(self.url)
        connection: HTTPConnection = HTTPSConnection(
            place.netloc,
            context=ssl._create_unverified_context(),  # noqa: SLF001 - as the model does
        )
        headers = {"Authorization": _LOGIN, "Content-Type": "application/json", **(more or {})}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        found = json.loads(text) if text else {}
        if method == "GET" and answer.headers["ETag"]:
            found.setdefault("@odata.etag", answer.headers["ETag"])
        return found


@define
class Sushy:
    """
    OpenStack's library: a session, and connections that are kept. It is asked each second.
    """

    url: str
    authority: str
    scale: float
    _library: Any = field(init=False, default=None)
    _kept: Any = field(init=False, default=None)

    def is_on(self) -> bool:
        """
        Read the system anew.
        """
        system = self._system()
        system.refresh(force=True)
        states = self._library.PowerState
        return system.power_state in (states.ON, states.POWERING_OFF)

    def on(self) -> None:
        """
        Nothing is sent if it is on.
        """
        self._become(True)

    def off(self) -> None:
        """
        Hard.
        """
        self._become(False)

    def _become(self, on: bool) -> None:
        if self.is_on() is on:
            return
        self._system().reset_system(self._library.RESET_ON if on else self._library.RESET_FORCE_OFF)
        wait_for(lambda: self.is_on() is on, EACH_SECOND, self.scale)

    def _system(self) -> Any:
        if self._kept is None:
            self._library = import_module("sushy")
            root = self._library.Sushy(self.url, username="admin", password="secret", verify=self.authority)
            # The root ends its session when nobody has it any more.
            self._kept = root, root.get_system_collection().get_members()[0]
        return self._kept[1]


@define
class Amt:
    """
    The client of AMT on PyPI. It is asked each second.
    """

    url: str
    authority: str
    scale: float
    _kept: Any = field(init=False, default=None)

    def is_on(self) -> bool:
        """
        As AMT numbers its states.
        """
        return bool(self._client().power_status() == "2")

    def on(self) -> None:
        """
        Nothing is sent if it is on.
        """
        if not self.is_on():
            self._client().power_on()
            wait_for(self.is_on, EACH_SECOND, self.scale)

    def off(self) -> None:
        """
        The same.
        """
        if self.is_on():
            self._client().power_off()
            wait_for(lambda: not self.is_on(), EACH_SECOND, self.scale)

    def _client(self) -> Any:
        if self._kept is None:
            self._kept = import_module("amt.client").Client(urlsplit(self.url).hostname, "secret")
        return self._kept


CLIENTS: Mapping[str, Callable[[str, str, float], Client]] = {"plain": Plain, "sushy": Sushy, "amt": Amt}


@define(eq=False)
class Peer:
    """
    One of them.
    """

    _client: Client = field(init=False)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"open": self.open, "do": self.do, "close": self.close}

    async def open(self, kind: str, url: str, authority: str, scale: float) -> dict[str, Any]:
        """
        Make it; nothing is sent yet.
        """
        self._client = CLIENTS[kind](url, authority, scale)
        return {}

    async def do(self, verb: str) -> dict[str, Any]:
        """
        Do it, until it is seen.
        """
        watch = Stopwatch()
        steps = {"query": ["is_on"], "on": ["on"], "off": ["off"], "cycle": ["off", "on"]}[verb]
        for step in steps:
            getattr(self._client, step)()
        return {**watch.cost().form(), "done": True, "words": ""}

    async def close(self) -> dict[str, Any]:
        """
        Nothing of ours is open.
        """
        return {}


if __name__ == "__main__":
    obey(lambda _: Peer().orders())
