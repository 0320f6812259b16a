# SPDX-License-Identifier: MIT
"""
What a BMC says when it will not: DSP0266, "Error responses", and what vendors make of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from powercoord.drivers.redfish.resource import table, text
from powercoord.drivers.web import Answer
from powercoord.errors import PowerActionError, PowerAuthError, PowerError, PowerRefusedError

_LONGEST = 300

# What passes by itself: an iDRAC that has just started (SYS518), an iLO whose machine is in POST, a start
# that an iDRAC 10 refuses for a while after a stop, and what DMTF's registries call a matter of time.
_NOT_NOW = (
    "SYS518",
    "InvalidOperationForSystemState",
    "UnableToModifyDuringSystemPOST",
    "ActionParameterValueConflict",
    "ResourceInUse",
    "ResourceInStandby",
    "ServiceTemporarilyUnavailable",
    "ServiceInUnknownState",
    "ServiceShuttingDown",
    "OperationTimeout",
    "ResetRequired",
)
_BUSY = (409, 423, 425, 429, 503)


@frozen
class Complaint:
    """
    An answer that is no yes.

    :param ids: identifiers of the messages in it.
    :param said: what they say to a person.
    :param task: whether it was accepted at first, and failed then.
    """

    status: int
    ids: tuple[str, ...]
    said: str
    task: bool = False

    @classmethod
    def of(cls, answer: Answer, secrets: tuple[str, ...] = ()) -> Complaint:
        """
        Read it; some services repeat what they were sent, so secrets are taken out.
        """
        messages = tuple(_messages(answer.body))
        said = " ".join(dict.fromkeys(each for _, each in messages if each))
        for secret in secrets:
            said = said.replace(secret, "…") if secret else said
        said = " ".join(said.split())
        said = said[:_LONGEST] + "…" if len(said) > _LONGEST else said
        ids = tuple(dict.fromkeys(each for each, _ in messages if each))
        return cls(answer.status, ids, said)

    @property
    def words(self) -> str:
        """
        All of it for a person.
        """
        names = ", ".join(dict.fromkeys(each.rpartition(".")[2] for each in self.ids))[:_LONGEST]
        status = "its task failed" if self.task else f"HTTP status {self.status}"
        return ": ".join(part for part in (status, names, self.said) if part)

    @property
    def passing(self) -> bool:
        """
        Whether it may go away by itself.
        """
        told = any(word in each for word in _NOT_NOW for each in (*self.ids, self.words))
        if self.task:
            return told
        return told or self.status in _BUSY or (self.status >= 500 and self.status not in (501, 505))

    def error(self, doing: str, *, sent: bool = False) -> PowerError:
        """
        As the error that tells the caller what to do about it.

        :param sent: whether it answers a change, which an inner fault may have let through.
        """
        said = f"{doing}: {self.words}"
        if self.status == 401:
            return PowerAuthError(said)
        if self.passing:
            return PowerActionError(said, sent=sent and self.status in (500, 502, 504))
        return PowerRefusedError(said)


def _messages(body: bytes) -> Iterator[tuple[str, str]]:
    """
    Each message's identifier and text, of an error or a task; of any other body none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, Mapping):
        return
    error = table(found, "error")
    yield from _extended(found.get("Messages"))
    yield from _extended(error.get("@Message.ExtendedInfo"))
    if not isinstance(error.get("@Message.ExtendedInfo"), list | Mapping):
        yield text(error.get("code")), text(error.get("message"))


def _extended(info: Any) -> Iterator[tuple[str, str]]:
    """
    Some services tell one message without a list around it.
    """
    for each in [info] if isinstance(info, Mapping) else info if isinstance(info, list) else ():
        if isinstance(each, Mapping):
            yield text(each.get("MessageId")), text(each.get("Message"))
