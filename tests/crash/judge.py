# SPDX-License-Identifier: MIT
"""
What must hold once everything accepted is over, however often the coordinator was killed before that.

A pure function over three witnesses: what the journal says, what the BMCs saw and what the client heard.
Each rule yields its complaints as sentences; none is what everybody hopes for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from attrs import define, field, frozen

from powercoord.durable import Recovered
from powercoord.entries import Accepted, Answered, Ended, Entered, Entry
from powercoord.model import (
    Cancelled,
    Done,
    Failed,
    Goal,
    Interrupted,
    Outcome,
    Phase,
    PowerState,
    Superseded,
    Unknown,
    Verb,
)
from tests.crash.machines import Witness

GOALS = {Verb.ON: Goal.ON, Verb.CYCLE: Goal.ON, Verb.OFF: Goal.OFF, Verb.SOFT_OFF: Goal.OFF}

#: What is written when an action goes on where it was; it is not begun again by that.
RESUMED = "resumed after a restart"

#: What one action of each verb may have sent at most; the same twice in a row counts once, except where it
#: stands in `ONCE`.
MAY_SEND = {
    Verb.ON: ("set-boot", "on"),
    Verb.OFF: ("off",),
    Verb.SOFT_OFF: ("soft", "off"),
    Verb.CYCLE: ("off", "set-boot", "on"),
    Verb.RESET: ("set-boot", "reset"),
    Verb.BOOT: ("set-boot",),
}
ONCE = ("reset", "soft")


@frozen(kw_only=True)
class Evidence:
    """
    All that is known after the last life.

    :param entries: the whole journal, in order.
    :param recovered: what a registry would begin with now.
    :param heard: of which request ids the client heard "accepted", and by which action.
    :param outcomes: how the client was told that each of its requests ended.
    :param blur: by how many seconds a witness may be wrong about the time.
    :param healthy: whether every BMC answered everything in time, so that nothing has an excuse to fail.
    """

    entries: Sequence[Entry]
    recovered: Recovered
    witnesses: Mapping[str, Witness]
    heard: Mapping[str, str]
    outcomes: Mapping[str, Outcome]
    healthy: bool = True
    blur: float = 0.0


@define(eq=False)
class Deed:
    """
    What the journal says of one action.

    :param sent: when it may have sent its first command.
    :param halves: for which commands it wrote that they may be sent, repetitions included.
    """

    id: str
    node: str
    verb: Verb
    accepted: float
    sent: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    halves: list[str] = field(factory=list)

    def spans(self, at: float, blur: float) -> bool:
        """
        Whether a command received at that time can be its own.
        """
        if self.sent is None or at < self.sent - blur:
            return False
        return self.ended is None or at <= self.ended + blur


def deeds(entries: Sequence[Entry]) -> dict[str, Deed]:
    """
    The actions of a journal, in the order of their acceptance.
    """
    found: dict[str, Deed] = {}
    for entry in entries:
        match entry:
            case Accepted(at=at, request=request, action=action) if action not in found:
                found[action] = Deed(action, request.node, request.verb, at.timestamp())
            case Entered(action=action, at=at, phase=Phase.SENT, half=half, text=text):
                deed = found[action]
                if text != RESUMED:
                    deed.halves.append(half)
                deed.sent = deed.sent or at.timestamp()
            case Ended(action=action, at=at, outcome=outcome):
                found[action].ended, found[action].outcome = at.timestamp(), outcome
    return found


def complaints(evidence: Evidence) -> list[str]:
    """
    Every rule that does not hold.
    """
    actions = deeds(evidence.entries)
    return [
        *_nothing_lost(evidence),
        *_each_once(evidence),
        *_nothing_left(evidence, actions),
        *_told_the_truth(evidence),
        *_one_at_a_time(actions),
        *_nothing_twice(evidence, actions),
        *_ends_as_wanted(evidence),
        *_recorded(evidence, actions),
        *_no_excuse(evidence, actions),
    ]


def _nothing_lost(evidence: Evidence) -> Iterator[str]:
    begun = {e.request.request_id: e.action for e in evidence.entries if isinstance(e, Accepted)}
    for name, action in evidence.heard.items():
        if begun.get(name) != action:
            yield f"{name} was heard to be accepted by {action}, and the journal knows {begun.get(name)}"


def _each_once(evidence: Evidence) -> Iterator[str]:
    accepted = Counter(e.request.request_id for e in evidence.entries if isinstance(e, Accepted))
    answered = Counter(e.request_id for e in evidence.entries if isinstance(e, Answered))
    ended = Counter(e.action for e in evidence.entries if isinstance(e, Ended))
    for name, count in accepted.items():
        if count != 1:
            yield f"{name} was accepted {count} times"
        if answered[name] != 1:
            yield f"{name} has {answered[name]} terminal records"
    for name in answered.keys() - accepted.keys():
        yield f"{name} was answered and never accepted"
    for entry in evidence.entries:
        if isinstance(entry, Answered | Ended) and isinstance(entry.outcome, Interrupted):
            yield f"{entry.action} has 'interrupted' as its last word"
    for action, count in ended.items():
        if count != 1:
            yield f"action {action} ended {count} times"


def _nothing_left(evidence: Evidence, actions: Mapping[str, Deed]) -> Iterator[str]:
    for left in evidence.recovered.left:
        yield f"{left.node}: {left.verb.value} {left.action} is outstanding, {left.phase.value} {left.half}"
    for deed in actions.values():
        if deed.ended is None:
            yield f"{deed.node}: {deed.verb.value} {deed.id} never ended"


def _told_the_truth(evidence: Evidence) -> Iterator[str]:
    recorded = {e.request_id: e.outcome for e in evidence.entries if isinstance(e, Answered)}
    for name, outcome in evidence.outcomes.items():
        if name in recorded and recorded[name] != outcome:
            yield f"{name} was told {outcome}, and recorded is {recorded[name]}"


def _one_at_a_time(actions: Mapping[str, Deed]) -> Iterator[str]:
    for node, group in _by_node(actions).items():
        began = sorted((deed for deed in group if deed.sent is not None), key=lambda deed: deed.sent or 0)
        for before, after in pairwise(began):
            if before.ended is None or before.ended > (after.sent or 0):
                yield f"{node}: {after.verb.value} {after.id} was sent before {before.id} had ended"


def _nothing_twice(evidence: Evidence, actions: Mapping[str, Deed]) -> Iterator[str]:
    by_node = _by_node(actions)
    for node, witness in evidence.witnesses.items():
        group = sorted(by_node.get(node, []), key=lambda deed: deed.sent or 0)
        sent: dict[str, list[str]] = {deed.id: [] for deed in group}
        for received in witness.received:
            # One may be sent at once when another has ended, so the later one is meant.
            owner = next((deed for deed in reversed(group) if deed.spans(received.at, evidence.blur)), None)
            if owner is None:
                yield f"{node}: {received.verb} at {received.at:.3f} belongs to no action"
            else:
                sent[owner.id].append(received.verb)
        for deed in group:
            yield from _too_much(deed, sent[deed.id])


def _too_much(deed: Deed, sent: Sequence[str]) -> Iterator[str]:
    what = f"{deed.node}: {deed.verb.value} {deed.id} sent {', '.join(sent)}"
    for verb in ONCE:
        if sent.count(verb) > 1:
            yield f"{what}: {verb} twice"
    if deed.halves.count("reset") > 1:
        yield f"{deed.node}: reset {deed.id} was begun {deed.halves.count('reset')} times"
    turns = [verb for verb, _ in groupby(sent)]
    expected = iter(MAY_SEND[deed.verb])
    if not all(any(verb == each for each in expected) for verb in turns):
        yield f"{what}; more than {', '.join(MAY_SEND[deed.verb])}"


def _ends_as_wanted(evidence: Evidence) -> Iterator[str]:
    for node, last in _last_wish(evidence.entries).items():
        witness, answer = evidence.witnesses[node], _answer(evidence.entries, last.request.request_id)
        if isinstance(answer, Cancelled):
            continue
        goal = GOALS[last.request.verb]
        wanted = evidence.recovered.wanted.get(node)
        if wanted is None or wanted.goal is not goal:
            yield f"{node}: {goal.value} was asked for last, and wanted is {wanted}"
        if isinstance(answer, Done) and witness.on is not (goal is Goal.ON):
            yield f"{node}: {last.request.verb.value} is done, and the machine is {_word(witness)}"
        if goal is Goal.OFF and witness.on:
            yield f"{node}: an off was accepted last, and the machine is on ({answer})"


def _recorded(evidence: Evidence, actions: Mapping[str, Deed]) -> Iterator[str]:
    for node, group in _by_node(actions).items():
        wishes = [deed for deed in group if deed.verb in GOALS]
        if all(deed.verb is Verb.BOOT for deed in group):
            continue  # which needs no look
        if wishes and isinstance(wishes[-1].outcome, Cancelled):
            continue  # it may take effect when nobody looks any more
        seen, witness = evidence.recovered.seen.get(node), evidence.witnesses[node]
        if seen is None:
            yield f"{node}: no observed state is recorded"
        elif seen.state.value != _word(witness) and (
            witness.reliable or seen.state is not PowerState.UNKNOWN
        ):
            yield f"{node}: recorded as {seen.state.value} ({seen.text}), and is {_word(witness)}"


def _no_excuse(evidence: Evidence, actions: Mapping[str, Deed]) -> Iterator[str]:
    """
    With healthy BMCs all is done, superseded or cancelled; only a reset may have to say that it is not known.
    """
    for deed in actions.values():
        match deed.outcome:
            case Failed(code=code):
                refused = deed.verb is Verb.RESET and code == "PowerRefusedError"  # for it was off
                excused = refused or not evidence.healthy
            case Unknown():
                excused = (deed.verb is Verb.RESET and "reset" in deed.halves) or not evidence.healthy
            case Superseded() | Cancelled() | Done() | None:
                excused = True
            case _:
                excused = False
        if not excused:
            yield f"{deed.node}: {deed.verb.value} {deed.id} ended {deed.outcome}"


def _last_wish(entries: Sequence[Entry]) -> dict[str, Accepted]:
    return {e.request.node: e for e in entries if isinstance(e, Accepted) and e.request.verb in GOALS}


def _answer(entries: Sequence[Entry], request_id: str) -> Outcome | None:
    return next((e.outcome for e in entries if isinstance(e, Answered) and e.request_id == request_id), None)


def _by_node(actions: Mapping[str, Deed]) -> dict[str, list[Deed]]:
    found: dict[str, list[Deed]] = {}
    for deed in actions.values():
        found.setdefault(deed.node, []).append(deed)
    return found


def _word(witness: Witness) -> str:
    return (PowerState.ON if witness.on else PowerState.OFF).value
