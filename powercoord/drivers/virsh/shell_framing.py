# SPDX-License-Identifier: MIT
"""
Where an answer of a virsh begins and ends, on its two pipes.

A virsh that reads commands from a pipe prints its prompt and each line it
reads among its answers, says errors on the other pipe, and tells neither an
exit code nor an end (virsh(1), measured with libvirt 9.0). So behind each
command two lines let it say a word that was never said before, one on each
pipe, and both are waited for.

Its line editor acts on control characters, and shows a line that is longer
than a terminal by rewriting parts of it. So what is sent has only letters,
digits and hyphens, and what comes is looked through for lines of known shape.
"""

from __future__ import annotations

import re

from attrs import define, field, frozen

_SAFE = re.compile(r"[a-z]+(?: [A-Za-z0-9-]+)*")

#: What it says when its connection was lost before and is there again: the command has been carried out.
_PASSING = re.compile(r"error: (?:Disconnected from .* due to .*|Reconnected to the hypervisor)")

#: What it asks when it has no password. Nobody is there to tell one.
_QUESTION = re.compile(rb"Enter [^\n]*(?:password|username) for [^\n]*: ?|\(yes/no[^\n]*\)\? ?")

#: Lines of errors that are kept for the one who reads them.
_MOST_LINES = 20


class TooMuch(Exception):
    """
    An answer is longer than any can be.
    """


class Asked(Exception):
    """
    It asks for a password instead of working.
    """


@frozen
class Answer:
    """
    What a virsh said to some commands.

    :param lines: from the one pipe; the commands themselves stand among them.
    :param errors: from the other, without what has passed.
    """

    lines: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """
        Whether one of the commands did.
        """
        return any(line.startswith("error: ") for line in self.errors)


@define(eq=False)
class Exchange:
    """
    One or several commands and their answer.

    :param marker: letters and digits that were never used before.
    :param most: how many bytes an answer may have.
    """

    _commands: tuple[str, ...]
    _marker: str
    _most: int = 4 << 20
    _out: bytearray = field(factory=bytearray, init=False)
    _err: bytearray = field(factory=bytearray, init=False)
    _end: int | None = field(default=None, init=False)
    _err_end: int | None = field(default=None, init=False)

    def request(self) -> bytes:
        """
        What is written.
        """
        for command in self._commands:
            if not _SAFE.fullmatch(command):
                raise ValueError(f"not a command for a virsh: {command!r}")
        lines = (*self._commands, f"echo --err {self._marker}", f"echo {self._marker}")
        return "".join(f"{line}\n" for line in lines).encode("ascii")

    def out(self, data: bytes) -> None:
        """
        It said something.

        :raises TooMuch: and too much of it.
        :raises Asked: and that was a question.
        """
        before = len(self._out)
        self._keep(self._out, data)
        if not self._commands and _QUESTION.search(self._out):
            raise Asked
        found = self._said.search(self._out, max(0, before - 64))
        self._end = found.start() if found else self._end

    def err(self, data: bytes) -> None:
        """
        It complained.

        :raises TooMuch: of too much.
        """
        self._keep(self._err, data)
        index = self._err.find(f"error: {self._marker}\n".encode())
        self._err_end = index if index >= 0 else None

    @property
    def complete(self) -> bool:
        """
        Whether both pipes came to their ends.
        """
        return self._end is not None and self._err_end is not None

    def answer(self) -> Answer:
        """
        What was said so far.
        """
        out = bytes(self._out[: self._end]).decode(errors="replace")
        err = bytes(self._err[: self._err_end]).decode(errors="replace")
        complaints = [line for line in err.splitlines() if line.strip() and not _PASSING.fullmatch(line)]
        return Answer(tuple(out.split("\n")), tuple(complaints[:_MOST_LINES]))

    @property
    def _said(self) -> re.Pattern[bytes]:
        # Where the line editor repeats what it read, the marker stands behind `echo`.
        return re.compile(rb"(?<!echo )(?<!--err )" + self._marker.encode())

    def _keep(self, kept: bytearray, data: bytes) -> None:
        kept += data
        if len(kept) > self._most:
            raise TooMuch
