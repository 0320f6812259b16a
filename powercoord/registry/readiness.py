# SPDX-License-Identifier: MIT
"""
Whether nodes that are on carry those that require them, as far as a probe can tell.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.model import Node
from powercoord.registry.audience import Audience
from powercoord.registry.sightings import Sightings

_log = Logger(namespace="powercoord.registry")

Probe = Callable[[str], Deferred[str]]
"""
Tries a connection to ``host:port``; fires with why there is none, or with nothing.
"""


@define(eq=False)
class Readiness:
    """
    What probes have shown; one holds as long as its node has been on since.

    Those who wait for the same node share one probe.
    """

    _sightings: Sightings
    _probe: Probe
    _shown: dict[str, tuple[str, float]] = field(factory=dict, init=False)
    _probing: dict[str, Audience[str]] = field(factory=dict, init=False)

    def is_shown(self, node: Node) -> bool:
        """
        Whether there is nothing to probe, or it was ready since it came on.
        """
        return not node.ready.tcp or self._shown.get(node.name) == self._now(node)

    def probe(self, node: Node) -> Deferred[str]:
        """
        Fires with why a node is not ready, or with nothing.
        """
        if self.is_shown(node):
            return succeed("")
        audience = self._probing.get(node.name)
        if audience is not None:
            return audience.join()
        audience = self._probing[node.name] = Audience()
        joined = audience.join()
        maybeDeferred(self._probe, node.ready.tcp).addErrback(_fault).addCallback(
            self._probed, node, self._now(node)
        )
        return joined

    def _now(self, node: Node) -> tuple[str, float]:
        return node.ready.tcp, self._sightings.on_since(node.name)

    def _probed(self, reason: str, node: Node, when: tuple[str, float]) -> None:
        if not reason:
            self._shown[node.name] = when
        self._probing.pop(node.name).tell(reason)


def unprobed(_: str) -> Deferred[str]:
    """
    Nothing can be probed here: whatever is on is ready.
    """
    return succeed("")


def _fault(failure: Failure) -> str:
    _log.failure("fault while probing", failure)
    return "fault in the coordinator; the log has the details"
