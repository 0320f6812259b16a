# SPDX-License-Identifier: MIT
"""
What one Redfish service knows, and one request to it by somebody who may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.machine import Machine
from powercoord.sim.redfish.messages import refused
from powercoord.sim.redfish.profile import Account, Profile
from powercoord.sim.redfish.sessions import Sessions
from powercoord.sim.redfish.tasks import Tasks
from powercoord.sim.web.exchange import Answer, Ask
from powercoord.sim.web.faults import Faults
from powercoord.sim.web.record import Record

ROOT = "/redfish/v1"

#: Which machine, what was asked, what that means to the machine (None: nothing), and the answer's status.
Command = Callable[[int, str, str | None, int], None]


class Refused(Exception):
    """
    The request ends here, with this answer.
    """

    def __init__(self, code: int, message: str, *arguments: str) -> None:
        super().__init__(message)
        self.answer: Answer = refused(code, message, *arguments)


@define(eq=False)
class Service:
    """
    The state of one service.

    :param place: tells this BMC from others; UUIDs are made of it.
    """

    clock: IReactorTime = field(repr=False)
    place: str
    profile: Profile
    machines: Sequence[Machine] = field(repr=False)
    record: Record = field(repr=False)
    sessions: Sessions = field(repr=False)
    tasks: Tasks = field(repr=False)

    def uuid(self, index: int | None = None) -> UUID:
        """
        Of a system; without index, of the service.
        """
        return uuid5(NAMESPACE_URL, f"redfish://{self.place}/{'' if index is None else index}")

    def system_id(self, index: int) -> str:
        """
        The Id of a system.
        """
        return self.profile.system_id.format(index + 1)

    def system_path(self, index: int) -> str:
        """
        Where a system is.
        """
        return f"{ROOT}/Systems/{self.system_id(index)}"

    def index_of(self, system_id: str) -> int:
        """
        Which system that is.

        :raises Refused: there is none.
        """
        for index in range(len(self.machines)):
            if self.system_id(index) == system_id:
                return index
        raise Refused(404, "ResourceMissingAtURI", f"{ROOT}/Systems/{system_id}")


@frozen
class Call:
    """
    One request that may be carried out.

    :param words: the variable parts of the path.
    :param command: notes a request to change power, and carries it out.
    """

    service: Service
    ask: Ask = field(repr=False)
    words: tuple[str, ...]
    account: Account | None
    faults: Faults = field(repr=False)
    command: Command = field(repr=False)

    def system(self) -> int:
        """
        Which system the path names.
        """
        return self.service.index_of(self.words[0])

    def needs(self, *roles: str) -> None:
        """
        :raises Refused: whoever asks has none of these roles.
        """
        if self.account is None or self.account.role not in roles:
            raise Refused(403, "InsufficientPrivilege")

    def body(self) -> dict[str, Any]:
        """
        The request's JSON object.

        :raises Refused: it is none.
        """
        try:
            what = json.loads(self.ask.body)
        except (ValueError, RecursionError):
            raise Refused(400, "MalformedJSON") from None
        if not isinstance(what, dict):
            raise Refused(400, "UnrecognizedRequestBody")
        return what
