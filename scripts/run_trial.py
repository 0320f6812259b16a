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


class Shared(TestSuite):
    """
    The tests of one module, which are run by the first of several runs that comes to them.
    """

    def __init__(self, claim: Path, found: list[Any]) -> None:
        super().__init__(found)
        self._claim = claim

    def run(self, result: Any, debug: bool = False) -> Any:
        """
        Run them, unless another run has begun to.
        """
        try:
            self._claim.touch(exist_ok=False)
        except FileExistsError:
            return result
        return super().run(result, debug)


def shared(found: list[Any], folder: Path) -> TestSuite:
    """
    Tests that several runs share: a module's stay together, and whoever is free takes the next.
    """
    folder.mkdir(parents=True, exist_ok=True)
    modules: dict[str, list[Any]] = {}
    for case in found:
        modules.setdefault(type(case).__module__, []).append(case)
    return TestSuite(Shared(folder / name, mine) for name, mine in sorted(modules.items()))


def main() -> int:
    """
    Run the tests below the given names; the status says whether there were any and none failed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="where to keep the counts, as JSON")
    parser.add_argument("--without", default="", help="leave out the tests below this name")
    parser.add_argument("--share", type=Path, help="leave out what other runs with this folder have begun")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which it hangs, and ends")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    result_file = options.result.resolve()

    if options.limit:
        faulthandler.dump_traceback_later(options.limit, exit=True)
    sys.path.insert(0, str(ROOT))
    found = TestLoader().loadByNames(options.names, recurse=True)
    without = options.without
    wanted = [case for case in cases(found) if not without or not case.id().startswith(without)]
    suite = TestSuite(wanted) if options.share is None else shared(wanted, options.share.resolve())
    ended = counts(cast("TreeReporter", TrialRunner(TreeReporter).run(suite)))
    ended.write(result_file)
    if ended.empty:
        print(f"no tests below {' '.join(options.names)}", file=sys.stderr)
    return int(ended.empty or ended.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
