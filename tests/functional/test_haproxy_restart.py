# SPDX-License-Identifier: MIT
"""
Rolling restarts behind a real HAProxy, seen by who connects, by who waits, and by the machines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import TestCase

from powercoord.client import CallTimeout, Client, Unreachable
from powercoord.errors import Draining
from powercoord.model import Done, Interrupted, Outcome, Phase, PowerState, Request, Verb
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.machine import Latency
from tests.functional.haproxy_peer import MISSING, PING, HAProxy, Server, State
from tests.functional.haproxy_rack import SECRET, Callers, Rack, asked_of, overlaps, spans, turns

COUNT = 200
BASE = "127.78.1"
# Any answer to a ping is a sign of life; what it means for new connections the agent says.
ALIVE = PING.format(expected=b"_answer".hex())


class RestartCase(TestCase):
    skip = MISSING
    timeout = 180

    async def start(self, count: int = COUNT, latency: float = 4.0, **options: Any) -> None:
        """
        A fleet, two coordinators, the second a backup of the first, HAProxy, and a client through it.
        """
        self.fleet = SimulatedFleet(
            reactor, count, base=f"{BASE}.1", port=0, latency=Latency(on=latency, off=latency)
        )
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        self.names = [f"n{number:03d}" for number in range(1, count + 1)]
        self.racks = [
            Rack(reactor=reactor, base=BASE, fleet=self.fleet.port, count=count, **options) for _ in range(2)
        ]
        for rack in self.racks:
            rack.start()
            self.addCleanup(rack.clear)
        servers = [
            Server(f"s{index}", rack.port, rack.agent, "backup" if index > 1 else "")
            for index, rack in enumerate(self.racks, 1)
        ]
        # Patient, because two coordinators, a fleet and whoever else tests share the processors.
        self.haproxy = HAProxy(reactor, servers, check=ALIVE, patience=5)
        await self.haproxy.start()
        self.addCleanup(self.haproxy.stop)
        for name, rack in zip(("s1", "s2"), self.racks, strict=True):
            await self.until_serving(name, rack)
        self.client = self.make_client(f"tcp:127.0.0.1:{self.haproxy.front}")

    def make_client(self, where: str) -> Client:
        client = Client.from_string(reactor, where, requester="region", secret=SECRET)
        client.start()
        self.addCleanup(client.close)
        return client

    async def until(self, name: str, condition: Callable[[State], bool], seconds: float = 60.0) -> State:
        """
        Wait until HAProxy thinks so of a server.
        """
        end = reactor.seconds() + seconds
        while not condition(state := await self.haproxy.state(name)):
            self.assertLess(reactor.seconds(), end, f"{name}: {state}")
            await deferLater(reactor, 0.1)
        return state

    async def until_serving(self, name: str, rack: Rack) -> None:
        """
        Wait until HAProxy would send somebody to a coordinator.
        """

        def serves(it: State) -> bool:
            self.assertFalse(rack.died, rack.log())
            return it.status == "UP" and it.admin == 0 and it.agent_status == "L7OK"

        await self.until(name, serves)

    async def ask(self, request: Request) -> Outcome:
        """
        Ask until it is heard how this one request ended; under one request id, however often.
        """
        while True:
            try:
                (answer,) = await self.client.submit([request])
                if hasattr(answer, "error"):
                    raise answer.error
                outcome = await self.client.outcome(answer)
            except (Draining, CallTimeout) as error:
                self.refused[type(error).__name__] += 1
                await deferLater(reactor, 0.5)
                continue
            if not isinstance(outcome, Interrupted):
                return outcome
            self.refused["Interrupted"] += 1
            await deferLater(reactor, 0.5)

    async def chain(self, node: str, verbs: tuple[Verb, ...]) -> list[Outcome]:
        return [await self.ask(self.client.request(node, verb)) for verb in verbs]

    def ask_all(self, *verbs: Verb) -> Deferred[list[Any]]:
        """
        These verbs for each node, one after the other.
        """
        self.refused: Counter[str] = Counter()
        chains = [Deferred.fromCoroutine(self.chain(name, verbs)) for name in self.names]
        self.asked = gatherResults(chains, consumeErrors=True)
        return self.asked

    def tell(self, callers: Callers, results: Counter[str], refused: int) -> None:
        """
        Say what was counted, for who wants to see it.
        """
        failed, slowest = sum(callers.failures.values()), round(callers.slowest, 3)
        print(f"{callers.made} connections, {failed} failed, slowest {slowest} s")
        print(f"results: {dict(results)}; refused and asked again: {refused}")

    async def until_in_flight(self, rack: Rack) -> int:
        """
        Wait until a coordinator has sent a command for every node, and seen the end of none; for how many.
        """
        direct = self.make_client(rack.socket)
        sent = 0
        while sent < len(self.names):
            await deferLater(reactor, 0.1)
            if self.asked.called:
                await self.asked
                self.fail(f"all are over, and {sent} were seen in flight")
            phases = [node.in_play.phase for node in await direct.list_actions() if node.in_play is not None]
            sent = sum(phase in (Phase.SENT, Phase.VERIFYING) for phase in phases)
        await direct.close()
        return sent

    async def until_idle(self, rack: Rack) -> None:
        """
        Wait until a coordinator has nothing more to do.
        """
        direct = self.make_client(rack.socket)
        while await direct.list_actions():
            await deferLater(reactor, 0.1)
        await direct.close()


class RollingRestartTests(RestartCase):
    """
    By a signal each, as a service manager does it.
    """

    async def test_nobody_notices(self) -> None:
        """
        Both coordinators restart with 200 actions in flight, and each connection that is made every 20 ms is
        answered, the end of every request is heard, and no machine is told anything by both at once.
        """
        await self.start()
        callers = Callers(reactor, self.haproxy.front)
        callers.start()
        self.addCleanup(callers.stop)
        asked = self.ask_all(Verb.ON, Verb.OFF, Verb.ON)
        for name, rack in zip(("s1", "s2"), self.racks, strict=True):
            self.assertEqual(COUNT, await self.until_in_flight(rack))
            ended = Deferred.fromCoroutine(rack.end())
            await self.until(name, lambda it: it.status.startswith("DRAIN"), 2.0)
            life = await ended
            self.assertEqual(0, life.code, life.output.decode())
            rack.start()
            await self.until_serving(name, rack)
        outcomes = await asked
        await callers.stop()

        self.assertEqual(Counter(), callers.failures, self.haproxy.changes())
        self.assertGreater(callers.made, 500)
        endings = Counter(outcome for chain in outcomes for outcome in chain)
        self.assertEqual(3 * COUNT, sum(endings.values()))
        self.assertEqual({Done}, {type(outcome) for outcome in endings})
        self.assertEqual({("on", "off", "on")}, set(turns(self.fleet)))
        self.assertEqual([PowerState.ON] * COUNT, [chain[-1].state for chain in outcomes])
        self.assertEqual([], overlaps(*self.racks))
        self.assertEqual(set(), asked_of(self.racks[0]) & asked_of(self.racks[1]))
        self.assertNotIn("Traceback", "".join(rack.log() for rack in self.racks))
        self.tell(callers, Counter(outcome.how.value for outcome in endings.elements()), self.refused.total())

    async def test_queued(self) -> None:
        """
        What was accepted and has not begun is done by the one that accepted it, before it ends; were it put
        off until the restart, those who asked would ask the other meanwhile.
        """
        await self.start(count=40, latency=1.0, starting=8)
        asked = self.ask_all(Verb.ON)
        direct = self.make_client(self.racks[0].socket)
        while len(await direct.list_actions()) < len(self.names):
            await deferLater(reactor, 0.02)
        self.assertEqual(0, (await self.racks[0].end()).code)
        self.racks[0].start()
        outcomes = await asked
        await self.until_serving("s1", self.racks[0])

        self.assertEqual({Done}, {type(outcome) for (outcome,) in outcomes})
        self.assertEqual(self.names, sorted(spans(self.racks[0])))
        self.assertEqual([], overlaps(*self.racks))
        self.assertEqual({("on",)}, set(turns(self.fleet)))

    async def test_killed(self) -> None:
        """
        What was in flight in a coordinator that is killed is asked for again, and done, at the other; when
        the first one comes back it finds it done, and does nothing more.
        """
        await self.start()
        asked = self.ask_all(Verb.ON)
        await self.until_in_flight(self.racks[0])
        await self.racks[0].end("KILL")
        outcomes = Counter(outcome for (outcome,) in await asked)
        self.assertEqual({Done}, {type(outcome) for outcome in outcomes})
        self.assertEqual(COUNT, sum(outcomes.values()))
        self.racks[0].start()
        await self.until_serving("s1", self.racks[0])
        await self.until_idle(self.racks[0])

        self.assertEqual({("on",)}, set(turns(self.fleet)))
        self.assertEqual([True] * COUNT, [self.fleet.power(index) for index in range(COUNT)])


class HandoverTests(RestartCase):
    """
    Restarting by hand, with ``agent_hold``, when many ask for changes.
    """

    async def test_one_master(self) -> None:
        """
        As docs/haproxy.md has it: whoever asks, and through whichever connection, no node has two masters,
        and no connection fails.
        """
        await self.start(count=40, latency=0.3, hold=True)
        first, second = (self.make_client(rack.socket) for rack in self.racks)
        callers, strangers = Callers(reactor, self.haproxy.front), Strangers(self)
        callers.start()
        self.addCleanup(callers.stop)
        strangers.start()
        self.addCleanup(strangers.stop)
        await deferLater(reactor, 2.0)

        await first.drain("a new version", wait=True)
        await deferLater(reactor, 0.5)
        self.assertEqual("UP", (await self.haproxy.state("s1")).status)
        await self.hand_over("s1", self.racks[0])
        await deferLater(reactor, 2.0)

        await second.drain("a new version", wait=True)
        await first.resume()
        self.racks[0].say("ready")
        await self.until_serving("s1", self.racks[0])
        await self.hand_over("s2", self.racks[1])
        await second.resume()
        self.racks[1].say("ready")
        await self.until_serving("s2", self.racks[1])
        await deferLater(reactor, 1.0)
        await strangers.stop()
        await callers.stop()

        self.assertEqual(Counter(), callers.failures, self.haproxy.changes())
        self.assertEqual({"Done", "Superseded"}, set(strangers.endings))
        self.assertGreater(strangers.endings["Done"], 50)
        self.assertTrue(all(spans(rack) for rack in self.racks))
        self.assertEqual([], overlaps(*self.racks))
        self.tell(callers, strangers.endings, strangers.refused)

    async def hand_over(self, name: str, rack: Rack) -> None:
        """
        Send new connections to the other, and restart this one, which stays drained.
        """
        rack.say("maint")
        await self.until(name, lambda it: it.status == "MAINT", 2.0)
        life = await rack.end()
        self.assertEqual(0, life.code, rack.log())
        rack.start()
        await self.until(name, lambda it: it.agent_status == "L7OK" and it.status == "MAINT")


@define(eq=False)
class Strangers:
    """
    Now and then somebody connects, switches some node, and goes away: no two of them the same.
    """

    _case: RestartCase
    endings: Counter[str] = field(factory=Counter, init=False)
    refused: int = field(default=0, init=False)
    _random: Random = field(factory=lambda: Random(4), init=False)
    _tasks: list[Deferred[None]] = field(factory=list, init=False)
    _loop: LoopingCall = field(init=False)

    def start(self) -> None:
        """
        Begin.
        """
        self._loop = LoopingCall(self._begin)
        self._loop.start(0.05)

    def stop(self) -> Deferred[list[None]]:
        """
        Nobody comes any more; fires when all have gone.
        """
        if self._loop.running:
            self._loop.stop()
        return gatherResults(self._tasks)

    def _begin(self) -> None:
        node, verb = self._random.choice(self._case.names), self._random.choice((Verb.ON, Verb.OFF))
        self._tasks.append(Deferred.fromCoroutine(self._switch(node, verb)))

    async def _switch(self, node: str, verb: Verb) -> None:
        while True:
            where = f"tcp:127.0.0.1:{self._case.haproxy.front}"
            client = Client.from_string(reactor, where, requester="stranger", secret=SECRET)
            try:
                await client.connect()
                outcome = await (client.on(node) if verb is Verb.ON else client.off(node))
            except (Draining, Unreachable):
                self.refused += 1
                await deferLater(reactor, 0.2)
            else:
                self.endings[type(outcome).__name__] += 1
                return
            finally:
                await client.close()
