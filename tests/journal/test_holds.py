# SPDX-License-Identifier: MIT
"""
Holds in the journal: kept, read again, never pruned while they last, and new to a file of before.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import count
from typing import Any

from twisted.internet.task import Clock

from powercoord import errors as e
from powercoord.durable import Numbered
from powercoord.entries import Entry, Held, Released
from powercoord.holds import Hold, Terms
from powercoord.journal.history import ALL_HOLDS, HOLDS_OF_NODES
from powercoord.journal.migrating import migrate, steps
from powercoord.journal.pruning import Keep
from powercoord.journal.rows import WRITE, body, document
from powercoord.model import Done, Goal, How, Phase, PowerState, Request, Verb
from powercoord.registry import Registry, build_registry
from powercoord.testing.driver import FakeDriver, FakeSettings
from tests.journal.test_faults import FaultCase
from tests.journal.world import (
    JournalCase,
    JournalWorld,
    accepted,
    answered,
    at,
    ended,
    entered,
    observed,
)
from tests.registry.world import FixedRoster, Node, quick

HOLD = Hold(holder="ann", reason="new DIMMs", since=at(1), only=Goal.OFF, until=at(9_000))


def held(hold: Hold = HOLD, node: str = "n1", seconds: float = 1) -> Held:
    return Held(at(seconds), node, hold, f"{hold.holder} via local")


def released(holder: str = "ann", node: str = "n1", by: str = "bob", seconds: float = 2) -> Released:
    return Released(at(seconds), node, holder, by)


class KeptTests(JournalCase):
    def test_again(self) -> None:
        """
        A new start finds every hold that is not over, with all it says, the one that was said first in front.
        """
        bob = Hold(holder="bob", reason="fan", since=at(2))
        anew = Hold(holder="ann", reason="still", since=at(1))
        self.opened()
        self.write(held(), held(bob), held(anew), held(bob, "n2"), released("bob", "n2"), held(bob, "n3"))

        self.assertEqual({"n1": (bob, anew), "n3": (bob,)}, self.again().holds)

    def test_pruned(self) -> None:
        """
        A hold outlives all else that is as old as it; what is over goes with the rest.
        """
        self.world.keep = Keep(seconds=10, requests=1)
        bob = Hold(holder="bob", reason="fan", since=at(2))
        self.opened()
        self.write(held(), held(bob), released("bob"), held(node="n2"), released(node="n2"))
        self.write(accepted(seconds=50), ended(seconds=51), answered(seconds=51))
        self.world.clock.advance(100)
        recovered = self.again()
        self.prune()

        self.assertEqual({"n1": (HOLD,)}, recovered.holds)
        self.assertEqual({"n1": (HOLD,)}, self.again().holds)
        self.assertEqual([("held",)], self.world.read("SELECT kind FROM entry WHERE number <= 5"))

    def prune(self) -> None:
        """
        As upkeep does, to the end.
        """
        store = self.journal._store  # noqa: SLF001 - upkeep's own way, without its pauses
        while store.prune().more:
            pass


class DoubtTests(FaultCase):
    def test_taken_out(self) -> None:
        """
        What was reported as not written of a hold is not there, even if the disk had it all the same.
        """
        bob = Hold(holder="bob", reason="fan", since=at(2))
        self.write(held(), held(node="n2"), released(node="n2"))
        self.disk.code, self.disk.after = sqlite3.SQLITE_IOERR, True
        self.refused(held(bob), released(), held(bob, "n3"))
        self.disk.code = None
        self.write(accepted())

        self.assertEqual([("n1", "ann")], self.world.read("SELECT node, holder FROM hold"))
        self.assertEqual({"n1": (HOLD,)}, self.again().holds)


class HistoryTests(JournalCase):
    def test_of_nodes(self) -> None:
        """
        Who held and released nodes can be read, of some nodes or of all, newest first, page by page.
        """
        entries: list[Entry] = [held(), accepted(), held(node="n2"), released(), observed(PowerState.ON)]
        self.opened()
        self.write(*entries)
        history = self.journal.history
        numbered = [Numbered(number, entry) for number, entry in enumerate(entries, 1)]
        first, second, third = numbered[0], numbered[2], numbered[3]

        self.assertEqual([third, second, first], self.read(history.holds(None, None, 10)))
        self.assertEqual([third, first], self.read(history.holds(["n1", "n9"], None, 10)))
        self.assertEqual([third], self.read(history.holds(["n1"], None, 1)))
        self.assertEqual([first], self.read(history.holds(["n1"], third.number, 10)))
        self.assertEqual([], self.read(history.holds([], None, 10)))

    def read(self, reading: Any) -> list[Numbered]:
        return [*self.successResultOf(reading)]

    def test_index(self) -> None:
        """
        Reading them looks at no other entries.
        """
        self.opened()
        with closing(sqlite3.connect(self.world.folder / "journal.db")) as other:
            plans = [
                str(other.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall())
                for query, values in ((ALL_HOLDS, (1, 1)), (HOLDS_OF_NODES, ("[]", 1, 1)))
            ]

        self.assertEqual([True, True], ["INDEX entry_hold" in plan for plan in plans])


class MigrationTests(JournalCase):
    """
    A file of version 1, as a coordinator before holds left it.
    """

    ENTRIES: tuple[Entry, ...] = (
        accepted(),
        entered(Phase.ADMITTED, "on"),
        entered(Phase.SENT, "on"),
        observed(PowerState.ON),
        ended(),
        answered(),
        accepted("a2", 20, request_id="r2", node="n2", verb=Verb.OFF, sequence=4),
        entered(Phase.SENT, "off", 21, action="a2", node="n2"),
    )

    def setUp(self) -> None:
        super().setUp()
        self.world.folder.mkdir(mode=0o700)
        self.path = self.world.folder / "journal.db"
        with closing(sqlite3.connect(self.path, isolation_level=None)) as old:
            old.execute("PRAGMA journal_mode = WAL")
            migrate(old, self.path, {1: steps()[1]})
            old.execute(
                "INSERT INTO run (instance, boot, pid, started, ended) VALUES ('old', '', 1, ?, ?)",
                (at(0).isoformat(), at(30).isoformat()),
            )
            old.execute(WRITE, (1, 1, document(map(body, self.ENTRIES))))
            (pages,) = old.execute("PRAGMA page_count").fetchone()
            old.execute("UPDATE run SET pages = ?", (pages,))

    def test_data_stays(self) -> None:
        """
        All that it knew is known: what is left, wanted, seen and answered, and every entry.
        """
        self.assertEqual([(1,)], self.world.read("PRAGMA user_version"))
        self.opened()
        found = self.recovered

        self.assertEqual(
            [("a2", "n2", Phase.SENT)], [(each.action, each.node, each.phase) for each in found.left]
        )
        self.assertEqual(
            {"n1": Goal.ON, "n2": Goal.OFF}, {name: it.goal for name, it in found.wanted.items()}
        )
        self.assertEqual(({"n2": 4}, ["n1"]), (found.sequences, [*found.seen]))
        self.assertEqual(["r1"], [record.request.request_id for record in found.answered])
        self.assertEqual(({}, 8, ()), (found.holds, found.newest, tuple(found.notes)))
        entries = self.successResultOf(self.journal.history.entries(0, 100))
        self.assertEqual([*self.ENTRIES], [each.entry for each in entries])

    def test_held_from_now_on(self) -> None:
        """
        From then on nodes can be held, and the file of before is kept beside it as it was.
        """
        self.opened()
        self.write(held(node="n2"))

        self.assertEqual({"n2": (HOLD,)}, self.again().holds)
        self.assertEqual([(max(steps()),)], self.world.read("PRAGMA user_version"))
        with closing(sqlite3.connect(self.path.with_name("journal.db.version-1"))) as before:
            self.assertEqual((1,), before.execute("PRAGMA user_version").fetchone())
            self.assertEqual((8,), before.execute("SELECT count(*) FROM entry").fetchone())


class RegistryTests(JournalCase):
    """
    A registry on the real journal, killed and begun again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.driver = FakeDriver(self.world.clock)
        self.ids = count(1)

    def begin(self) -> Registry:
        """
        A coordinator on what is durable.
        """
        self.opened()
        node = Node("n1", self.driver.target(FakeSettings(address="n1", outlet="n1")), (), quick())
        registry = build_registry(
            clock=self.world.clock,
            now=self.world.now,
            new_id=lambda: f"a{next(self.ids)}",
            jitter=lambda pause: pause,
            roster=FixedRoster({"n1": node}),
            drivers={"fake": self.driver},
            journal=self.journal,
            history=self.journal.history,
        )
        registry.recover(self.recovered)
        return registry

    def turn(self, seconds: float) -> None:
        self.world.clock.pump([0.05] * round(seconds / 0.05))

    def kill(self) -> None:
        """
        Go on with the files as they are, elsewhere; whatever is under way comes to nothing.
        """
        before = self.world
        self.world = JournalWorld(before.folder.with_suffix(".killed"), Clock())
        self.world.clock.advance(before.clock.seconds())
        self.driver.clock = self.world.clock
        self.world.folder.mkdir(mode=0o700)
        for name in ("journal.db", "journal.db-wal"):
            if (before.folder / name).exists():
                (self.world.folder / name).write_bytes((before.folder / name).read_bytes())

    def test_killed(self) -> None:
        """
        A node that was held when the power went is held when it is back, until its time or its release.
        """
        registry = self.begin()
        terms = Terms(holder="ann", reason="new DIMMs", lasting=600)
        holding = registry.holds.hold(["n1"], terms, "ann via local")
        self.turn(0.1)
        self.successResultOf(holding)
        self.kill()
        registry = self.begin()
        refused = registry.submit(Request(node="n1", verb=Verb.ON, request_id="r1"))
        self.turn(1)
        self.assertIn("held by ann since", self.failureResultOf(refused, e.Held).getErrorMessage())
        self.turn(600)
        asked = registry.submit(Request(node="n1", verb=Verb.ON, request_id="r1"))
        self.turn(3)
        outcome = self.successResultOf(self.successResultOf(asked).wait())

        self.assertEqual(Done(How.COMMANDED, PowerState.ON), outcome)
        _, over = reversed(self.successResultOf(self.journal.history.holds(["n1"], None, 9)))
        self.assertEqual(("ann", ""), (over.entry.holder, over.entry.by))  # type: ignore[union-attr]
        self.assertEqual({}, self.again().holds)
