# SPDX-License-Identifier: MIT
"""
Where a command writes: tables for people, lines for logs, JSON for programs.

Results go to standard output.  What is about the way there (progress,
warnings, errors) goes to standard error, so that neither spoils the other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from attrs import define, field
from rich.console import Console
from rich.table import Table
from rich.text import Text


@define
class Screen:
    """
    The two streams, and whether people or programs read them.
    """

    json: bool = False
    out: Console = field(factory=lambda: Console(file=sys.stdout, highlight=False, soft_wrap=True))
    err: Console = field(factory=lambda: Console(file=sys.stderr, highlight=False, soft_wrap=True))

    def document(self, value: object) -> None:
        """
        Write one JSON value on one line.
        """
        self.out.file.write(json.dumps(value, ensure_ascii=False) + "\n")
        self.out.file.flush()

    def line(self, text: str, style: str = "") -> None:
        """
        Write one line of the answer.
        """
        self.out.print(Text(text, style))

    def note(self, text: str, style: str = "") -> None:
        """
        Write one line about the way to the answer.
        """
        self.err.print(Text(text, style))

    def table(
        self, heads: Sequence[str], table: Sequence[Sequence[str]], styles: Sequence[str] | None = None
    ) -> None:
        """
        Write a table: coloured for people, plain for everything else; empty columns are left out.
        """
        used = [column for column in range(len(heads)) if any(row[column] for row in table)]
        heads = [heads[column] for column in used]
        table = [[row[column] for column in used] for row in table]
        if not self.out.is_terminal:
            self._columns(heads, table)
            return
        framed = Table(*heads, box=None, pad_edge=False)
        for row, style in zip(table, styles or [""] * len(table), strict=True):
            framed.add_row(*(Text(cell) for cell in row), style=style)
        self.out.print(framed, soft_wrap=False)

    def _columns(self, heads: Sequence[str], table: Sequence[Sequence[str]]) -> None:
        lines = [heads, *table]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            self.line("  ".join(cells).rstrip())


def count_of(count: int, word: str) -> str:
    """
    So many things, in words.
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
