# SPDX-License-Identifier: MIT
"""
No secret can be written down, because nothing that an entry is made of can hold one.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attrs
from twisted.trial.unittest import SynchronousTestCase

from powercoord.entries import Entry

PLAIN = {str, int, float, bool, datetime, type(None)}


def members(kind: Any) -> set[Any]:
    """
    All types that a value of a type may be made of.
    """
    if isinstance(kind, UnionType) or get_origin(kind) is not None:
        return set().union(*(members(each) for each in get_args(kind) if each is not ...))
    if attrs.has(kind):
        return {kind}.union(*(members(each) for each in get_type_hints(kind).values()))
    return {kind}


class SecretTests(SynchronousTestCase):
    def test_types(self) -> None:
        """
        An entry is made of our own values, enumerations and plain values: no settings, target or context.
        """
        found = {each for each in members(Entry) if each not in PLAIN and not issubclass(each, Enum)}

        self.assertEqual(
            {"powercoord.entries", "powercoord.holds", "powercoord.model"},
            {each.__module__ for each in found},
        )
        self.assertEqual(set(), {each.__name__ for each in found} & {"Node", "Target", "Timing"})

    def test_names(self) -> None:
        """
        No field of an entry is named after a secret.
        """
        names = {each.name for kind in members(Entry) if attrs.has(kind) for each in attrs.fields(kind)}

        self.assertEqual(
            set(), names & {"password", "secret", "settings", "context", "token", "key", "credentials"}
        )
