# SPDX-License-Identifier: MIT
"""
The AMT driver on real sockets, with our simulator.

What a machine really did is read from the simulator's objects, not asked over AMT.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from powercoord.drivers.amt import AmtDriver, AmtSettings, driver
from powercoord.drivers.amt.settings import Tls
from powercoord.drivers.ipmi.boot import Device as BootDeviceOfSimulator
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
)
from powercoord.model import Boot, BootDevice, Command, PowerState, Target
from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.amt.profile import Profile
from powercoord.sim.web.faults import Faults
from tests.drivers.web.world import Errand

reactor: Any = global_reactor
BASE = "127.70.62.1"


class AmtSimTests(TestCase):
    """
    A driver and a fleet of its own for each test; trial sees whether they leave anything behind.
    """

    timeout = 60

    def setUp(self) -> None:
        self.driver: AmtDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def fleet(self, count: int = 1, *, tls: bool = False, **profile: Any) -> AmtFleet:
        fleet = AmtFleet(reactor, count, base=BASE, port=0, tls=tls, profile=Profile(**profile))
        fleet.startService()
        self.addCleanup(fleet.stopService)
        return fleet

    def target(self, fleet: AmtFleet, at: int = 0, **settings: Any) -> Target:
        station = fleet.bmcs[at]
        tls = Tls.OFF if fleet.certificate is None else Tls.ON
        given = {"address": station.address, "port": station.port, "tls": tls, "password": "secret"}
        return self.driver.target(AmtSettings(**{**given, **settings}))

    def errand(self) -> Errand:
        return Errand(reactor.seconds() + 20)

    def read(self, target: Target) -> Coroutine[Any, Any, PowerState]:
        return self.driver.read(target, self.errand())

    def command(self, target: Target, command: Command) -> Coroutine[Any, Any, None]:
        return self.driver.command(target, command, self.errand())

    async def error(self, call: Coroutine[Any, Any, Any]) -> PowerError:
        try:
            await call
        except PowerError as error:
            return error
        raise AssertionError("it did not fail")

    async def test_all_verbs(self) -> None:
        """
        On, reset, soft-off and off do to each of twenty machines what they say, once each, all at once.
        """
        fleet = self.fleet(20)
        targets = [self.target(fleet, at) for at in range(20)]
        for command, on in (("on", True), ("reset", True), ("soft", False), ("on", True), ("off", False)):
            await gatherResults(
                [Deferred.fromCoroutine(self.command(each, Command(command))) for each in targets]
            )
            self.assertEqual({on}, {fleet.power(at) for at in range(20)}, command)
            states = await gatherResults([Deferred.fromCoroutine(self.read(each)) for each in targets])
            self.assertEqual({PowerState.ON if on else PowerState.OFF}, set(states))
        for station in fleet.bmcs:
            self.assertEqual(["2", "10", "12", "2", "8"], station.record.asked_for())
            self.assertEqual((0, 1), (station.record.wrong_passwords, station.record.count("challenge")))
            # The challenge closes its connection; all else goes over one.
            self.assertEqual(2, station.record.connections)

    async def test_challenges(self) -> None:
        """
        Whatever challenges look like, and however short nonces live, each command gets through once.
        """
        for profile in (
            {"qop": "auth-int, auth"},
            {"qop": "auth,,auth-int"},
            {"qop": ""},
            {"spaced": True},
            {"close_on_401": False},
            {"nonce_uses": 1},
            {"nonce_uses": 2},
            {"chunked": False},
            {"accepted": 4096, "off_state": 6},
        ):
            fleet = AmtFleet(reactor, 1, base="127.70.63.1", port=0, profile=Profile(**profile))  # type: ignore[arg-type]
            fleet.startService()
            target = self.target(fleet)
            for command, state in ((Command.ON, PowerState.ON), (Command.OFF, PowerState.OFF)):
                await self.command(target, command)
                self.assertIs(state, await self.read(target), profile)
            self.assertEqual(["2", "8"], fleet.bmcs[0].record.asked_for(), profile)
            self.assertEqual(0, fleet.bmcs[0].record.wrong_passwords, profile)
            await fleet.stopService()

    async def test_wrong_password(self) -> None:
        """
        A wrong password reaches the device once, so that an account which locks at the second is not locked.
        """
        fleet = self.fleet(lock_after=2)
        for call in (self.read, lambda target: self.command(target, Command.OFF)):
            fleet.bmcs[0].record.wrong_passwords = 0
            fleet.bmcs[0].bmc.unlock()
            error = await self.error(call(self.target(fleet, password="wrong")))
            self.assertIsInstance(error, PowerAuthError)
            self.assertEqual(1, fleet.bmcs[0].record.wrong_passwords)
            self.assertFalse(fleet.bmcs[0].bmc.locked)
        self.assertEqual([], fleet.bmcs[0].record.asked_for())

    async def test_restart(self) -> None:
        """
        A device that has restarted, and knows no nonce and no connection, is logged in to anew.
        """
        fleet = self.fleet()
        target = self.target(fleet)
        await self.read(target)
        fleet.bmcs[0].bmc.restart(Profile())
        fleet.bmcs[0].hang_up()
        await self.command(target, Command.ON)

        self.assertEqual(["2"], fleet.bmcs[0].record.asked_for())

    async def test_boot(self) -> None:
        """
        A boot device is the next start's, and only that one's.
        """
        fleet = self.fleet()
        target, machine = self.target(fleet), fleet.bmcs[0].machine
        for device, expected in (
            (BootDevice.PXE, BootDeviceOfSimulator.PXE),
            (BootDevice.DISK, BootDeviceOfSimulator.DISK),
            (BootDevice.CDROM, BootDeviceOfSimulator.CDROM),
            (BootDevice.NONE, BootDeviceOfSimulator.NONE),
        ):
            await self.driver.set_boot(target, Boot(device), self.errand())
            await self.command(target, Command.ON)
            self.assertIs(expected, machine.booted[-1], device)
            await self.command(target, Command.OFF)
            await self.command(target, Command.ON)
            self.assertIs(BootDeviceOfSimulator.NONE, machine.booted[-1], device)
            await self.command(target, Command.OFF)

    async def test_standby(self) -> None:
        """
        A machine in modern standby is at full power after an on.
        """
        fleet = self.fleet()
        fleet.bmcs[0].bmc.saving = 3
        await self.command(self.target(fleet), Command.ON)

        self.assertEqual(2, fleet.bmcs[0].bmc.saving)

    async def test_no_soft_stop(self) -> None:
        """
        A soft stop that the machine does not offer is refused without being asked for.
        """
        fleet = self.fleet(graceful=False)
        target = self.target(fleet)
        await self.command(target, Command.ON)
        error = await self.error(self.command(target, Command.SOFT))

        self.assertIsInstance(error, PowerRefusedError)
        self.assertEqual(["2"], fleet.bmcs[0].record.asked_for())

    async def test_complaints(self) -> None:
        """
        Each way of saying no is told as what it is, and the next try works.
        """
        fleet = self.fleet()
        station, target = fleet.bmcs[0], self.target(fleet)
        for words, kind in (
            ("QuotaLimit", PowerActionError),
            ("4099", PowerActionError),
            ("AccessDenied", PowerRefusedError),
            ("1", PowerRefusedError),
        ):
            station.fail_next("request", Faults(complain={"request": words}))
            self.assertIs(kind, type(await self.error(self.command(target, Command.ON))), words)
            await self.command(target, Command.ON)
            await self.command(target, Command.OFF)

    async def test_bad_wire(self) -> None:
        """
        Silence, torn and endless answers and noise end in time, say whether a command may have arrived, and
        repeat nothing.
        """
        fleet = self.fleet()
        station = fleet.bmcs[0]
        target = self.target(fleet, timeout=0.8)
        everything = frozenset({"power", "request"})
        for faults, kinds in (
            ({"mute": everything}, PowerConnError),
            ({"drop_after": everything}, PowerConnError),
            ({"torn": everything}, PowerConnError),
            ({"endless": everything}, PowerConnError | PowerActionError),
            ({"garbage": everything}, PowerActionError),
        ):
            for name, sent in (("power", False), ("request", True)):
                before = len(station.record.commands)
                given = {key: value & {name} for key, value in faults.items()}
                station.set_faults(Faults(**given))  # type: ignore[arg-type]
                error = await self.error(self.command(target, Command.OFF))
                self.assertIsInstance(error, kinds, given)
                self.assertEqual(sent, error.sent, f"{given}: {error}")
                self.assertEqual(sent, len(station.record.commands) - before == 1, given)
        station.set_faults()
        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_tls(self) -> None:
        """
        The pinned certificate is trusted; to any other nothing is sent, not even a user's name.
        """
        fleet = self.fleet(tls=True)
        assert fleet.certificate is not None
        await self.command(self.target(fleet, pin=fleet.certificate.fingerprint), Command.ON)
        self.assertTrue(fleet.power(0))
        asked = fleet.bmcs[0].record.asked
        for settings in ({}, {"pin": "00" * 32}):
            error = await self.error(self.read(self.target(fleet, **settings)))
            self.assertIsInstance(error, PowerAuthError)
            self.assertIn("nothing was sent", str(error))
        seen = await self.driver.certificate(self.target(fleet))
        self.assertEqual(fleet.certificate.fingerprint.upper(), seen.fingerprint)
        self.assertEqual(asked, fleet.bmcs[0].record.asked)
