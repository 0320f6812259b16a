# SPDX-License-Identifier: MIT
"""
Holds: a person's word that the power of a node is not to be changed.

# Note [Everybody's own lock]

Who works on a machine hangs a lock of their own on its switch, and the switch
stays locked until the last one is taken away.  So each holder has a hold of
their own on a node: another's changes nothing of it, and releasing one leaves
the others.  The same holder has one, and says it anew by holding again.

# Note [What a hold is about]

New changes.  What was accepted before goes on, with all its steps: the force
of a soft-off, the second half of a cycle, what a restart has interrupted.
Reading is never held, nor is cancelling or resolving what goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from powercoord.model import Goal, Verb

# What of power each verb does. A reset stops what runs and starts it again, as a cycle does.
_TURNS: Mapping[Verb, frozenset[Goal]] = {
    Verb.ON: frozenset({Goal.ON}),
    Verb.OFF: frozenset({Goal.OFF}),
    Verb.SOFT_OFF: frozenset({Goal.OFF}),
    Verb.CYCLE: frozenset(Goal),
    Verb.RESET: frozenset(Goal),
    Verb.BOOT: frozenset(),
}


@frozen(kw_only=True)
class Hold:
    """
    One person's word about one node.

    :param only: only what would turn it on, or off, is forbidden; None: every
        change, the boot device included.
    :param until: when it ends by itself; None: never.
    """

    holder: str
    reason: str
    since: datetime
    only: Goal | None = None
    until: datetime | None = None

    def forbids(self, verb: Verb) -> bool:
        """
        Whether that must not be begun.
        """
        return self.only is None or self.only in _TURNS[verb]

    def is_over(self, now: datetime) -> bool:
        """
        Whether it has ended by itself.
        """
        return self.until is not None and self.until <= now


@frozen(kw_only=True)
class Terms:
    """
    What somebody who holds nodes says.

    :param until: when it ends by itself, or
    :param lasting: after how many seconds; at most one of the two.
    """

    holder: str
    reason: str
    only: Goal | None = None
    until: datetime | None = None
    lasting: float | None = None


@frozen
class Holding:
    """
    A node is held.

    :param before: the same holder's hold, whose place this one takes.
    :param going_on: ids of the actions that were accepted before, and go on.
    """

    hold: Hold
    before: Hold | None = None
    going_on: tuple[str, ...] = ()


@frozen
class Freed:
    """
    What was released of a node, and what other people hold on.
    """

    released: tuple[Hold, ...] = ()
    left: tuple[Hold, ...] = ()


class IHolds(Interface):
    """
    Who holds which nodes; see notes [Everybody's own lock] and [What a hold is about].
    """

    def hold(names: Sequence[str], terms: Terms, by: str) -> Deferred[Sequence[Any]]:
        """
        Hold each of these nodes; fires when that is durable.

        Fires with a `Holding` or a `RequestRefused` instance for each.

        :param by: who asks, for what is written down.
        :raises JournalUnavailable: nothing was changed.
        """

    def release(names: Sequence[str], holder: str | None, by: str) -> Deferred[Sequence[Any]]:
        """
        Release each of these nodes; fires when that is durable.

        Fires with a `Freed` or a `RequestRefused` instance for each.  A node
        that nobody knows any more can be released as long as it is held.

        :param holder: whose holds; None: everybody's.
        :raises JournalUnavailable: nothing was changed.
        """

    def of(name: str) -> tuple[Hold, ...]:
        """
        The holds on a node, the one that was said first in front.
        """

    def names() -> Sequence[str]:
        """
        The nodes that are held, known or not.
        """


def moment(at: datetime) -> str:
    """
    A time of day that means the same to whoever reads it.
    """
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
