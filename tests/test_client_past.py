# SPDX-License-Identifier: MIT
"""
Tests for what `powercoord.client` says of the past and of the coordinator, and for watches that go on.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.client import Accepted, Desired, Health, Lagged, NodeStatus, Pulse, Racks, Refused
from powercoord.entries import Accepted as AcceptedEntry
from powercoord.entries import Answered
from powercoord.forms import event_form, event_from
from powercoord.model import CancelResult, Disposition, Done, Goal, How, PowerState, Verb
from powercoord.stages import Source, Stage
from tests.amp_world import AmpWorld, connect
from tests.fake_lifecycle import FakeLifecycle
from tests.registry.world import World
from tests.test_api_past import WANTED, Around
from tests.unmeasured import unmeasured

ON = Done(How.COMMANDED, PowerState.ON)


class PastCase(SynchronousTestCase):
    count = 3

    def setUp(self) -> None:
        self.lifecycle = FakeLifecycle()
        self.it = AmpWorld(self.count, lifecycle=self.lifecycle)
        self.registry = Around(self.it.world.registry)
        self.it.restart(self.registry)
        self.client = self.it.client()

    @property
    def history(self) -> Any:
        return self.it.reception.coordinator.history

    def result(self, deferred: Deferred[Any], turn: float = 0) -> Any:
        self.it.carry()
        self.it.turn(turn)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred[Any], kind: type[Exception], turn: float = 0) -> Any:
        self.it.carry()
        self.it.turn(turn)
        return self.failureResultOf(deferred, kind).value

    def written(self) -> list[Any]:
        """
        All entries as they come over the wire, which keeps no monotonic times.
        """
        return [event_from(event_form(entry)) for entry in self.it.world.journal.entries]

    def read(self, watch: Any) -> list[Any]:
        """
        All events that are there now.
        """
        events: list[Any] = []
        while True:
            waiting = Deferred.fromCoroutine(watch.__anext__())
            self.it.carry()
            if not waiting.called:
                waiting.addErrback(lambda failure: failure.trap(CancelledError))
                waiting.cancel()
                return events
            events.append(self.successResultOf(waiting))


class WatchTests(PastCase):
    def test_lost_connection(self) -> None:
        """
        A watch goes on after a lost connection where it was, with all that happened meanwhile.
        """
        watch = self.result(self.client.watch())
        self.result(self.client.on("n1"), 2)
        before = self.read(watch)
        self.it.refusing = True
        self.it.cut()
        self.it.world.want(Verb.ON, "n2")
        self.it.turn(2)
        self.it.refusing = False
        self.it.turn(10)
        self.result(self.client.off("n1"), 2)

        self.assertEqual(self.written(), before + self.read(watch))

    def test_quiet_watch(self) -> None:
        """
        A watch that was told nothing yet goes on too, if anything had happened since somebody follows.
        """
        self.result(self.client.on("n1"), 2)
        watch = self.result(self.client.watch(nodes=["n2"]))
        self.it.refusing = True
        self.it.cut()
        self.it.world.want(Verb.ON, "n2")
        self.it.turn(2)
        self.it.refusing = False
        self.it.turn(10)
        events = self.read(watch)

        self.assertIsInstance(events[0], AcceptedEntry)
        self.assertIn(Answered, map(type, events))

    def test_pruned_meanwhile(self) -> None:
        """
        Where not all that happened is known any more, the watch says so and goes on with what happens.
        """
        watch = self.result(self.client.watch())
        self.result(self.client.on("n1"), 2)
        self.read(watch)
        self.it.cut()
        self.history.pruned = 99
        self.it.turn(2)
        self.result(self.client.off("n1"), 2)
        events = self.read(watch)

        self.assertIsInstance(events[0], Lagged)
        self.assertIsInstance(events[1], AcceptedEntry)

    def test_another_journal(self) -> None:
        """
        A coordinator that comes again with another journal is followed from what happens there.
        """
        watch = self.result(self.client.watch())
        self.result(self.client.on("n1"), 2)
        self.read(watch)
        self.it.restart(AmpWorld(3).world.registry)
        self.it.world.journal.entries.clear()
        self.it.cut()
        self.it.turn(2)

        self.assertIsInstance(self.read(watch)[0], Lagged)

    def test_after(self) -> None:
        """
        A watch may begin with what happened after a number; a program keeps that of its last event.
        """
        self.result(self.client.on("n1"), 2)
        whole = self.result(self.client.watch(after=0))
        events = self.read(whole)
        self.assertEqual(self.written(), events)
        self.assertEqual(len(events), whole.cursor)

        rest = self.result(self.client.watch(after=whole.cursor - 2))
        self.assertEqual(events[-2:], self.read(rest))
        self.failure(self.client.watch(after=9_999), e.BadRequest)

    def test_region_that_is_dialled(self) -> None:
        """
        A watch of a region that listens goes on where it was when the coordinator dials in again.
        """
        racks: list[Any] = []
        factory = Racks(self.it.clock, racks.append, requester="region")

        def dial() -> None:
            theirs = self.it.reception.link(secret=None, dialled=True)
            self.it.pipes += connect(factory.buildProtocol(None), theirs)
            self.it.carry()

        dial()
        watch = self.result(racks[0].watch(after=0))
        self.result(self.client.on("n1"), 2)
        before = self.read(watch)
        self.it.cut()
        self.it.turn(2)
        self.result(self.client.on("n2"), 2)
        dial()
        self.assertEqual(self.written(), before + self.read(watch))

    def test_stages(self) -> None:
        """
        A watch tells what becomes of the coordinator itself, and keeps its place.
        """
        watch = self.result(self.client.watch())
        self.result(self.client.on("n1"), 2)
        self.lifecycle.start_drain("moving", "me", Source.COMMAND)
        events = self.read(watch)

        self.assertIs(Stage.DRAINED, events[-1].stage)
        self.assertEqual(len(events) - 1, watch.cursor)
        self.it.cut()
        self.it.turn(2)
        self.assertEqual([], self.read(watch))

    def test_events_of_later(self) -> None:
        """
        A kind of event that this client does not know is passed over.
        """
        watch = self.result(self.client.watch())
        watch.tell([{"event": "melted", "number": 7}])

        self.assertEqual([], self.read(watch))

    def test_cursor_is_what_was_taken(self) -> None:
        """
        The cursor of a watch counts what was taken from it, not what is waiting in it.
        """
        self.result(self.client.on("n1"), 2)
        watch = self.result(self.client.watch(after=0))
        self.assertEqual(0, watch.cursor)
        self.successResultOf(Deferred.fromCoroutine(watch.__anext__()))
        self.assertEqual(1, watch.cursor)


class InterruptedTests(PastCase):
    def test_goes_on(self) -> None:
        """
        Who asks a coordinator that is stopping about an interrupted request goes on waiting for its real end.
        """
        self.it.world.machine("n1").latency = 30.0
        on = self.client.on("n1")
        self.it.turn(1)
        self.it.world.registry.stop("the coordinator stopped")
        self.it.turn(1)
        self.it.cut()
        self.it.turn(2)
        self.assertNoResult(on)
        again = self.client.on("n1", request_id="c1-1")
        self.it.turn(2)
        self.assertNoResult(again)

        successor = World(3)
        self.it.restart(successor.registry)
        self.it.cut()
        self.it.turn(1)
        for _ in range(20):
            successor.clock.advance(0.1)
            self.it.carry()
        self.assertEqual(ON, self.result(on))
        self.assertEqual(ON, self.result(again))


class HistoryTests(PastCase):
    count = 450

    def test_history(self) -> None:
        """
        The past of any number of nodes is one list, newest first, as long as it is wanted.
        """
        names = list(self.it.world.names())
        self.result(self.client.submit([self.client.request(name, Verb.ON) for name in names]), 5)
        whole = self.result(self.client.history(names, limit=1_000))
        newest = self.result(self.client.history(limit=7))

        self.assertEqual(names, [record.request.node for record in reversed(whole)])
        self.assertEqual(whole[:7], newest)
        self.assertEqual((ON, "tester"), (newest[0].outcome, newest[0].request.requester))
        self.assertEqual((), self.result(self.client.history(["gone"])))

    def test_since(self) -> None:
        """
        The past can begin at a moment.
        """
        self.result(self.client.on("n1"), 2)
        self.result(self.client.on("n2"), 2)
        last, first = self.result(self.client.history())

        self.assertEqual((last,), self.result(self.client.history(since=last.at)))
        self.assertEqual((last, first), self.result(self.client.history(since=first.at)))

    def test_show(self) -> None:
        """
        An action is shown with all that became of it.
        """
        self.result(self.client.on("n1"), 2)
        (record,) = self.result(self.client.history())
        steps = self.result(self.client.show(record.action))

        self.assertEqual(record.number, steps[0].number)
        self.assertIsInstance(steps[-1].entry, Answered)
        self.failure(self.client.show("a99"), e.NoSuchAction)

    def test_resolve(self) -> None:
        """
        An action is settled with a name and a reason.
        """
        self.assertIs(CancelResult.STOPPED, self.result(self.client.resolve("a1", "board replaced")))
        self.assertEqual([("a1", "tester via local", "board replaced")], self.registry.resolved)
        self.failure(self.client.resolve("a1", ""), e.BadRequest)


class ReconcileTests(PastCase):
    count = 700

    @unmeasured
    def test_many(self) -> None:
        """
        Any number of nodes is brought to what is wanted, with one answer each, and ends are heard.
        """
        self.it.world.machine("n2").on = True
        desired = [Desired(name, Goal.ON, 3) for name in self.it.world.names()]
        desired[1] = Desired("n2", Goal.OFF)
        answers = self.result(self.client.reconcile(desired, "plan-1"))
        ends = self.result(gatherResults(self.client.outcome(answer) for answer in answers), 5)

        self.assertEqual([each.node for each in desired], [answer.node for answer in answers])
        self.assertEqual({Goal.OFF.value: 1, Goal.ON.value: 699}, _counts([end.state.value for end in ends]))
        self.assertEqual(["off"], self.it.world.commands("n2"))

    def test_again(self) -> None:
        """
        What is sent again runs nothing twice; what is stale or unknown is refused for itself.
        """
        self.result(self.client.reconcile([Desired("n1", Goal.ON, 5)], "plan-1"), 2)
        (again,) = self.result(self.client.reconcile([Desired("n1", Goal.ON, 5)], "plan-1"), 2)
        self.assertIsInstance(again, Accepted)
        self.assertEqual((Disposition.JOINED, ON), (again.disposition, again.outcome))
        stale, nobody = self.result(
            self.client.reconcile([Desired("n1", Goal.OFF, 4), Desired("nx", Goal.ON)], "plan-2")
        )

        self.assertIsInstance(stale, Refused)
        self.assertEqual((e.Stale, e.NoSuchNode), (type(stale.error), type(nobody.error)))
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_lost_before_the_answer(self) -> None:
        """
        A page whose answer was lost is sent again, and done once.
        """
        wanted = self.client.reconcile([Desired("n1", Goal.ON)], "plan-1")
        self.it.clock.advance(0)
        for pipe in list(self.it.pipes):
            pipe.carry()
        self.it.cut()
        (answer,) = self.result(wanted, 5)

        self.assertEqual(ON, self.result(self.client.outcome(answer)))
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_outstanding(self) -> None:
        """
        What is outstanding is told with what is wanted.
        """
        self.registry.drifting = ["n2", "brought"]
        drifted, brought = self.result(self.client.list_outstanding())

        self.assertEqual((WANTED, True), (drifted.wanted, drifted.drifted))
        self.assertEqual(
            ("brought", PowerState.UNCONFIGURED, None), (brought.name, brought.state, brought.wanted)
        )
        self.assertIsInstance(brought, NodeStatus)


class SteeringTests(PastCase):
    def test_ping(self) -> None:
        """
        A ping tells whether new changes are taken, and why not.
        """
        self.assertEqual(Pulse(stage=Stage.SERVING), self.result(self.client.ping()))
        self.lifecycle.trouble = "the disk is full"
        expected = Pulse(stage=Stage.SERVING, accepting=False, reason="the disk is full")
        self.assertEqual(expected, self.result(self.client.ping()))

    def test_health(self) -> None:
        """
        A coordinator says how it is.
        """
        self.assertEqual(Health(stage=Stage.SERVING, pending=0), self.result(self.client.health()))

    def test_drain(self) -> None:
        """
        A drain is waited for as long as it takes, over lost connections, and resumed.
        """
        self.lifecycle.pending, before = 1, len(self.lifecycle.watchers)
        drained = self.client.drain("moving", wait=True)
        self.it.turn(40)
        self.it.cut()
        self.it.turn(2)
        self.assertNoResult(drained)
        self.lifecycle.stands(Stage.DRAINED, 0)
        self.assertTrue(self.result(drained).ready_to_stop)
        self.assertTrue(self.result(self.client.resume()).accepting)

        self.assertEqual(before, len(self.lifecycle.watchers))

    def test_shutdown(self) -> None:
        """
        A shutdown is answered before it begins.
        """
        self.result(self.client.shutdown())
        self.assertEqual(["stop by tester"], self.lifecycle.asked)


def _counts(values: list[str]) -> dict[str, int]:
    return {value: values.count(value) for value in values}
