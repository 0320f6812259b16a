# SPDX-License-Identifier: MIT
"""
The real service, killed while it writes: a part of what `make crashtest` does in full.

Every process here is a ``twistd`` with real sockets, ended by SIGKILL and started again. What must hold
afterwards is in `tests.crash.judge`.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from powercoord.model import Done, Goal, PowerState, Unknown, Verb
from tests.crash.boundaries import Death, Enumeration, Plan, one_around, pooled
from tests.crash.failpoint import Failpoint, When
from tests.crash.judge import deeds
from tests.crash.life import Nurse
from tests.crash.stories import STORIES

QUEUED = (
    *(("on", "on accepted on"), ("off", "off accepted off"), ("forced", "forced accepted soft-off")),
    *(("cycle", "cycle accepted cycle"), ("reset", "reset accepted reset"), ("queue", "queue accepted on")),
)
SENT = (
    *(("on", "on entered sent on"), ("off", "off entered sent off"), ("forced", "forced entered sent soft")),
    *(("forced", "forced entered sent off"), ("cycle", "cycle entered sent off")),
    *(("cycle", "cycle entered sent on"), ("reset", "reset entered sent reset")),
)
VERIFYING = tuple((story, label.replace("sent", "verifying")) for story, label in SENT)
CANCELLING = tuple(
    (story, f"{story} entered cancelling") for story in ("cancel", "on-off", "cycle-off", "soft-off")
)


class CrashCase(TestCase):
    """
    Has coordinators born, and killed.
    """

    timeout = 120

    def setUp(self) -> None:
        nurse = Nurse.spawn(reactor)
        self.addCleanup(nurse.close)
        self.deaths = Enumeration(reactor, nurse, STORIES)

    async def die(self, story: str, **failpoint: object) -> Death:
        """
        One run of one story with one failpoint, which must be reached and leave nothing to complain of.
        """
        (death,) = await self.deaths.each([([story], [Failpoint(**failpoint)])])
        self.assertEqual([], death.complaints())
        self.assertTrue(death.reached, death.verdict.appends)
        return death

    async def all_die(self, plans: Sequence[Plan]) -> list[Death]:
        """
        Many runs, of which some may write less than the one by which they were planned.
        """
        found = await self.deaths.each(plans)
        self.assertEqual([], [complaint for death in found for complaint in death.complaints()])
        return found


class BoundaryTests(CrashCase):
    """
    At every append of every story.
    """

    async def every_append(self, names: Sequence[str]) -> None:
        counted = await pooled([lambda name=name: self.deaths.count([name]) for name in names])
        self.assertEqual([], [complaint for verdict in counted for complaint in verdict.complaints])
        found = await self.all_die(
            [
                ([name], [one_around(number, turn)])
                for turn, (name, verdict) in enumerate(zip(names, counted, strict=True))
                for number in range(1, len(verdict.appends) + 1)
            ]
        )
        reached = sum(death.reached for death in found)
        self.assertGreater(reached, 0.8 * len(found), "most failpoints were not reached")

    def test_single_verbs(self) -> Deferred[None]:
        """
        Whatever a verb was writing, each request ends once, nothing is sent twice, and power is as wanted.
        """
        names = ["on", "off", "soft", "forced", "cycle", "reset", "pxe", "boot"]
        return Deferred.fromCoroutine(self.every_append(names))

    def test_meeting_requests(self) -> Deferred[None]:
        """
        The same for requests that queue and join, supersede and are cancelled.
        """
        names = ["queue", "on-off", "cycle-off", "soft-off", "cancel"]
        return Deferred.fromCoroutine(self.every_append(names))


class PhaseTests(CrashCase):
    """
    In every phase on purpose.
    """

    async def in_phase(self, table: Sequence[tuple[str, str]], *places: When) -> list[Death]:
        found = await self.all_die(
            [([story], [Failpoint(when=when, label=label)]) for story, label in table for when in places]
        )
        self.assertEqual([], [str(death.failpoints[0]) for death in found if not death.reached])
        return found

    async def test_not_yet_durable(self) -> None:
        """
        As long as it is not on the disk, no caller hears "accepted" and no BMC hears a command.
        """
        table = [*QUEUED, *SENT]
        found = await self.all_die(
            [([story], [Failpoint(when=When.HELD, label=label, detail=50)]) for story, label in table]
        )
        self.assertEqual([], [str(death.failpoints[0]) for death in found if not death.reached])

    async def test_queued(self) -> None:
        """
        What was accepted and not begun is done after the restart.
        """
        found = await self.in_phase(QUEUED, When.ANSWERED)
        for death in found:
            outcomes = death.verdict.evidence.outcomes.values()
            self.assertTrue(all(isinstance(outcome, Done) for outcome in outcomes), death)

    async def test_sent(self) -> None:
        """
        What may have been sent is looked at first, and a reset that may have been sent is not sent any more.
        """
        for death in await self.in_phase(SENT, When.DURABLE, When.ANSWERED):
            (deed,) = deeds(death.verdict.evidence.entries).values()
            kind = Unknown if deed.verb is Verb.RESET else Done
            self.assertIsInstance(deed.outcome, kind, death.failpoints)

    async def test_verifying(self) -> None:
        """
        What was sent and not yet seen is seen after the restart.
        """
        await self.in_phase(VERIFYING, When.BEFORE)

    async def test_cancelling(self) -> None:
        """
        What was being cancelled is not begun again.
        """
        await self.in_phase(CANCELLING, When.DURABLE)

    async def test_twice(self) -> None:
        """
        Being killed again while the last time is made good changes nothing.
        """
        firsts = [Failpoint(when=When.ANSWERED, label=f"cycle entered sent {half}") for half in ("off", "on")]
        seconds = [Failpoint(when=When.DURABLE, at=number) for number in (1, 2, 3)]
        await self.all_die([(["cycle"], [first, second]) for first in firsts for second in seconds])


class PeerTests(CrashCase):
    """
    What a peer does wrong: it powers a node on again that it was just powering off when it was killed.
    """

    async def test_killed_after_the_off_was_sent(self) -> None:
        """
        After the restart the node is off, wanted off and seen off, by one command.
        """
        for when, label in (
            (When.ANSWERED, "slow-off entered sent off"),
            (When.BEFORE, "slow-off entered verifying off"),
            (When.ANSWERED, "slow-off entered verifying off"),
        ):
            evidence = (await self.die("slow-off", when=when, label=label)).verdict.evidence
            witness, recovered = evidence.witnesses["slow-off"], evidence.recovered

            self.assertFalse(witness.on)
            self.assertEqual(Goal.OFF, recovered.wanted["slow-off"].goal)
            self.assertEqual(PowerState.OFF, recovered.seen["slow-off"].state)
            self.assertEqual((0, True), (witness.count("on"), witness.count("off") <= 2))
