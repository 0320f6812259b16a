# SPDX-License-Identifier: MIT
"""
The Redfish driver and what services are known for, with our simulator on real sockets.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from powercoord.drivers.ipmi.boot import Device
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerRefusedError,
    PowerSettingError,
)
from powercoord.model import Boot, BootDevice, Command, PowerState, Timing, Verb
from powercoord.sim.machine import Latency
from powercoord.sim.redfish.profile import ETags, Profile, Slash, Told
from powercoord.sim.web.faults import Faults
from tests.functional.redfish_world import Errand, RedfishCase, ask, reactor, registry

PXE = Boot(BootDevice.PXE)


class CountTests(RedfishCase):
    base = "127.61.62.1"

    async def test_on_and_off(self) -> None:
        """
        One connection and one session do all: on, seen, off, seen, and the session is given back at the end.
        """
        self.serve(latency=Latency(on=0.3, off=0.2))
        coordinator = registry(self.driver, self.target(), self, Timing(poll=0.1, minimum_off=0.0))
        await ask(coordinator, Verb.ON, "r1")
        first = len(self.bmc.record.requests)
        await ask(coordinator, Verb.OFF, "r2")
        await self.driver.close()

        names = [each.name for each in self.bmc.record.requests]
        setting_up = ["root", "login", "systems", "system", "system", "action-info", "reset"]
        self.assertEqual(setting_up, names[:7])
        self.assertEqual({"system"}, set(names[7:first]))
        self.assertEqual(["reset", "logout"], [name for name in names[first:] if name != "system"])
        self.assertEqual(["On", "ForceOff"], self.bmc.record.asked_for())
        self.assertEqual(1, self.bmc.record.connections)

    async def test_discovery_is_cached(self) -> None:
        """
        A read costs one request, once the service is known; a command one more.
        """
        self.serve()
        await self.read()
        await self.command(Command.ON)
        before = len(self.bmc.record.requests)
        await self.read()
        await self.command(Command.OFF)

        self.assertEqual(before + 2, len(self.bmc.record.requests))


class LoginTests(RedfishCase):
    base = "127.61.62.2"

    async def test_basic(self) -> None:
        """
        Where there are no sessions the password goes with every request.
        """
        self.serve(Profile(sessions=False))
        await self.command(Command.ON)

        self.assertIs(PowerState.ON, await self.read())
        self.assertEqual(0, self.bmc.record.count("login"))

    async def test_no_session_left(self) -> None:
        """
        Where all sessions are taken, the password goes with every request.
        """
        self.serve(Profile(session_limit=0))

        self.assertIs(PowerState.OFF, await self.read())

    async def test_lost_session(self) -> None:
        """
        A session that the BMC has forgotten is renewed, and the request repeated, once.
        """
        self.serve()
        await self.read()
        self.bmc.bmc.restart(self.fleet.bmcs[0].bmc.profile)
        await self.command(Command.ON)

        self.assertEqual(["On"], self.bmc.record.asked_for())
        self.assertEqual(2, self.bmc.record.count("login"))

    async def test_at_once(self) -> None:
        """
        Who asks for several systems at once logs in once.
        """
        self.serve(systems=2)
        await gatherResults([Deferred.fromCoroutine(self.read(node_id=each)) for each in ("1", "2")])

        self.assertEqual((1, 1), (self.bmc.record.count("login"), self.bmc.record.connections))

    async def test_wrong_password(self) -> None:
        """
        A wrong password is tried once, with sessions and without, and is nowhere in the error.
        """
        for sessions in (True, False):
            self.serve(Profile(sessions=sessions))
            with self.assertRaises(PowerAuthError) as caught:
                await self.read(password="Wr0ng-one")
            self.assertEqual(1, self.bmc.record.wrong_passwords)
            self.assertNotIn("Wr0ng-one", str(caught.exception))
            await self.fleet.stopService()

    async def test_no_privilege(self) -> None:
        """
        Who may only read is refused a change, in words.
        """
        self.serve()
        with self.assertRaisesRegex(PowerRefusedError, "403"):
            await self.command(Command.ON, username="reader", password="readsecret")

        self.assertIs(PowerState.OFF, await self.read(username="reader", password="readsecret"))


class SystemTests(RedfishCase):
    base = "127.61.62.3"

    async def test_several(self) -> None:
        """
        Where there are several systems one must be named, by Id or UUID, and the others stay as they are.
        """
        self.serve(systems=3)
        with self.assertRaisesRegex(PowerSettingError, "3 systems.*1, 2, 3"):
            await self.read()
        with self.assertRaisesRegex(PowerSettingError, "'9' is no system there.*1, 2, 3"):
            await self.read(node_id="9")
        await self.command(Command.ON, node_id="2")

        self.assertEqual([False, True, False], [self.fleet.power(0, machine=each) for each in range(3)])
        self.assertEqual(1, self.bmc.record.connections)

    async def test_uuid(self) -> None:
        """
        A UUID names a system in any case of its digits.
        """
        self.serve(systems=3)
        await self.command(Command.ON, node_id=str(self.bmc.bmc.service.uuid(1)).upper())

        self.assertTrue(self.fleet.power(0, machine=1))

    async def test_system_id(self) -> None:
        """
        A system's Id is whatever the vendor likes.
        """
        self.serve(Profile(system_id="System.Embedded.{}"))
        await self.command(Command.ON, node_id="System.Embedded.1")

        self.assertTrue(self.fleet.power(0))


class ResetTests(RedfishCase):
    base = "127.61.62.4"

    async def test_told(self) -> None:
        """
        Wherever the reset types are told, in one piece or not at all, the right one is sent.
        """
        for told in Told:
            self.serve(Profile(told=told), powered=True, latency=Latency(soft=0.0))
            await self.command(Command.SOFT)
            self.assertEqual(["GracefulShutdown"], self.bmc.record.asked_for(), told)
            await self.fleet.stopService()

    async def test_commands(self) -> None:
        """
        Each command has its reset type, and where that is not offered none other does something else.
        """
        self.serve(Profile(reset_types=("ForceOn", "ForceOff", "PushPowerButton", "PowerCycle")))
        await self.command(Command.ON)
        for command in (Command.SOFT, Command.RESET):
            with self.assertRaisesRegex(PowerRefusedError, "offers nothing for.*PowerCycle"):
                await self.command(command)

        self.assertEqual(["ForceOn"], self.bmc.record.asked_for())

    async def test_soft_falls_to_hard(self) -> None:
        """
        A soft-off of a service without a graceful stop becomes a hard one at once.
        """
        self.serve(Profile(reset_types=("On", "ForceOff")), powered=True)
        coordinator = registry(self.driver, self.target(), self, Timing(poll=0.1))
        done = await ask(coordinator, Verb.SOFT_OFF, "r1")

        self.assertEqual("forced", done.how.value)

    async def test_already(self) -> None:
        """
        What is answered with 400 or 409 because it is so already is a success.
        """
        for status in (400, 409):
            self.serve(Profile(already=status), powered=True)
            await self.command(Command.ON)
            await self.command(Command.OFF)
            await self.command(Command.OFF)
            self.assertFalse(self.fleet.power(0))
            await self.fleet.stopService()

    async def test_reset_when_off(self) -> None:
        """
        A reset of a machine that is off is refused in words.
        """
        self.serve()
        with self.assertRaisesRegex(PowerRefusedError, "it is off"):
            await self.command(Command.RESET)

    async def test_not_now(self) -> None:
        """
        What passes by itself may be tried again: it is no refusal.
        """
        self.serve()
        for word in ("SYS518", "ilo", "ilo-post", "conflict", "unavailable"):
            self.bmc.fail_next("reset", Faults(complain={"reset": word}))
            with self.assertRaises(PowerActionError) as caught:
                await self.command(Command.ON)
            self.assertFalse(caught.exception.sent, word)
        self.bmc.fail_next("reset", Faults(complain={"reset": "internal"}))
        with self.assertRaises(PowerActionError) as caught:
            await self.command(Command.ON)
        self.assertTrue(caught.exception.sent)

    async def test_conflict_after_off(self) -> None:
        """
        An on that is refused for a while after an off succeeds in the end.
        """
        self.serve(Profile(conflict_after_off=0.6), powered=True)
        timing = Timing(poll=0.1, minimum_off=0.0, retry_pause=0.4, retries=3)
        coordinator = registry(self.driver, self.target(), self, timing)
        await ask(coordinator, Verb.CYCLE, "r1")

        self.assertTrue(self.fleet.power(0))

    async def test_changing(self) -> None:
        """
        What is neither on nor off, or not known, is no state; the change is seen all the same.
        """
        for word in ("Powering", "null", "Reset", "Unknown"):
            self.serve(Profile(changing=word), latency=Latency(on=0.4))
            await self.command(Command.ON)
            with self.assertRaisesRegex(PowerActionError, "neither on nor off"):
                await self.read()
            coordinator = registry(self.driver, self.target(), self, Timing(poll=0.1))
            await ask(coordinator, Verb.ON, "r1")
            self.assertTrue(self.fleet.power(0))
            await coordinator.stop("done")
            await self.fleet.stopService()


class TaskTests(RedfishCase):
    base = "127.61.62.5"

    async def test_accepted(self) -> None:
        """
        A task is looked after until it is over.
        """
        self.serve(Profile(reset_code=202, retry_after=0))
        await self.command(Command.ON)

        self.assertTrue(self.fleet.power(0))
        self.assertGreater(self.bmc.record.count("task"), 0)

    async def test_fails(self) -> None:
        """
        A task that fails is a refusal, with its reason.
        """
        self.serve(Profile(reset_code=202, retry_after=0))
        self.bmc.set_faults(Faults(task_fails=True))
        with self.assertRaisesRegex(PowerRefusedError, "its task failed"):
            await self.command(Command.ON)

    async def test_long(self) -> None:
        """
        A task that takes long was accepted: the command is over, and the machine's power tells the rest.
        """
        self.serve(Profile(reset_code=202, retry_after=30))
        begun = reactor.seconds()
        await self.command(Command.ON)

        self.assertLess(reactor.seconds() - begun, 2.5)

    async def test_stopped(self) -> None:
        """
        Who asks politely to stop while a task goes on hears that it was accepted, at once.
        """
        self.serve(Profile(reset_code=202, retry_after=2, task_lasts=9.0))
        errand = Errand()
        call = Deferred.fromCoroutine(self.driver.command(self.target(), Command.ON, errand))
        while not errand.announced:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.3)
        self.assertNoResult(call)
        errand.stop()

        self.successResultOf(call)


class BootTests(RedfishCase):
    base = "127.61.62.6"

    async def test_etags(self) -> None:
        """
        Whatever a service makes of ETags, the boot device is set.
        """
        for if_match in (False, True):
            for kind in ETags:
                if if_match and kind in (ETags.NONE, ETags.WEAK_TAKEN_NEVER):
                    continue
                self.serve(Profile(etags=kind, if_match=if_match))
                await self.set_boot(PXE)
                await self.command(Command.ON)
                self.assertEqual([Device.PXE], self.bmc.machine.booted, kind)
                await self.fleet.stopService()

    async def test_settings_object(self) -> None:
        """
        Where the override stands in the settings object, it is written there.
        """
        self.serve(Profile(boot_settings=True))
        await self.set_boot(PXE)
        await self.command(Command.ON)

        self.assertEqual([Device.PXE], self.bmc.machine.booted)

    async def test_post(self) -> None:
        """
        A machine in POST cannot take it just now.
        """
        self.serve()
        self.bmc.fail_next("boot", Faults(complain={"boot": "ilo-post"}))
        with self.assertRaises(PowerActionError):
            await self.set_boot(PXE)


class WireTests(RedfishCase):
    base = "127.61.62.7"

    async def test_manners(self) -> None:
        """
        Slashes, redirects, chunks, closed connections and refused codings change nothing.
        """
        plain = Profile()
        for profile in (
            evolve(plain, slash=Slash.REQUIRED),
            evolve(plain, slash=Slash.REDIRECTED),
            evolve(plain, lengths=False),
            evolve(plain, close=True),
            evolve(plain, identity=406),
        ):
            self.serve(profile)
            await self.set_boot(PXE)
            await self.command(Command.ON)
            self.assertIs(PowerState.ON, await self.read())
            self.assertEqual(["On"], self.bmc.record.asked_for())
            await self.fleet.stopService()

    async def test_lost_answer(self) -> None:
        """
        A change whose answer is lost is not sent again, and may have arrived.
        """
        self.serve()
        await self.read()
        self.bmc.fail_next("reset", Faults(drop_after=frozenset({"reset"})))
        with self.assertRaises(PowerConnError) as caught:
            await self.command(Command.ON)

        self.assertTrue(caught.exception.sent)
        self.assertEqual(["On"], self.bmc.record.asked_for())

    async def test_hung_up(self) -> None:
        """
        A connection that the BMC has closed while it was idle costs a new one and nothing else.
        """
        self.serve()
        await self.read()
        self.bmc.hang_up()
        self.assertIs(PowerState.OFF, await self.read())

        self.assertEqual((2, 1), (self.bmc.record.connections, self.bmc.record.count("login")))

    async def test_garbage(self) -> None:
        """
        Nonsense, and answers without end, are told as such and end within the bounds.
        """
        self.serve()
        await self.read()
        for faults in (Faults(garbage=frozenset({"system"})), Faults(endless=frozenset({"system"}))):
            self.bmc.set_faults(faults)
            with self.assertRaises(PowerActionError):
                await self.read()

    async def test_wrong_pin(self) -> None:
        """
        A BMC with another certificate hears nothing, and is not tried again with the password.
        """
        self.serve()
        with self.assertRaisesRegex(PowerAuthError, "not the pinned one"):
            await self.read(pin="ab" * 32)

        self.assertEqual([], self.bmc.record.requests)


class EventTests(RedfishCase):
    base = "127.61.62.8"

    def listen(self, **more: object) -> list[str]:
        told: list[str] = []
        target = self.target(events=True, **more)
        self.addCleanup(self.driver.watch(target, lambda: told.append(target.selector)))
        return told

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(200):
            if condition():
                return
            await deferLater(reactor, 0.02)
        raise AssertionError("it never came to that")

    async def test_told(self) -> None:
        """
        A change that nobody asked for is told, of the system that it is about and of no other.
        """
        self.serve(systems=2)
        first, second = self.listen(node_id="1"), self.listen(node_id="2")
        for node_id in ("1", "2"):
            await self.read(events=True, node_id=node_id)
        await self.until(lambda: self.bmc.record.count("events") > 1)
        self.bmc.machines[1].press_button(True)
        await self.until(lambda: bool(second))

        self.assertEqual([], first)
        self.assertEqual(2, self.bmc.record.connections)

    async def test_not_offered(self) -> None:
        """
        Where there are no events, or they are not wanted, nobody asks for them again and again.
        """
        self.serve(Profile(events=False))
        self.listen()
        for _ in range(3):
            await self.read(events=True)
        await deferLater(reactor, 0.1)

        self.assertEqual(1, self.bmc.record.connections)
        self.assertLessEqual(self.bmc.record.count("events"), 1)

    async def test_not_wanted(self) -> None:
        """
        Without the setting nothing is listened to.
        """
        self.serve()
        self.addCleanup(self.driver.watch(self.target(), lambda: None))
        await self.read()
        await deferLater(reactor, 0.1)

        self.assertEqual((1, 0), (self.bmc.record.connections, self.bmc.record.count("events")))

    async def test_stopped(self) -> None:
        """
        When nobody wants to hear any more, the stream is closed.
        """
        self.serve()
        stop = self.driver.watch(self.target(events=True), lambda: None)
        await self.read(events=True)
        await self.until(lambda: self.bmc.record.open > 1)
        stop()
        await self.until(lambda: self.bmc.record.open == 1)
