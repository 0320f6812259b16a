# SPDX-License-Identifier: MIT
"""
Marks of a node's settings: whether they are still the same can be told from them, and nothing else.

# Note [What a mark gives away]

A mark is a keyed hash, cut to 24 bits, and its key is kept in a file beside
the journal.  Without the key it says nothing.  With it, one who guesses can
cross guesses out, but not be sure of one: each wrong guess has one chance in
sixteen million to fit, and so many others do.  The price is that one change of
settings in sixteen million is taken for none; `powercoord unpark` ends that.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import attrs

from powercoord.model import Target

KEY_BYTES = 32
_DIGITS = 6


def mark(key: bytes, target: Target) -> str:
    """
    The mark of what a driver needs to reach a node; empty if there is no key, or a value has no plain form.
    """
    if not key:
        return ""
    try:
        text = json.dumps(_plain(target), sort_keys=True)
    except TypeError:
        return ""
    return hmac.new(key, text.encode(), "sha256").hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """
    A value as JSON has it, the same in every run; a setting at its default is as one that is not there.

    :raises TypeError: it has no such form.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return [[_plain(name), _plain(each)] for name, each in sorted(value.items())]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(each)) for each in value)
    if attrs.has(type(value)):
        return {name: _plain(each) for name, each in _told(value)}
    raise TypeError(f"{type(value).__name__} has no plain form")


def _told(value: Any) -> list[tuple[str, Any]]:
    told = ((each, getattr(value, each.name)) for each in attrs.fields(type(value)))
    return [(each.name, found) for each, found in told if found != _default(each)]


def _default(attribute: attrs.Attribute[Any]) -> Any:
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return attrs.NOTHING if default.takes_self else default.factory()
    return default
