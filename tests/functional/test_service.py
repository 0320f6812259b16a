# SPDX-License-Identifier: MIT
"""
The whole service against a hundred BMCs that we did not write: ``twistd``, AMP, the command line.

What happened is read from the simulator's own files, not from IPMI.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from powercoord.client import Accepted, Client
from powercoord.model import Done, Failed, How, Outcome, PowerState, Superseded, Verb
from powercoord.testing.chassis_script import Behaviour
from powercoord.testing.ipmi_sim import IpmiSimFleet
from powercoord.testing.ipmi_sim_config import PASSWORD, USERNAME

COUNT = 100
PREFIX = "127.77.40"
NAMES = [f"n{number:03d}" for number in range(1, COUNT + 1)]
SETTLE = 2.0
DEAD_TIMEOUT = 3.0

CONFIGURATION = """\
[server]
state_dir = "{folder}"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = 0

[drivers.ipmi]
username = "{username}"
password = {{ file = "password" }}

[timing]
settle = "{settle}s"
minimum_off = "1s"
retries = 0

[nodes."n[001-{count}]"]
driver = "ipmi"
address = "{prefix}.[1-{count}]:{port}"
groups = ["rack1"]

[nodes.dead]
driver = "ipmi"
address = "{prefix}.250:{port}"
timeout = {dead}
"""


class Twistd(ProcessProtocol):
    """
    A coordinator in a process of its own.
    """

    def __init__(self) -> None:
        self.output = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


class ServiceCase(TestCase):
    """
    A fleet, a coordinator and a client of it for each test.
    """

    timeout = 120

    def setUp(self) -> Deferred[None]:
        self.prepare()
        return Deferred.fromCoroutine(self.start_coordinator())

    def prepare(self) -> None:
        """
        Start the fleet, and write the configuration for it.
        """
        self.fleet = IpmiSimFleet(count=COUNT, base=f"{PREFIX}.1")
        self.fleet.start()
        self.addCleanup(self.fleet.stop)
        # Not trial's own folder: the path of a UNIX socket has room for 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="powercoord-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.folder / "pc.toml"
        self.config.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                username=USERNAME,
                count=COUNT,
                prefix=PREFIX,
                port=self.fleet.port,
                settle=SETTLE,
                dead=DEAD_TIMEOUT,
            )
        )
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        (self.folder / "password").chmod(0o600)

    async def start_coordinator(self) -> None:
        twistd = Twistd()
        program = [sys.executable, "-m", "twisted", "powercoord", "--config", str(self.config)]
        child = reactor.spawnProcess(twistd, program[0], program, env=None, path=str(self.folder))
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
        self.assertNotIn(PASSWORD.encode(), twistd.output)

    async def ask(self, verb: Verb, names: Sequence[str] = NAMES, **options: Any) -> list[Outcome]:
        """
        Ask for many nodes and wait for all of them.
        """
        return await gatherResults(await self.asked(verb, names, **options))

    async def asked(
        self, verb: Verb, names: Sequence[str] = NAMES, **options: Any
    ) -> list[Deferred[Outcome]]:
        requests = [self.client.request(name, verb, **options) for name in names]
        answers = await self.client.submit(requests)
        self.assertEqual([], [answer for answer in answers if not isinstance(answer, Accepted)])
        return [self.client.outcome(answer) for answer in answers]

    async def shell(self, *words: str) -> tuple[int, str]:
        """
        Run the command line to its end.
        """
        program = [
            "-c",
            "from powercoord.cli import main; main()",
            "--connect",
            f"unix:{self.folder}/amp.sock",
        ]
        out, errors, code = await getProcessOutputAndValue(sys.executable, [*program, *words], env=None)
        return code, (out + errors).decode()

    def truth(self) -> list[bool]:
        """
        Which machines are on, by the simulator's files.
        """
        return [self.fleet.power(index) for index in range(COUNT)]

    def turns(self, index: int) -> tuple[str, ...]:
        """
        What a machine's power was set to, in order.

        A hundred shells on one thread make the simulator answer late, and on
        or off may be sent again then: to be told the same twice is nothing.
        """
        values = [command.value for command in self.fleet.commands(index).changes if command.what == "power"]
        return tuple(value for value, _ in groupby(values))

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)


class EveryVerbTests(ServiceCase):
    """
    All hundred, through both doors.
    """

    async def test_over_amp(self) -> None:
        """
        Each verb brings all machines where it says, and each answer says what the files say.
        """
        self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, set(await self.ask(Verb.ON)))
        self.assertEqual([True] * COUNT, self.truth())
        self.assertEqual({PowerState.ON}, {reading.state for reading in await self.client.query(NAMES)})

        self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, set(await self.ask(Verb.CYCLE)))
        self.assertEqual([True] * COUNT, self.truth())
        self.assertEqual({("1", "0", "1")}, {self.turns(index) for index in range(COUNT)})

        self.assertEqual({Done(How.GRACEFUL, PowerState.OFF)}, set(await self.ask(Verb.SOFT_OFF)))
        self.assertEqual([False] * COUNT, self.truth())
        self.assertEqual({1}, {self.fleet.commands(index).n_shutdown for index in range(COUNT)})

        await self.ask(Verb.ON, NAMES[:50])
        self.assertEqual({How.FORCED, How.ALREADY}, {outcome.how for outcome in await self.ask(Verb.OFF)})
        self.assertEqual([False] * COUNT, self.truth())
        self.assertEqual({PowerState.OFF}, {reading.state for reading in await self.client.query(NAMES)})

    async def test_from_a_shell(self) -> None:
        """
        The same from a command line, with exit code 0.
        """
        for words, on in (
            (["on", "@rack1"], True),
            (["cycle", "n[001-100]"], True),
            (["off", "--soft", "n[001-100]"], False),
            (["on", "n[001-050]"], None),
            (["off", "@rack1"], False),
        ):
            code, output = await self.shell(*words)
            self.assertEqual(0, code, output)
            if on is not None:
                self.assertEqual([on] * COUNT, self.truth(), words)
        await self.shell("on", "n[001-010]")
        code, output = await self.shell("query", "--json", "@rack1")
        states = [node["state"] == "on" for node in json.loads(output.splitlines()[0])["nodes"]]
        self.assertEqual((0, self.truth()), (code, states))


class CollidingTests(ServiceCase):
    """
    Requests that meet.
    """

    async def test_an_off_during_a_slow_on(self) -> None:
        """
        The on's waiters hear Superseded; the node is off, and off after the settle time.
        """
        self.fleet.behave(0, Behaviour(on_after=4))
        on = self.client.on("n001")
        await self.pause(1)
        off = await self.client.off("n001")

        self.assertIsInstance(await on, Superseded)
        self.assertEqual(Done(How.FORCED, PowerState.OFF), off)
        self.assertFalse(self.fleet.power(0))
        await self.pause(SETTLE + 2)
        self.assertFalse(self.fleet.power(0))

    async def test_alternating(self) -> None:
        """
        A thousand alternating requests cost at most two actions after the one in play.
        """
        self.fleet.behave(0, Behaviour(on_after=2))
        requests = [self.client.request("n001", verb) for _ in range(500) for verb in (Verb.ON, Verb.OFF)]
        answers = await self.client.submit(requests)
        outcomes = await gatherResults([self.client.outcome(answer) for answer in answers])

        commands = self.fleet.commands(0)
        self.assertLessEqual(commands.n_on + commands.n_off, 3)
        self.assertIsInstance(outcomes[-1], Done)
        self.assertFalse(self.fleet.power(0))

    async def test_identical(self) -> None:
        """
        A thousand identical requests are one chassis command and a thousand equal answers.
        """
        outcomes = await self.ask(Verb.ON, ["n001"] * 1000)

        self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, set(outcomes))
        self.assertEqual(1000, len(outcomes))
        self.assertEqual(1, self.fleet.commands(0).n_on)


class FailingTests(ServiceCase):
    """
    One bad BMC among a hundred.
    """

    async def test_refused(self) -> None:
        """
        A refused command fails its node, with the code in words, after one attempt, and no other node.
        """
        self.fleet.behave(0, Behaviour(refuse=frozenset({"set-power"})))
        outcomes = await self.ask(Verb.ON)

        self.assertIsInstance(outcomes[0], Failed)
        self.assertEqual("PowerRefusedError", outcomes[0].code)
        self.assertIn("0xff", outcomes[0].text)
        self.assertEqual(1, self.fleet.commands(0).n_on)
        self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, set(outcomes[1:]))

    async def test_dead(self) -> None:
        """
        A BMC that is silent fails alone; all others have ended long before it.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((f"{PREFIX}.250", self.fleet.port))
            dead, *living = await self.asked(Verb.ON, ["dead", *NAMES])
            self.assertEqual({Done(How.COMMANDED, PowerState.ON)}, set(await gatherResults(living)))
            self.assertFalse(dead.called)
            outcome = await dead

        self.assertEqual("PowerConnError", outcome.code)
        self.assertTrue(outcome.retryable)

    async def test_refused_port(self) -> None:
        """
        Where nothing listens at the address, that is told at once, and why.
        """
        (outcome,) = await self.ask(Verb.ON, ["dead"])

        self.assertEqual("PowerConnError", outcome.code)
        self.assertIn("refused", outcome.text)
