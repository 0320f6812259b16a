# SPDX-License-Identifier: MIT
"""
That each benchmark runs and prints its tables. What they say is nobody's test.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.__main__ import NAMES
from benchmarks.ipmipower import available as ipmipower_available
from powercoord.testing.ipmi_sim import available as ipmi_sim_available
from tests.functional.libvirt_peer import MISSING as LIBVIRT_MISSING

ROOT = Path(__file__).resolve().parents[2]


def benchmark(*words: str) -> subprocess.CompletedProcess[str]:
    """
    Run `python -m benchmarks`.
    """
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def tables(output: str) -> dict[str, list[list[str]]]:
    """
    The rows of each table by its title, without the head.
    """
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in output.splitlines():
        if line.startswith("### "):
            rows = found.setdefault(line[4:], [])
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return {title: rows[2:] for title, rows in found.items()}


class BenchmarkTests(SynchronousTestCase):
    expected: ClassVar[dict[str, list[str]]] = {
        "registry": ["The registry alone"],
        "journal": ["What is durable, a second", "A journal of 1,000 requests"],
        "amp": ["Calls on one connection", "`Submit` of 20"],
        "off": ["From the request for an off"],
        "memory": ["Memory of the service with 40"],
        "inrush": ["20 nodes in 5 racks"],
        "ipmi": ["Status of 8 BMCs of `ipmi_sim`", "Status of 8 BMCs of `powercoord.sim`"],
        "hypervisors": ["State of 4 guests of one `libvirtd`"],
        "redfish": ["One machine behind Redfish, step by step"],
        "amt": ["One machine behind Intel AMT, step by step"],
    }

    def assertPrintsTables(self, name: str) -> dict[str, list[list[str]]]:
        done = benchmark("--tiny", name)
        found = tables(done.stdout)

        self.assertEqual((0, ""), (done.returncode, done.stderr))
        for title, wanted in zip(found, self.expected[name], strict=True):
            self.assertTrue(title.startswith(wanted), title)
            self.assertTrue(found[title])
            self.assertTrue(all(cell for row in found[title] for cell in row), found[title])
        return found

    def test_registry(self) -> None:
        """
        The benchmark of the registry runs.
        """
        self.assertPrintsTables("registry")

    def test_journal(self) -> None:
        """
        The benchmark of the journal runs, for each number in flight, and looks into a past.
        """
        durable, past = self.assertPrintsTables("journal").values()

        self.assertEqual((7, 5), (len(durable), len(past)))

    def test_amp(self) -> None:
        """
        The benchmark of AMP runs, and every node of its batches is accepted.
        """
        found = self.assertPrintsTables("amp")

        batches = found["`Submit` of 20 nodes that are off"]
        self.assertEqual([row[1] for row in batches], [row[2].removesuffix(".0") for row in batches])

    def test_off(self) -> None:
        """
        The benchmark of offs runs, and each off reaches the driver.
        """
        (rows,) = self.assertPrintsTables("off").values()

        self.assertEqual(["10 of 10"] * 4, [row[3] for row in rows])

    def test_memory(self) -> None:
        """
        The benchmark of memory runs, and every node is read and turned on.
        """
        (rows,) = self.assertPrintsTables("memory").values()

        self.assertEqual(["40 of 40"] * 2, re.findall(r"\d+ of \d+", "".join(row[0] for row in rows)))

    def test_inrush(self) -> None:
        """
        The benchmark of starts runs, and no limit on the number is exceeded.
        """
        (rows,) = self.assertPrintsTables("inrush").values()

        self.assertEqual(["20", "10"], [rows[0][3], rows[-1][3]])

    def test_ipmi(self) -> None:
        """
        The benchmark of the driver and of `ipmipower` runs, and each reads every node.
        """
        if not (ipmi_sim_available() and ipmipower_available()):
            raise SkipTest(
                "ipmi_sim (Debian: openipmi) or ipmipower (Debian: freeipmi-tools) is not installed"
            )
        for rows in self.assertPrintsTables("ipmi").values():
            counts = [row[6].split(" of ") for row in rows if "start and imports" not in row[0]]
            self.assertEqual(8, len(counts))
            self.assertTrue(all(read == nodes for read, nodes in counts), rows)

    def test_hypervisors(self) -> None:
        """
        The benchmark of libvirt's guests runs, and each way reads every guest.
        """
        if LIBVIRT_MISSING:
            raise SkipTest(LIBVIRT_MISSING)
        (rows,) = self.assertPrintsTables("hypervisors").values()

        self.assertGreaterEqual(len(rows), 5)
        self.assertEqual({"4 of 4"}, {row[4] for row in rows})

    def counts(self, name: str) -> dict[str, tuple[str, str]]:
        """
        Connections and requests by what was done, and by whom.
        """
        (rows,) = self.assertPrintsTables(name).values()
        return {row[0]: (row[1], row[2]) for row in rows}

    def test_redfish(self) -> None:
        """
        The benchmark of Redfish runs: we keep one connection, and the model of MAAS has one per request.
        """
        found = self.counts("redfish")

        self.assertEqual(18, len(found))
        self.assertEqual(("1", "0"), (found["`query`, powercoord"][0], found["`on`, powercoord"][0]))
        self.assertEqual(("2", "2"), found["`query`, model of MAAS's requests"])
        connections, requests = found["`on`, model of MAAS's requests"]
        self.assertEqual(connections, requests)
        self.assertGreaterEqual(int(requests), 11)

    def test_amt(self) -> None:
        """
        The benchmark of AMT runs: nothing is challenged again where a connection and a nonce are kept.
        """
        found = self.counts("amt")

        self.assertEqual(12, len(found))
        self.assertEqual("0", found["`on`, powercoord"][0])
        self.assertEqual(*found["`on`, PyPI's amt"])

    def test_each_is_tested(self) -> None:
        """
        There is no benchmark without a test here.
        """
        self.assertEqual(set(NAMES), set(self.expected))

    def test_unknown(self) -> None:
        """
        An unknown name is refused in a line that says which names there are.
        """
        done = benchmark("--tiny", "imap")

        self.assertEqual((2, ""), (done.returncode, done.stdout))
        self.assertIn("there is no benchmark imap; there are registry, journal, amp, off,", done.stderr)

    def test_output_and_profile(self) -> None:
        """
        The tables are also written to a file, and profiles to a folder, if they are asked for.
        """
        with TemporaryDirectory() as folder:
            done = benchmark("--tiny", "--output", f"{folder}/out.md", "--profile", f"{folder}/p", "registry")
            written = (Path(folder) / "out.md").read_text()

        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(list(tables(written).values()), list(tables(done.stdout).values()))
        self.assertIn("Ordered by: internal time", done.stdout)
