# SPDX-License-Identifier: MIT
"""
Who the nodes are: found by name, and brought by callers without becoming two.
"""

from __future__ import annotations

from time import process_time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from powercoord.config import Defaults
from powercoord.errors import BadRequest, ConfigError, NoSuchNode, PowerSettingError, UnknownPowerType
from powercoord.interfaces import IRoster
from powercoord.model import Node, Target, Timing
from powercoord.roster import Roster
from tests.paper_driver import PaperDriver, PaperSettings


def node(name: str, address: str, *groups: str) -> Node:
    settings = PaperSettings(address=address, password="configured")
    return Node(name, Target("paper", f"{address}:623", "", settings), groups)


def context(address: str, **more: Any) -> dict[str, Any]:
    return {"power_address": address, **more}


class RosterCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.busy: set[str] = set()
        self.roster = Roster(
            [node("n2", "a2", "rack1"), node("n1", "a1", "rack1", "row1")],
            {"paper": PaperDriver()},
            defaults={"paper": Defaults({"level": "user", "username": "admin"}, Timing(action=99.0))},
            max_adopted=2,
            in_use=lambda name: name in self.busy,
        )

    def adopt(self, name: str, address: str, **more: Any) -> Node:
        return self.roster.adopt(name, "paper", context(address, **more))


class FindingTests(RosterCase):
    def test_provides(self) -> None:
        """
        It is a roster.
        """
        self.assertTrue(verifyObject(IRoster, self.roster))

    def test_names_and_groups(self) -> None:
        """
        Names keep the configuration's order, callers' nodes come last; groups know their nodes.
        """
        self.adopt("m1", "b1")

        self.assertEqual(["n2", "n1", "m1"], self.roster.names())
        self.assertEqual({"rack1": ["n2", "n1"], "row1": ["n1"]}, self.roster.groups())

    def test_find(self) -> None:
        """
        A node is found by its name.
        """
        self.assertEqual("a1:623", self.roster.find("n1").target.endpoint)

    def test_unknown(self) -> None:
        """
        An unknown name is told with the nearest known one, if there is one near.
        """
        cases = {
            "n11": "unknown node 'n11'; did you mean 'n1'?",
            "n02": "unknown node 'n02'; did you mean 'n2'?",
            "quite-other": "unknown node 'quite-other'",
        }

        self.assertEqual(
            cases, {name: str(self.assertRaises(NoSuchNode, self.roster.find, name)) for name in cases}
        )

    def test_many_unknown(self) -> None:
        """
        Telling the nearest of ten thousand names costs well under a millisecond or two.
        """
        roster = Roster([node(f"rack{n % 80:02d}-node{n:05d}", f"a{n}") for n in range(10_000)], {})
        start = process_time()

        for n in range(200):
            self.assertRaises(NoSuchNode, roster.find, f"rack{n % 80:02d}-nod{n:05d}")

        self.assertLess(process_time() - start, 2.0)


class AdoptingTests(RosterCase):
    def test_new(self) -> None:
        """
        A node that nobody knew is known from then on, with the operator's defaults and times.
        """
        adopted = self.adopt("m1", "b1", power_pass="theirs")

        self.assertIs(adopted, self.roster.find("m1"))
        self.assertEqual(
            (False, 99.0, "b1:623"), (adopted.configured, adopted.timing.action, adopted.target.endpoint)
        )
        settings = adopted.target.settings
        assert isinstance(settings, PaperSettings)
        self.assertEqual(("admin", "user", "theirs"), (settings.username, settings.level, settings.password))

    def test_what_they_say_counts(self) -> None:
        """
        The operator's defaults only fill in what the caller left out.
        """
        settings = self.adopt("m1", "b1", power_user="theirs").target.settings

        assert isinstance(settings, PaperSettings)
        self.assertEqual("theirs", settings.username)

    def test_same_name_same_machine(self) -> None:
        """
        A configured node that a caller describes is the configured node, password and all.
        """
        self.assertIs(self.roster.find("n1"), self.adopt("n1", "a1", power_pass="other"))

    def test_other_name_same_machine(self) -> None:
        """
        A caller that calls a configured machine by another name gets the configured node.
        """
        self.assertIs(self.roster.find("n1"), self.adopt("system-7", "a1"))
        self.assertEqual(["n2", "n1"], self.roster.names())

    def test_other_plug(self) -> None:
        """
        Another outlet of the same device is another node.
        """
        self.assertEqual("m1", self.adopt("m1", "a1", outlet="2").name)

    def test_same_name_other_machine(self) -> None:
        """
        A configured name stands for its configured machine; another one is refused, also if it is known.
        """
        for address in ("b1", "a2"):
            error = self.assertRaises(BadRequest, self.adopt, "n1", address)
            self.assertEqual(
                f"node 'n1' is configured at a1:623, not at {address}:623; correct one of them", str(error)
            )

    def test_moved(self) -> None:
        """
        A node of a caller may move; its old place is nobody's then.
        """
        self.adopt("m1", "b1")
        moved = self.adopt("m1", "b2")

        self.assertEqual(("b2:623", "m9"), (moved.target.endpoint, self.adopt("m9", "b1").name))

    def test_renewed(self) -> None:
        """
        Another name for a caller's machine is that machine, with the newest credentials.
        """
        self.adopt("m1", "b1", power_pass="old")
        renewed = self.adopt("m2", "b1", power_pass="new")

        self.assertEqual(["n2", "n1", "m1"], self.roster.names())
        settings = self.roster.find("m1").target.settings
        assert isinstance(settings, PaperSettings)
        self.assertEqual(("m1", "new"), (renewed.name, settings.password))

    def test_unchanged(self) -> None:
        """
        The same description again gives the same node.
        """
        self.assertIs(self.adopt("m1", "b1"), self.adopt("m1", "b1"))

    def test_refusals(self) -> None:
        """
        What cannot be used is refused in one line, and nothing is remembered.
        """
        cases = [
            (
                "m1",
                "papre",
                context("b"),
                UnknownPowerType,
                "unknown power type 'papre'; did you mean 'paper'?",
            ),
            ("m1", "virsh", context("b"), UnknownPowerType, "unknown power type 'virsh'; installed: paper"),
            ("m1", "paper", {}, PowerSettingError, "power_address is missing"),
            ("m1", "paper", context("nowhere"), PowerSettingError, "address 'nowhere' is no place"),
            (
                "m 1",
                "paper",
                context("b"),
                BadRequest,
                "'m 1' is no name for a node; use letters, digits, '_', '.', ':', '-'",
            ),
        ]
        for name, power_type, given, kind, text in cases:
            error = self.assertRaises(kind, self.roster.adopt, name, power_type, given)
            self.assertEqual(text, str(error))
        self.assertEqual(["n2", "n1"], self.roster.names())

    def test_no_secret_travels(self) -> None:
        """
        A caller's address never gets a password that is not the caller's.
        """
        defaults = {"paper": Defaults({"level": "user"})}
        roster = Roster([node("n1", "a1")], {"paper": PaperDriver()}, defaults=defaults)

        settings = roster.adopt("m1", "paper", context("theirs")).target.settings

        assert isinstance(settings, PaperSettings)
        self.assertEqual("", settings.password)


class RoomTests(RosterCase):
    def test_oldest_goes(self) -> None:
        """
        When the room is used up, the node that was brought longest ago and is not in use goes.
        """
        self.adopt("m1", "b1")
        self.adopt("m2", "b2")
        self.adopt("m1", "b1")
        self.adopt("m3", "b3")

        self.assertEqual(["n2", "n1", "m1", "m3"], self.roster.names())

    def test_in_use_stays(self) -> None:
        """
        A node with something in its lane stays, and its place too.
        """
        self.adopt("m1", "b1")
        self.adopt("m2", "b2")
        self.busy.add("m1")
        self.adopt("m3", "b3")

        self.assertEqual(["n2", "n1", "m1", "m3"], self.roster.names())

    def test_full(self) -> None:
        """
        When all are in use a new one is refused, and the old ones are still known.
        """
        self.adopt("m1", "b1")
        self.adopt("m2", "b2")
        self.busy |= {"m1", "m2"}

        error = self.assertRaises(BadRequest, self.adopt, "m3", "b3")

        self.assertEqual(
            "2 nodes that callers described are in use already; raise server.max_adopted", str(error)
        )
        self.assertEqual("m1", self.adopt("m1", "b1").name)


class ReplacingTests(RosterCase):
    def replace(self, *nodes: Node) -> None:
        self.roster.replace(nodes, {})

    def test_added_changed_removed(self) -> None:
        """
        Another configuration's nodes, groups and spellings are known, and no others.
        """
        self.replace(node("n1", "a9", "rack2"), node("n3", "a3"))

        self.assertEqual(["n1", "n3"], self.roster.names())
        self.assertEqual("a9:623", self.roster.find("n1").target.endpoint)
        self.assertEqual({"rack2": ["n1"]}, self.roster.groups())
        error = self.assertRaises(NoSuchNode, self.roster.find, "n11")
        self.assertEqual("unknown node 'n11'; did you mean 'n1'?", str(error))
        self.assertRaises(NoSuchNode, self.roster.find, "n2")

    def test_brought_ones_stay(self) -> None:
        """
        What callers brought stays, but for what is configured now, by its name or its machine.
        """
        self.adopt("m1", "b1")
        self.adopt("m2", "b2")

        self.replace(node("m2", "a7"), node("n8", "a8"))
        self.assertEqual(["m2", "n8", "m1"], self.roster.names())
        self.assertTrue(self.roster.find("m2").configured)

        self.replace(node("n1", "b1"))
        self.assertEqual(["n1"], self.roster.names())
        self.assertEqual("n1", self.adopt("m1", "b1").name)

    def test_defaults(self) -> None:
        """
        What callers bring afterwards gets the new defaults.
        """
        self.roster.replace([], {"paper": Defaults({}, Timing(action=7.0))})

        self.assertEqual(7.0, self.adopt("m1", "b1").timing.action)

    def test_renamed_in_use(self) -> None:
        """
        A machine gets no second lane by a new name while its old one is in use, and nothing changes then.
        """
        self.busy.add("n1")

        error = self.assertRaises(ConfigError, self.replace, node("other", "a1"))

        self.assertEqual(
            "node 'other' is to be at a1:623, where an action for 'n1' is not over yet, or it is held;"
            " wait for it, cancel it, or release it",
            str(error),
        )
        self.assertEqual(["n2", "n1"], self.roster.names())
        self.busy.clear()
        self.replace(node("other", "a1"))
        self.assertEqual(["other"], self.roster.names())

    def test_removed_in_use(self) -> None:
        """
        A machine that was removed while in use gets no other name before that is over.
        """
        self.busy.add("n1")
        self.replace()

        self.assertRaises(ConfigError, self.replace, node("other", "a1"))
        self.assertRaises(BadRequest, self.adopt, "m1", "a1")
        self.replace(node("n1", "a1"))
        self.replace()
        self.busy.clear()
        self.assertEqual("m1", self.adopt("m1", "a1").name)

    def test_swapped_in_use(self) -> None:
        """
        Two nodes that change places do so when neither is in use.
        """
        swapped = node("n1", "a2"), node("n2", "a1")
        self.busy.add("n2")

        self.assertRaises(ConfigError, self.replace, *swapped)
        self.busy.clear()
        self.replace(*swapped)

        self.assertEqual("a2:623", self.roster.find("n1").target.endpoint)
