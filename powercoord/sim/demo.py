# SPDX-License-Identifier: MIT
"""
``powercoord demo``: a real coordinator, simulated BMCs, real sockets, one process.

What it claims it reads off the simulated machines themselves, not off the
coordinator's answers.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater

from powercoord.cli.asking import Asked, ask
from powercoord.cli.calling import run
from powercoord.cli.naming import wanted
from powercoord.cli.results import describe
from powercoord.cli.screen import Screen
from powercoord.cli.session import World
from powercoord.client import Accepted, Client
from powercoord.config import load
from powercoord.installed import find_drivers
from powercoord.journal import sqlite_journal
from powercoord.lifecycle.serving import Coordinator
from powercoord.model import Done, Outcome, Superseded, Verb
from powercoord.service import build
from powercoord.service_assembly import Around
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.machine import Latency, Machine

CLICKS = 1_000
MOST = 254

CONFIGURATION = """\
[server]
amp = ["unix:{folder}/amp.sock:mode=600"]

[drivers.ipmi]
username = "admin"
password = {{ file = "ipmi.password" }}

[timing]
minimum_off = "1s"
settle = "2s"

[nodes."n[001-{count:03d}]"]
driver = "ipmi"
address = "127.50.0.[1-{count}]:{port}"
groups = ["rack1"]

[groups.rack1]
max_starting = {limit}
"""


@frozen
class Claim:
    """
    Something the demo shows: what was expected, and what was seen.
    """

    what: str
    expected: str
    seen: str
    kept: bool


@define(eq=False)
class Demo:
    """
    The acts, over a running coordinator.
    """

    options: Namespace
    fleet: SimulatedFleet
    client: Client
    clock: Any
    screen: Screen
    claims: list[Claim] = field(factory=list, init=False)

    async def play(self) -> int:
        """
        All acts, then the table; returns the exit code.
        """
        await self._power_on()
        await self._off_overtakes()
        await self._clicks()
        self.screen.line("")
        self.screen.table(
            ("WHAT", "EXPECTED", "SEEN", ""),
            [(claim.what, claim.expected, claim.seen, "ok" if claim.kept else "NO") for claim in self.claims],
            ["green" if claim.kept else "red" for claim in self.claims],
        )
        return 0 if all(claim.kept for claim in self.claims) else 1

    def _claim(self, what: str, expected: str, seen: object, kept: bool) -> None:
        self.claims.append(Claim(what, expected, str(seen), kept))

    async def _power_on(self) -> None:
        count, limit = self.options.nodes, self.options.limit
        self._title(f"Power on {count} machines; no more than {limit} may be starting at once (max_starting)")
        nodes = wanted("@rack1")
        await ask(Asked(verb=Verb.ON, nodes=nodes), World(self.client, self.clock, self.screen))
        on = sum(self.fleet.power(index) for index in range(count))
        most = most_at_once([starting(bmc.machine) for bmc in self.fleet.bmcs])
        self._claim("machines that are on", str(count), on, on == count)
        self._claim("starting at once, by the BMCs' own record", f"at most {limit}", most, 0 < most <= limit)

    async def _off_overtakes(self) -> None:
        self._title("An off one second into a slow on: the on is cancelled, the off goes through")
        machine = self.fleet.bmcs[0].machine
        await self.client.off("n001")
        machine.latency = Latency(on=5.0)
        turning_on = self.client.on("n001")
        await self._pause(1.0)
        turned_off: Outcome = await self.client.off("n001")
        overtaken: Outcome = await turning_on
        self.screen.line(f"  on:  {describe(overtaken)}")
        self.screen.line(f"  off: {describe(turned_off)}")
        await self._pause(5.0)
        machine.latency = Latency(on=self.options.latency)
        on = machine.power()
        self._claim("who asked for on hears", "superseded", *_ended(overtaken, Superseded))
        self._claim("who asked for off hears", "done", *_ended(turned_off, Done))
        self._claim("the machine, five seconds later", "off", "on" if on else "off", not on)

    async def _clicks(self) -> None:
        self._title(f"{CLICKS} identical clicks on one machine")
        machine = self.fleet.bmcs[0].machine
        before = len(machine.commands)
        requests = [self.client.request("n001", Verb.ON) for _ in range(CLICKS)]
        answers = [answer for answer in await self.client.submit(requests) if isinstance(answer, Accepted)]
        outcomes = set(await gatherResults([self.client.outcome(answer) for answer in answers]))
        commands = len(machine.commands) - before
        said = ", ".join(describe(outcome) for outcome in outcomes)
        self.screen.line(f"  {len(answers)} answers: {said}; {commands} chassis command")
        self._claim("answers to the clicks", f"{CLICKS}, all equal", len(answers), len(outcomes) == 1)
        self._claim("chassis commands they cost", "1", commands, commands == 1)

    def _title(self, text: str) -> None:
        self.screen.line("")
        self.screen.line(text, "bold")

    def _pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds)


def _ended(outcome: Outcome, wanted: type) -> tuple[str, bool]:
    """
    How it ended in a word, and whether that was wanted.
    """
    return type(outcome).__name__.lower(), isinstance(outcome, wanted)


def starting(machine: Machine) -> tuple[float, float]:
    """
    From the first power on command to the moment it was on.
    """
    machine.power()
    commanded = next(command.at for command in machine.commands if command.verb == "on")
    return commanded, next(change.at for change in machine.changes if change.on)


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """
    How many spans overlap where most do.
    """
    edges = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    most = current = 0
    for _, step in edges:
        current += step
        most = max(most, current)
    return most


def arguments(words: Sequence[str]) -> Namespace:
    """
    Read the command line.
    """
    parser = ArgumentParser(prog="powercoord demo", description="See a coordinator at work, without a BMC.")
    parser.add_argument("--nodes", type=int, default=100, metavar="N", help="simulated BMCs (default 100)")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="max_starting (default 20)")
    parser.add_argument(
        "--latency", type=float, default=1.0, metavar="S", help="from power on to on (default 1)"
    )
    options = parser.parse_args(words)
    if not (0 < options.nodes <= MOST and options.limit > 0 and options.latency >= 0):
        parser.error(f"--nodes is from 1 to {MOST}, --limit above 0, --latency not below 0")
    return options


def main(words: Sequence[str]) -> int:
    """
    Run the demo; 0 if everything it claims was seen.
    """
    from twisted.internet import reactor

    options = arguments(words)
    with tempfile.TemporaryDirectory(prefix="powercoord-demo-") as folder:
        return run(lambda: _demo(options, Path(folder), reactor), reactor)


async def _demo(options: Namespace, folder: Path, reactor: Any) -> int:
    fleet = SimulatedFleet(reactor, options.nodes, port=0, latency=Latency(on=options.latency))
    fleet.startService()
    ended: Deferred[int] = Deferred()
    screen = Screen()
    coordinator = _coordinator(options, fleet, folder, reactor, Around(ended.callback, screen.line))
    client = Client.from_string(reactor, f"unix:{folder}/amp.sock", requester="demo")
    screen.line(f"{options.nodes} simulated BMCs at {fleet.bmcs[0].address} and on, UDP port {fleet.port}")
    screen.line(f"a coordinator at {folder}/amp.sock, configured by {folder}/powercoord.toml")
    try:
        coordinator.startService()
        either: list[Deferred[Any]] = [coordinator.ready, ended]
        await DeferredList(either, fireOnOneCallback=True)
        if ended.called:
            return 1
        await client.connect()
        return await Demo(options, fleet, client, reactor, screen).play()
    finally:
        await client.close()
        await coordinator.stopService()
        await fleet.stopService()


def _coordinator(
    options: Namespace, fleet: SimulatedFleet, folder: Path, reactor: Any, around: Around
) -> Coordinator:
    """
    What twistd would make of the same file.
    """
    password = folder / "ipmi.password"
    password.touch(mode=0o600)
    password.write_text("secret\n")
    file = folder / "powercoord.toml"
    file.write_text(
        CONFIGURATION.format(folder=folder, count=options.nodes, port=fleet.port, limit=options.limit)
    )
    installed = find_drivers(reactor)
    configuration = load(str(file), installed.drivers, installed.broken)
    journal = sqlite_journal(reactor, folder)
    return build(reactor, configuration, installed, journal, around, journal.history)
