# SPDX-License-Identifier: MIT
"""
Boot for once: ChangeBootOrder names the source, SetBootConfigRole makes it the next, in either order.
"""

from __future__ import annotations

from attrs import define, field

from powercoord.drivers.ipmi.boot import BootFlags, Device
from powercoord.sim.amt.envelope import Envelope
from powercoord.sim.amt.instances import SOURCES, Instance, boot_settings
from powercoord.sim.amt.power import INVALID_PARAMETER
from powercoord.sim.machine import NO_BOOT, Machine

#: CIM_BootService.SetBootConfigRole (CIM schema 2): the next start; the next start only; not the next.
_IS_NEXT, _IS_NEXT_ONCE, _IS_NOT_NEXT = "1", "32768", "2"


@define(eq=False)
class BootChoice:
    """
    What has been chosen, until a start uses it up.
    """

    _machine: Machine = field(repr=False)
    settings: Instance = field(init=False, factory=boot_settings, repr=False)
    _source: Device | None = field(init=False, default=None)
    _next: bool = field(init=False, default=False)

    def change_order(self, asked: Envelope) -> int:
        """
        Choose a source, or none. Returns a ReturnValue.
        """
        if not asked.has("Source"):
            self._source = None
            self._machine.set_boot(NO_BOOT, lasts=0)
            return 0
        source = SOURCES.get(asked.selector("InstanceID") or "")
        if source is None:
            return INVALID_PARAMETER
        self._source = source
        self._arm()
        return 0

    def set_role(self, asked: Envelope) -> int:
        """
        Make the boot configuration the next one, or not. Returns a ReturnValue.
        """
        role = asked.value("Role")
        if role not in (_IS_NEXT, _IS_NEXT_ONCE, _IS_NOT_NEXT):
            return INVALID_PARAMETER
        self._next = role != _IS_NOT_NEXT
        if self._next:
            self._arm()
        else:
            self._machine.set_boot(NO_BOOT, lasts=0)
        return 0

    def put_settings(self, asked: Envelope) -> Instance:
        """
        AMT_BootSettingData is what was sent, and what was not mentioned.
        """
        sent: dict[str, list[str]] = {}
        for name, value in asked.members():
            sent.setdefault(name, []).append(value)
        self.settings = [
            (name, sent[name].pop(0) if sent.get(name) else value) for name, value in self.settings
        ]
        return self.settings

    def _arm(self) -> None:
        if self._next and self._source is not None:
            self._machine.set_boot(BootFlags(self._source), lasts=float("inf"))
            self._source = None
