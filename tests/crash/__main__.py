# SPDX-License-Identifier: MIT
"""
``python -m tests.crash``: every boundary and the random moments, with figures.

``python -m tests.crash STORY… [--failpoint JSON]…`` plays single stories, to look at one death.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from tests.crash.boundaries import Enumeration
from tests.crash.everything import PARTS, everything
from tests.crash.failpoint import Failpoint
from tests.crash.life import Nurse
from tests.crash.stories import STORIES


def arguments() -> Namespace:
    """
    Read the command line.
    """
    parser = ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("stories", nargs="*", metavar="STORY")
    parser.add_argument("--failpoint", action="append", default=[], type=Failpoint.load, metavar="JSON")
    parser.add_argument("--preload", type=Path, help="the compiled calls.c, for failpoints at system calls")
    parser.add_argument("--moments", type=int, default=200, help="kills at random moments (%(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--result", type=Path, help="where to keep the figures, as JSON")
    return parser.parse_args()


async def look(reactor: Any, options: Namespace) -> int:
    """
    Play single stories and print everything.
    """
    nurse = Nurse.spawn(reactor, options.preload)
    try:
        death = await Enumeration(reactor, nurse, STORIES).die(options.stories, options.failpoint)
    finally:
        await nurse.close()
    print(*death.verdict.appends, sep="\n")
    print(*(f"{name}: {outcome}" for name, outcome in death.verdict.evidence.outcomes.items()), sep="\n")
    print(f"lives ended with {', '.join(map(str, death.verdict.statuses))}")
    print(*death.complaints(), sep="\n")
    return int(bool(death.complaints()))


def main() -> int:
    """
    Do it under a reactor.
    """
    from twisted.internet import reactor

    options = arguments()
    status = [1]

    def begin() -> None:
        todo: Coroutine[Any, Any, int] = (look if options.stories else everything)(reactor, options)
        doing = Deferred.fromCoroutine(todo)
        doing.addCallbacks(
            lambda code: status.__setitem__(0, code), lambda failure: failure.printTraceback(sys.stderr)
        )
        doing.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    return status[0]


if __name__ == "__main__":
    sys.exit(main())
