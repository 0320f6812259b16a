# SPDX-License-Identifier: MIT
"""
The Redfish driver with a service that nobody here wrote: OpenStack's sushy-emulator.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from powercoord.drivers.redfish import RedfishSettings, driver
from powercoord.errors import PowerSettingError
from powercoord.model import Boot, BootDevice, Command, PowerState, Target, Timing, Verb
from tests.functional.redfish_world import Errand, ask, registry
from tests.functional.sushy_peer import SYSTEMS, SushyEmulator

reactor: Any = global_reactor
MISSING = "" if find_spec("sushy_tools") or os.environ.get("CI") else "sushy-tools is not installed"


class SushyTests(TestCase):
    timeout = 60
    if MISSING:
        skip = MISSING

    async def setUp(self) -> None:
        self.emulator = SushyEmulator(self.mktemp())
        self.addCleanup(lambda: Deferred.fromCoroutine(self.emulator.stop()))
        await self.emulator.listening()
        self.driver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def target(self, node_id: str) -> Target:
        address = f"http://127.0.0.1:{self.emulator.port}"
        settings = RedfishSettings(address=address, username="admin", password="secret", node_id=node_id)
        return self.driver.target(settings)

    async def test_everything(self) -> None:
        """
        Its systems are found by Id, go on, start anew from the network, and go off, softly and hard.
        """
        with self.assertRaisesRegex(PowerSettingError, "3 systems"):
            await self.driver.read(self.target(""), Errand())
        one = self.target(SYSTEMS[1][0])
        coordinator = registry(self.driver, one, self, Timing(poll=0.1, poll_longest=0.2, minimum_off=0.0))
        self.assertIs(PowerState.OFF, await self.driver.read(one, Errand()))
        await self.driver.set_boot(one, Boot(BootDevice.PXE), Errand())
        await ask(coordinator, Verb.ON, "r1")
        self.assertIs(PowerState.ON, await self.driver.read(one, Errand()))
        await self.driver.command(one, Command.RESET, Errand())
        await ask(coordinator, Verb.ON, "r2")
        done = await ask(coordinator, Verb.SOFT_OFF, "r3")

        self.assertEqual("graceful", done.how.value)
        self.assertIs(PowerState.OFF, await self.driver.read(self.target(SYSTEMS[2][0]), Errand()))
