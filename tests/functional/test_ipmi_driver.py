# SPDX-License-Identifier: MIT
"""
The IPMI driver on real sockets: with OpenIPMI's `ipmi_sim`, which none of us wrote, and with our simulator.

What a machine really did is read from the simulators' files and objects, not asked over IPMI.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Iterable
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.ipmi import IpmiDriver, driver
from powercoord.errors import (
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import Boot, BootDevice, Command, PowerState, Target
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.fleet import SimulatedFleet
from powercoord.testing.chassis_script import Behaviour
from powercoord.testing.ipmi_sim import IpmiSimFleet, available
from powercoord.testing.ipmi_sim_config import OPERATOR, OPERATOR_PASSWORD, PASSWORD, USERNAME
from tests.ipmi_world import FakeOperation

reactor: Any = global_reactor


class DriverCase(TestCase):
    """
    A driver of its own for each test, closed at its end; trial sees whether it leaves anything behind.
    """

    timeout = 120

    def setUp(self) -> None:
        self.driver: IpmiDriver = driver(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def target(self, bmc: Any, port: int, **settings: Any) -> Target:
        """
        One BMC, as its administrator.
        """
        login = {"address": f"{bmc.address}:{port}", "username": USERNAME, "password": PASSWORD}
        return self.driver.target(self.driver.settings(**{**login, **settings}))

    def operation(self) -> FakeOperation:
        return FakeOperation(reactor.seconds() + 30)

    def read(self, target: Target) -> Coroutine[Any, Any, PowerState]:
        return self.driver.read(target, self.operation())

    def command(self, target: Target, command: Command) -> Coroutine[Any, Any, None]:
        return self.driver.command(target, command, self.operation())

    async def together(self, calls: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """
        All at once.
        """
        results: list[Any] = await gatherResults(
            [Deferred.fromCoroutine(call) for call in calls], consumeErrors=True
        )
        return results

    async def error(self, call: Coroutine[Any, Any, Any]) -> PowerError:
        """
        What a call fails with.
        """
        try:
            await call
        except PowerError as error:
            return error
        raise AssertionError("it did not fail")


class IpmiSimTests(DriverCase):
    """
    Suite 3 and IPMI 1.5, with `ipmi_sim`.
    """

    COUNT = 20

    def setUp(self) -> None:
        if not available():
            raise SkipTest("ipmi_sim is not installed: it comes with the Debian package openipmi")
        super().setUp()
        self.fleet = self.start(IpmiSimFleet(count=self.COUNT, base="127.77.41.1"))
        self.targets = [self.target(bmc, bmc.port) for bmc in self.fleet.bmcs]

    def start(self, fleet: IpmiSimFleet) -> IpmiSimFleet:
        fleet.start()
        self.addCleanup(fleet.stop)
        return fleet

    async def test_all_verbs(self) -> None:
        """
        On, read, reset, soft-off and off do to each machine what they say, once each, all machines at once.
        """
        for command, on in (
            (Command.ON, True),
            (Command.RESET, True),
            (Command.SOFT, False),
            (Command.ON, True),
            (Command.OFF, False),
        ):
            await self.together(self.command(target, command) for target in self.targets)
            self.assertEqual([on] * self.COUNT, [self.fleet.power(at) for at in range(self.COUNT)])
            states = await self.together(self.read(target) for target in self.targets)
            self.assertEqual([PowerState.ON if on else PowerState.OFF] * self.COUNT, states)
        for at in range(self.COUNT):
            asked = self.fleet.commands(at)
            self.assertEqual((1, 1), (asked.count("set", "reset"), asked.count("set", "shutdown")))
        self.assertEqual(self.COUNT, self.driver.counters.opened)

    async def test_kept_session(self) -> None:
        """
        A second read takes one packet.
        """
        await self.together(self.read(target) for target in self.targets)
        before = self.driver.counters.sent
        await self.together(self.read(target) for target in self.targets)
        self.assertEqual(self.COUNT, self.driver.counters.sent - before)

    async def test_boot(self) -> None:
        """
        The boot device arrives at the machine.
        """
        for device, name in ((BootDevice.PXE, "pxe"), (BootDevice.CDROM, "cdrom"), (BootDevice.BIOS, "bios")):
            await self.driver.set_boot(self.targets[3], Boot(device), self.operation())
            self.assertEqual(1, self.fleet.commands(3).count("set", "boot", name))

    async def test_refused(self) -> None:
        """
        A machine that cannot be switched fails its own command at once, with the BMC's code in words.
        """
        self.fleet.behave(5, Behaviour(refuse=frozenset({"set-power"})))
        before = reactor.seconds()
        error = await self.error(self.command(self.targets[5], Command.ON))
        self.assertIsInstance(error, PowerRefusedError)
        self.assertIn("unspecified error (completion code 0xff)", str(error))
        self.assertLess(reactor.seconds() - before, 4)
        await self.command(self.targets[6], Command.ON)

    async def test_wrong_login(self) -> None:
        """
        A wrong password and an unknown user are told apart, and found out at once.
        """
        bmc = self.fleet.bmcs[0]
        error = await self.error(self.read(self.target(bmc, bmc.port, password="wrong")))
        self.assertIsInstance(error, PowerAuthError)
        self.assertIn("password", str(error))
        error = await self.error(self.read(self.target(bmc, bmc.port, username="nobody")))
        self.assertIsInstance(error, PowerAuthError)
        self.assertIn("unauthorized name", str(error))

    async def test_operator(self) -> None:
        """
        An operator may change power.
        """
        bmc = self.fleet.bmcs[1]
        target = self.target(bmc, bmc.port, username=OPERATOR, password=OPERATOR_PASSWORD)
        await self.command(target, Command.ON)
        self.assertTrue(self.fleet.power(1))

    async def test_no_common_suite(self) -> None:
        """
        Without a common suite the error names it.
        """
        bmc = self.fleet.bmcs[0]
        error = await self.error(self.read(self.target(bmc, bmc.port, cipher_suites=(17,))))
        self.assertIsInstance(error, PowerSettingError)
        self.assertIn("cipher suite 17", str(error))

    async def test_ipmi15(self) -> None:
        """
        IPMI 1.5 with MD5 switches machines, too.
        """
        targets = [self.target(bmc, bmc.port, cipher_suites=(), allow_ipmi15=True) for bmc in self.fleet.bmcs]
        await self.together(self.command(target, Command.ON) for target in targets)
        self.assertEqual([True] * self.COUNT, [self.fleet.power(at) for at in range(self.COUNT)])

    async def test_k_g(self) -> None:
        """
        A BMC with a K_g is reached with it only.
        """
        fleet = self.start(IpmiSimFleet(count=1, base="127.77.42.1", kg=b"two-key"))
        (bmc,) = fleet.bmcs
        await self.command(self.target(bmc, bmc.port, k_g="two-key"), Command.ON)
        self.assertTrue(fleet.power(0))
        for k_g, words in (("other", "K_g is wrong"), ("", "no k_g is set")):
            error = await self.error(self.read(self.target(bmc, bmc.port, k_g=k_g)))
            self.assertIsInstance(error, PowerAuthError)
            self.assertIn(words, str(error))

    async def test_closed_sessions(self) -> None:
        """
        Closing ends the sessions at the BMCs: with a new driver each time, slots never run out.
        """
        target = self.targets[0]
        for _ in range(80):
            one = driver(reactor)
            await one.read(target, self.operation())
            await one.close()


class SimulatorTests(DriverCase):
    """
    Suite 17 and faults, with our own simulator.
    """

    def start(self, count: int = 1, **how: Any) -> SimulatedFleet:
        """
        BMCs whose sockets are gone at the end.
        """
        fleet = SimulatedFleet(reactor, count, base="127.50.7.1", port=0, each=True, **how)
        fleet.startService()
        self.addCleanup(fleet.stopService)
        return fleet

    def targets(self, fleet: SimulatedFleet, **settings: Any) -> list[Target]:
        return [self.target(bmc, fleet.port, **settings) for bmc in fleet.bmcs]

    async def test_suite_17(self) -> None:
        """
        With suite 17 alone, machines are switched and read.
        """
        fleet = self.start(5)
        targets = self.targets(fleet, cipher_suites=(17,))
        await self.together(self.command(target, Command.ON) for target in targets)
        states = await self.together(self.read(target) for target in targets)
        self.assertEqual([True] * 5, [bmc.machine.power() for bmc in fleet.bmcs])
        self.assertEqual([PowerState.ON] * 5, states)

    async def test_dead_among_living(self) -> None:
        """
        Dead BMCs and closed ports fail alone, the latter at once, and delay no other BMC.
        """
        fleet = self.start(12)
        for at in range(3):
            fleet.bmcs[at].set_faults(Faults(dead=True))
        for at in range(3, 6):
            fleet.bmcs[at].set_faults(Faults(closed=True))
        begun = reactor.seconds()
        times: list[float] = []

        def note(result: Any) -> Any:
            times.append(reactor.seconds() - begun)
            return result

        targets = self.targets(fleet, timeout=1.0)
        calls = [Deferred.fromCoroutine(self.read(target)).addBoth(note) for target in targets]
        results = await DeferredList(calls, consumeErrors=True)
        self.assertEqual([False] * 6 + [True] * 6, [success for success, _ in results])
        for _, failure in results[:6]:
            self.assertIsInstance(failure.value, PowerConnError)
        for _, failure in results[3:6]:
            self.assertIn("connection refused", str(failure.value))
        self.assertEqual(9, sum(time < 0.6 for time in times))
        self.assertGreaterEqual(self.driver.counters.refused, 3)

    async def test_after_refusals(self) -> None:
        """
        The socket outlives any number of refusals.
        """
        fleet = self.start(2)
        fleet.bmcs[0].set_faults(Faults(closed=True))
        closed, living = self.targets(fleet)
        for _ in range(50):
            await self.error(self.read(closed))
        self.assertIs(PowerState.OFF, await self.read(living))
        fleet.bmcs[0].set_faults(HEALTHY)
        self.assertIs(PowerState.OFF, await self.read(closed))

    async def test_lossy(self) -> None:
        """
        Over a network that loses a tenth each way, all are read and switched, and no reset comes twice.
        """
        fleet = self.start(30)
        for bmc in fleet.bmcs:
            bmc.set_faults(Faults(loss_in=0.1, loss_out=0.1))
        targets = self.targets(fleet, timeout=20.0)
        await self.together(self.command(target, Command.ON) for target in targets)
        self.assertTrue(all(bmc.machine.power() for bmc in fleet.bmcs))
        calls = [Deferred.fromCoroutine(self.command(target, Command.RESET)) for target in targets]
        await deferLater(reactor, 1.5, lambda: None)
        for call in calls:
            call.addErrback(lambda failure: failure.trap(PowerError, CancelledError))
            call.cancel()
        for bmc in fleet.bmcs:
            self.assertLessEqual(bmc.machine.count("reset"), 1)

    async def test_slots_full(self) -> None:
        """
        Full slots are waited for.
        """
        fleet = self.start()
        (target,) = self.targets(fleet)
        fleet.bmcs[0].set_faults(Faults(slots_full=True))
        reactor.callLater(0.7, fleet.bmcs[0].set_faults, HEALTHY)
        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_forgetful(self) -> None:
        """
        A BMC that forgets each session after one command still does all that is asked, each reset once.
        """
        fleet = self.start()
        (target,) = self.targets(fleet)
        fleet.bmcs[0].set_faults(Faults(forgetful=True))
        await self.command(target, Command.ON)
        await self.read(target)
        await deferLater(reactor, 1.1, lambda: None)
        await self.command(target, Command.RESET)
        self.assertEqual(1, fleet.bmcs[0].machine.count("reset"))
        self.assertGreaterEqual(self.driver.counters.forgotten, 2)

    async def test_strangers(self) -> None:
        """
        Whatever strangers send to our port, the driver works on.
        """
        fleet = self.start()
        (target,) = self.targets(fleet)
        await self.read(target)
        (sender,) = self.driver._fleet._senders.values()  # noqa: SLF001
        port = sender._socket.getsockname()[1]  # type: ignore[attr-defined]  # noqa: SLF001
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for size in (0, 1, 4, 16, 60, 1400, 9000):
                stranger.sendto(bytes(size), ("127.0.0.1", port))
        self.assertIs(PowerState.OFF, await self.read(target))
        self.assertGreaterEqual(self.driver.counters.ignored, 7)

    async def test_by_name(self) -> None:
        """
        A BMC may be named.
        """
        fleet = SimulatedFleet(reactor, 1, base="127.0.0.1", port=0)
        fleet.startService()
        self.addCleanup(fleet.stopService)
        target = self.target(fleet.bmcs[0], fleet.port, address=f"localhost:{fleet.port}")
        self.assertIs(PowerState.OFF, await self.read(target))

    async def test_refusal_of_another(self) -> None:
        """
        A refusal that the kernel tells to the next who sends is not taken for that one's.
        """
        fleet = self.start(2)
        fleet.bmcs[0].set_faults(Faults(closed=True))
        await deferLater(reactor, 0, lambda: None)
        closed, living = self.targets(fleet)
        calls = [Deferred.fromCoroutine(self.read(target)) for target in (closed, living, closed, living)]
        results = await DeferredList(calls, consumeErrors=True)
        self.assertEqual([False, True, False, True], [success for success, _ in results])
        self.assertEqual(0, self.driver.counters.retransmitted)

    async def test_ipv6(self) -> None:
        """
        IPv6 has a socket of its own, with refusals, too.
        """
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind(("::1", 0))
                port = probe.getsockname()[1]
        except OSError as error:
            raise SkipTest("this machine has no IPv6") from error
        target = self.driver.target(self.driver.settings(address=f"[::1]:{port}"))
        self.assertIn("connection refused", str(await self.error(self.read(target))))
