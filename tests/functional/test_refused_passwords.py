# SPDX-License-Identifier: MIT
"""
BMCs that count the wrong passwords they are told, and a coordinator that is killed again and again.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as global_reactor

from powercoord.model import PowerState
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.web.faults import Faults
from tests.functional.signalled_twistd import HUP
from tests.functional.test_region_recovery import RegionCase

reactor: Any = global_reactor
BMCS = "127.61.79.1"

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]

[drivers.redfish]
username = "admin"
password = {{ file = "password" }}

[nodes."r[1-2]"]
driver = "redfish"
address = "http://{base}.[1-2]:{port}"
"""


class RefusedTests(RegionCase):
    """
    Two Redfish services whose password is another than what is configured, or not.
    """

    def setUp(self) -> None:
        super().setUp()
        self.web = RedfishFleet(reactor, 2, base=BMCS, port=0, tls=False)
        self.web.startService()
        self.addCleanup(self.web.stopService)
        base = BMCS.rpartition(".")[0]
        text = CONFIGURATION.format(folder=self.folder, base=base, port=self.web.port)
        (self.folder / "pc.toml").write_text(text)
        self.wrong, self.well = self.web.bmcs
        self.wrong.set_faults(Faults(password="another one"))

    async def again(self) -> None:
        """
        Kill it, and start it once more.
        """
        await self.kill()
        self.spawn()
        await self.client.info()

    async def seen(self, name: str) -> PowerState:
        (reading,) = await self.client.query([name])
        state: PowerState = reading.state
        return state

    async def test_killed(self) -> None:
        """
        A refused password is tried once, however often the coordinator is killed; each off is one more try.
        """
        await self.start()
        self.assertIs(PowerState.ERROR, await self.seen("r1"))
        (before,) = await self.client.status(["r1"])
        self.assertEqual(1, self.wrong.record.wrong_passwords)
        for _ in range(2):
            await self.again()
            self.assertIs(PowerState.ERROR, await self.seen("r1"))
            self.assertEqual("PowerParkedError", (await self.client.on("r1")).code)
            self.assertIs(PowerState.OFF, await self.seen("r2"))
        (after,) = await self.client.status(["r1"])

        self.assertEqual((1, 0), (self.wrong.record.wrong_passwords, self.well.record.wrong_passwords))
        assert before.parked is not None
        assert after.parked is not None
        self.assertEqual(before.parked.since, after.parked.since)
        self.assertLess(after.parked.next_try, before.parked.next_try)
        self.assertEqual("PowerAuthError", (await self.client.off("r1")).code)
        await self.again()
        self.assertIs(PowerState.ERROR, await self.seen("r1"))
        self.assertEqual(2, self.wrong.record.wrong_passwords)
        await self.kill()

    async def test_mended(self) -> None:
        """
        With another password it is tried at once, also where that was set while nobody was there.
        """
        await self.start()
        await self.seen("r1")
        await self.kill()
        (self.folder / "password").write_text("another one\n")
        self.spawn()

        self.assertIs(PowerState.OFF, await self.seen("r1"))
        self.assertEqual(1, self.wrong.record.wrong_passwords)
        await self.kill()

    async def test_reload(self) -> None:
        """
        What was parked before a restart is tried when a reload brings another password, and not before.
        """
        await self.start()
        await self.seen("r1")
        await self.again()
        self.assertIs(PowerState.ERROR, await self.seen("r1"))
        (self.folder / "password").write_text("another one\n")
        self.send(HUP)
        while await self.seen("r1") is not PowerState.OFF:
            await self.pause(0.1)

        self.assertEqual(1, self.wrong.record.wrong_passwords)
        await self.kill()

    async def test_unpark(self) -> None:
        """
        What a person has unparked is not parked after a restart, and neither is what was only silent.
        """
        await self.start()
        await self.seen("r1")
        out, err, code = await self.command("unpark", "r1")
        self.assertEqual(0, code, out + err)
        self.wrong.set_faults()
        await self.again()

        self.assertIs(PowerState.OFF, await self.seen("r1"))
        self.assertEqual(1, self.wrong.record.wrong_passwords)
        await self.kill()

    async def test_no_secret(self) -> None:
        """
        Nothing that is kept has the password in it, and the key of marks is its owner's alone.
        """
        (self.folder / "password").write_text("hidden-canary\n")
        await self.start()
        await self.seen("r1")
        await self.again()
        kept = [path for path in self.folder.iterdir() if path.is_file() and path.name != "password"]

        self.assertEqual([], [path.name for path in kept if b"hidden-canary" in path.read_bytes()])
        self.assertEqual(0o600, (self.folder / "marks.key").stat().st_mode & 0o777)
        await self.kill()
