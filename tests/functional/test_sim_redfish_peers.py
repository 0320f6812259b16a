# SPDX-License-Identifier: MIT
"""
The simulated Redfish service as others see it: DMTF's tools and sushy take it for a real BMC.

What takes longer is in `tests.functional.long_redfish_peers`.
"""

from __future__ import annotations

import json

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.redfish.profile import ETags, Profile, Told
from tests.functional.redfish_peers import RedfishPeerCase, explained

#: Switches a system on and off again with sushy, and says what it saw.
SUSHY = """
import json, sys, time
import sushy
from sushy import auth
url, kind, authority = sys.argv[1:]
chosen = auth.BasicAuth("admin", "secret") if kind == "basic" else auth.SessionAuth("admin", "secret")
root = sushy.Sushy(url, auth=chosen, verify=authority)
system = root.get_system_collection().get_members()[0]
seen = [system.power_state.value, sorted(each.value for each in system.get_allowed_reset_system_values())]

def become(wanted):
    for _ in range(100):
        system.refresh(force=True)
        if system.power_state is wanted:
            return seen.append(wanted.value)
        time.sleep(0.05)
    seen.append(f"still {system.power_state}")

system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
system.refresh(force=True)
seen.append(system.boot.get("target").value)
system.reset_system(sushy.RESET_ON)
become(sushy.PowerState.ON)
system.reset_system(sushy.RESET_GRACEFUL_SHUTDOWN)
become(sushy.PowerState.OFF)
print(json.dumps(seen))
"""

WRONG_PASSWORD = """
import sys, sushy
from sushy import auth
try:
    chosen = auth.SessionAuth("admin", "wrong")
    sushy.Sushy(sys.argv[1], auth=chosen, verify=sys.argv[2]).get_system_collection()
except sushy.exceptions.AccessError as error:
    print("refused", error.status_code)
"""


class SushyCase(RedfishPeerCase):
    """
    Switches one system with sushy.
    """

    async def switch(self, kind: str = "session") -> list[object]:
        out, code = await self.run_python(SUSHY, self.fleet.bmcs[0].url, kind, str(self.authority))
        self.assertEqual(0, code, out)
        answer: list[object] = json.loads(out.splitlines()[-1])
        return answer

    def assertSwitched(self, seen: list[object]) -> None:
        bmc = self.fleet.bmcs[0]
        self.assertEqual("Off", seen[0])
        self.assertEqual(["Pxe", "On", "Off"], seen[2:])
        self.assertEqual([Device.PXE], bmc.machine.booted)
        self.assertEqual(["On", "GracefulShutdown"], bmc.record.asked_for())
        self.assertFalse(bmc.machine.power())


class SushyTests(SushyCase):
    base = "127.60.61.1"

    async def test_session(self) -> None:
        """
        sushy logs in, sets the boot device for once, switches on and stops softly.
        """
        self.assertSwitched(await self.switch())

    async def test_basic(self) -> None:
        """
        sushy does the same with HTTP Basic.
        """
        self.assertSwitched(await self.switch("basic"))

    async def test_wrong_password(self) -> None:
        """
        sushy hears 401 for a wrong password, which is counted.
        """
        out, _ = await self.run_python(WRONG_PASSWORD, self.fleet.bmcs[0].url, str(self.authority))

        self.assertIn("refused 401", out)
        self.assertLess(0, self.fleet.bmcs[0].record.wrong_passwords)


class SushyWithTasksTests(SushyCase):
    base = "127.60.62.1"
    profile = Profile(reset_code=202, if_match=True, told=Told.ACTION_INFO)

    async def test_tasks(self) -> None:
        """
        sushy takes a task for an answer, an ActionInfo for a list, and sends the ETag that is required.
        """
        self.assertSwitched(await self.switch())
        codes = [command.code for command in self.fleet.bmcs[0].record.commands]

        self.assertEqual([202, 202], codes)


class SushyWithWeakTagsTests(SushyCase):
    base = "127.60.63.1"
    profile = Profile(etags=ETags.WEAK_TAKEN_STRONG, told=Told.ALLOWABLE, boot_settings=True)

    async def test_refused_tag(self) -> None:
        """
        sushy's first attempt to set the boot device is refused with 412, and its second is taken.
        """
        self.assertSwitched(await self.switch())
        codes = [each.code for each in self.fleet.bmcs[0].record.requests if each.name == "boot"]

        self.assertEqual([412, 204], codes)


class FusedTests(RedfishPeerCase):
    base = "127.60.64.1"
    profile = Profile(told=Told.FUSED)

    async def test_fused(self) -> None:
        """
        sushy takes no reset type out of the string in which a Supermicro has two of them.
        """
        program = SUSHY.partition("def become")[0] + "print(json.dumps(seen))"
        out, _ = await self.run_python(program, self.fleet.bmcs[0].url, "basic", str(self.authority))
        types = json.loads(out.splitlines()[-1])[1]

        self.assertIn("ForceOff", types)
        self.assertNotIn("GracefulShutdown", types)


class DmtfToolsTests(RedfishPeerCase):
    base = "127.60.65.1"
    powered = True

    async def test_boot_override(self) -> None:
        """
        DMTF's use case checker for the boot override passes, but for what is explained.
        """
        passed, others = await self.use_cases("BootOverride")

        self.assertEqual(explained("boot_override"), others)
        self.assertEqual(11, passed)

    async def test_power_reset(self) -> None:
        """
        DMTF's rf_power_reset finds the reset types by itself, and switches power.
        """
        bmc = self.fleet.bmcs[1]
        info, _ = await self.run_tool("rf_power_reset.py", *self.login(1), "--info")
        codes = [
            (await self.run_tool("rf_power_reset.py", *self.login(1), "-t", kind))[1]
            for kind in ("ForceOff", "On")
        ]

        self.assertIn("GracefulShutdown, GracefulRestart", info)
        self.assertEqual([0, 0], codes)
        self.assertEqual(["ForceOff", "On"], bmc.record.asked_for())

    async def test_boot_once(self) -> None:
        """
        DMTF's rf_boot_override sets the boot device for the next start only.
        """
        bmc = self.fleet.bmcs[1]
        _, code = await self.run_tool("rf_boot_override.py", *self.login(1), "-t", "Pxe")
        bmc.machine.press_button(on=False)
        bmc.machine.press_button(on=True)
        bmc.machine.perform("reset")

        self.assertEqual(0, code)
        self.assertEqual([Device.PXE, Device.NONE], bmc.machine.booted)
