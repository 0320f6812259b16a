# SPDX-License-Identifier: MIT
"""
The commands that MAAS does not have.
"""

from __future__ import annotations

from typing import ClassVar

from twisted.protocols.amp import Boolean, Command, Integer, Unicode

from powercoord.api.arguments import Json
from powercoord.api.commands import PROTOCOL_ERRORS, REFUSALS, Arguments, Change


class PowerReset(Change):
    """
    Reset a node without removing power; one that is off refuses.
    """

    errors = REFUSALS


class Submit(Command):
    """
    Ask for power of up to 500 nodes at once.

    ``batch`` is an object whose ``items`` are node names or objects, and
    whose other fields hold for all items that do not say otherwise.  A batch
    of a wrong shape is refused as a whole and changes nothing; else
    ``answers``, continued in ``rest`` where one value is too short, has one
    object for each item, in order: the action, or why it was refused.
    """

    arguments: ClassVar[Arguments] = [(b"batch", Json())]
    response: ClassVar[Arguments] = [(b"answers", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class Query(Command):
    """
    Read up to 500 nodes from their BMCs.

    With ``stream`` (a number of the caller's choice) the readings come as
    `Readings` while they are made, and the answer after the last has none.
    Without ``fresh`` (or with it true) every BMC is asked; with it false the
    answer is what was seen last.  A long list goes on in ``rest``.
    """

    arguments: ClassVar[Arguments] = [
        (b"nodes", Json()),
        (b"fresh", Boolean(optional=True)),
        (b"stream", Integer(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"readings", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class Readings(Command):
    """
    To a caller of `Query`: some more readings.  The next come after the answer.
    """

    arguments: ClassVar[Arguments] = [(b"stream", Integer()), (b"readings", Json())]
    errors = PROTOCOL_ERRORS


class Status(Command):
    """
    What the registry knows of nodes: these, or all of them, page by page.

    A page that is not the last has a ``next``, to be sent as ``after``.
    """

    arguments: ClassVar[Arguments] = [(b"nodes", Json(optional=True)), (b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class ListActions(Command):
    """
    The nodes that have an action in play or waiting, in the form of `Status`.

    The first waiting action of a node is what runs next.
    """

    arguments: ClassVar[Arguments] = [(b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class ListNodes(Command):
    """
    The roster: names, drivers and groups, page by page.
    """

    arguments: ClassVar[Arguments] = [(b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class Cancel(Command):
    """
    Cancel an action for all who wait for it; answered when it is quiet.
    """

    arguments: ClassVar[Arguments] = [(b"action", Unicode()), (b"requester", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"result", Unicode())]
    errors = REFUSALS


class Subscribe(Command):
    """
    Be told what happens, as `ActionEvent`, until `Unsubscribe` or the end of the connection.

    ``filter`` may have ``nodes``, ``actions``, ``requests``,
    ``request_prefix`` and ``kinds``; without it everything is told.
    """

    arguments: ClassVar[Arguments] = [(b"filter", Json(optional=True))]
    response: ClassVar[Arguments] = [(b"subscription", Integer())]
    errors = REFUSALS


class Follow(Command):
    """
    Add requests to the filter of a subscription, before they are submitted.

    A request leaves the filter when it was answered.
    """

    arguments: ClassVar[Arguments] = [(b"subscription", Integer()), (b"requests", Json())]
    errors = REFUSALS


class Unsubscribe(Command):
    """
    Be told no more.
    """

    arguments: ClassVar[Arguments] = [(b"subscription", Integer())]
    errors = REFUSALS


class ActionEvent(Command):
    """
    To a subscriber: what happened, in order.  The next page comes after the answer.

    A subscriber that reads too slowly finds one ``lagged`` event in place of
    those that were dropped, and reads again what it needs to know.
    """

    arguments: ClassVar[Arguments] = [(b"subscription", Integer()), (b"events", Json())]
    errors = PROTOCOL_ERRORS


class Drain(Command):
    """
    Refuse new changes; what was accepted goes on.
    """

    arguments: ClassVar[Arguments] = [(b"reason", Unicode()), (b"requester", Unicode(optional=True))]
    errors = REFUSALS


class Resume(Command):
    """
    Take new work again.
    """

    arguments: ClassVar[Arguments] = [(b"requester", Unicode(optional=True))]
    errors = REFUSALS


class GoingAway(Command):
    """
    To every peer: no new calls; this connection ends when those under way are answered.
    """

    arguments: ClassVar[Arguments] = [(b"reason", Unicode())]
    errors = PROTOCOL_ERRORS
