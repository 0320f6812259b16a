# SPDX-License-Identifier: MIT
"""
Many node names in few characters, in the notation of ClusterShell.

``rack1n[001-100]``, ``n[1-5,7]``, ``n[0-6/2]``, ``r[1-2]n[1-3]``, ``@group``,
``@all``; joined from left to right by ``,`` (and), ``!`` (without), ``&`` (in
both) and ``^`` (in one of both).  Power follows these names, so unlike there
nothing is guessed: an empty set, an unknown group or a blank inside a name is
an error, and nothing is expanded before its size is known.  Order is kept as
written, because configuration pairs names with addresses.  The reasons for
code of our own: docs/decisions/0051-node-sets.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import prod

from attrs import frozen

from powercoord.errors import BadRequest
from powercoord.nearest import nearest

LIMIT = 100_000

_LONGEST_NAME = 255
_OPERATORS = ",!&^"
_WORD = re.compile(r"[A-Za-z0-9_.:-]*")
_RANGE = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15})(?:/([0-9]{1,15}))?)?")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_HAS_RANGE = re.compile(r"\[[0-9,/ -]+\]")

Groups = Mapping[str, Sequence[str]]
_Names = dict[str, None]


class NodeSetError(BadRequest):
    """
    That is no node set.
    """


def expand(text: str, groups: Groups | None = None, *, limit: int = LIMIT) -> tuple[str, ...]:
    """
    The names in a node set, each once, in the order written.

    :param groups: names of the nodes in each group; ``@all`` is a group like others.
    :raises NodeSetError: in one line, with what would be right.
    """
    names: _Names = {}
    for operator, term in _terms(text):
        names = _JOIN[operator](names, dict.fromkeys(_names(term, groups, limit)))
        if len(names) > limit:
            raise NodeSetError(f"'{_shown(text)}' names more than {limit} nodes")
    if not names:
        raise NodeSetError(f"'{_shown(text)}' is an empty set: no node is left")
    return tuple(names)


def has_range(value: str) -> bool:
    """
    Whether a value (an address, say) stands for several, as ``10.0.0.[1-100]`` does.
    """
    return _HAS_RANGE.search(value) is not None


def expand_values(value: str, *, limit: int = LIMIT) -> tuple[str, ...]:
    """
    The values that one with ranges stands for, in the order written.

    Only the comma joins here, and nothing is said about what else is in them.
    """
    values: list[str] = []
    for part in _split_commas(value):
        pieces = _pieces(part, value)
        _bound(pieces, value, limit - len(values))
        values.extend(_products(pieces))
    return tuple(values)


def is_name(name: str) -> bool:
    """
    Whether a node or group may be called that.
    """
    return (
        0 < len(name) <= _LONGEST_NAME
        and _WORD.fullmatch(name) is not None
        and (name[0].isalnum() or name[0] == "_")
    )


_JOIN: Mapping[str, Callable[[_Names, _Names], _Names]] = {
    ",": lambda left, right: left | right,
    "!": lambda left, right: {name: None for name in left if name not in right},
    "&": lambda left, right: {name: None for name in left if name in right},
    "^": lambda left, right: {name: None for name in left | right if (name in left) != (name in right)},
}


def _terms(text: str) -> Iterator[tuple[str, str]]:
    """
    Each term with the operator before it; the first is joined to nothing.
    """
    if not text.strip():
        raise NodeSetError("the node set is empty; name nodes, as in 'rack1n[001-100]' or '@rack1'")
    operator, start, depth = ",", 0, 0
    for at, sign in enumerate(text):
        depth += (sign == "[") - (sign == "]")
        if depth not in (0, 1):
            raise NodeSetError(f"brackets do not match in '{_shown(text)}'")
        if depth == 0 and sign in _OPERATORS:
            yield operator, _term(text[start:at], text)
            operator, start = sign, at + 1
    if depth:
        raise NodeSetError(f"a '[' is never closed in '{_shown(text)}'")
    yield operator, _term(text[start:], text)


def _term(term: str, text: str) -> str:
    stripped = term.strip()
    if not stripped:
        raise NodeSetError(
            f"nothing stands before or after one of the signs {' '.join(_OPERATORS)} in '{_shown(text)}'"
        )
    return stripped


def _names(term: str, groups: Groups | None, limit: int) -> Iterator[str]:
    words = _words(term.removeprefix("@"), term, limit)
    if not term.startswith("@"):
        return words
    return (name for word in words for name in _members(word, groups))


def _words(words: str, term: str, limit: int) -> Iterator[str]:
    pieces = _pieces(words, term)
    for literal in pieces[::2]:
        _check_literal(str(literal), term)
    _bound(pieces, term, limit)
    return (_check_name(name, term) for name in _products(pieces))


def _check_literal(literal: str, term: str) -> None:
    end = _WORD.match(literal)
    if end is None or end.end() == len(literal):
        return
    sign = literal[end.end()]
    if sign.isspace():
        raise NodeSetError(f"there is a blank inside '{_shown(term)}'; separate nodes with ','")
    raise NodeSetError(
        f"'{sign}' cannot be part of a name in '{_shown(term)}'; letters, digits, '_', '.', ':', '-' can"
    )


def _check_name(name: str, term: str) -> str:
    if is_name(name):
        return name
    if len(name) > _LONGEST_NAME:
        raise NodeSetError(f"'{_shown(term)}' is longer than {_LONGEST_NAME} characters")
    raise NodeSetError(f"'{_shown(name)}' is no name; a name begins with a letter or digit")


def _members(group: str, groups: Groups | None) -> Sequence[str]:
    if not groups:
        raise NodeSetError(f"unknown group '@{group}': no groups are known here")
    if group in groups:
        if not groups[group]:
            raise NodeSetError(f"group '@{group}' is empty")
        return groups[group]
    near = nearest(group, groups)
    hint = (
        f"; did you mean '@{near}'?"
        if near
        else f"; known: {', '.join('@' + name for name in list(groups)[:8])}"
    )
    raise NodeSetError(f"unknown group '@{group}'{hint}")


# Ranges


@frozen
class _Run:
    """
    One part of what stands in brackets: numbers from first to last, with leading zeros up to ``width``.
    """

    first: int
    last: int
    step: int
    width: int

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __iter__(self) -> Iterator[str]:
        return (f"{number:0{self.width}d}" for number in range(self.first, self.last + 1, self.step))


_Ranges = tuple[_Run, ...]


def _pieces(words: str, text: str) -> list[str | _Ranges]:
    """
    Literals and ranges in turn, beginning and ending with a literal.
    """
    if words.count("[") != len(_BRACKETS.findall(words)) or words.count("]") != words.count("["):
        raise NodeSetError(f"brackets do not match in '{_shown(text)}'")
    pieces: list[str | _Ranges] = list(_BRACKETS.split(words))
    pieces[1::2] = [
        tuple(_run(part.strip(), text) for part in str(inside).split(",")) for inside in pieces[1::2]
    ]
    return pieces


def _run(part: str, text: str) -> _Run:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise NodeSetError(
            f"'{part}' is no range in '{_shown(text)}'; write [1-5], [001-100], [0-6/2] or [1-5,7]"
        )
    first, last, step = match[1], match[2] or match[1], int(match[3] or "1")
    if "0" in (first[0] * (len(first) > 1), last[0] * (len(last) > 1)) and len(first) != len(last):
        right = f"{int(first):0{len(last)}d}-{last}"
        raise NodeSetError(f"'{part}' has ends of different width in '{_shown(text)}'; write [{right}]")
    if int(last) < int(first):
        raise NodeSetError(f"'{part}' runs backwards in '{_shown(text)}'; the smaller number comes first")
    if step == 0:
        raise NodeSetError(f"'{part}' has a step of 0 in '{_shown(text)}'")
    return _Run(int(first), int(last), step, len(first) if first[0] == "0" else 1)


def _bound(pieces: Sequence[str | _Ranges], text: str, limit: int) -> None:
    size = prod(sum(len(run) for run in piece) for piece in pieces if not isinstance(piece, str))
    if size > limit:
        raise NodeSetError(f"'{_shown(text)}' stands for {size} names, more than the {limit} allowed")


def _products(pieces: Sequence[str | _Ranges]) -> Iterator[str]:
    choices = [
        (piece,) if isinstance(piece, str) else [text for run in piece for text in run] for piece in pieces
    ]
    return map("".join, product(*choices))


def _split_commas(value: str) -> Iterator[str]:
    start, depth = 0, 0
    for at, sign in enumerate(value):
        depth += (sign == "[") - (sign == "]")
        if sign == "," and depth == 0:
            yield value[start:at].strip()
            start = at + 1
    yield value[start:].strip()


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
