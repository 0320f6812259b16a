# SPDX-License-Identifier: MIT
"""
What agents are told: nothing that they do not know, and nothing that is ours to decide.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.fence.lines import Pace, lines, secrets
from powercoord.drivers.fence.manual_page import page
from powercoord.drivers.fence.metadata import Agent, NotMetadata, parse_metadata
from powercoord.drivers.fence.settings import CALLERS_MAY, FenceAgentSettings, from_context
from powercoord.errors import PowerSettingError
from powercoord.settings import SecretText
from powercoord.strict import Scalars
from tests.hypothesis_notes import HypothesisNotes

ACTIONS = ("on", "off", "reboot", "status", "metadata")


def parameter(name: str, kind: str = "string", inner: str = "", **attributes: str) -> str:
    words = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f'<parameter name="{name}" {words}><content type="{kind}">{inner}</content></parameter>'


def description(*parameters: str, actions: tuple[str, ...] = ACTIONS, name: str = "fence_x") -> bytes:
    listed = "".join(f'<action name="{action}"/>' for action in actions)
    return (
        f'<?xml version="1.0" ?><resource-agent name="{name}" shortdesc="An  agent">'
        f"<parameters>{''.join(parameters)}</parameters><actions>{listed}</actions></resource-agent>"
    ).encode()


def agent(*parameters: str, **how: Any) -> Agent:
    return parse_metadata(description(*parameters, **how))


USUAL = (
    parameter("ip", obsoletes="ipaddr"),
    parameter("ipaddr", deprecated="1"),
    parameter("ipport", "integer"),
    parameter("username"),
    parameter("password"),
    parameter("plug"),
    parameter("lanplus", "boolean"),
    parameter("privlvl", "select", '<option value="user"/><option value="operator"/>'),
    parameter("power_wait", "second"),
    parameter("power_timeout", "second"),
    parameter("community"),
    parameter("verbose", "boolean"),
)


def settings(options: dict[str, Any] | None = None, **more: Any) -> FenceAgentSettings:
    return FenceAgentSettings(agent="x", options=Scalars(MappingProxyType(options or {})), **more)


def told(options: dict[str, Any] | None = None, of: Agent | None = None, **more: Any) -> dict[str, str]:
    """
    The lines as an agent reads them: by the rules of ClusterLabs' library.
    """
    found = {}
    for line in lines(settings(options, **more), of or agent(*USUAL), "on", Pace(4)).decode().split("\n"):
        name, _, value = line.strip().partition("=")
        found[name] = re.sub('^"(.*)"$', "\\1", value)
    return found


class LinesTests(HypothesisNotes, SynchronousTestCase):
    def refused(self, *words: str, of: Agent | None = None, options: Any = None, **more: Any) -> None:
        error = self.assertRaises(PowerSettingError, told, options, of, **more)
        for word in words:
            self.assertIn(word, str(error))

    def test_fields(self) -> None:
        """
        Our settings go by the names that the agent knows, the present ones first.
        """
        found = told(address="a.b", username="u", password="p", plug="3")
        self.assertEqual(
            ("a.b", "u", "p", "3", "on"),
            tuple(found[name] for name in ("ip", "username", "password", "plug", "action")),
        )
        old = agent(parameter("ipaddr"), parameter("login"), parameter("passwd"), parameter("port"))
        found = told(of=old, address="a.b", username="u", password="p", plug="3")
        self.assertEqual(
            ("a.b", "u", "p", "3"), tuple(found[n] for n in ("ipaddr", "login", "passwd", "port"))
        )

    def test_times(self) -> None:
        """
        An agent is told times within ours, of those that it knows, and not to wait.
        """
        found = told()
        self.assertEqual(("4", "0"), (found["power_timeout"], found["power_wait"]))
        self.assertNotIn("login_timeout", found)
        self.assertEqual("2", told({"power_wait": 2})["power_wait"])
        self.assertEqual([1, 1, 9], [Pace.within(seconds).step for seconds in (-1.0, 5.0, 28.75)])

    def test_kinds(self) -> None:
        """
        Options are written in the agent's way, by their kinds.
        """
        found = told({"lanplus": True, "ipport": 623, "privlvl": "operator", "community": "x y"})
        self.assertEqual(
            ("1", "623", "operator", "x y"),
            tuple(found[n] for n in ("lanplus", "ipport", "privlvl", "community")),
        )
        self.assertEqual("0", told({"lanplus": "no"})["lanplus"])

    def test_mistakes(self) -> None:
        """
        What an agent would not understand is refused, with what would be right and without the value.
        """
        self.refused("'lanplsu'", "did you mean 'lanplus'?", options={"lanplsu": 1})
        self.refused("'privlvl'", "did you mean 'operator'?", options={"privlvl": "operatr"})
        self.refused("'lanplus'", "true or false", options={"lanplus": "maybe"})
        self.refused("'ipport'", "whole number", options={"ipport": "http"})
        self.refused("setting 'address'", options={"ip": "a"})
        self.refused("setting 'password'", options={"passwd": "a"})
        self.refused("passwords into logs", options={"verbose": True})
        self.refused("'timeout' of the node", options={"power_timeout": 3})
        self.refused("more than one line", options={"community": "a\naction=off"})
        self.refused("no address", of=agent(), address="a.b")
        self.refused("needs the setting 'plug'", of=agent(parameter("plug", required="1")))
        self.refused("needs the option 'zone'", of=agent(parameter("zone", required="1")))

    def test_not_power(self) -> None:
        """
        Agents that cannot tell the state, or cut off something else than power, are refused.
        """
        self.refused("no action 'status'", of=agent(actions=("on", "off", "reboot")))
        self.refused("not power", of=agent(actions=("on", "off", "status")))

    @given(
        st.text(
            alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029")
        )
    )
    @example(" a ")
    @example('"a"')
    def test_password_arrives(self, password: str) -> None:
        """
        Whatever the password, an agent's reader gets just that, and one line of it.
        """
        if password:
            self.assertEqual(password, told(password=password)["password"])

    def test_no_second_line(self) -> None:
        """
        No setting can bring a second line, a command or an option along.
        """
        for name, value in (
            ("password", "a\naction=off"),
            ("plug", "a\nb"),
            ("plug", "a;reboot"),
            ("plug", "-x"),
            ("username", "$(reboot)"),
            ("address", "a -P x"),
            ("address", "-oProxyCommand=x"),
            ("agent", "../bin/sh"),
            ("agent", "/bin/sh"),
            ("folder", "usr/sbin"),
            ("folder", "/usr/sbin/../../tmp"),
        ):
            with self.assertRaises(PowerSettingError, msg=f"{name}={value!r}"):
                FenceAgentSettings(**{"agent": "x", name: value})

    def test_secrets(self) -> None:
        """
        The password, what came from elsewhere, and what sounds like a secret must not be repeated.
        """
        options = {"community": "rw", "zone": SecretText("hidden"), "privlvl": "user", "identity_file": "/k"}
        self.assertEqual({"pw", "rw", "hidden"}, set(secrets(settings(options, password="pw"))))
        self.assertNotIn("hidden", repr(options["zone"]))


class CallersTests(SynchronousTestCase):
    def test_context(self) -> None:
        """
        A caller describes a plug by names in MAAS's manner; options are a table or words.
        """
        context = {
            "fence_agent": "apc",
            "power_address": "a.b",
            "power_id": "3",
            "fence_options": "ssh=1 ipport=22",
        }
        found = from_context(context)
        self.assertEqual(("apc", "a.b", "3"), (found.agent, found.address, found.plug))
        self.assertEqual({"ssh": "1", "ipport": "22"}, dict(found.options))

    def test_forbidden(self) -> None:
        """
        A caller may set no option that could run something here.
        """
        for name in ("password_script", "ssh_options", "ipmitool_path", "identity_file", "debug_file"):
            self.assertNotIn(name, CALLERS_MAY)
            context = {"fence_agent": "apc", "fence_options": {name: "x"}}
            error = self.assertRaises(PowerSettingError, from_context, context)
            self.assertIn(name, str(error))
        for context in (
            {},
            {"fence_agent": "apc", "fence_options": {"ssh": "$(x)"}},
            {"fence_agent": "../x"},
        ):
            self.assertRaises(PowerSettingError, from_context, context)


class MetadataTests(SynchronousTestCase):
    def test_parameters(self) -> None:
        """
        An agent's parameters have their kinds, defaults, choices and older names.
        """
        found = agent(*USUAL)
        self.assertEqual("An agent", found.summary)
        self.assertEqual(("user", "operator"), found.parameters["privlvl"].choices)
        self.assertEqual("ipaddr", found.parameters["ip"].obsoletes)
        self.assertTrue(found.parameters["ipaddr"].deprecated)
        self.assertEqual("ipaddr", found.first("nothing", "ipaddr"))

    def test_not_metadata(self) -> None:
        """
        What is no description, or XML that can hurt, is refused.
        """
        bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><resource-agent name="&a;"/>'
        for text in (b"", b"usage: fence_x", b"<html/>", bomb, b"<resource-agent"):
            self.assertRaises(NotMetadata, parse_metadata, text)

    def test_page(self) -> None:
        """
        A person reads what can be set: our settings and the agent's options, none that are ours to decide.
        """
        text = page(agent(*USUAL, parameter("zone", required="1")))
        for words in (
            "fence_x: An agent",
            "  address",
            "privlvl (user | operator)",
            "zone (string) (needed)",
        ):
            self.assertIn(words, text)
        for words in ("ipaddr", "verbose", "power_timeout"):
            self.assertNotIn(words, text)
