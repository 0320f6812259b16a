# SPDX-License-Identifier: MIT
"""
A table whose keys the driver does not declare: what may stand in it, and where its secrets may stand.
"""

from __future__ import annotations

from textwrap import dedent
from types import MappingProxyType
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import Parsed, SecretFile, Surroundings, parse
from powercoord.settings import SecretText, setting, sounds_secret
from powercoord.strict import Scalars
from tests.paper_driver import PaperDriver, PaperSettings

AROUND = Surroundings(lambda name: SecretFile(f"from-{name}\n"), {"TOKEN": "from-env"})
NOTHING = Scalars(MappingProxyType({}))


@frozen
class TableSettings(PaperSettings):
    """
    What a paper BMC must be told, and a table of whatever else.
    """

    options: Scalars = setting("Options", default=NOTHING, secret=True)  # noqa: RUF009 - attrs' field


def read(text: str) -> Parsed:
    driver: Any = PaperDriver()
    driver.settings = TableSettings
    return parse(dedent(text), "pc.toml", {"paper": driver}, AROUND, {})


def options(text: str) -> Any:
    (node,) = read(text).value().nodes
    return node.target.settings.options  # type: ignore[attr-defined]


class OptionsTests(SynchronousTestCase):
    def test_values(self) -> None:
        """
        A table keeps its values as they are written, strings, numbers and booleans.
        """
        found = options("""
            [nodes.n1]
            driver = "paper"
            address = "a1"
            options = { ssh = true, ipport = 22, zone = "a", wait = 1.5 }
            """)
        self.assertEqual({"ssh": True, "ipport": 22, "zone": "a", "wait": 1.5}, dict(found))

    def test_secrets(self) -> None:
        """
        What stands in a file or in the environment is a secret, whatever it is called, and never shown.
        """
        found = options("""
            [nodes.n1]
            driver = "paper"
            address = "a1"
            options = { zone = { file = "z" }, token = { env = "TOKEN" } }
            """)
        self.assertEqual({"zone": "from-z", "token": "from-env"}, dict(found))
        self.assertTrue(all(isinstance(value, SecretText) for value in found.values()))
        self.assertNotIn("from-", repr(found))

    def test_defaults(self) -> None:
        """
        A node's table goes over the driver's, member by member.
        """
        found = options("""
            [drivers.paper]
            options = { ssh = true, zone = "a" }

            [nodes.n1]
            driver = "paper"
            address = "a1"
            options = { zone = "b" }
            """)
        self.assertEqual({"ssh": True, "zone": "b"}, dict(found))

    def test_mistakes(self) -> None:
        """
        What can be no value is told with the path of its key; a secret written down is worth a warning.
        """
        parsed = read("""
            [nodes.n1]
            driver = "paper"
            address = "a1"
            options = { port = { file = 7 }, password = "hunter2", token = { env = "TOKN" } }

            [nodes.n2]
            driver = "paper"
            address = "a2"
            options = { zone = ["a"], ssh = true }
            """)
        text = "\n".join(str(each) for each in parsed.mistakes)
        for words in (
            "options.zone: expected a string, a number or a boolean, got an array",
            "options.port.file: expected a string",
            "did you mean 'TOKEN'?",
        ):
            self.assertIn(words, text)
        self.assertIn("options.password: a secret in the configuration file", str(parsed.warnings[0]))
        self.assertNotIn("hunter2", text + str(parsed.warnings))

    def test_sounds_secret(self) -> None:
        """
        Keys that are likely to hold a secret are known by their names; those that name files are not.
        """
        for name in ("password", "passwd", "snmp_priv_passwd", "token", "community", "hexadecimal_kg"):
            self.assertTrue(sounds_secret(name), name)
        for name in ("ssh", "ipport", "identity_file", "password_script", "plug"):
            self.assertFalse(sounds_secret(name), name)
