# SPDX-License-Identifier: MIT
"""
What virsh's lists say: names and UUIDs, and states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from powercoord.drivers.virsh.guests import WORDS, Guest, GuestState, Seen
from powercoord.errors import PowerActionError

#: UUIDs in one command.
_MOST = 200

LISTING = "list --all --uuid --name"
TABLE = "list --all"

_GUEST = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (.*)")
_NAME = re.compile(r"Domain: '(.*)'")
_STATE = re.compile(r"  state\.state=(\d+)")
_BY_WORD = {word: state for state, word in WORDS.items()}
_ROW = re.compile(rf" ?(?:\d+|-) {{3,}}(.+?) {{3,}}({'|'.join(_BY_WORD)}) *")


def guests(lines: Iterable[str]) -> tuple[Guest, ...]:
    """
    All guests, from `LISTING`.
    """
    found = (_GUEST.fullmatch(line) for line in lines)
    return tuple(Guest(match[2], UUID(match[1])) for match in found if match)


def stats(wanted: Sequence[Guest]) -> tuple[str, ...]:
    """
    The commands that ask for the states of these guests and no others: a guest that
    is being ended holds up whoever asks about it.
    """
    return tuple(
        "domstats --state " + " ".join(str(guest.uuid) for guest in wanted[start : start + _MOST])
        for start in range(0, len(wanted), _MOST)
    )


def states(lines: Iterable[str], wanted: Sequence[Guest]) -> Mapping[UUID, Seen] | None:
    """
    Their states, in the order in which they were asked for; None if one has another name by now.

    :raises PowerActionError: it is no list of states.
    """
    names: list[str] = []
    numbers: list[int] = []
    for line in lines:
        name, state = _NAME.fullmatch(line), _STATE.fullmatch(line)
        if name:
            names.append(name[1])
        elif state:
            numbers.append(int(state[1]))
    if len(names) != len(wanted) or len(numbers) != len(wanted):
        raise PowerActionError(
            f"virsh told {len(numbers)} states of {len(names)} guests, asked for {len(wanted)}"
        )
    if names != [guest.name for guest in wanted]:
        return None
    return {guest.uuid: Seen(guest, _state(number)) for guest, number in zip(wanted, numbers, strict=True)}


def table(lines: Iterable[str]) -> Mapping[UUID, Seen]:
    """
    The states of all guests, from `LISTING` and `TABLE` together, where there is nothing better.
    """
    rows: dict[str, GuestState] = {}
    lines = tuple(lines)
    for line in lines:
        row = _ROW.fullmatch(line)
        if row:
            rows[row[1]] = _BY_WORD[row[2]]
    return {guest.uuid: Seen(guest, rows.get(guest.name, GuestState.NOSTATE)) for guest in guests(lines)}


def _state(number: int) -> GuestState:
    try:
        return GuestState(number)
    except ValueError:
        return GuestState.NOSTATE
