# SPDX-License-Identifier: MIT
"""
The commands that we send to a peer, and their answers.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.protocols.amp import Command

from powercoord.api.boxes import Box, encode
from powercoord.api.codec import Compiled, compiled
from powercoord.api.commands import MalformedArguments

ASK, ANSWER, COMMAND = b"_ask", b"_answer", b"_command"
ERROR, CODE, TEXT = b"_error", b"_error_code", b"_error_description"


class LinkLost(Exception):
    """
    The connection ended before the answer came.
    """


class CallFailed(Exception):
    """
    The peer answered with an error.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@frozen
class _Question:
    command: Compiled
    answer: Deferred[dict[str, Any]]


@define
class Questions:
    """
    What we asked and have not heard about.
    """

    _open: dict[bytes, _Question] = field(factory=dict, init=False)
    _asked: int = field(default=0, init=False)

    def ask(self, command: type[Command], values: dict[str, Any]) -> tuple[bytes, Deferred[dict[str, Any]]]:
        """
        The bytes to send, and a Deferred for the answer.

        Cancelling that forgets the question; the peer does not hear of it.

        :raises ValueTooLong: a value does not fit into a box.
        """
        schema = compiled(command)
        tag = b"%x" % (self._asked + 1)
        data = encode(schema.arguments.write(values, {ASK: tag, COMMAND: schema.name}))
        self._asked += 1
        answer: Deferred[dict[str, Any]] = Deferred(lambda _: self._forget(tag))
        self._open[tag] = _Question(schema, answer)
        return data, answer

    def _forget(self, tag: bytes) -> None:
        self._open.pop(tag, None)

    def answered(self, box: Box) -> bool:
        """
        Take an answer or an error; False if it answers nothing that we ever asked.
        """
        tag = box[ANSWER] if ANSWER in box else box[ERROR]
        question = self._open.pop(tag, None)
        if question is None:
            return self._forgotten(tag)
        if ANSWER not in box:
            question.answer.errback(CallFailed(_words(box.get(CODE)), _words(box.get(TEXT))))
            return True
        try:
            values = question.command.response.read(box)
        except MalformedArguments as error:
            question.answer.errback(CallFailed("MALFORMED", str(error)))
        else:
            question.answer.callback(values)
        return True

    def _forgotten(self, tag: bytes) -> bool:
        try:
            return 0 < int(tag, 16) <= self._asked
        except ValueError:
            return False

    def lost(self, reason: str) -> None:
        """
        Fail all that is open.
        """
        for tag in list(self._open):
            # Who hears of it may give up other questions.
            question = self._open.pop(tag, None)
            if question is not None:
                question.answer.errback(LinkLost(reason))


def _words(text: bytes | None) -> str:
    return (text or b"").decode("utf-8", "replace")
