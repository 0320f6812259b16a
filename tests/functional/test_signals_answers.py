# SPDX-License-Identifier: MIT
"""
Every box that has been read is answered, whatever is on its way.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.protocols.amp import parseString
from twisted.python.failure import Failure

from powercoord.api.commands import PowerOff, PowerQuery
from tests.functional.signalled_twistd import TERM, SignalledCase


class Boxes(Protocol):
    """
    Writes boxes in one segment, and collects what comes until the connection is gone.
    """

    def __init__(self) -> None:
        self.received = b""
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.gone.callback(None)

    def ask(self, *numbers: int) -> None:
        """
        Ask for as many things at once: half of them changes.
        """
        assert self.transport is not None
        boxes = []
        for number in numbers:
            command, node = (PowerOff, "n001") if number % 2 else (PowerQuery, "n002")
            box = command.makeArguments(
                {"system_id": node, "hostname": node, "power_type": "ipmi", "context": {}}, None
            )
            box.update({b"_command": command.commandName, b"_ask": b"%d" % number})
            boxes.append(box)
        self.transport.write(b"".join(box.serialize() for box in boxes))

    def answered(self) -> list[int]:
        """
        The numbers of those that were answered, either way.
        """
        return sorted(int(box.get(b"_answer") or box[b"_error"]) for box in self._answers())

    def refused(self) -> list[int]:
        """
        The numbers of those that were refused because it drains.
        """
        answers = self._answers()
        return sorted(
            int(box[b"_error"]) for box in answers if b"Draining: " in box.get(b"_error_description", b"")
        )

    def _answers(self) -> list[Any]:
        return [box for box in parseString(self.received) if b"_ask" not in box]


class AnswerTests(SignalledCase):
    """
    A hundred boxes in one segment, and a SIGTERM.
    """

    async def test_every_box(self) -> None:
        """
        All that is asked before and after is answered once; changes are refused after, and queries are not.
        """
        twistd = await self.start()
        self.slow(2)
        await self.accepted("n003")
        boxes: Boxes = await connectProtocol(
            clientFromString(reactor, f"unix:{self.folder}/amp.sock"), Boxes()
        )
        boxes.ask(*range(100))
        await self.pause(0.01)
        self.send(TERM)
        await self.pause(0.3)
        boxes.ask(*range(100, 200))
        await boxes.gone
        await self.ended(twistd)

        self.assertEqual([*range(200)], boxes.answered())
        self.assertEqual([*range(101, 200, 2)], [number for number in boxes.refused() if number >= 100])
        self.assertEqual(0, twistd.code, twistd.text)
        self.assertNotIn("Traceback", twistd.text)
