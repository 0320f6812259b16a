# SPDX-License-Identifier: MIT
"""
The AMT driver on a virtual clock, and a device in memory whose every answer a test says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from powercoord.drivers.amt import AmtDriver, AmtSettings
from powercoord.drivers.amt.namespaces import (
    BOOT_CAPABILITIES,
    BOOT_CONFIG,
    BOOT_SERVICE,
    BOOT_SETTINGS,
    POWER_SERVICE,
    STANDBY_SERVICE,
    class_name,
)
from powercoord.drivers.web.challenges import parse_challenges
from powercoord.model import Boot, Command
from tests.drivers.amt.documents import fault, instance, meaning, output, power, saving
from tests.drivers.web.world import Errand, Socket
from tests.drivers.web.world import World as WebWorld

PASSWORD = "Passw0rd!"
CHALLENGE = 'Digest realm="Digest:A407", nonce="{}",stale="{}",qop="auth"'

#: The names of messages.
READ, STANDBY = "Get CIM_AssociatedPowerManagementService", "Get IPS_PowerManagementService"
CHANGE, WAKE = "RequestPowerStateChange", "RequestOSPowerSavingStateChange"

#: What a device answers to each message, where a test says nothing else.
USUAL = {
    READ: power(8),
    STANDBY: saving(2),
    CHANGE: output(POWER_SERVICE, CHANGE),
    WAKE: output(STANDBY_SERVICE, WAKE),
    "Get AMT_BootCapabilities": instance(BOOT_CAPABILITIES, ("ForcePXEBoot", "true"), ("BIOSSetup", "true")),
    "Get AMT_BootSettingData": instance(
        BOOT_SETTINGS, ("InstanceID", "x"), ("BIOSSetup", "false"), ("UseSOL", "true")
    ),
    "Put AMT_BootSettingData": instance(BOOT_SETTINGS, ("InstanceID", "x")),
    "ChangeBootOrder": output(BOOT_CONFIG, "ChangeBootOrder"),
    "SetBootConfigRole": output(BOOT_SERVICE, "SetBootConfigRole"),
}


@define
class Heard:
    """
    One request as the device heard it.
    """

    name: str
    body: Any
    credentials: dict[str, str]
    text: str


@define
class Reply:
    """
    What a device does with a request: a status, or None for silence, or a lost connection.
    """

    body: bytes = b""
    status: str = "200 OK"
    lost: bool = False
    silent: bool = False


@define(eq=False)
class Outcome:
    """
    What became of an operation so far.
    """

    call: Deferred[Any]
    errand: Errand
    results: list[Any] = field(factory=list)

    @property
    def over(self) -> bool:
        return bool(self.results)

    @property
    def result(self) -> Any:
        (result,) = self.results
        if isinstance(result, Failure):
            result.raiseException()
        return result

    @property
    def error(self) -> Any:
        (result,) = self.results
        assert isinstance(result, Failure), result
        return result.value


@define(eq=False)
class World:
    """
    One device.

    :ivar answers: what it says to messages, by their names; several are said in turn, the last one for ever.
    :ivar heard: the messages that came with credentials that it takes.
    :ivar refused: how often credentials came that it did not take.
    :ivar asked: how often it asked for credentials.
    :ivar stale: whether it says that a nonce is stale that it does not know.
    :ivar closes: whether it closes the connection behind each challenge.
    """

    web: WebWorld = field(factory=WebWorld)
    answers: dict[str, list[bytes | Reply]] = field(factory=dict)
    heard: list[Heard] = field(factory=list)
    password: str = PASSWORD
    nonce: str = "n1"
    stale: str = "false"
    closes: bool = True
    asked: int = 0
    refused: int = 0
    driver: AmtDriver = field(init=False)
    _numbers: Any = field(factory=lambda: count(1))

    def __attrs_post_init__(self) -> None:
        self.driver = AmtDriver(
            self.web.clock, lambda _: self.web, lambda size: bytes([next(self._numbers)] * size)
        )

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.heard]

    @property
    def commands(self) -> list[str]:
        """
        What was asked of power.
        """
        return [number(each.body) for each in self.heard if each.name == CHANGE]

    def says(self, name: str, *replies: bytes | Reply) -> None:
        self.answers[name] = list(replies)

    def fails(self, name: str, code: str) -> None:
        self.says(name, Reply(fault(code), "400 Bad Request"))

    def settings(self, **more: Any) -> AmtSettings:
        return AmtSettings(**{"address": "192.0.2.1", "port": 16992, "password": PASSWORD, **more})

    def read(self, **more: Any) -> Outcome:
        return self._begin(self.driver.read, **more)

    def command(self, command: Command, **more: Any) -> Outcome:
        return self._begin(lambda target, errand: self.driver.command(target, command, errand), **more)

    def set_boot(self, boot: Boot) -> Outcome:
        return self._begin(lambda target, errand: self.driver.set_boot(target, boot, errand))

    def _begin(
        self,
        call: Callable[[Any, Errand], Coroutine[Any, Any, Any]],
        errand: Errand | None = None,
        **more: Any,
    ) -> Outcome:
        target = self.driver.target(self.settings(**more))
        errand = errand or Errand()
        outcome = Outcome(Deferred.fromCoroutine(call(target, errand)), errand)
        outcome.call.addBoth(outcome.results.append)
        return outcome

    def run(self, outcome: Outcome) -> Outcome:
        """
        Let the device answer until nothing comes any more, and rest.
        """
        self.serve()
        self.web.clock.advance(0.1)
        self.serve()
        return outcome

    def serve(self) -> None:
        while self.serve_one():
            pass

    def serve_one(self) -> bool:
        """
        Answer one request; False: there is none.
        """
        self.web.turn()
        for socket in self.web.sockets:
            text = socket.heard().decode() if socket.open else ""
            if text:
                self._answer(socket, text)
                return True
        return False

    def _answer(self, socket: Socket, text: str) -> None:
        head, _, body = text.partition("\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        assert head.startswith("POST /wsman HTTP/1.1"), head
        assert headers["Content-Type"].startswith("application/soap+xml"), head
        found = (
            parse_challenges([headers["Authorization"]])[0].parameters if "Authorization" in headers else {}
        )
        if not found or found["nonce"] != self.nonce or self.password != PASSWORD:
            self._challenge(socket, refused=bool(found))
            return
        said = meaning(body.encode())
        heard = Heard(name(said), said, dict(found), body)
        self.heard.append(heard)
        replies = self.answers.get(heard.name, [USUAL[heard.name]])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self._reply(socket, reply if isinstance(reply, Reply) else Reply(reply))

    def _reply(self, socket: Socket, reply: Reply) -> None:
        if reply.lost:
            socket.drop(lost=True)
        elif not reply.silent:
            self._say(socket, reply.body, reply.status)

    def _say(self, socket: Socket, body: bytes, status: str, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        socket.say("\r\n".join(lines).encode() + body)
        self.web.turn()

    def _challenge(self, socket: Socket, *, refused: bool) -> None:
        self.refused += refused
        self.asked += not refused
        more = ["Connection: close"] if self.closes else []
        challenge = "WWW-Authenticate: " + CHALLENGE.format(self.nonce, self.stale)
        self._say(socket, b"Log on failed.", "401 Unauthorized", challenge, *more)
        if self.closes:
            socket.drop()


def name(said: Any) -> str:
    action, resource = (find(said, field) for field in ("Action", "ResourceURI"))
    short = class_name(action)
    return f"{short} {class_name(resource)}" if short in ("Get", "Put") else short


def number(said: Any) -> str:
    return find(said, "PowerState")


def find(said: Any, wanted: str) -> str:
    """
    The text of the first element of that name.
    """
    found = texts(said, wanted)
    return found[0] if found else ""


def texts(said: Any, wanted: str) -> list[str]:
    tag, _, text, children = said
    own = [text] if tag.rpartition("}")[2] == wanted else []
    return own + [each for child in children for each in texts(child, wanted)]
