# SPDX-License-Identifier: MIT
"""
Whether an endpoint that is sick may be spoken to: the rules, as functions over values.

# Note [Who may pass]

An endpoint is trusted until several operations in a row had no answer, or one
was told that the password is wrong.  Then it is parked, and from then on:

====================  =======================================  =============================
who asks              it did not answer                        it refused our password
====================  =======================================  =============================
an off                passes                                   passes
an action on its way  passes: it has a budget of its own       is refused
one from before a     passes if nobody else is trying, so      as any other action
restart               that it goes on trying
any other action      is refused, but for the one that comes   the same
                      when a try is due: that is the try
a query               is answered with what is known           the same
====================  =======================================  =============================

An action is on its way once it has begun one operation.  Its retries are few,
spread, and end at its deadline; to cut them short would fail what a BMC that
is only slow would still have done.

# Note [Under suspicion]

Between the first silence and the last that it takes, changes pass as ever: the
BMC may only have been busy.  But who only wants to know need not wait as long
as silence lasts for what was just found out: a query of a node that was silent
is answered with that, and the endpoint is looked at again soon.  So of a fleet
with many dead BMCs only the first sweep is slow.

# Note [Many nodes at one endpoint]

Only silence counts.  An endpoint that says "no", or "not now", has answered,
and is as well as one that says "yes".  And one node that nobody hears from is
not its chassis: where another node of the endpoint was heard before, silence
towards one node alone does not park it for all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum

from attrs import evolve, frozen

from powercoord.entries import Parked as ParkedEntry
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerParkedError,
    PowerRefusedError,
)
from powercoord.model import Node, Target
from powercoord.parking import Cause, ParkingRules

_SOONER = 5
_DOUBLINGS = 16


class Standing(Enum):
    """
    Who asks to speak to an endpoint.
    """

    OFF = "off"
    ON_ITS_WAY = "on its way"
    RESUMED = "resumed"
    NEW = "new"
    QUERY = "query"
    PROBE = "probe"


class Verdict(Enum):
    """
    Whether one may: as ever, as the one who tries, or not at all.
    """

    GO = "go"
    TRY = "try"
    REFUSE = "refuse"


class Sign(Enum):
    """
    What an operation has shown of its endpoint.
    """

    ANSWER = "answer"
    SILENCE = "silence"
    DENIAL = "denial"
    NOTHING = "nothing"


@frozen(kw_only=True)
class Trusted:
    """
    Nothing is wrong, or not yet; see note [Under suspicion].

    :param silent: operations in a row that had no answer.
    :param towards: selectors of the nodes that these were about.
    :param node: the last of those.
    :param due: when it is looked at again, on the clock.
    """

    silent: int = 0
    towards: frozenset[str] = frozenset()
    node: Node | None = None
    due: float = 0.0


@frozen(kw_only=True)
class Parked:
    """
    It is left alone.

    :param node: the name of the one that has shown it.
    :param target: its settings of then; None: it was before a restart.
    :param mark: what is known of them then (see `powercoord.marks`).
    :param pause: seconds that passed, or pass, before the next try.
    :param due: when that is, on the clock.
    :param trying: whether somebody is trying now.
    """

    node: str
    cause: Cause
    reason: str
    since: datetime
    pause: float
    due: float
    target: Target | None = None
    mark: str = ""
    trying: bool = False


State = Trusted | Parked
Jitter = Callable[[float], float]


def judge(state: State, standing: Standing, now: float) -> Verdict:
    """
    Whether one may speak to an endpoint; see note [Who may pass].
    """
    if isinstance(state, Trusted) or standing is Standing.OFF:
        return Verdict.GO
    unreachable = state.cause is Cause.UNREACHABLE
    if standing is Standing.ON_ITS_WAY and unreachable:
        return Verdict.GO
    if standing is Standing.QUERY or state.trying:
        return Verdict.REFUSE
    if standing is Standing.PROBE or (standing is Standing.RESUMED and unreachable):
        return Verdict.TRY
    return Verdict.TRY if is_due(state, now) else Verdict.REFUSE


def is_due(state: Parked, now: float) -> bool:
    """
    Whether it is time for a try; a timer may ring a moment early.
    """
    return state.due <= now + 0.001


def sign_of(error: BaseException | None) -> Sign:
    """
    What the end of an operation says of its endpoint; None: it went well.
    """
    if error is None or isinstance(error, PowerActionError | PowerRefusedError):
        return Sign.ANSWER
    if isinstance(error, PowerParkedError):
        return Sign.NOTHING
    if isinstance(error, PowerAuthError):
        return Sign.DENIAL
    return Sign.SILENCE if isinstance(error, PowerConnError) else Sign.NOTHING


def heard_nothing(
    state: Trusted, node: Node, rules: ParkingRules, now: float, *, others_answer: bool
) -> Trusted | Cause:
    """
    One more operation had no answer: a longer streak, or enough of it.

    :param others_answer: whether another node was heard at this endpoint before.
    """
    silent = state.silent + 1
    towards = state.towards | {node.target.selector}
    if silent >= rules.after and not (others_answer and len(towards) == 1):
        return Cause.UNREACHABLE
    due = now + second_look(silent, rules)
    return Trusted(silent=silent, towards=towards, node=node, due=due)


def second_look(silent: int, rules: ParkingRules) -> float:
    """
    How soon an endpoint is looked at again that was silent so often, but is not parked.
    """
    doubled: int = 2 ** min(silent - 1, _DOUBLINGS)
    return min(rules.pause / _SOONER * doubled, rules.longest)


def first_pause(cause: Cause, rules: ParkingRules) -> float:
    """
    How long an endpoint is left alone at first.
    """
    return rules.pause if cause is Cause.UNREACHABLE else rules.refused


def recalled(entry: ParkedEntry, now: datetime, moment: float, rules: ParkingRules) -> Parked:
    """
    An endpoint that was parked before a restart.

    :param moment: the same on the clock as ``now`` is by the wall.
    """
    remaining = min(max(0.0, (entry.next_try - now).total_seconds()), first_pause(entry.cause, rules))
    return Parked(
        node=entry.node,
        cause=entry.cause,
        reason=entry.text,
        since=entry.since or entry.at,
        pause=first_pause(entry.cause, rules),
        due=moment + remaining,
        mark=entry.mark,
    )


def tried_in_vain(state: Parked, rules: ParkingRules, now: float, jitter: Jitter) -> Parked:
    """
    The next try comes later than this one did, if this one was due.
    """
    pause = state.pause
    if is_due(state, now):
        pause = min(2 * pause, rules.longest) if state.cause is Cause.UNREACHABLE else rules.refused
        return evolve(state, trying=False, pause=pause, due=now + jitter(pause))
    return evolve(state, trying=False)


def tried_for_nothing(state: Parked, now: float, jitter: Jitter) -> Parked:
    """
    The try was broken off, and has shown nothing.
    """
    return evolve(state, trying=False, due=max(state.due, now + jitter(state.pause)))


def is_another(parked: Parked, node: Node, mark: Callable[[Target], str]) -> bool:
    """
    Whether the node that has shown it is reached in another way by now.

    Without a mark that is taken for granted: to try once too often is what we did before there were any.
    """
    if node.name != parked.node:
        return False
    if parked.target is not None:
        return node.target != parked.target
    return not parked.mark or parked.mark != mark(node.target)
