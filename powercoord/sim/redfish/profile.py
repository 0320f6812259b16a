# SPDX-License-Identifier: MIT
"""
What kind of Redfish service is simulated: how it departs from others. One value serves a whole fleet.

Where each kind was seen stands in docs/simulators.md.
"""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

ADMINISTRATOR, OPERATOR, READ_ONLY = "Administrator", "Operator", "ReadOnly"


class ETags(Enum):
    """
    What a service makes of ``ETag`` and ``If-Match``.
    """

    NONE = "none"
    STRONG = "strong"
    #: Shown as ``W/"…"`` and taken so, or as ``"…"``.
    WEAK = "weak"
    #: Shown as ``W/"…"``, and refused so: only ``"…"`` is taken.
    WEAK_TAKEN_STRONG = "weak-taken-strong"
    #: Shown as ``W/"…"``, and every ``If-Match`` is refused.
    WEAK_TAKEN_NEVER = "weak-taken-never"


class Told(Enum):
    """
    Where it stands which reset types there are.
    """

    ACTION_INFO = "action-info"
    ALLOWABLE = "allowable"
    BOTH = "both"
    #: Both, and in the latter two of them are one string, as recorded of a Supermicro.
    FUSED = "fused"
    NOWHERE = "nowhere"


class Slash(Enum):
    """
    What a service wants at the end of a path.
    """

    EITHER = "either"
    REQUIRED = "required"
    #: 308 to the path with one.
    REDIRECTED = "redirected"


@frozen
class Account:
    """
    Somebody who may log in.
    """

    name: str
    password: str = field(repr=False)
    role: str = ADMINISTRATOR


def accounts_with(password: str) -> tuple[Account, ...]:
    """
    The usual accounts, where the administrator has this password.
    """
    return (
        Account("admin", password),
        Account("oper", "opsecret", OPERATOR),
        Account("reader", "readsecret", READ_ONLY),
    )


RESET_TYPES = (
    "On",
    "ForceOff",
    "GracefulShutdown",
    "GracefulRestart",
    "ForceRestart",
    "Nmi",
    "ForceOn",
    "PushPowerButton",
    "PowerCycle",
)


@frozen(kw_only=True)
class Profile:
    """
    The default is a service that obeys DSP0266 and is patient with its callers.

    :param basic: whether HTTP Basic is taken; :param sessions: whether there is a SessionService.
    :param session_limit: sessions at a time; one more login is refused with 503.
    :param session_timeout: seconds without a request after which a session is gone.
    :param lock_after: wrong passwords after which nobody is let in; 0: never.
    :param if_match: a PATCH without ``If-Match`` is refused with 428.
    :param reset_code: how a reset is answered: 200, 202 with a task, or 204.
    :param retry_after: of a task, seconds.
    :param task_lasts: a task needs so long at least.
    :param reset_types: what may be asked; :param told: where that stands.
    :param changing: the power state told while power is changing: ``Powering`` for PoweringOn and
        PoweringOff, ``null``, ``Reset``, ``Unknown`` …; empty: what it was before.
    :param already: the status of an On when on, and of an Off when off.
    :param impossible: the status of a restart when off.
    :param conflict_after_off: for so many seconds after power off, On is refused with 409 (iDRAC10).
    :param boot_settings: the boot override is set in ``@Redfish.Settings``, not in the system.
    :param boot_continuous: the boot override always reads back as Continuous (sushy-emulator).
    :param slash: what is wanted at the end of a path.
    :param lengths: bodies come with a ``Content-Length``; else chunked.
    :param close: each connection is closed after its answer.
    :param identity: the status for ``Accept-Encoding: identity``; 0: it is taken.
    :param system_id: a system's Id; ``{}`` is its number.
    :param events: whether there is an EventService with server-sent events.
    """

    accounts: tuple[Account, ...] = accounts_with("secret")
    basic: bool = True
    sessions: bool = True
    session_limit: int = 8
    session_timeout: float = 1800.0
    lock_after: int = 0
    etags: ETags = ETags.STRONG
    if_match: bool = False
    reset_code: int = 204
    retry_after: int = 1
    task_lasts: float = 0.0
    reset_types: tuple[str, ...] = RESET_TYPES
    told: Told = Told.BOTH
    changing: str = "Powering"
    already: int = 204
    impossible: int = 409
    conflict_after_off: float = 0.0
    boot_settings: bool = False
    boot_continuous: bool = False
    slash: Slash = Slash.EITHER
    lengths: bool = True
    close: bool = False
    identity: int = 0
    events: bool = True
    vendor: str = "powercoord"
    system_id: str = "{}"

    def account(self, name: str) -> Account | None:
        """
        The account of that name.
        """
        return next((account for account in self.accounts if account.name == name), None)
