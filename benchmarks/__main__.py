# SPDX-License-Identifier: MIT
"""
`python -m benchmarks [NAME...]`: run benchmarks and print their tables.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.child import hot_spots
from benchmarks.table import machine

NAMES = ("registry", "journal", "amp", "off", "memory", "ipmi", "inrush", "hypervisors", "redfish", "amt")


def arguments(words: Sequence[str] | None = None) -> Namespace:
    """
    Read the command line.
    """
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--tiny", action="store_true", help="as little as possible, to see that it works")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables here too")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw what inrush found (needs matplotlib)"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="profile the workers, and say where time went"
    )
    options = parser.parse_args(words)
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")
    return options


def main(words: Sequence[str] | None = None) -> None:
    """
    Run them one after the other.
    """
    options = arguments(words)
    texts = [machine()]
    print(texts[0], flush=True)
    if options.profile is not None:
        options.profile.mkdir(parents=True, exist_ok=True)
    for name in options.names or NAMES:
        for table in import_module(f"benchmarks.{name}").run(tiny=options.tiny, profile=options.profile):
            texts.append(table.markdown())
            print(f"\n{texts[-1]}", flush=True)
    if options.profile is not None:
        print(hot_spots(options.profile))
    if options.picture is not None:
        from benchmarks.inrush import draw

        draw(options.picture)
    if options.output is not None:
        options.output.write_text("\n".join(texts))


if __name__ == "__main__":
    main()
