# SPDX-License-Identifier: MIT
"""
Health and metrics over HTTP, as monitoring reads them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.api.http import HttpDoor
from powercoord.api.metrics import METRICS, Metrics
from powercoord.entries import Accepted, Answered, Drifted, Ended, Entry, Parked
from powercoord.errors import ConfigError
from powercoord.holds import Terms
from powercoord.interfaces import IDoor
from powercoord.model import (
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Limit,
    PowerState,
    Request,
    Verb,
)
from powercoord.parking import Cause
from powercoord.registry import Sweeping
from powercoord.stages import Drain, Source, Stage
from tests.fake_lifecycle import FakeLifecycle
from tests.registry.world import World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def accepted(verb: Verb, action: str, disposition: Disposition = Disposition.STARTED) -> Accepted:
    request = Request(node="n1", verb=verb, request_id=f"r{action}")
    return Accepted(NOON, request, action, disposition, NOON)


class HttpCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(3)
        self.lifecycle = FakeLifecycle()
        self.drifting = 0
        self.parked: list[Cause] = []
        self.metrics = Metrics(
            self.world.registry,
            self.lifecycle,
            lambda: self.drifting,
            self.world.registry.sweep,
            lambda: self.parked,
            self.world.registry.crowds,
        )
        self.door = HttpDoor(self.world.clock, [], self.world.registry, self.lifecycle, self.metrics)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """
        The status and the body of the answer to one request.
        """
        channel, transport = self.door.site.buildProtocol(None), StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(request)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 "), head)
        return int(head.split()[1]), body

    def get(self, path: str) -> tuple[int, bytes]:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def values(self) -> dict[str, float]:
        """
        The metrics by name and labels.
        """
        lines = self.metrics.text().decode().splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }


class HealthTests(HttpCase):
    def test_provides(self) -> None:
        """
        It is a door.
        """
        self.assertTrue(verifyObject(IDoor, self.door))

    def test_serving(self) -> None:
        """
        While changes are taken, health is 200.
        """
        code, body = self.get("/health")

        self.assertEqual(200, code)
        form = json.loads(body)
        self.assertEqual(("serving", True, None), (form["stage"], form["accepting"], form["why_not"]))

    def test_draining(self) -> None:
        """
        While none are, it is 503, and says why, who and since when.
        """
        self.lifecycle.stage = Stage.DRAINING
        self.lifecycle.drain = Drain(since=NOON, reason="firmware", by="ann", source=Source.COMMAND)
        self.world.registry.drain("firmware", "ann")

        code, body = self.get("/health")

        self.assertEqual(503, code)
        form = json.loads(body)
        self.assertEqual("firmware (by ann)", form["why_not"])
        self.assertEqual("firmware", form["drain"]["reason"])
        self.assertEqual(NOON.isoformat(), form["drain"]["since"])

    def test_trouble(self) -> None:
        """
        A journal that cannot be written is 503, too.
        """
        self.world.journal.trouble = "the disk is full"

        code, body = self.get("/health")

        self.assertEqual((503, "the disk is full"), (code, json.loads(body)["why_not"]))

    def test_nothing_else(self) -> None:
        """
        There are no other pages, and nothing can be posted; a body is not even read.
        """
        self.assertEqual(404, self.get("/")[0])
        self.assertEqual(404, self.get("/nodes")[0])
        self.assertEqual(405, self.ask(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")[0])
        channel, transport = self.door.site.buildProtocol(None), StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        self.assertTrue(transport.disconnecting)


class MetricsTests(HttpCase):
    def publish(self, *entries: Entry) -> None:
        self.metrics.published(len(entries), entries)

    def test_declared(self) -> None:
        """
        What is documented is what is told, with its help.
        """
        done = Done(How.ALREADY, PowerState.ON)
        self.publish(
            accepted(Verb.ON, "1"), Answered(NOON, "n1", "r1", "1", done), Ended(NOON, "n1", "1", done)
        )
        text = self.get("/metrics")[1].decode()

        for metric in METRICS:
            name = metric.name.removesuffix("_total")
            self.assertIn(f"# HELP {metric.name} {metric.text}", text)
            self.assertIn(f"\n{name}", text)

    def test_counted(self) -> None:
        """
        Requests, answers, ends and drifts are counted, a failure by its class; from 0 on.
        """
        self.assertEqual(0.0, self.values()['powercoord_requests_total{disposition="started",verb="on"}'])
        failed = Failed("PowerConnError", "n1: nobody answered")
        late = NOON + timedelta(seconds=4)

        self.publish(
            accepted(Verb.ON, "1"),
            accepted(Verb.ON, "1", Disposition.JOINED),
            Answered(NOON, "n1", "r1", "1", failed),
            Ended(late, "n1", "1", failed),
            Ended(late, "n2", "from before", failed),
            Drifted(NOON, "n3", Goal.OFF, PowerState.ON),
            Parked(NOON, "n3", "10.0.0.3", Cause.REFUSED, "password is wrong", late),
        )

        values = self.values()
        self.assertEqual(1.0, values['powercoord_requests_total{disposition="started",verb="on"}'])
        self.assertEqual(1.0, values['powercoord_requests_total{disposition="joined",verb="on"}'])
        self.assertEqual(1.0, values['powercoord_answers_total{outcome="PowerConnError"}'])
        self.assertEqual(1.0, values['powercoord_drifts_total{wanted="off"}'])
        self.assertEqual(1.0, values['powercoord_parkings_total{cause="refused"}'])
        self.assertEqual(0.0, values['powercoord_parkings_total{cause="unreachable"}'])
        self.assertEqual(1.0, values['powercoord_action_seconds_count{outcome="PowerConnError",verb="on"}'])
        self.assertEqual(4.0, values['powercoord_action_seconds_sum{outcome="PowerConnError",verb="on"}'])

    def test_looked_at(self) -> None:
        """
        What is, is looked at when somebody asks.
        """
        self.world.registry.query("n1")
        self.world.clock.pump([0.1] * 30)
        self.lifecycle.stage, self.lifecycle.pending, self.drifting = Stage.DRAINED, 7, 2
        self.world.registry.holds.hold(["n2", "n3"], Terms(holder="ann", reason="why", lasting=60), "ann")
        self.world.journal.trouble = "the disk is full"
        self.parked = [Cause.REFUSED]

        values = self.values()

        self.assertEqual(1.0, values['powercoord_stage{stage="drained"}'])
        self.assertEqual(0.0, values['powercoord_stage{stage="serving"}'])
        self.assertEqual(1.0, values['powercoord_nodes{state="off"}'])
        self.assertEqual(2.0, values['powercoord_nodes{state="never-checked"}'])
        self.assertEqual(
            (7.0, 2.0), (values["powercoord_actions_pending"], values["powercoord_nodes_drifted"])
        )
        self.assertEqual(1.0, values['powercoord_endpoints_parked{cause="refused"}'])
        self.assertEqual(0.0, values['powercoord_endpoints_parked{cause="unreachable"}'])
        self.assertEqual(2.0, values["powercoord_nodes_held"])
        self.world.clock.advance(60)
        self.assertEqual(0.0, self.values()["powercoord_nodes_held"])
        self.assertEqual((0.0, 0.0), (values["powercoord_accepting"], values["powercoord_journal_writable"]))

    def test_starts(self) -> None:
        """
        How many start and wait is told for each group with a limit, as the configuration is now.
        """
        groups = {"rack": Limit(2), "row": Limit(start_interval=5.0), "open": Limit()}
        self.world.registry.limit(Limit(9), groups, {}, {})
        gate = self.world.registry._world.starts  # noqa: SLF001 - nodes of this world are in no group
        for _ in range(3):
            gate.acquire(("rack", "open"))
        found = {name: value for name, value in self.values().items() if "_start" in name}

        self.assertEqual(
            {
                'powercoord_starting{group="(fleet)"}': 2.0,
                'powercoord_starting{group="rack"}': 2.0,
                'powercoord_starting{group="row"}': 0.0,
                'powercoord_starting_limit{group="(fleet)"}': 9.0,
                'powercoord_starting_limit{group="rack"}': 2.0,
                'powercoord_starting_limit{group="row"}': inf,
                'powercoord_starts_waiting{group="(fleet)"}': 1.0,
                'powercoord_starts_waiting{group="rack"}': 1.0,
                'powercoord_starts_waiting{group="row"}': 0.0,
            },
            found,
        )
        self.world.registry.limit(Limit(), {}, {}, {})
        self.assertFalse([name for name in self.values() if "rack" in name])

    def test_swept(self) -> None:
        """
        Reads in the background, nodes left out, and the age of the oldest sighting are told.
        """
        sweep = self.world.registry.sweep
        sweep.configure(Sweeping(interval=300.0))
        sweep.resting = lambda node: 1000.0 if node.name == "n3" else None
        before = self.values()
        sweep.start()
        self.world.pass_time(100)

        for values, reads, resting, oldest in ((before, 0, 0, 0), (self.values(), 2, 1, 100)):
            self.assertEqual(reads, values["powercoord_sweep_reads_total"])
            self.assertEqual(resting, values['powercoord_sweep_skipped_total{reason="resting"}'])
            self.assertEqual(oldest, values["powercoord_sweep_oldest_seconds"])
        self.assertEqual(2, self.values()["powercoord_sweep_reads_total"])


class ListeningTests(HttpCase):
    def test_open_to_the_network(self) -> None:
        """
        It listens on the loopback interface, unless somebody says that the network is the guard.
        """
        door = HttpDoor(self.world.clock, ["tcp:1"], self.world.registry, self.lifecycle, self.metrics)

        error = self.failureResultOf(Deferred.fromCoroutine(door.open()), ConfigError).value

        self.assertIn("tcp:1: plaintext is for the loopback interface", str(error))
