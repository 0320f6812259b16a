# SPDX-License-Identifier: MIT
"""
Showing the certificates of BMCs from a shell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from zope.interface import implementer

from powercoord.certificates import ICertified, ShownCertificate
from powercoord.errors import PowerConnError
from powercoord.model import Target
from tests.fake_client import FakeSession
from tests.paper_driver import PaperDriver
from tests.test_cli_power import CommandCase

CONFIGURATION = """
[nodes."n[1-2]"]
driver = "sealed"
address = "a1"
plug = "[1-2]"
groups = ["rack"]
[nodes.n3]
driver = "sealed"
address = "a3"
[nodes.n4]
driver = "paper"
address = "a4"
[nodes.n5]
driver = "sealed"
address = "mute"
"""


@implementer(ICertified)
class SealedDriver(PaperDriver):
    """
    A paper driver whose BMCs have certificates.
    """

    name = "sealed"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def certificate(self, target: Target) -> ShownCertificate:
        self.asked.append(target.endpoint)
        if target.endpoint.startswith("mute"):
            raise PowerConnError("mute: connection refused")
        distrust = "it is signed by itself" if target.endpoint.startswith("a1") else ""
        return ShownCertificate(target.endpoint, "ABCD", "AB:CD", "CN=x", "CN=y", "2030-01-01", distrust)


@define
class SealedSession(FakeSession):
    """
    A session where both drivers are installed.
    """

    sealed: SealedDriver = field(factory=SealedDriver)

    def drivers(self) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        return {"paper": PaperDriver(), "sealed": self.sealed}, {}


class PinTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.session: SealedSession = SealedSession(self.client)
        self.file = Path(self.mktemp())
        self.file.write_text(CONFIGURATION)

    def pin(self, *words: str) -> Any:
        return self.run_command("--config", str(self.file), "pin", *words)

    def test_shown(self) -> None:
        """
        Each BMC is asked once, and shown with the line that pins it and a warning to compare.
        """
        result = self.pin("@rack,n3")

        self.assertEqual(
            [
                "n1: a1:623",
                "  CN=x, signed by CN=y, until 2030-01-01; not trusted now: it is signed by itself",
                "  SHA-256 AB:CD",
                '  pin = "ABCD"',
                "n3: a3:623",
                "  CN=x, signed by CN=y, until 2030-01-01; trusted already",
                "  SHA-256 AB:CD",
                '  pin = "ABCD"',
            ],
            result.stdout.splitlines(),
        )
        self.assertIn("Compare each fingerprint", result.stderr)
        self.assertEqual((0, ["a1:623", "a3:623"]), (result.exit_code, self.session.sealed.asked))
        self.assertEqual(0, self.session.runs)

    def test_failures(self) -> None:
        """
        A node without certificates, and one that nobody answers for, are told, and the others shown.
        """
        result = self.pin("n[3-5]")

        self.assertIn("n4: driver paper has no certificates to pin", result.stderr)
        self.assertIn("n5: mute: connection refused", result.stderr)
        self.assertIn("n3: a3:623", result.stdout)
        self.assertEqual(1, result.exit_code)

    def test_json(self) -> None:
        """
        Programs get it in a document, and no words beside it.
        """
        result = self.pin("--json", "n3,n4")
        document = json.loads(result.stdout)

        self.assertEqual("ABCD", document["n3"]["fingerprint"])
        self.assertIn("no certificates", document["n4"]["error"])
        self.assertEqual((1, ""), (result.exit_code, result.stderr))

    def test_unknown(self) -> None:
        """
        A node that is not in the configuration is named, and nobody is asked.
        """
        result = self.pin("n1,n9")

        self.assertIn("unknown node 'n9'", result.stderr)
        self.assertEqual((2, []), (result.exit_code, self.session.sealed.asked))

    def test_broken_configuration(self) -> None:
        """
        A configuration with a mistake shows the mistake.
        """
        self.file.write_text("[nodes.n1]\n")

        self.assertEqual(2, self.pin("n1").exit_code)
