# SPDX-License-Identifier: MIT
"""
The two kinds of socket that systemd shares with a service: the one for notes, and those that it opened.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from powercoord.errors import ConfigError
from powercoord.lifecycle.inherited import Handed, Inherited, LocalEndpoint
from powercoord.lifecycle.notify_socket import NotifySocket, address


class SocketCase(TestCase):
    """
    With a folder whose path is short enough for a UNIX socket.
    """

    timeout = 120

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def warnings(self) -> list[str]:
        """
        What is logged from now on.
        """
        events: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if event.get("log_namespace") == "powercoord.lifecycle":
                events.append(event["log_format"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return events


class NotifySocketTests(SocketCase):
    def listen(self, name: str) -> socket.socket:
        """
        Be systemd.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(address(name))
        listener.setblocking(False)
        return listener

    def speaker(self, name: str) -> NotifySocket:
        """
        Be the service.
        """
        self.clock = Clock()
        speaker = NotifySocket(self.clock, address(name))
        self.addCleanup(speaker.close)
        return speaker

    def test_both_namespaces(self) -> None:
        """
        A message arrives whole at a path, and at an abstract name.
        """
        for name in (str(self.folder / "notify"), f"@powercoord-test-{os.getpid()}"):
            listener = self.listen(name)
            self.speaker(name).send("READY=1\nSTATUS=grüß Gott")
            self.assertEqual("READY=1\nSTATUS=grüß Gott", listener.recv(4096).decode())

    def test_full(self) -> None:
        """
        While systemd's queue is full nothing blocks; all arrives later, in order, and no timer stays.
        """
        name = str(self.folder / "notify")
        listener, speaker = self.listen(name), self.speaker(name)
        room = self._fill(name)
        for word in ("READY=1", "STATUS=a", "STOPPING=1"):
            speaker.send(word)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.clock.advance(1)
        for _ in range(room):
            listener.recv(4096)
        self.assertRaises(BlockingIOError, listener.recv, 4096)
        self.clock.advance(1)
        self.assertEqual([b"READY=1", b"STATUS=a", b"STOPPING=1"], [listener.recv(4096) for _ in range(3)])
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_nobody_there(self) -> None:
        """
        Where nobody listens that is told once, nothing is kept, and later messages try again.
        """
        name, events = str(self.folder / "notify"), self.warnings()
        speaker = self.speaker(name)
        for _ in range(100):
            speaker.send("STATUS=lonely")
        self.assertEqual(1, len(events))
        self.assertEqual([], self.clock.getDelayedCalls())
        listener = self.listen(name)
        speaker.send("STATUS=heard")
        self.assertEqual(b"STATUS=heard", listener.recv(4096))

    def test_close(self) -> None:
        """
        What waits at the end is tried once more, and no timer stays.
        """
        name = str(self.folder / "notify")
        listener, speaker = self.listen(name), self.speaker(name)
        room = self._fill(name)
        speaker.send("STOPPING=1")
        for _ in range(room):
            listener.recv(4096)
        speaker.close()
        self.assertEqual(b"STOPPING=1", listener.recv(4096))
        self.assertEqual([], self.clock.getDelayedCalls())

    def _fill(self, name: str) -> int:
        """
        Send until nobody can; one sender alone is stopped by its own buffer where the queue is long.
        """
        count = 0
        while True:
            sent = self._send_all(name)
            if not sent:
                return count
            count += sent

    def _send_all(self, name: str) -> int:
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.setblocking(False)
        count = 0
        while True:
            try:
                other.sendto(b"x", name)
            except BlockingIOError:
                return count
            count += 1


class Greeting(Protocol):
    """
    Says who serves.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.factory.greeting)  # type: ignore[union-attr]
        self.transport.loseConnection()


class Hearing(Protocol):
    """
    Keeps what it is told.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(self.heard)


class LocalPortTests(SocketCase):
    """
    A local socket that systemd opened, and goes on holding.
    """

    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "amp.sock"
        self.systemds = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.systemds.close)
        self.systemds.bind(str(self.path))
        self.path.chmod(0o660)
        self.systemds.listen(16)

    async def serve(self, greeting: bytes) -> IListeningPort:
        """
        Be one run of the service.
        """
        factory = Factory.forProtocol(Greeting)
        factory.greeting = greeting  # type: ignore[attr-defined]
        adopted = AdoptedStreamServerEndpoint(reactor, os.dup(self.systemds.fileno()), socket.AF_UNIX)
        port = await LocalEndpoint(reactor, adopted).listen(factory)
        self.addCleanup(port.stopListening)
        return port

    async def connect(self) -> Deferred[bytes]:
        """
        Connect, and hear what will be said.
        """
        hearing = Hearing()
        await connectProtocol(UNIXClientEndpoint(reactor, str(self.path)), hearing)
        return hearing.lost

    async def test_interface(self) -> None:
        """
        What listens is a port, and its host is the socket's path.
        """
        port = await self.serve(b"1")
        self.assertTrue(verifyObject(IListeningPort, port))
        self.assertEqual(str(self.path).encode(), port.getHost().name)

    async def test_restart(self) -> None:
        """
        A connect between two runs waits and is served by the second; nobody is refused.
        """
        first = await self.serve(b"first")
        self.assertEqual(b"first", await (await self.connect()))
        await first.stopListening()
        waiting = [await self.connect() for _ in range(5)]
        await self.serve(b"second")
        self.assertEqual([b"second"] * 5, [await each for each in waiting])

    async def test_path_is_untouched(self) -> None:
        """
        Neither is the socket opened to everybody, nor is its path gone after a stop.
        """
        port = await self.serve(b"1")
        self.assertEqual(0o660, stat.S_IMODE(self.path.stat().st_mode))
        await port.stopListening()
        await port.stopListening()
        self.assertTrue(self.path.is_socket())
        self.assertEqual(0o660, stat.S_IMODE(self.path.stat().st_mode))

    async def test_many(self) -> None:
        """
        All who come at once are served.
        """
        await self.serve(b"1")
        heard = [await each for each in [await self.connect() for _ in range(300)]]
        self.assertEqual([b"1"] * 300, heard)


class CheckTests(SocketCase):
    """
    What is wrong is told before anything is opened.
    """

    def handed(self, *sockets: socket.socket, names: tuple[str, ...]) -> Inherited:
        """
        An `Inherited` whose descriptors are these, as Twisted would find them.
        """
        from twisted.internet.endpoints import _SystemdParser
        from twisted.python.systemd import ListenFDs

        self.patch(_SystemdParser, "_sddaemon", ListenFDs([each.fileno() for each in sockets], names))
        return Inherited.from_environment(reactor, {"LISTEN_FDNAMES": ":".join(names)})

    def unix(self) -> socket.socket:
        """
        A local listener.
        """
        found = socket.socket(socket.AF_UNIX)
        self.addCleanup(found.close)
        found.bind(str(self.folder / "a.sock"))
        found.listen()
        return found

    def tcp(self, host: str) -> socket.socket:
        """
        A listener on a network.
        """
        found = socket.create_server((host, 0))
        self.addCleanup(found.close)
        return found

    def refused(self, inherited: Inherited, text: str, **options: bool) -> str:
        """
        Why a string is refused.
        """
        options = {"secret": False, "insecure": False, **options}
        error = self.assertRaises(ConfigError, inherited.check, [text], **options)
        self.assertIn(text, str(error))
        return str(error)

    def test_accepted(self) -> None:
        """
        What is there is found by name and by index, and what nobody asked for is told.
        """
        inherited = self.handed(self.unix(), self.tcp("127.0.0.1"), names=("amp", "net"))
        self.assertEqual(
            ["net"], inherited.check(["systemd:domain=UNIX:name=amp"], secret=False, insecure=False)
        )
        self.assertEqual(
            ["amp"], inherited.check(["systemd:domain=INET:index=1"], secret=False, insecure=False)
        )
        self.assertIsInstance(inherited.endpoint("systemd:domain=UNIX:name=amp"), LocalEndpoint)
        self.assertIsInstance(inherited.endpoint("systemd:domain=INET:name=net"), AdoptedStreamServerEndpoint)
        self.assertNotIsInstance(inherited.endpoint(f"unix:{self.folder}/b.sock"), LocalEndpoint)

    def test_not_there(self) -> None:
        """
        A name that systemd does not know is refused with those that it does, and the nearest.
        """
        inherited = self.handed(self.unix(), names=("amp",))
        reason = self.refused(inherited, "systemd:domain=UNIX:name=ampp")
        self.assertIn("handed over amp; did you mean amp?", reason)
        self.assertIn("handed over amp", self.refused(inherited, "systemd:domain=UNIX:index=1"))

    def test_nothing_there(self) -> None:
        """
        Where no socket was handed over, that is told, and what to look at.
        """
        reason = self.refused(self.handed(names=()), "systemd:domain=UNIX:name=amp")
        self.assertIn("is the socket unit started", reason)

    def test_wrong_kind(self) -> None:
        """
        The wrong domain, a socket that does not listen, and one for datagrams are refused for what they are.
        """
        deaf = socket.socket(socket.AF_UNIX)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(deaf.close)
        self.addCleanup(datagrams.close)
        inherited = self.handed(self.unix(), deaf, datagrams, names=("amp", "deaf", "dgram"))
        self.assertIn("domain is UNIX", self.refused(inherited, "systemd:domain=INET:name=amp"))
        self.assertIn("does not listen", self.refused(inherited, "systemd:domain=UNIX:name=deaf"))
        self.assertIn("does not listen", self.refused(inherited, "systemd:domain=INET:name=dgram"))

    def test_nonsense(self) -> None:
        """
        A string that means nothing is answered with one that does.
        """
        inherited = self.handed(self.unix(), names=("amp",))
        for text in (
            "systemd:",
            "systemd:domain=UNIX",
            "systemd:domain=LUNIX:index=0",
            "systemd:domain=UNIX:index=x",
            "systemd:domain=UNIX:index=0:name=amp",
            "systemd:domain=UNIX:index=0:colour=red",
        ):
            self.assertIn("write systemd:domain=UNIX:name=NAME", self.refused(inherited, text))

    def test_open_to_strangers(self) -> None:
        """
        A socket that other machines reach wants a secret, as one of our own would.
        """
        text = "systemd:domain=INET:name=net"
        self.handed(self.tcp("127.0.0.1"), names=("net",))
        found = Handed(socket.AF_INET, ("0.0.0.0", 1234), listens=True)
        inherited = Inherited(reactor, ["net"], lambda _: found)
        self.assertIn("bound to 0.0.0.0", self.refused(inherited, text))
        self.assertEqual([], inherited.check([text], secret=True, insecure=False))
        self.assertEqual([], inherited.check([text], secret=False, insecure=True))
