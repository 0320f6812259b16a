# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.bmc` and the commands that it knows.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.ipmi.boot import (
    PARAMETER_BOOT_FLAGS,
    PARAMETER_SET_IN_PROGRESS,
    PARAMETER_VALID_BIT_CLEARING,
    BootFlags,
    BootOption,
    Device,
    GetBootOptions,
    SetBootOptions,
)
from powercoord.drivers.ipmi.channel import (
    AuthCapabilities,
    CipherSuites,
    CloseSession,
    GetAuthCapabilities,
    GetCipherSuites,
    SetPrivilege,
    suite_numbers,
)
from powercoord.drivers.ipmi.chassis import ChassisControl, Control, DeviceId, GetChassisStatus, GetDeviceId
from powercoord.drivers.ipmi.completion import (
    INSUFFICIENT_PRIVILEGE,
    INVALID_COMMAND,
    NODE_BUSY,
    UNSPECIFIED,
    WRONG_STATE,
)
from powercoord.drivers.ipmi.lan import LanRequest, LanResponse
from powercoord.drivers.ipmi.rmcp import Ping, Pong
from powercoord.drivers.ipmi.rmcpplus import PAYLOAD_IPMI, Packet
from powercoord.drivers.ipmi.rmcpplus import outside as outside20
from powercoord.drivers.ipmi.session15 import AUTH_MD5, Session15, outside, signed
from powercoord.sim.bmc import Bmc
from powercoord.sim.faults import Faults
from powercoord.sim.handshake import STATUS_NO_SUITE
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Profile
from tests.hypothesis_notes import HypothesisNotes
from tests.sim_console import GUID, Console, Console15, NoAnswer, make_bmc


class Raw:
    """
    A command with data of our own.
    """

    def __init__(self, netfn: int, command: int, data: bytes = b"") -> None:
        self.NETFN, self.COMMAND, self.data = netfn, command, data

    def encode(self) -> bytes:
        return self.data


class BmcCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def console(self, profile: Profile | None = None, latency: Latency | None = None) -> Console:
        return Console(make_bmc(self.clock, profile, latency)).log_in()


class ChassisTests(BmcCase):
    def test_power(self) -> None:
        """
        Power commands reach the machine, in their order, once each.
        """
        console = self.console()
        codes = [
            console.control(control)
            for control in (
                Control.ON,
                Control.RESET,
                Control.DIAGNOSTIC,
                Control.SOFT,
                Control.ON,
                Control.OFF,
            )
        ]

        self.assertEqual([0] * 6, codes)
        self.assertEqual(
            ["on", "reset", "diag", "soft", "on", "off"],
            [command.verb for command in console.bmc.machine.commands],
        )

    def test_only_while_on(self) -> None:
        """
        A machine that is off can be neither cycled nor reset nor stopped softly.
        """
        console = self.console()
        codes = {
            console.control(control)
            for control in (Control.CYCLE, Control.RESET, Control.SOFT, Control.DIAGNOSTIC)
        }

        self.assertEqual({WRONG_STATE}, codes)
        self.assertEqual([], console.bmc.machine.commands)

    def test_cycle(self) -> None:
        """
        A cycle is off now and on after the pause.
        """
        console = self.console(latency=Latency(cycle=2.0))
        console.control(Control.ON)
        console.control(Control.CYCLE)
        first = console.power()
        self.clock.advance(2.0)

        self.assertEqual((False, True), (first, console.power()))

    def test_reads_are_counted(self) -> None:
        """
        Reads are counted apart from changes.
        """
        console = self.console()
        console.power()
        console.power()

        self.assertEqual((2, []), (console.bmc.machine.reads, console.bmc.machine.commands))

    def test_boot_device(self) -> None:
        """
        The boot flags that were set are the ones that are read, and the machine starts from them.
        """
        console = self.console()
        flags = BootFlags(Device.PXE, efi=True)
        console.do(SetBootOptions(PARAMETER_BOOT_FLAGS, flags.encode()))
        answer = BootOption.decode(console.do(GetBootOptions(PARAMETER_BOOT_FLAGS)).data)
        console.control(Control.ON)

        self.assertEqual(flags, BootFlags.decode(answer.data))
        self.assertEqual([Device.PXE], console.bmc.machine.booted)

    def test_boot_device_expires(self) -> None:
        """
        Boot flags last 60 s without a start, unless the BMC was told not to clear them.
        """
        flags = SetBootOptions(PARAMETER_BOOT_FLAGS, BootFlags(Device.PXE).encode())
        devices = []
        for bits in (b"\x00", b"\x1f"):
            console = self.console()
            console.do(SetBootOptions(PARAMETER_VALID_BIT_CLEARING, bits))
            console.do(flags)
            self.clock.advance(61.0)
            devices.append(console.bmc.machine.boot_flags().device)

        self.assertEqual([Device.NONE, Device.PXE], devices)

    def test_other_boot_parameters(self) -> None:
        """
        Parameters that mean nothing here are accepted, unknown ones are not.
        """
        console = self.console()
        asked: tuple[Any, ...] = (
            SetBootOptions(PARAMETER_SET_IN_PROGRESS, b"\x01"),
            GetBootOptions(PARAMETER_SET_IN_PROGRESS),
            GetBootOptions(PARAMETER_VALID_BIT_CLEARING),
            SetBootOptions(77, b"\x01"),
            GetBootOptions(77),
        )

        self.assertEqual([0, 0, 0, 0x80, 0x80], [console.do(command).code for command in asked])

    def test_garbled_data(self) -> None:
        """
        A command whose data cannot be read is refused, and the session lives on.
        """
        console = self.console()
        garbled = (Raw(0, 2), Raw(0, 2, b"\x0e"), Raw(0, 8), Raw(0, 8, b"\x05\x80"), Raw(0, 9, b"\x05"))

        self.assertEqual({0xC7}, {console.do(command).code for command in garbled})
        self.assertFalse(console.power())


class PrivilegeTests(BmcCase):
    def test_user_level(self) -> None:
        """
        A session begins at user level: it may read, and not change.
        """
        console = Console(make_bmc(self.clock)).log_in(raise_privilege=False)

        self.assertFalse(console.power())
        self.assertEqual(INSUFFICIENT_PRIVILEGE, console.control(Control.ON))
        self.assertFalse(console.bmc.machine.power())

    def test_operator(self) -> None:
        """
        An operator may switch power.
        """
        bmc = make_bmc(self.clock)
        console = Console(bmc, username=b"oper", password=b"opsecret", privilege=3).log_in()

        self.assertEqual(0, console.control(Control.ON))

    def test_above_the_limit(self) -> None:
        """
        Nobody gets a level above what the session was made for, nor one that there is not.
        """
        bmc = make_bmc(self.clock)
        console = Console(bmc, privilege=3).log_in()

        self.assertEqual(0x81, console.do(SetPrivilege(4)).code)
        self.assertEqual(0xCC, console.do(SetPrivilege(5)).code)
        self.assertEqual(b"\x03", console.do(SetPrivilege(0)).data)


class AboutTheBmcTests(BmcCase):
    def outside(self, bmc: Bmc, command: Any) -> LanResponse:
        return Console15(bmc).outside(command)

    def test_ping(self) -> None:
        """
        A presence ping is answered with its tag.
        """
        reply = make_bmc(self.clock).receive(Ping(9).encode())

        assert reply is not None
        self.assertEqual(
            (9, True), (Pong.decode(reply.datagram).tag, Pong.decode(reply.datagram).speaks_ipmi)
        )

    def test_capabilities(self) -> None:
        """
        The authentication capabilities tell what the profile says.
        """
        cases = {
            Profile(): (True, 3, 4, False),
            Profile(kg=b"k"): (True, 3, 4, True),
            Profile(ipmi15=False): (True, 2, 0, False),
            Profile(suites=()): (False, 0, 4, False),
        }
        for profile, expected in cases.items():
            answer = self.outside(make_bmc(self.clock, profile), GetAuthCapabilities(4))
            found = AuthCapabilities.decode(answer.data)

            self.assertEqual(
                expected, (found.extended, found.versions, found.auth_types, found.needs_k_g), profile
            )

    def test_capabilities_as_of_1_5(self) -> None:
        """
        Who does not ask for the extended capabilities gets those of IPMI 1.5.
        """
        answer = self.outside(make_bmc(self.clock), GetAuthCapabilities(4, extended=False))

        self.assertEqual((False, 0), (AuthCapabilities.decode(answer.data).extended, answer.data[3]))

    def test_cipher_suites(self) -> None:
        """
        The list of cipher suites comes in pieces, in or out of an RMCP+ packet.
        """
        bmc = make_bmc(self.clock, Profile(suites=(3, 8, 17, 3)))
        records, index = b"", 0
        while True:
            piece = CipherSuites.decode(self.outside(bmc, GetCipherSuites(index)).data)
            records, index = records + piece.records, index + 1
            if piece.last:
                break
        request = LanRequest(6, 0x54, GetCipherSuites().encode())
        reply = bmc.receive(outside20(PAYLOAD_IPMI, request.encode()))

        assert reply is not None
        self.assertEqual((3, 8, 17), suite_numbers(records))
        wrapped = CipherSuites.decode(LanResponse.decode(Packet.decode(reply.datagram).payload).data)
        self.assertEqual(records[:16], wrapped.records)

    def test_identity(self) -> None:
        """
        A BMC tells its version, its GUID, and how many sessions it has.
        """
        console = self.console()

        self.assertEqual(0x02, DeviceId.decode(console.do(GetDeviceId()).data).ipmi_version)
        self.assertEqual(GUID, console.do(Raw(6, 0x37)).data)
        self.assertEqual(b"\x01\x04\x01", console.do(Raw(6, 0x3D, b"\x00")).data)

    def test_outside_a_session(self) -> None:
        """
        Outside a session there is no power.
        """
        bmc = make_bmc(self.clock)

        self.assertEqual(INSUFFICIENT_PRIVILEGE, self.outside(bmc, GetChassisStatus()).code)
        self.assertEqual(INSUFFICIENT_PRIVILEGE, self.outside(bmc, ChassisControl(Control.ON)).code)

    def test_authenticated_outside_a_session(self) -> None:
        """
        A packet of IPMI 1.5 with a code but without a session is not answered.
        """
        request = LanRequest(6, 0x38, GetAuthCapabilities(4).encode())
        packet = signed(AUTH_MD5, b"secret", 0, 0, request.encode())

        self.assertIsNone(make_bmc(self.clock).receive(packet.encode()))

    def test_unknown_command(self) -> None:
        """
        A command that no BMC here knows is an invalid command.
        """
        self.assertEqual(INVALID_COMMAND, self.console().do(Raw(0x2C, 0x3E)).code)


class SessionTests(BmcCase):
    def test_close(self) -> None:
        """
        Closing is answered, and then the session is gone.
        """
        console = self.console()

        self.assertEqual(0, console.do(CloseSession(console.managed_id)).code)
        self.assertRaises(NoAnswer, console.power)

    def test_close_another(self) -> None:
        """
        A session that is not there cannot be closed.
        """
        self.assertEqual(0x87, self.console().do(CloseSession(1)).code)

    def test_idle(self) -> None:
        """
        A session that is used stays; one that is idle for too long is gone.
        """
        console = self.console(Profile(idle_timeout=60.0))
        for _ in range(3):
            self.clock.advance(59.0)
            console.power()
        self.clock.advance(61.0)

        self.assertRaises(NoAnswer, console.power)

    def test_repeated_packet(self) -> None:
        """
        A packet that comes twice is one command.
        """
        console = self.console()
        packet = console.sealed(ChassisControl(Control.ON))
        console.ask(packet)

        self.assertRaises(NoAnswer, console.ask, packet)
        self.assertEqual(1, console.bmc.machine.count("on"))

    def test_repeated_command(self) -> None:
        """
        The same command in a new packet is a second command: a BMC does not know that it was meant once.
        """
        console = self.console()
        console.control(Control.ON)
        console.control(Control.ON)

        self.assertEqual(2, console.bmc.machine.count("on"))

    def test_order(self) -> None:
        """
        Packets may come a little out of order, and not far ahead.
        """
        console = self.console()
        late, early = (console.sealed(GetChassisStatus()) for _ in range(2))

        self.assertEqual(0, console.read(console.ask(early)).code)
        self.assertEqual(0, console.read(console.ask(late)).code)
        far = console.sealed(GetChassisStatus(), sequence=console.sequence + 17)
        self.assertRaises(NoAnswer, console.ask, far)

    def test_forged_packet(self) -> None:
        """
        A packet that was changed on its way is not looked at.
        """
        console = self.console()
        packet = bytearray(console.sealed(ChassisControl(Control.ON)))
        packet[40] ^= 1

        self.assertRaises(NoAnswer, console.ask, bytes(packet))
        self.assertEqual([], console.bmc.machine.commands)


class FaultTests(BmcCase):
    def test_dead(self) -> None:
        """
        A dead BMC is silent, and works again when it is not dead any more.
        """
        console = self.console()
        console.bmc.faults = Faults(dead=True)
        self.assertRaises(NoAnswer, console.power)
        self.assertRaises(NoAnswer, console.open)
        console.bmc.faults = Faults()

        self.assertFalse(console.power())

    def test_stuck(self) -> None:
        """
        A stuck BMC accepts, and nothing happens; what it was asked is recorded.
        """
        console = self.console()
        console.bmc.faults = Faults(stuck=True)

        self.assertEqual((0, False), (console.control(Control.ON), console.power()))
        console.do(SetBootOptions(PARAMETER_BOOT_FLAGS, BootFlags(Device.PXE).encode()))
        self.assertFalse(console.bmc.machine.boot_flags().valid)
        self.assertEqual(["on", "set-boot"], [command.verb for command in console.bmc.machine.commands])

    def test_refuse(self) -> None:
        """
        Only the commands named are refused, with their codes, and they are not done.
        """
        console = self.console()
        console.bmc.faults = Faults(refuse={"on": NODE_BUSY, "status": UNSPECIFIED})

        self.assertEqual(NODE_BUSY, console.control(Control.ON))
        self.assertEqual(0, console.control(Control.OFF))
        self.assertEqual(UNSPECIFIED, console.do(GetChassisStatus()).code)
        self.assertEqual(["off"], [command.verb for command in console.bmc.machine.commands])

    def test_mute(self) -> None:
        """
        A command whose answer is lost is done all the same.
        """
        console = self.console()
        console.bmc.faults = Faults(mute=frozenset({"on"}))

        self.assertRaises(NoAnswer, console.control, Control.ON)
        self.assertTrue(console.power())

    def test_forgetful(self) -> None:
        """
        A forgetful BMC answers one command in a session, and then does not know the session.
        """
        bmc = make_bmc(self.clock)
        bmc.faults = Faults(forgetful=True)
        console = Console(bmc).log_in()

        self.assertFalse(console.power())
        self.assertRaises(NoAnswer, console.power)

    def test_restart(self) -> None:
        """
        A restart of the BMC forgets all sessions and does not touch the machine.
        """
        console = self.console()
        console.control(Control.ON)
        console.bmc.forget_sessions()

        self.assertRaises(NoAnswer, console.power)
        self.assertTrue(console.bmc.machine.power())

    def test_other_firmware(self) -> None:
        """
        A BMC that starts as another kind offers what that kind does.
        """
        bmc = make_bmc(self.clock)
        bmc.restart(Profile(suites=(3,)))

        Console(bmc, suite=3).log_in()
        self.assertEqual(STATUS_NO_SUITE, Console(bmc, suite=17).open().status)

    def test_delays(self) -> None:
        """
        Each kind of answer has the delay that was set for it.
        """
        console = self.console()
        console.bmc.faults = Faults(reply_delay=1.0, handshake_delay=2.0, command_delay=4.0)
        session = console.bmc.receive(console.sealed(SetPrivilege(0)))
        command = console.bmc.receive(console.sealed(GetChassisStatus()))
        ping = console.bmc.receive(Ping(1).encode())

        self.assertEqual([3.0, 5.0, 1.0], [reply.delay for reply in (session, command, ping) if reply])

    def test_mistakes(self) -> None:
        """
        A probability above 1 or a negative delay is refused.
        """
        self.assertRaises(ValueError, Faults, loss_in=1.5)
        self.assertRaises(ValueError, Faults, reply_delay=-1.0)


def requests() -> st.SearchStrategy[LanRequest]:
    return st.builds(
        LanRequest,
        st.integers(0, 31).map(lambda netfn: netfn * 2),
        st.integers(0, 255),
        st.binary(max_size=40),
        st.integers(0, 63),
    )


class AnyDatagramTests(HypothesisNotes, BmcCase):
    @given(
        st.binary(max_size=120),
        st.sampled_from([b"", b"\x06\x00\xff\x07", b"\x06\x00\xff\x07\x06", b"\x06\x00\xff\x06"]),
    )
    def test_noise(self, noise: bytes, start: bytes) -> None:
        """
        No datagram makes a BMC raise, nor changes the machine.
        """
        bmc = make_bmc(self.clock)
        bmc.receive(start + noise)

        self.assertEqual([], bmc.machine.commands)

    @given(requests())
    def test_any_command_outside(self, request: LanRequest) -> None:
        """
        No command without a session makes a BMC raise, nor changes the machine; each is answered.
        """
        bmc = make_bmc(self.clock)
        replies = [
            bmc.receive(outside(request.encode())),
            bmc.receive(outside20(PAYLOAD_IPMI, request.encode())),
        ]

        self.assertNotIn(None, replies)
        self.assertEqual([], bmc.machine.commands)

    @given(requests())
    def test_any_command_inside(self, request: LanRequest) -> None:
        """
        No command inside a session makes a BMC raise; each is answered.
        """
        console = Console(make_bmc(self.clock)).log_in()
        command = Raw(request.netfn, request.command, request.data)
        answer = console.do(command)

        self.assertEqual((request.netfn | 1, request.command), (answer.netfn, answer.command))

    @given(
        st.integers(0, 255),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        requests(),
        st.binary(min_size=16, max_size=16),
    )
    def test_any_packet_of_1_5(
        self, kind: int, sequence: int, session: int, request: LanRequest, code: bytes
    ) -> None:
        """
        No packet of IPMI 1.5 without the password changes the machine.
        """
        bmc = Console15(make_bmc(self.clock)).log_in().bmc
        packet = Session15(kind, sequence, session, request.encode(), code if kind else b"")
        bmc.receive(packet.encode())

        self.assertEqual([], bmc.machine.commands)

    @given(st.integers(0, 0x3F), st.binary(max_size=80))
    def test_any_payload(self, kind: int, payload: bytes) -> None:
        """
        No message before a session makes a BMC raise, nor takes more than its slots.
        """
        bmc = make_bmc(self.clock)
        console = Console(bmc)
        console.open()
        managed = console.managed_id.to_bytes(4, "little")
        for body in (payload, payload[:4] + managed + payload[8:]):
            bmc.receive(outside20(kind, body))

        self.assertLessEqual(len(bmc.sessions), bmc.profile.slots)
