# SPDX-License-Identifier: MIT
"""
Real fence agents: `fence_dummy`, `fence_virsh`, and agents of our own that write down how they were called.
"""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.children import Children
from powercoord.drivers.fence import FenceAgentDriver, FenceAgentSettings, driver
from powercoord.drivers.fence.agents import USUAL_FOLDER, Agents, ask_now, installed
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
)
from powercoord.model import Command, PowerState, Target
from powercoord.sim.faults import Faults
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.profile import Profile, User
from powercoord.strict import Moment, Scalars
from powercoord.testing.ipmi_sim import IpmiSimFleet, available
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME
from tests.functional.web_server import scripted
from tests.ipmi_world import FakeOperation

reactor: Any = global_reactor
SECRET, TOKEN = "xyzzy-plugh-17", "open-sesame-99"

# Describes itself, and for all else writes down what anybody and what only it can see.
AGENT = """\
    #!/bin/sh
    asked=$(cat)
    case "$asked" in
    *action=metadata*)
        echo '<resource-agent name="fence_own"><parameters>'
        for name in ip username password plug token power_timeout; do
            echo "<parameter name='$name'><content type='string'/></parameter>"
        done
        echo '</parameters><actions>'
        for name in on off reboot status; do echo "<action name='$name'/>"; done
        echo '</actions></resource-agent>'
        exit 0 ;;
    esac
    tr '\\0' '\\n' < /proc/$$/cmdline > "$0.seen"
    tr '\\0' '\\n' < /proc/$$/environ >> "$0.seen"
    echo "$asked" > "$0.asked"
    ACTION
"""


class FenceCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        if "fence_dummy" not in installed(USUAL_FOLDER):
            raise SkipTest("fence_dummy is not installed: it comes with the Debian package fence-agents")
        self.driver: FenceAgentDriver = driver(reactor)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.driver.close()))

    def target(self, agent: str, options: dict[str, Any] | None = None, **more: Any) -> Target:
        mine = FenceAgentSettings(agent=agent, options=Scalars(MappingProxyType(options or {})), **more)
        return self.driver.target(mine)

    def own(self, action: str, **more: Any) -> Target:
        """
        An agent of ours that does this.
        """
        path = self.folder / "fence_own"
        path.write_text(dedent(AGENT).replace("ACTION", action))
        path.chmod(0o755)
        return self.target("own", folder=str(self.folder), **more)

    async def read(self, target: Target) -> PowerState:
        return await self.driver.read(target, self.operation())

    async def command(self, target: Target, command: Command) -> None:
        await self.driver.command(target, command, self.operation())

    def operation(self) -> FakeOperation:
        return FakeOperation(reactor.seconds() + 20)

    async def error(self, target: Target, command: Command | None = None) -> PowerError:
        try:
            await (self.read(target) if command is None else self.command(target, command))
        except PowerError as error:
            return error
        raise AssertionError("it did not fail")


class DummyTests(FenceCase):
    async def test_all(self) -> None:
        """
        `fence_dummy` goes on and off, and says so; which it is, is told by its options.
        """
        status = self.folder / "status"
        status.write_text("off")
        target = self.target("dummy", {"status_file": str(status)})
        for command, state in ((Command.ON, PowerState.ON), (Command.OFF, PowerState.OFF)):
            await self.command(target, command)
            self.assertEqual(state.value, status.read_text())
            self.assertIs(state, await self.read(target))
        other = self.target("dummy", {"status_file": "/elsewhere"})
        self.assertNotEqual(target.endpoint, other.endpoint)

    async def test_mistake(self) -> None:
        """
        An agent that is not there, or that does not know an option, is named with the nearest that is.
        """
        self.assertIn("'fence_dummy'", str(self.assertRaises(PowerSettingError, self.target, "dumy")))
        (self.folder / "status").write_text("off")
        await self.command(self.target("dummy", {"status_file": str(self.folder / "status")}), Command.ON)
        error = self.assertRaises(PowerSettingError, self.target, "dummy", {"status_fle": "x"})
        self.assertIn("did you mean 'status_file'?", str(error))

    def test_page(self) -> None:
        """
        An agent's page has what it takes, and the agents of the machine are known.
        """
        self.assertIn("fence_dummy", self.driver.agents())
        page = self.driver.agent_page("dummy")
        self.assertIn("status_file", page)

    def test_known(self) -> None:
        """
        An agent is asked once, and again when its file has changed.
        """
        asked: list[str] = []

        def ask(path: str, environment: Any) -> bytes:
            asked.append(path)
            return ask_now(path, environment)

        path = self.own("exit 0").settings
        agents = Agents(Children(reactor), os.environ, ask)
        where = agents.path("own", path.folder)  # type: ignore[attr-defined]
        self.assertIs(agents.now(where), agents.now(where))
        (self.folder / "fence_own").write_text("#!/bin/sh\n")
        self.assertRaises(PowerToolError, agents.now, where)
        self.assertEqual(2, len(asked))


class SecretTests(FenceCase):
    async def test_only_by_standard_input(self) -> None:
        """
        Nothing secret is in an agent's arguments or environment; it is in what it reads.
        """
        target = self.own("exit 2", password=SECRET, options={"token": TOKEN}, plug="7")
        self.assertIs(PowerState.OFF, await self.read(target))
        seen = (self.folder / "fence_own.seen").read_text()
        asked = (self.folder / "fence_own.asked").read_text().splitlines()
        self.assertIn("fence_own", seen)
        for secret in (SECRET, TOKEN):
            self.assertNotIn(secret, seen)
        self.assertLessEqual({f"password={SECRET}", f"token={TOKEN}", "plug=7", "action=status"}, set(asked))

    async def test_not_repeated(self) -> None:
        """
        An agent that repeats secrets does not have them repeated by us.
        """
        target = self.own('echo "$asked" >&2; exit 1', password=SECRET, options={"token": TOKEN})
        error = await self.error(target)
        for text in (str(error), repr(target.settings), target.endpoint):
            for secret in (SECRET, TOKEN):
                self.assertNotIn(secret, text)


class EndingTests(FenceCase):
    async def test_not_yet(self) -> None:
        """
        An agent that has switched and not seen it in its time has been accepted: to wait is not its work.
        """
        said = "Failed: Timed out waiting to power ON"
        script = f'case "$asked" in *status*) exit 2;; esac; echo "{said}" >&2; exit 1'
        await self.command(self.own(script), Command.ON)

    async def test_overdue(self) -> None:
        """
        An agent that never ends is ended by its timeout, with the truth about what may have been done.
        """
        for script, command, sent in (
            ("sleep 60; exit", None, False),
            ('case "$asked" in *status*) exit 2;; esac; sleep 60; exit', Command.ON, True),
        ):
            before = reactor.seconds()
            error = await self.error(self.own(script, timeout=Moment(1.5)), command)
            self.assertEqual((PowerConnError, sent), (type(error), error.sent))
            self.assertLess(reactor.seconds() - before, 5)  # and not the minute that it would take

    async def test_login_by_ssh(self) -> None:
        """
        `fence_virsh` says the same of a closed port and of a peer that hangs up; they are told apart.
        """
        hangs_up = scripted(lambda protocol, _: protocol.transport.loseConnection())  # type: ignore[union-attr]
        self.addCleanup(lambda: Deferred.fromCoroutine(hangs_up.close()))
        for port, kind in ((1, PowerConnError), (hangs_up.number, PowerAuthError)):
            target = self.target(
                "virsh",
                {"ipport": port, "ssh": True},
                address="127.0.0.1",
                username="u",
                password=SECRET,
                plug="n1",
            )
            error = await self.error(target)
            self.assertIsInstance(error, kind, str(error))
            self.assertFalse(error.sent)
            self.assertNotIn(SECRET, str(error))


UNUSABLE = "Failed: Unable to obtain correct plug status or plug is not available"


class MaybePasswordTests(FenceCase):
    """
    Agents that fail without saying whether it was the password.
    """

    def failing(self, text: str, **more: Any) -> Target:
        """
        An agent of ours that says this, or that all is off while there is a file "good".
        """
        return self.own(f'if [ -e {self.folder}/good ]; then exit 2; fi; echo "{text}" >&2; exit 1', **more)

    async def test_never_good(self) -> None:
        """
        A password that was never good counts as refused; where there is none, nothing could lock.
        """
        for text in (UNUSABLE, "KeyError: 'PowerState'", "Connection timed out"):
            error = await self.error(self.failing(text, password=SECRET))
            self.assertIsInstance(error, PowerAuthError, text)
            self.assertIn("may be the user name or password", str(error))
            self.assertTrue((await self.error(self.failing(text))).retryable, text)

    async def test_good_before(self) -> None:
        """
        Where the password was good the last time it is a passing failure, once, until it is good again.
        """
        target = self.failing(UNUSABLE, password=SECRET)
        good = self.folder / "good"
        for _ in range(2):
            good.touch()
            self.assertIs(PowerState.OFF, await self.read(target))
            good.unlink()
            self.assertIs(PowerActionError, type(await self.error(target)))
            self.assertIs(PowerAuthError, type(await self.error(target)))
        good.touch()
        await self.read(target)
        good.unlink()
        another = self.failing(UNUSABLE, password=TOKEN)
        self.assertIs(PowerAuthError, type(await self.error(another)), "another password was good")

    async def test_no_plug(self) -> None:
        """
        A plug that cannot be read is refused, and is no reason to leave the others alone.
        """
        error = await self.error(self.failing(UNUSABLE, password=SECRET, plug="99"))
        self.assertIs(PowerRefusedError, type(error))
        self.assertIn("plug 99", str(error))

    async def test_change(self) -> None:
        """
        A change that fails after its device was read may have been done, whatever the agent says.
        """
        script = f'case "$asked" in *status*) exit 2;; esac; echo "{UNUSABLE}" >&2; exit 1'
        error = await self.error(self.own(script, password=SECRET), Command.ON)
        self.assertEqual((PowerActionError, True), (type(error), error.sent))


class IpmilanTests(FenceCase):
    """
    The real `fence_ipmilan`, which says the same of a wrong password and of a mute BMC.
    """

    def ipmilan(self, address: str, port: int, **options: Any) -> Target:
        return self.target(
            "ipmilan",
            {"ipport": port, "lanplus": True, **options},
            address=address,
            username=USERNAME,
            password=SECRET,
            timeout=Moment(6.0),
        )

    async def test_attempts(self) -> None:
        """
        A wrong password is one attempt to log in, by IPMI 2.0 and 1.5; a mute BMC is none, and not a refusal.
        """
        user = User(USERNAME.encode(), b"another")
        fleet = SimulatedFleet(
            reactor, 3, base="127.77.64.1", port=0, each=True, profile=Profile(users=(user,))
        )
        fleet.startService()
        self.addCleanup(fleet.stopService)
        mute = fleet.bmcs[2]
        mute.set_faults(Faults(dead=True))
        for bmc, newer, kind, attempts in (
            (fleet.bmcs[0], True, PowerAuthError, 1),
            (fleet.bmcs[1], False, PowerAuthError, 1),
            (mute, True, PowerConnError, 0),
        ):
            error = await self.error(self.ipmilan(bmc.address, fleet.port, lanplus=newer), Command.ON)
            self.assertEqual((kind, attempts), (type(error), bmc.bmc.sessions.begun), str(error))
            self.assertFalse(error.sent)

    async def test_other_peer(self) -> None:
        """
        With `ipmi_sim`, too: on and off, and a wrong password counts as refused.
        """
        if not available():
            raise SkipTest("ipmi_sim is not installed: it comes with the Debian package openipmi")
        with IpmiSimFleet(count=1, base="127.77.65.1") as fleet:
            (bmc,) = fleet.bmcs
            wrong = self.ipmilan(bmc.address, bmc.port)
            self.assertIsInstance(await self.error(wrong), PowerAuthError)
            right = self.target(
                "ipmilan", {"ipport": bmc.port}, address=bmc.address, username=USERNAME, password=PASSWORD
            )
            for command, state in ((Command.ON, PowerState.ON), (Command.OFF, PowerState.OFF)):
                await self.command(right, command)
                self.assertIs(state, await self.read(right))
            self.assertEqual((1, 1), (fleet.commands(0).n_on, fleet.commands(0).n_off))
