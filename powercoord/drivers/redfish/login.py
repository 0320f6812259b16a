# SPDX-License-Identifier: MIT
"""
Being logged in: a session's token, or user and password with every request (DSP0266, "Authentication").
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from attrs import field, frozen

from powercoord.drivers.redfish.complaint import Complaint
from powercoord.drivers.redfish.resource import path_in
from powercoord.drivers.web import Answer


@frozen
class Login:
    """
    What proves who we are.

    :param session: where the session is to be deleted; empty if there is none.
    """

    headers: Mapping[str, str] = field(repr=False)
    session: str = ""

    @classmethod
    def basic(cls, username: str, password: str) -> Login:
        """
        User and password themselves.
        """
        proof = b64encode(f"{username}:{password}".encode()).decode()
        return cls({"Authorization": f"Basic {proof}"})

    @classmethod
    def answered(cls, answer: Answer) -> Login | None:
        """
        The session that a service has opened; None if it gave no token for it.
        """
        token = answer.header("X-Auth-Token")
        if not token:
            return None
        return cls({"X-Auth-Token": token}, path_in(answer.header("Location")))

    @property
    def renewable(self) -> bool:
        """
        Whether a refusal may only mean that it has ended.
        """
        return "X-Auth-Token" in self.headers


def has_no_sessions(complaint: Complaint) -> bool:
    """
    Whether a service that names its sessions has none, or none left for us.
    """
    return complaint.status in (404, 405, 501) or any(
        "SessionLimitExceeded" in each for each in complaint.ids
    )


def refuses_password(complaint: Complaint) -> bool:
    """
    Whether an answer to a login says that the password, or the user, is wrong.
    """
    if complaint.status in (401, 403):
        return True
    return any(word in each for word in _REFUSALS for each in complaint.ids)


_REFUSALS = (
    "UnauthorizedLoginAttempt",
    "ResourceAtUriUnauthorized",
    "AccessDenied",
    "PasswordChangeRequired",
)
