# SPDX-License-Identifier: MIT
"""
Who listens hears what is durable, and can disturb nobody.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Entry
from powercoord.model import Done, Verb
from tests.registry.world import World, quick


class ListeningTests(SynchronousTestCase):
    """
    `Registry.subscribe`.
    """

    def setUp(self) -> None:
        self.world = World(timing=quick())

    def test_hears_what_is_durable(self) -> None:
        """
        A listener hears every entry, once it is durable, in order.
        """
        heard: list[Entry] = []
        self.world.registry.subscribe(lambda _, entries: heard.extend(entries))
        self.world.journal.hold = True
        self.world.ask(Verb.ON)
        self.assertEqual([], heard)
        self.world.journal.hold = False
        self.world.journal.release()
        self.world.turn(6)

        self.assertEqual(self.world.journal.entries, heard)

    def test_leaves_while_being_told(self) -> None:
        """
        A listener may leave, and send another away, while being told; leaving twice is no error.
        """
        heard: list[str] = []
        stops = []

        def leaving(*_: object) -> None:
            heard.append("leaving")
            for stop in stops:
                stop()

        stops.append(self.world.registry.subscribe(leaving))
        staying = lambda *_: heard.append("staying")  # noqa: E731 - a listener like any other
        stops.append(self.world.registry.subscribe(lambda *_: heard.append("sent away")))
        self.world.registry.subscribe(staying)
        self.world.want(Verb.OFF)
        stops[0]()

        self.assertEqual(["leaving", "staying"], heard)

    def test_raises(self) -> None:
        """
        A listener that raises is logged, and stops neither an action nor another listener.
        """
        heard: list[Entry] = []
        self.world.registry.subscribe(lambda *_: 1 // 0)
        self.world.registry.subscribe(lambda _, entries: heard.extend(entries))
        asked = self.world.want(Verb.OFF)
        self.world.turn(1)

        self.assertIsInstance(asked.outcome, Done)
        self.assertEqual(self.world.journal.entries, heard)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
