# SPDX-License-Identifier: MIT
"""
AMT's numbers for power, in our words.

DMTF's CIM_AssociatedPowerManagementService.PowerState and AvailableRequestedPowerStates,
CIM_PowerManagementService.RequestPowerStateChange (its PowerState and its ReturnValue).

# Note [Asleep]

A machine that sleeps (S1 to S3) counts as on: its memory lives, it may wake by itself at any moment, and
whoever fences it must not take it for off.  One that hibernates (S4) has no power and starts again only when
it is told to: it is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from powercoord.drivers.amt.answer import Answer
from powercoord.errors import PowerActionError, PowerError, PowerRefusedError
from powercoord.model import Command, PowerState

_ON = PowerState.ON
_OFF = PowerState.OFF

#: What a PowerState says of a machine, where it says anything; see note [Asleep].
_STATES: Mapping[int, PowerState] = MappingProxyType(
    {2: _ON, 3: _ON, 4: _ON, 6: _OFF, 7: _OFF, 8: _OFF, 12: _OFF, 13: _OFF}
)

#: On its way from one to the other.
_CHANGING: Mapping[int, str] = MappingProxyType(
    {
        5: "in a power cycle",
        9: "in a power cycle",
        10: "in a reset",
        11: "in a diagnostic interrupt",
        14: "in a reset",
        15: "in a power cycle",
        16: "in a power cycle",
    }
)

#: What to ask for. "Off - Soft" (8) is S5 without asking the operating system; 12 asks it.
REQUESTED: Mapping[Command, int] = MappingProxyType(
    {Command.ON: 2, Command.OFF: 8, Command.SOFT: 12, Command.RESET: 10}
)

#: A change to a state that it is in already is no valid one: after these a read can tell.
INVALID_TRANSITION = 4097

_DONE = frozenset((0, 4096))
_RETURNS: Mapping[int, tuple[str, type[PowerError]]] = MappingProxyType(
    {
        1: ("it does not support that", PowerRefusedError),
        2: ("it failed for a reason that it does not know", PowerActionError),
        3: ("it could not do that within its own time", PowerActionError),
        4: ("it failed", PowerActionError),
        5: ("it takes a parameter for invalid", PowerRefusedError),
        6: ("it is in use", PowerActionError),
        INVALID_TRANSITION: ("no valid change from the state that it is in", PowerActionError),
        4098: ("it does not support a time limit", PowerRefusedError),
        4099: ("it is busy", PowerActionError),
    }
)

#: What it could not do in its own time it may still do.
_DONE_PERHAPS = frozenset((3,))


@frozen
class Power:
    """
    A machine's power: the number that stands for it, and what may be asked for now.
    """

    number: int
    available: frozenset[int]

    def state(self, what: str) -> PowerState:
        """
        On or off.

        :raises PowerActionError: neither.
        """
        state = _STATES.get(self.number)
        if state is not None:
            return state
        words = _CHANGING.get(self.number, "neither on nor off as far as we know")
        raise PowerActionError(f"{what}: PowerState {self.number}: {words}")


def available(answer: Answer) -> frozenset[int]:
    """
    What a CIM_AssociatedPowerManagementService says may be asked for.
    """
    offered = answer.all("AvailableRequestedPowerStates")
    return frozenset(int(each) for each in offered if each.isascii() and each.isdecimal())


def check(what: str, doing: str, value: int) -> None:
    """
    Look at a method's ReturnValue.

    :raises PowerError: it was not done; the class says whether it may be later.
    """
    if value in _DONE:
        return
    words, kind = _RETURNS.get(value, ("no meaning known to us", PowerActionError))
    raise kind(f"{what}: {doing}: ReturnValue {value}: {words}", sent=value in _DONE_PERHAPS)
