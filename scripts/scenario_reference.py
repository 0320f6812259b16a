# SPDX-License-Identifier: MIT
"""
Write docs/scenario.md from docs/scenario.json: what was seen when the scenario was run with each driver.

With a folder as argument (that of ``POWERCOORD_SCENARIO``, see tests/functional/scenario.py) what lies there
takes the place of what was known of those drivers; with ``--check`` it is only said whether the page is
current.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, KNOWN = ROOT / "docs" / "scenario.md", ROOT / "docs" / "scenario.json"
MARKED = re.compile(r"(<!-- from the results -->\n).*?(<!-- so far -->)", re.DOTALL)

STEPS = (
    "on",
    "on again",
    "off during on",
    "soft-off, ignored",
    "cycle",
    "wrong password",
    "endpoint dead",
    "endpoint dying half-way",
    "cancel at each step",
)

Results = dict[str, dict[str, Any]]


def current() -> str:
    """
    The page with what is known.
    """
    results: Results = json.loads(KNOWN.read_text("utf-8"))
    table = _table(results)
    return MARKED.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", PAGE.read_text("utf-8"))


def _table(results: Results) -> str:
    drivers = sorted(results)
    lines = [f"| | {' | '.join(f'`{name}`' for name in drivers)} |", f"|{'---|' * (len(drivers) + 1)}"]
    for step in STEPS:
        cells = [_cell(results[name].get(step)) for name in drivers]
        lines.append(f"| **{step}** | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not run"
    if "absent" in row:
        return f"not shown: {row['absent']}"
    commands = ", ".join(f"`{word}`" for word in row["commands"])
    if "cancel" in row["step"]:
        return str(row["seen"])
    return f"{row['seen']}; {'sent: ' + commands if commands else 'nothing sent'}; {row['seconds']:g} s"


def take(folder: Path) -> None:
    """
    Put what was seen in the place of what was known.
    """
    results: Results = json.loads(KNOWN.read_text("utf-8")) if KNOWN.exists() else {}
    for file in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        results[file.stem] = {row["step"]: row for row in rows}
    KNOWN.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")


def main(words: Sequence[str]) -> int:
    """
    Write the page, or say that it is not current.
    """
    for folder in (word for word in words if word != "--check"):
        take(Path(folder))
    text = current()
    if "--check" not in words:
        PAGE.write_text(text, "utf-8")
    elif text != PAGE.read_text("utf-8"):
        print("docs/scenario.md is not current; run scripts/scenario_reference.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
