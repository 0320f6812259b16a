# SPDX-License-Identifier: MIT
"""
Lists of nodes, page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field

from powercoord.api.pages import fill, joined
from powercoord.errors import BadRequest

Written = Callable[[str], bytes]


def page(names: Sequence[str], after: str | None, write: Written, prefix: str = "") -> dict[str, Any]:
    """
    One page of a list, and the cursor of the next.

    :param write: a name's JSON; empty for one that is left out.
    :raises BadRequest: ``after`` is no cursor.
    """
    begin = _cursor(after)
    forms = fill(write(name) for name in names[begin:])
    end = begin + len(forms)
    return {
        "page": joined(each for each in forms if each),
        "next": f"{prefix}{end}" if end < len(names) else None,
    }


@define(eq=False)
class Listing:
    """
    A list that is made once, for its first page, and stays as it is for the others.
    """

    _names: Sequence[str] = field(default=(), init=False)
    _made: int = field(default=0, init=False)

    def page(self, after: str | None, make: Callable[[], Iterable[str]], write: Written) -> dict[str, Any]:
        """
        One page of it.

        :raises BadRequest: ``after`` belongs to a list of before.
        """
        if after is None:
            self._names = tuple(make())
            self._made += 1
        current, _, index = (f"{self._made}.0" if after is None else after).partition(".")
        if current != str(self._made):
            raise BadRequest("after: that list is gone; begin again without it")
        return page(self._names, index, write, f"{current}.")


def _cursor(after: str | None) -> int:
    try:
        index = int(after or 0)
    except ValueError:
        index = -1
    if index < 0:
        raise BadRequest("after: it must be what the page before said as next")
    return index
