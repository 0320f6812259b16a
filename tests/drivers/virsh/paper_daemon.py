# SPDX-License-Identifier: MIT
"""
libvirt's daemon on paper: it speaks the protocol from the other end, in memory, on a clock that a test turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from struct import unpack
from uuid import UUID, uuid5

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from powercoord.drivers.virsh.conversation import PING, PONG, Conversation
from powercoord.drivers.virsh.guests import GuestState
from powercoord.drivers.virsh.hypervisor import NativeHypervisor
from powercoord.drivers.virsh.native import VirshDriver
from powercoord.drivers.virsh.packets import KEEPALIVE, REMOTE, Kind, Packet, Packets, Status
from powercoord.drivers.virsh.place import Place
from powercoord.drivers.virsh.procedures import ErrorCode, Procedure
from powercoord.drivers.virsh.xdr import Reader, array, fixed, integer, optional, string, unsigned
from powercoord.errors import PowerConnError

_SPACE = UUID("5c8d5b8e-6f0a-4c9b-9c5e-3f6f1c1f2a00")
_CHANGES = {
    Procedure.DOMAIN_CREATE_WITH_FLAGS: "on",
    Procedure.DOMAIN_DESTROY_FLAGS: "off",
    Procedure.DOMAIN_SHUTDOWN_FLAGS: "soft",
    Procedure.DOMAIN_RESET: "reset",
}
_ENDED = (GuestState.SHUTOFF,)
_HEARS = (GuestState.RUNNING, GuestState.BLOCKED)


@define(eq=False)
class PaperGuest:
    """
    One guest.

    :param commands: what reached it, also what it refused.
    """

    name: str
    state: GuestState = GuestState.SHUTOFF
    obeys: bool = True
    commands: list[str] = field(factory=list)
    uuid: UUID = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.uuid = uuid5(_SPACE, self.name)

    def encode(self) -> bytes:
        return string(self.name) + fixed(self.uuid.bytes) + integer(-1 if self.state in _ENDED else 7)


class PaperError(Exception):
    """
    What the daemon answers instead.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@define(eq=False)
class PaperDaemon:
    """
    A daemon with guests.

    :param latency: seconds between a call and its answer.
    :param auth: what it wants before it lets anybody in; polkit refuses.
    :param unsupported: what it does not know.
    :param mute: it hears nothing and says nothing.
    :param loses: the answers to what changes power are lost.
    :param stuck: procedures that it never answers.
    :param refusal: answers that to the next change.
    :param calls: what it was asked, in order.
    :param dead: nobody answers the next dial.
    """

    clock: Clock
    guests: dict[str, PaperGuest] = field(factory=dict)
    latency: float = 0.0
    auth: list[int] = field(factory=lambda: [0])
    unsupported: set[int] = field(factory=set)
    mute: bool = False
    loses: bool = False
    stuck: set[int] = field(factory=set)
    refusal: PaperError | None = None
    dead: PowerConnError | None = None
    calls: list[Procedure] = field(factory=list)
    dials: int = 0
    pings: int = 0
    pongs: int = 0
    busiest: int = 0
    lines: list[PaperLine] = field(factory=list)
    dialling: Deferred[None] | None = None

    def add(self, *names: str, state: GuestState = GuestState.SHUTOFF) -> None:
        """
        Define guests.
        """
        self.guests.update({name: PaperGuest(name, state) for name in names})

    async def dial(self, conversation: Conversation) -> None:
        """
        Connect somebody.
        """
        self.dials += 1
        if self.dead is not None:
            raise self.dead
        if self.dialling is not None:
            await self.dialling
        line = PaperLine(self, conversation)
        self.lines.append(line)
        conversation.makeConnection(line)

    def tell(self, guest: PaperGuest) -> None:
        """
        Say to all that something happened to a guest.
        """
        for line in self.lines:
            body = integer(0) + guest.encode() + integer(0) + integer(0)
            line.send(Packet(REMOTE, Procedure.DOMAIN_EVENT_CALLBACK_LIFECYCLE, Kind.MESSAGE, 0, 0, body))

    def count(self) -> Counter[str]:
        """
        How often it was asked what.
        """
        return Counter(call.name for call in self.calls)

    def driver(self) -> VirshDriver:
        """
        A driver that knows no other daemon.
        """
        return VirshDriver(self.clock, lambda place, _: self.hypervisor(place))

    def hypervisor(self, place: Place) -> NativeHypervisor:
        """
        One at a place.
        """
        return NativeHypervisor.at(self.clock, place, self.dial)


@define(eq=False)
class PaperLine:
    """
    One connection, seen from the daemon; the other side's transport.
    """

    daemon: PaperDaemon
    conversation: Conversation
    packets: Packets = field(factory=Packets)
    working: int = 0
    open: bool = True
    sent: list[Packet] = field(factory=list)

    def write(self, data: bytes) -> None:
        for packet in self.packets.feed(data):
            if not self.daemon.mute:
                self._heard(packet)

    def abortConnection(self) -> None:
        self.close()

    loseConnection = abortConnection

    def close(self) -> None:
        """
        The line is cut; both sides hear it a moment later.
        """
        if self.open:
            self.open = False
            self.daemon.lines.remove(self)
            self.daemon.clock.callLater(0, self.conversation.connectionLost, Failure(ConnectionError()))

    def send(self, packet: Packet) -> None:
        self.deliver(packet.encode())

    def deliver(self, data: bytes) -> None:
        if self.open and not self.daemon.mute:
            self.conversation.dataReceived(data)

    def _heard(self, packet: Packet) -> None:
        if packet.program == KEEPALIVE:
            self.daemon.pings += packet.procedure == PING
            self.daemon.pongs += packet.procedure == PONG
            if packet.procedure == PING:
                self.send(Packet(KEEPALIVE, PONG, Kind.MESSAGE, 0, 0))
            return
        procedure = Procedure(packet.procedure)
        self.sent.append(packet)
        self.daemon.calls.append(procedure)
        self.working += 1
        self.daemon.busiest = max(self.daemon.busiest, self.working)
        if procedure not in self.daemon.stuck:
            self.daemon.clock.callLater(self.daemon.latency, self._answer, packet, procedure)

    def _answer(self, packet: Packet, procedure: Procedure) -> None:
        if not self.open or self.daemon.mute:
            return
        self.working -= 1
        try:
            body, status = self._do(procedure, Reader(packet.body)), Status.OK
        except PaperError as error:
            body = integer(error.code) + integer(10) + optional(string(str(error))) + integer(2)
            status = Status.ERROR
        if not (self.daemon.loses and procedure in _CHANGES):
            self.send(Packet(REMOTE, procedure, Kind.REPLY, packet.serial, status, body))
        if procedure is Procedure.CONNECT_CLOSE:
            self.close()

    def _do(self, procedure: Procedure, reader: Reader) -> bytes:
        if procedure in self.daemon.unsupported:
            raise PaperError(ErrorCode.NO_SUPPORT, "this function is not supported by the connection driver")
        if procedure in _CHANGES:
            return self._change(self._named(reader), procedure)
        made: dict[Procedure, Callable[[Reader], bytes]] = {
            Procedure.AUTH_LIST: lambda _: array([integer(each) for each in self.daemon.auth]),
            Procedure.AUTH_POLKIT: self._polkit,
            Procedure.CONNECT_SUPPORTS_FEATURE: lambda _: integer(1),
            Procedure.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: lambda _: integer(0),
            Procedure.DOMAIN_LOOKUP_BY_NAME: lambda reader: self._by_name(reader.string()).encode(),
            Procedure.DOMAIN_LOOKUP_BY_UUID: lambda reader: self._by_uuid(reader.fixed(16)).encode(),
            Procedure.DOMAIN_GET_STATE: lambda reader: integer(self._named(reader).state) + integer(1),
            Procedure.CONNECT_LIST_ALL_DOMAINS: self._list,
            Procedure.CONNECT_GET_ALL_DOMAIN_STATS: self._stats,
        }
        return made.get(procedure, lambda _: b"")(reader)

    def _polkit(self, _: Reader) -> bytes:
        raise PaperError(ErrorCode.AUTH_UNAVAILABLE, "no polkit agent available")

    def _list(self, _: Reader) -> bytes:
        guests = list(self.daemon.guests.values())
        return array([guest.encode() for guest in guests]) + unsigned(len(guests))

    def _stats(self, reader: Reader) -> bytes:
        guests = reader.array(lambda: self._named(reader), 100) or list(self.daemon.guests.values())
        return array(
            [
                guest.encode() + array([string("state.state") + integer(1) + integer(guest.state)])
                for guest in guests
            ]
        )

    def _change(self, guest: PaperGuest, procedure: Procedure) -> bytes:
        verb = _CHANGES[procedure]
        guest.commands.append(verb)
        if self.daemon.refusal is not None:
            refusal, self.daemon.refusal = self.daemon.refusal, None
            raise refusal
        if verb == "on":
            self._only(guest.state in _ENDED, "domain is already running")
            guest.state = GuestState.RUNNING
            return guest.encode()
        self._only(guest.state not in _ENDED, "domain is not running")
        if verb == "soft":
            self._only(guest.state in _HEARS, "domain is not running")
        if verb == "off" or (verb == "soft" and guest.obeys):
            guest.state = GuestState.SHUTOFF
        return b""

    def _only(self, right: bool, text: str) -> None:
        if not right:
            raise PaperError(ErrorCode.OPERATION_INVALID, f"Requested operation is not valid: {text}")

    def _named(self, reader: Reader) -> PaperGuest:
        reader.string()
        found = self._by_uuid(reader.fixed(16))
        reader.integer()
        return found

    def _by_uuid(self, uuid: bytes) -> PaperGuest:
        return self._one(lambda guest: guest.uuid.bytes == uuid)

    def _by_name(self, name: str) -> PaperGuest:
        return self._one(lambda guest: guest.name == name)

    def _one(self, fits: Callable[[PaperGuest], bool]) -> PaperGuest:
        for guest in self.daemon.guests.values():
            if fits(guest):
                return guest
        raise PaperError(ErrorCode.NO_DOMAIN, "Domain not found")


def length_of(data: bytes) -> int:
    """
    What a packet says that its length is.
    """
    length: int = unpack(">I", data[:4])[0]
    return length
