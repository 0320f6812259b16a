# SPDX-License-Identifier: MIT
"""
No password anywhere but in its file: not on a command line, in a log, an error, the journal or an answer.

A coordinator has nodes of every driver, each with a password of its own: right ones, wrong ones, and some for
BMCs where nobody answers.  All is done with them that can be done, rightly and wrongly.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.protocols import amp
from twisted.trial.unittest import TestCase

from powercoord.api.commands import DescribePowerTypes, PowerOff, PowerOn, PowerQuery
from tests.functional.canaries import Canaries, Words
from tests.functional.canary_fleet import CONTEXTS, NODES, CanaryFleet
from tests.functional.signalled_twistd import SignalledCase

CLI = "from powercoord.cli import main; main()"

HEAD = """\
[server]
state_dir = "{folder}/state"
amp = ["unix:{folder}/amp.sock"]
graceful_shutdown_timeout = "1s"
secret = {{ file = "server.secret" }}

[timing]
action = "10m"
settle = "0s"
minimum_off = "0s"
poll = "100ms"
retries = 1
retry_pause = "100ms"
"""

# One after the other, for all nodes; those in one row at the same time.
VERBS = (
    (["query", "--json"], ["nodes"]),
    (["on", "--deadline", "4s"],),
    (["off", "--soft", "--deadline", "1s"], ["status"]),
    (["cycle", "--deadline", "4s"],),
    (["reset", "--deadline", "2s", "--json"], ["boot", "pxe"]),
    (["off", "--deadline", "4s"],),
    (["status", "--json"], ["history", "--json"]),
)

# What somebody may write by mistake where a password belongs; in one file, and each in one of its own.
MISTAKES = (
    'pasword = "{0}"',
    'password = ["{0}"]',
    'password = {{ text = "{0}" }}',
    'password = {{ file = ["{0}"] }}',
    'password = "{0}\\n{0}{0}{0}"',
    'password = "{0}[1-3]{0}{0}{0}"',
)
URIS = "".join(f'power_{what}_uri = "http://127.0.0.1/"\n' for what in ("on", "off", "query"))

# For each driver, what else it needs, and mistakes with its own settings.
OWN_MISTAKES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ipmi": ('address = "127.0.0.1"\n', ('k_g = ["{0}"]', 'k_g = "{0}{0}{0}"', 'password = "{0}{0}{0}"')),
    "ipmitool": ('address = "127.0.0.1"\n', ('k_g = 7\nkg = "{0}"', 'k_g = "0x{0}"')),
    "amt": ('address = "127.0.0.1"\n', ('pin = "{0}"\npasswd = "{0}"',)),
    "redfish": ('address = "127.0.0.1"\nusername = "u"\n', ('token = "{0}"',)),
    "virsh": ('domain = "d"\n', ('password = "{0}"', 'identity_file = ["{0}"]')),
    "fence-agent": (
        'agent = "redfish"\naddress = "127.0.0.1"\nusername = "u"\n',
        (
            'options = "{0}"',
            'options = {{ ipport = ["{0}"] }}',
            'options = {{ passwd = "{0}" }}',
            'options = {{ tokn = "{0}" }}',
            'options = {{ password = {{ text = "{0}" }} }}',
        ),
    ),
    "webhook": (URIS, ('token = ["{0}"]', 'token = "{0}"\npassword = "{0}"', 'token = "{0}\\n{0}"')),
    "manual": ('place = "rack 1"\n', ('password = "{0}"',)),
}
NOT_TOML = ('password = "{0}"\npassword = "{0}"', 'password = "{0}')


class NoSecretTests(SignalledCase):
    """
    One coordinator with all that can be in it.
    """

    timeout = 180

    def setUp(self) -> None:
        super().setUp()
        self.canaries = Canaries()
        self.fleet = CanaryFleet(self.canaries, self.folder, self.addCleanup)
        self.heard: list[bytes] = []

    async def powercoord(self, *words: str, config: Path | None = None) -> int:
        """
        Run the command, and keep what it says.
        """
        where = str(config or self.folder / "pc.toml")
        output, errors, code = await getProcessOutputAndValue(
            sys.executable, ["-c", CLI, "--config", where, *words], env=os.environ
        )
        self.heard += [output, errors]
        return code

    async def every_verb(self) -> None:
        nodes = ",".join(re.findall(r"^\[nodes\.([a-z-]+)\]", "".join(NODES.values()), re.MULTILINE))
        for row in VERBS:
            await gatherResults([Deferred.fromCoroutine(self.powercoord(*words, nodes)) for words in row])

    async def as_a_region(self) -> None:
        """
        Describe a node of every driver with passwords of its own, and do things to it.
        """
        wire = await connectProtocol(UNIXClientEndpoint(reactor, str(self.folder / "amp.sock")), amp.AMP())
        answer = await wire.callRemote(DescribePowerTypes)
        self.heard.append(repr(answer).encode())
        kinds = (self.described(wire, *each) for each in CONTEXTS.items())
        await gatherResults(list(map(Deferred.fromCoroutine, kinds)))
        wire.transport.loseConnection()

    async def described(self, wire: amp.AMP, kind: str, context: Mapping[str, str]) -> None:
        """
        A node of one driver as a region describes it.
        """
        for turn, command in enumerate((PowerQuery, PowerOn, PowerOff)):
            words: dict[str, Any] = {
                key: self.canaries.new(f"{kind} {key} {turn}") if value == "*" else value
                for key, value in context.items()
            }
            node = {"system_id": f"{kind}-{turn}", "hostname": "h", "power_type": kind, "context": words}
            await self.call(wire, command, node)
            # The same, with something in it that makes no sense.
            await self.call(wire, command, {**node, "context": {**words, "power_address": ["x"]}})
            await self.call(wire, command, {**node, "power_type": f"no-{kind}"})

    async def call(self, wire: amp.AMP, command: type[amp.Command], arguments: dict[str, Any]) -> None:
        try:
            answer = repr(await wire.callRemote(command, **arguments))
        except Exception as error:  # noqa: BLE001 - whatever comes back must not hold a password
            answer = f"{error!r} {error}"
        self.heard.append(answer.encode())

    async def mistaken(self) -> None:
        """
        Look at configurations in which a password stands where none is understood.
        """
        lines: list[str] = []
        for kind, (needed, own) in OWN_MISTAKES.items():
            for mistake in (*MISTAKES, *own):
                secret = self.canaries.new(f"{kind}: {mistake}")
                head = f'[nodes.x{len(lines)}]\ndriver = "{kind}"\n{needed}'
                lines.append(f"{head}{mistake.format(secret)}\n")
        broken = [f"[nodes.x]\n{text.format(self.canaries.new(text))}\n" for text in NOT_TOML]
        for turn, text in enumerate(("".join(lines), *broken)):
            config = self.folder / f"mistake{turn}.toml"
            config.write_text(text)
            code = await self.powercoord("check-config", str(config))
            self.assertEqual(2, code, self.heard[-2:])

    async def test_nowhere(self) -> None:
        """
        None of some dozen passwords is found, in plain or coded, in anything that leaves the coordinator.
        """
        (self.folder / "pc.toml").write_text(self.fleet.configured(HEAD))
        self.assertEqual(0, await self.powercoord("check-config"), self.heard)
        twistd = await self.start()
        words = Words(os.getpid())
        words.start()
        self.addCleanup(words.stop)
        work = self.every_verb(), self.as_a_region(), self.mistaken()
        await gatherResults(map(Deferred.fromCoroutine, work))
        for more in (["drivers"], ["drivers", "--json"], ["status"], ["queue"]):
            await self.powercoord(*more)
        for kind in NODES:
            self.assertEqual(0, await self.powercoord("drivers", kind))
        self.send(signal.SIGTERM)
        await self.ended(twistd)
        words.stop()

        self.assertEqual([], self.canaries.found_in(b"\n".join(self.heard)))
        self.assertEqual([], self.canaries.found_in(twistd.output + twistd.errors))
        self.assertEqual([], self.canaries.found_in(b"\n".join(words.seen)))
        self.assertEqual({}, self.canaries.found_below(self.folder / "state"))
        self.assertTrue(any(b"pc.toml" in line for line in words.seen), "no command line was seen")
        self.assertIn(b"ipmi-right", b"".join(self.heard))
        right, wrong = (station.record for station in self.fleet.amt.bmcs)
        self.assertLess({"2", "8", "12"}, set(right.asked_for()))
        self.assertEqual([], wrong.asked_for())
        self.assertLess(0, wrong.wrong_passwords)
        self.assertEqual((0, True), (self.fleet.machine.refused, self.fleet.other.refused > 0))
        self.assertLess(0, self.fleet.ipmi.bmcs[3].bmc.sessions.begun, "ipmitool was not run")


class CanaryTests(TestCase):
    """
    That a password would be found.
    """

    def setUp(self) -> None:
        self.canaries = Canaries()
        self.password = self.canaries.new("the one")

    def test_disguised(self) -> None:
        """
        A password is found in plain, in hexadecimal digits, quoted, and in base64 whatever stands before it.
        """
        self.assertEqual([], self.canaries.found_in(b"nothing"))
        for text in (
            self.password,
            self.password.encode().hex(),
            quote(self.password, safe=""),
            *(base64.b64encode(f"{'u' * size}:{self.password}".encode()).decode() for size in range(3)),
        ):
            self.assertEqual(["the one"], self.canaries.found_in(f"x{text}y".encode()), text)

    def test_in_a_file(self) -> None:
        """
        A password in any file of a folder is found, with the file's name.
        """
        folder = Path(self.mktemp())
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "journal").write_bytes(b"\0" + self.password.encode())

        self.assertEqual({"in/journal": ["the one"]}, self.canaries.found_below(folder))

    async def test_on_a_command_line(self) -> None:
        """
        A password among the words of a grandchild that lives for a tenth of a second is found.
        """
        words = Words(os.getpid())
        words.start()
        await getProcessOutputAndValue("/bin/sh", ["-c", f"/bin/sh -c 'sleep 0.1; : {self.password}'; :"])
        words.stop()

        self.assertEqual(["the one"], self.canaries.found_in(b"\n".join(words.seen)))
