# SPDX-License-Identifier: MIT
"""
A node that requires others: they come on first, and do not go off beneath it.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Entered
from powercoord.errors import BadRequest, Held, JournalUnavailable, RequestRefused, StillRequired
from powercoord.holds import Terms
from powercoord.model import Done, Failed, Goal, How, Limit, PowerState, Ready, Request, Superseded, Verb
from powercoord.testing.driver import Fault
from tests.registry.chassis import Chassis, chassis
from tests.registry.world import quick

BESIDE = {"bar": (), "box": ("bar",), "b1": ("box",), "x": ()}


class Case(SynchronousTestCase):
    def refused(self, world: Chassis, verb: Verb, name: str, **options: Any) -> str:
        """
        Why a request was not accepted.
        """
        failure = self.failureResultOf(world.ask(verb, name, **options), StillRequired, Held, BadRequest)
        return str(failure.value)

    def failed(self, outcome: object) -> str:
        """
        Why an action failed.
        """
        self.assertIsInstance(outcome, Failed)
        return f"{outcome.code}: {outcome.text}" if isinstance(outcome, Failed) else ""


class UpTests(Case):
    def test_first_what_is_required(self) -> None:
        """
        The on of a blade turns on the bar, then the chassis, each seen on, and then the blade.
        """
        world = chassis()
        asked = world.want(Verb.ON, "b1", requester="op")
        world.turn(5)

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), asked.outcome)
        told = [(name, command, sorted(on)) for _, name, command, on in world.driver.seen]
        self.assertEqual(
            [("bar", "on", []), ("box", "on", ["bar"]), ("b1", "on", ["bar", "box"])],
            told,
        )
        self.assertEqual([("on", "op, for b1")], world.accepted("box"))
        self.assertEqual([("on", "op, for b1, for box")], world.accepted("bar"))

    def test_nothing_to_do(self) -> None:
        """
        What is required and seen on is read, and nothing is asked of it.
        """
        world = chassis("bar", "box")
        world.turn(60)
        reads = world.machine("box").reads
        asked = world.want(Verb.ON, "b1")
        world.turn(2)

        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual(([], reads + 1), (world.accepted("box"), world.machine("box").reads))

    def test_settle(self) -> None:
        """
        A blade is told to start only when its chassis was on for as long as that takes.
        """
        world = chassis("bar", ready={"box": Ready(after=20.0)})
        asked = world.want(Verb.ON, "b1")
        world.turn(15)
        view = world.registry.view("b1").in_play
        self.assertEqual("box to be ready", view and view.waits_for)
        self.assertEqual([], world.commands("b1"))

        world.turn(10)
        self.assertIsInstance(asked.outcome, Done)
        (start,) = (at for at, name, *_ in world.driver.seen if name == "box")
        (child,) = (at for at, name, *_ in world.driver.seen if name == "b1")
        self.assertGreaterEqual(child - start, 20.0)

    def test_came_on_just_now(self) -> None:
        """
        A chassis that somebody else turned on a moment ago is on, and still has to settle.
        """
        world = chassis("bar", ready={"box": Ready(after=20.0)})
        world.machine("box").on = True
        world.look()
        asked = world.want(Verb.ON, "b1")
        world.turn(15)
        self.assertEqual([], world.commands("b1"))

        world.turn(10)
        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual([], world.commands("box"))

    def test_settled_long_ago(self) -> None:
        """
        A chassis that was never seen off needs no time to settle.
        """
        world = chassis("bar", "box", ready={"box": Ready(after=20.0)})
        asked = world.want(Verb.ON, "b1")
        world.turn(1)

        self.assertIsInstance(asked.outcome, Done)

    def test_probe(self) -> None:
        """
        A chassis is tried until it is ready, once for all of its blades.
        """
        world = chassis("bar", ready={"box": Ready(tcp="box:443")})
        world.refusals += ["box:443: refused"] * 3
        both = [world.want(Verb.ON, name) for name in ("b1", "b2")]
        world.turn(0.5)
        self.assertEqual([], world.commands("b1"))

        world.turn(5)
        self.assertEqual([Done(How.COMMANDED, PowerState.ON)] * 2, [each.outcome for each in both])
        self.assertEqual(["box:443"] * 4, world.probes[:4])
        world.want(Verb.OFF, "b1")
        world.turn(3)
        tried = len(world.probes)
        world.want(Verb.ON, "b1")
        world.turn(3)
        self.assertEqual(tried, len(world.probes))

    def test_never_ready(self) -> None:
        """
        A blade whose chassis does not become ready is not told to start, and its outcome says why.
        """
        world = chassis("bar", ready={"box": Ready(tcp="box:443")})
        world.refusals += ["box:443: refused"] * 1000
        asked = world.want(Verb.ON, "b1")
        world.turn(40)

        expected = "PowerRequirementError: b1: requires box, which is on and not ready: box:443: refused"
        self.assertEqual(expected, self.failed(asked.outcome))
        self.assertEqual([], world.commands("b1"))

    def test_does_not_come_on(self) -> None:
        """
        A blade whose chassis does not come on fails with what that said.
        """
        world = chassis("bar")
        world.machine("box").faults += [Fault.REFUSED]
        asked = world.want(Verb.ON, "b1")
        world.turn(10)

        expected = (
            "PowerRequirementError: b1: requires box, which did not come on: box: unspecified error (0xFF)"
        )
        self.assertEqual(expected, self.failed(asked.outcome))
        self.assertEqual([], world.commands("b1"))

    def test_deadline(self) -> None:
        """
        The time of who asks is that of all that follows.
        """
        world = chassis("bar")
        world.machine("box").latency = 60.0
        asked = world.want(Verb.ON, "b1", deadline=5.0)
        world.turn(6)

        self.assertIn("the deadline of 5 s passed", self.failed(asked.outcome))
        self.assertEqual((["on"], []), (world.commands("box"), world.commands("b1")))
        world.turn(60)
        self.assertEqual([], world.commands("b1"))

    def test_no_slot_meanwhile(self) -> None:
        """
        Who waits for its chassis holds no place among those that start.
        """
        world = chassis("bar", fleet=Limit(1))
        asked = [world.want(Verb.ON, name) for name in ("b1", "b2")]
        world.turn(10)

        self.assertEqual([Done] * 2, [type(each.outcome) for each in asked])

    def test_newer_off_of_the_parent(self) -> None:
        """
        An off of the chassis that is asked for later is the last word, and the blade's on says so.
        """
        world = chassis("bar")
        world.machine("box").latency = 3.0
        asked = world.want(Verb.ON, "b1")
        world.turn(1)
        off = world.want(Verb.OFF, "box")
        world.turn(20)

        self.assertIn("requires box: off was asked for after this", self.failed(asked.outcome))
        self.assertIsInstance(off.outcome, Done)
        self.assertEqual([], world.commands("b1"))
        self.assertFalse(world.machine("box").on)

    def test_newer_off_that_is_over(self) -> None:
        """
        So is one that has ended by the time when the blade looks again.
        """
        world = chassis("bar", "box", fleet=Limit(1), requires=BESIDE)
        world.machine("x").faults += [Fault.STUCK]
        other = world.want(Verb.ON, "x")
        world.turn(0.2)
        asked = world.want(Verb.ON, "b1", requester="op")
        world.turn(0.5)
        world.want(Verb.OFF, "box", requester="boss")
        world.turn(40)

        self.assertIsInstance(other.outcome, Failed)
        expected = "b1: requires box: it was turned off after this was asked for by boss"
        self.assertIn(expected, self.failed(asked.outcome))

    def test_older_off_of_the_parent(self) -> None:
        """
        After an off that was asked for before, the chassis is turned on again.
        """
        world = chassis("bar", "box")
        off = world.want(Verb.OFF, "box")
        world.turn(0.02)
        asked = world.want(Verb.ON, "b1")
        world.turn(20)

        self.assertEqual((Done, Done), (type(off.outcome), type(asked.outcome)))
        self.assertEqual((["off", "on"], ["on"]), (world.commands("box"), world.commands("b1")))

    def test_hold(self) -> None:
        """
        A hold on a chassis that would have to be turned on refuses the blade's on with its words.
        """
        world = chassis("bar")
        world.registry.holds.hold(
            ["box"], Terms(holder="alice", reason="swapping fans", only=Goal.ON), "alice"
        )

        self.assertIn("box: on is refused, it is held by alice", self.refused(world, Verb.ON, "b1"))

    def test_hold_on_what_is_on(self) -> None:
        """
        A hold on a chassis that is on concerns no blade.
        """
        world = chassis("bar", "box")
        world.registry.holds.hold(["box"], Terms(holder="alice", reason="swapping fans", only=None), "alice")
        asked = world.want(Verb.ON, "b1")
        world.turn(2)

        self.assertIsInstance(asked.outcome, Done)

    def test_drain(self) -> None:
        """
        What follows from an accepted request is done while draining.
        """
        world = chassis()
        asked = world.want(Verb.ON, "b1")
        world.registry.drain("upgrade", "op")
        world.turn(10)

        self.assertIsInstance(asked.outcome, Done)

    def test_power_of_its_bmc(self) -> None:
        """
        A blade whose BMC has its power from the chassis is tried for as long as it takes to come up.
        """
        world = chassis("bar")
        world.machine("b1").read_faults += [Fault.LOST_REQUEST] * 4
        asked = world.want(Verb.ON, "b1")
        world.turn(60)

        self.assertIsInstance(asked.outcome, Done)

    def test_cycle(self) -> None:
        """
        A cycle of a blade asks for its chassis, too.
        """
        world = chassis("bar")
        asked = world.want(Verb.CYCLE, "b1")
        world.turn(10)

        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual((["on"], ["on"]), (world.commands("box"), world.commands("b1")))

    def test_cancel(self) -> None:
        """
        A cancelled on of a blade leaves the chassis its own.
        """
        world = chassis("bar")
        world.machine("box").latency = 3.0
        asked = world.want(Verb.ON, "b1")
        world.turn(1)
        self.successResultOf(world.registry.cancel(asked.ticket.action, "op"))
        world.turn(10)

        self.assertEqual((True, []), (world.machine("box").on, world.commands("b1")))


class DownTests(Case):
    def test_refused(self) -> None:
        """
        A chassis with blades that are on is not turned off or cycled, and the line names them.
        """
        world = chassis("bar", "box", "b1")
        expected = {
            verb: f"box: {verb.value} is refused, it carries b1 (on); turn these off first"
            for verb in (Verb.OFF, Verb.SOFT_OFF, Verb.CYCLE)
        }
        for verb in (Verb.OFF, Verb.SOFT_OFF):
            expected[verb] += ", or ask for it with what it carries (--with-children)"

        self.assertEqual(expected, {verb: self.refused(world, verb, "box") for verb in expected})
        self.assertIn(
            "bar: off is refused, it carries box (on), b1 (on)", self.refused(world, Verb.OFF, "bar")
        )

    def test_not_known(self) -> None:
        """
        A blade that cannot be read is not known to be off; one below which something is off does not count.
        """
        world = chassis("bar", "box")
        world.machine("b1").read_faults += [Fault.LOST_REQUEST]
        world.registry.query("b1")
        world.turn(3)

        text = self.refused(world, Verb.OFF, "box")
        self.assertIn("it carries b1 (not known to be off: unknown)", text)
        world.machine("box").on = False
        world.registry.query("box")
        world.turn(3)
        off = world.want(Verb.OFF, "bar")
        world.turn(3)
        self.assertIsInstance(off.outcome, Done)

    def test_coming_on(self) -> None:
        """
        A blade that was told to start counts as on.
        """
        world = chassis("bar", "box")
        world.machine("b1").latency = 5.0
        world.want(Verb.ON, "b1")
        world.turn(1)

        self.assertIn("it carries b1 (may be coming on)", self.refused(world, Verb.OFF, "box"))

    def test_all_off(self) -> None:
        """
        A chassis whose blades are off goes off.
        """
        world = chassis("bar", "box")
        off = world.want(Verb.OFF, "box")
        world.turn(2)

        self.assertIsInstance(off.outcome, Done)

    def test_going_off(self) -> None:
        """
        Where blades are about to go off the chassis waits for them.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").latency = 4.0
        world.want(Verb.OFF, "b1")
        off = world.want(Verb.OFF, "box")
        world.turn(2)
        view = world.registry.view("box").in_play
        self.assertIn("b1 to go off", view.waits_for if view else "")
        world.turn(10)

        self.assertIsInstance(off.outcome, Done)
        self.assertEqual([("b1", "off"), ("box", "off")], [(n, c) for _, n, c, _ in world.driver.seen])

    def test_batch(self) -> None:
        """
        A batch of offs names a chassis and its blades in any order; who is not named is in the way.
        """
        for names in (["box", "b1", "b2"], ["b2", "box", "b1"], ["b1", "b2", "box"]):
            world = chassis("bar", "box", "b1", "b2")
            world.machine("b1").latency = 1.0
            offs = [Request(node=name, verb=Verb.OFF, request_id=f"off-{name}") for name in names]
            tickets = self.successResultOf(world.registry.submit_many(offs))
            self.assertEqual([False] * 3, [isinstance(each, RequestRefused) for each in tickets])
            world.turn(10)
            self.assertEqual("box", world.driver.seen[-1][1])
            self.assertEqual(3, len(world.driver.seen))
            ends = [self.successResultOf(each.wait()) for each in tickets]
            self.assertEqual([PowerState.OFF] * 3, [each.state for each in ends])

        world = chassis("bar", "box", "b1", "b2")
        offs = [Request(node=name, verb=Verb.OFF, request_id=f"off-{name}") for name in ("box", "b1")]
        refused, _ = self.successResultOf(world.registry.submit_many(offs))
        self.assertIn("box: off is refused, it carries b2 (on); turn these off first, or", str(refused))

    def test_batch_as_it_stands(self) -> None:
        """
        A batch with other verbs is decided as it stands: there the order says what was meant.
        """
        world = chassis("bar", "box", "b1")
        mixed = [("box", Verb.OFF), ("b1", Verb.OFF), ("bar", Verb.ON)]
        requests = [Request(node=name, verb=verb, request_id=f"{name}-{verb.value}") for name, verb in mixed]
        refused, *_ = self.successResultOf(world.registry.submit_many(requests))

        self.assertIsInstance(refused, StillRequired)

    def test_going_off_in_vain(self) -> None:
        """
        If one of them does not go off the chassis stays on.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").faults += [Fault.REFUSED]
        world.want(Verb.OFF, "b1")
        off = world.want(Verb.OFF, "box")
        world.turn(10)

        expected = "PowerRequirementError: box: not turned off, it carries b1 (on)"
        self.assertEqual(expected, self.failed(off.outcome))
        self.assertEqual([], world.commands("box"))

    def test_with_children(self) -> None:
        """
        With what it carries: those above go off first, each by its own lane, seen off.
        """
        world = chassis("bar", "box", "b1", "b2")
        off = world.want(Verb.OFF, "bar", with_children=True, requester="op")
        world.turn(10)

        self.assertEqual(Done(How.FORCED, PowerState.OFF), off.outcome)
        told = [(name, sorted(on)) for _, name, _, on in world.driver.seen]
        self.assertEqual({("b1", "b2")}, {tuple(sorted(name for name, _ in told[:2]))})
        self.assertEqual([("box", ["bar", "box"]), ("bar", ["bar"])], told[2:])
        self.assertEqual([("off", "op, for bar, for box")], world.accepted("b1"))

    def test_soft_with_children(self) -> None:
        """
        A soft-off asks those above softly, too.
        """
        world = chassis("bar", "box", "b1")
        off = world.want(Verb.SOFT_OFF, "box", with_children=True)
        world.turn(10)

        self.assertIsInstance(off.outcome, Done)
        self.assertEqual((["soft"], ["soft"]), (world.commands("b1"), world.commands("box")))

    def test_hard_cuts_and_says_so(self) -> None:
        """
        A hard off with what it carries gets through, and says whose power it has cut.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").faults += [Fault.REFUSED] * 9
        off = world.want(Verb.OFF, "box", with_children=True)
        world.turn(20)

        cut = "cut the power of b1 (on), which did not go off"
        self.assertEqual(Done(How.FORCED, PowerState.OFF, text=cut), off.outcome)
        self.assertIn(cut, [entry.text for entry in world.journal.of(Entered) if entry.node == "box"])

    def test_soft_does_not_cut(self) -> None:
        """
        A soft-off leaves the chassis on if a blade does not go off.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").obeys_soft = False
        world.machine("b1").faults += [Fault.REFUSED] * 9
        off = world.want(Verb.SOFT_OFF, "box", with_children=True)
        world.turn(60)

        self.assertIn("not turned off, it carries b1 (on)", self.failed(off.outcome))
        self.assertEqual([], world.commands("box"))

    def test_hardened(self) -> None:
        """
        A hard off with what it carries hardens the soft-offs of the blades.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").obeys_soft = False
        soft = world.want(Verb.SOFT_OFF, "box", with_children=True)
        world.turn(1)
        hard = world.want(Verb.OFF, "box", with_children=True)
        world.turn(5)

        self.assertEqual(
            ([Done], [Done]), ([type(o) for o in soft.outcomes], [type(o) for o in hard.outcomes])
        )
        self.assertEqual(["soft", "off"], world.commands("b1"))

    def test_came_on_by_itself(self) -> None:
        """
        A blade that somebody turned on by hand is not cut off by an off that was accepted before.
        """
        world = chassis("bar", "box", "b1")
        world.machine("b1").latency = 3.0
        world.want(Verb.OFF, "b1")
        off = world.want(Verb.OFF, "box")
        world.turn(1)
        world.machine("b2").on = True
        world.registry.query("b2")
        world.turn(10)

        self.assertIn("not turned off, it carries b2 (on)", self.failed(off.outcome))

    def test_held_child(self) -> None:
        """
        A hold on a blade refuses what would take it down.
        """
        world = chassis("bar", "box", "b1")
        world.registry.holds.hold(["b1"], Terms(holder="alice", reason="long run", only=Goal.OFF), "alice")

        text = self.refused(world, Verb.OFF, "box", with_children=True)
        self.assertIn("b1: off is refused, it is held by alice", text)
        self.assertEqual(([], []), (world.accepted("box"), world.accepted("b1")))

    def test_only_for_offs(self) -> None:
        """
        Nothing but an off takes anything down with it.
        """
        world = chassis("bar", "box")
        text = self.refused(world, Verb.CYCLE, "box", with_children=True)

        self.assertEqual("box: cycle takes nothing down with it; off and soft-off do", text)

    def test_supersedes_a_start(self) -> None:
        """
        A blade that is coming on is stopped and turned off.
        """
        world = chassis("bar", "box")
        world.machine("b1").latency = 5.0
        asked = world.want(Verb.ON, "b1")
        world.turn(1)
        off = world.want(Verb.OFF, "box", with_children=True)
        world.turn(30)

        self.assertIsInstance(asked.outcome, Superseded)
        self.assertIsInstance(off.outcome, Done)
        self.assertEqual((False, False), (world.machine("b1").on, world.machine("box").on))

    def test_one_write(self) -> None:
        """
        What an off takes down is accepted in the same write, or nothing is.
        """
        world = chassis("bar", "box", "b1", timing=quick())
        world.journal.hold = True
        answer = world.ask(Verb.OFF, "box", with_children=True)
        self.assertEqual(2, len(world.journal.held[0][1]))
        world.journal.fail(OSError("the disk is full"))
        world.journal.hold = False
        self.failureResultOf(answer, JournalUnavailable)
        self.flushLoggedErrors(OSError)
        world.turn(5)

        self.assertEqual([], world.driver.seen)
        self.assertFalse(world.registry.is_busy("b1"))
