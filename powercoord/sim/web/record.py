# SPDX-License-Identifier: MIT
"""
What a simulated BMC remembers of its callers: tests judge by this.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import define, field, frozen

#: What is remembered of each kind, at most.
MEMORY = 10_000

_T = TypeVar("_T")


@frozen
class Handled:
    """
    One request.

    :param name: what it was for, as faults name it.
    :param code: the HTTP status of the answer; None: there was none.
    """

    at: float
    connection: int
    method: str
    path: str
    name: str
    code: int | None


@frozen
class Commanded:
    """
    One request to change power that was understood, whether it was obeyed or not.

    :param machine: which of the BMC's machines, counted from 0.
    :param asked: as it stood in the request: ``ForceOff``, ``8`` …
    :param code: what it was answered: an HTTP status, or AMT's ReturnValue.
    """

    at: float
    machine: int
    asked: str
    code: int


@define(eq=False)
class Record:
    """
    Everything that reached one BMC.

    :ivar connections: how many there were; :ivar open: how many there are.
    :ivar requests: the latest; :ivar asked: how many there were.
    :ivar commands: requests to change power.
    :ivar wrong_passwords: how often somebody came with credentials that are not right.
    """

    connections: int = field(init=False, default=0)
    open: int = field(init=False, default=0)
    asked: int = field(init=False, default=0)
    requests: list[Handled] = field(init=False, factory=list)
    commands: list[Commanded] = field(init=False, factory=list)
    wrong_passwords: int = field(init=False, default=0)

    def connected(self) -> int:
        """
        A connection was made; returns its number.
        """
        self.connections += 1
        self.open += 1
        return self.connections

    def disconnected(self) -> None:
        """
        A connection has ended.
        """
        self.open -= 1

    def handled(self, request: Handled) -> None:
        """
        A request has been seen to.
        """
        self.asked += 1
        _remember(self.requests, request)

    def commanded(self, command: Commanded) -> None:
        """
        Somebody wants power to change.
        """
        _remember(self.commands, command)

    def count(self, name: str) -> int:
        """
        How many of the latest requests were for this.
        """
        return sum(request.name == name for request in self.requests)

    def asked_for(self) -> list[str]:
        """
        The power commands in their own words, oldest first.
        """
        return [command.asked for command in self.commands]


def _remember(past: list[_T], what: _T) -> None:
    past.append(what)
    if len(past) > MEMORY:
        del past[: MEMORY // 2]
