# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.trust` and `powercoord.api.reception`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.boxes import encode
from powercoord.api.calls import LinkLost
from powercoord.api.commands import Authenticate, Identify, NotAuthenticated, Ping, PowerOn
from powercoord.api.extensions import GoingAway, ListNodes, Submit
from powercoord.api.limits import Limits
from powercoord.api.trust import proof
from powercoord.errors import Draining
from tests.amp_world import LOCAL, REMOTE, AmpWorld, Collector, connect

SECRET = b"correct horse"


class Peer(amp.AMP):
    """
    A peer written for MAAS: it proves what it knows, when the test lets it.
    """

    secret = SECRET
    held: Deferred[Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.going: list[str] = []

    @Authenticate.responder
    def prove(self, message: bytes) -> Any:
        self.asked.append(message)
        answer = {"digest": hmac.digest(self.secret, message + b"salt", "sha256"), "salt": b"salt"}
        return answer if self.held is None else self.held.addCallback(lambda _: answer)

    @GoingAway.responder
    def away(self, reason: str) -> dict[str, Any]:
        self.going.append(reason)
        return {}


def ask(it: AmpWorld, peer: amp.AMP, command: Any, **arguments: Any) -> list[Any]:
    """
    Where the answer, or the error, will stand.
    """
    gotten: list[Any] = []
    asked = peer.callRemote(command, **arguments)
    asked.addBoth(lambda answer: gotten.append(answer.value if isinstance(answer, Failure) else answer))
    it.carry()
    return gotten


class TrustTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.it = AmpWorld(secret=SECRET)

    def test_proof(self) -> None:
        """
        The proof is MAAS's: HMAC-SHA256 over message and salt, keyed with the secret.
        """
        expected = hmac.new(b"key", b"message" + b"salt", hashlib.sha256).digest()

        self.assertEqual(expected, proof(b"key", b"message", b"salt"))

    def test_peer_that_knows(self) -> None:
        """
        A peer that proves to know the secret is served, and is shown that we know it too.
        """
        peer = Peer()
        self.it.join(peer, REMOTE)
        (listed,) = ask(self.it, peer, ListNodes)
        (shown,) = ask(self.it, peer, Authenticate, message=b"is it you?")

        self.assertEqual(3, len(listed["page"]))
        self.assertEqual(hmac.digest(SECRET, b"is it you?" + shown["salt"], "sha256"), shown["digest"])

    def test_peer_that_does_not_know(self) -> None:
        """
        A peer with another secret is refused, and parted from, with a line in the log.
        """
        peer = Peer()
        peer.secret = b"battery staple"
        with capturedLogs() as logs:
            self.it.join(peer, REMOTE)
            (error,) = ask(self.it, peer, Submit, batch={"items": ["n1"], "verb": "on"})
        self.it.turn(1)

        self.assertIsInstance(error, NotAuthenticated)
        self.assertEqual([], self.it.world.commands("n1"))
        self.assertTrue(any("does not know the secret" in event.get("reason", "") for event in logs))
        self.assertEqual([], self.it.pipes)

    def test_commands_wait(self) -> None:
        """
        Commands that come before the proof wait for it, and the harmless ones do not.
        """
        peer = Peer()
        peer.held = Deferred()
        self.it.join(peer, REMOTE)
        early = ask(self.it, peer, ListNodes)
        self.assertEqual([True], [answer["accepting"] for answer in ask(self.it, peer, Ping)])
        self.assertEqual("rack1", ask(self.it, peer, Identify)[0]["ident"])
        self.assertEqual([], early)

        peer.held.callback(None)
        self.it.carry()
        self.assertEqual(3, len(early[0]["page"]))

    def test_waiting_commands_are_refused(self) -> None:
        """
        When the proof fails, the commands that waited for it hear so; and only a few may wait.
        """
        peer = Peer()
        peer.secret = b"wrong"
        peer.held = Deferred()
        self.it.join(peer, REMOTE)
        early = [ask(self.it, peer, ListNodes) for _ in range(20)]
        self.assertEqual(4, sum(isinstance(error, NotAuthenticated) for gotten in early for error in gotten))

        peer.held.callback(None)
        self.it.carry()
        self.assertTrue(all(isinstance(gotten[0], NotAuthenticated) for gotten in early))

    def test_too_slow(self) -> None:
        """
        A peer that does not prove itself in time is parted from.
        """
        peer = Peer()
        peer.held = Deferred()
        self.it.join(peer, REMOTE)
        self.it.turn(9)
        self.assertNotEqual([], self.it.pipes)
        self.it.turn(2)

        self.assertEqual([], self.it.pipes)

    def test_peer_without_a_proof(self) -> None:
        """
        A program that knows nothing of proofs is refused.
        """
        peer = self.it.stock(REMOTE)
        gotten = ask(self.it, peer, PowerOn, system_id="n1", hostname="", power_type="", context={})

        self.assertEqual(1, len(gotten))
        self.assertIsInstance(gotten[0], NotAuthenticated)
        self.assertEqual([], self.it.pipes)

    def test_local_peers(self) -> None:
        """
        Whoever can open our local socket needs no secret, and is shown ours if it asks.
        """
        peer = self.it.stock(LOCAL)

        self.assertEqual(3, len(ask(self.it, peer, ListNodes)[0]["page"]))
        self.assertIn("digest", ask(self.it, peer, Authenticate, message=b"?")[0])

    def test_no_oracle(self) -> None:
        """
        A stranger who connects to us can not have us answer what somebody else asked it.
        """
        stranger = Peer()
        stranger.held = Deferred()
        self.it.join(stranger, REMOTE)
        self.assertEqual([], ask(self.it, stranger, Authenticate, message=b"asked by a third side"))

    def test_no_mirror(self) -> None:
        """
        A question of our side is not answered by our side: not on this connection, nor on another.
        """
        stranger = Peer()
        stranger.held = Deferred()
        self.it.join(stranger, REMOTE)
        self.it.carry()
        honest = Peer()
        self.it.join(honest, REMOTE)
        self.it.carry()
        (answer,) = ask(self.it, honest, Authenticate, message=stranger.asked[0])

        self.assertIsInstance(answer, NotAuthenticated)

    def test_no_secret(self) -> None:
        """
        A coordinator without a secret can not prove anything, and says so.
        """
        it = AmpWorld()
        (error,) = ask(it, it.stock(), Authenticate, message=b"?")

        self.assertIsInstance(error, NotAuthenticated)

    def test_secret_is_not_shown(self) -> None:
        """
        Nothing that is printed for a developer shows the secret.
        """
        self.assertNotIn("horse", repr(self.it.reception.coordinator))
        self.assertNotIn("horse", repr(self.it.reception))


class ReceptionTests(SynchronousTestCase):
    def test_connections(self) -> None:
        """
        No more connections are made than the limits allow, in all and for each peer, and room that
        becomes free is used.
        """
        it = AmpWorld(limits=Limits(connections=4, per_peer=2))
        here, there = IPv4Address("TCP", "10.0.0.1", 1), IPv4Address("TCP", "10.0.0.2", 1)
        with capturedLogs() as logs:
            self.assertEqual(
                [True, True, False, True, True, False],
                [it.join(amp.AMP(), peer) is not None for peer in (here, here, here, there, there, LOCAL)],
            )
        self.assertEqual(2, sum("reason" in event for event in logs))
        it.cut()

        self.assertIsNotNone(it.join(amp.AMP(), LOCAL))

    def test_goodbye(self) -> None:
        """
        A coordinator that goes away says so, refuses what is new, answers what it owes, and then closes.
        """
        it, peer = AmpWorld(), Peer()
        it.join(peer)
        it.world.machine("n1").latency = 0.2
        common = {"hostname": "", "power_type": "", "context": {}, "system_id": "n1"}
        waiting = ask(it, peer, PowerOn, wait="power", **common)
        closing = it.reception.close("maintenance")
        it.carry()
        self.assertEqual(["maintenance"], peer.going)
        self.assertIsInstance(ask(it, peer, PowerOn, request_id="late", **common)[0], Draining)
        self.assertEqual(1, len(ask(it, peer, Ping)))
        self.assertNoResult(closing)

        it.turn(1.5)
        self.assertEqual("done", waiting[0]["outcome"]["outcome"])
        self.successResultOf(closing)
        self.assertEqual([], it.pipes)

    def test_lost_before_the_proof(self) -> None:
        """
        A connection that is lost before its peer has proven anything is no verdict on the peer.
        """
        it = AmpWorld()
        link = it.reception.link(secret=SECRET, dialled=True)
        it.pipes += connect(link, Collector())
        proving = it.reception.demand_proof(link)
        it.cut()

        self.failureResultOf(proving, LinkLost)

    def test_goodbye_to_a_mute_peer(self) -> None:
        """
        A peer that neither answers nor reads does not keep us.
        """
        it = AmpWorld()
        mute = it.raw()
        mute.transport.write(encode({b"_ask": b"1", b"_command": b"ListNodes"}))
        it.carry()
        mute.transport.paused = True
        closing = it.reception.close("maintenance")
        it.turn(1)
        self.assertNoResult(closing)
        it.turn(4)

        self.successResultOf(closing)
        self.assertTrue(mute.lost)
