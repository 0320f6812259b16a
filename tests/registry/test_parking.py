# SPDX-License-Identifier: MIT
"""
Endpoints that do not answer: who is still let through to them, and how they are found again.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Recovered
from powercoord.entries import Parked, Unparked
from powercoord.model import Failed, How, PowerState, Verb
from powercoord.parking import Cause
from powercoord.testing.driver import Fault
from tests.hypothesis_notes import HypothesisNotes
from tests.registry.projection import project
from tests.registry.sick import RULES, Ward, ward
from tests.registry.test_recovery import S, left

ALL_VERBS = (Verb.ON, Verb.CYCLE, Verb.RESET, Verb.BOOT)


class UnreachableTests(SynchronousTestCase):
    """
    Endpoints that are silent.
    """

    def setUp(self) -> None:
        self.world = ward()
        self.driver = self.world.driver

    def test_opens(self) -> None:
        """
        So many operations in a row without an answer park an endpoint, and watchers hear it once.
        """
        self.driver.dead.add("fake:n1")
        for number in (1, 2, 3):
            self.assertFalse(self.world.is_parked(), number)
            self.world.really_query("n1")
        parked = self.world.registry.view("n1").parked

        assert parked is not None
        self.assertEqual(
            ("fake:n1", Cause.UNREACHABLE, "no answer"), (parked.endpoint, parked.cause, parked.reason)
        )
        self.assertLess(abs(10.0 - (parked.next_try)), 0.2)
        self.assertIsNone(self.world.registry.view("n2").parked)
        (entry,) = self.world.journal.of(Parked)
        self.assertEqual(("n1", "fake:n1", Cause.UNREACHABLE), (entry.node, entry.endpoint, entry.cause))
        self.world.turn(300, step=0.5)
        self.assertEqual(1, len(self.world.journal.of(Parked)))

    def test_an_answer_between(self) -> None:
        """
        Any answer begins the count anew, a refusal too.
        """
        lost, no = Fault.LOST_ANSWER, Fault.REFUSED
        self.world.machine().read_faults = [lost, lost, no, lost, lost, Fault.BUSY, lost, lost]
        for _ in range(9):
            self.world.really_query("n1")

        self.assertFalse(self.world.is_parked())

    def test_query(self) -> None:
        """
        A query is answered at once, with what was known, how old that is, and why it is not asked.
        """
        self.world.registry.query("n1")
        self.world.turn(1.0)
        self.world.silence()
        before = len(self.driver.tried)
        observed = self.successResultOf(self.world.registry.query("n1"))

        self.assertIs(PowerState.UNKNOWN, observed.state)
        self.assertRegex(
            observed.text,
            r"^fake:n1 is parked since 2026-01-01 00:00:0\d\+00:00, because no answer; next try in 10 s;"
            r" was off 7 s ago$",
        )
        self.assertLess(abs(self.world.clock.seconds() - (observed.at or 0.0)), 0.3)
        self.assertEqual(before, len(self.driver.tried))

    def test_under_suspicion(self) -> None:
        """
        One silence is enough to spare those who only ask; changes pass, and it is looked at again soon.
        """
        self.driver.dead.add("fake:n1")
        self.world.registry.query("n1")
        self.world.turn(2.1, step=0.1)
        text = self.successResultOf(self.world.registry.query("n1")).text
        self.assertEqual("fake:n1 did not answer once just now; looked at again in 2 s", text)
        self.assertEqual(1, len(self.driver.tried))
        self.world.want(Verb.ON)
        self.world.turn(0.1)
        self.assertEqual(2, len(self.driver.tried))

        world = ward()
        world.driver.dead.add("fake:n1")
        world.registry.query("n1")
        world.turn(4.5, step=0.1)
        world.driver.dead.clear()
        world.turn(6.0, step=0.1)
        asked = world.registry.query("n1")
        world.turn(0.1)
        self.assertIs(PowerState.OFF, self.successResultOf(asked).state)

    def test_found_dead_without_being_asked(self) -> None:
        """
        What was silent once is parked soon if it stays so, though nobody asks again.
        """
        self.driver.dead.add("fake:n1")
        self.world.registry.query("n1")
        self.world.turn(13, step=0.1)

        self.assertTrue(self.world.is_parked())
        self.assertEqual(3, len(self.driver.tried))

    def test_changes(self) -> None:
        """
        Every verb but the offs fails at once, with nothing sent, and may be tried again later.
        """
        self.world.silence()
        before = len(self.driver.tried)
        for verb in (Verb.ON, Verb.CYCLE, Verb.RESET):
            asked = self.world.want(verb)
            self.world.turn(0.1)
            outcome = asked.outcome

            assert isinstance(outcome, Failed)
            self.assertEqual(("PowerParkedError", True), (outcome.code, outcome.retryable))
            self.assertIn("n1: fake:n1 is parked since", outcome.text)
            self.assertIn("because no answer; next try in", outcome.text)
        self.assertEqual(before, len(self.driver.tried))

    def test_off(self) -> None:
        """
        An off is tried whatever is known, and what it finds well is parked no more.
        """
        for verb in (Verb.OFF, Verb.SOFT_OFF):
            world = ward()
            world.machine().on = True
            world.silence()
            world.driver.dead.clear()
            asked = world.want(verb)
            world.turn(1.0)

            self.assertIn(asked.outcome.how, (How.FORCED, How.GRACEFUL))
            self.assertFalse(world.is_parked())
            (entry,) = world.journal.of(Unparked)
            self.assertEqual(("fake:n1", "it answers again", ""), (entry.endpoint, entry.text, entry.by))

    def test_off_in_vain(self) -> None:
        """
        An off at a dead endpoint is really sent, and moves no try of its own accord.
        """
        self.world.silence()
        due = self.world.registry.view("n1").parked.next_try + self.world.clock.seconds()  # type: ignore[union-attr]
        self.world.want(Verb.OFF)
        self.world.turn(3.0)

        self.assertIn("off", [what for _, _, what in self.driver.tried])
        now = self.world.clock.seconds()
        self.assertLess(abs(due - (self.world.registry.view("n1").parked.next_try + now)), 0.1)  # type: ignore[union-attr]

    def test_on_its_way(self) -> None:
        """
        What has begun when the endpoint is parked goes on with its own few tries.
        """
        self.driver.dead.add("fake:n1")
        self.world.registry.query("n1")
        self.world.registry.query("n1")
        self.world.turn(2.1, step=0.1)
        asked = self.world.want(Verb.ON)
        self.world.turn(3.0, step=0.1)
        self.world.registry.query("n1")
        self.world.turn(20, step=0.1)

        self.assertTrue(self.world.is_parked())
        self.assertEqual("PowerConnError", asked.outcome.code)

    def test_pauses_grow(self) -> None:
        """
        Tries come ever more rarely, up to the longest pause, and one ends it when there is an answer.
        """
        self.world.silence()
        self.driver.tried.clear()
        begun = self.world.clock.seconds()
        self.world.turn(170, step=0.1)
        pauses = [10, 2 + 20, 2 + 40, 2 + 40, 2 + 40]
        expected = [begun + sum(pauses[: number + 1]) for number in range(len(pauses))]
        for at, wanted in zip(self.driver.times(), expected, strict=True):
            self.assertLess(abs(wanted - (at)), 1.0)

        self.driver.dead.clear()
        self.world.turn(43, step=0.1)
        self.assertFalse(self.world.is_parked())
        self.assertIs(PowerState.OFF, self.world.registry.view("n1").observed.state)

    def test_not_serving(self) -> None:
        """
        Where nothing is begun by itself, whoever asks when a try is due sets it off.
        """
        for ask in ("query", "on"):
            world = ward(serving=False)
            world.silence()
            world.turn(11, step=0.5)
            self.assertEqual([], world.clock.getDelayedCalls())
            world.driver.dead.clear()
            world.driver.tried.clear()
            if ask == "query":
                observed = self.successResultOf(world.registry.query("n1"))
                self.assertIn("being tried now", observed.text)
            else:
                world.want(Verb.ON)
            world.turn(1.0)
            self.assertEqual("read", world.driver.tried[0][2])
            self.assertFalse(world.is_parked())

    def test_unpark(self) -> None:
        """
        A person ends it there and then, by name; of what is not parked that is said.
        """
        self.world.silence()

        self.assertTrue(self.world.registry.unpark("n1", "alice"))
        self.assertFalse(self.world.registry.unpark("n1", "alice"))
        (entry,) = self.world.journal.of(Unparked)
        self.assertEqual(("alice", "alice said so"), (entry.by, entry.text))
        asked = self.world.registry.query("n1")
        self.assertNoResult(asked)
        self.world.turn(3.0)
        self.assertEqual("no answer", self.successResultOf(asked).text)

    def test_stop(self) -> None:
        """
        A stop leaves no timer, and a try under way is ended.
        """
        self.world.silence()
        self.world.turn(10.5, step=0.1)
        self.world.registry.stop("upgrade")

        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_gone(self) -> None:
        """
        When its node is taken out of the configuration nothing is tried any more.
        """
        self.world.silence()
        del self.world.roster.nodes["n1"]
        self.world.registry.breakers.reconsider()
        self.world.turn(100, step=1.0)

        self.assertEqual([], self.world.clock.getDelayedCalls())
        self.assertEqual(1, len(self.world.journal.of(Unparked)))

    def test_no_time(self) -> None:
        """
        An operation that got less time than it can take says nothing about its endpoint.
        """
        self.world.machine().latency = 100
        for _ in range(5):
            self.world.machine().read_faults = [Fault.LOST_ANSWER] * 9
            self.world.want(Verb.ON, deadline=1.0)
            self.world.turn(4.0, step=0.1)

        self.assertFalse(self.world.is_parked())


class SharedTests(SynchronousTestCase):
    """
    Many nodes at one endpoint.
    """

    def setUp(self) -> None:
        self.world = ward(shared_endpoint=True, count=40)

    def test_all_wait_for_three(self) -> None:
        """
        When an endpoint is dead its first few operations show it, and all others that wait are answered then.
        """
        self.world.driver.dead.add("fake:bmc")
        asked = [self.world.registry.query(name) for name in self.world.names()]
        self.world.turn(6.5, step=0.1)

        texts = [self.successResultOf(one).text for one in asked]
        self.assertEqual(3, texts.count("no answer"))
        self.assertEqual(37, sum("is parked" in text for text in texts))
        self.assertEqual(3, len(self.world.driver.tried))

    def test_one_of_many(self) -> None:
        """
        A node that nobody hears from is not its chassis.
        """
        self.world.registry.query("n2")
        self.world.turn(0.1)
        self.world.driver.dead.add("n1")
        for _ in range(5):
            self.world.really_query("n1")
        self.assertFalse(self.world.is_parked("n2"))

        self.world.driver.dead.add("n3")
        self.world.really_query("n3")
        self.assertTrue(self.world.is_parked("n2"))

    def test_refusals(self) -> None:
        """
        A BMC that says no to one node, however often, is well.
        """
        self.world.machine("n1").read_faults = [Fault.REFUSED] * 20
        for _ in range(20):
            self.world.registry.query("n1")
            self.world.turn(0.1)

        self.assertFalse(self.world.is_parked())


class RefusedTests(SynchronousTestCase):
    """
    Endpoints that do not take our password.
    """

    def setUp(self) -> None:
        self.world = ward()
        self.world.driver.locked["fake:n1"] = "right"
        self.world.registry.query("n1")
        self.world.turn(0.5)

    def test_once(self) -> None:
        """
        One refused password is enough; it is not tried again for a long time, whoever asks.
        """
        for verb in (Verb.ON, Verb.CYCLE):
            self.world.want(verb)
        self.world.registry.query("n1")
        self.world.turn(900, step=1.0)

        self.assertEqual(1, len(self.world.driver.tried))
        observed = self.successResultOf(self.world.registry.query("n1"))
        self.assertIs(PowerState.ERROR, observed.state)
        self.assertIn("password is wrong", observed.text)
        self.world.turn(110, step=1.0)
        self.assertEqual(2, len(self.world.driver.tried))

    def test_other_settings(self) -> None:
        """
        With other settings it is tried at once: by whoever asks, or when they are read.
        """
        self.world.change_password("n1", "right")
        asked = self.world.registry.query("n1")
        self.world.turn(0.5)
        self.assertIs(PowerState.OFF, self.successResultOf(asked).state)

        self.setUp()
        self.world.change_password("n1", "right")
        self.world.registry.breakers.reconsider()
        self.assertFalse(self.world.is_parked())

    def test_same_settings(self) -> None:
        """
        Reading the same settings again is no reason.
        """
        self.world.registry.breakers.reconsider()

        self.assertTrue(self.world.is_parked())

    def test_off(self) -> None:
        """
        An off has its one try here, too.
        """
        asked = self.world.want(Verb.OFF)
        self.world.turn(1.0)

        self.assertEqual("PowerAuthError", asked.outcome.code)
        self.assertEqual(2, len(self.world.driver.tried))

    def test_in_the_queue(self) -> None:
        """
        Of those who wait at an endpoint one finds out, and the others do not try.
        """
        world = ward(shared_endpoint=True, count=10)
        world.driver.locked["fake:bmc"] = "right"
        for name in world.names():
            world.registry.query(name)
            world.want(Verb.ON, name)
        world.turn(2.0)

        self.assertEqual(1, len(world.driver.tried))


class RestartTests(SynchronousTestCase):
    """
    Actions that a restart has interrupted.
    """

    def test_goes_on(self) -> None:
        """
        One whose endpoint is parked by others before its turn tries on, and gets there when the BMC is back.
        """
        world = Ward(timing=ward().timing, shared_endpoint=True)
        world.clock.advance(1000)
        lost = left(world, Verb.ON, S, "on", "on", node="n2")
        world.driver.dead.add("fake:bmc")
        for _ in range(RULES.after):
            world.really_query("n1")
        self.assertTrue(world.is_parked("n2"))
        world.registry.recover(Recovered(left=(lost,)))
        world.turn(6.0, step=0.1)
        self.assertEqual(["n2"], [view.node.name for view in world.registry.busy()])
        world.driver.dead.clear()
        world.turn(20.0, step=0.1)

        self.assertTrue(world.machine("n2").on)
        self.assertFalse(world.is_parked("n2"))


class RememberedTests(SynchronousTestCase):
    """
    Refused passwords, over a restart of the coordinator.
    """

    def setUp(self) -> None:
        world = ward()
        world.registry.recover(Recovered(key=b"k"))
        world.driver.locked["fake:n1"] = "right"
        world.registry.query("n1")
        world.turn(0.5)
        self.before = world
        self.entries = world.journal.entries

    def again(
        self, after: float = 100.0, key: bytes = b"k", password: str = "", *, absent: bool = False
    ) -> Ward:
        """
        Another coordinator, so many seconds after the first began.
        """
        world = ward()
        world.clock.advance(after)
        world.driver.locked["fake:n1"] = "right"
        if password:
            world.change_password("n1", password)
        self.node = world.roster.nodes["n1"]
        if absent:
            del world.roster.nodes["n1"]
        world.registry.recover(Recovered(refused=project(self.entries).refused, key=key))
        return world

    def test_not_tried(self) -> None:
        """
        It is not tried again until the time that was set before the restart, and then once.
        """
        world = self.again()
        parked = world.registry.view("n1").parked
        assert parked is not None
        self.assertIs(Cause.REFUSED, parked.cause)
        self.assertLess(abs(900 - parked.next_try), 1.0)
        asked = world.want(Verb.ON)
        world.turn(890.0, step=5.0)
        self.assertEqual(("PowerParkedError", 0), (asked.outcome.code, len(world.driver.tried)))
        world.turn(20.0, step=1.0)
        self.assertEqual(1, len(world.driver.tried))

    def test_off(self) -> None:
        """
        An off has its one try here, too, and what it finds is written with its time.
        """
        world = self.again()
        asked = world.want(Verb.OFF)
        world.turn(1.0)

        self.assertEqual("PowerAuthError", asked.outcome.code)
        (entry,) = world.journal.of(Parked)
        (before,) = self.before.journal.of(Parked)
        self.assertEqual((before.at, before.mark, None), (entry.since, entry.mark, before.since))
        self.assertEqual(1000.0, (entry.next_try - entry.at).total_seconds())

    def test_other_settings(self) -> None:
        """
        With other settings, or where nobody can tell, it is not parked any more, and that is written.
        """
        for world in (self.again(password="guess"), self.again(key=b"other"), self.again(key=b"")):
            self.assertFalse(world.is_parked())
            (entry,) = world.journal.of(Unparked)
            self.assertEqual("its settings have changed", entry.text)
            world.registry.query("n1")
            world.turn(0.5)
            self.assertEqual(1, len(world.driver.tried))

    def test_brought_later(self) -> None:
        """
        A node that a caller brings only later is known then: tried at once with other settings, else not.
        """
        for password, tries in (("", 0), ("guess", 1)):
            world = self.again(password=password, absent=True)
            world.registry.breakers.reconsider()
            world.turn(10.0, step=1.0)
            world.roster.nodes["n1"] = self.node
            world.registry.query("n1")
            world.turn(0.5)
            self.assertEqual(tries, len(world.driver.tried), password)
        world = self.again(absent=True)
        world.turn(950.0, step=5.0)
        self.assertEqual("the node that has shown it is gone", world.journal.of(Unparked)[0].text)

    def test_unparked(self) -> None:
        """
        What a person has unparked is not parked after a restart, nor is what was silent.
        """
        self.before.registry.unpark("n1", "alice")
        self.before.silence("n2")
        self.assertTrue(self.before.is_parked("n2"))
        world = self.again()

        self.assertEqual([False, False], [world.is_parked(name) for name in ("n1", "n2")])

    def test_many_restarts(self) -> None:
        """
        However often it is begun again, a wrong password is tried as often as if it never had been.
        """
        tried = 0
        for number in range(1, 60):
            world = self.again(after=50.0 * number)
            world.registry.query("n1")
            world.turn(1.0, step=0.1)
            self.entries += world.journal.entries
            tried += len(world.driver.tried)

        self.assertEqual(2, tried)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["die", "live", "lock", "query", "on", "off", "wait", "long", "unpark", "reload"]),
        st.sampled_from(["n1", "n2", "n3"]),
    ),
    max_size=25,
)


class PropertyTests(HypothesisNotes, SynchronousTestCase):
    """
    Whatever happens.
    """

    @given(STEPS)
    def test_always(self, steps: list[tuple[str, str]]) -> None:
        """
        Offs are always tried, tries never meet, and an endpoint that is well again is always found again.
        """
        world = ward()
        for what, name in steps:
            self._step(world, what, name)
        world.driver.dead.clear()
        world.driver.locked.clear()
        world.turn(RULES.refused * 1.5, step=5.0)

        self.assertEqual([], [name for name in world.names() if world.is_parked(name)])
        self.assertEqual([], world.clock.getDelayedCalls())
        self.assertTrue(all(most == 1 for most in world.driver.busiest.values()), world.driver.busiest)

    def _step(self, world: Ward, what: str, name: str) -> None:  # noqa: C901 - one for each thing that happens
        driver = world.driver
        endpoint, before = f"fake:{name}", len(driver.tried)
        if what == "die":
            driver.dead.add(endpoint)
        elif what == "live":
            driver.dead.discard(endpoint)
        elif what == "lock":
            driver.locked[endpoint] = "right"
        elif what == "query":
            parked = world.is_parked(name)
            asked = world.registry.query(name)
            if parked and not world.registry.is_busy(name):
                self.assertIn("is parked", self.successResultOf(asked).text)
        elif what == "on":
            world.ask(Verb.ON, name)
        elif what == "off":
            asked_off = world.want(Verb.OFF, name)
            world.turn(45, step=0.5)
            if asked_off.ticket.superseded == ():
                self.assertIn(name, [selector for _, selector, _ in driver.tried[before:]])
        elif what == "unpark":
            world.registry.unpark(name, "test")
        elif what == "reload":
            world.registry.breakers.reconsider()
        world.turn({"wait": 5.0, "long": 100.0}.get(what, 0.5), step=0.5)

    @given(st.lists(st.sampled_from(["query", "on", "cycle", "reset", "wait", "reload"]), max_size=20))
    def test_wrong_password(self, steps: list[str]) -> None:
        """
        A wrong password is tried once for each that is set, whatever is asked but an off.
        """
        world = ward(count=1)
        world.driver.locked["fake:n1"] = "right"
        world.registry.query("n1")
        for number, what in enumerate(steps):
            world.turn(2.0, step=0.5)
            if what == "query":
                world.registry.query("n1")
            elif what == "reload":
                world.change_password("n1", f"guess{number}")
                world.registry.breakers.reconsider()
                world.registry.query("n1")
            elif what != "wait":
                world.ask(Verb(what))
        world.turn(30.0, step=0.5)

        self.assertEqual(1 + steps.count("reload"), len(world.driver.tried))
