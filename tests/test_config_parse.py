# SPDX-License-Identifier: MIT
"""
The configuration file: what it says, and every line about what is wrong with it.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from time import process_time

from attrs import evolve, fields
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import (
    ConfigMistakes,
    Configuration,
    Parsed,
    SecretFile,
    Surroundings,
    parse,
    parse_server,
)
from powercoord.config.shape import Defaults
from powercoord.config.timing import TimingTable
from powercoord.interfaces import Capabilities
from powercoord.model import Command, Limit, Timing
from powercoord.parking import ParkingRules
from tests.paper_driver import PaperDriver, PaperSettings
from tests.unmeasured import unmeasured

FILES = {
    "good": SecretFile("s3cret\n"),
    "open": SecretFile("s3cret", open_to_all=True),
    "empty": SecretFile("\nx"),
}

NODE = """
[nodes.n1]
driver = "paper"
address = "a1"
"""


def read_secret(name: str) -> SecretFile:
    if name == "latin":
        raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "no UTF-8")
    if name not in FILES:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
    return FILES[name]


AROUND = Surroundings(read_secret, {"BMC_PASSWORD": "hunter2"})


def read(text: str, *, driver: PaperDriver | None = None, broken: Mapping[str, str] | None = None) -> Parsed:
    return parse(dedent(text), "pc.toml", {"paper": driver or PaperDriver()}, AROUND, broken or {})


def good(text: str) -> Configuration:
    return read(text).value()


def mistakes(text: str) -> list[str]:
    return [str(mistake) for mistake in read(text).mistakes]


class ValuesTests(SynchronousTestCase):
    def test_empty(self) -> None:
        """
        An empty file has the defaults, and nobody to switch.
        """
        self.assertEqual(evolve(Configuration(), defaults={"paper": Defaults()}), good(""))

    def test_server(self) -> None:
        """
        The coordinator's own table is read as written; times have units.
        """
        server = good("""
            [server]
            state_dir = "/tmp/state"
            amp = ["unix:/tmp/amp.sock", "tcp:4000:interface=127.0.0.1"]
            secret = { file = "good" }
            graceful_shutdown_timeout = "2m30s"
            max_adopted = 7
        """).server

        self.assertEqual(
            ("/tmp/state", "s3cret", 150.0, 7, False),
            (
                server.state_dir,
                server.secret,
                server.graceful_shutdown_timeout,
                server.max_adopted,
                server.insecure,
            ),
        )
        self.assertEqual(("unix:/tmp/amp.sock", "tcp:4000:interface=127.0.0.1"), server.amp)

    def test_shutdown_time(self) -> None:
        """
        A stop that does not wait and one without a limit have words of their own.
        """
        cases = {"0": 0.0, '"infinity"': float("inf"), "inf": float("inf"), '"60s"': 60.0, "1.5": 1.5}
        text = "[server]\ngraceful_shutdown_timeout = "

        self.assertEqual(
            cases, {value: good(text + value).server.graceful_shutdown_timeout for value in cases}
        )

    def test_limits(self) -> None:
        """
        Limits of fleet, groups and endpoints arrive where the registry looks for them.
        """
        found = good("""
            [fleet]
            max_starting = 20
            settle = "1s"
            [endpoints]
            limit = 2
            gap = "200ms"
            park_after = 4
            park_pause = "20s"
            park_longest = "5m"
            park_refused = "1h"
            [drivers.paper]
            endpoint_limit = 5
            endpoint_gap = 0
            [groups.rack1]
            max_starting = 8
            settle = 3
            [nodes.n1]
            driver = "paper"
            address = "a1"
            groups = ["rack1", "row1"]
        """)

        self.assertEqual((Limit(20, 1.0), {"rack1": Limit(8, 3.0)}), (found.fleet, found.groups))
        self.assertEqual((5, 2), (found.endpoint_limit_of("paper"), found.endpoint_limit_of("other")))
        self.assertEqual(("rack1", "row1"), found.nodes[0].groups)
        self.assertEqual((0.0, 0.2), (found.endpoint_gap_of("paper"), found.endpoint_gap_of("other")))
        parking = ParkingRules(after=4, pause=20.0, longest=300.0, refused=3600.0)
        self.assertEqual(parking, found.parking)

    def test_what_is_good_for_a_kind(self) -> None:
        """
        An endpoint takes as many operations at once as its driver says, unless the configuration does.
        """
        crowd = PaperDriver()
        crowd.capabilities = Capabilities(frozenset(Command), at_once=5)
        for text, expected in (
            ("", (5, 1)),
            ("[endpoints]\nlimit = 3", (3, 3)),
            ("[drivers.paper]\nendpoint_limit = 1", (1, 1)),
            ("[endpoints]\nlimit = 3\n[drivers.paper]\nendpoint_limit = 9", (9, 3)),
        ):
            found = read(text, driver=crowd).value()
            told = found.endpoint_limit_of("paper"), found.endpoint_limit_of("other")
            self.assertEqual(expected, told, text)

    def test_pauses_of_parking(self) -> None:
        """
        Pauses that could not grow are a mistake, and so is none at all.
        """
        for text, mistake in (
            ('park_pause = "20m"', "endpoints.park_longest"),
            ('park_longest = "1s"', "endpoints.park_longest"),
            ("park_after = 0", "endpoints.park_after"),
            ("park_pause = 0", "endpoints.park_pause"),
        ):
            (told,) = mistakes(f"[endpoints]\n{text}")
            self.assertIn(mistake, told)

    def test_starts(self) -> None:
        """
        Watts come from the nearest that says so, of a node's groups the most; groups have parents.
        """
        found = good("""
            [fleet]
            start_watts = 100
            start_interval = "0.5s"
            [drivers.paper]
            start_watts = 200
            [groups.feed]
            max_watts = 5000
            [groups.rack1]
            parent = "feed"
            start_watts = 300
            [groups.row1]
            start_watts = 400
            [nodes.n1]
            driver = "paper"
            address = "a1"
            groups = ["rack1", "row1"]
            [nodes.n2]
            driver = "paper"
            address = "a2"
            groups = ["rack1"]
            start_watts = 350
            [nodes.n3]
            driver = "paper"
            address = "a3"
        """)

        self.assertEqual([400, 350, 200], [node.start_watts for node in found.nodes])
        self.assertEqual(200, found.defaults["paper"].start_watts)
        self.assertEqual(0.5, found.fleet.start_interval)
        self.assertEqual((5000, "feed"), (found.groups["feed"].max_watts, found.groups["rack1"].parent))

    def test_region(self) -> None:
        """
        Region controllers have addresses and a shared secret, which no text shows.
        """
        region = good("""
            [region]
            connect = ["tcp:region:5250"]
            secret = { env = "BMC_PASSWORD" }
        """).region

        self.assertEqual((("tcp:region:5250",), "hunter2"), (region.connect, region.secret))
        self.assertNotIn("hunter2", repr(region))


class NodesTests(SynchronousTestCase):
    def test_pairing(self) -> None:
        """
        A range of nodes is paired with a range of addresses, element by element, in the order written.
        """
        nodes = good("""
            [nodes."n[3,1-2]"]
            driver = "paper"
            address = "10.0.0.[1-3]"
        """).nodes

        self.assertEqual(
            [("n3", "10.0.0.1:623"), ("n1", "10.0.0.2:623"), ("n2", "10.0.0.3:623")],
            [(node.name, node.target.endpoint) for node in nodes],
        )

    def test_pairing_of_numbers(self) -> None:
        """
        What is a number can be a range too, and a part of the name at one address another.
        """
        nodes = good("""
            [nodes."n[1-2]"]
            driver = "paper"
            address = "127.0.0.1"
            port = "[9001-9002]"
            [nodes."m[1-2]"]
            driver = "paper"
            address = "127.0.0.1"
            plug = "[7-8]"
        """).nodes

        self.assertEqual(
            ["127.0.0.1:9001 ", "127.0.0.1:9002 ", "127.0.0.1:623 7", "127.0.0.1:623 8"],
            [f"{node.target.endpoint} {node.target.selector}" for node in nodes],
        )

    def test_settings(self) -> None:
        """
        A node's own settings override its driver's; both become the driver's class.
        """
        (node,) = good("""
            [drivers.paper]
            username = "admin"
            password = { file = "good" }
            level = "user"
            [nodes.n1]
            driver = "paper"
            address = "a1"
            level = "operator"
            quirks = ["slow"]
            patience = "15s"
        """).nodes

        self.assertEqual(
            PaperSettings(
                address="a1",
                username="admin",
                password="s3cret",
                level="operator",
                quirks=frozenset({"slow"}),
                patience=15.0,
            ),
            node.target.settings,
        )

    def test_range_over_default(self) -> None:
        """
        A range of a node set stands in place of its driver's one value.
        """
        nodes = good("""
            [drivers.paper]
            port = 1000
            [nodes."n[1-2]"]
            driver = "paper"
            address = "a"
            port = "[1-2]"
        """).nodes

        self.assertEqual(["a:1", "a:2"], [node.target.endpoint for node in nodes])

    def test_timing(self) -> None:
        """
        Times come from the fleet, the driver, the groups in their order, and the node; the last one decides.
        """
        found = good("""
            [timing]
            action = "10m"
            soft = "11m"
            force = "3m"
            poll = "1s"
            [drivers.paper]
            timing = { soft = "12m", force = "4m" }
            [groups.g1.timing]
            force = "5m"
            retries = 7
            [groups.g2.timing]
            force = "6m"
            [nodes.n1]
            driver = "paper"
            address = "a1"
            groups = ["g1", "g2"]
            timing.retries = 0
        """)

        expected = Timing(action=600.0, soft=720.0, force=360.0, poll=1.0, retries=0)
        self.assertEqual(expected, found.nodes[0].timing)
        self.assertEqual(
            Timing(action=600.0, soft=720.0, force=240.0, poll=1.0), found.defaults["paper"].timing
        )
        self.assertEqual(Timing(action=600.0, soft=660.0, force=180.0, poll=1.0), found.timing)

    def test_timing_keys(self) -> None:
        """
        Each time of a node can be configured, by its own name.
        """
        self.assertEqual([f.name for f in fields(Timing)], [f.name for f in fields(TimingTable)])

    def test_defaults_for_callers(self) -> None:
        """
        Nodes that callers bring get the driver's defaults but for its secrets.
        """
        found = good("""
            [drivers.paper]
            username = "admin"
            password = { file = "good" }
            quirks = ["slow"]
        """)

        self.assertEqual(
            {"username": "admin", "quirks": frozenset({"slow"})}, found.defaults["paper"].settings
        )

    def test_secrets_stay_hidden(self) -> None:
        """
        No text about a configuration shows a secret.
        """
        text = repr(good('[drivers.paper]\npassword = { file = "good" }' + NODE))

        self.assertNotIn("s3cret", text)

    @unmeasured
    def test_ten_thousand(self) -> None:
        """
        Ten thousand nodes, each with a table of its own, are read within seconds.
        """
        tables = [
            f'[nodes.n{n}]\ndriver = "paper"\naddress = "10.{n // 250}.{n % 250}"\ngroups = ["r{n % 250}"]\n'
            for n in range(10_000)
        ]
        start = process_time()

        nodes = good("".join(tables)).nodes

        self.assertEqual(10_000, len(nodes))
        self.assertLess(process_time() - start, 10.0)


class WarningTests(SynchronousTestCase):
    def test_warnings(self) -> None:
        """
        A secret in the file, or in one that all can read, works and is warned of.
        """
        found = read("""
            [drivers.paper]
            password = "inline"
            key = { file = "open" }
        """)

        self.assertEqual(
            [
                'a secret in the configuration file; better is { file = "..." } or { env = "..." }',
                "'open' can be read by everybody on this machine; chmod o-rwx it",
            ],
            [warning.text for warning in found.warnings],
        )
        self.assertEqual(found.warnings, found.value().warnings)


# What stands in a file, then, after arrows, the lines about it.
CASES = Path(__file__).with_name("config_mistakes.txt").read_text("utf-8").split("----\n")


def case(text: str) -> tuple[str, list[str]]:
    lines = text.splitlines()
    arrows = [line.removeprefix("=> ") for line in lines if line.startswith("=> ")]
    return "\n".join(line for line in lines if not line.startswith("=> ")), arrows


class MistakeTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """
        Each mistake has its own line, with file, line, key and what would be right.
        """
        for text, expected in map(case, CASES):
            found = [str(mistake) for mistake in read(text, broken={"torn": "it is torn"}).mistakes]
            self.assertEqual(expected, found, f"\n{text}")

    def test_all_at_once(self) -> None:
        """
        One run names them all, in the order of the file.
        """
        tables: dict[str, str] = {}
        for text, _ in map(case, CASES):
            head, _, body = text.partition("\n")
            key = body.split(" ")[0]
            if (
                head.startswith("[")
                and head not in ("[drivers]", "[nodes.n1]")
                and body.count("\n") == 0
                and " = " in body
            ):
                tables[head] = tables.get(head, "") + (f"{body}\n" if key not in tables.get(head, "") else "")
        document = "".join(f"{head}\n{body}" for head, body in tables.items())

        found = read(document).mistakes

        self.assertGreater(len(found), 15)
        self.assertLessEqual(
            len(document.splitlines()) - len(tables), len({mistake.line for mistake in found})
        )
        self.assertEqual(sorted(mistake.line for mistake in found), [mistake.line for mistake in found])

    def test_secret_with_a_mistake(self) -> None:
        """
        A mistake in a secret does not show the secret.
        """
        found = mistakes("[drivers.paper]\npassword = ['hunter2']\nkey = 98765\n")

        self.assertEqual(2, len(found))
        self.assertNotIn("hunter2", str(found))
        self.assertNotIn("98765", str(found))

    def test_raised_together(self) -> None:
        """
        Whoever asks for the value of a wrong text gets all lines as one error.
        """
        parsed = read("[regon]\n[flet]\n")

        error = self.assertRaises(ConfigMistakes, parsed.value)
        self.assertEqual(
            "pc.toml:1: regon: unknown key; did you mean 'region'?\n"
            "pc.toml:2: flet: unknown key; did you mean 'fleet'?",
            str(error),
        )


class ServerAloneTests(SynchronousTestCase):
    def test_others_do_not_matter(self) -> None:
        """
        Who only wants to connect is not held up by mistakes in other tables.
        """
        server = parse_server('[server]\namp = ["unix:/x"]\n[nodes.n1]\ndriver = 1', "pc.toml", AROUND)

        self.assertEqual(("unix:/x",), server.amp)

    def test_own_mistakes(self) -> None:
        """
        Its own mistakes are told as ever.
        """
        error = self.assertRaises(ConfigMistakes, parse_server, "[server]\namp = 1", "pc.toml", AROUND)

        self.assertEqual("pc.toml:2: server.amp: expected an array, got an integer", str(error))


class ArithmeticTests(SynchronousTestCase):
    def test_told_once(self) -> None:
        """
        Many tables with the same too short time are one mistake.
        """
        tables = "".join(f"[nodes.n{n}]\ndriver = 'paper'\naddress = 'a{n}'\n" for n in range(50))

        self.assertEqual(1, len(mistakes("[timing]\naction = 1\n" + tables)))

    def test_defaults_too_short(self) -> None:
        """
        Where no key set the time, the node's table is named.
        """
        found = mistakes(NODE + 'patience = "1h"\n')

        self.assertEqual(
            ["nodes.n1.timing.action", "nodes.n1.timing.soft", "nodes.n1.timing.force"],
            [line.split(": ")[1] for line in found],
        )

    def test_only_what_it_can(self) -> None:
        """
        What a driver cannot do needs no time.
        """

        class OnlyReset(PaperDriver):
            capabilities = Capabilities(frozenset({Command.RESET}), queryable=False)

        text = "[timing]\naction = '11s'\nsoft = '1s'\nforce = '1s'\n" + NODE

        self.assertEqual((), read(text, driver=OnlyReset()).mistakes)
        self.assertEqual(3, len(read(text).mistakes))

    def test_poll(self) -> None:
        """
        The longest pause between reads is not below the first.
        """
        self.assertEqual(
            ["pc.toml:2: timing.poll: 5s is above poll_longest, 3s"], mistakes("[timing]\npoll = 5\n" + NODE)
        )
