# SPDX-License-Identifier: MIT
"""
The rules of parking, as a table and one by one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.entries import Parked as Entry
from powercoord.model import Node, Target
from powercoord.parking import Cause, ParkingRules
from powercoord.registry.breaker import (
    Parked,
    Sign,
    Standing,
    Trusted,
    Verdict,
    heard_nothing,
    is_another,
    judge,
    recalled,
    second_look,
    sign_of,
    tried_for_nothing,
    tried_in_vain,
)

RULES = ParkingRules(after=3, pause=10.0, longest=35.0, refused=1000.0)
NODE = Node("n1", Target("fake", "bmc", "n1", "settings"))
DEAD = Parked(
    node=NODE.name,
    target=NODE.target,
    cause=Cause.UNREACHABLE,
    reason="no answer",
    since=datetime(2026, 1, 1, tzinfo=UTC),
    pause=10.0,
    due=100.0,
)
DENIED = evolve(DEAD, cause=Cause.REFUSED)
GO, TRY, REFUSE = Verdict.GO, Verdict.TRY, Verdict.REFUSE


def settings(target: Target) -> str:
    return str(target.settings)


def doubled(pause: float) -> float:
    return 2 * pause


class BreakerTests(SynchronousTestCase):
    """
    The functions of `powercoord.registry.breaker`.
    """

    # Before a try is due, when it is, and while one is made: where nobody answers, then where we are refused.
    TABLE: ClassVar = {
        Standing.OFF: (GO, GO, GO, GO, GO, GO),
        Standing.ON_ITS_WAY: (GO, GO, GO, REFUSE, TRY, REFUSE),
        Standing.RESUMED: (TRY, TRY, REFUSE, REFUSE, TRY, REFUSE),
        Standing.NEW: (REFUSE, TRY, REFUSE, REFUSE, TRY, REFUSE),
        Standing.QUERY: (REFUSE, REFUSE, REFUSE, REFUSE, REFUSE, REFUSE),
        Standing.PROBE: (TRY, TRY, REFUSE, TRY, TRY, REFUSE),
    }

    def test_who_may_pass(self) -> None:
        """
        Each in each case, as the note says.
        """
        self.assertEqual(set(Standing), set(self.TABLE))
        for standing, row in self.TABLE.items():
            found = [
                judge(evolve(state, trying=trying), standing, now)
                for state in (DEAD, DENIED)
                for now, trying in ((99.0, False), (100.0, False), (100.0, True))
            ]
            self.assertEqual(row, tuple(found), standing)
            self.assertIs(GO, judge(Trusted(silent=2), standing, 0.0))

    def test_signs(self) -> None:
        """
        Whatever a BMC says is an answer; only silence and a refused password count.
        """
        for error, sign in (
            (None, Sign.ANSWER),
            (e.PowerActionError("busy"), Sign.ANSWER),
            (e.PowerRefusedError("no"), Sign.ANSWER),
            (e.PowerConnError("no answer", sent=True), Sign.SILENCE),
            (e.PowerAuthError("password"), Sign.DENIAL),
            (e.PowerParkedError("parked"), Sign.NOTHING),
            (e.PowerSettingError("setting"), Sign.NOTHING),
            (e.PowerToolError("tool"), Sign.NOTHING),
            (e.OperationCancelled(), Sign.NOTHING),
            (ZeroDivisionError(), Sign.NOTHING),
        ):
            self.assertIs(sign, sign_of(error), error)

    def test_streaks(self) -> None:
        """
        It takes so many in a row; where another node is heard, of more than one node.
        """
        other = evolve(NODE, target=evolve(NODE.target, selector="n2"))
        once = heard_nothing(Trusted(), NODE, RULES, 50.0, others_answer=False)
        assert isinstance(once, Trusted)
        self.assertEqual((1, NODE, 52.0), (once.silent, once.node, once.due))
        twice = heard_nothing(once, NODE, RULES, 60.0, others_answer=False)
        assert isinstance(twice, Trusted)
        self.assertEqual((2, 64.0), (twice.silent, twice.due))

        self.assertIs(Cause.UNREACHABLE, heard_nothing(twice, NODE, RULES, 70.0, others_answer=False))
        thrice = heard_nothing(twice, NODE, RULES, 70.0, others_answer=True)
        assert isinstance(thrice, Trusted)
        self.assertEqual((3, frozenset({"n1"}), 78.0), (thrice.silent, thrice.towards, thrice.due))
        self.assertIs(Cause.UNREACHABLE, heard_nothing(twice, other, RULES, 70.0, others_answer=True))
        self.assertEqual(RULES.longest, second_look(10**6, RULES))

    def test_pauses(self) -> None:
        """
        A try in vain doubles the pause up to the longest; one before its time, or broken off, does not.
        """
        trying = evolve(DEAD, trying=True)
        once = tried_in_vain(trying, RULES, 100.0, doubled)
        self.assertEqual((20.0, 140.0, False), (once.pause, once.due, once.trying))
        self.assertEqual(35.0, tried_in_vain(once, RULES, 140.0, doubled).pause)
        self.assertEqual(evolve(trying, trying=False), tried_in_vain(trying, RULES, 50.0, doubled))
        denied = tried_in_vain(DENIED, RULES, 100.0, doubled)
        self.assertEqual((1000.0, 2100.0), (denied.pause, denied.due))
        broken = tried_for_nothing(trying, 100.0, doubled)
        self.assertEqual((10.0, 120.0, False), (broken.pause, broken.due, broken.trying))

    def test_another(self) -> None:
        """
        The same node with other settings is another; another node is not, for its settings differ anyway.
        """
        changed = evolve(NODE, target=evolve(NODE.target, settings="other"))

        for before in (DENIED, evolve(DENIED, target=None, mark="settings")):
            self.assertTrue(is_another(before, changed, settings))
            self.assertFalse(is_another(before, NODE, settings))
            self.assertFalse(is_another(before, evolve(changed, name="n2"), settings))
        self.assertTrue(is_another(evolve(DENIED, target=None), NODE, settings))

    def test_recalled(self) -> None:
        """
        After a restart the time that was set holds, by the wall clock, but for no longer than is configured.
        """
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for next_try, now, due in ((900, 300, 650.0), (900, 1000, 50.0), (5000, 0, 1050.0)):
            entry = Entry(at, "n1", "bmc", Cause.REFUSED, "no", at + timedelta(seconds=next_try), mark="m")
            state = recalled(entry, at + timedelta(seconds=now), 50.0, RULES)
            self.assertEqual(
                (due, at, "n1", None, "m"), (state.due, state.since, state.node, state.target, state.mark)
            )
        again = evolve(entry, since=at - timedelta(days=1))
        self.assertEqual(at - timedelta(days=1), recalled(again, at, 50.0, RULES).since)
