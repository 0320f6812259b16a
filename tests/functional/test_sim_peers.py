# SPDX-License-Identifier: MIT
"""
The simulated fleet as others see it: `ipmitool`, FreeIPMI's `ipmipower` and pyghmi take it for real BMCs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.faults import Faults
from powercoord.sim.firmware import INTEL, SUPERMICRO, Firmware
from powercoord.sim.fleet import SimulatedBmc, SimulatedFleet
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Profile

#: What each client says of a command that does not fit the machine's state (completion code 0xd5).
WRONG_STATE = "Command not supported in present state"


class PeerCase(TestCase):
    """
    Ten BMCs in this process, at addresses of this case's own.
    """

    timeout = 120
    base = "127.50.60.1"
    profile = Profile()

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.fleet = SimulatedFleet(
            reactor, 10, base=self.base, port=0, latency=Latency(cycle=0.0), profile=self.profile
        )
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)

    async def run_program(
        self, program: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> tuple[str, int]:
        """
        What a program printed, and its exit code.
        """
        path = which(program)
        if path is None:
            raise SkipTest(f"{program} is not installed")
        out, err, code = await getProcessOutputAndValue(
            path, words, env={**os.environ, **(environment or {})}
        )
        return (out + err).decode().strip(), code

    def verbs(self, bmc: SimulatedBmc) -> list[str]:
        """
        What was done to the machine.
        """
        return [command.verb for command in bmc.machine.commands]


class IpmitoolTests(PeerCase):
    base = "127.50.61.1"
    profile = Profile(suites=(3, 8, 17))

    async def ipmitool(
        self, bmc: SimulatedBmc, options: str, command: str, password: str = "secret"
    ) -> tuple[str, int]:
        words = f"-H {bmc.address} -p {self.fleet.port} -U admin -E {options} {command}"
        return await self.run_program("ipmitool", *words.split(), environment={"IPMI_PASSWORD": password})

    async def obeys(self, bmc: SimulatedBmc, options: str) -> None:
        """
        All power commands work, and the BMC's answers are true.
        """
        steps = (
            ("chassis power cycle", WRONG_STATE, False),
            ("chassis power status", "Chassis Power is off", False),
            ("chassis power on", "Up/On", True),
            ("chassis power status", "Chassis Power is on", True),
            ("chassis power cycle", "Cycle", True),
            ("chassis power reset", "Reset", True),
            ("chassis power soft", "Soft", False),
            ("chassis power on", "Up/On", True),
            ("chassis power off", "Down/Off", False),
        )
        for command, answer, on in steps:
            text, _ = await self.ipmitool(bmc, options, command)
            self.assertIn(answer, text)
            self.assertEqual(on, bmc.machine.power(), command)
        self.assertEqual(["on", "cycle", "reset", "soft", "on", "off"], self.verbs(bmc))

    async def test_suite_3(self) -> None:
        """
        `ipmitool` switches power with SHA-1.
        """
        await self.obeys(self.fleet.bmcs[0], "-I lanplus -C 3")

    async def test_suite_8(self) -> None:
        """
        `ipmitool` switches power with MD5.
        """
        await self.obeys(self.fleet.bmcs[1], "-I lanplus -C 8")

    async def test_suite_17(self) -> None:
        """
        `ipmitool` switches power with SHA-256.
        """
        await self.obeys(self.fleet.bmcs[2], "-I lanplus -C 17")

    async def test_own_choice_of_suite(self) -> None:
        """
        `ipmitool` finds the best suite by itself, which needs the list of cipher suites.
        """
        await self.obeys(self.fleet.bmcs[3], "-I lanplus")

    async def test_ipmi_1_5(self) -> None:
        """
        `ipmitool` switches power by IPMI 1.5.
        """
        await self.obeys(self.fleet.bmcs[4], "-I lan")

    async def test_boot_device(self) -> None:
        """
        `ipmitool` sets boot devices, and reads back what it set.
        """
        bmc, options = self.fleet.bmcs[5], "-I lanplus -C 17"
        await self.ipmitool(bmc, options, "chassis bootdev pxe")
        await self.ipmitool(bmc, options, "chassis power on")
        await self.ipmitool(bmc, options, "chassis bootdev bios options=efiboot,persistent")
        text, _ = await self.ipmitool(bmc, options, "chassis bootparam get 5")

        self.assertEqual([Device.PXE], bmc.machine.booted)
        for words in ("Options apply to all future boots", "BIOS EFI boot", "Force Boot into BIOS Setup"):
            self.assertIn(words, text)

    async def test_identity(self) -> None:
        """
        `ipmitool` reads who the BMC is.
        """
        text, code = await self.ipmitool(self.fleet.bmcs[6], "-I lanplus -C 17", "mc info")

        self.assertEqual(0, code)
        self.assertIn("Chassis Device", text)

    async def test_wrong_password(self) -> None:
        """
        `ipmitool` with a wrong password gets no session.
        """
        bmc = self.fleet.bmcs[7]
        text, code = await self.ipmitool(bmc, "-I lanplus -C 17", "chassis power on", "guess")

        self.assertEqual(1, code)
        self.assertIn("Unable to establish IPMI v2 / RMCP+ session", text)
        self.assertEqual([], self.verbs(bmc))

    async def test_refusal(self) -> None:
        """
        `ipmitool` tells the completion code that a BMC was made to answer.
        """
        self.fleet.set_faults(8, Faults(refuse={"on": 0xC0}))
        text, code = await self.ipmitool(self.fleet.bmcs[8], "-I lanplus -C 17", "chassis power on")

        self.assertEqual(1, code)
        self.assertIn("Node busy", text)

    async def test_lossy_line(self) -> None:
        """
        `ipmitool` gets through a line that loses a tenth and repeats all answers.
        """
        self.fleet.set_faults(9, Faults(loss_in=0.1, loss_out=0.1, copies=2))
        text, code = await self.ipmitool(self.fleet.bmcs[9], "-I lanplus -C 17 -N 1 -R 9", "chassis power on")

        self.assertEqual((0, True), (code, self.fleet.power(9)), text)


class IpmitoolKgTests(PeerCase):
    base = "127.50.62.1"
    profile = Profile(kg=b"rack one")

    async def test_kg(self) -> None:
        """
        `ipmitool` gets a session with the BMC's key, and none without.
        """
        words = f"-I lanplus -C 17 -H {self.base} -p {self.fleet.port} -U admin -E".split()
        secret = {"IPMI_PASSWORD": "secret"}
        _, good = await self.run_program(
            "ipmitool", *words, "-k", "rack one", "power", "on", environment=secret
        )
        _, bad = await self.run_program("ipmitool", *words, "power", "off", environment=secret)

        self.assertEqual((0, 1, True), (good, bad, self.fleet.power(0)))


class IpmipowerCase(PeerCase):
    def setUp(self) -> None:
        super().setUp()
        self.config = Path(self.mktemp())
        self.config.write_text("username admin\npassword secret\n")
        self.config.chmod(0o600)

    async def ipmipower(self, *words: str) -> dict[str, int]:
        """
        Ask all ten, which goes in parallel; how many gave which answer.
        """
        hosts = ",".join(f"{bmc.address}:{self.fleet.port}" for bmc in self.fleet.bmcs)
        text, _ = await self.run_program("ipmipower", f"--config-file={self.config}", "-h", hosts, *words)
        answers: dict[str, int] = {}
        for line in text.splitlines():
            answer = line.partition(": ")[2]
            answers[answer] = answers.get(answer, 0) + 1
        return answers


class IpmipowerTests(IpmipowerCase):
    base = "127.50.63.1"

    async def obeys(self, *options: str) -> None:
        steps = (
            ("--stat", {"off": 10}, False),
            ("--on", {"ok": 10}, True),
            ("--stat", {"on": 10}, True),
            ("--cycle", {"ok": 10}, True),
            ("--reset", {"ok": 10}, True),
            ("--soft", {"ok": 10}, False),
            ("--on", {"ok": 10}, True),
            ("--off", {"ok": 10}, False),
        )
        for command, answers, on in steps:
            self.assertEqual(answers, await self.ipmipower(*options, command), command)
            self.assertEqual({on}, {bmc.machine.power() for bmc in self.fleet.bmcs}, command)
        for bmc in self.fleet.bmcs:
            self.assertEqual(["on", "cycle", "reset", "soft", "on", "off"], self.verbs(bmc))

    async def test_suite_3(self) -> None:
        """
        `ipmipower` switches ten machines with SHA-1, without any workaround.
        """
        await self.obeys("-D", "LAN_2_0", "-I", "3")

    async def test_suite_17(self) -> None:
        """
        `ipmipower` switches ten machines with SHA-256, without any workaround.
        """
        await self.obeys("-D", "LAN_2_0", "-I", "17")

    async def test_ipmi_1_5(self) -> None:
        """
        `ipmipower` switches ten machines by IPMI 1.5.
        """
        await self.obeys("-D", "LAN")

    async def test_cycle_while_off(self) -> None:
        """
        By IPMI 1.5 `ipmipower` tells that a machine that is off cannot be cycled; by IPMI 2.0 it is silent.
        """
        self.assertEqual({"operation invalid": 10}, await self.ipmipower("-D", "LAN", "--cycle"))
        self.assertEqual({}, await self.ipmipower("-D", "LAN_2_0", "-I", "17", "--cycle"))

    async def test_suite_not_offered(self) -> None:
        """
        `ipmipower` tells that a suite is not offered.
        """
        answers = await self.ipmipower("-D", "LAN_2_0", "-I", "8", "--stat")

        self.assertEqual({"cipher suite id unavailable": 10}, answers)


class FirmwareTests(IpmipowerCase):
    """
    Firmware that FreeIPMI has a workaround for: its own judgement whether ours is like it.
    """

    base = "127.50.65.1"

    async def answers(self, firmware: Firmware, *options: str) -> list[str]:
        """
        What `ipmipower` says of BMCs with this firmware, for the suites that were there in its time.
        """
        for bmc in self.fleet.bmcs:
            bmc.bmc.restart(Profile(suites=(3, 8), firmware=firmware))
        found = [
            await self.ipmipower("-D", "LAN_2_0", "-I", suite, *options, "--stat") for suite in ("3", "8")
        ]
        return [answer for answers in found for answer in answers]

    async def test_intel(self) -> None:
        """
        Intel's early firmware needs ``intel20``.
        """
        self.assertEqual(["off", "off"], await self.answers(INTEL, "-W", "intel20"))
        self.assertNotIn("off", await self.answers(INTEL))

    async def test_supermicro(self) -> None:
        """
        Supermicro's early firmware needs ``supermicro20``.
        """
        self.assertEqual(["off", "off"], await self.answers(SUPERMICRO, "-W", "supermicro20"))
        self.assertNotIn("off", await self.answers(SUPERMICRO))


PYGHMI = """
import os, sys
from pyghmi.ipmi.command import Command
bmc = Command(bmc=sys.argv[1], port=int(sys.argv[2]), userid="admin", password=os.environ["IPMI_PASSWORD"])
print(bmc.get_power()["powerstate"])
print(bmc.set_power("on", wait=5)["powerstate"])
print(bmc.set_bootdev("network", persist=True)["bootdev"], bmc.get_bootdev()["persistent"])
bmc.set_power("reset")
print(bmc.set_power("shutdown", wait=5)["powerstate"])
print(bmc.set_power("on", wait=5)["powerstate"], bmc.set_power("off", wait=5)["powerstate"])
"""


class PyghmiTests(PeerCase):
    base = "127.50.64.1"

    async def pyghmi(self, bmc: SimulatedBmc) -> Any:
        words = ("-c", PYGHMI, bmc.address, str(self.fleet.port))
        return await self.run_program(sys.executable, *words, environment={"IPMI_PASSWORD": "secret"})

    async def test_power(self) -> None:
        """
        Pyghmi reads and switches power, and sets the boot device.
        """
        bmc = self.fleet.bmcs[0]
        text, code = await self.pyghmi(bmc)

        self.assertEqual((["off", "on", "network True", "off", "on off"], 0), (text.splitlines(), code))
        self.assertEqual(["on", "set-boot", "reset", "soft", "on", "off"], self.verbs(bmc))
        self.assertEqual(Device.PXE, bmc.machine.boot.device)
