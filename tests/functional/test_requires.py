# SPDX-License-Identifier: MIT
"""
A simulated chassis with its blades, and a real coordinator: by the machines' own record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import gatherResults
from twisted.internet.protocol import Factory, Protocol

from powercoord.errors import Held, StillRequired
from powercoord.model import Done, Goal, How, PowerState, Verb
from tests.functional.signalled_twistd import BASE, COUNT, HUP, NAMES
from tests.functional.test_region_recovery import RegionCase

reactor: Any = global_reactor
ON = Done(How.COMMANDED, PowerState.ON)
OFF = Done(How.FORCED, PowerState.OFF)
BOX, BLADES = NAMES[0], NAMES[1:5]
TAKES = 0.6
SETTLES = 0.4

CHASSIS = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]

[drivers.ipmi]
username = "admin"
password = {{ file = "password" }}

[timing]
minimum_off = "0s"
poll = "100ms"
poll_longest = "300ms"

[fleet]
max_starting = 1

[nodes.n001]
driver = "ipmi"
address = "{base}.1:{port}"
ready = {{ after = "{settles}s"{probe} }}
{more}

[nodes."n[002-005]"]
driver = "ipmi"
address = "{base}.[2-5]:{port}"
requires = "n001"
"""


class ChassisTests(RegionCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()
        self.slow(TAKES, 0)
        self.slow(0.1, *range(1, COUNT))

    def configure(self, probe: str = "", more: str = "") -> None:
        base = BASE.rpartition(".")[0]
        words = {"folder": self.folder, "base": base, "port": self.fleet.port, "settles": SETTLES}
        (self.folder / "pc.toml").write_text(CHASSIS.format(**words, probe=probe, more=more))

    def told(self, name: str, verb: str) -> list[float]:
        """
        When a machine was told that, by its own account.
        """
        machine = self.fleet.bmcs[NAMES.index(name)].machine
        return [each.at for each in machine.commands if each.verb == verb]

    async def test_on_and_off(self) -> None:
        """
        Blades start when their chassis was on and settled; while they are on it goes off only with them.
        """
        await self.start()
        await self.client.hold([BOX], "swapping fans", only=Goal.ON)
        refused = await self.assertFailure(self.client.on(BLADES[0]), Held)
        self.assertIn("n001: on is refused, it is held by test", str(refused))
        await self.client.release([BOX])
        outcomes = await gatherResults([self.client.on(name) for name in BLADES])
        self.assertEqual([ON] * 4, outcomes)
        (box,) = self.told(BOX, "on")
        blades = [at for name in BLADES for at in self.told(name, "on")]
        self.assertEqual(4, len(blades))
        self.assertGreaterEqual(min(blades), box + TAKES + SETTLES)
        (status,) = await self.client.status([BOX])
        self.assertIn(", for n00", status.wanted.requester)

        await gatherResults([self.client.off(name) for name in BLADES[2:]])
        await self.assertFailure(self.client.off(BOX), StillRequired)
        out, _, code = await self.command("off", BOX)
        self.assertEqual(1, code)
        self.assertIn("off is refused, it carries n002 (on), n003 (on); turn these off first, or", out)
        self.assertEqual([], self.told(BOX, "off"))
        out, err, code = await self.command("off", BOX, "--with-children")
        self.assertEqual(0, code, out + err)
        self.check_order(BLADES[:2], 1)
        self.assertEqual([1, 1], [len(self.told(name, "off")) for name in BLADES[2:]])
        await self.batch()
        await self.kill()

    def check_order(self, blades: Sequence[str], times: int) -> None:
        """
        The chassis was told to go off so often, and the last time after its blades.
        """
        told = self.told(BOX, "off")
        self.assertEqual(times, len(told))
        self.assertGreaterEqual(told[-1], max(self.told(name, "off")[-1] for name in blades) + 0.1)

    async def batch(self) -> None:
        """
        A batch with a chassis and its blades is turned on and off in the right order, whatever its own.
        """
        names = [BOX, *BLADES[:2]]
        for verb, outcome in ((Verb.ON, ON), (Verb.OFF, OFF)):
            answers = await self.client.submit([self.client.request(name, verb) for name in names])
            self.assertEqual([outcome] * 3, await gatherResults(map(self.client.outcome, answers)))
        self.check_order(BLADES[:2], 2)

    async def test_killed(self) -> None:
        """
        After a kill, a blade that waited for its chassis comes on, and a chassis that goes off goes last.
        """
        await self.start()
        answers = await self.client.submit([self.client.request(name, Verb.ON) for name in BLADES[:2]])
        outcomes = [self.client.outcome(answer) for answer in answers]
        while not self.told(BOX, "on"):
            await self.pause(0.02)
        await self.kill()
        self.spawn()
        self.assertEqual([ON, ON], await gatherResults(outcomes))
        (box,) = self.told(BOX, "on")
        for name in BLADES[:2]:
            (blade,) = self.told(name, "on")
            self.assertGreaterEqual(blade, box + TAKES + SETTLES)

        (answer,) = await self.client.submit([self.client.request(BOX, Verb.OFF, with_children=True)])
        outcome = self.client.outcome(answer)
        while not self.told(BLADES[0], "off"):
            await self.pause(0.02)
        await self.kill()
        self.assertEqual([], self.told(BOX, "off"))
        self.spawn()
        self.assertEqual(OFF, await outcome)
        off = self.told(BOX, "off")[0]
        self.assertGreater(off, max(self.told(name, "off")[0] for name in BLADES[:2]))
        await self.kill()

    async def test_probe(self) -> None:
        """
        Blades wait until something answers at the address of their chassis.
        """
        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        self.configure(probe=f', tcp = "127.0.0.1:{number}"')
        await self.start()
        outcome = self.client.on(BLADES[0])
        await self.pause(TAKES + SETTLES + 0.6)
        self.assertEqual([], self.told(BLADES[0], "on"))
        port = reactor.listenTCP(number, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        self.assertEqual(ON, await outcome)
        await self.kill()

    async def test_reload(self) -> None:
        """
        A reload that closes a circle is refused, naming it; one that requires less holds at once.
        """
        twistd = await self.start()
        self.configure(more='requires = "n003"')
        self.send(HUP)
        while "cannot require itself: n001 requires n003 requires n001" not in twistd.text:
            await self.pause(0.05)
        text = (self.folder / "pc.toml").read_text()
        text = text.replace('requires = "n001"', "").replace('requires = "n003"', "")
        (self.folder / "pc.toml").write_text(text)
        await self.pause(0.5)  # sooner it would be the same signal, heard twice
        self.send(HUP)
        while "changed (requires): n[002-005]" not in twistd.text:
            await self.pause(0.05)

        self.assertEqual(ON, await self.client.on(BLADES[0]))
        self.assertEqual([], self.told(BOX, "on"))
        await self.kill()
