# SPDX-License-Identifier: MIT
"""
What the configuration says about drift, what is kept, and how a stop is told and ends.
"""

from __future__ import annotations

from textwrap import dedent

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import Configuration, DrainTimeoutAction, Parsed, SecretFile, Surroundings, parse
from powercoord.interfaces import Capabilities
from powercoord.model import Command, OnDrift
from tests.paper_driver import PaperDriver


def read(text: str, driver: PaperDriver | None = None) -> Parsed:
    around = Surroundings(lambda _: SecretFile("s3cret\n"), {})
    return parse(dedent(text), "pc.toml", {"paper": driver or PaperDriver()}, around)


def good(text: str) -> Configuration:
    return read(text).value()


def nodes(fleet: str = "", one: str = "", two: str = "", own: str = "") -> str:
    def line(word: str) -> str:
        return f'on_drift = "{word}"' if word else ""

    return f"""
        [fleet]
        {line(fleet)}
        [groups.one]
        {line(one)}
        [groups.two]
        {line(two)}
        [nodes.n1]
        driver = "paper"
        address = "a1"
        groups = ["one", "two"]
        {line(own)}
    """


FLAG, ENFORCE = "flag", "enforce"


class OnDriftTests(SynchronousTestCase):
    def test_nearest_counts(self) -> None:
        """
        The node decides over its groups, and those over the fleet; without a word drift is flagged.
        """
        cases = {
            ("", "", "", ""): FLAG,
            (ENFORCE, "", "", ""): ENFORCE,
            (ENFORCE, FLAG, "", ""): FLAG,
            ("", "", ENFORCE, ""): ENFORCE,
            (FLAG, ENFORCE, ENFORCE, ""): ENFORCE,
            (FLAG, ENFORCE, "", FLAG): FLAG,
            ("", FLAG, ENFORCE, ENFORCE): ENFORCE,
        }
        found = {case: good(nodes(*case)).nodes[0].on_drift for case in cases}

        self.assertEqual({case: OnDrift(word) for case, word in cases.items()}, found)

    def test_groups_that_disagree(self) -> None:
        """
        Of two groups that say different things none decides.
        """
        text = "group 'one' says 'flag', group 'two' says 'enforce'; say on_drift here to decide"
        found = read(nodes("", FLAG, ENFORCE)).mistakes

        self.assertEqual([f"pc.toml:11: nodes.n1.groups: {text}"], [str(mistake) for mistake in found])

    def test_cannot_be_read(self) -> None:
        """
        Enforcing where power cannot be read is warned of, where it is said.
        """
        driver = PaperDriver()
        driver.capabilities = Capabilities(frozenset(Command), queryable=False)
        text = "driver paper cannot read power, so no drift is seen and none enforced"

        self.assertEqual(
            [f"pc.toml:12: nodes.n1.on_drift: {text}"],
            [str(warning) for warning in read(nodes(own=ENFORCE), driver).warnings],
        )
        self.assertEqual(
            [f"pc.toml:8: nodes.n1: {text}"],
            [str(warning) for warning in read(nodes(fleet=ENFORCE), driver).warnings],
        )
        self.assertEqual((), read(nodes(fleet=FLAG), driver).warnings)


class KeepingTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """
        Ninety days or a million requests are kept, where every installation has its journal.
        """
        found = good("")

        self.assertEqual((90 * 86400.0, 1_000_000), (found.journal.keep, found.journal.keep_requests))
        self.assertEqual("/var/lib/powercoord", found.server.state_dir)

    def test_values(self) -> None:
        """
        What is kept can be kept for years, or for less than a day.
        """
        cases = {'"365d"': 365 * 86400.0, '"12h"': 43200.0, "7776000": 7776000.0, '"1d"': 86400.0}
        found = {text: good(f"[journal]\nkeep = {text}").journal.keep for text in cases}

        self.assertEqual(cases, found)
        self.assertEqual(7, good("[journal]\nkeep_requests = 7").journal.keep_requests)

    def test_mistakes(self) -> None:
        """
        Nothing is kept for no time, or longer than the machine lasts.
        """
        wrong = 'is no time; write "90s", "5m", "1h30m" or a number of seconds'
        cases = {
            'keep = "0d"': "keep: must be above zero",
            "keep = 0": "keep: must be above zero",
            'keep = "4000d"': "keep: 4000d is longer than ten years",
            'keep = "ninety days"': f'keep: "ninety days" {wrong}',
            "keep = -1": f"keep: -1 {wrong}",
            "keep = true": f"keep: True {wrong}",
            "keep_requests = 0": "keep_requests: must be at least 1, got 0",
            'kept = "1d"': "kept: unknown key; did you mean 'keep'?",
        }
        found = {text: [str(each) for each in read(f"[journal]\n{text}").mistakes] for text in cases}

        self.assertEqual({text: [f"pc.toml:2: journal.{line}"] for text, line in cases.items()}, found)


class StoppingTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """
        Without a word nobody is told of a drain, and a stop interrupts what takes too long.
        """
        server = good("").server

        self.assertEqual(((), (), None), (server.agent, server.agent_allow, server.drain_file))
        self.assertEqual(DrainTimeoutAction.INTERRUPT, server.drain_timeout_action)

    def test_values(self) -> None:
        """
        The keys of a stop are read as written.
        """
        server = good("""
            [server]
            agent = ["tcp:5310:interface=127.0.0.1"]
            agent_allow = ["10.0.0.5", "fd00::/8"]
            agent_shared = true
            agent_hold = true
            drain_file = "/etc/lb-agent"
            drain_timeout_action = "wait"
        """).server

        self.assertEqual(
            (("tcp:5310:interface=127.0.0.1",), ("10.0.0.5", "fd00::/8"), True, True),
            (server.agent, server.agent_allow, server.agent_shared, server.agent_hold),
        )
        self.assertEqual("/etc/lb-agent", server.drain_file)
        self.assertEqual(DrainTimeoutAction.WAIT, server.drain_timeout_action)

    def test_lameduck(self) -> None:
        """
        A stop waits for load balancers where there are any, unless the time is given.
        """
        server = good("").server
        asked = evolve(server, agent=("tcp:5310",))

        self.assertEqual((0.0, 5.0), (server.lameduck_seconds(), asked.lameduck_seconds()))
        self.assertEqual(0.0, evolve(asked, lameduck=0.0).lameduck_seconds())
        self.assertEqual(7.0, evolve(server, lameduck=7.0).lameduck_seconds())

    def test_mistakes(self) -> None:
        """
        What cannot be is told with what would be right.
        """
        endpoint = "is no endpoint; write 'unix:/run/x.sock' or 'tcp:4000:interface=127.0.0.1'"
        cases = {
            "agent = ['5310']": f"agent[0]: '5310' {endpoint}",
            "agent = 'tcp:5310'": "agent: expected an array, got a string",
            "agent = ['unix:/run/powercoord/amp.sock:mode=660']": (
                "agent[0]: 'unix:/run/powercoord/amp.sock:mode=660' is one of server.amp already"
            ),
            "agent_allow = ['10.0.0.300']": (
                "agent_allow[0]: '10.0.0.300' does not appear to be an IPv4 or IPv6 network;"
                " '10.0.0.5' and '10.0.0.0/24' would do"
            ),
            "agent_allow = ['10.0.0.1/24']": (
                "agent_allow[0]: 10.0.0.1/24 has host bits set; '10.0.0.5' and '10.0.0.0/24' would do"
            ),
            "drain_timeout_action = 'cancle'": "drain_timeout_action: did you mean 'cancel'?",
            "drain_timeout_action = 'x'": "drain_timeout_action: expected one of: interrupt, cancel, wait",
            "lameduck = 'long'": (
                'lameduck: "long" is no time; write "90s", "5m", "1h30m" or a number of seconds'
            ),
            "drainfile = '/x'": "drainfile: unknown key; did you mean 'drain_file'?",
        }
        found = {text: [str(each) for each in read(f"[server]\n{text}").mistakes] for text in cases}

        self.assertEqual({text: [f"pc.toml:2: server.{line}"] for text, line in cases.items()}, found)
