# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.web.exchange`: what leaves, what comes back, and how it is ended.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.web import Answer, Exchange
from powercoord.errors import OperationCancelled, PowerActionError, PowerConnError, PowerRefusedError
from tests.drivers.web.world import Errand, World, ask

E = TypeVar("E", bound=BaseException)


class ExchangeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.exchange = self.world.exchange()
        self.asked: list[Deferred[Answer]] = []
        self.addCleanup(self.leave_nothing)

    def ask(self, exchange: Exchange, *words: Any, **more: Any) -> Deferred[Answer]:
        """
        Begin an exchange, which ends with the test.
        """
        asked = ask(exchange, *words, **more)
        self.asked.append(asked)
        return asked

    def leave_nothing(self) -> None:
        """
        Whatever is going on ends when it is closed, and nothing stays behind.

        Left to the garbage collector, an exchange in flight would let one go that waits in line, and is
        garbage itself.
        """
        unanswered = [asked for asked in self.asked if not asked.called]
        closing = gatherResults([Deferred.fromCoroutine(each.close()) for each in self.world.exchanges])
        self.world.turn()
        self.successResultOf(closing)
        for asked in unanswered:
            self.failureResultOf(asked, PowerConnError)
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def failed(self, asked: Deferred[object], kind: type[E]) -> E:
        self.world.turn()
        error = self.failureResultOf(asked).value
        assert isinstance(error, kind), error
        return error


class AskTests(ExchangeCase):
    def test_get(self) -> None:
        """
        A request leaves with its host and headers, and the answer comes back in full.
        """
        asked = self.ask(self.exchange, headers={"X-Auth-Token": "t"})
        lines = self.world.heard().decode().split("\r\n")
        self.world.say(b"body", etag='"1"')
        answer = self.successResultOf(asked)

        self.assertEqual("GET /x HTTP/1.1", lines[0])
        self.assertLessEqual({"Host: 192.0.2.1", "X-Auth-Token: t"}, set(lines))
        self.assertEqual((200, b"body", '"1"'), (answer.status, answer.body, answer.header("ETag")))

    def test_body(self) -> None:
        """
        A body leaves with its length.
        """
        self.ask(self.exchange, "POST")

        self.assertIn(b"Content-Length: 2\r\n", heard := self.world.heard())
        self.assertTrue(heard.endswith(b"\r\n\r\n{}"))

    def test_errors_are_answers(self) -> None:
        """
        Whatever the status, an answer is an answer.
        """
        for status in (401, 404, 500, 503):
            asked = self.ask(self.exchange)
            self.world.say(b"no", status=f"{status} Whatever")
            self.assertEqual(status, self.successResultOf(asked).status)

    def test_secrets(self) -> None:
        """
        Neither headers nor bodies show in anything that is printed.
        """
        asked = self.ask(self.exchange, headers={"Authorization": "hush"})
        self.world.say(b"hush", set_cookie="hush")

        self.assertNotIn("hush", repr(self.successResultOf(asked)) + repr(self.exchange))

    def test_without_length(self) -> None:
        """
        A body without a length ends with its connection.
        """
        asked = self.ask(self.exchange)
        self.world.socket.say(b"HTTP/1.1 200 OK\r\n\r\nsome")
        self.world.socket.say(b" more")
        self.assertNoResult(asked)
        self.world.socket.drop()
        self.world.turn()

        self.assertEqual(b"some more", self.successResultOf(asked).body)

    def test_cut_short(self) -> None:
        """
        A body that ends before its length was lost.
        """
        asked = self.ask(self.exchange, "POST", changes=True)
        self.world.socket.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome")
        self.world.socket.drop()

        self.assertTrue(self.failed(asked, PowerConnError).sent)

    def test_no_http(self) -> None:
        """
        Whatever does not speak HTTP is told so, and left.
        """
        asked = self.ask(self.exchange)
        self.world.socket.say(b"SSH-2.0-OpenSSH_9.2\r\n")

        self.assertIn("HTTP", str(self.failed(asked, PowerConnError)))
        self.assertFalse(self.world.socket.open)


class ConnectionTests(ExchangeCase):
    def test_kept(self) -> None:
        """
        One request after another goes over one connection.
        """
        for _ in range(5):
            asked = self.ask(self.exchange)
            self.world.say()
            self.successResultOf(asked)

        counters = self.exchange.counters
        self.assertEqual((1, 1, 5), (counters.connections, counters.handshakes, counters.requests))

    def test_one_at_a_time(self) -> None:
        """
        What is asked at once waits in line.
        """
        first, second = self.ask(self.exchange, path="/1"), self.ask(self.exchange, path="/2")
        self.assertEqual(1, self.world.heard().count(b"HTTP/1.1"))
        self.world.say(b"1")
        self.assertIn(b"GET /2", self.world.heard())
        self.world.say(b"2")

        self.assertEqual([b"1", b"2"], [self.successResultOf(each).body for each in (first, second)])
        self.assertEqual(1, len(self.world.sockets))

    def test_several(self) -> None:
        """
        As many connections as are allowed are used at once.
        """
        exchange = self.world.exchange(connections=2)
        for path in ("/1", "/2", "/3"):
            self.ask(exchange, path=path)

        self.assertEqual(2, len(self.world.sockets))

    def test_idle(self) -> None:
        """
        An unused connection is closed after a while, and a new one made when it is needed.
        """
        self.ask(self.exchange)
        self.world.say()
        self.world.clock.advance(9.0)
        self.assertTrue(self.world.socket.open)
        self.world.clock.advance(1.5)
        self.assertFalse(self.world.socket.open)
        self.ask(self.exchange, until=20.0)

        self.assertEqual(2, len(self.world.sockets))

    def test_not_kept(self) -> None:
        """
        A connection that the server is about to close is not used again, however it says so.
        """
        heads = (
            b"HTTP/1.1 200 OK\r\nConnection: close",
            b"HTTP/1.1 200 OK\r\nCONNECTION: Keep-Alive, Close",
            b"HTTP/1.0 200 OK",
            b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0",
        )
        for number, head in enumerate(heads, 1):
            asked = self.ask(self.exchange)
            self.world.socket.say(head + b"\r\nContent-Length: 0\r\n\r\n")
            self.successResultOf(asked)
            self.assertEqual(number, len(self.world.sockets), head)
        self.ask(self.exchange, "POST", changes=True)

        self.assertEqual(len(heads) + 1, len(self.world.sockets))

    def test_kept_for(self) -> None:
        """
        A connection that the server keeps for a second is used within that, and not when it is about to end.
        """
        for pause, sockets in ((0.0, 1), (0.4, 1), (0.4, 1), (0.6, 2)):
            self.world.clock.advance(pause)
            asked = self.ask(self.exchange)
            self.world.say(keep_alive="timeout=1, max=32")
            self.successResultOf(asked)
            self.assertEqual(sockets, len(self.world.sockets))

    def test_close(self) -> None:
        """
        Closing gives the connection back, and nothing is asked after it.
        """
        self.ask(self.exchange)
        self.world.say()
        closing = Deferred.fromCoroutine(self.exchange.close())
        self.world.turn()
        self.successResultOf(closing)

        self.assertFalse(self.world.socket.open)
        self.failed(self.ask(self.exchange), PowerConnError)
        self.assertEqual([], self.world.clock.getDelayedCalls())

    def test_close_in_flight(self) -> None:
        """
        Closing ends what is going on, and says whether a change may have arrived.
        """
        asked = self.ask(self.exchange, "POST", changes=True)
        closing = Deferred.fromCoroutine(self.exchange.close())
        error = self.failed(asked, PowerConnError)
        self.successResultOf(closing)

        self.assertTrue(error.sent)
        self.assertTrue(self.world.socket.aborted)

    def test_refused(self) -> None:
        """
        Where nobody listens, nothing was sent.
        """
        self.world.refuses = True
        error = self.failed(self.ask(self.exchange, "POST", changes=True), PowerConnError)

        self.assertEqual(("http://192.0.2.1:80: connection refused", False), (str(error), error.sent))


class StaleTests(ExchangeCase):
    def setUp(self) -> None:
        super().setUp()
        self.ask(self.exchange)
        self.world.say()
        self.kept = self.world.socket

    def test_get(self) -> None:
        """
        A read on a kept connection that turns out to be closed is sent again on a new one, once.
        """
        asked = self.ask(self.exchange)
        self.kept.drop(lost=True)
        self.world.turn()
        self.world.say(b"again")

        self.assertEqual(b"again", self.successResultOf(asked).body)
        self.assertEqual((2, 1), (len(self.world.sockets), self.exchange.counters.repeated))

    def test_get_twice(self) -> None:
        """
        A new connection that is closed without an answer is the end of it.
        """
        asked = self.ask(self.exchange)
        self.kept.drop(lost=True)
        self.world.turn()
        self.world.socket.drop(lost=True)

        self.failed(asked, PowerConnError)
        self.assertEqual(2, len(self.world.sockets))

    def test_changes(self) -> None:
        """
        What may have arrived is never sent again: POST and PATCH, be they changes of power or not.
        """
        for method in ("POST", "PATCH", "DELETE"):
            for changes in (True, False):
                self.ask(self.exchange)
                self.world.say()
                before = len(self.world.sockets)
                asked = self.ask(self.exchange, method, changes=changes)
                self.world.socket.drop(lost=True)
                error = self.failed(asked, PowerConnError)
                self.assertEqual((changes, before), (error.sent, len(self.world.sockets)))

    def test_repeatable(self) -> None:
        """
        A POST that its caller calls harmless is sent again as a read is.
        """
        asked = self.ask(self.exchange, "POST", repeatable=True)
        self.kept.drop(lost=True)
        self.world.turn()
        self.world.say(b"again")

        self.assertEqual(b"again", self.successResultOf(asked).body)

    def test_half_an_answer(self) -> None:
        """
        A connection that had begun to answer was not stale.
        """
        asked = self.ask(self.exchange)
        self.kept.say(b"HTTP/1.1 200 OK\r\n")
        self.kept.drop(lost=True)

        self.failed(asked, PowerConnError)
        self.assertEqual(1, len(self.world.sockets))

    def test_closed_while_idle(self) -> None:
        """
        A connection that was closed while nobody used it is not used again, and nothing is repeated.
        """
        self.kept.drop()
        self.world.turn()
        self.ask(self.exchange, "POST", changes=True)

        self.assertEqual((2, 0), (len(self.world.sockets), self.exchange.counters.repeated))


class SendingTests(ExchangeCase):
    def test_before_the_first_byte(self) -> None:
        """
        A change is announced before its first byte leaves, once, and a read never is.
        """
        errand = Errand()
        seen: list[int] = []
        errand.on_sending = lambda: seen.append(len(self.world.socket.value()))
        self.ask(self.exchange, "POST", errand=errand, changes=True)
        self.world.say()
        self.ask(self.exchange, errand=errand)

        self.assertEqual([0], seen)

    def test_not_while_connecting(self) -> None:
        """
        As long as there is no connection nothing is announced, and a polite stop ends it at once.
        """
        self.world.mute = True
        errand = Errand()
        asked = self.ask(self.exchange, "POST", errand=errand, changes=True)
        self.assertEqual(0, errand.announced)
        errand.stop()

        self.assertFalse(self.failed(asked, OperationCancelled).sent)

    def test_stopped_read(self) -> None:
        """
        A read that is politely stopped ends at once.
        """
        errand = Errand()
        asked = self.ask(self.exchange, errand=errand)
        errand.stop()

        self.failed(asked, OperationCancelled)
        self.assertFalse(self.world.socket.open)

    def test_stopped_change(self) -> None:
        """
        A change that has left is waited for, whoever politely asks to stop.
        """
        errand = Errand()
        asked = self.ask(self.exchange, "POST", errand=errand, changes=True)
        errand.stop()
        self.assertNoResult(asked)
        self.world.say(b"done")

        self.assertEqual(b"done", self.successResultOf(asked).body)

    def test_stopped_before(self) -> None:
        """
        Nothing begins after a polite stop.
        """
        errand = Errand(cancelled=True)
        self.failed(self.ask(self.exchange, errand=errand), OperationCancelled)

        self.assertEqual(0, self.world.attempts)

    def test_stopped_in_line(self) -> None:
        """
        Who waits in line and is stopped sends nothing, and holds nobody up.
        """
        first, errand = self.ask(self.exchange), Errand()
        second = self.ask(self.exchange, "POST", errand=errand, changes=True)
        third = self.ask(self.exchange, path="/3")
        errand.stop()
        self.failed(second, OperationCancelled)
        self.world.say()
        self.successResultOf(first)
        self.world.say(b"3")

        self.assertEqual(b"3", self.successResultOf(third).body)
        self.assertEqual(0, errand.announced)

    def test_hard_cancel(self) -> None:
        """
        A hard cancel closes the connection there and then, whatever had left; the next one gets a new one.
        """
        for said in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"):
            asked = self.ask(self.exchange, "POST", changes=True)
            self.world.socket.say(said) if said else None
            asked.cancel()
            self.failed(asked, CancelledError)
            self.assertTrue(self.world.socket.aborted)
        self.ask(self.exchange)

        self.assertEqual(3, len(self.world.sockets))

    def test_hard_cancel_while_connecting(self) -> None:
        """
        A hard cancel ends an attempt to connect.
        """
        self.world.mute = True
        asked = self.ask(self.exchange)
        asked.cancel()

        self.failed(asked, CancelledError)
        self.assertEqual([], self.world.clock.getDelayedCalls())


class BoundTests(ExchangeCase):
    def test_deadline(self) -> None:
        """
        A mute BMC costs what was allowed, and the connection; what had left is told.
        """
        for method, changes in (("GET", False), ("POST", True)):
            begin = self.world.clock.seconds()
            asked = self.ask(self.exchange, method, changes=changes, until=begin + 10.0)
            self.world.clock.advance(9.9)
            self.assertNoResult(asked)
            self.world.clock.advance(0.2)
            error = self.failed(asked, PowerConnError)
            self.assertEqual(changes, error.sent)
            self.assertIn(f"{method} /x: no answer within 10 s", str(error))
            self.assertTrue(self.world.socket.aborted)

    def test_operations_deadline(self) -> None:
        """
        The deadline of the operation holds where it is earlier.
        """
        asked = self.ask(self.exchange, errand=Errand(deadline=3.0))
        self.world.clock.advance(3.0)

        self.failed(asked, PowerConnError)

    def test_trickle(self) -> None:
        """
        A BMC that sends a byte now and then is held to the same deadline.
        """
        asked = self.ask(self.exchange)
        self.world.socket.say(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        for _ in range(10):
            self.world.clock.advance(1.0)
            self.world.socket.say(b".") if self.world.socket.open else None

        self.failed(asked, PowerConnError)

    def test_long_body(self) -> None:
        """
        A body beyond the bound is not read to its end, and the connection is closed.
        """
        exchange = self.world.exchange(body=100)
        asked = self.ask(exchange, "POST", changes=True)
        self.world.socket.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101)
        error = self.failed(asked, PowerActionError)

        self.assertTrue(error.sent)
        self.assertTrue(self.world.socket.aborted)

    def test_long_head(self) -> None:
        """
        Headers without end, and interim answers without end, end the connection.
        """
        for flood in (b"X: y\r\n", b"\r\nHTTP/1.1 100 Continue\r\n"):
            asked = self.ask(self.exchange)
            self.world.socket.say(
                b"HTTP/1.1 200 OK\r\n" if flood[0] == b"X"[0] else b"HTTP/1.1 100 Continue\r\n"
            )
            for _ in range(40):
                if self.world.socket.open:
                    self.world.socket.say(flood * 1000)
            self.failed(asked, PowerConnError)
            self.assertTrue(self.world.socket.aborted)


class RedirectTests(ExchangeCase):
    def test_followed(self) -> None:
        """
        A redirect on the same server is followed, a POST as a POST with its body.
        """
        for method, status in (
            ("GET", 301),
            ("GET", 302),
            ("GET", 303),
            ("GET", 307),
            ("POST", 307),
            ("POST", 308),
        ):
            asked = self.ask(self.exchange, method)
            self.world.heard()
            self.world.say(status=f"{status} Moved", location="/x/")
            heard = self.world.heard()
            self.assertTrue(heard.startswith(f"{method} /x/ ".encode()))
            self.assertEqual(method == "POST", heard.endswith(b"{}"))
            self.world.say(b"here")
            self.assertEqual(b"here", self.successResultOf(asked).body)

    def test_post_is_never_made_a_get(self) -> None:
        """
        A redirect that would make a GET of a POST is an answer like others.
        """
        for status in (301, 302, 303):
            asked = self.ask(self.exchange, "POST", changes=True)
            self.world.say(status=f"{status} Moved", location="/y")
            self.assertEqual(status, self.successResultOf(asked).status)

    def test_elsewhere(self) -> None:
        """
        Nobody is sent to another server, port or scheme, nor in a circle.
        """
        for location in (
            "http://192.0.2.2/x",
            "https://192.0.2.1/x",
            "http://192.0.2.1:8080/x",
            "http://192.0.2.1:x/",
            "//evil/",
            "/x",
            "",
        ):
            asked = self.ask(self.exchange)
            self.world.say(status="308 Moved", location=location)
            self.failed(asked, PowerRefusedError)
            self.assertEqual(b"", self.world.heard().partition(b"GET /x")[0])

    def test_without_end(self) -> None:
        """
        A chain of redirects is followed for a few steps.
        """
        asked = self.ask(self.exchange)
        for step in range(4):
            self.world.say(status="307 Moved", location=f"/{step}")

        self.failed(asked, PowerRefusedError)
