# SPDX-License-Identifier: MIT
"""
Run trial test cases and keep the counts.

trial itself calls a run of no tests a success, and tells the number of skipped ones only in prose.
"""

import argparse
import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest import TestSuite

from counts import Counts
from twisted.trial.reporter import TreeReporter
from twisted.trial.runner import TestLoader, TrialRunner

ROOT = Path(__file__).resolve().parent.parent


def cases(suite: Any) -> Iterator[Any]:
    """
    Walk the single tests of a suite of suites.
    """
    if not isinstance(suite, TestSuite):
        yield suite
        return
    for inner in suite:
        yield from cases(inner)


def counts(result: TreeReporter) -> Counts:
    """
    Count as trial reported. What is marked to do is skipped by another name.
    """
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skips = [f"{test.id()}: {reason}" for test, reason in result.skips]
    skips += [f"{entry[0].id()}: to do" for entry in result.expectedFailures]
    return Counts(result.successes, failed, tuple(skips))


def share(found: list[Any], part: str) -> list[Any]:
    """
    The tests of one part of several, ``1/2`` being the first half; a module's tests stay together.
    """
    number, _, parts = part.partition("/")
    modules = sorted({type(case).__module__ for case in found})
    mine = set(modules[int(number) - 1 :: int(parts)])
    return [case for case in found if type(case).__module__ in mine]


def main() -> int:
    """
    Run the tests below the given names; the status says whether there were any and none failed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="where to keep the counts, as JSON")
    parser.add_argument("--without", default="", help="leave out the tests below this name")
    parser.add_argument("--part", default="1/1", help="which part of the modules, as 1/2; default all")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which it hangs, and is ended")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    result_file = options.result.resolve()

    if options.limit:
        faulthandler.dump_traceback_later(options.limit, exit=True)
    sys.path.insert(0, str(ROOT))
    found = TestLoader().loadByNames(options.names, recurse=True)
    without = options.without
    wanted = [case for case in cases(found) if not without or not case.id().startswith(without)]
    ended = counts(
        cast("TreeReporter", TrialRunner(TreeReporter).run(TestSuite(share(wanted, options.part))))
    )
    ended.write(result_file)
    if ended.empty:
        print(f"no tests below {' '.join(options.names)}", file=sys.stderr)
    return int(ended.empty or ended.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
