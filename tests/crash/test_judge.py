# SPDX-License-Identifier: MIT
"""
Tests for `tests.crash.judge`: that it would notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Left, Recovered, Seen
from powercoord.entries import Accepted, Answered, Ended, Entered, Entry
from powercoord.model import (
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Phase,
    PowerState,
    Request,
    Unknown,
    Verb,
    Wanted,
)
from tests.crash.judge import Evidence, complaints
from tests.crash.machines import Received, Witness

START = datetime(2026, 11, 21, tzinfo=UTC)
HALVES = {
    Verb.OFF: ["off"],
    Verb.ON: ["on"],
    Verb.CYCLE: ["off", "on"],
    Verb.RESET: ["reset"],
    Verb.SOFT_OFF: ["soft", "off"],
}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def received(*sent: tuple[float, str]) -> list[Received]:
    return [Received(at(seconds).timestamp(), verb) for seconds, verb in sent]


def story(verb: Verb, outcome: Any, begin: float = 0.0) -> list[Entry]:
    """
    One action from its acceptance to its end, four seconds long.
    """
    request = Request(node="n1", verb=verb, request_id=f"r{begin:g}")
    action = f"a{begin:g}"
    return [
        Accepted(at(begin), request, action, Disposition.STARTED, at(begin + 60)),
        *(Entered(at(begin + 1), "n1", action, Phase.SENT, half) for half in HALVES[verb]),
        Ended(at(begin + 4), "n1", action, outcome),
        Answered(at(begin + 4), "n1", request.request_id, action, outcome),
    ]


OFF = Done(How.FORCED, PowerState.OFF)
ON = Done(How.COMMANDED, PowerState.ON)


class JudgeTests(SynchronousTestCase):
    def evidence(self, verb: Verb, *sent: tuple[float, str], outcome: Any = None) -> Evidence:
        """
        All in order: a verb, and what the BMC received for it.
        """
        goal = Goal.OFF if verb in (Verb.OFF, Verb.SOFT_OFF) else Goal.ON
        outcome = outcome or (OFF if goal is Goal.OFF else ON)
        state = PowerState(goal.value)
        wanted = (
            {} if verb is Verb.RESET else {"n1": Wanted(goal=goal, since=START, action="a0", request_id="r0")}
        )
        return Evidence(
            entries=story(verb, outcome),
            recovered=Recovered(wanted={} if verb is Verb.RESET else wanted, seen={"n1": Seen(START, state)}),
            witnesses={"n1": Witness(goal is Goal.OFF, received(*sent), goal is Goal.ON)},
            heard={"r0": "a0"},
            outcomes={"r0": outcome},
        )

    def assertComplains(self, text: str, evidence: Evidence) -> None:
        self.assertIn(text, "\n".join(complaints(evidence)))

    def without(self, kind: type, evidence: Evidence) -> Evidence:
        kept = [entry for entry in evidence.entries if not isinstance(entry, kind)]
        return evolve(evidence, entries=kept)

    def more(self, evidence: Evidence, entries: Sequence[Entry]) -> Evidence:
        return evolve(evidence, entries=[*evidence.entries, *entries])

    def test_in_order(self) -> None:
        """
        It does not complain of what is right, a command repeated where it may be included.
        """
        for verb, sent in (
            (Verb.OFF, [(2, "off"), (3, "off")]),
            (Verb.ON, [(2, "set-boot"), (3, "on")]),
            (Verb.ON, []),
            (Verb.CYCLE, [(2, "off"), (2.5, "off"), (3, "on")]),
            (Verb.RESET, [(2, "reset")]),
            (Verb.SOFT_OFF, [(2, "soft"), (3, "off")]),
        ):
            self.assertEqual([], complaints(self.evidence(verb, *sent)), verb)

    def test_terminal_records(self) -> None:
        """
        It counts the terminal records of each accepted request.
        """
        evidence = self.evidence(Verb.OFF, (2, "off"))

        self.assertComplains("r0 has 0 terminal records", self.without(Answered, evidence))
        self.assertComplains("r0 has 2 terminal records", self.more(evidence, evidence.entries[-1:]))
        self.assertComplains("never ended", self.without(Ended, evidence))

    def test_lost(self) -> None:
        """
        It misses what was said to be accepted and is not in the journal.
        """
        evidence = evolve(self.evidence(Verb.OFF, (2, "off")), heard={"r0": "a0", "r1": "a1"})

        self.assertComplains("r1 was heard to be accepted by a1, and the journal knows None", evidence)
        self.assertComplains("r0 was heard to be accepted by a9", evolve(evidence, heard={"r0": "a9"}))

    def test_outstanding(self) -> None:
        """
        It names what is still to be settled.
        """
        left = Left(
            action="a9",
            node="n1",
            verb=Verb.ON,
            boot=None,
            since=START,
            phase=Phase.SENT,
            half="on",
            at=START,
        )
        evidence = self.evidence(Verb.OFF, (2, "off"))
        evidence = evolve(evidence, recovered=evolve(evidence.recovered, left=(left,)))

        self.assertComplains("on a9 is outstanding, sent on", evidence)

    def test_repeated(self) -> None:
        """
        It counts what may be sent once, and the halves of a cycle.
        """
        reset = self.evidence(Verb.RESET, (2, "reset"), (3, "reset"))
        cycle = self.evidence(Verb.CYCLE, (2, "off"), (2.5, "on"), (2.7, "off"), (3, "on"))
        soft = self.evidence(Verb.SOFT_OFF, (2, "soft"), (2.5, "soft"))

        self.assertComplains("reset twice", reset)
        self.assertComplains("more than off, set-boot, on", cycle)
        self.assertComplains("soft twice", soft)

    def test_unowned(self) -> None:
        """
        It notices what was sent before anything was written, and after everything was over.
        """
        self.assertComplains("belongs to no action", self.evidence(Verb.OFF, (0.5, "off")))
        self.assertComplains("belongs to no action", self.evidence(Verb.OFF, (2, "off"), (9, "on")))

    def test_overlap(self) -> None:
        """
        It notices two changes of one node at once.
        """
        evidence = self.more(self.evidence(Verb.OFF, (2, "off")), story(Verb.OFF, OFF, begin=2.0))

        self.assertComplains("was sent before a0 had ended", evidence)

    def test_power(self) -> None:
        """
        It compares what is wanted, what was answered and what is recorded with the machine.
        """
        evidence = self.evidence(Verb.OFF, (2, "off"))
        on = evolve(evidence, witnesses={"n1": Witness(True, received((2, "off")), True)})
        nothing = evolve(evidence, recovered=Recovered(seen=evidence.recovered.seen))

        self.assertComplains("off is done, and the machine is on", on)
        self.assertComplains("an off was accepted last, and the machine is on", on)
        self.assertComplains("recorded as off (), and is on", on)
        self.assertComplains("wanted is None", nothing)
        self.assertComplains("no observed state", evolve(nothing, recovered=Recovered()))

    def test_told(self) -> None:
        """
        What the caller heard is what is written.
        """
        evidence = evolve(self.evidence(Verb.OFF, (2, "off")), outcomes={"r0": ON})

        self.assertComplains("r0 was told Done", evidence)

    def test_excuses(self) -> None:
        """
        Only a reset may end unknown, and nothing may fail.
        """
        unknown, failed = Unknown("nobody knows"), Failed("PowerUnverified", "no")

        self.assertEqual([], complaints(self.evidence(Verb.RESET, (2, "reset"), outcome=unknown)))
        self.assertComplains("ended Unknown", self.evidence(Verb.CYCLE, (2, "off"), outcome=unknown))
        self.assertComplains("ended Failed", self.evidence(Verb.ON, (2, "on"), outcome=failed))
