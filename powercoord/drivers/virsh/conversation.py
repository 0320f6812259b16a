# SPDX-License-Identifier: MIT
"""
One connection to libvirt's daemon: many calls at once, each with its own answer.

See note [Four at once] and note [Forgotten calls].
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from powercoord.drivers.virsh.packets import KEEPALIVE, REMOTE, Kind, Packet, Packets, Status
from powercoord.drivers.virsh.procedures import Procedure, RemoteError, read_error, read_event
from powercoord.drivers.virsh.xdr import Malformed
from powercoord.errors import PowerConnError, PowerError

# Note [Four at once]
#
# A daemon works at five calls of one client at a time (max_client_requests) and reads nothing more from it
# while it does, not even its "are you there". So we have four at most, and the fifth place is kept for that.
# Three of them may be changes that somebody waits for, because a destroy can take seconds and reads must get
# through.
AT_ONCE = 4
CHANGES_AT_ONCE = 3

# Note [Forgotten calls]
#
# Nothing calls back what a daemon has been told: it does it, whether or not its client is there (a destroy
# whose client was killed after 50 ms was carried out). So a call that nobody waits for any longer keeps its
# place until its answer comes, which is then dropped. Where all places are taken by such, the line is of no
# use any more: it is closed, so that those who wait come through on the next.

PING, PONG = 1, 2

#: Seconds between two looks whether the daemon is there.
INTERVAL = 5.0

#: Without a sign of life for so many of them it is taken for dead.
PATIENCE = 3

GuestEvent = Callable[[frozenset[str]], None]


class Refusal(Exception):
    """
    The daemon answered a call with an error.
    """

    def __init__(self, error: RemoteError) -> None:
        super().__init__(error.text)
        self.error = error


@define(eq=False)
class Call:
    """
    One call, waiting for its turn or for its answer.

    :param leaving: what to call when its first byte leaves, if it changes anything.
    """

    procedure: Procedure
    body: bytes
    leaving: Callable[[], None] | None
    answer: Deferred[bytes] = field(init=False)
    forgotten: bool = field(default=False, init=False)


class Conversation(Protocol):
    """
    Calls and their answers, events, and "are you there" in both directions.

    :param name: of the hypervisor, for what is said.
    :param event: is told the names of a guest that something happened to.
    :param gone: is told once, when the line is closed for whatever reason.
    """

    def __init__(
        self, clock: IReactorTime, name: str, event: GuestEvent, gone: Callable[[Conversation], None]
    ) -> None:
        self._clock, self.name, self._event, self._gone = clock, name, event, gone
        self._packets = Packets()
        self._serial = 0
        self._changes: deque[Call] = deque()
        self._reads: deque[Call] = deque()
        self._sent: dict[int, Call] = {}
        self._timer: IDelayedCall | None = None
        self._silent = 0
        self.reason: PowerError | None = None
        self.ended: Deferred[None] = Deferred()

    @property
    def busy(self) -> bool:
        """
        Whether somebody waits for an answer.
        """
        waiting = any(not call.forgotten for call in self._sent.values())
        return waiting or bool(self._changes) or bool(self._reads)

    def call(
        self, procedure: Procedure, body: bytes = b"", leaving: Callable[[], None] | None = None
    ) -> Deferred[bytes]:
        """
        Have something done; fires with the answer's body.

        Cancelling it before it has left takes it back; later, forgets its answer.

        Fails with `Refusal`, or with `PowerConnError` if the line is closed.
        """
        call = Call(procedure, body, leaving)
        call.answer = Deferred(lambda _: self._forget(call))
        if self.reason is not None:
            call.answer.errback(Failure(self._why(sent=False)))
        else:
            (self._reads if leaving is None else self._changes).append(call)
            self._next()
        return call.answer

    def fail(self, reason: PowerError) -> None:
        """
        Close the line here and now, and say why.
        """
        if self.reason is None:
            self.reason = reason
            if self.transport is not None:
                # All of ours are streams, and those can be cut.
                self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionMade(self) -> None:
        """
        Watch over it from now on.
        """
        self._timer = self._clock.callLater(INTERVAL, self._look)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what came.
        """
        self._silent = 0
        try:
            for packet in self._packets.feed(data):
                if self.reason is not None:
                    return
                self._take(packet)
        except Malformed as error:
            self.fail(PowerConnError(f"{self.name}: this is not libvirt's protocol: {error}"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Everybody who waits hears it.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reason is None:
            found = reason.value
            self.reason = found if isinstance(found, PowerError) else _closed(self.name)
        calls = [(call, True) for call in self._sent.values()]
        calls += [(call, False) for call in (*self._changes, *self._reads)]
        self._sent, self._changes, self._reads = {}, deque(), deque()
        self._gone(self)
        self.ended.callback(None)
        for call, left in calls:
            if not call.forgotten:
                call.answer.errback(Failure(self._why(sent=left and call.leaving is not None)))

    def _why(self, *, sent: bool) -> PowerError:
        """
        Each caller's own error: whether something left is not the same for all.
        """
        reason = self.reason or _closed(self.name)
        return type(reason)(str(reason), sent=sent)

    def _next(self) -> None:
        while len(self._sent) < AT_ONCE and self.reason is None:
            changing = sum(1 for call in self._sent.values() if call.leaving and not call.forgotten)
            if self._changes and changing < CHANGES_AT_ONCE:
                self._send(self._changes.popleft())
            elif self._reads:
                self._send(self._reads.popleft())
            else:
                return

    def _send(self, call: Call) -> None:
        self._serial += 1
        self._sent[self._serial] = call
        if call.leaving is not None:
            call.leaving()
        self._write(Packet(REMOTE, call.procedure, Kind.CALL, self._serial, Status.OK, call.body))

    def _write(self, packet: Packet) -> None:
        if self.transport is not None:
            self.transport.write(packet.encode())

    def _forget(self, call: Call) -> None:
        call.forgotten = True
        for waiting in (self._changes, self._reads):
            if call in waiting:
                waiting.remove(call)
        if len(self._sent) >= AT_ONCE and all(each.forgotten for each in self._sent.values()):
            self.fail(PowerConnError(f"{self.name}: it answers none of {AT_ONCE} calls, and takes no more"))

    def _take(self, packet: Packet) -> None:
        if packet.program == KEEPALIVE:
            if packet.procedure == PING:
                self._write(Packet(KEEPALIVE, PONG, Kind.MESSAGE, 0, Status.OK))
        elif packet.program != REMOTE or packet.version != 1:
            raise Malformed(f"program 0x{packet.program:x} in version {packet.version}")
        elif packet.kind == Kind.REPLY:
            self._answered(packet)
        elif packet.kind == Kind.MESSAGE:
            if packet.procedure == Procedure.DOMAIN_EVENT_CALLBACK_LIFECYCLE:
                guest = read_event(packet.body)
                self._event(frozenset((guest.name, str(guest.uuid))))
        else:
            raise Malformed(f"a packet of type {packet.kind}")

    def _answered(self, packet: Packet) -> None:
        call = self._sent.get(packet.serial)
        if call is None or call.procedure != packet.procedure:
            raise Malformed(f"an answer to call {packet.serial} of {packet.procedure}, which was not made")
        refusal = Refusal(read_error(packet.body)) if packet.status != Status.OK else None
        del self._sent[packet.serial]
        self._next()
        if call.forgotten:
            return
        if refusal is None:
            call.answer.callback(packet.body)
        else:
            call.answer.errback(Failure(refusal))

    def _look(self) -> None:
        """
        Ask whether it is there when it has said nothing for a while.
        """
        self._timer = self._clock.callLater(INTERVAL, self._look)
        self._silent += 1
        if self._silent > PATIENCE:
            self.fail(PowerConnError(f"{self.name}: no sign of life for {PATIENCE * INTERVAL:g} s"))
        elif self._silent > 1:
            self._write(Packet(KEEPALIVE, PING, Kind.MESSAGE, 0, Status.OK))


def _closed(name: str) -> PowerConnError:
    return PowerConnError(f"{name}: the connection was closed")
