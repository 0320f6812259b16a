# SPDX-License-Identifier: MIT
"""
Write many node names in few characters, for people to read.

Each number in a name is folded in turn, from the last to the first, over all
names that are otherwise the same.  That takes time in proportion to the number
of names, whatever their shape (ten thousand in well under a tenth of a
second), and may miss the shortest way to write a lopsided set.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

_NUMBER = re.compile(r"([0-9]+)")
_Parts = tuple[str, ...]


def fold(names: Iterable[str]) -> str:
    """
    A node set with exactly these names, in natural order.

    `powercoord.nodeset.expand` reads it back.
    """
    by_shape: defaultdict[_Parts, list[_Parts]] = defaultdict(list)
    for name in dict.fromkeys(names):
        parts = tuple(_NUMBER.split(name))
        by_shape[parts[::2]].append(parts)
    folded = [text for shape in by_shape.values() for text in _fold_shape(shape)]
    return ",".join(sorted(folded, key=natural))


def natural(name: str) -> tuple[object, ...]:
    """
    A key to sort names as people count: n2 before n10.
    """
    parts = _NUMBER.split(name)
    return tuple((part, 0, "") if at % 2 == 0 else ("", int(part), part) for at, part in enumerate(parts))


def _fold_shape(names: Sequence[_Parts]) -> list[str]:
    current: Sequence[_Parts] = names
    for at in range(len(names[0]) - 2, 0, -2):
        current = _fold_number(current, at)
    return ["".join(parts) for parts in current]


def _fold_number(names: Sequence[_Parts], at: int) -> list[_Parts]:
    alike: defaultdict[tuple[_Parts, _Parts], list[str]] = defaultdict(list)
    for parts in names:
        alike[parts[:at], parts[at + 1 :]].append(parts[at])
    return [(*before, _ranges(numbers), *after) for (before, after), numbers in alike.items()]


def _ranges(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return numbers[0]
    padded = {len(number) for number in numbers if number[0] == "0" and len(number) > 1}
    widths: defaultdict[int, list[int]] = defaultdict(list)
    for number in numbers:
        widths[len(number) if len(number) in padded else 1].append(int(number))
    runs = [run for width in sorted(widths) for run in _runs(sorted(widths[width]), width)]
    return f"[{','.join(runs)}]"


def _runs(numbers: Sequence[int], width: int) -> Iterator[str]:
    """
    Neighbouring numbers as ``first-last``.
    """
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        ends = dict.fromkeys((run[0], run[-1]))
        yield "-".join(f"{number:0{width}d}" for number in ends)
