# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.web` on real sockets: faults of the wire, abuse, and what the record says of them.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.machine import Latency
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.redfish.profile import Profile, Slash
from powercoord.sim.web.channel import MAX_BODY, MAX_STREAMS
from powercoord.sim.web.faults import Faults

SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
BASIC = b64encode(b"admin:secret").decode()

#: What says that the other end has dropped the connection.
DROPPED = (ConnectionResetError, BrokenPipeError)


def request(path: str, body: bytes = b"", method: str = "", more: str = "") -> bytes:
    method = method or ("POST" if body else "GET")
    head = f"{method} {path} HTTP/1.1\r\nHost: bmc\r\nAuthorization: Basic {BASIC}\r\n{more}"
    return head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def reset(kind: str) -> bytes:
    return request(RESET, json.dumps({"ResetType": kind}).encode())


def talk(
    address: tuple[str, int], data: bytes, patience: float = 5.0, most: int = 1 << 22
) -> tuple[bytes, str]:
    """
    Everything that comes back, and how it ended: ``closed``, ``dropped``, ``silent`` or ``endless``.
    """
    got = bytearray()
    try:
        with socket.create_connection(address, timeout=patience) as connection:
            connection.sendall(data)
            while len(got) < most:
                piece = connection.recv(1 << 16)
                if not piece:
                    return bytes(got), "closed"
                got += piece
    except TimeoutError:
        return bytes(got), "silent"
    except DROPPED:
        return bytes(got), "dropped"
    return bytes(got), "endless"


class WebCase(TestCase):
    """
    Two services without TLS, at addresses of this case's own.
    """

    timeout = 120
    base = "127.60.70.1"
    profile = Profile(close=True)

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.fleet = RedfishFleet(
            reactor, 2, base=self.base, port=0, tls=False, profile=self.profile, latency=Latency(on=0.0)
        )
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        self.bmc = self.fleet.bmcs[0]

    def place(self, index: int = 0) -> tuple[str, int]:
        return self.fleet.bmcs[index].address, self.fleet.port

    def talk(self, data: bytes, patience: float = 5.0, index: int = 0) -> Deferred[tuple[bytes, str]]:
        return deferToThread(talk, self.place(index), data, patience)

    async def until(self, condition: Callable[[], bool]) -> None:
        """
        Wait for something that will be; the test's own timeout ends it.
        """
        while not condition():
            await deferLater(self.reactor, 0.01)


class FaultTests(WebCase):
    base = "127.60.71.1"

    async def check(
        self, faults: Faults, ending: str, done: list[str], code: int | None, patience: float = 5.0
    ) -> bytes:
        """
        Switch on under these faults: how the connection ends, what was done, and what the record says.
        """
        self.bmc.set_faults(faults)
        before, asked = len(self.bmc.machine.commands), self.bmc.record.asked
        got, ended = await self.talk(reset("On"), patience)
        await self.until(lambda: faults.dead or self.bmc.record.asked > asked)
        commands = [command.verb for command in self.bmc.machine.commands[before:]]
        self.assertEqual((ending, done), (ended, commands), faults)
        if not faults.dead:
            self.assertEqual(
                ("reset", code), (self.bmc.record.requests[-1].name, self.bmc.record.requests[-1].code)
            )
        self.bmc.set_faults()
        self.bmc.machine.press_button(on=False)
        return got

    async def test_endings(self) -> None:
        """
        A connection can be dropped before and after the command, and stay silent with it done or not.
        """
        every = frozenset("*")
        for faults, ending, done, code in (
            (Faults(), "closed", ["on"], 204),
            (Faults(drop_before=frozenset(["reset"])), "dropped", [], None),
            (Faults(drop_after=frozenset(["reset"])), "dropped", ["on"], None),
            (Faults(drop_after=every), "dropped", ["on"], None),
            (Faults(mute=frozenset(["reset"])), "silent", ["on"], None),
            (Faults(dead=True), "silent", [], None),
            (Faults(refuse={"reset": 503}), "closed", [], 503),
            (Faults(complain={"reset": "SYS518"}), "closed", [], 503),
        ):
            await self.check(faults, ending, done, code, 0.2 if ending == "silent" else 5.0)

    async def test_torn(self) -> None:
        """
        An answer can end in its middle.
        """
        self.bmc.set_faults(Faults(torn=frozenset(["system"])))
        got, ended = await self.talk(request(SYSTEM))
        head, _, body = got.partition(b"\r\n\r\n")

        self.assertEqual("closed", ended)
        length = int(head.partition(b"Content-Length: ")[2].split()[0])
        self.assertEqual(length // 2, len(body))

    async def test_endless(self) -> None:
        """
        An answer can go on for as long as anybody reads it.
        """
        self.bmc.set_faults(Faults(endless=frozenset(["system"])))
        got, ended = await self.talk(request(SYSTEM))

        self.assertEqual("endless", ended)
        self.assertIn(b"Transfer-Encoding: chunked", got)

    async def test_garbage(self) -> None:
        """
        An answer can be something else than it says.
        """
        self.bmc.set_faults(Faults(garbage=frozenset(["system"])))
        got, _ = await self.talk(request(SYSTEM))

        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK"))
        self.assertRaises(ValueError, json.loads, got.partition(b"\r\n\r\n")[2])

    async def test_delay(self) -> None:
        """
        What is answered late was done at once, and another BMC is as quick as ever.
        """
        self.bmc.set_faults(Faults(delay=30.0, slow=frozenset(["reset"])))
        late = self.talk(reset("On"), 60.0)
        await self.until(self.bmc.machine.power)
        others = [await self.talk(request("/redfish/v1/"), index=index) for index in (0, 1)]
        answered = late.called
        self.bmc.hang_up()

        self.assertEqual(["closed", "closed", False], [*(ended for _, ended in others), answered])
        self.assertEqual((b"", "dropped"), await late)

    async def test_delayed_answer(self) -> None:
        """
        A late answer comes in the end.
        """
        self.bmc.set_faults(Faults(delay=0.1))
        got, _ = await self.talk(request(SYSTEM))

        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK"))

    async def test_delay_given_up(self) -> None:
        """
        Whoever does not wait for a late answer leaves nothing behind.
        """
        self.bmc.set_faults(Faults(delay=30.0))
        _, ended = await self.talk(request(SYSTEM), 0.1)
        await self.until(lambda: self.bmc.record.asked == 1 and not self.bmc.record.open)

        self.assertEqual("silent", ended)

    async def test_closed(self) -> None:
        """
        A closed BMC refuses connections, and answers at the same port when it is open again.
        """
        self.bmc.set_faults(Faults(closed=True))
        await deferLater(self.reactor, 0)
        await self.assertFailure(self.talk(request(SYSTEM)), ConnectionRefusedError)
        self.bmc.set_faults()

        self.assertEqual("closed", (await self.talk(request(SYSTEM)))[1])

    async def test_hang_up(self) -> None:
        """
        A BMC that restarts drops the connections that it has.
        """
        self.bmc.set_faults(Faults(mute=frozenset("*")))
        waiting = self.talk(request(SYSTEM), 10.0)
        await self.until(lambda: self.bmc.record.asked == 1)
        self.bmc.hang_up()

        self.assertEqual((b"", "dropped"), await waiting)

    async def test_redirected(self) -> None:
        """
        A service that wants a slash redirects to it, and does nothing.
        """
        self.bmc.bmc.restart(Profile(slash=Slash.REDIRECTED, close=True))
        got, _ = await self.talk(reset("On"))

        self.assertTrue(got.startswith(b"HTTP/1.1 308 "))
        self.assertIn(b"Location: %s/\r\n" % RESET.encode(), got)
        self.assertEqual([], self.bmc.record.commands)


class FramingTests(WebCase):
    base = "127.60.72.1"
    profile = Profile(lengths=False)

    async def test_chunked(self) -> None:
        """
        Without lengths a body comes in chunks, and for HTTP 1.0 until the end of the connection.
        """
        new, _ = await self.talk(request(SYSTEM, more="Connection: close\r\n"))
        old, ended = await self.talk(request(SYSTEM).replace(b"HTTP/1.1", b"HTTP/1.0"))

        self.assertIn(b"Transfer-Encoding: chunked", new)
        self.assertTrue(new.endswith(b"\r\n0\r\n\r\n"))
        self.assertEqual("closed", ended)
        self.assertEqual("1", json.loads(old.partition(b"\r\n\r\n")[2])["Id"])

    async def test_head(self) -> None:
        """
        HEAD is answered without a body, and the connection goes on.
        """
        both = request(SYSTEM, method="HEAD") + request("/redfish/v1/", more="Connection: close\r\n")
        got, _ = await self.talk(both)

        self.assertEqual(2, got.count(b"HTTP/1.1 200 OK"))
        self.assertEqual(1, got.count(b'@odata.id": "/redfish/v1/"'))

    async def test_connections(self) -> None:
        """
        The record tells connections from requests.
        """
        for _ in range(2):
            await self.talk(request(SYSTEM) + request(SYSTEM, more="Connection: close\r\n"))
        record = self.bmc.record

        self.assertEqual((2, 4, 4), (record.connections, record.asked, record.count("system")))
        self.assertEqual([1, 1, 2, 2], [each.connection for each in record.requests])


class AbuseTests(WebCase):
    base = "127.60.73.1"

    async def test_garbage(self) -> None:
        """
        Whatever is sent, the BMC answers the next one.
        """
        self.amt = AmtFleet(self.reactor, 1, base="127.70.73.1", port=0)
        self.amt.startService()
        self.addCleanup(self.amt.stopService)
        places = (self.place(), (self.amt.bmcs[0].address, self.amt.port))
        post = b"POST /wsman HTTP/1.1\r\nHost: x\r\n"
        for data in (
            b"\0\xff" * 5_000 + b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
            post + b"Content-Length: -1\r\n\r\n",
            post + b"Content-Length: 999999999999999\r\n\r\n" + b"x" * 4_000_000,
            post
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"fffff\r\n"
            + b"x" * 0xFFFFF
            + b"\r\nfffff\r\n"
            + b"x" * 500,
            post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            post + b"Authorization: Digest " + b"," * 3_000 + b"\r\nConnection: close\r\n\r\n",
            post + b"Authorization: Basic \xff\xfe\r\nConnection: close\r\n\r\n",
            request(RESET, b"{" * 100_000, more="Connection: close\r\n"),
            request(RESET, b'{"ResetType": ["On"]}', more="Connection: close\r\n"),
            request("/redfish/v1/Systems/%ff%00", more="Connection: close\r\n"),
        ):
            for place in places:
                got, ended = await deferToThread(talk, place, data, 3.0)
                self.assertIn(ended, ("closed", "dropped"), data[:60])
        for place in places:
            got, _ = await deferToThread(
                talk, place, b"GET /redfish/v1/ HTTP/1.1\r\nConnection: close\r\n\r\n"
            )
            self.assertRegex(got, rb"^HTTP/1.1 (200|401) ")
        self.assertEqual(([], []), (self.bmc.machine.commands, self.amt.bmcs[0].machine.commands))

    async def test_oversized(self) -> None:
        """
        A body that is too large is refused, whether it says so or not, and nothing is done.
        """
        large = b" " * MAX_BODY + b'{"ResetType": "On"}'
        told, _ = await self.talk(request(RESET, large))
        chunked = (
            request(RESET)
            .replace(b"GET", b"POST")
            .replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        )
        untold, _ = await self.talk(chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large))

        for got in (told, untold):
            self.assertIn(got[:12], (b"HTTP/1.1 413", b""))  # it may be gone before we read
        self.assertEqual((0, []), (self.bmc.record.asked, self.bmc.machine.commands))

    async def test_listeners_leave(self) -> None:
        """
        Whoever listens to events and goes away is forgotten.
        """
        got, ended = await self.talk(request("/redfish/v1/EventService/SSE"), 0.5)
        await self.until(lambda: not self.bmc.record.open)

        self.assertIn(b"text/event-stream", got)
        self.assertEqual("silent", ended)

    async def test_many_listeners(self) -> None:
        """
        One listener too many is hung up on, and when all are gone nobody is told anything.
        """

        def listen() -> list[str]:
            with ExitStack() as opened:
                heard = []
                for _ in range(MAX_STREAMS + 1):
                    each = opened.enter_context(socket.create_connection(self.place(), timeout=5))
                    each.sendall(request("/redfish/v1/EventService/SSE"))
                    heard.append(each.recv(1 << 16))
                each.settimeout(1.0)
                return ["" if each.recv(1 << 16) else "closed", heard[0].partition(b" ")[2][:3].decode()]

        self.assertEqual(["closed", "200"], await deferToThread(listen))
        self.bmc.machine.press_button(on=True)
        await self.until(lambda: not self.bmc.record.open)


class ServiceTests(WebCase):
    base = "127.60.74.1"

    async def test_events(self) -> None:
        """
        Whoever listens hears of each change of power, also of one that nobody asked for.
        """
        listening = self.talk(request("/redfish/v1/EventService/SSE"), 1.0)
        await self.until(lambda: self.bmc.record.count("events") == 1)
        self.bmc.machine.press_button(on=True)
        got, _ = await listening

        self.assertIn(b"ResourceEvent.1.3.ResourcePoweredOn", got)
        self.assertEqual(1, got.count(b"\ndata: "))

    async def test_restart(self) -> None:
        """
        After stop nobody answers and nothing is open; after a start at the same port all is as before.
        """
        waiting = self.talk(b"GET / HTTP/1.1\r\n", 10.0)
        await self.until(lambda: bool(self.bmc.record.open))
        await self.fleet.stopService()
        await waiting
        await self.assertFailure(self.talk(request(SYSTEM)), ConnectionRefusedError)
        self.fleet.startService()
        self.assertEqual("closed", (await self.talk(request(SYSTEM)))[1])

    def test_occupied_port(self) -> None:
        """
        A second fleet at the same place is refused.
        """
        second = RedfishFleet(self.reactor, 2, base=self.base, port=self.fleet.port, tls=False)

        self.assertRaises(CannotListenError, second.startService)

    async def test_certificate(self) -> None:
        """
        The certificate holds for every address of the fleet, and for whoever has its fingerprint.
        """
        fleet = RedfishFleet(self.reactor, 2, base="127.60.75.1", port=0)
        fleet.startService()
        self.addCleanup(fleet.stopService)
        assert fleet.certificate is not None
        trusting = ssl.create_default_context(cadata=fleet.certificate.pem.decode())

        def shown(address: str) -> str:
            with (
                socket.create_connection((address, fleet.port), timeout=5) as plain,
                trusting.wrap_socket(plain, server_hostname=address) as connection,
            ):
                der = connection.getpeercert(binary_form=True)
            import hashlib

            return hashlib.sha256(der or b"").hexdigest()

        seen = [await deferToThread(shown, bmc.address) for bmc in fleet.bmcs]
        self.assertEqual([fleet.certificate.fingerprint] * 2, seen)


class CommandLineTests(SynchronousTestCase):
    def start(self, *words: str, entry: str = "cli") -> subprocess.Popen[str]:
        program = ["-c", "from powercoord.cli import main; main()", "sim"]
        if entry != "cli":
            program = ["-m", "powercoord.sim"]
        process = subprocess.Popen(
            [sys.executable, *program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.kill)
        return process

    def serve(
        self, *words: str, meanwhile: Callable[[str], None] = lambda _: None, entry: str = "cli"
    ) -> str:
        process = self.start(*words, entry=entry)
        assert process.stdout is not None
        ready = process.stdout.readline()
        meanwhile(ready)
        process.terminate()
        _, err = process.communicate(timeout=60)
        self.assertEqual((0, ""), (process.returncode, err))
        return ready

    def test_each_kind(self) -> None:
        """
        Each kind says in one line where it is, and ends with 0 on SIGTERM; without a kind it is IPMI.
        """
        for words, entry, ready in (
            (
                ("ipmi", "--nodes", "3", "--base", "127.50.76.1"),
                "cli",
                r"3 BMCs 127\.50\.76\.1 127\.50\.76\.3 port \d+",
            ),
            (
                ("--nodes", "3", "--base", "127.50.77.1"),
                "module",
                r"3 BMCs 127\.50\.77\.1 127\.50\.77\.3 port \d+",
            ),
            (
                ("redfish", "--nodes", "2"),
                "cli",
                r"2 BMCs https://127\.60\.0\.1:\d+ https://127\.60\.0\.2:\d+",
            ),
            (("amt", "--nodes", "1"), "module", r"1 BMCs http://127\.70\.0\.1:\d+ http://127\.70\.0\.1:\d+"),
        ):
            self.assertRegex(self.serve(*words, "--port", "0", entry=entry), f"^ready {ready}\n$")

    def test_options(self) -> None:
        """
        Power, faults, quirks, the password and the certificate are as the options say.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "password").write_text("other\n")
        words = ("--powered", "--fault", "refuse=systems:418@2", "--quirk", "system_id=Node-{}")
        files = ("--password-file", str(folder / "password"), "--certificate-file", str(folder / "bmc.pem"))

        def look(ready: str) -> None:
            trusting = ssl.create_default_context(cafile=str(folder / "bmc.pem"))
            basic = b64encode(b"admin:other").decode()
            for url in ready.split()[3:]:
                host, _, port = url.removeprefix("https://").partition(":")
                with (
                    socket.create_connection((host, int(port)), timeout=5) as plain,
                    trusting.wrap_socket(plain, server_hostname=host) as connection,
                ):
                    for path in ("Systems", "Systems/Node-1"):
                        text = f"GET /redfish/v1/{path} HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\r\n"
                        connection.sendall(text.encode())
                        seen.append(connection.recv(1 << 16))

        seen: list[bytes] = []
        self.serve(
            "redfish", "--nodes", "2", "--port", "0", "--base", "127.60.78.1", *words, *files, meanwhile=look
        )
        self.assertEqual([b"200", b"200", b"418", b"200"], [each[9:12] for each in seen])
        self.assertIn(b'"PowerState": "On"', seen[1])

    def test_mistakes(self) -> None:
        """
        A mistake is one line that names it, and what would be right.
        """
        for words, text in (
            (("redfish", "--fault", "mut=reset"), "unknown 'mut'; did you mean 'mute'?"),
            (("amt", "--base", "10.0.0.1"), "100 addresses from 10.0.0.1 on are not all inside 127.0.0.0/8"),
        ):
            process = self.start(*words)
            _, err = process.communicate(timeout=60)

            self.assertIn(text, err)
            self.assertEqual((1, 1), (process.returncode, err.count("\n")), err)
