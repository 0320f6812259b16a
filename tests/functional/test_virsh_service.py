# SPDX-License-Identifier: MIT
"""
The whole service over real guests: those that obey their power button, are slow, or never go off.

Each kind is there twice: spoken to in libvirt's own protocol, and through the virsh program. What became of
them is asked of libvirt's own tool, of their processes and of themselves.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from powercoord.client import Client
from powercoord.model import Done, How, Outcome, PowerState
from tests.functional.libvirt_guest import NEVER_OFF, OBEYING, Kind, slow
from tests.functional.libvirt_peer import MISSING, Guest, LibvirtHost, until
from tests.functional.test_service import Twistd
from tests.sources import ROOT

reactor: Any = global_reactor

GRACEFUL, FORCED = Done(How.GRACEFUL, PowerState.OFF), Done(How.FORCED, PowerState.OFF)
STARTED, WAS_ON = Done(How.COMMANDED, PowerState.ON), Done(How.ALREADY, PowerState.ON)

#: Seconds that an operating system is given.
PATIENCE = 2.5

KINDS: dict[str, Kind] = {
    "obeys": OBEYING,
    "slow": slow(600),
    "never": NEVER_OFF,
    "paused": NEVER_OFF,
    "deaf": NEVER_OFF,
    "hurried": slow(600),
}

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[drivers.virsh]
instance = "session"
socket = "{socket}"
timeout = "10s"

[timing]
poll = "100ms"
settle = "1s"
minimum_off = "500ms"

"""

NODE = """\
[nodes.{name}]
driver = "virsh"
domain = "{name}"
through_virsh = {through}
"""


class VirshServiceTests(TestCase):
    """
    A libvirtd, twelve guests, and a coordinator in a process of its own.
    """

    timeout = 180
    skip = MISSING

    def setUp(self) -> Deferred[None]:
        self.host = LibvirtHost()
        self.addCleanup(self.host.close)
        self.host.start()
        # Not trial's own folder: the path of a UNIX socket has room for 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)
        text = CONFIGURATION.format(folder=self.folder, socket=self.host.socket)
        self.guests: dict[str, Guest] = {}
        for kind, manners in KINDS.items():
            names = self.both(kind)
            self.guests |= dict(zip(names, self.host.define_many(names, manners), strict=True))
            for name in names:
                text += NODE.format(name=name, through=str(name.endswith("virsh")).lower())
        (self.folder / "pc.toml").write_text(text)
        return Deferred.fromCoroutine(self.start())

    async def start(self) -> None:
        twistd = Twistd()
        program = [sys.executable, "-m", "twisted", "powercoord", "--config", str(self.folder / "pc.toml")]
        child = reactor.spawnProcess(twistd, program[0], program, env=None, path=str(ROOT))
        self.addCleanup(self.end, child, twistd)
        self.client = Client.from_string(reactor, f"unix:{self.folder}/amp.sock", requester="test")
        self.client.start()
        self.addCleanup(self.client.close)
        await self.client.info()

    async def end(self, child: Any, twistd: Twistd) -> None:
        if not twistd.ended.called:
            child.signalProcess("TERM")
        await twistd.ended
        self.assertNotIn(b"Traceback", twistd.output)

    async def ask(self, outcomes: dict[str, Deferred[Outcome]]) -> dict[str, Outcome]:
        """
        All at the same time.
        """
        return dict(zip(outcomes, await gatherResults(outcomes.values()), strict=True))

    def both(self, kind: str) -> list[str]:
        return [f"{kind}-native", f"{kind}-virsh"]

    async def test_one_evening(self) -> None:
        """
        On, on again, and each guest goes off as its manners are: by itself, or forced, in time or at once.
        """
        on = await self.ask({name: self.client.on(name) for name in self.guests})
        for guest in self.guests.values():
            await deferToThread(guest.wait_started)
        again = await self.ask({name: self.client.on(name) for name in self.guests})
        self.assertEqual(
            (dict.fromkeys(self.guests, STARTED), dict.fromkeys(self.guests, WAS_ON)), (on, again)
        )
        self.assertEqual({1}, {guest.starts() for guest in self.guests.values()})

        for name in [*self.both("paused"), *self.both("deaf")]:
            self.guests[name].pause()
        states = {reading.state for reading in await self.client.query(list(self.guests))}
        self.assertEqual({PowerState.ON}, states)

        begun = reactor.seconds()
        asked = {
            name: self.client.soft_off(name, deadline=PATIENCE)
            for kind in ("obeys", "slow", "never")
            for name in self.both(kind)
        }
        asked |= {name: self.client.off(name) for name in self.both("paused")}
        # Nothing hears in a paused guest, so there is nothing to wait for.
        asked |= {name: self.client.soft_off(name, deadline=600) for name in self.both("deaf")}
        hurried = {name: self.client.soft_off(name, deadline=600) for name in self.both("hurried")}
        for name in hurried:
            await deferToThread(until, lambda name=name: self.guests[name].presses(), "it hears")
        hardened = await self.ask({name: self.client.off(name) for name in hurried})
        followed = await self.ask(hurried)
        soon = reactor.seconds() - begun
        ended = await self.ask(asked)

        graceful = dict.fromkeys(self.both("obeys"), GRACEFUL)
        forced = {name: FORCED for kind in ("slow", "never", "paused", "deaf") for name in self.both(kind)}
        self.assertEqual(graceful | forced, ended)
        self.assertEqual([FORCED] * 4, [*hardened.values(), *followed.values()])
        self.assertGreater(reactor.seconds() - begun, PATIENCE)
        self.assertLess(soon, 120)
        self.assert_off()

    def assert_off(self) -> None:
        """
        By libvirt, by the processes and by the guests' own record.
        """
        for name, guest in self.guests.items():
            own = name.startswith("obeys")
            self.assertEqual(f"shut off ({'shutdown' if own else 'destroyed'})", guest.reason(), name)
            self.assertEqual((False, 1), (guest.runs(), guest.starts()), name)
            self.assertEqual(0 if name.startswith(("paused", "deaf")) else 1, guest.presses(), name)
