# SPDX-License-Identifier: MIT
"""
BMCs that tell by themselves that power may have changed.

A hint is a reason to read now and never an answer, so that a BMC that tells
lies, tells late or tells nothing costs reads or time, but no truth.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.logger import Logger

from powercoord.interfaces import IPowerDriver, IPowerHints
from powercoord.model import Node, Target

Stop = Callable[[], None]

_log = Logger(namespace="powercoord.registry")


def _nothing() -> None:
    """
    There is nothing to stop.
    """


def watch(driver: IPowerDriver, target: Target, hint: Callable[[], None]) -> Stop:
    """
    Have ``hint`` called for a target until the result is called; never, if its driver has no hints.

    A driver that fails at this is as one without.
    """
    if not IPowerHints.providedBy(driver):
        return _nothing
    try:
        return IPowerHints(driver).watch(target, hint)
    except Exception:  # noqa: BLE001 - whatever others' code raises, it is only slower without hints
        _log.failure("driver {driver} cannot watch {endpoint}", driver=driver.name, endpoint=target.endpoint)
        return _nothing


@define(eq=False)
class Watched:
    """
    The nodes that are listened to, each as it was reached when that began.

    :param hint: is told the name of a node that may have changed.
    """

    _driver: Callable[[str], IPowerDriver]
    _hint: Callable[[str], None]
    _stops: dict[str, tuple[Target, Stop]] = field(factory=dict, init=False)

    def follow(self, node: Node) -> None:
        """
        Listen to a node; to one that is reached in another way than before, anew.

        :raises UnknownPowerType: there is no such driver.
        """
        known = self._stops.get(node.name)
        if known is not None and known[0] == node.target:
            return
        self.leave(node.name)
        stop = watch(self._driver(node.target.driver), node.target, lambda: self._hint(node.name))
        self._stops[node.name] = node.target, stop

    def leave(self, name: str) -> None:
        """
        Do not listen to that node any more.
        """
        known = self._stops.pop(name, None)
        if known is not None:
            known[1]()

    def leave_all(self) -> None:
        """
        Listen to nobody.
        """
        for name in list(self._stops):
            self.leave(name)
