# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.client`: what a region controller's author relies on.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api.extensions import Submit
from powercoord.client import (
    Accepted,
    CallTimeout,
    Client,
    ClientClosed,
    Lagged,
    NotAuthenticated,
    Patience,
    Racks,
    Reading,
    Refused,
    RemoteError,
    RosterEntry,
    Unreachable,
)
from powercoord.client.errors import error_of
from powercoord.client.outcomes import Fate
from powercoord.client.submitting import batches
from powercoord.client.watch import ENOUGH
from powercoord.entries import Accepted as AcceptedEntry
from powercoord.entries import Answered, Ended
from powercoord.forms import request_from
from powercoord.model import (
    Boot,
    BootDevice,
    CancelResult,
    Disposition,
    Done,
    How,
    Policy,
    PowerState,
    Request,
    Superseded,
    Unknown,
    Verb,
    Wait,
)
from powercoord.testing.driver import Fault
from tests.amp_world import REMOTE, AmpWorld, MemoryEndpoint, connect
from tests.registry.world import World

ON = Done(How.COMMANDED, PowerState.ON)


class ClientCase(SynchronousTestCase):
    count = 3

    def setUp(self) -> None:
        self.it = AmpWorld(self.count)
        self.client = self.it.client()

    def result(self, deferred: Deferred[Any], turn: float = 0) -> Any:
        self.it.carry()
        self.it.turn(turn)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred[Any], kind: type[Exception], turn: float = 0) -> Any:
        self.it.carry()
        self.it.turn(turn)
        return self.failureResultOf(deferred, kind).value


class PowerTests(ClientCase):
    def test_verbs(self) -> None:
        """
        Each verb is a method that fires with how it ended.
        """
        self.it.world.machine("n1").on = False
        self.assertEqual(ON, self.result(self.client.on("n1"), 2))
        self.assertEqual(ON, self.result(self.client.reset("n1"), 2))
        self.assertEqual(ON, self.result(self.client.cycle("n1"), 20))
        self.assertEqual(How.GRACEFUL, self.result(self.client.soft_off("n1"), 20).how)
        self.assertEqual(ON, self.result(self.client.on("n1"), 2))
        self.assertIs(PowerState.OFF, self.result(self.client.off("n1"), 2).state)
        self.assertIsInstance(self.result(self.client.boot("n1", Boot(BootDevice.PXE)), 2), Done)

        self.assertEqual(
            ["on", "reset", "off", "on", "soft", "on", "off", "boot pxe"], self.it.world.commands("n1")
        )

    def test_refused(self) -> None:
        """
        A refusal is raised as the error that it is.
        """
        self.assertIn("n9", str(self.failure(self.client.on("n9"), e.NoSuchNode)))
        self.failure(self.client.on("n1", deadline=-1.0), e.BadRequest)

    def test_submit(self) -> None:
        """
        Many requests have one answer each, in order.
        """
        requests = [self.client.request(node, Verb.ON) for node in ("n1", "n9", "n2")]
        first, second, third = self.result(self.client.submit(requests))

        self.assertEqual(
            Accepted(
                node="n1", request_id=requests[0].request_id, action="a1", disposition=Disposition.STARTED
            ),
            first,
        )
        self.assertIsInstance(second, Refused)
        self.assertIsInstance(second.error, e.NoSuchNode)
        outcomes = [self.client.outcome(first), self.client.outcome(third), self.client.outcome(third)]
        self.assertEqual([ON, ON, ON], self.result(gatherResults(outcomes), 2))

    def test_outcome_afterwards(self) -> None:
        """
        An outcome can be asked for when it is all over.
        """
        (accepted,) = self.result(self.client.submit([self.client.request("n1", Verb.ON)]))
        self.it.turn(2)

        self.assertEqual(ON, self.successResultOf(self.client.outcome(accepted)))

    def test_own_ids(self) -> None:
        """
        A caller may bring its own request ids, and hears of them all the same.
        """
        request = self.client.request("n1", Verb.ON, request_id="deploy-42")
        (accepted,) = self.result(self.client.submit([request]))
        outcome = self.client.outcome(accepted)
        self.assertEqual("deploy-42", accepted.request_id)
        self.assertEqual(ON, self.result(outcome, 2))

        (again,) = self.result(self.client.submit([request]))
        self.assertEqual((Disposition.JOINED, ON), (again.disposition, again.outcome))
        self.assertEqual(ON, self.successResultOf(self.client.outcome(again)))

    def test_superseded(self) -> None:
        """
        Whoever is superseded hears by whom.
        """
        self.it.world.machine("n1").latency = 5.0
        on = self.client.on("n1")
        self.it.turn(1)
        off = self.client.off("n1")
        self.it.turn(40)

        self.assertIsInstance(self.successResultOf(on), Superseded)
        self.assertIsInstance(self.successResultOf(off), Done)

    def test_giving_up(self) -> None:
        """
        Cancelling a Deferred gives up waiting, and the machine is turned on all the same.
        """
        on = self.client.on("n1")
        self.it.carry()
        on.cancel()
        self.failureResultOf(on, CancelledError)
        self.it.turn(2)

        self.assertTrue(self.it.world.machine("n1").on)

    def test_told_together(self) -> None:
        """
        Who hears an outcome may cancel others who wait for the same, and the rest hear of it all the same.
        """
        (accepted,) = self.result(self.client.submit([self.client.request("n1", Verb.ON)]))
        first, second, third = [self.client.outcome(accepted) for _ in range(3)]
        first.addCallback(lambda outcome: (second.cancel(), outcome)[1])
        self.it.turn(2)

        self.failureResultOf(second, CancelledError)
        self.assertEqual([ON, ON], [self.successResultOf(each) for each in (first, third)])

    def test_nobody_forgotten(self) -> None:
        """
        A callback runs though nobody keeps the Deferred, and an answer that nobody keeps is forgotten.
        """
        heard: list[Any] = []
        requests = [self.client.request(node, Verb.ON) for node in ("n1", "n2")]
        (accepted,) = self.result(self.client.submit(requests[:1]))
        self.client.outcome(accepted).addCallback(heard.append)
        self.result(self.client.submit(requests[1:]))
        del accepted
        self.assertEqual(["n1"], self.remembered(requests))
        self.it.turn(2)

        self.assertEqual([ON], heard)
        self.assertEqual([], self.remembered(requests))

    def remembered(self, requests: Sequence[Request]) -> list[str]:
        """
        The nodes of those requests whose fate is still in memory.

        Only of these very ones: equal ones that other tests left behind go when they go, coroutines not at
        the first collection.
        """
        gc.collect()
        fates = [thing for thing in gc.get_objects() if type(thing) is Fate]
        return [fate.request.node for fate in fates if any(fate.request is each for each in requests)]

    def test_cancel(self) -> None:
        """
        An action is cancelled by its id.
        """
        self.it.world.machine("n1").latency = 5.0
        (accepted,) = self.result(self.client.submit([self.client.request("n1", Verb.ON)]))
        self.it.turn(1)
        result = self.client.cancel(accepted.action)

        self.assertIs(CancelResult.TOO_LATE, self.result(result, 10))
        self.failure(self.client.cancel("a99"), e.NoSuchAction)

    def test_drain(self) -> None:
        """
        A coordinator can be drained, asked about it, and resumed.
        """
        self.result(self.client.drain("new firmware"))
        self.assertIn("new firmware", self.result(self.client.info()).draining)
        self.failure(self.client.on("n1"), e.Draining)
        self.result(self.client.resume())
        self.assertIsNone(self.result(self.client.info()).draining)


class LookTests(ClientCase):
    count = 600

    def test_query(self) -> None:
        """
        Any number of nodes is read, and each reading is told as it comes.
        """
        self.it.world.machine("n7").read_faults = [Fault.LOST_REQUEST] * 9
        told: list[Reading] = []
        names = [*self.it.world.names(), "nowhere", "n1"]
        query = self.client.query(names, each=told.append)
        self.it.carry()
        self.it.turn(1, 0.05)
        self.assertEqual(600, len(told))
        self.assertNoResult(query)

        readings = self.result(query, 20)
        self.assertEqual(names, [reading.node for reading in readings])
        self.assertEqual(
            {PowerState.OFF: 600, PowerState.UNKNOWN: 1, PowerState.ERROR: 1},
            {
                state: sum(reading.state is state for reading in readings)
                for state in PowerState
                if any(r.state is state for r in readings)
            },
        )
        self.assertIn("nowhere", readings[600].text)

    def test_lists(self) -> None:
        """
        Status and roster have every node, however many pages that takes.
        """
        names = self.it.world.names()

        self.assertEqual(names, [status.name for status in self.result(self.client.status())])
        self.assertEqual(names, [status.name for status in self.result(self.client.status(names))])
        nodes = self.result(self.client.nodes())
        self.assertEqual(RosterEntry(name="n1", driver="fake"), nodes[0])
        self.assertEqual(names, [node.name for node in nodes])
        self.failure(self.client.status(["n1", "n9999"]), e.NoSuchNode)

    def test_actions(self) -> None:
        """
        What is going on is listed with who asked for it.
        """
        self.it.world.machine("n1").latency = 5.0
        self.client.on("n1").addErrback(lambda _: None)
        self.it.turn(0.5)
        (status,) = self.result(self.client.list_actions())

        self.assertEqual(("n1", Verb.ON), (status.name, status.in_play.verb))
        self.assertEqual("tester", status.in_play.waiters[0].requester)

    def test_drivers(self) -> None:
        """
        The drivers are described.
        """
        self.assertEqual(["fake"], [driver["name"] for driver in self.result(self.client.drivers())])


class WatchTests(ClientCase):
    def read(self, watch: Any) -> list[Any]:
        """
        All events that are there now.
        """
        events: list[Any] = []
        while True:
            waiting = Deferred.fromCoroutine(watch.__anext__())
            self.it.carry()
            if not waiting.called:
                waiting.addErrback(lambda _: None)
                waiting.cancel()
                return events
            events.append(self.successResultOf(waiting))

    def test_everything(self) -> None:
        """
        A watch tells what happens, as entries.
        """
        watch = self.result(self.client.watch())
        self.result(self.client.on("n1"), 2)
        events = self.read(watch)

        self.assertIsInstance(events[0], AcceptedEntry)
        self.assertEqual("tester", events[0].request.requester)
        self.assertIn(Ended, map(type, events))

    def test_mine(self) -> None:
        """
        A client can watch its own requests only, with ids of any form.
        """
        watch = self.result(self.client.watch(mine=True))
        other = self.it.client(new_id=iter(f"other{number}" for number in range(9)).__next__)
        other.on("n2")
        self.client.on("n1")
        self.client.on("n3", request_id="deploy-1")
        self.it.turn(2)
        answered = [event.node for event in self.read(watch) if isinstance(event, Answered)]

        self.assertEqual(["n1", "n3"], sorted(answered))

    def test_stop(self) -> None:
        """
        A watch that is stopped ends for its reader, and nothing is sent for it any more.
        """
        watch = self.result(self.client.watch())
        seen: list[Any] = []

        async def read() -> None:
            seen.extend([event async for event in watch])

        reading = Deferred.fromCoroutine(read())
        self.assertNoResult(reading)
        watch.stop()
        self.successResultOf(reading)
        self.result(self.client.on("n1"), 2)
        self.assertEqual([], seen)
        watch.stop()

    def test_lost_connection(self) -> None:
        """
        A watch goes on after a lost connection, and says that something was missed.
        """
        watch = self.result(self.client.watch(nodes=["n1"]))
        self.it.cut()
        self.it.turn(2)
        self.result(self.client.on("n1"), 2)
        events = self.read(watch)

        self.assertIsInstance(events[0], Lagged)
        self.assertIsInstance(events[1], AcceptedEntry)

    def test_slow_reader(self) -> None:
        """
        A watch that nobody reads holds a bounded number of events, and then lets the coordinator wait.
        """
        watch = self.result(self.client.watch())
        form = {"event": "ended", "at": "2026-01-01T00:00:00+00:00", "node": "n1", "action": "a1"}
        page = [form | {"outcome": {"outcome": "unknown", "text": ""}}] * (ENOUGH + 1)
        more = watch.tell(page)
        self.assertNoResult(more)
        for _ in range(ENOUGH // 2 + 2):
            self.successResultOf(Deferred.fromCoroutine(watch.__anext__()))

        self.assertIsNone(self.successResultOf(more))

    def test_too_many(self) -> None:
        """
        A watch more than a connection has room for is refused, and all else goes on.
        """
        watches = [self.result(self.client.watch()) for _ in range(7)]
        self.failure(self.client.watch(), e.BadRequest)
        watches[0].stop()
        self.it.carry()
        self.result(self.client.watch())
        self.result(self.client.submit([self.client.request("n1", Verb.ON)]))

        self.assertNotEqual([], self.read(watches[1]))


class ConnectionTests(ClientCase):
    def test_connect(self) -> None:
        """
        Connecting succeeds once, or fails with where and why.
        """
        client = Client(self.it.clock, MemoryEndpoint(self.it, REMOTE), name="tcp:rack1:4000")
        self.it.refusing = True
        error = self.failure(client.connect(), Unreachable)
        self.assertIn("tcp:rack1:4000: Connection was refused", str(error))
        self.it.turn(60)

        self.it.refusing = False
        self.result(client.connect())

    def test_endpoint(self) -> None:
        """
        A wrong endpoint string is told with an example of a right one.
        """
        error = self.assertRaises(ValueError, Client.from_string, self.it.clock, "rack1")

        self.assertIn("unix:/run", str(error))

    def test_lost_while_waiting(self) -> None:
        """
        Outcomes that fell while the connection was down are heard after it.
        """
        self.it.world.machine("n1").latency = 1.0
        on = self.client.on("n1")
        self.it.turn(0.5)
        self.it.refusing = True
        self.it.cut()
        self.it.turn(5)
        self.assertNoResult(on)
        self.it.refusing = False

        self.assertEqual(ON, self.result(on, 35))
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_outcome_asked_for_after_a_loss(self) -> None:
        """
        Whoever asks for an outcome only after the connection was lost hears it too.
        """
        (accepted,) = self.result(self.client.submit([self.client.request("n1", Verb.ON)]))
        self.it.refusing = True
        self.it.cut()
        self.it.turn(5)
        self.it.refusing = False
        self.it.turn(10)

        self.assertEqual(ON, self.result(self.client.outcome(accepted)))

    def test_own_ids_over_a_lost_connection(self) -> None:
        """
        Requests with ids of the caller's own are followed on the next connection too.
        """
        self.it.world.machine("n1").latency = 3.0
        on = self.client.on("n1", request_id="deploy-1")
        self.it.turn(0.5)
        self.it.cut()
        self.it.turn(1)
        self.assertNoResult(on)

        self.assertEqual(ON, self.result(on, 5))

    def test_lost_before_the_answer(self) -> None:
        """
        A request whose answer was lost is sent again with its id, and done once.
        """
        on = self.client.on("n1")
        while not self.it.world.journal.entries:
            for pipe in list(self.it.pipes):
                pipe.carry()
        self.it.cut()
        self.it.turn(5)

        self.assertEqual(ON, self.successResultOf(on))
        self.assertEqual(["on"], self.it.world.commands("n1"))

    def test_forgetful_coordinator(self) -> None:
        """
        When the successor of a coordinator refuses what the first had accepted, the outcome is unknown.
        """
        self.it.world.machine("n1").latency = 5.0
        on = self.client.on("n1")
        self.it.turn(1)
        successor = World(3).registry
        successor.drain("empty memory", "somebody")
        self.it.restart(successor)
        self.it.cut()
        self.it.turn(3)
        outcome = self.successResultOf(on)

        self.assertIsInstance(outcome, Unknown)
        self.assertIn("empty memory", outcome.text)

    def test_another_coordinator(self) -> None:
        """
        A coordinator that never heard of a request does an on again, and only says so of a cycle.
        """
        self.it.world.machine("n1").latency = self.it.world.machine("n2").latency = 5.0
        on, cycle = self.client.on("n1"), self.client.cycle("n2")
        self.it.turn(1)
        other = World(3)
        self.it.restart(other.registry)
        self.it.cut()
        for _ in range(100):
            self.it.turn(0.1)
            other.clock.advance(0.1)

        outcome = self.successResultOf(cycle)
        self.assertIsInstance(outcome, Unknown)
        self.assertIn("never came here", outcome.text)
        self.assertEqual((["on"], []), (other.commands("n1"), other.commands("n2")))
        self.assertEqual(ON, self.successResultOf(on))

    def test_asking_again_and_again(self) -> None:
        """
        When nobody can be asked about an outcome for long, it is asked for when somebody can.
        """
        self.it.world.machine("n1").latency = 1.0
        on = self.client.on("n1")
        self.it.turn(0.5)
        self.it.cut()
        self.it.turn(0.2)
        self.it.world.journal.hold = True
        self.it.turn(1)
        self.it.refusing = True
        self.it.cut()
        self.it.turn(60, 0.5)
        self.it.world.journal.hold = False
        self.it.world.journal.release()
        self.it.refusing = False
        self.assertNoResult(on)

        self.assertEqual(ON, self.result(on, 15))

    def test_query_over_a_lost_connection(self) -> None:
        """
        What was not read when the connection was lost is read on the next one.
        """
        self.it.world.machine("n1").read_faults = [Fault.LOST_REQUEST]
        told: list[str] = []
        query = self.client.query(["n1", "n2"], each=lambda reading: told.append(reading.node))
        self.it.turn(0.5)
        self.it.cut()
        readings = self.result(query, 20)

        self.assertEqual(["n1", "n2"], [reading.node for reading in readings])
        self.assertEqual(["n2", "n1"], told)

    def test_too_long(self) -> None:
        """
        An argument that does not fit into a box is a bad request, before anything is sent.
        """
        self.failure(self.client.cancel("x" * 70_000), e.BadRequest)

    def test_another_line(self) -> None:
        """
        A coordinator that dials in again while its old connection seems to be there is heard on the new one.
        """
        racks: list[Client] = []
        factory = Racks(self.it.clock, racks.append, requester="region")
        for _ in range(2):
            link = factory.buildProtocol(None)
            theirs = self.it.reception.link(secret=None, dialled=True)
            self.it.pipes += connect(link, theirs)
            self.it.carry()
        (client,) = racks

        self.assertEqual("rack1", client.name)
        self.assertEqual([theirs], [pipe.protocol for pipe in self.it.pipes[2:] if pipe.protocol is not link])
        self.assertEqual("rack1", self.result(client.info()).ident)

    def test_calls_wait_for_a_connection(self) -> None:
        """
        A call made while there is no connection waits for one, and not for ever.
        """
        self.it.refusing = True
        self.it.cut()
        info, late = self.client.info(), self.client.on("n1")
        self.it.turn(10)
        self.it.refusing = False
        self.it.turn(9)
        self.assertEqual("rack1", self.successResultOf(info).ident)
        self.assertEqual(ON, self.result(late, 2))

        self.it.refusing = True
        self.it.cut()
        error = self.failure(self.client.info(), CallTimeout, 31)
        self.assertIn("30 s", str(error))
        self.assertIn("refused", str(error))

    def test_silent_coordinator(self) -> None:
        """
        A coordinator that does not answer costs no more than the client's patience.
        """
        self.it.world.journal.hold = True
        error = self.failure(self.client.on("n1"), CallTimeout, 31)

        self.assertIn("Submit", str(error))

    def test_back_off(self) -> None:
        """
        Attempts to connect come less and less often.
        """
        self.it.refusing = True
        self.it.cut()
        self.it.attempts.clear()
        self.it.turn(120)
        pauses = [round(after - before) for before, after in pairwise(self.it.attempts)]

        self.assertEqual(sorted(pauses), pauses)
        self.assertEqual(10, pauses[-1])
        self.assertLess(len(pauses), 18)

    def test_close(self) -> None:
        """
        What still waits when a client is closed hears so, and no timer is left.
        """
        self.it.world.machine("n1").latency = 5.0
        on, watch = self.client.on("n1"), self.result(self.client.watch(nodes=["n2"]))
        self.it.turn(1)
        reading = Deferred.fromCoroutine(watch.__anext__())
        closing = self.client.close()
        self.it.carry()

        self.successResultOf(closing)
        self.failureResultOf(on, ClientClosed)
        self.failureResultOf(reading, StopAsyncIteration)
        self.failureResultOf(self.client.info(), ClientClosed)
        self.successResultOf(self.client.close())

    def test_close_together(self) -> None:
        """
        Who hears that a client is closed may cancel its other calls, and the rest hear of it all the same.
        """
        self.it.refusing = True
        client = self.it.client()
        first, second, third = [client.info() for _ in range(3)]
        first.addErrback(lambda failure: (second.cancel(), failure)[1])
        client.close()

        self.failureResultOf(second, CancelledError)
        for call in (first, third):
            self.failureResultOf(call, ClientClosed)

    def test_going_away(self) -> None:
        """
        When a coordinator goes away, calls wait for its successor.
        """
        self.it.world.machine("n1").read_faults = [Fault.LOST_REQUEST]
        owed = self.client.query(["n1"])
        self.it.turn(0.5)
        self.it.reception.close("restart")
        crossing = self.client.nodes()
        self.it.carry()
        late = self.client.info()
        self.it.carry()
        self.assertNoResult(crossing)
        self.assertNoResult(late)

        self.assertEqual(3, len(self.result(crossing, 15)))
        self.assertEqual(1, len(self.successResultOf(owed)))
        self.assertEqual("rack1", self.successResultOf(late).ident)

    def test_secret(self) -> None:
        """
        Client and coordinator prove to each other that they know the secret, or part.
        """
        self.it = AmpWorld(secret=b"secret")
        knowing = self.it.client(secret=b"secret", address=REMOTE)
        self.assertEqual("rack1", self.result(knowing.info()).ident)

        wrong = Client(self.it.clock, MemoryEndpoint(self.it, REMOTE), secret=b"guess", jitter=lambda: 1.0)
        self.failure(wrong.connect(), NotAuthenticated, 1)
        ignorant = self.it.client(address=REMOTE, patience=Patience(call=5))
        self.failure(ignorant.nodes(), NotAuthenticated, 1)

    def test_coordinator_without_the_secret(self) -> None:
        """
        A client that was given a secret trusts no coordinator without it.
        """
        client = Client(self.it.clock, MemoryEndpoint(self.it, REMOTE), secret=b"secret")
        error = self.failure(client.connect(), NotAuthenticated, 1)

        self.assertIn("no secret is configured", str(error))


class SubmittingTests(SynchronousTestCase):
    def test_batches(self) -> None:
        """
        Requests are packed into batches that fit, which read back as what they were.
        """
        requests = [
            Request(
                node="n" * 100 + str(index),
                verb=Verb.ON if index % 3 else Verb.CYCLE,
                request_id=f"{index:0120}",
                policy=Policy.QUEUE,
                wait=Wait.NONE,
                requester="fred",
            )
            for index in range(1_234)
        ]
        read: list[Request] = []
        for batch, sent in batches(requests):
            self.assertLess(len(batch), 60_000)
            form = Submit.arguments[0][1].fromString(batch)
            items = form.pop("items")
            self.assertEqual(len(sent), len(items))
            read += [request_from(form | item) for item in items]

        self.assertEqual(requests, read)

    def test_common(self) -> None:
        """
        What all requests have in common is said once.
        """
        ((batch, _),) = batches([Request(node=f"n{i}", verb=Verb.ON, request_id=f"r{i}") for i in range(500)])

        self.assertEqual(1, batch.count(b'"verb"'))

    def test_errors(self) -> None:
        """
        A code on the wire becomes the error it stands for, and an unknown one keeps its code.
        """
        for code in ("Draining", "NoSuchNode", "PowerSettingError", "JournalUnavailable"):
            self.assertEqual(code, type(error_of(code, "x")).__name__)
        self.assertIsInstance(error_of("BAD_REQUEST", "x"), e.BadRequest)
        for code in ("INTERNAL", "annotations", "ClassVar", "NEWER"):
            error = error_of(code, "text")
            self.assertIsInstance(error, RemoteError)
            self.assertEqual((code, "text"), (error.code, str(error)))
