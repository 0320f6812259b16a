# SPDX-License-Identifier: MIT
"""
What a driver's setting is written as: in the configuration, and in a context that a region sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_origin

from powercoord.duration import format_duration
from powercoord.settings import Described
from powercoord.strict import Count, Interval, Moment, Patience, Seconds, Tries

#: What a setting is written as.
KINDS: Mapping[Any, str] = MappingProxyType(
    {
        str: "string",
        bool: "boolean",
        int: "number",
        float: "number",
        Count: "number",
        Tries: "number",
        Seconds: "duration",
        Moment: "duration",
        Patience: "duration",
        Interval: "duration",
    }
)


def kind_of(described: Described) -> str:
    """
    What a setting is written as: ``choice``, ``choices`` (any of them), ``list``, or one of `KINDS`.
    """
    members = [each for each in get_args(described.type) if each not in (NoneType, Ellipsis)]
    kind = members[0] if members else described.type
    several = get_origin(described.type) in (tuple, list, frozenset, set)
    if described.setting.choices or _is_enum(kind):
        return "choices" if several else "choice"
    return "list" if several else KINDS.get(kind, "string")


def written(value: Any, kind: str) -> Any:
    """
    A value as one writes it in the configuration.
    """
    if isinstance(value, list | tuple | frozenset | set):
        return [written(each, "") for each in value]
    if isinstance(value, Enum):
        return value.value
    return format_duration(value) if kind == "duration" and value is not None else value


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def context_choices(driver: Any, name: str, described: Described) -> tuple[tuple[str, str], ...]:
    """
    What may be sent for a setting under its name in a context, with labels; empty: any text.

    A driver whose settings are chosen by other words there says so in an attribute ``context_choices``, by
    that name; the first is then what it takes for nothing.
    """
    told: Mapping[str, tuple[tuple[str, str], ...]] = getattr(driver, "context_choices", {})
    if name in told:
        return told[name]
    if kind_of(described) == "boolean":
        return (("true", "Yes"), ("false", "No"))
    return described.setting.choices


def context_default(driver: Any, name: str, described: Described) -> str | list[str]:
    """
    What a form has for a setting at first; sent back, it means the setting's own default.
    """
    if described.setting.secret:
        return ""
    if kind_of(described) == "choices":
        return [in_context(each, "") for each in described.default or ()]
    text = in_context(described.default, kind_of(described))
    words = [word for word, _ in context_choices(driver, name, described)]
    return text if not words or text in words or described.required else words[0]


def in_context(value: Any, kind: str) -> str:
    """
    A value as text in a context: words with spaces between, ``true`` or ``false``, times with their units.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    plain = written(value, kind)
    return " ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
