# SPDX-License-Identifier: MIT
"""
The rules of the lattice, as tables made by hand from the contract, and in every lane that can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import product

from attrs import evolve, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from powercoord.model import Boot, BootDevice, Goal, Policy, Verb
from powercoord.registry.lattice import (
    MOST_WAITING,
    Append,
    Decision,
    Join,
    LaneSeats,
    RefuseBusy,
    RefuseOff,
    Seat,
    Wish,
    covers,
    decide,
    follows,
    goal,
)
from tests.unmeasured import unmeasured

DEVICES = {"pxe": Boot(BootDevice.PXE), "disk": Boot(BootDevice.DISK), "pxe!": Boot(BootDevice.PXE, True)}


def wish(words: str) -> Wish:
    """
    What "cycle/pxe" stands for.
    """
    verb, _, device = words.partition("/")
    return Wish(Verb(verb), DEVICES[device] if device else None)


def wishes(words: str) -> list[Wish]:
    return [wish(word) for word in words.split()]


# The tables: what becomes of the request in the column when the action in the row is alone in the lane.
#   join   it joins            take   it takes the action's place (which ends, or is cancelled)
#   wait   it waits behind     off!   refused, because an off comes first         busy  refused: policy=reject

WAITING = """
            on    on/pxe on/disk reset reset/pxe cycle cycle/pxe soft-off off   boot/pxe boot/disk
on          join  take   take    wait  wait      take  take      take     take  wait     wait
on/pxe      take  join   take    wait  wait      wait  take      take     take  wait     wait
on/disk     take  take   join    wait  wait      wait  wait      take     take  wait     wait
reset       wait  wait   wait    join  take      take  take      take     take  wait     wait
reset/pxe   wait  wait   wait    take  join      wait  take      take     take  wait     wait
cycle       join  wait   wait    join  wait      join  take      take     take  wait     wait
cycle/pxe   join  join   wait    join  join      take  join      take     take  wait     wait
soft-off    wait  wait   wait    off!  off!      wait  wait      join     take  wait     wait
off         wait  wait   wait    off!  off!      wait  wait      join     join  wait     wait
boot/pxe    wait  wait   wait    wait  wait      wait  wait      take     take  join     take
boot/disk   wait  wait   wait    wait  wait      wait  wait      take     take  take     join
"""

# As above, but other options are no reason to stop what has begun.
IN_PLAY = """
            on    on/pxe on/disk reset reset/pxe cycle cycle/pxe soft-off off   boot/pxe boot/disk
on          join  wait   wait    wait  wait      take  take      take     take  wait     wait
on/pxe      wait  join   wait    wait  wait      wait  take      take     take  wait     wait
on/disk     wait  wait   join    wait  wait      wait  wait      take     take  wait     wait
reset       wait  wait   wait    join  wait      take  take      take     take  wait     wait
reset/pxe   wait  wait   wait    wait  join      wait  take      take     take  wait     wait
cycle       join  wait   wait    join  wait      join  wait      take     take  wait     wait
cycle/pxe   join  join   wait    join  join      wait  join      take     take  wait     wait
soft-off    wait  wait   wait    off!  off!      wait  wait      join     take  wait     wait
off         wait  wait   wait    off!  off!      wait  wait      join     join  wait     wait
boot/pxe    wait  wait   wait    wait  wait      wait  wait      take     take  join     wait
boot/disk   wait  wait   wait    wait  wait      wait  wait      take     take  wait     join
"""

# With policy=queue nothing in play is disturbed.
IN_PLAY_QUEUE = """
            on    on/pxe on/disk reset reset/pxe cycle cycle/pxe soft-off off   boot/pxe boot/disk
on          join  wait   wait    wait  wait      wait  wait      wait     wait  wait     wait
on/pxe      wait  join   wait    wait  wait      wait  wait      wait     wait  wait     wait
on/disk     wait  wait   join    wait  wait      wait  wait      wait     wait  wait     wait
reset       wait  wait   wait    join  wait      wait  wait      wait     wait  wait     wait
reset/pxe   wait  wait   wait    wait  join      wait  wait      wait     wait  wait     wait
cycle       join  wait   wait    join  wait      join  wait      wait     wait  wait     wait
cycle/pxe   join  join   wait    join  join      wait  join      wait     wait  wait     wait
soft-off    wait  wait   wait    off!  off!      wait  wait      join     wait  wait     wait
off         wait  wait   wait    off!  off!      wait  wait      join     join  wait     wait
boot/pxe    wait  wait   wait    wait  wait      wait  wait      wait     wait  join     wait
boot/disk   wait  wait   wait    wait  wait      wait  wait      wait     wait  wait     join
"""

# With policy=reject one joins or is refused, whether the other waits or is in play.
REJECT = """
            on    on/pxe on/disk reset reset/pxe cycle cycle/pxe soft-off off   boot/pxe boot/disk
on          join  busy   busy    busy  busy      busy  busy      busy     busy  busy     busy
on/pxe      busy  join   busy    busy  busy      busy  busy      busy     busy  busy     busy
on/disk     busy  busy   join    busy  busy      busy  busy      busy     busy  busy     busy
reset       busy  busy   busy    join  busy      busy  busy      busy     busy  busy     busy
reset/pxe   busy  busy   busy    busy  join      busy  busy      busy     busy  busy     busy
cycle       join  busy   busy    join  busy      join  busy      busy     busy  busy     busy
cycle/pxe   join  join   busy    join  join      busy  join      busy     busy  busy     busy
soft-off    busy  busy   busy    busy  busy      busy  busy      join     busy  busy     busy
off         busy  busy   busy    busy  busy      busy  busy      join     join  busy     busy
boot/pxe    busy  busy   busy    busy  busy      busy  busy      busy     busy  join     busy
boot/disk   busy  busy   busy    busy  busy      busy  busy      busy     busy  busy     join
"""

KINDS = WAITING.split("\n")[1].split()


def cells(table: str) -> Iterator[tuple[str, str, str]]:
    """
    Each row's name, each column's, and what stands there.
    """
    heading, *rows = table.strip("\n").split("\n")
    columns = heading.split()
    for row in rows:
        name, *values = row.split()
        yield from ((name, column, value) for column, value in zip(columns, values, strict=True))


def word(decision: Decision) -> str:
    """
    The word of the tables for what was decided about action "a".
    """
    words: dict[Decision, str] = {
        Join("a"): "join",
        Append(): "wait",
        Append(supersede=("a",)): "take",
        Append(cancel="a"): "take",
        RefuseOff("a"): "off!",
        RefuseBusy("a"): "busy",
    }
    return words[decision]


class PairTests(SynchronousTestCase):
    """
    `decide`, for every pair of requests.
    """

    def assertTable(self, table: str, policy: Policy, lane: Callable[[Seat], LaneSeats]) -> None:
        found = [
            (old, new, word(decide(lane(Seat("a", wish(old))), wish(new), policy)))
            for old, new in product(KINDS, KINDS)
        ]

        self.assertEqual(list(cells(table)), found)

    def test_waiting(self) -> None:
        """
        What waits is joined, replaced, or waited for; policy=queue spares only what is in play.
        """
        for policy in (Policy.SUPERSEDE, Policy.QUEUE):
            self.assertTable(WAITING, policy, lambda seat: LaneSeats(None, (seat,)))

    def test_in_play(self) -> None:
        """
        What is in play is joined, cancelled, or waited for.
        """
        self.assertTable(IN_PLAY, Policy.SUPERSEDE, LaneSeats)

    def test_in_play_queue(self) -> None:
        """
        With policy=queue what is in play is joined or waited for.
        """
        self.assertTable(IN_PLAY_QUEUE, Policy.QUEUE, LaneSeats)

    def test_reject(self) -> None:
        """
        With policy=reject a busy lane is joined, or refuses and names what is in its way.
        """
        self.assertTable(REJECT, Policy.REJECT, LaneSeats)
        self.assertTable(REJECT, Policy.REJECT, lambda seat: LaneSeats(None, (seat,)))

    def test_being_cancelled(self) -> None:
        """
        Nobody joins what is being cancelled, or supersedes it again: all wait, and policy=reject refuses.
        """
        for old, new in product(KINDS, KINDS):
            lane = LaneSeats(Seat("a", wish(old), cancelling=True))
            self.assertEqual("wait", word(decide(lane, wish(new))), f"{new} behind {old}")
            self.assertEqual("wait", word(decide(lane, wish(new), Policy.QUEUE)))
            self.assertEqual("busy", word(decide(lane, wish(new), Policy.REJECT)))

    def test_empty(self) -> None:
        """
        An empty lane takes everything, whatever the policy.
        """
        for new, policy in product(KINDS, Policy):
            self.assertEqual(Append(), decide(LaneSeats(), wish(new), policy))

    def test_covers(self) -> None:
        """
        One joins exactly what gives it what it asks for.
        """
        joins = {(old, new) for old, new, value in cells(WAITING) if value == "join"}

        self.assertEqual(
            joins, {(old, new) for old, new in product(KINDS, KINDS) if covers(wish(old), wish(new))}
        )

    def test_follows(self) -> None:
        """
        A superseded waiter follows a superseder that gives it what it asked for, and no other.
        """
        taken = [(old, new) for old, new, value in cells(WAITING) if value == "take"]
        following = [f"{old} -> {new}" for old, new in taken if follows(wish(old), wish(new))]

        self.assertEqual(
            [
                "on -> cycle",
                "on -> cycle/pxe",
                "on/pxe -> cycle/pxe",
                "reset -> cycle",
                "reset -> cycle/pxe",
                "reset/pxe -> cycle/pxe",
                "soft-off -> off",
            ],
            following,
        )


class WalkTests(SynchronousTestCase):
    """
    `decide`, in lanes with several actions: from the tail to the head.
    """

    def lane(self, in_play: str, *waiting: str) -> LaneSeats:
        seat = Seat("0", wish(in_play.rstrip("~")), cancelling=in_play.endswith("~")) if in_play else None
        seats = (Seat(str(number), wish(words)) for number, words in enumerate(waiting, 1))
        return LaneSeats(seat, tuple(seats))

    def test_joins_behind_what_it_ends(self) -> None:
        """
        An off ends the on that waits behind an off, and joins that off.
        """
        self.assertEqual(Join("1", ("2",)), decide(self.lane("on~", "off", "on"), wish("off")))
        self.assertEqual(Join("0", ("2", "1")), decide(self.lane("off", "on", "reset"), wish("off")))

    def test_through_everything(self) -> None:
        """
        An off ends all that waits and wants on, and cancels what is in play.
        """
        lane = self.lane("cycle", "boot/pxe", "on/pxe", "reset/pxe")

        self.assertEqual(Append(("3", "2", "1"), cancel="0"), decide(lane, wish("off")))

    def test_stops_at_the_other_goal(self) -> None:
        """
        An on does not join an on that comes before an off.
        """
        self.assertEqual(Append(), decide(self.lane("on", "off"), wish("on")))
        self.assertEqual(Append(), decide(self.lane("on/pxe", "soft-off"), wish("on/pxe")))

    def test_looks_past_its_own_goal(self) -> None:
        """
        An on joins an on ahead of a reset or a boot device.
        """
        self.assertEqual(Join("1"), decide(self.lane("off", "on", "reset", "boot/pxe"), wish("on")))
        self.assertEqual(Join("0"), decide(self.lane("on", "reset"), wish("on")))

    def test_replaces_past_its_own_goal(self) -> None:
        """
        An on with other options replaces the on that waits, wherever that is.
        """
        lane = self.lane("on", "on/disk", "reset")

        self.assertEqual(Append(("1",)), decide(lane, wish("on/pxe")))

    def test_queue_reaches_what_waits(self) -> None:
        """
        With policy=queue an off ends the on that waits, and leaves the one in play alone.
        """
        self.assertEqual(Append(("1",)), decide(self.lane("on", "on/pxe"), wish("off"), Policy.QUEUE))

    def test_reject_names_what_is_in_play(self) -> None:
        """
        With policy=reject the one in play is named, not the one that was met first.
        """
        self.assertEqual(RefuseBusy("0"), decide(self.lane("on", "off"), wish("on"), Policy.REJECT))
        self.assertEqual(RefuseBusy("1"), decide(self.lane("", "on", "reset"), wish("off"), Policy.REJECT))

    def test_reject_joins_only_in_its_own_stretch(self) -> None:
        """
        With policy=reject nobody joins what comes before the other goal.
        """
        self.assertEqual(Join("0"), decide(self.lane("on", "reset"), wish("on"), Policy.REJECT))
        self.assertEqual(RefuseBusy("0"), decide(self.lane("off~", "on"), wish("off"), Policy.REJECT))

    def test_reset_goes_by_the_end(self) -> None:
        """
        A reset is refused where the lane ends off, and not where an on comes after the off.
        """
        self.assertEqual(RefuseOff("1"), decide(self.lane("on~", "off"), wish("reset")))
        self.assertEqual(RefuseOff("1"), decide(self.lane("on~", "off", "boot/pxe"), wish("reset")))
        self.assertEqual(Append(), decide(self.lane("off", "on"), wish("reset")))


State = tuple[tuple[Wish, bool] | None, tuple[Wish, ...]]


def state(lane: LaneSeats) -> State:
    """
    A lane without the names of its actions.
    """
    seat = lane.in_play
    return (seat.wish, seat.cancelling) if seat else None, tuple(waiting.wish for waiting in lane.waiting)


def goals(lane: LaneSeats) -> Goal | None:
    """
    The power that a lane leaves behind, when all of it is done.
    """
    seats = [seat for seat in (lane.in_play,) if seat and not seat.cancelling]
    found = [goal(seat.wish.verb) for seat in (*seats, *lane.waiting)]
    return next((each for each in reversed(found) if each is not None), None)


@frozen
class Enumeration:
    """
    Every lane that requests of some kinds can bring about, whenever each action ends.

    :param cancels: whether somebody may cancel any action, too.
    :param refused: whether a reset that `decide` refuses stays refused.
    :param accepted: a lane, a request that it accepts, and the lane after that.
    """

    kinds: list[Wish]
    policies: tuple[Policy, ...] = (Policy.SUPERSEDE,)
    cancels: bool = False
    refused: Callable[[LaneSeats, Wish], bool] = lambda _lane, _wish: True
    found: dict[State, LaneSeats] = field(factory=dict, init=False)
    accepted: list[tuple[LaneSeats, Wish, LaneSeats]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        pending = [LaneSeats()]
        while pending:
            lane = pending.pop()
            if len(lane.waiting) > len(self.kinds):
                raise AssertionError(f"this lane grows: {state(lane)}")
            if state(lane) not in self.found:
                self.found[state(lane)] = lane
                pending.extend(self._next(lane))

    def most_waiting(self) -> int:
        return max(len(lane.waiting) for lane in self.found.values())

    def _accepted(self, lane: LaneSeats) -> Iterator[tuple[LaneSeats, Wish, LaneSeats]]:
        for asked, policy in product(self.kinds, self.policies):
            decision = decide(lane, asked, policy)
            if isinstance(decision, RefuseOff) and not self.refused(lane, asked):
                decision = Append()
            if isinstance(decision, Join | Append):
                yield lane, asked, applied(lane, asked, decision)

    def _next(self, lane: LaneSeats) -> Iterable[LaneSeats]:
        accepted = list(self._accepted(lane))
        self.accepted.extend(accepted)
        yield from (after for _, _, after in accepted)
        if lane.in_play is not None:
            yield started(LaneSeats(None, lane.waiting))
        if self.cancels and lane.in_play is not None:
            yield evolve(lane, in_play=evolve(lane.in_play, cancelling=True))
        if self.cancels:
            for seat in lane.waiting:
                yield evolve(lane, waiting=tuple(other for other in lane.waiting if other is not seat))


def applied(lane: LaneSeats, asked: Wish, decision: Join | Append) -> LaneSeats:
    """
    The lane after a request.
    """
    in_play = lane.in_play
    waiting = tuple(seat for seat in lane.waiting if seat.id not in decision.supersede)
    if isinstance(decision, Join):
        return LaneSeats(in_play, waiting)
    if decision.cancel is not None and in_play is not None:
        in_play = evolve(in_play, cancelling=True)
    taken = {seat.id for seat in (in_play, *lane.waiting) if seat}
    name = next(name for name in map(str, range(len(taken) + 1)) if name not in taken)
    return started(LaneSeats(in_play, (*waiting, Seat(name, asked))))


def started(lane: LaneSeats) -> LaneSeats:
    """
    The lane with the next action in play, if it was free for that.
    """
    if lane.in_play is not None or not lane.waiting:
        return lane
    return LaneSeats(lane.waiting[0], lane.waiting[1:])


class EveryLaneTests(SynchronousTestCase):
    """
    The rules, in every lane that can be.
    """

    eight = wishes("on on/pxe on/disk reset cycle cycle/pxe soft-off off")
    all_verbs = wishes("on on/pxe reset reset/pxe cycle cycle/pxe soft-off off boot/pxe boot/disk")

    def assertTailIsLastWish(self, enumeration: Enumeration) -> None:
        for before, asked, after in enumeration.accepted:
            wanted = goal(asked.verb) or goals(before)
            self.assertEqual(wanted, goals(after), f"{asked} in {state(before)} makes {state(after)}")

    def test_eight_kinds(self) -> None:
        """
        Eight kinds of request make 340 lanes: never more than three wait, and the last one wins.

        The contract counts 342: its enumeration let a reset wait behind an off that is in play, alone, which
        its own rule refuses ("a reset whose lane ends in goal off").  Those are two more.
        """
        strict = Enumeration(self.eight)
        lenient = Enumeration(self.eight, refused=lambda lane, _: bool(lane.waiting))

        self.assertEqual(340, len(strict.found))
        self.assertEqual(3, strict.most_waiting())
        self.assertTailIsLastWish(strict)
        self.assertEqual(
            {((wish(off), False), (wish("reset"),)) for off in ("off", "soft-off")},
            set(lenient.found) - set(strict.found),
        )
        self.assertEqual(342, len(lenient.found))

    @unmeasured
    def test_every_kind(self) -> None:
        """
        With boot devices for everything, both patient policies and cancels at any moment, lanes stay short.

        What policy=reject accepts leads nowhere else: it joins, or has the lane to itself.
        """
        enumeration = Enumeration(self.all_verbs, (Policy.SUPERSEDE, Policy.QUEUE), cancels=True)

        self.assertEqual(MOST_WAITING, enumeration.most_waiting())
        self.assertTailIsLastWish(enumeration)
        for lane in enumeration.found.values():
            verbs = Counter(seat.wish.verb for seat in lane.waiting)
            self.assertEqual([], [verb for verb, count in verbs.items() if count > 1], state(lane))

    def test_more_devices(self) -> None:
        """
        More options make more lanes, and none longer.
        """
        enumeration = Enumeration(wishes("on on/pxe on/disk on/pxe! cycle off boot/pxe boot/disk boot/pxe!"))

        self.assertEqual(4, enumeration.most_waiting())
        self.assertTailIsLastWish(enumeration)

    def test_flip_flop(self) -> None:
        """
        A thousand requests in turn leave at most one waiting behind the one in play.
        """
        lane = LaneSeats()
        for number in range(1000):
            asked = wish("on" if number % 2 else "off")
            decision = decide(lane, asked)
            assert isinstance(decision, Join | Append)
            lane = applied(lane, asked, decision)
            self.assertLessEqual(len(lane.waiting), 1)
