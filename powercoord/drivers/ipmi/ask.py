# SPDX-License-Identifier: MIT
"""
What a script can ask for: one request and how its answer is recognised, or a pause.

A script is a generator that yields these and is sent the answers. It decides
everything and does nothing: no socket, no clock, no Deferred.
See `powercoord.drivers.ipmi.conversation` for what carries it out.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar

from attrs import define, field, frozen

from powercoord.drivers.ipmi import rmcpplus, session15
from powercoord.drivers.ipmi.completion import STATUS_OK
from powercoord.drivers.ipmi.lan import SHORTEST_RESPONSE, LanRequest, verify
from powercoord.drivers.ipmi.opensession import OpenResponse
from powercoord.drivers.ipmi.rakp import Rakp2, Rakp4
from powercoord.drivers.ipmi.rmcpplus import Packet
from powercoord.drivers.ipmi.session import Session


class NoAnswer(Exception):
    """
    Thrown into a script: the answer did not come in time.
    """


class Ask(Protocol):
    """
    One request.

    :ivar limit: how often it may leave; 0: as often as there is time for.
    :ivar changes: it changes power, or what a machine starts from.
    :ivar setup: it belongs to session set-up, which has a pace of its own.
    :ivar patience: seconds after which it counts as lost; None: the operation's end.
    :ivar attempts: how often it left.
    """

    attempts: int

    @property
    def limit(self) -> int: ...
    @property
    def changes(self) -> bool: ...
    @property
    def setup(self) -> bool: ...
    @property
    def patience(self) -> float | None: ...

    def write(self) -> bytes:
        """
        The datagram of the next attempt.
        """

    def read(self, datagram: bytes) -> Any:
        """
        The answer in a datagram; None if it is the answer to something else.

        :raises MalformedDatagram: it is not readable, or not from the BMC.
        """


@frozen
class Pause:
    """
    Nothing is asked for some seconds; the answer is None.
    """

    seconds: float


T = TypeVar("T")
Script = Generator[Ask | Pause, Any, T]


@define(eq=False)
class SetupAsk:
    """
    A message of RMCP+ session set-up. Repeated as it is, so that the BMC can recognise it.
    """

    limit: ClassVar[int] = 0
    changes: ClassVar[bool] = False
    setup: ClassVar[bool] = True

    kind: int
    payload: bytes
    answer: type[OpenResponse | Rakp2 | Rakp4]
    console_id: int
    patience: float | None = None
    attempts: int = field(default=0, init=False)

    def write(self) -> bytes:
        """
        See `Ask`.
        """
        return rmcpplus.outside(self.kind, self.payload)

    def read(self, datagram: bytes) -> Any:
        """
        See `Ask`. An answer has the next payload type and the same tag.
        """
        packet = Packet.decode(datagram)
        if packet.kind != self.kind + 1 or packet.session_id or packet.authenticated or packet.encrypted:
            return None
        answer = self.answer.decode(packet.payload)
        # With an error, firmware fills in whatever it likes behind the status.
        mine = answer.status != STATUS_OK or answer.console_id == self.console_id
        return answer if mine and answer.tag == self.payload[0] else None


@frozen
class Command:
    """
    What is asked of a BMC in an IPMI message.

    :param privilege: the level that the session must have for it.
    :param limit: see `Ask`, as is ``changes``.
    """

    netfn: int
    command: int
    data: bytes = b""
    privilege: int = 0
    limit: int = 0
    changes: bool = False


@frozen
class Reply:
    """
    The part of a `powercoord.drivers.ipmi.lan.LanResponse` that scripts need.
    """

    code: int
    data: bytes


@lru_cache(maxsize=4096)
def _message(netfn: int, command: int, data: bytes, sequence: int) -> bytes:
    return LanRequest(netfn, command, data, sequence).encode()


@define(eq=False)
class CommandAsk:
    """
    A command inside a session. A repetition has a new session number and the same request number.
    """

    setup: ClassVar[bool] = False

    session: Session
    command: Command
    check: bool = True
    patience: float | None = None
    limit: int = field(init=False)
    changes: bool = field(init=False)
    attempts: int = field(default=0, init=False)
    _sequence: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """
        Take the session's next request number.
        """
        self.limit, self.changes = self.command.limit, self.command.changes
        self.session.request = self._sequence = (self.session.request + 1) & 0x3F

    def write(self) -> bytes:
        """
        See `Ask`.
        """
        command = self.command
        return self.session.wrap(_message(command.netfn, command.command, command.data, self._sequence))

    def read(self, datagram: bytes) -> Reply | None:
        """
        See `Ask`.
        """
        message = self.session.unwrap(datagram)
        return None if message is None else _matching(message, self.command, self._sequence, self.check)


@define(eq=False)
class OutsideAsk:
    """
    A command outside any session, or with the provisional session of IPMI 1.5 set-up.

    :param auth_type: how the packet around it is signed, and with which ``password``.
    """

    changes: ClassVar[bool] = False
    setup: ClassVar[bool] = True
    patience: ClassVar[float | None] = None

    command: Command
    sequence: int
    check: bool = True
    limit: int = 0
    auth_type: int = session15.AUTH_NONE
    session_id: int = 0
    password: bytes = field(default=b"", repr=False)
    attempts: int = field(default=0, init=False)

    def write(self) -> bytes:
        """
        See `Ask`.
        """
        command = self.command
        message = _message(command.netfn, command.command, command.data, self.sequence)
        return session15.signed(self.auth_type, self.password, self.session_id, 0, message).encode()

    def read(self, datagram: bytes) -> Reply | None:
        """
        See `Ask`.
        """
        if rmcpplus.is_rmcpplus(datagram):
            return None
        packet = session15.Session15.decode(datagram)
        return _matching(packet.payload, self.command, self.sequence, self.check)


def _matching(message: bytes, command: Command, sequence: int, check: bool) -> Reply | None:
    verify(message, SHORTEST_RESPONSE, check)
    if message[4] >> 2 == sequence and message[5] == command.command and message[1] >> 2 == command.netfn | 1:
        return Reply(message[6], message[7:-1])
    return None
