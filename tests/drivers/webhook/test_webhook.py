# SPDX-License-Identifier: MIT
"""
How a webhook's answer is understood, and what its settings may be.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.children import Ended
from powercoord.drivers.web import Answer
from powercoord.drivers.webhook.driver import body, headers
from powercoord.drivers.webhook.patterns import SHORT, by_child, found_by, found_here, is_cheap
from powercoord.drivers.webhook.settings import WebhookSettings, from_context
from powercoord.drivers.webhook.verdict import error_of, state_of
from powercoord.errors import PowerActionError, PowerAuthError, PowerRefusedError, PowerSettingError
from powercoord.model import Command, PowerState
from tests.hypothesis_notes import HypothesisNotes

URIS = {f"power_{what}_uri": f"https://a.b/{what}" for what in ("on", "off", "query")}


def settings(**more: Any) -> WebhookSettings:
    return WebhookSettings(**{**URIS, **more})


class PatternTests(HypothesisNotes, SynchronousTestCase):
    def test_cheap(self) -> None:
        """
        Only what certainly takes little time is looked for in this process.
        """
        for pattern in (r"status.*\:.*running", r"on|off", r'"power":\s*"on"', r"(?i)running", "a{3}"):
            self.assertTrue(is_cheap(pattern, "x"), pattern)
        for pattern in (r"(a+)+$", r"(a|ab)*c", r"(\w+\s?)*$", r"(a)\1", r"(?=a*)b", "a*b*c*", "a?" * 9):
            self.assertFalse(is_cheap(pattern, "x"), pattern)
        self.assertFalse(is_cheap("a", "x" * (SHORT + 1)))

    def test_child(self) -> None:
        """
        What a child said is believed only as a whole.
        """
        self.assertEqual((True, False), found_by(Ended(code=0, stdout=b"[true, false]\n")))
        for ended in (Ended(code=1, stdout=b"[true, false]"), Ended(code=0, stdout=b"[tr"), Ended(signal=9)):
            self.assertIsNone(found_by(ended))
        self.assertNotIn("hunter2", repr(by_child(("a",), "hunter2")))

    @given(st.text(max_size=SHORT))
    def test_as_re(self, text: str) -> None:
        """
        What is looked for is found where Python's own search finds it.
        """
        patterns = (r"a.*b", r"on|off")
        self.assertEqual(tuple(bool(re.search(each, text)) for each in patterns), found_here(patterns, text))


class VerdictTests(SynchronousTestCase):
    def test_never_a_guess(self) -> None:
        """
        Exactly one of the two patterns tells a state.
        """
        self.assertIs(PowerState.ON, state_of("x", on=True, off=False))
        self.assertIs(PowerState.OFF, state_of("x", on=False, off=True))
        for both in (True, False):
            self.assertRaises(PowerActionError, state_of, "x", on=both, off=both)

    def test_status(self) -> None:
        """
        HTTP's status tells whose turn it is: a person's, nobody's, or ours once more.
        """
        for status, kind, sent in (
            (401, PowerAuthError, False),
            (403, PowerAuthError, False),
            (404, PowerSettingError, False),
            (422, PowerRefusedError, False),
            (429, PowerActionError, False),
            (500, PowerActionError, True),
            (503, PowerActionError, False),
        ):
            error = error_of("x", Answer(status, {}, b""), changes=True)
            self.assertEqual((kind, sent), (type(error), error.sent if error else None), status)
        for status in (200, 202, 204):
            self.assertIsNone(error_of("x", Answer(status, {}, b""), changes=True))


class SettingsTests(SynchronousTestCase):
    def test_requests(self) -> None:
        """
        A request says which node, what for, and who asks.
        """
        mine = settings(node_id="n1", token="hunter2")
        found = headers(mine, Command.ON)
        self.assertEqual(("n1", "Bearer hunter2"), (found["System_Id"], found["Authorization"]))
        self.assertEqual(b'{"command": "on", "node": "n1"}', body(mine, Command.ON))
        self.assertEqual("Basic dTpw", headers(settings(username="u", password="p"), None)["Authorization"])
        self.assertNotIn("hunter2", repr(mine))

    def test_mistakes(self) -> None:
        """
        What makes no sense, or would show a password, is refused with the setting's name.
        """
        for name, value in (
            ("power_on_uri", "ftp://a/b"),
            ("power_on_uri", "https://u:hunter2@a/b"),
            ("power_on_uri", "https://a/b c"),
            ("power_on_uri", "https://a/b\r\nX: y"),
            ("power_on_regex", "(hunter2"),
            ("power_on_regex", ""),
            ("node_id", "a\r\nX: y"),
            ("token", "hunter2\n"),
            ("pin", "nonsense"),
        ):
            error = self.assertRaises(PowerSettingError, settings, **{name: value})
            self.assertIn(name, str(error))
        self.assertRaises(PowerSettingError, settings, token="a", username="b")
        self.assertRaises(PowerSettingError, settings, power_on_regex="a", power_off_regex="a")

    def test_context(self) -> None:
        """
        MAAS's parameters are understood, with MAAS's own patterns where it sends none.
        """
        found = from_context({**URIS, "power_user": "u", "power_pass": "p", "power_verify_ssl": "n"})
        self.assertEqual(settings(username="u", password="p"), found)
        self.assertRaises(PowerSettingError, from_context, {"power_on_uri": "https://a/b"})
