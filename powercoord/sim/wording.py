# SPDX-License-Identifier: MIT
"""
Faults and profiles as words of a command line: ``delay=2``, ``complain=reset:SYS518``, ``dead``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import attrs

from powercoord.nearest import nearest

_T = TypeVar("_T")

_TRUE, _FALSE = ("", "true", "yes", "on"), ("false", "no", "off")


def settled(base: _T, texts: Sequence[str]) -> _T:
    """
    A frozen attrs value with some of its fields as the words say.

    :raises ValueError: which word is wrong, and what would be right.
    """
    known = fields_of(type(base))
    changes: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            likely = nearest(name, known)
            raise ValueError(
                f"unknown {name!r}" + (f"; did you mean {likely!r}?" if likely else f"; {_list(known)}")
            )
        try:
            changes[name] = known[name](value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return attrs.evolve(base, **changes) if changes else base  # type: ignore[misc]


def fields_of(cls: type[Any]) -> dict[str, Callable[[str], Any]]:
    """
    The fields of a class that words can set, and how each is read. Passwords are not among them.
    """
    hints = get_type_hints(cls)
    found = {field.name: _reader(hints[field.name]) for field in attrs.fields(cls) if field.repr}
    return {name: reader for name, reader in found.items() if reader is not None}


def _reader(kind: Any) -> Callable[[str], Any] | None:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda text: _member(kind, text)
    return _READERS.get(kind)


def _list(known: Mapping[str, object]) -> str:
    return "there are " + ", ".join(sorted(known))


def _member(kind: type[Enum], text: str) -> Enum:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is none of {', '.join(str(each.value) for each in kind)}") from None


def _flag(text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise ValueError(f"true or false, not {text!r}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"a number, not {text!r}") from None


def _count(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"a whole number, not {text!r}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _pairs(text: str) -> dict[str, str]:
    pairs = [word.partition(":") for word in _words(text)]
    for name, colon, value in pairs:
        if not (name and colon and value):
            raise ValueError(f"request:answer, not {name + colon + value!r}")
    return {name: value for name, _, value in pairs}


_READERS: Mapping[Any, Callable[[str], Any]] = MappingProxyType(
    {
        bool: _flag,
        float: _number,
        int: _count,
        str: str,
        tuple[str, ...]: _words,
        tuple[int, ...]: lambda text: tuple(_count(word) for word in _words(text)),
        frozenset[str]: lambda text: frozenset(_words(text)),
        Mapping[str, str]: _pairs,
        Mapping[str, int]: lambda text: {name: _count(value) for name, value in _pairs(text).items()},
    }
)
