# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.redfish.complaint`: what a no means, and that it says nothing secret.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from powercoord.drivers.redfish.complaint import Complaint
from powercoord.drivers.redfish.login import Login, has_no_sessions, refuses_password
from powercoord.drivers.web import Answer
from powercoord.errors import PowerActionError, PowerAuthError, PowerRefusedError
from tests.hypothesis_notes import HypothesisNotes
from tests.recorded import recorded

NAMES = st.sampled_from(["error", "@Message.ExtendedInfo", "Messages", "MessageId", "code"])
ANYTHING = st.binary(max_size=60) | st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=10,
)


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, Headers({key.replace("_", "-"): [value] for key, value in headers.items()}), data)


def error(status: int, *messages: tuple[str, str]) -> Complaint:
    info = [{"MessageId": each, "Message": text} for each, text in messages]
    return Complaint.of(answer(status, {"error": {"code": "c", "@Message.ExtendedInfo": info}}))


class KindTests(SynchronousTestCase):
    def test_statuses(self) -> None:
        """
        Without words of its own the status says whether it may pass by itself.
        """
        kinds = {
            PowerAuthError: (401,),
            PowerActionError: (409, 423, 425, 429, 500, 502, 503, 504),
            PowerRefusedError: (400, 403, 404, 405, 501, 505, 304),
        }
        for kind, statuses in kinds.items():
            for status in statuses:
                self.assertIs(kind, type(Complaint.of(answer(status)).error("x")), status)

    def test_words(self) -> None:
        """
        What vendors say while they are not ready may pass, whatever the status.
        """
        for status in (400, 500):
            for message in (
                ("IDRAC.2.8.SYS518", "iDRAC is not ready."),
                ("Base.1.0.GeneralError", "SYS518: the controller is initialising"),
                ("iLO.2.14.InvalidOperationForSystemState", "…"),
                ("iLO.2.14.UnableToModifyDuringSystemPOST", "…"),
                ("Base.1.12.ActionParameterValueConflict", "…"),
            ):
                self.assertIs(PowerActionError, type(error(status, message).error("x")), message)

    def test_sent(self) -> None:
        """
        After a fault inside a service a change may have happened; after any other no it has not.
        """
        for status, sent in ((500, True), (502, True), (504, True), (503, False), (409, False)):
            self.assertEqual(sent, Complaint.of(answer(status)).error("x", sent=True).sent, status)

    def test_task(self) -> None:
        """
        A task that failed is a refusal, unless it says that it may pass.
        """
        failed = evolve(Complaint.of(answer(200, {"Messages": [{"Message": "Out of luck"}]})), task=True)
        self.assertEqual("x: its task failed: Out of luck", str(failed.error("x")))
        self.assertIs(PowerRefusedError, type(failed.error("x")))
        self.assertIs(PowerActionError, type(evolve(error(200, ("SYS518", "")), task=True).error("x")))


class TextTests(HypothesisNotes, SynchronousTestCase):
    def test_recorded(self) -> None:
        """
        Messages are told with their names, also the one that has no list around it.
        """
        folder = recorded("redfish")
        cases = {
            "sushy-error.json": "PropertyValueNotInList, PropertyNotWriteable, MalformedJSON: The value Red",
            "sushy-error_single_ext_info.json": "GeneralError: A general error has occurred. See Resolution",
            "sushy-session_error.json": "NoValidSession: There is no valid session",
        }
        for name, expected in cases.items():
            words = Complaint.of(answer(400, (folder / name).read_bytes())).words
            self.assertTrue(words.startswith(f"HTTP status 400: {expected}"), words)

    def test_secret(self) -> None:
        """
        A service that repeats the password is not quoted with it.
        """
        body = {
            "error": {"@Message.ExtendedInfo": [{"MessageId": "x", "Message": "value s3cret for Password"}]}
        }

        self.assertNotIn("s3cret", Complaint.of(answer(400, body), ("s3cret", "")).words)

    def test_one_line(self) -> None:
        """
        Whatever is said, it is one line of a bearable length.
        """
        words = error(400, ("a.b", "one\r\ntwo\t" + "x" * 5000)).words

        self.assertNotIn("\n", words)
        self.assertLess(len(words), 700)

    @given(ANYTHING)
    def test_anything(self, body: Any) -> None:
        """
        Whatever body comes with a no, it is still a no.
        """
        self.assertTrue(Complaint.of(answer(400, body)).words.startswith("HTTP status 400"))


class LoginTests(SynchronousTestCase):
    def test_session(self) -> None:
        """
        A session is its token, and the place where it is deleted; neither is printed.
        """
        login = Login.answered(answer(201, x_auth_token="hush", location="https://h/S/1"))
        assert login is not None

        self.assertEqual(
            ({"X-Auth-Token": "hush"}, "/S/1", True), (login.headers, login.session, login.renewable)
        )
        self.assertNotIn("hush", repr(login))
        self.assertIsNone(Login.answered(answer(201)))

    def test_basic(self) -> None:
        """
        User and password, in any letters, are one word in base 64.
        """
        login = Login.basic("Aladdin", "open sesame")

        self.assertEqual({"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, login.headers)
        self.assertEqual((False, ""), (login.renewable, login.session))

    def test_judgement(self) -> None:
        """
        A refused password is told from a service without sessions, and from one that has none left.
        """
        full = error(503, ("Base.1.0.SessionLimitExceeded", ""))
        refused = error(400, ("iLO.2.0.UnauthorizedLoginAttempt", ""))
        for complaint, no_sessions, no_password in (
            (full, True, False),
            (refused, False, True),
            *((error(status), False, True) for status in (401, 403)),
            *((error(status), True, False) for status in (404, 405, 501)),
            *((error(status), False, False) for status in (400, 500, 503)),
        ):
            self.assertEqual(
                (no_sessions, no_password), (has_no_sessions(complaint), refuses_password(complaint))
            )
