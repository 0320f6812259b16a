# SPDX-License-Identifier: MIT
"""
The strip's driver keeps the contract of all drivers, against the simulator on a real socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from powercoord.interfaces import IPowerDriver
from powercoord.strict import Moment
from powercoord.testing.conformance import Bench, Device, DriverConformance
from powercoord_example.driver import driver
from powercoord_example.settings import StripSettings
from powercoord_example.simulator import Strip

reactor: Any = global_reactor
PASSWORD, WRONG = "correct-horse", "wrong-mule"


class Outlet(Device):
    """
    An outlet of the simulated strip.
    """

    def __init__(self, strip: Strip, settings: StripSettings) -> None:
        self._strip = strip
        self.settings = settings

    def power(self) -> bool:
        return self._strip.outlets[self.settings.outlet]

    def set_power(self, on: bool) -> None:
        self._strip.outlets[self.settings.outlet] = on

    def commands(self) -> Sequence[str]:
        return [word.lower() for outlet, word in self._strip.commands if outlet == self.settings.outlet]


class StripBench(Bench):
    """
    A strip with two outlets, and a port where nobody listens.
    """

    secrets = (PASSWORD, WRONG)

    def __init__(self) -> None:
        self.clock = reactor
        self._strip = Strip(PASSWORD)
        self._port = self._strip.listen(reactor)
        address = f"127.0.0.1:{self._port.getHost().port}"  # type: ignore[attr-defined]
        settings = StripSettings(address=address, outlet="1", password=PASSWORD, timeout=Moment(0.2))
        self.device = Outlet(self._strip, settings)
        self._settings = settings
        self.context = {"power_address": address, "power_pass": PASSWORD, "power_id": "1"}

    def make_driver(self) -> IPowerDriver:
        return driver(reactor)

    async def stop(self) -> None:
        self._strip.hang_up()
        await maybeDeferred(self._port.stopListening)
        await self.turn()

    def refused(self) -> StripSettings:
        return evolve(self._settings, password=WRONG)

    def logins(self) -> int:
        return self._strip.logins

    def unreachable(self) -> StripSettings:
        return evolve(self._settings, address="127.0.0.1:1")

    def nowhere(self) -> StripSettings:
        return evolve(self._settings, outlet="17")

    def neighbour(self) -> Device:
        return Outlet(self._strip, evolve(self._settings, outlet="2"))

    def mute(self) -> None:
        self._strip.mute = True

    def lose_answers(self) -> None:
        self._strip.forgetful = True

    def unmute(self) -> None:
        self._strip.mute = self._strip.forgetful = False


class StripConformanceTests(DriverConformance, TestCase):
    """
    All rules; one ability is missing, and says why.
    """

    timeout = 60
    absent = {"obeys_soft": "a strip cuts power, and knows of no operating system"}

    async def make_bench(self) -> Bench:
        return StripBench()
