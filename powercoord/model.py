# SPDX-License-Identifier: MIT
# ruff: noqa: RUF009, PLC0414 - the defaults are frozen values; what is imported is part of the model
"""
The values that every room agrees on: verbs, requests, nodes and outcomes.

Nothing here does anything: values are frozen, and the only code is what can
be derived from the value itself.  The words are those of the contract; where
a word has a unit it is in the docstring (seconds, unless it says otherwise).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import field, frozen

from powercoord.timing import Ready as Ready
from powercoord.timing import Timing as Timing


class Verb(Enum):
    """
    What a caller can ask of a node (reading its state needs no verb).
    """

    ON = "on"
    OFF = "off"
    SOFT_OFF = "soft-off"
    CYCLE = "cycle"
    RESET = "reset"
    BOOT = "boot"


class Goal(Enum):
    """
    The power that a verb leaves behind.
    """

    ON = "on"
    OFF = "off"


class Command(Enum):
    """
    One power-changing operation on the wire; all that a driver is asked to do.

    There is no cycle: it is composed of OFF and ON, each seen, because a
    repeated datagram would make a second cycle.
    """

    ON = "on"
    OFF = "off"
    SOFT = "soft"
    RESET = "reset"


class PowerState(Enum):
    """
    What is known of a node's power.

    ``UNKNOWN``: a read failed or answered nothing usable.  ``ERROR``: reads keep failing for a reason that
    time will not mend.  ``NEVER_CHECKED`` and ``UNCONFIGURED`` say why nothing is known yet.  A driver's read
    returns ``ON`` or ``OFF`` and raises for everything else.
    """

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"
    ERROR = "error"
    NEVER_CHECKED = "never-checked"
    UNCONFIGURED = "unconfigured"


class BootDevice(Enum):
    """
    Where a machine boots from next.  ``NONE`` removes an override.
    """

    PXE = "pxe"
    DISK = "disk"
    CDROM = "cdrom"
    BIOS = "bios"
    NONE = "none"


@frozen
class Boot:
    """
    A boot device to set before a machine starts.

    ``efi`` is ``None`` where the driver's own setting decides.
    """

    device: BootDevice
    persistent: bool = False
    efi: bool | None = None


class Policy(Enum):
    """
    What a request does when its node is busy with something else.
    """

    SUPERSEDE = "supersede"
    QUEUE = "queue"
    REJECT = "reject"


class Wait(Enum):
    """
    When a waiter is answered: at the BMC's "accepted", or when it is seen.
    """

    NONE = "none"
    POWER = "power"


@frozen(kw_only=True)
class Request:
    """
    What one caller asked of one node.

    :param request_id: chosen by the caller; a repeated one never runs again.
    :param deadline: seconds from acceptance within which it must have ended;
        for ``soft-off``, the seconds after which it becomes a hard off.
        ``None``: the node's configured time.
    :param escalate: whether a soft-off may become hard at its deadline.
    :param sequence: the caller's own counter per node; one lower than the
        last accepted is refused.
    :param door: how it came in (``amp``, ``cli``, ...), for the history.
    :param again: it was sent before, and is sent to hear what became of it;
        where it never came it is refused.
    :param with_children: whether an off takes down those that require its node, and are on, first.
    """

    node: str
    verb: Verb
    request_id: str
    boot: Boot | None = None
    escalate: bool = True
    policy: Policy = Policy.SUPERSEDE
    wait: Wait = Wait.POWER
    deadline: float | None = None
    requester: str = ""
    door: str = ""
    sequence: int | None = None
    again: bool = False
    with_children: bool = False


@frozen
class Target:
    """
    What a driver needs to reach one node.

    :param endpoint: names the BMC, hypervisor or outlet bar; the same text
        means the same device, whatever node it serves.
    :param selector: names the node at that endpoint (``""`` if it has one).
    :param settings: the driver's own settings value; it may hold secrets.
    """

    driver: str
    endpoint: str
    selector: str
    settings: object = field(repr=False)


class OnDrift(Enum):
    """
    What to do when a node's power is seen to be other than is wanted of it.

    ``FLAG``: say so.  ``ENFORCE``: say so, and ask for the wanted power again.
    """

    FLAG = "flag"
    ENFORCE = "enforce"


@frozen
class Node:
    """
    A machine whose power we own; ``start_watts``: what it draws while it starts.

    :param requires: names of the nodes that must be on, and ready, before this one may start.
    :param ready: when those that require this one may start.
    """

    name: str
    target: Target
    groups: tuple[str, ...] = ()
    timing: Timing = Timing()
    configured: bool = True
    on_drift: OnDrift = OnDrift.FLAG
    start_watts: int = 0
    requires: tuple[str, ...] = ()
    ready: Ready = Ready()


@frozen(kw_only=True)
class Wanted:
    """
    The power that is wanted of a node: what the last accepted request asked for.

    On, off, soft-off and cycle say what is wanted; reset and boot do not.  Who
    cancels or resolves the action that was to bring it about takes it back.

    :param since: when the request was accepted.
    :param action: the action that is to bring it about; a later one may take its place.
    :param escalate: whether a hard off may bring it about, too; not if a
        soft-off was asked for that must not be forced.
    """

    goal: Goal
    since: datetime
    action: str
    request_id: str
    requester: str = ""
    door: str = ""
    sequence: int | None = None
    escalate: bool = True


@frozen
class Limit:
    """
    How many nodes of a group (or of the fleet) may be starting at once; ``None``: no limit.

    A start counts until its node is seen on and ``settle`` seconds have passed.  Those that count draw no
    more than ``max_watts``; the limits of ``parent``, the group around it, hold, too.
    """

    max_starting: int | None = None
    settle: float = 0.0
    start_interval: float = 0.0
    max_watts: int | None = None
    parent: str | None = None


class Phase(Enum):
    """
    How far an action has come.  Each is written before it is entered.

    ``INTERRUPTED``: the service stopped before it was over; it goes on from
    the phase before when the service is back.
    """

    QUEUED = "queued"
    ADMITTED = "admitted"
    SENT = "sent"
    VERIFYING = "verifying"
    CANCELLING = "cancelling"
    INTERRUPTED = "interrupted"
    DONE = "done"


class CancelResult(Enum):
    """
    What a cancel can truthfully say.

    ``NOT_STARTED``: no command of it ever left.  ``STOPPED``: something was
    sent, but what remained was withheld.  ``TOO_LATE``: the BMC had accepted
    all there was to send.  ``UNKNOWN``: a command left and no answer came.
    """

    NOT_STARTED = "not-started"
    STOPPED = "stopped"
    TOO_LATE = "too-late"
    UNKNOWN = "unknown"


class How(Enum):
    """
    In which way a done action was done.
    """

    ALREADY = "already"
    GRACEFUL = "graceful"
    FORCED = "forced"
    COMMANDED = "commanded"
    EXTERNAL = "external"


@frozen
class Done:
    """
    The wanted state was observed (or, with ``reached`` NONE, only commanded).
    """

    how: How
    state: PowerState
    reached: Wait = Wait.POWER
    text: str = ""


@frozen
class Failed:
    """
    It could not be done; ``code`` is the stable name of the error's class.

    ``timeout`` is the value in seconds of the limit that ended it, if one did.
    """

    code: str
    text: str
    retryable: bool = False
    timeout: float | None = None


@frozen
class Superseded:
    """
    Another request took its place; ``by`` is that request's action.
    """

    by: str
    verb: Verb
    cancel: CancelResult


@frozen
class Cancelled:
    """
    Somebody cancelled it.
    """

    cancel: CancelResult
    by: str = ""


@frozen
class Interrupted:
    """
    The service stopped before it was over.

    What a waiter hears, and no terminal record: the action goes on after the
    restart, and the same request, sent again, hears how it ended.
    """

    text: str


@frozen
class Unknown:
    """
    A command left, and what came of it could not be observed.
    """

    text: str


Outcome = Done | Failed | Superseded | Cancelled | Interrupted | Unknown


class Disposition(Enum):
    """
    What became of a request the moment it was accepted.
    """

    STARTED = "started"
    JOINED = "joined"
    QUEUED = "queued"
    SUPERSEDING = "superseding"


@frozen
class Observation:
    """
    What was last seen of a node, and when.

    :param at: the registry's monotonic clock, for ages.
    :param text: why the state is not known, if it is not.
    """

    state: PowerState
    at: float | None = None
    text: str = ""
