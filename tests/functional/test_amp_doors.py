# SPDX-License-Identifier: MIT
"""
Listening, dialling out and going away, on real sockets.
"""

from __future__ import annotations

import hmac
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols import amp
from twisted.trial.unittest import TestCase

from powercoord.api.commands import Authenticate, Identify, PowerOn, PowerQuery
from powercoord.api.dial import RegionDialler
from powercoord.api.listen import AmpListener, guarded
from powercoord.client import Client, NotAuthenticated, Patience, Racks
from powercoord.errors import ConfigError
from powercoord.model import PowerState, Verb
from tests.functional.amp_coordinator import RealCoordinator


class DoorCase(TestCase):
    timeout = 120

    async def start(self, **options: Any) -> RealCoordinator:
        it = RealCoordinator(reactor, **options)
        self.addCleanup(shutil.rmtree, it.folder, ignore_errors=True)
        await it.listener.listen()
        self.addCleanup(it.listener.stopService)
        return it

    def path(self, it: RealCoordinator) -> Path:
        return Path(it.socket)

    async def client(self, endpoint: str, **options: Any) -> Client:
        client = Client.from_string(reactor, endpoint, **options)
        self.addCleanup(client.close)
        await client.connect()
        return client


class ListenTests(DoorCase):
    async def test_local_socket(self) -> None:
        """
        A local socket is for its owner and group, unless its endpoint says otherwise.
        """
        it = await self.start()

        self.assertEqual(0o660, stat.S_IMODE(self.path(it).stat().st_mode))
        self.assertEqual("unix:/x:mode=600", guarded("unix:/x:mode=600", secret=False, insecure=False))

    async def test_open_doors(self) -> None:
        """
        Plaintext on the network needs a secret, or somebody who says that he wants it so.
        """
        for endpoint in ("tcp:4000", "tcp:4000:interface=10.0.0.1", "tcp:port=4000:interface=\\:\\:"):
            error = self.assertRaises(ConfigError, guarded, endpoint, secret=False, insecure=False)
            self.assertIn(endpoint, str(error))
            guarded(endpoint, secret=True, insecure=False)
            guarded(endpoint, secret=False, insecure=True)
        for endpoint in (
            "tcp:4000:interface=127.0.0.1",
            "tcp:4000:interface=\\:\\:1",
            "tcp:0:interface=localhost",
        ):
            self.assertEqual(endpoint, guarded(endpoint, secret=False, insecure=False))

    async def test_stale_socket(self) -> None:
        """
        The socket that a killed coordinator left behind is taken over, with a lock that seems to be held.
        """
        it = RealCoordinator(reactor)
        self.addCleanup(shutil.rmtree, it.folder, ignore_errors=True)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(it.socket)
        dead.close()
        self.path(it).with_name("amp.sock.lock").symlink_to(str(os.getpid()))
        await it.listener.listen()
        self.addCleanup(it.listener.stopService)

        self.assertEqual("rack1", (await (await self.client(f"unix:{it.socket}")).info()).ident)

    async def test_socket_in_use(self) -> None:
        """
        The socket of a coordinator that lives is not taken over: the other says what is in its way, and
        listens nowhere.
        """
        it = await self.start()
        endpoints = ("tcp:0:interface=127.0.0.1", f"unix:{it.socket}")
        other = AmpListener(reactor, endpoints, it.reception)
        error = await self.assertFailure(other.listen(), ConfigError)

        self.assertIn(it.socket, str(error))
        self.assertEqual([], other.ports)
        alone = AmpListener(reactor, [f"unix:{it.socket}"], it.reception)
        self.assertRaises(ConfigError, alone.startService)
        self.assertEqual("rack1", (await (await self.client(f"unix:{it.socket}")).info()).ident)

    async def test_stop(self) -> None:
        """
        A coordinator that stops listens no more, answers what it owes, and its clients find its successor.
        """
        it = await self.start()
        client = await self.client(f"unix:{it.socket}", requester="region")
        it.driver.machine("n1/n1").latency = 0.3
        on = client.on("n1")
        await deferLater(reactor, 0.1)
        await it.listener.stopService()
        self.assertFalse(self.path(it).exists())
        await it.listener.listen()

        self.assertEqual(PowerState.ON, (await on).state)

    async def test_stop_accepting(self) -> None:
        """
        When no new connections are taken, those that are there go on.
        """
        it = await self.start()
        client = await self.client(f"unix:{it.socket}")
        await client.info()
        await it.listener.stop_accepting()

        self.assertEqual("rack1", (await client.info()).ident)
        self.assertFalse(self.path(it).exists())

    async def test_secret(self) -> None:
        """
        On the network both sides show that they know the secret; on the local socket nobody has to.
        """
        it = await self.start(secret=b"secret")
        tcp = f"tcp:127.0.0.1:{it.port}"
        knowing = await self.client(tcp, secret=b"secret")
        local = await self.client(f"unix:{it.socket}")
        self.assertEqual(50, len(await knowing.nodes()))
        self.assertEqual(50, len(await local.nodes()))

        ignorant = await self.client(tcp, patience=Patience(call=5))
        await self.assertFailure(ignorant.nodes(), NotAuthenticated)
        guessing = Client.from_string(reactor, tcp, secret=b"guess")
        await self.assertFailure(guessing.connect(), NotAuthenticated)

    async def test_many(self) -> None:
        """
        Hundreds of nodes are turned on, seen and watched through one connection.
        """
        it = await self.start(count=700)
        client = await self.client(f"unix:{it.socket}", requester="region")
        watch = await client.watch(mine=True)
        answers = await client.submit([client.request(name, Verb.ON) for name in it.names()])
        outcomes = await gatherResults([client.outcome(answer) for answer in answers])
        self.assertEqual({PowerState.ON}, {outcome.state for outcome in outcomes})
        readings = await client.query(it.names())
        self.assertEqual({PowerState.ON}, {reading.state for reading in readings})
        self.assertTrue(all(machine.on for machine in it.driver.machines.values()))

        seen = set()
        async for event in watch:
            if type(event).__name__ == "Ended":
                seen.add(event.node)
            if len(seen) == 700:
                break


class MaasRegion(amp.AMP):
    """
    A region written for MAAS, with Twisted's own AMP: it lets each side prove itself, as MAAS does.
    """

    secret = b"secret"

    def __init__(self) -> None:
        super().__init__()
        self.made: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        super().connectionMade()
        self.made.callback(None)

    @Authenticate.responder
    def authenticate(self, message: bytes) -> dict[str, bytes]:
        salt = os.urandom(16)
        return {"digest": hmac.digest(self.secret, message + salt, "sha256"), "salt": salt}

    @Identify.responder
    def identify(self) -> dict[str, Any]:
        return {"ident": "region-1"}


class DialTests(DoorCase):
    async def listen(self, factory: Any) -> tuple[IListeningPort, str]:
        """
        Be a region that listens; the port, and where to dial.
        """
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return port, f"tcp:127.0.0.1:{port.getHost().port}"

    def dial(self, it: RealCoordinator, where: str, secret: bytes | None) -> RegionDialler:
        dialler = RegionDialler(reactor, [where], it.reception, secret, lambda: 0.0)
        dialler.startService()
        self.addCleanup(dialler.stopService)
        return dialler

    async def test_racks(self) -> None:
        """
        A region that listens has a client for each rack that dials in, the same after a lost connection.
        """
        it = await self.start()
        arrived: Deferred[Client] = Deferred()
        racks = Racks(reactor, arrived.callback, requester="region", secret=b"secret")
        _, where = await self.listen(racks)
        self.dial(it, where, b"secret")
        client = await arrived
        self.addCleanup(client.close)

        self.assertEqual(("rack1", {"rack1": client}), (client.name, racks.clients))
        self.assertEqual(PowerState.ON, (await client.on("n1")).state)
        await it.reception.close("restart")
        self.assertEqual(PowerState.OFF, (await client.off("n1")).state)
        self.assertEqual({"rack1": client}, racks.clients)

    async def test_wrong_secret(self) -> None:
        """
        A region that does not know the secret gets no service, and a rack without it is no rack.
        """
        it = await self.start()
        arrived: list[Client] = []
        racks = Racks(reactor, arrived.append, requester="region", secret=b"guess")
        _, where = await self.listen(racks)
        dialler = self.dial(it, where, b"secret")
        await deferLater(reactor, 0.5)
        await dialler.stopService()

        self.assertEqual([], arrived)

    async def test_maas_region(self) -> None:
        """
        A region written for MAAS, with Twisted's AMP, is dialled, proves itself, and uses its own commands.
        """
        it = await self.start()
        region = MaasRegion()
        factory = Factory()
        factory.buildProtocol = lambda _: region  # type: ignore[method-assign,assignment]
        _, where = await self.listen(factory)
        dialler = self.dial(it, where, b"secret")
        await region.made
        node = {"system_id": "n1", "hostname": "h", "power_type": "", "context": {}}
        shown = await region.callRemote(Authenticate, message=b"sixteen bytes...")
        expected = hmac.digest(b"secret", b"sixteen bytes..." + shown["salt"], "sha256")

        self.assertEqual(expected, shown["digest"])
        answer = await region.callRemote(PowerOn, **node)
        self.assertEqual(set(), {name for name, value in answer.items() if value is not None})
        await deferLater(reactor, 0.5)
        self.assertEqual("on", (await region.callRemote(PowerQuery, **node))["state"])
        await dialler.stopService()

    async def test_fake_region(self) -> None:
        """
        Whoever answers where a region should be, and does not know the secret, can switch nothing.
        """
        it = await self.start()
        region = MaasRegion()
        region.secret = b"guess"
        factory = Factory()
        factory.buildProtocol = lambda _: region  # type: ignore[method-assign,assignment]
        _, where = await self.listen(factory)
        dialler = self.dial(it, where, b"secret")
        await region.made
        node = {"system_id": "n1", "hostname": "h", "power_type": "", "context": {}}
        refused = region.callRemote(PowerOn, **node)
        await self.assertFailure(refused, Exception)
        await dialler.stopService()

        self.assertEqual([], it.driver.machine("n1/n1").commands)

    async def test_region_that_is_away(self) -> None:
        """
        A region that comes later is found.
        """
        it = await self.start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.dial(it, f"tcp:127.0.0.1:{port}", None)
        await deferLater(reactor, 0.2)
        arrived: Deferred[Client] = Deferred()
        listening = await serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1").listen(
            Racks(reactor, arrived.callback, requester="region")
        )
        self.addCleanup(listening.stopListening)
        client = await arrived
        self.addCleanup(client.close)

        self.assertEqual("rack1", (await client.info()).ident)

    async def test_stock_client(self) -> None:
        """
        A program with Twisted's own AMP and our command classes needs nothing else of ours.
        """
        it = await self.start()
        peer = await clientFromString(reactor, f"unix:{it.socket}").connect(Factory.forProtocol(amp.AMP))
        node = {"system_id": "n1", "hostname": "", "power_type": "", "context": {}}
        answer = await peer.callRemote(PowerOn, wait="power", **node)
        peer.transport.loseConnection()

        self.assertEqual({"outcome": "done", "how": "commanded", "state": "on"}, answer["outcome"])
