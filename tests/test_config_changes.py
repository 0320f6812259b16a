# SPDX-License-Identifier: MIT
"""
What is different between two configurations.
"""

from __future__ import annotations

from attrs import evolve, fields
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import Changes, Configuration, Defaults, Server, compare
from powercoord.config.ages import Age
from powercoord.config.changes import RELOADED, Aspect
from powercoord.config.parse import TABLES
from powercoord.config.shape import Journal, Region, Sweep
from powercoord.model import Limit, Node, OnDrift, Target, Timing
from powercoord.parking import ParkingRules
from powercoord.strict import Count, Interval


def node(name: str, endpoint: str = "", selector: str = "", settings: object = None) -> Node:
    return Node(name, Target("paper", endpoint or f"bmc-{name}", selector, settings))


def names(configuration: Configuration, *nodes: Node) -> Configuration:
    return evolve(configuration, nodes=nodes)


OLD = names(Configuration(), node("n1"), node("n2"), node("n3"))


class NodeTests(SynchronousTestCase):
    def test_same(self) -> None:
        """
        The same file again changes nothing, and says nothing.
        """
        found = compare(OLD, names(Configuration(), node("n1"), node("n2"), node("n3")))

        self.assertEqual(Changes(), found)
        self.assertFalse(found)
        self.assertEqual([], list(found.lines()))

    def test_added_and_removed(self) -> None:
        """
        Nodes that come and go are named, in the order of their file.
        """
        found = compare(OLD, names(OLD, node("n9"), node("n2"), node("n7")))

        self.assertEqual((("n9", "n7"), ("n1", "n3"), {}), (found.added, found.removed, found.changed))
        self.assertTrue(found)
        self.assertEqual(["added: n[7,9]", "removed: n[1,3]"], list(found.lines()))

    def test_changed(self) -> None:
        """
        Of a node that stays it is told what is different; another machine has no settings in common.
        """
        timing = Timing(action=99.0)
        cases = {
            Aspect.MACHINE: node("n1", "elsewhere", settings=1),
            Aspect.SETTINGS: node("n1", settings=1),
            Aspect.GROUPS: evolve(node("n1"), groups=("rack1",)),
            Aspect.TIMING: evolve(node("n1"), timing=timing),
            Aspect.ON_DRIFT: evolve(node("n1"), on_drift=OnDrift.ENFORCE),
            Aspect.START_WATTS: evolve(node("n1"), start_watts=400),
            Aspect.REQUIRES: evolve(node("n1"), requires=("n2",)),
        }
        found = {aspect: compare(OLD, names(OLD, new, *OLD.nodes[1:])) for aspect, new in cases.items()}

        self.assertEqual({aspect: Changes(changed={"n1": frozenset({aspect})}) for aspect in cases}, found)
        self.assertEqual(set(Aspect), set(cases))

    def test_machines(self) -> None:
        """
        Another outlet at the same endpoint, or another driver, is another machine.
        """
        other = Node("n1", Target("ipmi", "bmc-n1", "", None))
        for new in (node("n1", selector="2"), other):
            self.assertEqual(
                {"n1": frozenset({Aspect.MACHINE})}, compare(OLD, names(OLD, new, *OLD.nodes[1:])).changed
            )

    def test_all_at_once(self) -> None:
        """
        Several things about one node are several aspects, and each has a line.
        """
        new = evolve(node("n1", settings=1), groups=("g",))
        found = compare(OLD, names(OLD, new, evolve(node("n2"), groups=("g",)), node("n3")))

        self.assertEqual(
            {"n1": frozenset({Aspect.SETTINGS, Aspect.GROUPS}), "n2": frozenset({Aspect.GROUPS})},
            found.changed,
        )
        self.assertEqual(["changed (settings): n1", "changed (groups): n[1-2]"], list(found.lines()))


class KeyTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """
        Keys that differ are named as in the file, and which of them wait for a restart.
        """
        new = Configuration(
            server=Server(state_dir="/elsewhere", secret="hunter2"),
            journal=Journal(keep=Age(1.0)),
            region=Region(connect=("tcp:r:1",)),
            sweep=Sweep(interval=Interval(0.0)),
            timing=Timing(soft=9.0),
            fleet=Limit(7),
            groups={"rack1": Limit(3, 2.0)},
            endpoint_limit=2,
            endpoint_limits={"paper": 4},
            endpoint_gap=0.5,
            endpoint_gaps={"paper": 1.0},
            parking=ParkingRules(after=5, refused=60.0),
            defaults={"paper": Defaults({"port": 7})},
            weights={"region": 2},
        )
        found = compare(Configuration(), new)

        at_once = (
            "sweep.interval",
            "timing.soft",
            "fleet.max_starting",
            "groups.rack1.max_starting",
            "groups.rack1.settle",
            "endpoints.limit",
            "endpoints.gap",
            "endpoints.park_after",
            "endpoints.park_refused",
            "callers.region.weight",
            "drivers.paper",
            "drivers.paper.endpoint_limit",
            "drivers.paper.endpoint_gap",
        )
        later = ("server.state_dir", "server.secret", "journal.keep", "region.connect")
        self.assertEqual((*later, *at_once), found.keys)
        self.assertEqual(later, found.needing_restart())
        self.assertEqual(found.keys, found.needing_restart(()))
        self.assertEqual(
            [
                f"changed: {', '.join(at_once)}",
                f"changed, and holding only after a restart: {', '.join(later)}",
            ],
            list(found.lines()),
        )
        self.assertNotIn("hunter2", f"{found}{list(found.lines())}")

    def test_there_and_back(self) -> None:
        """
        What is taken out of a file differs as much as what is put in.
        """
        new = Configuration(
            groups={"a": Limit(1)}, endpoint_limits={"paper": 2}, server=Server(max_adopted=Count(1))
        )

        self.assertEqual(compare(Configuration(), new).keys, compare(new, Configuration()).keys)

    def test_nothing_is_forgotten(self) -> None:
        """
        Each part of a configuration is looked at, and each table of the file holds either at once or later.
        """
        looked_at = {"server", "journal", "region", "sweep", "nodes", "groups", "fleet", "timing", "defaults"}
        looked_at |= {"endpoint_limit", "endpoint_limits", "endpoint_gap", "endpoint_gaps", "parking"}
        looked_at |= {"weights"}

        self.assertEqual({"warnings"}, {each.name for each in fields(Configuration)} - looked_at)
        self.assertEqual({"server", "journal", "region"}, set(TABLES) - RELOADED)
