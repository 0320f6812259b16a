# SPDX-License-Identifier: MIT
"""
A request and its answer as values, so that a BMC is a function from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen


@frozen(kw_only=True)
class Ask:
    """
    A whole request.

    :param headers: by lower-case name; of several of one name, the first.
    :param connection: which connection it came on, counted from 1.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    connection: int = 0


class Framing(Enum):
    """
    How the end of an answer's body is told.
    """

    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    #: Chunk sizes of four upper-case digits, at most 0x400 bytes, as recorded of AMT 15.0.23.
    CHUNKED_AMT = "chunked, as AMT does"
    UNTIL_CLOSE = "the connection is closed"


@frozen(kw_only=True)
class Answer:
    """
    What a BMC says.

    :param close: the connection ends after it.
    :param stream: it does not end; more is written as it comes.
    """

    code: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    framing: Framing = Framing.LENGTH
    close: bool = False
    stream: bool = False


class Ending(Enum):
    """
    What becomes of the connection if no whole answer is sent.
    """

    SILENT = "nothing more is sent, and it stays open"
    DROPPED = "it is dropped"
    TORN = "it is dropped in the middle of the answer"
    ENDLESS = "the answer's body never ends"


@frozen
class Reaction:
    """
    An answer to send ``delay`` seconds from now, or how there is none.
    """

    answer: Answer | None
    delay: float = 0.0
    ending: Ending | None = None
