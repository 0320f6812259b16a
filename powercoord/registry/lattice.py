# SPDX-License-Identifier: MIT
"""
Who joins, supersedes, waits and follows: the rules, as functions over values.

# Note [Off beats on]

Verbs have ranks.  A request of a higher rank than what it meets, wanting
another state, takes its place; so a hard off goes through everything, and
nothing but a hard off goes through a hard off.  Requests that want the same
thing become one action with several waiters.  Contract, section 3.

# Note [Lanes are short]

A new request of any verb takes the place of one of the same verb that waits,
or joins it, or stops at one that wants other power.  An off goes through all
that waits and wants on.  So no verb waits twice, and what waits is at most one
off of either kind, and behind it boot, on, reset and cycle, however many ask.
"""

from __future__ import annotations

from attrs import frozen

from powercoord.model import Boot, Goal, Policy, Verb

MOST_WAITING = 5
"""
How many actions can wait in one lane; see note [Lanes are short].
"""

_RANKS = {
    Verb.BOOT: 0,
    Verb.ON: 1,
    Verb.RESET: 1,
    Verb.CYCLE: 2,
    Verb.SOFT_OFF: 3,
    Verb.OFF: 4,
}
_GOALS = {
    Verb.ON: Goal.ON,
    Verb.RESET: Goal.ON,
    Verb.CYCLE: Goal.ON,
    Verb.SOFT_OFF: Goal.OFF,
    Verb.OFF: Goal.OFF,
}


@frozen
class Wish:
    """
    What a request asks, as far as the rules look at it.
    """

    verb: Verb
    boot: Boot | None = None


@frozen
class Seat:
    """
    An action in a lane, as far as the rules look at it.
    """

    id: str
    wish: Wish
    cancelling: bool = False


@frozen
class LaneSeats:
    """
    A node's lane: the action in play, and those behind it, next first.
    """

    in_play: Seat | None = None
    waiting: tuple[Seat, ...] = ()


@frozen
class Join:
    """
    The action ``id`` will do it; waiting ``supersede`` end there and then.
    """

    id: str
    supersede: tuple[str, ...] = ()


@frozen
class Append:
    """
    A new action goes to the tail.

    ``supersede`` are waiting and end there and then; ``cancel`` is in play and
    is cancelled, and the new one runs when it is quiescent.
    """

    supersede: tuple[str, ...] = ()
    cancel: str | None = None


@frozen
class RefuseBusy:
    """
    The caller asked to be refused while ``by`` is in play.
    """

    by: str


@frozen
class RefuseOff:
    """
    A reset makes no sense once the off ``by`` is through.
    """

    by: str


Decision = Join | Append | RefuseBusy | RefuseOff


def goal(verb: Verb) -> Goal | None:
    """
    The power a verb leaves behind; ``None`` if it leaves it as it is.
    """
    return _GOALS.get(verb)


def covers(done: Wish, asked: Wish) -> bool:
    """
    Whether doing ``done`` gives a caller what ``asked`` asks for.
    """
    if done.verb is asked.verb:
        return done.boot == asked.boot
    if done.verb is Verb.CYCLE:
        return asked.verb in (Verb.ON, Verb.RESET) and asked.boot in (None, done.boot)
    return done.verb is Verb.OFF and asked.verb is Verb.SOFT_OFF


def _conflict(one: Wish, other: Wish) -> bool:
    """
    Whether the two leave different power behind (a boot device leaves it on).
    """
    return (goal(one.verb) or Goal.ON) is not (goal(other.verb) or Goal.ON)


def _supersedes(new: Wish, seat: Seat, in_play: bool) -> bool:
    if _RANKS[new.verb] > _RANKS[seat.wish.verb]:
        return _conflict(new, seat.wish) or covers(new, seat.wish)
    return not in_play and new.verb is seat.wish.verb and new.boot != seat.wish.boot


def decide(lane: LaneSeats, new: Wish, policy: Policy = Policy.SUPERSEDE) -> Decision:
    """
    Say what becomes of a new request, looking from the tail to the head.
    """
    if policy is Policy.REJECT:
        return _decide_politely(lane, new)
    ending = _ending_off(lane)
    if new.verb is Verb.RESET and ending is not None:
        return RefuseOff(ending.id)
    ended: list[str] = []
    for seat in reversed(lane.waiting):
        if covers(seat.wish, new):
            return Join(seat.id, tuple(ended))
        if _supersedes(new, seat, in_play=False):
            ended.append(seat.id)
        elif _conflict(new, seat.wish):
            return Append(tuple(ended))
    return _decide_in_play(lane.in_play, new, policy, tuple(ended))


def _decide_in_play(seat: Seat | None, new: Wish, policy: Policy, ended: tuple[str, ...]) -> Decision:
    if seat is None or seat.cancelling:
        return Append(ended)
    if covers(seat.wish, new):
        return Join(seat.id, ended)
    if policy is not Policy.QUEUE and _supersedes(new, seat, in_play=True):
        return Append(ended, cancel=seat.id)
    return Append(ended)


def _decide_politely(lane: LaneSeats, new: Wish) -> Decision:
    """
    As `decide` for a caller that wants nobody to be disturbed.
    """
    seats = [*reversed(lane.waiting)] + ([lane.in_play] if lane.in_play else [])
    for seat in seats:
        if seat.cancelling or (_conflict(new, seat.wish) and not covers(seat.wish, new)):
            break
        if covers(seat.wish, new):
            return Join(seat.id)
    if not seats:
        return Append()
    return RefuseBusy((lane.in_play or seats[-1]).id)


def _ending_off(lane: LaneSeats) -> Seat | None:
    """
    The off that the lane ends in, if it does (a boot device changes nothing).
    """
    for seat in reversed(lane.waiting):
        if seat.wish.verb is not Verb.BOOT:
            return seat if goal(seat.wish.verb) is Goal.OFF else None
    seat_in_play = lane.in_play
    if seat_in_play is None or seat_in_play.cancelling:
        return None
    return seat_in_play if goal(seat_in_play.wish.verb) is Goal.OFF else None


def follows(asked: Wish, superseder: Wish) -> bool:
    """
    Whether a superseded action's waiter is answered by the superseder.
    """
    return covers(superseder, asked)
