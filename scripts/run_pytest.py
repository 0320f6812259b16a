# SPDX-License-Identifier: MIT
"""
Run the test functions among the functional tests with pytest, and keep the counts.

Test cases are left to trial, which notices what pytest does not: a dirty reactor, errors nobody looked at.
There may be no test functions at all.
"""

import argparse
import re
import sys
from pathlib import Path
from unittest import TestCase

import pytest
from attrs import define, field
from counts import Counts

ENDED = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}


@define
class Counting:
    """
    A pytest plugin that drops trial's test cases and counts the rest.
    """

    passed: int = 0
    failed: int = 0
    skips: list[str] = field(factory=list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """
        Leave out the methods of test cases.
        """
        items[:] = [item for item in items if not _is_test_case(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """
        Count one phase of one test: a test passes once, but can fail or be skipped in its fixtures too.
        """
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self.skips.append(f"{report.nodeid}: {reason}")
        elif report.failed:
            self.failed += 1
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """
        Count a file that cannot be read as a failure.
        """
        self.failed += report.failed


def _is_test_case(item: pytest.Item) -> bool:
    owner = getattr(item, "cls", None)
    return owner is not None and issubclass(owner, TestCase)


def has_functions(path: Path) -> bool:
    """
    Tell whether pytest would find any test function below a folder.
    """
    return any(
        re.search(r"^(async )?def test_", file.read_text(encoding="utf-8"), re.MULTILINE)
        for file in path.rglob("test_*.py")
    )


def main() -> int:
    """
    Run the test functions below the given path; the status says whether all passed or were skipped.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="where to keep the counts, as JSON")
    parser.add_argument("path", type=Path)
    options = parser.parse_args()

    counting = Counting()
    status = pytest.ExitCode.NO_TESTS_COLLECTED
    if has_functions(options.path):
        status = pytest.ExitCode(pytest.main(["-q", "--no-header", str(options.path)], plugins=[counting]))
    crashed = status not in ENDED
    failed = counting.failed + (crashed and not counting.failed)
    Counts(counting.passed, failed, tuple(counting.skips)).write(options.result)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
