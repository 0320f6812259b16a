# SPDX-License-Identifier: MIT
"""
Tables in Markdown, and the machine that their figures are from.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from attrs import define, field

from benchmarks.cost import load


@define
class Table:
    """
    Figures with a title; `markdown` aligns them, so that they can be read as they are.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(factory=list)
    notes: list[str] = field(factory=list)

    def add(self, *cells: str) -> None:
        """
        One more row.
        """
        self.rows.append(cells)

    def markdown(self) -> str:
        """
        Title, table, notes.
        """
        widths = [
            max(len(row[place]) for row in [self.columns, *self.rows]) for place in range(len(self.columns))
        ]
        lines = [
            self._line(self.columns, widths),
            "|" + "|".join(_rule(width, n) for n, width in enumerate(widths)) + "|",
        ]
        lines += [self._line(row, widths) for row in self.rows]
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"### {self.title}\n\n" + "\n".join(lines) + f"\n{notes}"

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"


def _rule(width: int, place: int) -> str:
    return "-" * (width + 2) if place == 0 else "-" * (width + 1) + ":"


def figure(value: float, digits: int = 3) -> str:
    """
    A number with as many significant digits as mean something.
    """
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}"


def machine() -> str:
    """
    Where and with what it was measured, in one line.
    """
    words = [
        _processor(),
        f"{os.cpu_count()} CPUs",
        f"Linux {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("twisted", "cryptography")),
        f"load {load():.2f} at the start",
    ]
    return ", ".join(words)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
