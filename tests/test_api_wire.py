# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.wire`, `powercoord.api.serving` and `powercoord.api.calls`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import capturedLogs
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord.api.arguments import Json
from powercoord.api.boxes import MAX_BOX, encode
from powercoord.api.calls import CallFailed, LinkLost
from powercoord.api.commands import PROTOCOL_ERRORS, Ping
from powercoord.api.limits import Limits
from powercoord.api.serving import Later
from powercoord.errors import Draining, NoSuchNode
from tests.amp_world import Collector, LinkWorld


class Do(amp.Command):
    """
    Do what the test says.
    """

    arguments = [(b"what", amp.Unicode()), (b"number", amp.Integer(optional=True))]
    response = [(b"said", Json())]
    errors = {NoSuchNode: b"NoSuchNode"} | PROTOCOL_ERRORS


def ask(tag: bytes, what: bytes = b"x", **more: bytes) -> bytes:
    box = {b"_ask": tag, b"_command": b"Do", b"what": what}
    return encode(box | {name.encode(): value for name, value in more.items()})


def world(do: Callable[..., Any] | None = None, **options: Any) -> LinkWorld:
    """
    A link whose responder is ``do``, called with what is to be done.
    """
    said = do or (lambda what: {"said": what})
    return LinkWorld({Do: lambda what, **_: said(what)}, **options)


class AnswerTests(SynchronousTestCase):
    def answers(self, it: LinkWorld) -> dict[bytes, Any]:
        """
        What came back by tag: the answer's value, or the error's code.
        """
        boxes = it.peer.boxes()
        return {
            box.get(b"_answer") or box[b"_error"]: box.get(b"said", box.get(b"_error_code")) for box in boxes
        }

    def assertAlive(self, it: LinkWorld) -> None:
        """
        The connection is there and answers.
        """
        it.send(ask(b"alive"))

        self.assertEqual(b'"x"', self.answers(it).get(b"alive"))
        self.assertFalse(it.peer.lost)

    def test_kinds_of_results(self) -> None:
        """
        A responder answers with a dict, a Deferred or a coroutine of one, or later.
        """

        async def coroutine() -> dict[str, Any]:
            return {"said": 3}

        results = {
            "dict": {"said": 1},
            "deferred": succeed({"said": 2}),
            "coroutine": coroutine(),
            "later": Later(succeed({"said": 4})),
            "deferred later": succeed(Later(succeed({"said": 5}))),
        }
        it = world(lambda what: results[what])
        it.send(b"".join(ask(what.encode(), what.encode()) for what in results))

        self.assertEqual([b"1", b"2", b"3", b"4", b"5"], list(self.answers(it).values()))

    def test_out_of_order(self) -> None:
        """
        A slow command keeps no other waiting.
        """
        slow: Deferred[Any] = Deferred()
        it = world(lambda what: slow if what == "slow" else {"said": what})
        it.send(ask(b"1", b"slow") + ask(b"2"))
        self.assertEqual({b"2": b'"x"'}, self.answers(it))

        slow.callback({"said": "done"})
        it.carry()
        self.assertEqual({b"2": b'"x"', b"1": b'"done"'}, self.answers(it))

    def test_errors(self) -> None:
        """
        A declared error is told with its code and text, however it was raised.
        """

        async def later() -> None:
            raise NoSuchNode("no node n9")

        def at_once(what: str) -> Any:
            if what == "later":
                return later()
            raise NoSuchNode("no node n9")

        it = world(at_once)
        it.send(ask(b"1", b"now") + ask(b"2", b"later"))

        for box in it.peer.boxes():
            self.assertEqual(
                (b"NoSuchNode", b"no node n9"), (box[b"_error_code"], box[b"_error_description"])
            )

    def test_undeclared_error(self) -> None:
        """
        An error that nobody foresaw is told as INTERNAL, with a reference under which our log has all
        of it, and ends no connection.
        """

        def broken(what: str) -> Any:
            if what == "break":
                raise ZeroDivisionError("secret detail")
            return {"said": what}

        it = world(broken)
        it.send(ask(b"1", b"break"))
        (box,) = it.peer.boxes()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

        self.assertEqual(b"INTERNAL", box[b"_error_code"])
        self.assertIn(b"ref1", box[b"_error_description"])
        self.assertNotIn(b"secret", box[b"_error_description"])
        self.assertAlive(it)

    def test_not_declared_here(self) -> None:
        """
        An error of ours that the command does not declare is an internal one too.
        """
        it = world(lambda _: succeed(None).addCallback(lambda _: 1 / 0))
        it.send(ask(b"1"))
        self.flushLoggedErrors(ZeroDivisionError)
        it.link.serving.add({Do: lambda **_: Draining("x")})
        it.send(ask(b"2"))
        self.flushLoggedErrors(Draining)

        self.assertEqual({b"1": b"INTERNAL", b"2": b"INTERNAL"}, self.answers(it))

    def test_long_answer(self) -> None:
        """
        An answer that does not fit is told as TOO_LONG, and ends no connection.
        """
        it = world(lambda what: {"said": "x" * (70_000 if what == "long" else 0) or what})
        it.send(ask(b"1", b"long"))

        self.assertEqual({b"1": b"TOO_LONG"}, self.answers(it))
        self.assertAlive(it)

    def test_impossible_answer(self) -> None:
        """
        A responder that answers nonsense is an internal error.
        """
        it = world(lambda what: {} if what == "none" else {"said": what})
        it.send(ask(b"1", b"none"))
        self.assertEqual(1, len(self.flushLoggedErrors(TypeError)))

        self.assertEqual({b"1": b"INTERNAL"}, self.answers(it))
        self.assertAlive(it)

    def test_bad_arguments(self) -> None:
        """
        Arguments that are missing or can not be read are told as BAD_REQUEST.
        """
        it = world()
        it.send(ask(b"1", number=b"many") + ask(b"2", b"\xff") + encode({b"_ask": b"3", b"_command": b"Do"}))

        self.assertEqual({b"1": b"BAD_REQUEST", b"2": b"BAD_REQUEST", b"3": b"BAD_REQUEST"}, self.answers(it))
        self.assertAlive(it)

    def test_unknown_command(self) -> None:
        """
        A command that is not there is UNHANDLED, StartTLS among them, with or without a wish for an answer.
        """
        it = world()
        for name in (b"Dance", b"StartTLS", b"\xff" * 100):
            it.send(encode({b"_ask": name[:9], b"_command": name}) + encode({b"_command": name}))

        self.assertEqual({b"UNHANDLED"}, set(self.answers(it).values()))
        self.assertEqual(3, len(it.peer.boxes()))
        self.assertAlive(it)

    def test_extra_arguments(self) -> None:
        """
        Arguments that are not known are ignored, so that a newer caller is served.
        """
        it = world()
        it.send(ask(b"1", invented=b"x"))

        self.assertEqual({b"1": b'"x"'}, self.answers(it))

    def test_no_answer_wanted(self) -> None:
        """
        A command without a tag is done, and not answered, whatever comes of it.
        """
        done: list[str] = []
        it = world(lambda what: done.append(what) or {"said": 1})
        it.send(encode({b"_command": b"Do", b"what": b"quiet"}))
        it.send(encode({b"_command": b"Do"}))

        self.assertEqual(["quiet"], done)
        self.assertEqual(b"", it.peer.data)

    def test_flawed_boxes(self) -> None:
        """
        Boxes that can be told apart and mean nothing are answered if they can be, and dropped.
        """
        it = world()
        twice = encode({b"_ask": b"1", b"_command": b"Do", b"what": b"a"})[:-2] + encode({b"what": b"b"})
        many = encode(
            {b"_ask": b"2", b"_command": b"Do", b"what": b"a"} | {b"%d" % n: b"" for n in range(99)}
        )
        with capturedLogs() as logs:
            it.send(twice + many)
            it.send(b"\0\0")
            it.send(encode({b"key": b"value"}))
            it.send(encode({b"_answer": b"99"}) + encode({b"_error": b"zz", b"_error_code": b"x"}))
            it.send(encode({b"_ask": b"x" * 33, b"_command": b"Do", b"what": b"a"}))

        self.assertEqual({b"1": b"BAD_REQUEST", b"2": b"BAD_REQUEST"}, self.answers(it))
        self.assertEqual([], [event for event in logs if "log_failure" in event])
        self.assertAlive(it)

    def test_complaints_are_few(self) -> None:
        """
        A peer that sends nonsense without end gets one line in the log a minute for each kind.
        """
        it = world()
        with capturedLogs() as logs:
            for _ in range(1_000):
                it.send(b"\0\0" + encode({b"_answer": b"5"}))
            it.turn(61)
            it.send(b"\0\0")

        self.assertEqual(3, len(logs))
        self.assertEqual(" (and 999 times more before)", logs[-1]["more"])

    def test_abandoned(self) -> None:
        """
        When a peer goes away, what waits for it is cancelled, without a word in the log.
        """
        cancelled: list[object] = []
        waiting: Deferred[Any] = Deferred(cancelled.append)
        working: Deferred[Any] = Deferred()
        it = world(lambda what: Later(waiting) if what == "wait" else working)
        it.send(ask(b"1", b"wait") + ask(b"2", b"work"))
        it.pipes[1].end()
        self.assertEqual([waiting], cancelled)

        working.callback(Later(late := Deferred(cancelled.append)))
        self.assertEqual([waiting, late], cancelled)

    def test_idle(self) -> None:
        """
        It is known when no answer is owed any more.
        """
        working: Deferred[Any] = Deferred()
        it = world(lambda _: working)
        self.successResultOf(it.link.serving.idle())
        it.send(ask(b"1"))
        idle = it.link.serving.idle()
        self.assertNoResult(idle)

        working.callback(Later(later := Deferred()))
        self.assertNoResult(idle)
        later.callback({"said": 1})
        self.successResultOf(idle)


class FlowTests(SynchronousTestCase):
    def test_in_flight(self) -> None:
        """
        With enough commands in flight nothing more is read, and reading goes on when one is answered.
        """
        working: list[Deferred[Any]] = []

        def work(_: str) -> Deferred[Any]:
            working.append(Deferred())
            return working[-1]

        it = world(work, limits=Limits(in_flight=3))
        it.send(b"".join(ask(b"%d" % index) for index in range(10)))
        self.assertEqual((3, True), (len(working), it.pipes[0].paused))

        for index in range(10):
            self.assertLessEqual(len(working), index + 3)
            working[index].callback({"said": index})
        it.carry()
        self.assertEqual(10, len(it.peer.boxes()))
        self.assertFalse(it.pipes[0].paused)

    def test_waiting_is_not_working(self) -> None:
        """
        Commands that wait for an outcome leave room for others, up to a limit of their own.
        """
        waiting: list[Deferred[Any]] = []

        def wait(what: str) -> Any:
            if what == "now":
                return {"said": "now"}
            waiting.append(Deferred())
            return Later(waiting[-1])

        it = world(wait, limits=Limits(in_flight=2, waiting=5))
        it.send(b"".join(ask(b"%d" % index) for index in range(4)) + ask(b"now", b"now"))
        self.assertEqual([b"now"], [box[b"_answer"] for box in it.peer.boxes()])

        it.send(ask(b"5") + ask(b"6"))
        self.assertEqual((5, True), (len(waiting), it.pipes[0].paused))
        waiting[0].callback({"said": 1})
        self.assertEqual((6, True), (len(waiting), it.pipes[0].paused))

    def test_peer_that_does_not_read(self) -> None:
        """
        While a peer does not read its answers nothing more is read from it; and it is dropped when that
        takes too long.
        """
        asked: list[str] = []
        it = world(lambda what: asked.append(what) or {"said": "y" * 60_000}, limits=Limits(stalled=30))
        it.pipes[1].paused = True
        it.send(b"".join(ask(b"%d" % index) for index in range(150)))
        self.assertLess(len(asked), 12)
        self.assertLess(len(it.pipes[0].buffer), 700_000)

        it.turn(40)
        self.assertTrue(it.peer.lost)

    def test_peer_that_reads_again(self) -> None:
        """
        A peer that was slow and reads again gets all its answers.
        """
        it = world(lambda _: {"said": "y" * 30_000})
        it.pipes[1].paused = True
        for index in range(20):
            it.send(ask(b"%d" % index))
        it.pipes[1].paused = False
        it.carry()

        self.assertEqual(20, len(it.peer.boxes()))
        it.turn(100)
        self.assertFalse(it.peer.lost)

    def test_unfinished_box(self) -> None:
        """
        A peer whose box does not end is dropped after a while.
        """
        it = world()
        it.send(ask(b"1") + ask(b"2")[:-5])
        it.turn(4)
        self.assertFalse(it.peer.lost)
        it.turn(3)

        self.assertTrue(it.peer.lost)

    def test_slow_boxes(self) -> None:
        """
        A peer that always has a box under way, and ends each, is served.
        """
        it = world()
        data = b"".join(ask(b"%d" % index) for index in range(20))
        for begin in range(0, len(data), 40):
            it.send(data[begin : begin + 40])
            it.turn(1)

        self.assertEqual(20, len(it.peer.boxes()))
        self.assertFalse(it.peer.lost)

    def test_unfinished_box_of_a_paused_peer(self) -> None:
        """
        Time in which we do not read does not count against a box.
        """
        working: Deferred[Any] = Deferred()
        it = world(lambda what: working if what == "work" else {"said": 1}, limits=Limits(in_flight=1))
        it.send(ask(b"1", b"work") + ask(b"2")[:20])
        it.turn(100)
        self.assertFalse(it.peer.lost)

        working.callback({"said": 0})
        it.turn(3)
        it.send(ask(b"2")[20:])
        self.assertEqual(2, len(it.peer.boxes()))

    def test_garbage(self) -> None:
        """
        A peer that does not speak AMP is dropped with one line in the log, and nothing of what it sent
        after that is looked at.
        """
        for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 1_000, b"\x16\x03\x01" * 1_000, b"\xff" * 60_000):
            it = world()
            with capturedLogs() as logs:
                it.send(garbage)
                it.send(ask(b"1"))
            self.assertEqual(["it does not speak AMP"], [event["reason"] for event in logs])
            self.assertEqual((True, b""), (it.peer.lost, it.peer.data))

    def test_garbage_spoils_only_what_follows(self) -> None:
        """
        What came before the garbage was done.
        """
        done: list[str] = []
        it = world(lambda what: done.append(what) or {"said": 1})
        it.send(ask(b"1", b"before") + b"GET / HTTP" + ask(b"2", b"after"))

        self.assertEqual(["before"], done)

    def test_endless_box(self) -> None:
        """
        A box that never ends is cut at a size that does no harm.
        """
        it = world()
        sent = 0
        while not it.peer.lost:
            it.send(b"\x00\x02%02d\xff\xff" % (sent // 65_535 % 100) + b"v" * 65_535)
            sent += 65_541
        self.assertLess(sent, MAX_BOX + 200_000)

    def test_silence(self) -> None:
        """
        A peer that is silent is pinged; one that answers, with an error too, stays, and one that does
        not is dropped.
        """
        it = world()
        it.turn(62)
        (ping,) = it.peer.boxes()
        self.assertEqual(b"Ping", ping[b"_command"])
        it.send(encode({b"_error": ping[b"_ask"], b"_error_code": b"UNHANDLED", b"_error_description": b""}))
        it.turn(62)
        self.assertEqual(2, len(it.peer.boxes()))
        self.assertFalse(it.peer.lost)

        it.turn(62)
        self.assertTrue(it.peer.lost)

    def test_no_timers_left(self) -> None:
        """
        A connection that ended leaves no timer behind.
        """
        it = world()
        it.pipes[1].end()

        self.assertEqual([], it.clock.getDelayedCalls())


class CallTests(SynchronousTestCase):
    def answer(self, it: LinkWorld, **values: bytes) -> None:
        tag = it.peer.boxes()[-1][b"_ask"]
        it.send(encode({b"_answer": tag} | {name.encode(): value for name, value in values.items()}))

    def test_call(self) -> None:
        """
        A call fires with the answer's values by name.
        """
        it = world()
        said = it.link.call(Do, what="now")
        it.carry()
        self.assertNoResult(said)
        self.answer(it, said=b"[1]")

        self.assertEqual({"said": [1]}, self.successResultOf(said))

    def test_error(self) -> None:
        """
        A call fails with the code and the text of the error.
        """
        it = world()
        said = it.link.call(Do, what="now")
        it.carry()
        tag = it.peer.boxes()[-1][b"_ask"]
        it.send(encode({b"_error": tag, b"_error_code": b"NoSuchNode", b"_error_description": b"no \xff"}))

        error = self.failureResultOf(said, CallFailed).value
        self.assertEqual(("NoSuchNode", "no \ufffd"), (error.code, error.text))

    def test_malformed_answer(self) -> None:
        """
        An answer that can not be read fails that call and nothing else.
        """
        it = world()
        said = it.link.call(Do, what="now")
        it.carry()
        self.answer(it, said=b"{")

        self.assertEqual("MALFORMED", self.failureResultOf(said, CallFailed).value.code)
        self.assertFalse(it.peer.lost)

    def test_lost(self) -> None:
        """
        A call whose connection ends fails, and so does one made after that.
        """
        it = world()
        said = it.link.call(Do, what="now")
        it.pipes[1].end()

        self.failureResultOf(said, LinkLost)
        self.failureResultOf(it.link.call(Ping), LinkLost)

    def test_lost_together(self) -> None:
        """
        Who hears that the connection has ended may give up other calls, and the rest hear of it all the same.
        """
        it = world()
        first, second, third = [it.link.call(Do, what="now") for _ in range(3)]
        first.addErrback(lambda failure: (second.cancel(), failure)[1])
        it.pipes[1].end()

        self.failureResultOf(second, CancelledError)
        for said in (first, third):
            self.failureResultOf(said, LinkLost)

    def test_forgotten(self) -> None:
        """
        A call that is cancelled is forgotten, and its late answer is nobody's fault.
        """
        it = world()
        said = it.link.call(Do, what="now")
        it.carry()
        said.cancel()
        self.failureResultOf(said)
        with capturedLogs() as logs:
            self.answer(it, said=b"1")

        self.assertEqual([], logs)

    def test_too_long(self) -> None:
        """
        Arguments that do not fit fail the call before anything is sent.
        """
        it = world()
        self.failureResultOf(it.link.call(Do, what="x" * 70_000))
        it.carry()

        self.assertEqual(b"", it.peer.data)

    def test_with_twisted(self) -> None:
        """
        Twisted's own AMP and ours understand each other in both directions.
        """

        class Peer(amp.AMP):
            @Do.responder
            def do(self, what: str, number: int | None) -> dict[str, Any]:
                if what == "fail":
                    raise NoSuchNode("no node")
                return {"said": [what, number]}

        refused: list[Failure] = []
        it = world(lambda what: NoSuchNode("no") if what == "fail" else {"said": what}, peer=Peer())
        theirs = it.peer.callRemote(Do, what="x", number=1)
        it.peer.callRemote(Do, what="fail").addErrback(refused.append)
        ours = [it.link.call(Do, what="y", number=2), it.link.call(Do, what="fail")]
        it.carry()

        self.assertEqual({"said": "x"}, self.successResultOf(theirs))
        self.assertEqual(
            ["no"], [failure.getErrorMessage() for failure in refused if failure.check(NoSuchNode)]
        )
        self.assertEqual({"said": ["y", 2]}, self.successResultOf(ours[0]))
        self.assertEqual("NoSuchNode", self.failureResultOf(ours[1], CallFailed).value.code)

    def test_closed(self) -> None:
        """
        Closing lets what was written arrive.
        """
        it = world(peer=Collector())
        it.link.call(Ping).addErrback(lambda failure: failure.trap(LinkLost))
        it.link.close()
        it.carry()

        self.assertEqual([b"Ping"], [box[b"_command"] for box in it.peer.boxes()])
        self.assertTrue(it.peer.lost)
