# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.drivers.redfish.resource`: what is understood of what services say; nothing breaks it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.redfish.power import RESETS
from powercoord.drivers.redfish.resource import (
    RESET_TYPES,
    Root,
    System,
    action_info,
    members,
    parse,
    path_in,
    reset_types,
)
from powercoord.errors import PowerActionError
from powercoord.model import Command, PowerState
from tests.hypothesis_notes import HypothesisNotes
from tests.recorded import recorded

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
WORDS = """
    Links Sessions Systems Members Actions #ComputerSystem.Reset Boot PowerState Id UUID @odata.id target
    Parameters Name AllowableValues @Redfish.Settings SettingsObject @Redfish.ActionInfo
    ResetType@Redfish.AllowableValues
"""
NAMES = st.sampled_from(WORDS.split())
ANYTHING = st.recursive(
    PLAIN | st.sampled_from(["/a", "//a", "http://[", "ResetType", "On"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


class RecordedTests(SynchronousTestCase):
    """
    What was recorded of a Dell R6515 and Supermicro boards, and the samples of sushy and DMTF.
    """

    def read(self, name: str) -> Mapping[str, Any]:
        return parse((recorded("redfish") / name).read_bytes(), name)

    def test_systems(self) -> None:
        """
        All of them are on, and every command has its reset type.
        """
        names = {
            "bmclib-dell-system.embedded.1.json": "/redfish/v1/Systems/System.Embedded.1",
            "bmclib-smc_1.14.0_systems_1.json": "/redfish/v1/Systems/1",
            "sushy-system.json": "/redfish/v1/Systems/437XR1138R2",
            "sushy-systemv1_20.json": "/redfish/v1/Systems/437XR1138R2",
            "dmtf/System.json": "/redfish/v1/Systems/437XR1138R2",
        }
        for name, path in names.items():
            system = System.of(path, self.read(name))
            self.assertIs(PowerState.ON, system.power(), name)
            self.assertEqual(path + "/Actions/ComputerSystem.Reset", system.target)
            for command in Command:
                self.assertTrue(system.allowed & set(RESETS[command]), f"{name}: {command}")
            self.assertIn("Pxe", system.boot_targets)

    def test_fused(self) -> None:
        """
        Supermicro's two reset types in one string are two.
        """
        system = System.of("/redfish/v1/Systems/1", self.read("bmclib-smc_1.14.0_systems_1.json"))
        expected = {"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn"}

        self.assertEqual(expected, system.allowed)
        self.assertEqual("/redfish/v1/Systems/1/ResetActionInfo", system.action_info)
        self.assertEqual('"27ffd39c216000b3013c84008394dffd"', system.etag)

    def test_roots(self) -> None:
        """
        Each root leads to its systems and its sessions.
        """
        for name in (
            "bmclib-dell-serviceroot.json",
            "bmclib-smc_1.14.0_serviceroot.json",
            "bmclib-smc_1.9.0_serviceroot.json",
            "dmtf/ServiceRoot.json",
        ):
            root = Root.of(self.read(name))
            self.assertEqual("/redfish/v1/Systems", root.systems.rstrip("/"), name)
            self.assertIn("Sessions", root.sessions, name)

    def test_members(self) -> None:
        """
        Collections lead to their members.
        """
        cases = {
            "bmclib-dell-systems.json": ["/redfish/v1/Systems/System.Embedded.1"],
            "bmclib-smc_1.14.0_systems.json": ["/redfish/v1/Systems/1"],
        }
        for name, expected in cases.items():
            self.assertEqual(expected, list(members(self.read(name))))


class PowerTests(SynchronousTestCase):
    def test_states(self) -> None:
        """
        On and paused have power, off has none, and of all else nothing is known.
        """
        cases: dict[Any, PowerState | None] = {
            "On": PowerState.ON,
            "Paused": PowerState.ON,
            "Off": PowerState.OFF,
            **dict.fromkeys(("PoweringOn", "PoweringOff", "Reset", "Unknown", "", "on", "ON"), None),
        }
        for word, expected in cases.items():
            self.assertIs(expected, System.of("/s", {"PowerState": word}).power(), word)
        for odd in (None, 1, True, ["On"], {"PowerState": "On"}):
            self.assertIsNone(System.of("/s", {"PowerState": odd}).power())
        self.assertIsNone(System.of("/s", {}).power())

    def test_reset_types(self) -> None:
        """
        Those that we know are taken, alone or in one piece, and what is not made of them is left out.
        """
        cases = {
            (): set(),
            ("On", "Levitate"): {"On"},
            ("GracefulShutdownGracefulRestart",): {"GracefulShutdown", "GracefulRestart"},
            ("FullPowerCycle",): {"FullPowerCycle"},
            ("ForceOnForceOff", "Nmi"): {"ForceOn", "ForceOff", "Nmi"},
            ("OnX", "XOn", "on", ""): set(),
        }
        for words, expected in cases.items():
            self.assertEqual(expected, reset_types(words))

    def test_commands(self) -> None:
        """
        No command is done by a reset type that does more or less than it says.
        """
        dangerous = {
            "PowerCycle",
            "FullPowerCycle",
            "PushPowerButton",
            "Nmi",
            "GracefulRestart",
            "Pause",
            "Suspend",
        }
        used = {each for types in RESETS.values() for each in types}

        self.assertEqual(set(), used & dangerous)
        self.assertLessEqual(used, set(RESET_TYPES))

    def test_action_info(self) -> None:
        """
        Of an action's parameters the reset types are taken.
        """
        info = {
            "Parameters": [
                {"Name": "Other", "AllowableValues": ["Nmi"]},
                {"Name": "ResetType", "AllowableValues": ["On", "Off", 1]},
            ]
        }

        self.assertEqual({"On"}, action_info(info))
        self.assertEqual(frozenset(), action_info({"Parameters": "On"}))


class LinkTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """
        A link is a path on the same server; of a full address only the path is taken.
        """
        cases: dict[str, str] = {
            "/redfish/v1/Systems/1": "/redfish/v1/Systems/1",
            "/x?$top=3": "/x?$top=3",
            "https://192.0.2.9/taskmon/1": "/taskmon/1",
            "//evil/x": "/x",
            "Systems/1": "",
            "": "",
            "/a b": "",
            "/a\r\nX: y": "",
            "/é": "",
            "http://[": "",
        }
        for link, expected in cases.items():
            self.assertEqual(expected, path_in(link), link)
            self.assertEqual(expected, path_in({"@odata.id": link}), link)
        for odd in (None, 1, ["/x"], {"@odata.id": 1}, {}):
            self.assertEqual("", path_in(odd))

    def test_sessions(self) -> None:
        """
        Sessions are where the root says, or below its session service.
        """
        self.assertEqual("/s/Sessions", Root.of({"SessionService": {"@odata.id": "/s/"}}).sessions)
        self.assertEqual("/t", Root.of({"Links": {"Sessions": {"@odata.id": "/t"}}}).sessions)
        self.assertEqual("", Root.of({}).sessions)

    def test_names(self) -> None:
        """
        A system is called by its Id, its UUID in any case, and its path.
        """
        system = System.of("/redfish/v1/Systems/1/", {"Id": "Node1", "UUID": "AB12-cd"})
        for name in ("Node1", "ab12-CD", "1", "/redfish/v1/Systems/1", "/redfish/v1/Systems/1/"):
            self.assertTrue(system.is_called(name), name)
        for name in ("", "node1", "2", "Systems"):
            self.assertFalse(system.is_called(name), name)
        self.assertFalse(System.of("/s/2", {}).is_called(""))


class RobustnessTests(HypothesisNotes, SynchronousTestCase):
    @given(ANYTHING)
    def test_anything(self, value: Any) -> None:
        """
        Whatever JSON a service sends, reading it says something or nothing, and never breaks.
        """
        resource = value if isinstance(value, dict) else {"Members": value, "Parameters": value}
        for path in (Root.of(resource).systems, *members(resource), System.of("/s", resource).target):
            self.assertTrue(path == "" or path.startswith("/"))
        self.assertLessEqual(action_info(resource), set(RESET_TYPES))
        System.of("/s", resource).power()

    @given(st.binary(max_size=50) | ANYTHING.map(json.dumps).map(str.encode))
    def test_parse(self, body: bytes) -> None:
        """
        A body is a JSON object, or an error that says so.
        """
        try:
            found = parse(body, "x")
        except PowerActionError:
            return
        self.assertEqual(json.loads(body), found)

    def test_deep(self) -> None:
        """
        A body that is nested without measure is no JSON object.
        """
        with self.assertRaises(PowerActionError):
            parse(b'{"a":' * 100_000, "x")
