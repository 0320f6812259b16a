# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.subscribing` and `powercoord.api.replay`: events from a number on.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.limits import Limits
from tests.amp_world import AmpWorld
from tests.hypothesis_notes import HypothesisNotes
from tests.test_api_following import Subscriber


class ReplayWorld(AmpWorld):
    """
    With a subscriber that counts what it is told.
    """

    @property
    def history(self) -> Any:
        return self.reception.coordinator.history

    @property
    def newest(self) -> int:
        return len(self.world.journal.entries)

    def subscriber(self) -> Subscriber:
        peer = Subscriber()
        self.join(peer)
        return peer

    def call(self, peer: Subscriber, command: Any, **arguments: Any) -> Any:
        gotten: list[Any] = []
        peer.callRemote(command, **arguments).addBoth(gotten.append)
        self.carry()
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer

    def happen(self, node: str = "n1", verb: str = "on", turn: float = 2) -> None:
        """
        Let something happen, and be over.
        """
        peer = self.subscriber()
        self.call(peer, x.Submit, batch={"items": [node], "verb": verb})
        self.turn(turn)


def numbers(peer: Subscriber, subscription: int = 1) -> list[int]:
    return [event["number"] for mine, event in peer.told if mine == subscription and "number" in event]


class ReplayTests(HypothesisNotes, SynchronousTestCase):
    def setUp(self) -> None:
        self.it = ReplayWorld(3)
        self.peer = self.it.subscriber()

    def test_numbers(self) -> None:
        """
        Every event has its number, and they are those of the journal.
        """
        self.it.call(self.peer, x.Subscribe)
        self.it.happen()

        self.assertEqual(list(range(1, self.it.newest + 1)), numbers(self.peer))

    def test_from_the_beginning(self) -> None:
        """
        What happened before is told first, then what happens, each once and in order.
        """
        self.it.happen("n1")
        before = self.it.newest
        self.it.call(self.peer, x.Subscribe, after=0)
        self.assertEqual(list(range(1, before + 1)), numbers(self.peer))
        self.it.happen("n2")

        self.assertGreater(self.it.newest, before)
        self.assertEqual(list(range(1, self.it.newest + 1)), numbers(self.peer))

    def test_from_the_cursor(self) -> None:
        """
        A subscriber that comes again goes on after the last event that it was told.
        """
        self.it.call(self.peer, x.Subscribe)
        self.it.happen("n1")
        heard = numbers(self.peer)
        self.it.cut()
        self.it.happen("n2")
        again = self.it.subscriber()
        self.it.call(again, x.Subscribe, after=heard[-1])
        self.it.happen("n3")

        self.assertEqual(list(range(1, self.it.newest + 1)), heard + numbers(again))

    def test_filtered(self) -> None:
        """
        A filter holds for what was as for what is.
        """
        self.it.happen("n1")
        self.it.happen("n2")
        self.it.call(self.peer, x.Subscribe, after=0, filter={"nodes": ["n2"], "kinds": ["answered"]})
        self.it.happen("n2", "off")

        self.assertEqual(["answered", "answered"], self.peer.kinds())

    def test_while_reading(self) -> None:
        """
        What happens while the disk is read is told after what is read, and not twice.
        """
        self.it.happen("n1")
        self.it.history.hold = True
        self.peer.callRemote(x.Subscribe, after=0)
        self.it.carry()
        self.it.happen("n2")
        self.assertEqual([], self.peer.told)
        self.it.history.release()
        self.it.carry()
        self.it.happen("n3")

        self.assertEqual(list(range(1, self.it.newest + 1)), numbers(self.peer))

    def test_slices(self) -> None:
        """
        The next slice is read when the last was taken: a slow subscriber costs one slice.
        """
        it = ReplayWorld(3, limits=Limits(queue=5))
        for verb in ("on", "off", "on"):
            it.happen("n1", verb)
        peer = it.subscriber()
        peer.slow = True
        it.call(peer, x.Subscribe, after=0)
        self.assertEqual([(0, 5)], it.history.reads)
        self.assertEqual([1, 2, 3, 4, 5], numbers(peer))
        it.turn(1)
        self.assertEqual(1, len(it.history.reads))

        peer.slow = False
        peer.owed.pop().callback({})
        it.carry()
        self.assertEqual(list(range(1, it.newest + 1)), numbers(peer))
        self.assertNotIn("lagged", peer.kinds())

    @given(
        st.lists(st.sampled_from(["happen", "release", "answer", "turn"]), max_size=30), st.integers(0, 12)
    )
    def test_any_order(self, steps: list[str], after: int) -> None:
        """
        However reading, happening and taking interleave, nothing is missing and nothing comes twice.
        """
        it = ReplayWorld(3, limits=Limits(queue=4))
        for verb in ("on", "off"):
            it.happen("n1", verb)
        it.history.hold = True
        peer = it.subscriber()
        peer.slow = True
        peer.callRemote(x.Subscribe, after=after).addErrback(lambda _: None)
        it.carry()
        verbs = iter(["on", "off"] * len(steps))
        for step in steps:
            if step == "happen":
                it.happen("n2", next(verbs))
            elif step == "release" and it.history.held:
                it.history.release()
            elif step == "answer" and peer.owed:
                peer.owed.pop(0).callback({})
            it.turn(0.1)
        for _ in range(400):
            if it.history.held:
                it.history.release()
            elif peer.owed:
                peer.owed.pop(0).callback({})
            else:
                break
            it.carry()

        told = [event for _, event in peer.told]
        heard = numbers(peer)
        self.assertEqual(sorted(set(heard)), heard)
        missing = it.newest - after - len(heard)
        self.assertEqual(missing, sum(event.get("dropped", 0) for event in told))

    def test_pruned(self) -> None:
        """
        A number from which on not everything is known any more is refused, saying from where on it is.
        """
        self.it.happen()
        self.it.history.pruned = 5

        error = self.it.call(self.peer, x.Subscribe, after=2)
        self.assertIsInstance(error, e.BadRequest)
        self.assertIn("after 5", str(error))
        self.it.call(self.peer, x.Subscribe, after=5)
        self.assertEqual(6, numbers(self.peer, 2)[0])

    def test_pruned_meanwhile(self) -> None:
        """
        A subscriber so slow that its next events are pruned is told that some are missing, and then goes on.
        """
        it = ReplayWorld(3, limits=Limits(queue=4))
        it.happen("n1")
        peer = it.subscriber()
        peer.slow = True
        it.call(peer, x.Subscribe, after=0)
        it.history.pruned = 6
        peer.slow = False
        peer.owed.pop().callback({})
        it.carry()
        (lagged,) = [event for _, event in peer.told if event["event"] == "lagged"]
        self.assertIn("after 6", lagged["text"])

        before = it.newest
        it.happen("n2")
        self.assertEqual([1, 2, 3, 4, *range(before + 1, it.newest + 1)], numbers(peer))

    def test_broken_disk(self) -> None:
        """
        A disk that breaks while the past is told is said to the subscriber, and logged once.
        """
        it = ReplayWorld(3, limits=Limits(queue=4))
        it.happen("n1")
        peer = it.subscriber()
        peer.slow = True
        it.call(peer, x.Subscribe, after=0)
        it.history.failing = OSError("EIO")
        peer.slow = False
        peer.owed.pop().callback({})
        it.carry()

        self.assertEqual(1, peer.kinds().count("lagged"))
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    def test_another_journal(self) -> None:
        """
        A number that this journal never gave is refused: what it stands for is not known here.
        """
        self.it.happen()

        self.assertIsInstance(self.it.call(self.peer, x.Subscribe, after=9_999), e.BadRequest)
        newest = self.it.newest
        subscribed = self.it.call(self.peer, x.Subscribe, after=newest)
        self.assertEqual({"subscription": 2, "cursor": newest}, subscribed)

    def test_all_pruned(self) -> None:
        """
        Who had been told everything goes on, also when all of it has been pruned since.
        """
        self.it.happen()
        self.it.history.pruned = newest = self.it.newest
        self.it.call(self.peer, x.Subscribe, after=newest)
        self.it.happen("n2")

        self.assertEqual(list(range(newest + 1, self.it.newest + 1)), numbers(self.peer))

    def test_bad_numbers(self) -> None:
        """
        What is no number of an event is refused, however large.
        """
        for after in (-1, 2**63, 10**60):
            self.assertIsInstance(self.it.call(self.peer, x.Subscribe, after=after), e.BadRequest)
        self.assertEqual([], self.it.history.reads)

    def test_no_history(self) -> None:
        """
        Where nothing is kept, that is what a subscriber from a number on is told.
        """
        it = ReplayWorld(3, remembering=False)
        peer = it.subscriber()

        self.assertIn("no history", str(it.call(peer, x.Subscribe, after=0)))
        self.assertEqual({"subscription": 1, "cursor": None}, it.call(peer, x.Subscribe))

    def test_gone_while_reading(self) -> None:
        """
        A subscriber that goes while the disk is read leaves nothing behind.
        """
        self.it.happen()
        self.it.history.hold = True
        self.peer.callRemote(x.Subscribe, after=0).addErrback(lambda _: None)
        self.it.carry()
        self.it.cut()
        self.it.history.release()
        self.it.carry()
        self.it.happen("n2")

        self.assertEqual([], self.peer.told)
        self.assertEqual([], self.flushLoggedErrors())
