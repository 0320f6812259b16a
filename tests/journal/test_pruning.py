# SPDX-License-Identifier: MIT
"""
What is old goes, and what is needed stays.
"""

from __future__ import annotations

from powercoord.errors import BadRequest, NoSuchAction
from powercoord.journal.pruning import SLICE, Keep
from powercoord.journal.upkeep import PAUSE, PRUNE
from powercoord.model import Phase, PowerState, Verb
from tests.journal.world import JournalCase, accepted, answered, ended, entered, observed

DAY = 86400.0


class PruningCase(JournalCase):
    def keep(self, seconds: float = 10 * DAY, requests: int = 1000) -> None:
        self.world.keep = Keep(seconds, requests)
        self.opened()

    def done(self, number: int, seconds: float = 0, node: str = "n1", verb: Verb = Verb.RESET) -> None:
        """
        One request, from its acceptance to its answer.
        """
        action, request_id = f"a{number}", f"r{number}"
        self.write(
            accepted(action, seconds, node=node, request_id=request_id, verb=verb),
            entered(Phase.SENT, action=action, node=node, seconds=seconds),
            ended(action, node=node, seconds=seconds),
            answered(request_id, action, node=node, seconds=seconds),
        )

    def numbers(self) -> list[int]:
        """
        The entries that are still there.
        """
        rows = self.world.read("SELECT number FROM entry ORDER BY number")
        return [number for (number,) in rows]

    def ids(self) -> list[str]:
        records = self.successResultOf(self.journal.history.requests(None, None, 10_000))
        return [each.request.request_id for each in records]


class AgeTests(PruningCase):
    def test_age(self) -> None:
        """
        What is older than it is kept for goes, with the request that it was about.
        """
        self.keep(seconds=10 * DAY)
        self.done(1)
        self.done(2, 5 * DAY)
        self.world.clock.advance(12 * DAY)

        self.assertEqual([5, 6, 7, 8], self.numbers())
        self.assertEqual(["r2"], self.ids())

    def test_young(self) -> None:
        """
        What is young enough stays.
        """
        self.keep(seconds=10 * DAY)
        self.done(1)
        self.world.clock.advance(9 * DAY)

        self.assertEqual([1, 2, 3, 4], self.numbers())

    def test_count(self) -> None:
        """
        Of the requests before the last so many, nothing is kept.
        """
        self.keep(requests=2)
        for number in range(1, 6):
            self.done(number)
        self.world.clock.advance(PRUNE)

        self.assertEqual(["r5", "r4"], self.ids())
        self.assertEqual([*range(13, 21)], self.numbers())

    def test_forgotten(self) -> None:
        """
        The id of a request that was pruned is free again, and what is left of its action is nothing.
        """
        self.keep(requests=1)
        self.done(1)
        self.done(2)
        self.world.clock.advance(PRUNE)

        self.assertEqual([False, True], [self.journal.may_know(each) for each in ("r1", "r2")])
        self.failureResultOf(self.journal.history.action("a1"), NoSuchAction)


class StayingTests(PruningCase):
    def test_unfinished(self) -> None:
        """
        An action that is not over stays with all its entries, and what a start finds is the same.
        """
        self.keep(requests=0)
        self.write(accepted(), entered(Phase.ADMITTED), entered(Phase.SENT, "off"))
        self.done(2, node="n2")
        before = self.again().left
        self.world.clock.advance(PRUNE)

        self.assertEqual([1, 2, 3], self.numbers())
        self.assertEqual(before, self.again().left)

    def test_finished_later(self) -> None:
        """
        It goes when it is over.
        """
        self.keep(requests=0)
        self.write(accepted(verb=Verb.RESET))
        self.done(2)
        self.world.clock.advance(PRUNE)
        self.write(ended(), answered())
        self.done(3)
        self.world.clock.advance(PRUNE)

        self.assertEqual([], self.numbers())

    def test_answered_early(self) -> None:
        """
        A request that was answered before its action was over stays with it.
        """
        self.keep(requests=0)
        self.write(accepted(), answered())
        self.done(2, node="n2")
        self.world.clock.advance(PRUNE)

        self.assertEqual(["r1"], self.ids())
        self.assertTrue(self.journal.may_know("r1"))

    def test_nodes(self) -> None:
        """
        What is wanted of a node, what was last seen of it and its sequence stay for ever.
        """
        self.keep(seconds=DAY)
        self.write(
            accepted(sequence=7), observed(PowerState.OFF), observed(PowerState.ON), ended(), answered()
        )
        before = self.again()
        self.world.clock.advance(3 * DAY)
        after = self.again()

        self.assertEqual([1, 3], self.numbers())
        self.assertEqual(
            (before.wanted, before.seen, before.sequences), (after.wanted, after.seen, after.sequences)
        )
        self.assertEqual({"n1": 7}, after.sequences)
        self.assertEqual([], self.ids())

    def test_newest(self) -> None:
        """
        Numbers go on although all entries were pruned.
        """
        self.keep(requests=0)
        self.done(1)
        self.world.clock.advance(PRUNE)

        self.assertEqual(4, self.again().newest)
        self.assertEqual([], self.numbers())


class SliceTests(PruningCase):
    def test_slices(self) -> None:
        """
        It takes a little at a time, with pauses, until nothing old is left.
        """
        self.keep(requests=0)
        for number in range(SLICE // 2):
            self.done(number)
        self.world.clock.advance(PRUNE)
        left = [len(self.numbers())]
        for _ in range(2):
            self.world.clock.advance(PAUSE)
            left.append(len(self.numbers()))

        self.assertEqual([SLICE, 0, 0], left)

    def test_entries_after(self) -> None:
        """
        Whoever asks for pruned entries is told from where on there are all of them.
        """
        self.keep(requests=1)
        self.done(1)
        self.done(2)
        self.world.clock.advance(PRUNE)
        history = self.journal.history

        refused = self.failureResultOf(history.entries(3, 10), BadRequest)
        self.assertEqual(
            "entries after 3 have been pruned; there are all from 5 on: ask after 4",
            refused.getErrorMessage(),
        )
        self.assertEqual([5, 6], [each.number for each in self.successResultOf(history.entries(4, 2))])
