# SPDX-License-Identifier: MIT
"""
``python -m powercoord.drivers.fence [AGENT]``: which agents there are, or what one of them takes.
"""

from __future__ import annotations

import os
import sys

from powercoord.drivers.children import surroundings
from powercoord.drivers.fence.agents import USUAL_FOLDER, Agents, ask_now, installed
from powercoord.drivers.fence.manual_page import page
from powercoord.drivers.fence.metadata import NotMetadata, parse_metadata
from powercoord.errors import PowerError


def main() -> int:
    """
    Print it; the status says whether there was anything to print.
    """
    if len(sys.argv) == 1:
        sys.stdout.write("".join(f"{name}\n" for name in installed(USUAL_FOLDER)))
        return 0
    try:
        path = Agents.path(sys.argv[1], USUAL_FOLDER)
        sys.stdout.write(page(parse_metadata(ask_now(path, surroundings(os.environ)))))
    except (PowerError, NotMetadata) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
