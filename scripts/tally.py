# SPDX-License-Identifier: MIT
"""
Add up the runs of ``make test``, and end with the line that says how it went.

With ``CI=true`` a skipped test fails the whole: what CI does not run, nobody runs.
"""

import argparse
import os
import sys
from pathlib import Path

from counts import Counts

# Test functions are welcome, but there need not be any.
MAY_BE_EMPTY = {"fixtures"}


def read(folder: Path, run: str) -> Counts:
    """
    Read how one run ended. One that kept no counts died, which is a failure.
    """
    try:
        counts = Counts.read(folder / f"{run}.json")
    except FileNotFoundError:
        print(f"{run}: ended without telling its counts")
        return Counts(0, 1)
    if counts.empty and run not in MAY_BE_EMPTY:
        print(f"{run}: ran no test")
        return Counts(0, 1)
    return counts


def main() -> int:
    """
    Print the sum over the given runs; the status says whether it is good.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="+")
    options = parser.parse_args()

    ended = [read(options.folder, run) for run in options.runs]
    skips = [line for counts in ended for line in counts.skips]
    failed = sum(counts.failed for counts in ended)
    forbidden = bool(skips) and os.environ.get("CI") == "true"
    for line in skips:
        print(f"skipped: {line}")
    if forbidden:
        print("with CI=true nothing may be skipped")
    print(f"{sum(counts.passed for counts in ended)} passed, {failed} failed, {len(skips)} skipped")
    return int(failed > 0 or forbidden)


if __name__ == "__main__":
    sys.exit(main())
