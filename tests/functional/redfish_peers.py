# SPDX-License-Identifier: MIT
"""
Redfish clients that nobody here wrote, run against a simulated service: DMTF's tools, and sushy.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from powercoord.sim.machine import Latency
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.redfish.profile import Profile

EXPLAINED = Path(__file__).parent / "redfish_checkers.toml"

#: One result that is not a pass, as the use case checkers log it; the next line is the reason.
_LOGGED = re.compile(r" - (?:Failing|Skipping|Warning occurred during) the (.+) test\.\.\.$")
_WORDS = {"Failing": "FAIL", "Skipping": "SKIP", "Warning": "WARN"}


def explained(kind: str) -> Counter[str]:
    """
    What is known not to be passed, each with its count.
    """
    groups = tomllib.loads(EXPLAINED.read_text())[kind]
    assert all(group["reason"] for group in groups)
    return Counter(line for group in groups for line in group["lines"])


class RedfishPeerCase(TestCase):
    """
    Two BMCs in this process, at addresses of this case's own.
    """

    timeout = 120
    base = "127.60.60.1"
    profile = Profile()
    powered = False
    systems = 1

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.fleet = RedfishFleet(
            reactor,
            2,
            base=self.base,
            port=0,
            latency=Latency(on=0.2, off=0.1, cycle=0.2),
            profile=self.profile,
            powered=self.powered,
            systems=self.systems,
        )
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        assert self.fleet.certificate is not None
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = self.folder / "bmc.pem"
        self.authority.write_bytes(self.fleet.certificate.pem)

    async def run_tool(self, name: str, *words: str) -> tuple[str, int]:
        """
        What a program of this environment printed, and its exit code.
        """
        path = Path(sys.executable).parent / name
        out, err, code = await getProcessOutputAndValue(str(path), words, env=self._environment())
        return (out + err).decode(), code

    async def run_python(self, program: str, *words: str) -> tuple[str, int]:
        """
        The same, of a Python program.
        """
        out, err, code = await getProcessOutputAndValue(
            sys.executable, ("-c", program, *words), env=self._environment()
        )
        return (out + err).decode(), code

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "REQUESTS_CA_BUNDLE": str(self.authority)}

    def login(self, index: int = 0) -> tuple[str, ...]:
        """
        The words with which DMTF's tools log in.
        """
        return "-u", "admin", "-p", "secret", "-r", self.fleet.bmcs[index].url

    async def use_cases(self, name: str, index: int = 0) -> tuple[int, Counter[str]]:
        """
        One list of DMTF's use case checkers: how many passed, and what did not.
        """
        folder = self.folder / name
        words = (*self.login(index), "--report-dir", str(folder), "--test-list", name)
        out, code = await self.run_tool("rf_use_case_checkers", *words)
        passed = re.search(r"\|\s+(\d+)\s+\|", out)
        self.assertIn(code, (0, 1), out)
        assert passed is not None, out
        (log,) = folder.glob("*/*.log")
        return int(passed.group(1)), Counter(_not_passed(log.read_text().splitlines()))

    async def protocol(self) -> tuple[int, Counter[str]]:
        """
        DMTF's protocol validator: how many assertions passed, and what did not.
        """
        report = ("--report-dir", str(self.folder), "--report-type", "tsv")
        safe = ("--ca-bundle", str(self.authority), "--avoid-http-redirect")
        out, _ = await self.run_tool("rf_protocol_validator", *self.login(), *report, *safe)
        files = list(self.folder.glob("*.tsv"))
        assert len(files) == 1, out
        with files[0].open(newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        results = Counter(row["Result"] for row in rows)
        others = (row for row in rows if row["Result"] != "PASS")
        return results["PASS"], Counter(f"{row['Result']} {row['Assertion']}" for row in others)


def _not_passed(lines: Iterable[str]) -> Iterable[str]:
    pending = ""
    for line in lines:
        if pending:
            yield f"{pending}: {line.rpartition(' - ')[2]}"
            pending = ""
        found = _LOGGED.search(line)
        if found is not None:
            verb = line.rpartition(" - ")[2].partition(" ")[0]
            pending = f"{_WORDS[verb]} {found.group(1)}"
