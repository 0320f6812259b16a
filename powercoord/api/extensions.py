# SPDX-License-Identifier: MIT
"""
The commands that MAAS does not have.
"""

from __future__ import annotations

from typing import ClassVar

from twisted.protocols.amp import Boolean, Command, Integer, Unicode

from powercoord.api.arguments import CompressedJson, Json, Seconds
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

    A page that is not the last has a ``next``, to be sent as ``after``.  The
    first page says how the ``coordinator`` itself is; an empty list of nodes
    asks for that alone.  Its ``broken_drivers`` are installed and do not
    work: an object of reasons by name.
    """

    arguments: ClassVar[Arguments] = [(b"nodes", Json(optional=True)), (b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [
        (b"page", Json()),
        (b"next", Unicode(optional=True)),
        (b"coordinator", Json(optional=True)),
    ]
    errors = REFUSALS


class ListActions(Command):
    """
    The nodes that have an action in play or waiting, in the form of `Status`.

    The first waiting action of a node is what runs next.
    """

    arguments: ClassVar[Arguments] = [(b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class ListOutstanding(Command):
    """
    The nodes with something unfinished, with other power than is wanted of them, or held.

    In the form of `Status`: what is in play and waits and for whom, what is
    ``wanted`` since when and by whom, what was seen last and how long ago,
    whether the node has ``drifted``, and who ``holds`` it.
    """

    arguments: ClassVar[Arguments] = [(b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class Reconcile(Command):
    """
    Bring up to 500 nodes to the power that the caller wants of them.

    ``items`` has an object for each node: ``node``, ``state`` (``on`` or
    ``off``) and, if the caller counts, ``sequence``.  Each becomes a request
    whose id is made of ``reconcile_id`` and the node's name: a page that is
    sent again runs nothing twice.  The answer is that of `Submit`.
    """

    arguments: ClassVar[Arguments] = [
        (b"reconcile_id", Unicode()),
        (b"items", Json()),
        (b"requester", Unicode(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"answers", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class ListNodes(Command):
    """
    The roster: names, drivers and groups, page by page.
    """

    arguments: ClassVar[Arguments] = [(b"after", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Unicode(optional=True))]
    errors = REFUSALS


class ListDrivers(Command):
    """
    The drivers that are installed, with the package that each comes from, and its settings as declared.

    ``broken`` has those that are installed and do not work, with the reason.
    """

    response: ClassVar[Arguments] = [(b"drivers", CompressedJson()), (b"broken", CompressedJson())]
    errors = REFUSALS


class Cancel(Command):
    """
    Cancel an action for all who wait for it; answered when it is quiet.
    """

    arguments: ClassVar[Arguments] = [(b"action", Unicode()), (b"requester", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"result", Unicode())]
    errors = REFUSALS


class Resolve(Command):
    """
    Declare an action settled, because a person knows better; sends nothing to the BMC.

    Who waits for it hears ``unknown``, with who resolved it and the
    ``reason``.  ``result`` says how far it had come.
    """

    arguments: ClassVar[Arguments] = [
        (b"action", Unicode()),
        (b"reason", Unicode()),
        (b"requester", Unicode(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"result", Unicode())]
    errors = REFUSALS


class Unpark(Command):
    """
    Speak to the endpoints of up to 500 nodes again that are left alone because they did not answer.

    ``answers`` has an object for each node: ``unparked`` is false where it was
    not left alone.  A name that is not known refuses all, and changes nothing.
    """

    arguments: ClassVar[Arguments] = [(b"nodes", Json()), (b"requester", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"answers", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class History(Command):
    """
    What was asked of nodes, of these or of all, and how it ended; newest first.

    A page has at most ``limit`` requests (and at most 500).  One that may not
    be the last has a ``next``, to be sent as ``before``.
    """

    arguments: ClassVar[Arguments] = [
        (b"nodes", Json(optional=True)),
        (b"before", Integer(optional=True)),
        (b"limit", Integer(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Integer(optional=True))]
    errors = REFUSALS


class Hold(Command):
    """
    Forbid changes of up to 500 nodes, until that is released.

    ``only`` is ``on`` (what would turn it on) or ``off`` (what would turn it
    off); without it every change is forbidden.  A hold ends by itself at
    ``until`` (ISO 8601, with the offset) or after ``lasting``.  The requester
    is the holder; each holder has one hold on a node, and says it anew by
    holding again.  ``answers``, continued in ``rest``, has one object for
    each node, in order: ``going_on`` are the actions that were accepted
    before and go on, ``anew`` is there if the holder held it before; or
    why it could not be held.
    """

    arguments: ClassVar[Arguments] = [
        (b"nodes", Json()),
        (b"reason", Unicode()),
        (b"until", Unicode(optional=True)),
        (b"lasting", Seconds(optional=True)),
        (b"only", Unicode(optional=True)),
        (b"requester", Unicode(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"answers", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class Release(Command):
    """
    Release up to 500 nodes: what the requester holds, the ``holder`` that is named, or ``everybody``.

    ``answers``, continued in ``rest``, has one object for each node, in
    order: how many holds were ``released``, and how many are ``left``; or
    why not.
    """

    arguments: ClassVar[Arguments] = [
        (b"nodes", Json()),
        (b"holder", Unicode(optional=True)),
        (b"everybody", Boolean(optional=True)),
        (b"requester", Unicode(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"answers", Json()), (b"rest", Json(optional=True))]
    errors = REFUSALS


class HoldHistory(Command):
    """
    Who held and released nodes, these or all, as events with their numbers; newest first.

    Pages are those of `History`.
    """

    arguments: ClassVar[Arguments] = [
        (b"nodes", Json(optional=True)),
        (b"before", Integer(optional=True)),
        (b"limit", Integer(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Integer(optional=True))]
    errors = REFUSALS


class ShowAction(Command):
    """
    All that became of one action and of the requests that it answered, as events in order.

    A page that is not the last has a ``next``, to be sent as ``after``.
    """

    arguments: ClassVar[Arguments] = [(b"action", Unicode()), (b"after", Integer(optional=True))]
    response: ClassVar[Arguments] = [(b"page", Json()), (b"next", Integer(optional=True))]
    errors = REFUSALS


class Subscribe(Command):
    """
    Be told what happens, as `ActionEvent`, until `Unsubscribe` or the end of the connection.

    ``filter`` may have ``nodes``, ``actions``, ``requests``,
    ``request_prefix`` and ``kinds``; without it everything is told.

    With ``after`` (an event's ``number``, or 0) what happened after that
    event is told first, and then what happens, without a gap and nothing
    twice.  If the journal no longer has all of it, that is refused, saying
    from which number on it does.  ``cursor`` is the number of the newest
    event so far, where that is known.
    """

    arguments: ClassVar[Arguments] = [(b"filter", Json(optional=True)), (b"after", Integer(optional=True))]
    response: ClassVar[Arguments] = [(b"subscription", Integer()), (b"cursor", Integer(optional=True))]
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
    those that were dropped, and reads again what it needs to know, or
    subscribes again from ``after``.
    """

    arguments: ClassVar[Arguments] = [(b"subscription", Integer()), (b"events", Json())]
    errors = PROTOCOL_ERRORS


class Drain(Command):
    """
    Refuse new changes; what was accepted goes on.

    With ``wait`` it is answered when nothing goes on any more, or when
    somebody resumed.  ``coordinator`` is as in `Status`.
    """

    arguments: ClassVar[Arguments] = [
        (b"reason", Unicode()),
        (b"requester", Unicode(optional=True)),
        (b"wait", Boolean(optional=True)),
    ]
    response: ClassVar[Arguments] = [(b"coordinator", Json(optional=True))]
    errors = REFUSALS


class Resume(Command):
    """
    Take new work again; in vain once the coordinator was asked to stop.
    """

    arguments: ClassVar[Arguments] = [(b"requester", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"coordinator", Json(optional=True))]
    errors = REFUSALS


class Shutdown(Command):
    """
    Drain, and end the process when all is done or its grace is over; answered first.
    """

    arguments: ClassVar[Arguments] = [(b"requester", Unicode(optional=True))]
    response: ClassVar[Arguments] = [(b"coordinator", Json())]
    errors = REFUSALS


class GoingAway(Command):
    """
    To every peer: no new calls; this connection ends when those under way are answered.
    """

    arguments: ClassVar[Arguments] = [(b"reason", Unicode())]
    errors = PROTOCOL_ERRORS
