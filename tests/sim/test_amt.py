# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.amt`: digest, power, boot, faults.
"""

from __future__ import annotations

import re

from amt import wsman
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.amt.bmc import REQUESTS, SAVING_POWER
from powercoord.sim.amt.digest import MEMORY
from powercoord.sim.amt.envelope import FAULTS
from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Latency
from powercoord.sim.web.exchange import Ask, Framing
from powercoord.sim.web.faults import Faults
from powercoord.sim.web.record import Commanded
from tests.hypothesis_notes import HypothesisNotes
from tests.sim.web import (
    AMT,
    CIM,
    GET_POWER,
    IPS,
    AmtCase,
    boot_source,
    call,
    digest,
    enumeration,
    envelope,
    header,
    transfer,
)

ORDER = f"{CIM}CIM_BootConfigSetting"
ROLE = call("SetBootConfigRole", f"{CIM}CIM_BootService", Role=1)
SETTINGS = f"{AMT}AMT_BootSettingData"
SAVING = f"{IPS}IPS_PowerManagementService"
PXE = "Intel(r) AMT: Force PXE Boot"


class DigestTests(AmtCase):
    def test_recorded_form(self) -> None:
        """
        The challenge has the form that was recorded: no spaces, no algorithm, the connection closed.
        """
        answer = self.post(GET_POWER)

        self.assertRegex(
            header(answer, "WWW-Authenticate"),
            r'^Digest realm="Digest:[0-9A-F]{32}", nonce="[A-Za-z0-9+/]{32}",stale="false",qop="auth"$',
        )
        self.assertEqual((401, True), (answer.code, answer.close))
        self.assertEqual("Intel(R) Active Management Technology 15.0.23.1706", header(answer, "Server"))
        self.assertIn(b"account temporarily locked", answer.body)

    def test_forms(self) -> None:
        """
        Other forms are as the profile says, and each can be answered.
        """
        for qop, chosen, text in (
            ("auth-int, auth", "auth", ',qop="auth-int, auth"'),
            ("auth-int, auth", "auth-int", ',qop="auth-int, auth"'),
            ("auth,,auth-int", "auth", ',qop="auth,,auth-int"'),
            ("", "", ',stale="false"'),
        ):
            self.bmc.restart(Profile(qop=qop, close_on_401=False))
            challenge = self.challenge()
            self.assertTrue(challenge.endswith(text), challenge)
            self.assertEqual(200, self.post(GET_POWER, digest(challenge, GET_POWER, chosen)).code)
            self.assertFalse(self.post(GET_POWER).close)
        self.bmc.restart(Profile(spaced=True))
        self.assertIn('", stale="false", qop="auth"', self.challenge())

    def test_not_offered(self) -> None:
        """
        A protection that was not offered is refused.
        """
        for qop in ("auth-int", "", "nonsense"):
            self.assertEqual(401, self.post(GET_POWER, digest(self.challenge(), GET_POWER, qop)).code)

    def test_replay(self) -> None:
        """
        A count that does not rise is stale, not wrong.
        """
        challenge = self.challenge()
        codes = [self.post(GET_POWER, digest(challenge, nc=nc)).code for nc in (1, 2, 7, 7, 3, 4, 8)]
        stale = header(self.post(GET_POWER, digest(challenge, nc=8)), "WWW-Authenticate")

        self.assertEqual([200, 200, 200, 401, 401, 401, 200], codes)
        self.assertIn('stale="true"', stale)
        self.assertEqual(0, self.bmc.record.wrong_passwords)

    def test_used_up(self) -> None:
        """
        A nonce may wear out, by use, by age, or because the AMT has restarted.
        """
        self.bmc.restart(Profile(nonce_uses=2, nonce_lasts=10))
        challenge = self.challenge()
        used = [self.post(GET_POWER, digest(challenge, nc=nc)).code for nc in (1, 2, 3)]
        challenge = self.challenge()
        self.clock.advance(11)
        old = self.post(GET_POWER, digest(challenge)).code
        challenge = self.challenge()
        self.bmc.guard.forget()

        self.assertEqual(([200, 200, 401], 401), (used, old))
        self.assertIn('stale="true"', header(self.post(GET_POWER, digest(challenge)), "WWW-Authenticate"))

    def test_many_challenges(self) -> None:
        """
        Of many nonces that nobody used, the oldest is forgotten.
        """
        first = self.challenge()
        for _ in range(MEMORY):
            self.challenge()

        self.assertIn('stale="true"', header(self.post(GET_POWER, digest(first)), "WWW-Authenticate"))

    def test_other_name(self) -> None:
        """
        Another user's name or realm is wrong, whatever the rest says.
        """
        for old, new in (('username="admin"', 'username="root"'), ("realm=", "realmy=")):
            self.assertEqual(401, self.post(GET_POWER, digest(self.challenge()).replace(old, new)).code)
        self.assertEqual(2, self.bmc.record.wrong_passwords)

    def test_wrong(self) -> None:
        """
        A wrong password is refused, counted, and not called stale; nothing is done.
        """
        body = call("RequestPowerStateChange", f"{CIM}CIM_PowerManagementService", PowerState=2)
        answer = self.post(body, digest(self.challenge(), password="wrong"))

        self.assertIn('stale="false"', header(answer, "WWW-Authenticate"))
        self.assertEqual((1, []), (self.bmc.record.wrong_passwords, self.machine.commands))
        for garbage in (
            "Basic YWRtaW46c2VjcmV0",
            "Digest",
            "Digest response=",
            "\xff",
            "Digest " + "," * 999,
        ):
            self.assertEqual(401, self.post(GET_POWER, garbage).code)

    def test_lock(self) -> None:
        """
        Wrong passwords in a row lock the account, for a while or until it is unlocked.
        """
        self.bmc.restart(Profile(lock_after=2, lock_lasts=60))

        def wrong() -> int:
            return self.post(GET_POWER, digest(self.challenge(), password="wrong")).code

        wrong()
        self.ask(GET_POWER)
        wrong()
        between = self.ask(GET_POWER).code
        wrong(), wrong()
        locked = self.ask(GET_POWER).code, self.bmc.locked
        self.clock.advance(60)
        self.assertEqual((200, (401, True), 200), (between, locked, self.ask(GET_POWER).code))
        wrong(), wrong()
        self.bmc.unlock()
        self.assertEqual(200, self.ask(GET_POWER).code)

    def test_changed_password(self) -> None:
        """
        A fault may change the password.
        """
        self.bmc.faults = Faults(password="new")

        self.assertEqual(401, self.ask(GET_POWER).code)
        self.assertEqual(200, self.post(GET_POWER, digest(self.challenge(), password="new")).code)


class PowerTests(AmtCase):
    def test_effects(self) -> None:
        """
        Each request does what it says, or has a ReturnValue that says why not.
        """
        for wanted, on, value, verb in (
            (2, False, 0, "on"),
            (2, True, 0, None),
            (8, True, 0, "off"),
            (8, False, 0, None),
            (5, True, 0, "cycle"),
            (5, False, 4097, None),
            (10, True, 0, "reset"),
            (10, False, 4097, None),
            (11, True, 0, "diag"),
            (12, True, 0, "soft"),
            (12, False, 4097, None),
            (14, True, 0, "soft-reset"),
            (99, True, 5, None),
            ("x", True, 5, None),
            ("9" * 5_000, True, 5, None),
        ):
            self.machine.press_button(on)
            before = len(self.machine.commands)
            self.assertEqual(value, self.request(wanted), (wanted, on))
            done = [command.verb for command in self.machine.commands[before:]]
            self.assertEqual([] if verb is None else [verb], done, (wanted, on))

    def test_record(self) -> None:
        """
        The record has each request with its ReturnValue.
        """
        self.request(2)
        self.clock.advance(1)
        self.request(99)

        self.assertEqual([Commanded(0, 0, "2", 0), Commanded(1, 0, "99", 5)], self.bmc.record.commands)

    def test_state(self) -> None:
        """
        PowerState and what is available follow the machine, as recorded.
        """
        off = self.values(GET_POWER, "AvailableRequestedPowerStates"), self.state()
        self.request(2)
        on = self.values(GET_POWER, "AvailableRequestedPowerStates"), self.state()
        self.bmc.restart(Profile(graceful=False, off_state=6))
        without = self.values(GET_POWER, "AvailableRequestedPowerStates")
        refused = self.request(12)
        self.request(8)

        self.assertEqual((["2"], "8"), off)
        self.assertEqual((["10", "8", "5", "11", "4", "7", "14", "12"], "2"), on)
        self.assertEqual((["10", "8", "5", "11", "4", "7"], 1, "6"), (without, refused, self.state()))

    def test_profile(self) -> None:
        """
        ReturnValues are as the profile says.
        """
        self.bmc.restart(Profile(accepted=4096, already=4097, impossible=2))

        self.assertEqual([2, 4096, 4097], [self.request(each) for each in (5, 2, 2)])

    def test_sleep(self) -> None:
        """
        A machine that was sent to sleep says so until it is woken or loses power.
        """
        self.request(2)
        self.request(4)
        asleep = self.state()
        self.request(2)
        awake = self.state()
        self.request(7)
        hibernating = self.state()
        self.machine.press_button(False)

        off = self.state()
        self.machine.press_button(True)

        self.assertEqual(("4", "2", "7", "8", "2"), (asleep, awake, hibernating, off, self.state()))

    def test_modern_standby(self) -> None:
        """
        In modern standby PowerState is 2 and OSPowerSavingState 3, until full power is asked for.
        """
        self.request(2)
        self.bmc.saving = SAVING_POWER
        before = self.state(), self.values(transfer("Get", SAVING), "OSPowerSavingState")
        wrong, right = (
            self.values(
                call("RequestOSPowerSavingStateChange", SAVING, OSPowerSavingState=each), "ReturnValue"
            )
            for each in (3, 2)
        )

        self.assertEqual(("2", ["3"]), before)
        self.assertEqual((["5"], ["0"]), (wrong, right))
        self.assertEqual(["2"], self.values(transfer("Get", SAVING), "OSPowerSavingState"))

    def test_enumerated(self) -> None:
        """
        The state can be pulled from CIM_ServiceAvailableToElement, as MeshCentral does.
        """
        resource = f"{CIM}CIM_ServiceAvailableToElement"
        context = self.values(enumeration("Enumerate", resource), "EnumerationContext")

        self.assertEqual((1, 0), (len(context), self.machine.reads))
        self.assertEqual(["8"], self.values(enumeration("Pull", resource), "PowerState"))
        self.assertEqual(1, self.machine.reads)


class SlowPowerTests(AmtCase):
    latency = Latency(on=2.0)

    def test_off_overtakes_on(self) -> None:
        """
        Power off stops a power on that is under way.
        """
        self.request(2)
        self.request(8)
        self.clock.advance(5)

        self.assertEqual(("8", ["on", "off"]), (self.state(), [each.verb for each in self.machine.commands]))


class BootTests(AmtCase):
    def order(self, source: str | None) -> list[str]:
        more = {} if source is None else {"Source": boot_source(source)}
        return self.values(call("ChangeBootOrder", ORDER, **more), "ReturnValue")

    def test_once(self) -> None:
        """
        A source is used by one start, whichever of the two calls came first.
        """
        for source, device, role_first in (
            (PXE, Device.PXE, False),
            ("Intel(r) AMT: Force Hard-drive Boot", Device.DISK, True),
            ("Intel(r) AMT: Force CD/DVD Boot", Device.CDROM, True),
        ):
            self.bmc.restart(Profile())
            self.machine.booted.clear()
            if role_first:
                self.ask(ROLE)
            self.assertEqual(["0"], self.order(source))
            if not role_first:
                self.ask(ROLE)
            self.clock.advance(1e6)
            self.request(2), self.request(10), self.request(8)
            self.ask(ROLE)
            self.request(2)
            self.assertEqual([device, Device.NONE, Device.NONE], self.machine.booted)
            self.request(8)

    def test_without_role(self) -> None:
        """
        A source alone does nothing, nor does one that was taken back.
        """
        self.order(PXE)
        self.request(2)
        self.order(None)
        self.ask(ROLE)
        self.request(10)
        self.order(PXE)
        self.order(None)
        self.request(10)

        self.assertEqual([Device.NONE] * 3, self.machine.booted)

    def test_mistakes(self) -> None:
        """
        An unknown source or role is an invalid parameter.
        """
        unknown = call("SetBootConfigRole", f"{CIM}CIM_BootService", Role=7)

        self.assertEqual((["5"], ["5"]), (self.order("Toaster"), self.values(unknown, "ReturnValue")))

    def test_settings(self) -> None:
        """
        AMT_BootSettingData is what was put, member by member.
        """
        text = (
            f'<h:X xmlns:h="{SETTINGS}"><h:BIOSLastStatus>7</h:BIOSLastStatus><h:UseSOL>true</h:UseSOL></h:X>'
        )
        self.assertEqual(["2", "0"], self.values(transfer("Get", SETTINGS), "BIOSLastStatus"))
        self.assertEqual(["true"], self.values(transfer("Put", SETTINGS, text), "UseSOL"))
        self.assertEqual(["7", "0"], self.values(transfer("Get", SETTINGS), "BIOSLastStatus"))


class EnvelopeTests(AmtCase):
    def test_requests_of_others(self) -> None:
        """
        What PyPI's `amt` writes is understood.
        """
        written = wsman.power_state_request("http://amt/wsman", "on")

        self.assertEqual(["0"], self.values(written.encode(), "ReturnValue"))
        self.assertTrue(self.machine.power())

    def test_answer(self) -> None:
        """
        An answer relates to its question, says its type and comes in chunks with a date.
        """
        answer = self.ask(envelope("Get", f"{CIM}CIM_BootService", number="a<b").replace(b"a<b", b"a&lt;b"))

        self.assertIn(b"<b:RelatesTo>a&lt;b</b:RelatesTo>", answer.body)
        self.assertEqual((200, Framing.CHUNKED_AMT), (answer.code, answer.framing))
        self.assertEqual("application/soap+xml; charset=UTF-8", header(answer, "Content-Type"))
        self.assertEqual("Thu, 01 Jan 1970 00:00:00 GMT", header(answer, "Date"))

    def test_unknown(self) -> None:
        """
        What there is not is a fault, with 400, that says which.
        """
        for body, fault in (
            (transfer("Get", f"{CIM}CIM_Toaster"), "b:DestinationUnreachable"),
            (call("Explode", f"{CIM}CIM_BootService"), "b:ActionNotSupported"),
            (call("RequestPowerStateChange", f"{CIM}CIM_Toaster", PowerState=2), "b:DestinationUnreachable"),
            (b"no xml", "e:SchemaValidationError"),
            (b"<a/>", "e:SchemaValidationError"),
            (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "e:SchemaValidationError"),
            (b"<!DOCTYPE a>" + GET_POWER.partition(b"?>")[2], "e:SchemaValidationError"),
            (re.sub(rb"<a:Action>.*</a:Action>", b"", GET_POWER), "e:SchemaValidationError"),
            (re.sub(rb"<w:ResourceURI>.*</w:ResourceURI>", b"", GET_POWER), "e:SchemaValidationError"),
            (b"<a>" * 50_000, "e:SchemaValidationError"),
        ):
            answer = self.ask(body)
            self.assertEqual(400, answer.code)
            self.assertIn(f"<a:Subcode><a:Value>{fault}</a:Value>".encode(), answer.body)
        self.assertEqual([], self.machine.commands)

    def test_elsewhere(self) -> None:
        """
        Only a POST to /wsman is WS-Management.
        """
        for method, path, code in (("POST", "/", 404), ("GET", "/wsman", 405)):
            used = digest(self.challenge()) if method == "POST" else self.for_get(self.challenge())
            answer = self.bmc.receive(Ask(method=method, path=path, headers={"authorization": used})).answer
            assert answer is not None
            self.assertEqual(code, answer.code)

    def for_get(self, challenge: str) -> str:
        from hashlib import md5

        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        first = md5(f"admin:{said['realm']}:secret".encode()).hexdigest()
        second = md5(b"GET:/wsman").hexdigest()
        response = md5(f"{first}:{said['nonce']}:00000001:x:auth:{second}".encode()).hexdigest()
        return (
            f'Digest username="admin", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="/wsman", '
            f'response="{response}", qop=auth, nc=00000001, cnonce="x"'
        )


class FaultTests(AmtCase):
    def test_complaints(self) -> None:
        """
        A complaint is a fault of AMT, or a ReturnValue, and what was asked is not done.
        """
        for fault in FAULTS:
            self.bmc.faults = Faults(complain={"request": fault})
            answer = self.ask(
                call("RequestPowerStateChange", f"{CIM}CIM_PowerManagementService", PowerState=2)
            )
            self.assertEqual(400, answer.code)
            self.assertIn(f":{fault}</a:Value>".encode(), answer.body)
        self.bmc.faults = Faults(complain={"request": "4099", "boot-order": "2", "boot-role": "3"})
        self.assertEqual(4099, self.request(2))
        order = call("ChangeBootOrder", ORDER)
        self.assertEqual(
            (["2"], ["3"]), (self.values(order, "ReturnValue"), self.values(ROLE, "ReturnValue"))
        )
        self.assertEqual([], self.machine.commands)

    def test_names(self) -> None:
        """
        Requests have the names that faults know them by, with credentials or without.
        """
        self.ask(GET_POWER)
        self.request(2)
        self.ask(ROLE)
        self.ask(transfer("Put", SETTINGS))
        self.ask(b"?")
        names = [each.name for each in self.bmc.record.requests]

        self.assertEqual(["power", "request", "boot-role", "boot-settings-put", "other"], names[1::2])
        self.assertEqual({"challenge"}, set(names[::2]))
        self.assertLess(set(names), set(REQUESTS))

    def test_unknown_words(self) -> None:
        """
        Faults with a name or a complaint that there is not are refused when they are set.
        """
        for faults in (Faults(mute=frozenset(["reset"])), Faults(complain={"request": "SYS518"})):
            self.assertRaises(ValueError, self.bmc.check, faults)

    def test_shown_and_stuck(self) -> None:
        """
        A fault may tell any state, and take commands without effect.
        """
        self.bmc.faults = Faults(shows="3", stuck=True)

        self.assertEqual((0, "3", False), (self.request(2), self.state(), self.machine.power()))
        self.machine.press_button(True)
        self.request(4)
        self.bmc.faults = Faults()
        self.assertEqual("2", self.state())

    def test_unchunked(self) -> None:
        """
        Answers may have a length.
        """
        self.bmc.restart(evolve(self.profile, chunked=False))

        self.assertEqual(Framing.LENGTH, self.ask(GET_POWER).framing)


class AnythingTests(HypothesisNotes, AmtCase):
    @given(
        st.one_of(
            st.binary(max_size=100),
            st.text(max_size=50).map(
                lambda text: call(
                    "RequestPowerStateChange",
                    f"{CIM}CIM_PowerManagementService",
                    PowerState=text.replace("<", ""),
                )
            ),
        ),
        st.text(max_size=60),
    )
    def test_no_exception(self, body: bytes, authorization: str) -> None:
        """
        Whatever is asked, there is an answer.
        """
        for used in (authorization, "Digest " + authorization, digest(self.challenge(), body)):
            self.assertIn(self.post(body, used).code, (200, 400, 401))
