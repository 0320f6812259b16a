# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.redfish`: logins, ETags, the boot override, paths, faults, events.
"""

from __future__ import annotations

import json

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from powercoord.drivers.ipmi.boot import BootFlags, Device
from powercoord.sim.machine import NO_BOOT, Latency
from powercoord.sim.redfish.bmc import REQUESTS
from powercoord.sim.redfish.messages import COMPLAINTS
from powercoord.sim.redfish.places import places
from powercoord.sim.redfish.profile import ETags, Profile, Slash
from powercoord.sim.web.exchange import Ask, Framing
from powercoord.sim.web.faults import Faults
from tests.hypothesis_notes import HypothesisNotes
from tests.sim.web import RESET, ROOT, SESSIONS, SYSTEM, RedfishCase, basic, header


class LoginTests(RedfishCase):
    profile = Profile(session_limit=2, session_timeout=60)

    def token(self) -> dict[str, str]:
        return {"x-auth-token": header(self.log_in(), "X-Auth-Token")}

    def test_session(self) -> None:
        """
        A token is good until its session is ended, and its session is shown without it.
        """
        answer = self.log_in()
        token, place = {"x-auth-token": header(answer, "X-Auth-Token")}, header(answer, "Location")
        shown = self.get(place, token)
        codes = [self.ask("DELETE", place, headers=token).code, self.ask("GET", SYSTEM, headers=token).code]

        self.assertEqual(201, answer.code)
        self.assertEqual(("admin", None), (shown["UserName"], shown["Password"]))
        self.assertNotIn(token["x-auth-token"], json.dumps(shown))
        self.assertEqual([204, 401], codes)

    def test_limit(self) -> None:
        """
        One session too many is refused, until another is over.
        """
        places = [header(self.log_in(), "Location") for _ in range(2)]
        full = self.log_in()
        self.ask("DELETE", places[0])

        self.assertEqual((503, 201), (full.code, self.log_in().code))
        self.assertIn(b"SessionLimitExceeded", full.body)

    def test_idle(self) -> None:
        """
        A session lasts while it is used.
        """
        token = self.token()
        for _ in range(3):
            self.clock.advance(59)
            self.get(SYSTEM, token)
        self.clock.advance(61)

        self.assertEqual(401, self.ask("GET", SYSTEM, headers=token).code)

    def test_restart(self) -> None:
        """
        A restart of the BMC ends all sessions, and the machine does not notice.
        """
        token = self.token()
        self.reset("On")
        self.bmc.restart(self.profile)

        self.assertEqual(401, self.ask("GET", SYSTEM, headers=token).code)
        self.assertEqual("On", self.state())

    def test_wrong(self) -> None:
        """
        Wrong credentials are refused and counted, a lost session is refused and not counted.
        """
        for headers in (basic(password="wrong"), basic("nobody"), {"x-auth-token": "lost"}, {}):
            self.assertEqual(401, self.ask("GET", SYSTEM, headers=headers).code)
        self.assertEqual(401, self.log_in(password="wrong").code)
        for garbage in ("Basic \xff", "Basic " + "=" * 9, "Digest x"):
            self.assertEqual(401, self.ask("GET", SYSTEM, headers={"authorization": garbage}).code)

        self.assertEqual(3, self.bmc.record.wrong_passwords)
        self.assertEqual(400, self.ask("POST", SESSIONS, {"UserName": "admin"}, {}).code)

    def test_changed_password(self) -> None:
        """
        A fault may change everybody's password.
        """
        self.bmc.faults = Faults(password="new")

        self.assertEqual(401, self.ask("GET", SYSTEM).code)
        self.get(SYSTEM, basic(password="new"))
        self.assertNotIn("new", repr(self.bmc.faults))

    def test_lock(self) -> None:
        """
        After too many wrong passwords the right one is refused too.
        """
        self.become(Profile(lock_after=2))
        for _ in range(2):
            self.ask("GET", SYSTEM, headers=basic(password="wrong"))

        self.assertEqual(401, self.ask("GET", SYSTEM).code)

    def test_only_one_way(self) -> None:
        """
        A service may know only sessions, or only HTTP Basic.
        """
        self.become(Profile(basic=False))
        answer = self.ask("GET", SYSTEM)
        self.assertEqual((401, ""), (answer.code, header(answer, "WWW-Authenticate")))
        self.get(SYSTEM, self.token())
        self.become(Profile(sessions=False))
        self.assertEqual(404, self.ask("POST", SESSIONS, {}).code)
        self.assertNotIn("SessionService", self.get(f"{ROOT}/"))

    def test_others_session(self) -> None:
        """
        Only an administrator ends other people's sessions.
        """
        place = header(self.log_in(), "Location")

        self.assertEqual(403, self.ask("DELETE", place, headers=basic("oper", "opsecret")).code)
        self.assertEqual(204, self.ask("DELETE", place).code)
        self.assertEqual(404, self.ask("DELETE", place).code)

    def test_public(self) -> None:
        """
        Who is not logged in sees the root and nothing else.
        """
        seen = {
            path: self.ask("GET", path, headers={}).code
            for path in ("/redfish", "/redfish/v1", f"{ROOT}/", f"{ROOT}/odata", f"{ROOT}/Systems", "/none")
        }

        self.assertEqual([200, 200, 200, 200, 401, 401], list(seen.values()))


class ETagTests(RedfishCase):
    def patch(self, tag: str | None) -> int:
        body = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
        more = {} if tag is None else {"if-match": tag}
        return self.ask("PATCH", SYSTEM, body, basic() | more).code

    def test_kinds(self) -> None:
        """
        Each kind of service shows its tags and takes them as it does.
        """
        for etags, shown, strong, weak, anything in (
            (ETags.NONE, "", 204, 204, 204),
            (ETags.STRONG, '"', 204, 412, 204),
            (ETags.WEAK, 'W/"', 204, 204, 204),
            (ETags.WEAK_TAKEN_STRONG, 'W/"', 204, 412, 204),
            (ETags.WEAK_TAKEN_NEVER, 'W/"', 412, 412, 412),
        ):
            self.become(Profile(etags=etags))

            def tag() -> str:
                return header(self.ask("GET", SYSTEM), "ETag").removeprefix("W/") or '"none"'

            told = header(self.ask("GET", SYSTEM), "ETag")
            self.assertEqual(shown, told[: len(shown)] if shown else told)
            codes = (self.patch(tag()), self.patch(f"W/{tag()}"), self.patch("*"))
            self.assertEqual((strong, weak, anything), codes, etags)
            self.assertEqual(204 if etags is ETags.NONE else 412, self.patch('"stale"'))

    def test_required(self) -> None:
        """
        A service may want a tag, and says so with 428.
        """
        self.assertEqual(204, self.patch(None))
        self.become(Profile(if_match=True))

        self.assertEqual(428, self.patch(None))

    def test_changes(self) -> None:
        """
        A tag is another one as soon as the system is another.
        """
        before = header(self.ask("GET", SYSTEM), "ETag")
        self.reset("On")

        self.assertNotEqual(before, header(self.ask("GET", SYSTEM), "ETag"))
        self.assertEqual(412, self.patch(before))


class BootTests(RedfishCase):
    def patch(self, path: str = SYSTEM, **boot: object) -> int:
        return self.ask("PATCH", path, {"Boot": {f"BootSourceOverride{k}": v for k, v in boot.items()}}).code

    def test_override(self) -> None:
        """
        The override is set member by member, and taken back.
        """
        self.patch(Target="Pxe", Enabled="Once")
        self.assertEqual(BootFlags(Device.PXE), self.machine.boot_flags())
        self.patch(Mode="UEFI", Enabled="Continuous")
        self.assertEqual(BootFlags(Device.PXE, persistent=True, efi=True), self.machine.boot_flags())
        self.patch(Enabled="Disabled")
        self.assertEqual(NO_BOOT, self.machine.boot_flags())

    def test_once(self) -> None:
        """
        What is set for once is used by one start, however late.
        """
        self.patch(Target="Hdd", Enabled="Once")
        self.clock.advance(1e6)
        self.reset("On")
        self.reset("ForceRestart")

        self.assertEqual([Device.DISK, Device.NONE], self.machine.booted)
        self.assertEqual("Disabled", self.get(SYSTEM)["Boot"]["BootSourceOverrideEnabled"])

    def test_read_back(self) -> None:
        """
        Some services always tell Continuous.
        """
        self.become(Profile(boot_continuous=True))
        self.patch(Target="Pxe", Enabled="Once")
        told = self.get(SYSTEM)["Boot"]

        self.assertEqual(
            ("Continuous", "Pxe"), (told["BootSourceOverrideEnabled"], told["BootSourceOverrideTarget"])
        )
        self.assertFalse(self.machine.boot_flags().persistent)

    def test_settings_object(self) -> None:
        """
        Some want it in their settings object, and say so.
        """
        self.assertEqual(404, self.patch(f"{SYSTEM}/Settings", Target="Pxe", Enabled="Once"))
        self.become(Profile(boot_settings=True))
        place = self.get(SYSTEM)["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
        codes = self.patch(Target="Pxe", Enabled="Once"), self.patch(place, Target="Pxe", Enabled="Once")

        self.assertEqual((400, 204), codes)
        self.assertEqual(Device.PXE, self.machine.boot_flags().device)
        self.assertEqual("Pxe", self.get(place)["Boot"]["BootSourceOverrideTarget"])

    def test_mistakes(self) -> None:
        """
        What is no override is refused, and nothing is changed.
        """
        for body in (
            {},
            {"Boot": 3},
            {"Boot": {"BootSourceOverrideTarget": "Toaster"}},
            {"Boot": {"BootSourceOverrideEnabled": ["Once"]}},
            {"Boot": {"Nonsense": 1}},
            {"PowerState": "On"},
        ):
            self.assertEqual(400, self.ask("PATCH", SYSTEM, body).code, body)
        self.assertEqual(403, self.ask("PATCH", SYSTEM, {}, basic("reader", "readsecret")).code)
        self.assertEqual(NO_BOOT, self.machine.boot_flags())


class PathTests(RedfishCase):
    def test_links(self) -> None:
        """
        Every link of every document leads somewhere.
        """
        self.become(Profile(boot_settings=True, reset_code=202))
        self.log_in()
        self.reset("On")
        waiting, seen = [f"{ROOT}/"], set()
        while waiting:
            path = waiting.pop()
            if path in seen or path.endswith("/SSE"):
                continue
            seen.add(path)
            text = json.dumps(self.get(path))
            waiting += [
                word
                for word in text.split('"')
                if word.startswith(f"{ROOT}/")
                and "$" not in word
                and "Monitor" not in word
                and "Actions" not in word
            ]

        self.assertLess(20, len(seen))

    def test_slashes(self) -> None:
        """
        A service may take a path either way, only with a slash, or redirect to it with the same method.
        """
        codes = {}
        for slash in Slash:
            self.become(Profile(slash=slash))
            codes[slash] = [self.ask("GET", path).code for path in (SYSTEM, f"{SYSTEM}/")]
        moved = self.bmc.receive(Ask(method="POST", path=RESET, query="a=b", headers=basic())).answer
        assert moved is not None

        self.assertEqual([[200, 200], [404, 200], [308, 200]], list(codes.values()))
        self.assertEqual(f"{RESET}/?a=b", header(moved, "Location"))

    def test_refused(self) -> None:
        """
        An unknown path, a method that a place has not and an unknown version are refused, each in its way.
        """
        wrong = self.ask("DELETE", SYSTEM)

        self.assertEqual(404, self.ask("GET", f"{ROOT}/Nothing").code)
        self.assertEqual(404, self.ask("GET", f"{ROOT}/Systems/3").code)
        self.assertEqual((405, "GET, PATCH, HEAD"), (wrong.code, header(wrong, "Allow")))
        self.assertEqual(412, self.ask("GET", SYSTEM, headers=basic() | {"odata-version": "4.1"}).code)

    def test_headers(self) -> None:
        """
        Lengths, connections and identity are as the profile says.
        """
        usual = self.ask("GET", SYSTEM)
        self.become(Profile(lengths=False, close=True, identity=406, system_id="System.Embedded.{}"))
        odd = self.ask("GET", f"{ROOT}/Systems/System.Embedded.1")
        identity = self.ask("GET", SYSTEM, headers=basic() | {"accept-encoding": "identity"})

        self.assertEqual((Framing.LENGTH, False), (usual.framing, usual.close))
        self.assertEqual((200, Framing.CHUNKED, True), (odd.code, odd.framing, odd.close))
        self.assertEqual(406, identity.code)

    def test_names(self) -> None:
        """
        Every place has a name that faults can use.
        """
        named = {
            method.name for each in places(sessions=True, events=True) for method in each.methods.values()
        }

        self.assertEqual(set(REQUESTS), named | {"other"})


class FaultTests(RedfishCase):
    def test_complaints(self) -> None:
        """
        Each complaint is an error in the vendor's words, and what was asked is not done.
        """
        for word, complaint in COMPLAINTS.items():
            self.bmc.faults = Faults(complain={"reset": word})
            answer = self.ask("POST", RESET, {"ResetType": "On"})
            self.assertEqual(complaint.code, answer.code)
            self.assertIn(complaint.message, json.loads(answer.body)["error"]["code"])
        self.assertEqual(("Off", []), (self.state(), self.bmc.record.commands))

    def test_next(self) -> None:
        """
        A fault may be for the next few requests of one name, after which all is as before.
        """
        self.bmc.fail_next("reset", Faults(complain={"reset": "SYS518"}), times=2)
        self.assertEqual("Off", self.state())

        self.assertEqual([503, 503, 204], [self.reset("On") for _ in range(3)])

    def test_unknown_words(self) -> None:
        """
        Faults with a name or a complaint that there is not are refused when they are set.
        """
        for faults in (
            Faults(mute=frozenset(["rest"])),
            Faults(complain={"reset": "ouch"}),
            Faults(refuse={"x": 500}),
        ):
            self.assertRaises(ValueError, self.bmc.check, faults)
        self.bmc.check(Faults(mute=frozenset("*"), complain={"*": "ilo"}))

    def test_every(self) -> None:
        """
        A fault of every request concerns every request.
        """
        self.bmc.faults = Faults(refuse={"*": 500})

        self.assertEqual([500, 500], [self.ask("GET", path).code for path in (ROOT, "/none")])


class EventTests(RedfishCase):
    latency = Latency(on=2.0)

    def test_news(self) -> None:
        """
        Each change is told once, with where it was; what was before is not.
        """
        first = self.bmc.news()
        self.reset("On")
        powering, again = self.bmc.news(), self.bmc.news()
        self.clock.advance(2)
        on = self.bmc.news()

        self.assertEqual((b"", b""), (first, again))
        for news, number, message in ((powering, 1, "ResourcePoweringOn"), (on, 2, "ResourcePoweredOn")):
            head, _, data = news.decode().partition("\ndata: ")
            event = json.loads(data)["Events"][0]
            self.assertEqual(f"id: {number}", head)
            self.assertEqual(f"ResourceEvent.1.3.{message}", event["MessageId"])
            self.assertEqual(SYSTEM, event["OriginOfCondition"]["@odata.id"])

    def test_none(self) -> None:
        """
        A service may have no events.
        """
        self.become(evolve(self.profile, events=False))

        self.assertNotIn("EventService", self.get(f"{ROOT}/"))
        self.assertEqual(404, self.ask("GET", f"{ROOT}/EventService/SSE").code)


class AnythingTests(HypothesisNotes, RedfishCase):
    @given(
        st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "\xff"]),
        st.one_of(st.sampled_from([SYSTEM, RESET, SESSIONS, f"{ROOT}/odata"]), st.text(max_size=50)),
        st.one_of(
            st.binary(max_size=200),
            st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
                lambda v: json.dumps({"ResetType": v, "Boot": v, "UserName": v}).encode()
            ),
        ),
        st.dictionaries(
            st.sampled_from(["authorization", "x-auth-token", "if-match", "odata-version"]),
            st.text(max_size=30),
        ),
    )
    def test_no_exception(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        """
        Whatever is asked, there is an answer, and power is as it was.
        """
        for used in (headers, basic() | headers):
            answer = self.bmc.receive(Ask(method=method, path=path, headers=used, body=body)).answer
            assert answer is not None
            self.assertLess(answer.code, 500)
        self.assertEqual([], self.machine.commands)
