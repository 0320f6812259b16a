# SPDX-License-Identifier: MIT
"""
Every command on the AMP wire: its arguments, its answer and its errors.

The first group has the names, arguments and error codes of MAAS's rack
interface, so that a region's power calls work as they are; what is optional
there is ours.  The second group is ours.  JSON stands in one value, because
an AmpList item costs many times a JSON one; its shapes are in
`powercoord.api.forms`, `powercoord.api.batch` and the wire documentation.
"""

from __future__ import annotations

from typing import ClassVar

from twisted.protocols.amp import AmpList, Argument, Boolean, Command, Integer, ListOf, String, Unicode

from powercoord import errors as e
from powercoord.api.arguments import CompressedJson, Json, Seconds

Arguments = list[tuple[bytes, Argument]]


class MalformedArguments(Exception):
    """
    An argument is missing or cannot be read.
    """


class AnswerTooLong(Exception):
    """
    The answer does not fit into one box; ask for less at a time.
    """


class NotAuthenticated(e.PowercoordError):
    """
    This needs a peer that has proven that it knows the shared secret.
    """


class InternalError(Exception):
    """
    Something broke at the other end; its log has the reference.
    """


# What any call can meet. `Exception` stands last: it is what all else becomes.
PROTOCOL_ERRORS: dict[type[Exception], bytes] = {
    MalformedArguments: b"BAD_REQUEST",
    AnswerTooLong: b"TOO_LONG",
    NotAuthenticated: b"NOT_AUTHENTICATED",
    Exception: b"INTERNAL",
}

_REFUSALS: dict[type[Exception], bytes] = {
    refusal: refusal.__name__.encode()
    for refusal in (
        e.BadRequest,
        e.NoSuchNode,
        e.NoSuchAction,
        e.UnknownPowerType,
        e.PowerSettingError,
        e.PowerActionFail,
        e.PowerActionAlreadyInProgress,
        e.Stale,
        e.Held,
        e.StillRequired,
        e.Draining,
        e.JournalUnavailable,
    )
}

REFUSALS = _REFUSALS | PROTOCOL_ERRORS
POWER_ERRORS = {NotImplementedError: b"NotImplementedError"} | REFUSALS


# MAAS's.


class Power(Command):
    """
    A node, and how to reach it: from the configuration if ``context`` is empty.
    """

    arguments: ClassVar[Arguments] = [
        (b"system_id", Unicode()),
        (b"hostname", Unicode()),
        (b"power_type", Unicode()),
        (b"context", CompressedJson()),
    ]
    errors = POWER_ERRORS


class Change(Power):
    """
    A change of power.

    It is answered once it is accepted, durably, with an empty box as MAAS
    has it.  With any of our arguments the answer names the action; with
    ``wait`` it comes when the BMC has accepted the command (``none``) or when
    the state was seen (``power``), and says how it ended.
    """

    arguments: ClassVar[Arguments] = [
        *Power.arguments,
        (b"request_id", Unicode(optional=True)),
        (b"policy", Unicode(optional=True)),
        (b"wait", Unicode(optional=True)),
        (b"deadline", Seconds(optional=True)),
        (b"requester", Unicode(optional=True)),
        (b"sequence", Integer(optional=True)),
        (b"boot", Unicode(optional=True)),
    ]
    response: ClassVar[Arguments] = [
        (b"action", Unicode(optional=True)),
        (b"disposition", Unicode(optional=True)),
        (b"outcome", Json(optional=True)),
    ]
    errors = POWER_ERRORS


class PowerOn(Change):
    """
    Turn a node on; one that is on is left alone.
    """


class PowerOff(Change):
    """
    Turn a node off: hard, unless ``mode`` (or MAAS's ``power_off_mode``) is ``soft``.
    """

    arguments: ClassVar[Arguments] = [
        *Change.arguments,
        (b"mode", Unicode(optional=True)),
        (b"escalate", Boolean(optional=True)),
        (b"with_children", Boolean(optional=True)),
    ]
    errors = POWER_ERRORS


class PowerCycle(Change):
    """
    Turn a node off, see it off, turn it on, see it on.
    """


class PowerQuery(Power):
    """
    Read a node's power state from its BMC.

    Never fails for the node: ``state`` is ``on``, ``off``, ``unknown`` or
    ``error``, with the reason in ``error_msg``; ``observed`` is ours, which
    also knows ``never-checked`` and ``unconfigured``.
    """

    response: ClassVar[Arguments] = [
        (b"state", Unicode()),
        (b"error_msg", Unicode(optional=True)),
        (b"observed", Unicode(optional=True)),
        (b"age", Seconds(optional=True)),
    ]
    errors = POWER_ERRORS


class SetBootOrder(Power):
    """
    Let a node boot from the first device of an order next time; nothing if its driver cannot.
    """

    arguments: ClassVar[Arguments] = [
        *Power.arguments,
        (
            b"order",
            AmpList(
                [
                    (b"id", Integer()),
                    (b"name", Unicode()),
                    (b"mac_address", Unicode(optional=True)),
                    (b"vendor", Unicode(optional=True)),
                    (b"product", Unicode(optional=True)),
                    (b"id_path", Unicode(optional=True)),
                    (b"model", Unicode(optional=True)),
                    (b"serial", Unicode(optional=True)),
                ]
            ),
        ),
    ]
    errors = POWER_ERRORS


class DescribePowerTypes(Command):
    """
    The drivers with their settings, in MAAS's schema.
    """

    response: ClassVar[Arguments] = [(b"power_types", CompressedJson())]
    errors = PROTOCOL_ERRORS


class PowerDriverCheck(Command):
    """
    Which packages a driver misses.
    """

    arguments: ClassVar[Arguments] = [(b"power_type", Unicode())]
    response: ClassVar[Arguments] = [(b"missing_packages", ListOf(Unicode()))]
    errors = POWER_ERRORS


class Ping(Command):
    """
    Show that the peer is alive.  Either side may ask.

    A coordinator also says how far it has come (``stage``), whether it takes
    new changes (``accepting``), and if not, why (``reason``).
    """

    response: ClassVar[Arguments] = [
        (b"stage", Unicode(optional=True)),
        (b"accepting", Boolean(optional=True)),
        (b"reason", Unicode(optional=True)),
    ]
    errors = PROTOCOL_ERRORS


class Identify(Command):
    """
    Who answers; ``draining`` is the reason while new work is refused.
    """

    response: ClassVar[Arguments] = [(b"ident", Unicode()), (b"draining", Unicode(optional=True))]
    errors = PROTOCOL_ERRORS


class Authenticate(Command):
    """
    Prove to know the shared secret: HMAC-SHA256(secret, message + salt).

    Both sides ask.  Whoever dialled answers first; see `powercoord.api.trust`.
    """

    arguments: ClassVar[Arguments] = [(b"message", String())]
    response: ClassVar[Arguments] = [(b"digest", String()), (b"salt", String())]
    errors = PROTOCOL_ERRORS
