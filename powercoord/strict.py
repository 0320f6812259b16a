# SPDX-License-Identifier: MIT
"""
Plain data into typed values, with nothing bent until it fits.

cattrs alone turns ``"12"`` into 12 and 1.9 into 1.  Here a value is what it is
written as, an unknown key is an error that names the nearest known one, and
all errors are found in one pass, each with the path of its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from operator import is_
from types import MappingProxyType
from typing import Any, NewType, get_args, get_origin

from attrs import fields, frozen, has
from cattrs import ClassValidationError, Converter
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

from powercoord.duration import parse_duration
from powercoord.nearest import nearest

Path = tuple[str | int, ...]

Seconds = NewType("Seconds", float)
"""
A time that may be zero.
"""

Moment = NewType("Moment", float)
"""
A time above zero.
"""

Patience = NewType("Patience", float)
"""
A time that may be zero or infinite.
"""

Interval = NewType("Interval", float)
"""
A time between two turns, at least a second; 0 if there are none.
"""

Count = NewType("Count", int)
"""
A number of things, at least one.
"""

Tries = NewType("Tries", int)
"""
A number of repetitions, which may be none.
"""

Scalars = NewType("Scalars", Mapping[str, str | int | float | bool])
"""
A table whose keys somebody else defines, with a string, a number or a boolean each.
"""


@frozen
class Problem:
    """
    What is wrong with one key; ``path`` leads to it.
    """

    path: Path
    text: str


def strict_converter() -> Converter:
    """
    A converter that takes a value for what it is written as, or not at all.
    """
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, lambda value, _: _time_or_number(value))
    for alias, hook in _ALIASES.items():
        converter.register_structure_hook_func(partial(is_, alias), hook)
    converter.register_structure_hook_func(_is_enum, _one_of)
    converter.register_structure_hook_factory(_is_array, lambda kind: _array(kind, converter))
    converter.register_structure_hook_factory(has, lambda kind: _table(kind, converter))
    return converter


def problems(error: BaseException, path: Path = ()) -> Iterator[Problem]:
    """
    Everything that a failed ``structure`` found, in the order of the fields.
    """
    if isinstance(error, ClassValidationError):
        named, others = error.group_exceptions()
        for inner, note in named:
            yield from problems(inner, (*path, note.name))
        for inner in others:
            yield from problems(inner, path)
    elif isinstance(error, _Members):
        for index, inner in error.wrong:
            yield from problems(inner, (*path, index))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in fields(error.cl)]
        for key in sorted(error.extra_fields):
            yield Problem((*path, key), unknown_key(key, known))
    else:
        yield Problem(path, "missing" if isinstance(error, KeyError) else str(error))


def unknown_key(key: str, known: list[str]) -> str:
    """
    Say that a key is unknown, and which one may have been meant.
    """
    near = nearest(key, known)
    return f"unknown key; did you mean '{near}'?" if near else f"unknown key; known: {', '.join(known)}"


def kind_of(value: object) -> str:
    """
    What TOML and JSON call the kind of this value; the value itself may be a secret.
    """
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    ((list, tuple), "an array"),
    (dict, "a table"),
    (type(None), "nothing"),
)
_WORDS = {str: "a string", int: "an integer", bool: "true or false"}


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {_WORDS[kind]}, got {kind_of(value)}")
        return value

    return structure


def _time_or_number(value: Any) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {kind_of(value)}")
    return float(value)


def _seconds(value: Any, _: Any) -> float:
    return parse_duration(value)


def _moment(value: Any, _: Any) -> float:
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError("must be above zero")
    return seconds


def _patience(value: Any, _: Any) -> float:
    if value == "infinity" or value == float("inf"):
        return float("inf")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, 0 (do not wait) or "infinity" (no limit)') from None


def _interval(value: Any, _: Any) -> float:
    if value == "off":
        return 0.0
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, 0 or "off" (never)') from None
    if 0 < seconds < 1:
        raise ValueError(f'{value} is shorter than a second; 0 or "off" is never')
    return seconds


def _at_least(least: int) -> Callable[[Any, Any], int]:
    def structure(value: Any, _: Any) -> int:
        if type(value) is not int:
            raise TypeError(f"expected an integer, got {kind_of(value)}")
        if value < least:
            raise ValueError(f"must be at least {least}, got {value}")
        return value

    return structure


def _scalars(value: Any, _: Any) -> Mapping[str, str | int | float | bool]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a table, got {kind_of(value)}")
    wrong: list[tuple[str | int, Exception]] = [
        (key, TypeError(f"expected a string, a number or a boolean, got {kind_of(member)}"))
        for key, member in value.items()
        if not isinstance(member, str | int | float)
    ]
    if wrong:
        raise _Members(wrong)
    return MappingProxyType(dict(value))


_ALIASES: dict[Any, Callable[[Any, Any], Any]] = {
    Seconds: _seconds,
    Moment: _moment,
    Patience: _patience,
    Interval: _interval,
    Count: _at_least(1),
    Tries: _at_least(0),
    Scalars: _scalars,
}


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _one_of(value: Any, kind: type[Enum]) -> Enum:
    words = [str(member.value) for member in kind]
    if isinstance(value, str) and value in words:
        return kind(value)
    near = nearest(value, words) if isinstance(value, str) else None
    raise ValueError(f"did you mean '{near}'?" if near else f"expected one of: {', '.join(words)}")


def _is_array(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (tuple, list, frozenset, set)


class _Members(Exception):
    """
    What is wrong with members of an array or a table, by their index or key.
    """

    def __init__(self, wrong: list[tuple[str | int, Exception]]) -> None:
        super().__init__(wrong)
        self.wrong = wrong


def _array(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """
    Structure arrays; cattrs would take a string for one, of its letters.
    """
    origin = get_origin(kind) or kind
    arguments: tuple[Any, ...] = get_args(kind) or (str,)
    inner = arguments[0]

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"expected an array, got {kind_of(value)}")
        members: list[Any] = []
        wrong: list[tuple[str | int, Exception]] = []
        for index, member in enumerate(value):
            try:
                members.append(converter.structure(member, inner))
            except Exception as error:  # noqa: BLE001 - all are told at once
                wrong.append((index, error))
        if wrong:
            raise _Members(wrong)
        return origin(members)

    return structure


def _table(kind: type, converter: Converter) -> Callable[[Any, Any], Any]:
    inner: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"expected a table, got {kind_of(value)}")
        return inner(value, kind)

    return structure
