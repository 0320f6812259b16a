# SPDX-License-Identifier: MIT
"""
The journal's two doors, writing and reading, and the values that come out of them.

Times are wall clock, with their zone; the registry turns them into its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import field, frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from powercoord.entries import Entry, Parked
from powercoord.holds import Hold
from powercoord.model import Boot, Disposition, Outcome, Phase, PowerState, Request, Verb, Wanted


@frozen
class Pending:
    """
    A request that was accepted and not answered.

    :param at: when it was accepted.
    """

    request: Request
    at: datetime


@frozen(kw_only=True)
class Left:
    """
    An action that was not over when the journal was last written.

    :param since: when its first request was accepted.
    :param phase: the last one that was written, but for ``INTERRUPTED``.
    :param half: which command of several that phase was about.
    :param at: when it entered that phase.
    :param turn: when it was ``ADMITTED`` for this half, from where the node's own
        time counts, and not when it was taken up again after a restart; None:
        its turn had not come.
    :param sent: the halves for which a command may have left, in order.
    :param superseded_by: the action that takes its place, and that one's verb.
    :param cancelled_by: who cancelled it.
    :param pending: its waiters, in the order in which they were accepted.
    """

    action: str
    node: str
    verb: Verb
    boot: Boot | None
    since: datetime
    phase: Phase
    half: str
    at: datetime
    turn: datetime | None = None
    sent: tuple[str, ...] = ()
    superseded_by: tuple[str, Verb] | None = None
    cancelled_by: str | None = None
    pending: tuple[Pending, ...] = ()


@frozen
class Seen:
    """
    The last observation of a node that was written.
    """

    at: datetime
    state: PowerState
    text: str = ""


@frozen(kw_only=True)
class Record:
    """
    One accepted request with its answer, as far as there is one.

    :param number: of the entry that accepted it.
    :param disposition: what became of it at once.
    :param action: the action that answers it (the last it followed).
    """

    number: int
    at: datetime
    request: Request
    action: str
    disposition: Disposition
    answered: datetime | None = None
    outcome: Outcome | None = None


@frozen
class Numbered:
    """
    An entry and its number; later entries have higher ones, for ever.
    """

    number: int
    entry: Entry


@frozen(kw_only=True)
class Recovered:
    """
    All that a registry begins with.

    :param left: what is to be settled, in the order of acceptance, so that
        the actions of one node come in the order of its lane.
    :param sequences: the last accepted sequence of each node that had one.
    :param answered: the requests answered last, oldest first, for whoever
        sends one of them again.
    :param holds: the holds on each node, the one that was said first in front.
    :param refused: what was written last about each endpoint that refused our
        password and is parked for that.
    :param key: what makes marks of settings (see `powercoord.marks`); the same
        at each start, empty if it could not be kept.
    :param newest: the number of the newest entry, 0 without any.
    :param notes: what an operator should know of how it was found (a journal
        that was set aside, for one), a line each.
    """

    left: Sequence[Left] = ()
    wanted: Mapping[str, Wanted] = field(factory=dict)
    sequences: Mapping[str, int] = field(factory=dict)
    seen: Mapping[str, Seen] = field(factory=dict)
    answered: Sequence[Record] = ()
    holds: Mapping[str, tuple[Hold, ...]] = field(factory=dict)
    refused: Sequence[Parked] = ()
    key: bytes = field(default=b"", repr=False, eq=False)
    newest: int = 0
    notes: Sequence[str] = ()


class IJournal(Interface):
    """
    Where entries become durable.
    """

    trouble: str | None = Attribute("Why it could not be written the last time, None if it could.")

    def open() -> Deferred[Recovered]:
        """
        Take possession of the files, and tell what they know; called once, first.

        :raises JournalUnavailable: it cannot be used: another process has it,
            a newer version wrote it, or the disk refuses.  One line says which.
        """

    def append(entries: Sequence[Entry]) -> Deferred[int]:
        """
        Write entries, all or none, in the order of the calls.

        Fires when they are durable, with the number of the last of them; they
        have consecutive numbers.  Appends of one tick share a commit.

        :raises JournalUnavailable: they are not durable; the caller starts
            nothing that depends on them.
        """

    def may_know(request_id: str) -> bool:
        """
        Whether `IHistory.answered` may know this request; at once, and never a false no.
        """

    def close() -> Deferred[None]:
        """
        Write what was appended and let go of the files.
        """


class IHistory(Interface):
    """
    What was written, to be read; never in the way of what is being written.

    Everything here is read from the disk, outside the reactor's thread.
    """

    def answered(request_ids: Sequence[str]) -> Deferred[Sequence[Record]]:
        """
        The records of those of these requests that were answered.
        """

    def requests(nodes: Sequence[str] | None, before: int | None, limit: int) -> Deferred[Sequence[Record]]:
        """
        What was asked of these nodes (None: of all), newest first.

        :param before: only those with lower numbers: the last page's lowest.
        """

    def action(action: str) -> Deferred[Sequence[Numbered]]:
        """
        Every entry about an action, and of the requests it answered, in order.

        :raises NoSuchAction: nothing is known of it (any more).
        """

    def holds(nodes: Sequence[str] | None, before: int | None, limit: int) -> Deferred[Sequence[Numbered]]:
        """
        The entries about holds on these nodes (None: on all), newest first.

        :param before: only those with lower numbers: the last page's lowest.
        """

    def entries(after: int, limit: int) -> Deferred[Sequence[Numbered]]:
        """
        The entries with higher numbers, in order.

        :raises BadRequest: entries after that number have been pruned; says
            from which number on there are any.
        """
