# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.steering` and `powercoord.api.health`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.commands import Identify, Ping
from powercoord.api.health import Health, health_form, health_from
from powercoord.model import Verb
from powercoord.stages import Drain, Source, Stage
from tests.amp_world import AmpWorld
from tests.fake_lifecycle import NOON, FakeLifecycle
from tests.test_api_following import Subscriber


class SteeringCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.lifecycle = FakeLifecycle()
        self.it = AmpWorld(3, lifecycle=self.world_lifecycle())
        self.peer = self.it.stock()

    def world_lifecycle(self) -> Any:
        return self.lifecycle

    def ask(self, command: Any, **arguments: Any) -> list[Any]:
        gotten: list[Any] = []
        asked = self.peer.callRemote(command, **arguments)
        asked.addBoth(lambda it: gotten.append(it.value if isinstance(it, Failure) else it))
        self.it.carry()
        return gotten

    def call(self, command: Any, **arguments: Any) -> Any:
        (answer,) = self.ask(command, **arguments)
        return answer


class SteeringTests(SteeringCase):
    def test_drain(self) -> None:
        """
        A drain is the service's, by command, and its answer says how the coordinator is.
        """
        now = self.call(x.Drain, reason="new firmware", requester="fred")["coordinator"]

        self.assertEqual(["drain new firmware by fred (command)"], self.lifecycle.asked)
        self.assertEqual(
            {
                "stage": "drained",
                "accepting": False,
                "pending": 0,
                "ready_to_stop": True,
                "stop_requested": False,
                "drain": {
                    "since": NOON.isoformat(),
                    "reason": "new firmware",
                    "by": "fred",
                    "source": "command",
                },
            },
            now,
        )

    def test_repeated_drain(self) -> None:
        """
        A second drain changes nothing; resuming ends it, and who asks is the peer if nobody is named.
        """
        self.call(x.Drain, reason="a")
        again = self.call(x.Drain, reason="b")["coordinator"]
        self.assertEqual("a", again["drain"]["reason"])
        resumed = self.call(x.Resume)["coordinator"]

        self.assertEqual(("serving", True), (resumed["stage"], resumed["accepting"]))
        self.assertNotIn("drain", resumed)
        self.assertEqual("resume by local (command)", self.lifecycle.asked[-1])

    def test_wait(self) -> None:
        """
        With wait a drain is answered when the last action is over, there and then.
        """
        self.lifecycle.pending = 2
        answer = self.ask(x.Drain, reason="r", wait=True)
        self.lifecycle.stands(Stage.DRAINING, 1)
        self.it.carry()
        self.assertEqual([], answer)
        self.lifecycle.stands(Stage.DRAINED, 0)
        self.it.carry()

        self.assertEqual(
            ("drained", True), tuple(answer[0]["coordinator"][k] for k in ("stage", "ready_to_stop"))
        )
        self.assertEqual(1, len(self.lifecycle.watchers), "only the reception watches")

    def test_wait_for_nothing(self) -> None:
        """
        Where nothing goes on, a drain with wait is answered at once.
        """
        self.assertEqual("drained", self.call(x.Drain, reason="", wait=True)["coordinator"]["stage"])

    def test_resumed_meanwhile(self) -> None:
        """
        Who waits for a drain hears when somebody resumes.
        """
        self.lifecycle.pending = 2
        answer = self.ask(x.Drain, reason="r", wait=True)
        self.call(x.Resume)

        self.assertEqual("serving", answer[0]["coordinator"]["stage"])

    def test_gone_while_waiting(self) -> None:
        """
        A peer that goes away while it waits for a drain is waited for by nobody.
        """
        self.lifecycle.pending = 2
        self.ask(x.Drain, reason="r", wait=True)
        self.it.cut()

        self.assertEqual(1, len(self.lifecycle.watchers), "only the reception watches")
        self.assertEqual([], self.flushLoggedErrors())

    def test_shutdown(self) -> None:
        """
        The answer to a shutdown leaves before the stop begins, and arrives though the doors close at once.
        """
        written: list[bytes] = []
        (pipe,) = [pipe for pipe in self.it.pipes if pipe.protocol is not self.peer]

        def stopped() -> None:
            written.append(pipe.written)
            self.it.reception.close("bye")

        self.lifecycle.watch(stopped)
        answer = self.call(x.Shutdown, requester="fred")

        self.assertIn(b"_answer", written[0])
        self.assertEqual("serving", answer["coordinator"]["stage"])
        self.assertEqual(["stop by fred"], self.lifecycle.asked)

    def test_ping(self) -> None:
        """
        A ping says how far the coordinator has come, whether it takes changes, and if not, why.
        """
        self.assertEqual({"stage": "serving", "accepting": True, "reason": None}, self.call(Ping))
        self.lifecycle.trouble = "the disk is full"
        self.assertEqual(
            {"stage": "serving", "accepting": False, "reason": "the disk is full"}, self.call(Ping)
        )
        self.lifecycle.trouble = None
        self.lifecycle.stage = Stage.STOPPING
        self.assertEqual(
            {"stage": "stopping", "accepting": False, "reason": "it is stopping"}, self.call(Ping)
        )

    def test_load_balancer(self) -> None:
        """
        The bytes that the documentation gives to load balancers are a ping, and a yes.
        """
        page = (Path(__file__).parent.parent / "docs" / "wire.md").read_text("utf-8")
        found = re.findall(r"^tcp-check .* ([0-9a-f]{20,})$", page, re.MULTILINE)
        question, yes = map(bytes.fromhex, found)
        checker = self.it.raw()
        self.it.send(checker, question)
        self.assertIn(yes, checker.data)

        self.lifecycle.start_drain("r", "me", Source.FILE)
        checker = self.it.raw()
        self.it.send(checker, question)
        self.assertNotIn(yes, checker.data)

    def test_status(self) -> None:
        """
        The first page of a status says how the coordinator is; without nodes it says only that.
        """
        self.lifecycle.trouble = "the disk is full"
        whole = self.call(x.Status)
        alone = self.call(x.Status, nodes=[])

        self.assertEqual((3, []), (len(whole["page"]), alone["page"]))
        self.assertEqual("the disk is full", alone["coordinator"]["trouble"])
        self.assertEqual(whole["coordinator"], alone["coordinator"])
        self.assertIsNone(self.call(x.Status, after="2")["coordinator"])

    def test_stages_are_told(self) -> None:
        """
        Subscribers of everything, or of stages, are told when the coordinator drains; and not of each action.
        """
        self.lifecycle.pending = 2
        peer = Subscriber()
        self.it.join(peer)
        for wanted in ({}, {"nodes": ["n1"]}, {"kinds": ["stage"]}, {"kinds": ["ended"]}):
            peer.callRemote(x.Subscribe, filter=wanted)
        peer.callRemote(x.Subscribe, after=0)
        self.it.carry()
        self.lifecycle.start_drain("moving", "me", Source.COMMAND)
        self.lifecycle.stands(Stage.DRAINING, 1)
        self.it.carry()
        self.lifecycle.stands(Stage.DRAINED, 0)
        self.it.carry()

        stages = [(number, event["coordinator"]["stage"]) for number, event in peer.told]
        self.assertEqual(
            [(number, stage) for stage in ("draining", "drained") for number in (1, 3, 5)], stages
        )

    def test_stage_while_reading(self) -> None:
        """
        A subscriber that is still told what was hears of the stage after that, and only of the last.
        """
        self.it.world.want(Verb.ON)
        self.it.turn(2)
        history = self.it.reception.coordinator.history
        history.hold = True
        peer = Subscriber()
        self.it.join(peer)
        peer.callRemote(x.Subscribe, after=0)
        self.it.carry()
        self.lifecycle.start_drain("moving", "me", Source.COMMAND)
        self.lifecycle.resume("me", Source.COMMAND)
        history.release()
        self.it.carry()

        self.assertEqual("serving", peer.told[-1][1]["coordinator"]["stage"])
        self.assertEqual(1, peer.kinds().count("stage"))

    def test_bad_words(self) -> None:
        """
        Reasons and names that could not be put before an operator are refused.
        """
        for wrong in ({"reason": "\x1b[2J"}, {"reason": "x" * 501}, {"reason": "", "requester": "a\nb"}):
            self.assertIsInstance(self.call(x.Drain, **wrong), e.BadRequest)
        self.assertEqual([], self.lifecycle.asked)


class WithoutLifecycleTests(SteeringCase):
    """
    A registry that is used without a service.
    """

    def world_lifecycle(self) -> Any:
        return None

    def test_drain(self) -> None:
        """
        It is drained all the same, and says so.
        """
        now = self.call(x.Drain, reason="new firmware", requester="fred")["coordinator"]

        self.assertEqual(("drained", False, True), (now["stage"], now["accepting"], now["ready_to_stop"]))
        self.assertEqual("new firmware (by fred)", now["draining"])
        self.assertEqual("new firmware (by fred)", self.call(Identify)["draining"])
        self.assertEqual("new firmware (by fred)", self.call(Ping)["reason"])

    def test_draining(self) -> None:
        """
        It is not drained while something is in play.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(x.Submit, batch={"items": ["n1"], "verb": "on"})
        now = self.call(x.Drain, reason="")["coordinator"]

        self.assertEqual(("draining", 1, False), (now["stage"], now["pending"], now["ready_to_stop"]))

    def test_cannot(self) -> None:
        """
        What only a service can do is refused.
        """
        self.assertIsInstance(self.call(x.Shutdown), e.BadRequest)
        self.assertIsInstance(self.call(x.Drain, reason="", wait=True), e.BadRequest)
        self.assertIsNone(self.call(Identify)["draining"])


class HealthTests(SynchronousTestCase):
    def test_read_back(self) -> None:
        """
        What is written is read back as it was.
        """
        drain = Drain(since=NOON, reason="r", by="b", source=Source.FILE)
        for it in (
            Health(stage=Stage.SERVING, pending=0),
            Health(stage=Stage.DRAINING, pending=3, draining="r (by b)", drain=drain, trouble="t"),
            Health(stage=Stage.STOPPING, pending=0, stop_requested=True),
            Health(stage=Stage.SERVING, pending=0, broken_drivers={"odd": "no module"}),
        ):
            self.assertEqual(it, health_from(health_form(it)))
