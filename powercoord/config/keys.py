# SPDX-License-Identifier: MIT
"""
Keys of the configuration file, each with the sentence that the reference prints.
"""

from __future__ import annotations

from typing import Any

from attrs import NOTHING, field, fields, frozen

_METADATA = "powercoord.key"


@frozen
class Key:
    """
    One key of a table, for the reference.
    """

    name: str
    type: Any
    default: object
    description: str


def key(description: str, *, default: Any = NOTHING, secret: bool = False) -> Any:
    """
    Declare a key of a table, with what an operator must know about it.
    """
    return field(default=default, repr=not secret, metadata={_METADATA: description})


def keys_of(table: type) -> tuple[Key, ...]:
    """
    The keys of a table, in their order.
    """
    return tuple(
        Key(attribute.name, attribute.type, attribute.default, attribute.metadata[_METADATA])
        for attribute in fields(table)
        if _METADATA in attribute.metadata
    )
