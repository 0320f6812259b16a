# SPDX-License-Identifier: MIT
"""
What was written, read page by page.
"""

from __future__ import annotations

from powercoord.durable import Numbered, Record
from powercoord.errors import JournalUnavailable, NoSuchAction
from powercoord.model import Disposition, Phase, Verb
from tests.journal.world import (
    DONE,
    JournalCase,
    accepted,
    answered,
    at,
    ended,
    entered,
    followed,
    request,
)


class HistoryTests(JournalCase):
    def setUp(self) -> None:
        super().setUp()
        self.opened()
        self.history = self.journal.history

    def ids(self, nodes: list[str] | None, before: int | None = None, limit: int = 10) -> list[str]:
        records = self.successResultOf(self.history.requests(nodes, before, limit))
        return [each.request.request_id for each in records]

    def some(self) -> None:
        for number in range(1, 7):
            self.write(
                accepted(f"a{number}", node="n1" if number % 2 else "n2", request_id=f"r{number}"),
                entered(Phase.ADMITTED, action=f"a{number}"),
            )

    def test_record(self) -> None:
        """
        A record tells who asked what and when, what became of it at once, and how and when it ended.
        """
        self.write(accepted(requester="ann", door="cli", boot=None, sequence=3), ended(), answered())
        (record,) = self.successResultOf(self.history.requests(["n1"], None, 10))

        self.assertEqual(
            Record(
                number=1,
                at=at(0),
                request=request(requester="ann", door="cli", sequence=3),
                action="a1",
                disposition=Disposition.STARTED,
                answered=at(5),
                outcome=DONE,
            ),
            record,
        )

    def test_unanswered(self) -> None:
        """
        A request without an answer has a record, too.
        """
        self.write(accepted())
        (record,) = self.successResultOf(self.history.requests(None, None, 10))

        self.assertEqual((None, None), (record.answered, record.outcome))

    def test_newest_first(self) -> None:
        """
        The newest request comes first, of all nodes or of some.
        """
        self.some()

        self.assertEqual(["r6", "r5", "r4", "r3", "r2", "r1"], self.ids(None))
        self.assertEqual(["r5", "r3", "r1"], self.ids(["n1"]))
        self.assertEqual(["r6", "r5", "r4"], self.ids(["n2", "n1", "n9"], limit=3))
        self.assertEqual([], self.ids([]))

    def test_pages(self) -> None:
        """
        A page goes on below the number where the last one ended.
        """
        self.some()
        first = self.successResultOf(self.history.requests(["n1"], None, 2))

        self.assertEqual(["r1"], self.ids(["n1"], before=first[-1].number))
        self.assertEqual(["r4", "r3"], self.ids(None, before=9, limit=2))

    def test_answered(self) -> None:
        """
        Of the ids asked for, those that were answered are found.
        """
        self.write(accepted(), accepted(request_id="r2"), answered())
        records = self.successResultOf(self.history.answered(["r1", "r2", "r9"]))

        self.assertEqual(["r1"], [each.request.request_id for each in records])

    def test_action(self) -> None:
        """
        All about an action is told in order, and all of the requests that it answered in the end.
        """
        entries = [
            accepted(),
            entered(Phase.ADMITTED),
            accepted("a2", request_id="r2", verb=Verb.CYCLE, superseded=("a1",)),
            followed("r1", "a2"),
            ended("a1"),
            entered(Phase.ADMITTED, action="a2"),
            ended("a2"),
            answered("r1", "a2"),
            answered("r2", "a2"),
        ]
        self.write(*entries)
        told = self.successResultOf(self.history.action("a2"))

        about = [1, 3, 4, 6, 7, 8, 9]
        self.assertEqual([Numbered(number, entries[number - 1]) for number in about], told)

    def test_no_such_action(self) -> None:
        """
        An action of which nothing is known is refused with its name.
        """
        refused = self.failureResultOf(self.history.action("a9"), NoSuchAction)

        self.assertIn("a9", refused.getErrorMessage())

    def test_tail(self) -> None:
        """
        The entries after a number come in order, and no more than were asked for.
        """
        self.some()

        self.assertEqual(
            [8, 9, 10], [each.number for each in self.successResultOf(self.history.entries(7, 3))]
        )
        self.assertEqual([], self.successResultOf(self.history.entries(12, 3)))

    def test_no_file(self) -> None:
        """
        There is no history before there is a journal.
        """
        journal = self.world.journal()
        (self.world.folder / "journal.db").unlink()

        refused = self.failureResultOf(journal.history.entries(0, 1), JournalUnavailable)
        self.assertIn("there is no journal (yet)", refused.getErrorMessage())

    def test_cannot_write(self) -> None:
        """
        The connection that reads cannot write.
        """
        self.successResultOf(self.history.entries(0, 1))
        connection = self.history._connection  # noqa: SLF001 - there is no door to what must not happen
        assert connection is not None

        with self.assertRaisesRegex(Exception, "readonly"):
            connection.execute("DELETE FROM entry")
