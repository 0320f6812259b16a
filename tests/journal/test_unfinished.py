# SPDX-License-Identifier: MIT
"""
How far an action had come, read from its entries.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.durable import Left, Pending
from powercoord.entries import Entry
from powercoord.journal.unfinished import left
from powercoord.model import Boot, BootDevice, Phase, Verb
from tests.journal.world import accepted, at, entered, request


def after(*entries: Entry, superseded_by: tuple[str, Verb] | None = None) -> Left:
    """
    An action that was accepted, and then this.
    """
    return left([accepted(verb=Verb.CYCLE), *entries], [], superseded_by)


class LeftTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        """
        An action of which only the acceptance is written waits for its turn.
        """
        boot = Boot(BootDevice.PXE)
        pending = Pending(request(boot=boot), at(3))

        self.assertEqual(
            Left(
                action="a1",
                node="n1",
                verb=Verb.ON,
                boot=boot,
                since=at(3),
                phase=Phase.QUEUED,
                half="",
                at=at(3),
                pending=(pending,),
            ),
            left([accepted(seconds=3, boot=boot)], [pending], None),
        )

    def test_phase(self) -> None:
        """
        It is in the phase, and with the half, that was entered last, since then.
        """
        found = after(entered(Phase.ADMITTED), entered(Phase.SENT, "off", 7))

        self.assertEqual((Phase.SENT, "off", at(7)), (found.phase, found.half, found.at))

    def test_interrupted(self) -> None:
        """
        An interruption is no phase to go on from.
        """
        found = after(entered(Phase.VERIFYING, "off", 7), entered(Phase.INTERRUPTED, "on", 9))

        self.assertEqual((Phase.VERIFYING, "off", at(7)), (found.phase, found.half, found.at))

    def test_turn(self) -> None:
        """
        Its own time counts from its turn for this half, however often a restart has interrupted that.
        """
        found = after(
            entered(Phase.ADMITTED, "off", seconds=2), entered(Phase.ADMITTED, "off", seconds=3),
            entered(Phase.ADMITTED, "on", seconds=4), entered(Phase.ADMITTED, "on", seconds=5),
        )  # fmt: skip

        self.assertEqual(at(4), found.turn)

    def test_sent(self) -> None:
        """
        Each half for which a command may have left is named once, in order.
        """
        found = after(
            entered(Phase.SENT, "off"), entered(Phase.SENT, "off"), entered(Phase.VERIFYING, "off"),
            entered(Phase.SENT, "on"), entered(Phase.SENT, "off"),
        )  # fmt: skip

        self.assertEqual(("off", "on"), found.sent)

    def test_cancelled(self) -> None:
        """
        Who cancelled it is known.
        """
        self.assertEqual("ann", after(entered(Phase.CANCELLING, text="ann")).cancelled_by)

    def test_superseded(self) -> None:
        """
        One whose place was taken was cancelled by nobody.
        """
        found = after(entered(Phase.CANCELLING, text="superseded by a2"), superseded_by=("a2", Verb.OFF))

        self.assertEqual((None, ("a2", Verb.OFF)), (found.cancelled_by, found.superseded_by))
