# SPDX-License-Identifier: MIT
"""
Looking for a regular expression in a stranger's text, in bounded time.

# Note [Patience with a regex]

Python's ``re`` cannot be interrupted, and a pattern can take exponential time
on a text of forty characters.  So what is certainly cheap is looked for here
and now: a short text, and a pattern of plain characters and sets with no
choice inside a repetition, and at most two repetitions.  All else is looked for
by a child process, which can be ended.  Neither is ever cut short: a text
without its end could hide the answer.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from powercoord.drivers.children import Ended, Program, surroundings

#: Characters that are looked through here: two repetitions cost their number cubed.
SHORT = 512

_MOST_REPEATS = 2
_MOST_MAYBES = 4
_REPEATS = frozenset((_constants.MAX_REPEAT, _constants.MIN_REPEAT))
_PLAIN = frozenset((_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT))

_LOOK = """
import json, re, sys
asked = json.load(sys.stdin)
print(json.dumps([re.search(each, asked["text"]) is not None for each in asked["patterns"]]))
"""


def is_cheap(pattern: str, text: str) -> bool:
    """
    Whether looking for this can be done at once; see note [Patience with a regex].
    """
    return len(text) <= SHORT and _is_simple(pattern)


def found_here(patterns: Sequence[str], text: str) -> tuple[bool, ...]:
    """
    Which of the patterns are in the text.
    """
    return tuple(re.search(each, text) is not None for each in patterns)


def by_child(patterns: Sequence[str], text: str) -> Program:
    """
    The program that says the same.
    """
    asked = json.dumps({"patterns": list(patterns), "text": text}).encode()
    return Program(argv=(sys.executable, "-I", "-S", "-c", _LOOK), environment=surroundings({}), stdin=asked)


def found_by(ended: Ended) -> tuple[bool, ...] | None:
    """
    What the child said; None: nothing.
    """
    if ended.code != 0:
        return None
    try:
        return tuple(bool(each) for each in json.loads(ended.stdout))
    except ValueError:
        return None


def _is_simple(pattern: str) -> bool:
    try:
        parts = list(_walk(_parser.parse(pattern), within=False))
    except (re.error, RecursionError):
        return False
    return (
        "costly" not in parts
        and parts.count("repeat") <= _MOST_REPEATS
        and parts.count("maybe") <= _MOST_MAYBES
    )


def _walk(parts: Any, *, within: bool) -> Iterator[str]:
    """
    What of a parsed pattern can cost time; ``within``: this is repeated itself.
    """
    for kind, value in parts:
        if kind in _REPEATS:
            least, most, inner = value
            if least != most:
                yield "costly" if within else "repeat" if most > 1 else "maybe"
            yield from _walk(inner, within=within or most > 1)
        elif kind is _constants.SUBPATTERN:
            yield from _walk(value[-1], within=within)
        elif kind is _constants.BRANCH and not within:
            for branch in value[1]:
                yield from _walk(branch, within=within)
        elif kind not in _PLAIN:
            yield "costly"
