# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.following`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import extensions as x
from powercoord.api.filter import Filter
from powercoord.api.following import Audience, Follower
from powercoord.api.limits import Limits
from powercoord.api.pages import Pusher
from powercoord.entries import Ended
from powercoord.model import Unknown, Verb
from tests.amp_world import AmpWorld


class Subscriber(amp.AMP):
    """
    Takes down what it is told; answers when the test lets it, if it is slow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, Any]] = []
        self.slow = False
        self.owed: list[Deferred[Any]] = []

    @x.ActionEvent.responder
    def event(self, subscription: int, events: list[Any]) -> Any:
        self.told += [(subscription, event) for event in events]
        if not self.slow:
            return {}
        self.owed.append(Deferred())
        return self.owed[-1]

    def kinds(self, subscription: int = 1) -> list[str]:
        return [event["event"] for number, event in self.told if number == subscription]


class FollowingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.it = AmpWorld(3, limits=Limits(queue=50))
        self.peer = Subscriber()
        self.it.join(self.peer)

    def call(self, command: Any, **arguments: Any) -> Any:
        gotten: list[Any] = []
        self.peer.callRemote(command, **arguments).addBoth(gotten.append)
        self.it.carry()
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer

    def submit(self, *items: Any, verb: str = "on", prefix: str = "p-") -> None:
        self.call(x.Submit, batch={"items": list(items), "verb": verb, "request_prefix": prefix})
        self.it.turn(2)

    def test_everything(self) -> None:
        """
        Without a filter a subscriber is told all that happens, in order.
        """
        self.assertEqual({"subscription": 1, "cursor": None}, self.call(x.Subscribe))
        self.submit("n1")

        kinds = self.peer.kinds()
        self.assertEqual("accepted", kinds[0])
        self.assertEqual(["ended", "answered"], [kind for kind in kinds if kind in ("ended", "answered")])
        self.assertIn("observed", kinds)
        phases = [event["phase"] for _, event in self.peer.told if event["event"] == "entered"]
        self.assertEqual(["admitted", "sent", "verifying"], phases)

    def test_filters(self) -> None:
        """
        A filter by node, request, prefix, action or kind lets pass what it names.
        """
        for wanted in (
            {"nodes": ["n2"]},
            {"requests": ["p-1"]},
            {"request_prefix": "p-1"},
            {"actions": ["a2"]},
            {"kinds": ["answered"]},
            {"nodes": ["n3"], "kinds": ["ended", "answered"]},
        ):
            self.call(x.Subscribe, filter=wanted)
        self.submit("n1", "n2", "n3")

        of_n2 = [event for _, event in self.peer.told if event.get("node") == "n2" or "request" in event]
        self.assertTrue(of_n2)
        for subscription in (1, 2, 3, 4):
            nodes = {
                event.get("node") or event["request"]["node"]
                for number, event in self.peer.told
                if number == subscription
            }
            self.assertEqual({"n2"}, nodes, subscription)
            self.assertIn("ended", self.peer.kinds(subscription))
            self.assertIn("answered", self.peer.kinds(subscription))
        self.assertEqual(["answered"] * 3, self.peer.kinds(5))
        self.assertEqual(["ended", "answered"], self.peer.kinds(6))

    def test_followed_into_another_action(self) -> None:
        """
        Whoever follows a request is told of the action that takes the place of the first.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(x.Subscribe, filter={"requests": ["p-0"]})
        self.submit("n1", verb="on")
        self.submit("n1", verb="cycle", prefix="q-")
        self.it.turn(40)

        ended = [event["action"] for _, event in self.peer.told if event["event"] == "ended"]
        (answered,) = [event for _, event in self.peer.told if event["event"] == "answered"]
        self.assertIn("followed", self.peer.kinds())
        self.assertEqual(["a1", "a2"], ended)
        self.assertEqual("done", answered["outcome"]["outcome"])

    def test_follow(self) -> None:
        """
        Requests can be added to a subscription before they are made, and leave it when answered.
        """
        self.call(x.Subscribe, filter={"requests": ["other"]})
        self.assertEqual({}, self.call(x.Follow, subscription=1, requests=["p-0"]))
        self.submit("n1", "n2")

        self.assertEqual(1, self.peer.kinds().count("answered"))
        self.assertIsInstance(self.call(x.Follow, subscription=9, requests=["a"]), e.BadRequest)

    def test_unsubscribe(self) -> None:
        """
        Whoever unsubscribed is told nothing more, and nobody listens to the registry any more.
        """
        self.call(x.Subscribe)
        self.assertEqual({}, self.call(x.Unsubscribe, subscription=1))
        self.submit("n1")

        self.assertEqual([], self.peer.told)
        self.assertIsInstance(self.call(x.Unsubscribe, subscription=1), e.BadRequest)

    def test_limits(self) -> None:
        """
        A connection has a few subscriptions, and a wrong filter is told what is wrong with it.
        """
        for wrong, told in (
            ([], "object"),
            ({"node": ["n1"]}, "'node'"),
            ({"nodes": "n1"}, "nodes"),
            ({"kinds": ["exploded"]}, "exploded"),
            ({"request_prefix": 5}, "request_prefix"),
        ):
            error = self.call(x.Subscribe, filter=wrong)
            self.assertIsInstance(error, e.BadRequest)
            self.assertIn(told, str(error))
        for _ in range(8):
            self.call(x.Subscribe)

        self.assertIsInstance(self.call(x.Subscribe), e.BadRequest)

    def test_slow_subscriber(self) -> None:
        """
        A subscriber that does not answer is sent nothing more; what does not fit its queue is dropped,
        and it is told so, once.
        """
        self.peer.slow = True
        self.call(x.Subscribe)
        for index in range(20):
            self.submit("n1", verb="off" if index % 2 else "on", prefix=f"{index}-")
        first = len(self.peer.told)
        self.assertLess(first, 10)

        self.peer.slow = False
        self.peer.owed[0].callback({})
        self.it.carry()
        kinds = self.peer.kinds()
        self.assertEqual((1, "lagged"), (kinds.count("lagged"), kinds[first]))

    def test_subscriber_that_goes(self) -> None:
        """
        A subscriber whose connection ends costs nothing any more.
        """
        self.call(x.Subscribe)
        self.it.cut()
        self.it.world.want(Verb.ON)
        self.it.turn(2)

        self.assertEqual([], self.peer.told)
        self.assertEqual([], self.flushLoggedErrors())

    def test_nothing_before_it_is_durable(self) -> None:
        """
        An entry is told when it is durable, and not before.
        """
        self.call(x.Subscribe)
        self.it.world.journal.hold = True
        self.peer.callRemote(x.Submit, batch={"items": ["n1"], "verb": "on"})
        self.it.turn(1)
        self.assertEqual([], self.peer.told)

        self.it.world.journal.hold = False
        self.it.world.journal.release()
        self.it.carry()
        self.assertEqual("accepted", self.peer.kinds()[0])

    def test_goodbye(self) -> None:
        """
        A coordinator that goes away first lets its subscribers have all that happened, page by page.
        """
        self.call(x.Subscribe)
        self.peer.slow = True
        self.submit("n1")
        self.it.world.want(Verb.OFF, "n2")
        self.it.clock.advance(0)
        self.it.world.want(Verb.ON, "n3")
        closing = self.it.reception.close("bye")
        while self.peer.owed:
            self.peer.owed.pop(0).callback({})
            self.it.carry()
        self.it.turn(1)

        self.successResultOf(closing)
        numbers = [event["number"] for _, event in self.peer.told]
        self.assertEqual(list(range(1, numbers[-1] + 1)), numbers)
        self.assertEqual(3, self.peer.kinds().count("accepted"))

    def test_goodbye_at_once(self) -> None:
        """
        What happened in the very moment in which a coordinator goes away is told, too.
        """
        self.call(x.Subscribe)
        self.it.world.want(Verb.ON, "n1")
        closing = self.it.reception.close("bye")
        self.it.carry()

        self.successResultOf(closing)
        self.assertEqual(["accepted"], self.peer.kinds())

    def test_goodbye_to_a_slow_one(self) -> None:
        """
        A subscriber that takes nothing does not keep a coordinator from going.
        """
        self.call(x.Subscribe)
        self.peer.slow = True
        self.submit("n1")
        self.submit("n2")
        closing = self.it.reception.close("bye")
        self.it.turn(5)

        self.successResultOf(closing)
        self.assertEqual([], self.flushLoggedErrors())


class AudienceTests(SynchronousTestCase):
    def test_order(self) -> None:
        """
        What became durable first is told first, in whichever order it was heard of.
        """
        listeners: list[Any] = []
        clock = Clock()
        told: list[bytes] = []

        class Registry:
            def subscribe(self, listener: Any) -> Any:
                listeners.append(listener)
                return lambda: listeners.remove(listener)

        def push(page: bytes) -> Deferred[Any]:
            told.append(page)
            return Deferred()

        audience = Audience(Registry(), clock)  # type: ignore[arg-type]
        audience.join(Follower(Filter.read({}), Pusher(push, 9)))
        for number in (2, 1):
            listeners[0](number, [Ended(datetime(2026, 1, 1, tzinfo=UTC), "n1", f"a{number}", Unknown(""))])
        clock.advance(0)

        self.assertEqual([1, 2], [event["number"] for page in told for event in json.loads(page)])

    def test_last_one_out(self) -> None:
        """
        When the last follower leaves, the registry is listened to no more, and no timer is left.
        """
        listeners: list[Any] = []

        class Registry:
            def subscribe(self, listener: Any) -> Any:
                listeners.append(listener)
                return lambda: listeners.remove(listener)

        clock = Clock()
        audience = Audience(Registry(), clock)  # type: ignore[arg-type]
        followers = [Follower(Filter.read({}), Pusher(lambda _: Deferred(), 9)) for _ in range(2)]
        leave = [audience.join(follower) for follower in followers]
        (listener,) = listeners
        listener(1, [Ended(datetime(2026, 1, 1, tzinfo=UTC), "n1", "a1", Unknown(""))])
        leave[0]()
        self.assertEqual([listener], listeners)
        leave[1]()
        leave[1]()

        self.assertEqual(([], []), (listeners, clock.getDelayedCalls()))


class FilterTests(SynchronousTestCase):
    def test_too_many_requests(self) -> None:
        """
        A subscription does not follow requests without end.
        """
        wanted = Filter.read({"requests": ["r"]})
        for batch in range(25):
            wanted.add([f"{batch}-{index}" for index in range(1_999)])

        self.assertRaises(e.BadRequest, wanted.add, [f"x{index}" for index in range(1_999)])
        self.assertRaises(e.BadRequest, wanted.add, [])
