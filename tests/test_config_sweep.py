# SPDX-License-Identifier: MIT
"""
What the configuration says about reads in the background.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.config.shape import Sweep
from powercoord.strict import Count, Interval, Moment
from tests.test_config_drift import good, read

NODE = """
[nodes.n1]
driver = "paper"
address = "a1"
groups = ["rack1"]
"""


class SweepTests(SynchronousTestCase):
    def test_default(self) -> None:
        """
        Without a word every node is read within five minutes.
        """
        self.assertEqual(Sweep(interval=Interval(300.0), fast=Moment(15.0)), good("").sweep)

    def test_values(self) -> None:
        """
        A time, or none at all.
        """
        cases = {'"10m"': 600.0, "90": 90.0, '"off"': 0.0, "0": 0.0, '"1s"': 1.0}
        found = {text: good(f"[sweep]\ninterval = {text}").sweep.interval for text in cases}

        self.assertEqual(cases, found)
        more = good('[sweep]\nfast = "5s"\nconcurrency = 3').sweep
        self.assertEqual((5.0, Count(3)), (more.fast, more.concurrency))

    def test_mistakes(self) -> None:
        """
        What is no time, or too short, is refused with what would be right.
        """
        wrong = 'is no time; write "90s", "5m", "1h30m" or a number of seconds, 0 or "off" (never)'
        cases = {
            'interval = "never"': f'interval: "never" {wrong}',
            "interval = -1": f"interval: -1 {wrong}",
            'interval = "250ms"': 'interval: 250ms is shorter than a second; 0 or "off" is never',
            "fast = 0": "fast: must be above zero",
            "concurrency = 0": "concurrency: must be at least 1, got 0",
            "intervall = 5": "intervall: unknown key; did you mean 'interval'?",
        }
        found = {line: [str(each) for each in read(f"[sweep]\n{line}").mistakes] for line in cases}

        self.assertEqual({line: [f"pc.toml:2: sweep.{text}"] for line, text in cases.items()}, found)

    def test_of_nodes(self) -> None:
        """
        A driver, a group or a node may have another interval; as with all times, the nearest counts.
        """
        driver, group = '[drivers.paper.timing]\nsweep = "10m"', '[groups.rack1.timing]\nsweep = "20m"'
        own = '[nodes.n1.timing]\nsweep = "off"'
        cases: dict[tuple[str, ...], float | None] = {
            (NODE,): None,
            (driver, NODE): 600.0,
            (driver, group, NODE): 1200.0,
            (driver, group, NODE, own): 0.0,
        }
        found = {texts: good("\n".join(texts)).nodes[0].timing.sweep for texts in cases}

        self.assertEqual(cases, found)
