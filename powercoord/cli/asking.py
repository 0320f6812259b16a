# SPDX-License-Identifier: MIT
"""
Ask for power on many nodes, and follow it until every one has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from powercoord.cli.exits import INTERRUPTED
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.progress import Meter, meter
from powercoord.cli.results import Result, document, exit_code, rows
from powercoord.cli.screen import Screen, count_of
from powercoord.cli.session import World
from powercoord.cli.together import together
from powercoord.client import Accepted, Answer, Refused, Watch
from powercoord.entries import Entered
from powercoord.errors import PowercoordError
from powercoord.folding import fold
from powercoord.model import Boot, Outcome, Policy, Verb

BATCH = 500
_TICK = 0.2

_STYLES = {0: "green", 1: "red", 4: "yellow"}

log = Logger()


@frozen(kw_only=True)
class Asked:
    """
    What the command line asks for.
    """

    verb: Verb
    nodes: Wanted
    wait: bool = True
    boot: Boot | None = None
    escalate: bool = True
    policy: Policy = Policy.SUPERSEDE
    deadline: float | None = None
    sequence: int | None = None
    with_children: bool = False

    def options(self) -> Mapping[str, Any]:
        """
        What the client's requests are made with.
        """
        return {
            "boot": self.boot,
            "escalate": self.escalate,
            "policy": self.policy,
            "deadline": self.deadline,
            "sequence": self.sequence,
            "with_children": self.with_children,
        }


async def ask(asked: Asked, world: World) -> int:
    """
    Ask, wait as wanted, tell how it ended; returns the exit code.
    """
    names = await resolve(world.client, asked.nodes)
    asking = _Asking(asked, world, names, meter(world.screen, asked.verb.value, len(names)))
    try:
        await asking.run()
    except CancelledError:
        asking.tell(interrupted=True)
        return INTERRUPTED
    except PowercoordError:
        # Whoever reads why it broke off must not lose what had come of it before.
        if asking.results:
            asking.tell(interrupted=True)
        raise
    asking.tell(interrupted=False)
    return exit_code(asking.results.values())


@define
class _Asking:
    """
    One command line's requests, from the first batch to the last outcome.
    """

    _asked: Asked
    _world: World
    _names: Sequence[str]
    _meter: Meter
    results: dict[str, Result] = field(factory=dict, init=False)
    _outcomes: list[Deferred[None]] = field(factory=list, init=False)
    _watch: Watch | None = field(default=None, init=False)

    async def run(self) -> None:
        """
        Submit everything; with ``wait``, until all have ended.
        """
        ticking = LoopingCall(self._meter.refresh)
        ticking.clock = self._world.clock
        ticking.start(_TICK).addErrback(lambda failure: log.failure("The progress display failed.", failure))
        try:
            await self._follow()
            for start in range(0, len(self._names), BATCH):
                await self._submit(self._names[start : start + BATCH])
            await together(self._outcomes)
        finally:
            if self._watch is not None:
                self._watch.stop()
            ticking.stop()
            self._meter.close()

    async def _submit(self, names: Sequence[str]) -> None:
        client, options = self._world.client, self._asked.options()
        answers = await client.submit([client.request(name, self._asked.verb, **options) for name in names])
        for answer in answers:
            self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        if isinstance(answer, Refused):
            self._ended(Result(answer.node, refused=answer.error))
        elif answer.outcome is not None or not self._asked.wait:
            self._ended(Result(answer.node, answer, outcome=answer.outcome))
        else:
            self.results[answer.node] = Result(answer.node, answer)
            self._outcomes.append(Deferred.fromCoroutine(self._wait(answer)))

    async def _wait(self, accepted: Accepted) -> None:
        outcome: Outcome = await self._world.client.outcome(accepted)
        self._ended(Result(accepted.node, accepted, outcome=outcome))

    def _ended(self, result: Result) -> None:
        self.results[result.node] = result
        self._meter.ended(result.node, good=result.exit_code == 0)

    async def _follow(self) -> None:
        """
        Follow the phases, where there is a person who looks at them.
        """
        screen = self._world.screen
        if self._asked.wait and screen.err.is_terminal and not screen.json:
            self._watch = await self._world.client.watch(mine=True)
            Deferred.fromCoroutine(self._show_phases(self._watch)).addErrback(
                lambda failure: log.failure("The progress display failed.", failure)
            )

    async def _show_phases(self, watch: Watch) -> None:
        async for event in watch:
            if isinstance(event, Entered) and self._going_on(event.node):
                self._meter.entered(event.node, event.phase)

    def _going_on(self, node: str) -> bool:
        result = self.results.get(node)
        return result is None or (result.outcome is None and result.refused is None)

    def tell(self, *, interrupted: bool) -> None:
        """
        Write what became of each node, and after Ctrl-C what goes on.
        """
        screen = self._world.screen
        known = [self.results[name] for name in self._names if name in self.results]
        going_on = [result.node for result in known if self._going_on(result.node)]
        if screen.json:
            more = {"interrupted": True, "going_on": going_on} if interrupted else {}
            screen.document(document(self._asked.verb.value, known) | more)
        else:
            told = [result for result in known if result.outcome or result.refused or not interrupted]
            if told:
                summary(screen, told)
        if interrupted:
            _tell_interrupted(screen, going_on, len(self._names) - len(known))


def summary(screen: Screen, results: Sequence[Result]) -> None:
    """
    A row for each thing there is to say, with its nodes.
    """
    found = rows(results)
    screen.table(
        ("RESULT", "COUNT", "NODES", "REASON"),
        [(row.word, str(len(row.nodes)), row.folded, row.reason) for row in found],
        [_STYLES[row.exit_code] for row in found],
    )


def _tell_interrupted(screen: Screen, going_on: Sequence[str], unknown: int) -> None:
    if going_on:
        nodes = fold(going_on)
        screen.note(
            f"Stopped waiting. What was accepted goes on for {count_of(len(going_on), 'node')}: {nodes}",
            "bold",
        )
        screen.note(f"To stop that too: powercoord cancel '{nodes}'")
    else:
        screen.note("Stopped. Nothing that was accepted is going on.", "bold")
    if unknown:
        screen.note(
            f"No answer came for {count_of(unknown, 'node')}; 'powercoord queue' shows what was accepted."
        )
