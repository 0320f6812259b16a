# SPDX-License-Identifier: MIT
"""
A node's place among those that are starting.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from powercoord.registry.starts_room import Groups


@define(eq=False)
class StartSlot:
    """
    Held from the moment when a node may start, until it is released; once is enough.

    :param inside: the groups that count it, and the fleet.
    :param at_door: whether it may be told to start, and was not yet.
    :param again: whether it waits to be told again; see note [The doorway] in `starts_room`.
    """

    groups: Groups
    watts: int
    inside: Groups
    at_door: bool
    _may_be_told: Callable[[StartSlot], bool] = field(repr=False)
    _left: Callable[[StartSlot], None] = field(repr=False)
    _commanded: Callable[[StartSlot], None] = field(repr=False)
    held: bool = field(default=True, init=False)
    again: bool = field(default=False, init=False)

    def may_be_told(self) -> bool:
        """
        Whether its node may be told to start now; the first time it may.
        """
        return self.at_door or self._may_be_told(self)

    def commanded(self) -> None:
        """
        Its node has just been told to start.
        """
        if self.held:
            self._commanded(self)

    def release(self) -> None:
        """
        Give the place to the next in line.
        """
        if self.held:
            self.held = False
            self._left(self)
