# SPDX-License-Identifier: MIT
"""
The Redfish driver behind the registry, with real guests: OpenStack's sushy-emulator over a libvirtd of ours.

It is a service without sessions, so every request carries user and password, over TLS that is pinned.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from powercoord.drivers.redfish import RedfishDriver, RedfishSettings, driver
from powercoord.errors import PowerAuthError
from powercoord.journal import NullJournal
from powercoord.model import (
    Done,
    Failed,
    How,
    Node,
    Outcome,
    PowerState,
    Request,
    Target,
    Timing,
    Unknown,
    Verb,
)
from powercoord.registry import Limits, Registry, build_registry
from powercoord.roster import Roster
from powercoord.sim.web.certificate import Certificate
from powercoord.strict import Moment
from tests.functional.libvirt_guest import NEVER_OFF, OBEYING, Kind, slow
from tests.functional.libvirt_peer import Guest, LibvirtHost
from tests.functional.redfish_world import Errand
from tests.functional.sushy_emulator_peer import PASSWORD, USERNAME, SushyEmulator, why_not

reactor: Any = global_reactor
PATIENT = Timing(poll=0.1, poll_longest=0.3, minimum_off=0.1, soft=30.0, force=30.0, retry_pause=0.2)
IMPATIENT = evolve(PATIENT, soft=1.5)


@cache
def shared_service() -> tuple[LibvirtHost, SushyEmulator, Certificate]:
    """
    A hypervisor and the service in front of it, for all tests here: they take seconds to start.
    """
    host, certificate = LibvirtHost(), Certificate.make(["127.0.0.1"])
    atexit.register(host.close)
    host.start()
    folder = Path(mkdtemp(prefix="guests-"))
    atexit.register(rmtree, folder)
    paths = folder / "cert.pem", folder / "key.pem"
    for path, content in zip(paths, (certificate.pem, certificate.key), strict=True):
        path.write_bytes(content)
    emulator = SushyEmulator(host.uri, *map(str, paths))
    atexit.register(emulator.close)
    emulator.start()
    return host, emulator, certificate


class RedfishGuestsTests(TestCase):
    """
    One hypervisor, one service in front of it, and a registry with our driver.
    """

    timeout = 60
    skip = why_not()

    def setUp(self) -> None:
        self.host, self.emulator, self.certificate = shared_service()
        self.driver: RedfishDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))
        self.numbers = count(1)

    def target(self, guest: Guest, **more: Any) -> Target:
        words = {"username": USERNAME, "password": PASSWORD, "pin": self.certificate.fingerprint, **more}
        address = f"127.0.0.1:{self.emulator.port}"
        return self.driver.target(
            RedfishSettings(address=address, node_id=guest.uuid, timeout=Moment(10.0), **words)
        )

    def running(self, name: str, kind: Kind) -> Guest:
        guest = self.host.define(name, kind)
        guest.start()
        return guest

    def registry(self, *guests: Guest, impatient: Sequence[Guest] = ()) -> Registry:
        nodes = [Node(each.name, self.target(each), timing=PATIENT) for each in guests]
        nodes += [Node(each.name, self.target(each), timing=IMPATIENT) for each in impatient]
        drivers = {self.driver.name: self.driver}
        made = build_registry(
            clock=reactor,
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"a{next(self.numbers)}",
            jitter=lambda pause: pause,
            roster=Roster(nodes, drivers),
            drivers=drivers,
            journal=NullJournal(),
            # By default an endpoint has one operation at a time.
            limits=Limits(endpoints={"redfish": 4}),
        )
        self.addCleanup(made.stop, "the test is over")
        return made

    async def ask(self, registry: Registry, guest: Guest, verb: Verb, **more: Any) -> Outcome:
        """
        Ask for it, and how it ended.
        """
        request = Request(node=guest.name, verb=verb, request_id=f"r{next(self.numbers)}", **more)
        outcome: Outcome = await (await registry.submit(request)).wait()
        return outcome

    async def test_on_cycle_off(self) -> None:
        """
        What the registry says of on, cycle and off is what libvirt and the guest itself say.
        """
        guest = self.host.define("switched")
        registry = self.registry(guest)

        on = await self.ask(registry, guest, Verb.ON)
        again = await self.ask(registry, guest, Verb.ON)
        guest.wait_started()
        first = guest.pid()
        cycled = await self.ask(registry, guest, Verb.CYCLE)
        guest.wait_started()
        second = guest.pid()
        off = await self.ask(registry, guest, Verb.OFF)

        commanded = Done(How.COMMANDED, PowerState.ON)
        self.assertEqual(
            [commanded, Done(How.ALREADY, PowerState.ON), commanded, Done(How.FORCED, PowerState.OFF)],
            [on, again, cycled, off],
        )
        self.assertNotEqual(first, second)
        self.assertEqual(("shut off (destroyed)", 0), (guest.reason(), guest.presses()))

    async def test_soft_off(self) -> None:
        """
        A guest that obeys at once or late ends by itself; one that never does is forced, or stays on where
        that is forbidden. Each hears one press.
        """
        obeying, late, never, kept = guests = [
            self.running("obeying", OBEYING),
            self.running("late", slow(1.0)),
            self.running("never", NEVER_OFF),
            self.running("kept", NEVER_OFF),
        ]
        registry = self.registry(obeying, late, impatient=[never, kept])

        *ended, failed = await gatherResults(
            [
                Deferred.fromCoroutine(self.ask(registry, each, Verb.SOFT_OFF, escalate=each is not kept))
                for each in guests
            ]
        )

        graceful, forced = Done(How.GRACEFUL, PowerState.OFF), Done(How.FORCED, PowerState.OFF)
        self.assertEqual([graceful, graceful, forced], ended)
        # Unknown: its last read had not ended at the deadline.
        self.assertIsInstance(failed, (Failed, Unknown))
        self.assertEqual(
            ["shut off (shutdown)", "shut off (shutdown)", "shut off (destroyed)", "running (booted)"],
            [each.reason() for each in guests],
        )
        self.assertEqual([1, 1, 1, 1], [each.presses() for each in guests])

    async def test_wrong(self) -> None:
        """
        Another certificate than the pinned one hears no password; a wrong password is refused, and said so.
        """
        guest = self.host.define("guarded")
        asked = self.emulator.log().count("/redfish/")

        with self.assertRaisesRegex(PowerAuthError, "certificate is not trusted") as wrong_pin:
            await self.driver.read(self.target(guest, pin="ab" * 32), Errand())
        self.assertEqual(asked, self.emulator.log().count("/redfish/"))
        self.assertIn(self.certificate.fingerprint[:4].upper(), str(wrong_pin.exception).replace(":", ""))
        with self.assertRaises(PowerAuthError) as wrong_password:
            await self.driver.read(self.target(guest, password="not-this"), Errand())

        self.assertNotIn("not-this", str(wrong_password.exception))
        self.assertIs(PowerState.OFF, await self.driver.read(self.target(guest), Errand()))


if RedfishGuestsTests.skip and os.environ.get("CI") == "true":
    # There nothing may be skipped, and not every Python has Debian's bindings.
    print(f"no tests of Redfish over guests: {RedfishGuestsTests.skip}")
    del RedfishGuestsTests
