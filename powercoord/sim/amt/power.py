# SPDX-License-Identifier: MIT
"""
PowerState and RequestPowerStateChange (DSP1027, CIM_PowerManagementService).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Machine

ON, LIGHT_SLEEP, DEEP_SLEEP, CYCLE, HIBERNATE, OFF = 2, 3, 4, 5, 7, 8
RESET, INTERRUPT, SOFT_OFF, SOFT_RESET = 10, 11, 12, 14

NOT_SUPPORTED, INVALID_PARAMETER = 1, 5

#: What each request is to a machine.
VERBS: Mapping[int, str] = MappingProxyType(
    {
        ON: "on",
        DEEP_SLEEP: "sleep",
        CYCLE: "cycle",
        HIBERNATE: "sleep",
        OFF: "off",
        RESET: "reset",
        INTERRUPT: "diag",
        SOFT_OFF: "soft",
        SOFT_RESET: "soft-reset",
    }
)

_GRACEFUL = (SOFT_RESET, SOFT_OFF)


def available(machine: Machine, profile: Profile) -> tuple[int, ...]:
    """
    What may be asked now, in the order that was recorded.
    """
    if not machine.power():
        return (ON,)
    return (RESET, OFF, CYCLE, INTERRUPT, DEEP_SLEEP, HIBERNATE, *(_GRACEFUL if profile.graceful else ()))


def judge(machine: Machine, profile: Profile, asleep: int, wanted: int) -> tuple[int, str | None]:
    """
    The ReturnValue of a request, and what it does to the machine.
    """
    if wanted not in VERBS:
        return INVALID_PARAMETER, None
    if wanted in _GRACEFUL and not profile.graceful:
        return NOT_SUPPORTED, None
    on = machine.power()
    if wanted == ON:
        return (profile.already, None) if on and not asleep else (profile.accepted, "on")
    if wanted == OFF and not on:
        coming = machine.coming() is not None  # it was about to be on
        return (profile.accepted, "off") if coming else (profile.already, None)
    if not on:
        return profile.impossible, None
    return profile.accepted, VERBS[wanted]
