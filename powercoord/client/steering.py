# SPDX-License-Identifier: MIT
"""
Asking how the coordinator is, and letting it drain, resume and stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from powercoord.api.commands import Ping
from powercoord.api.extensions import Drain, Resume, Shutdown, Status, Unpark
from powercoord.api.health import Health, health_from
from powercoord.client.connecting import Connected
from powercoord.client.results import Pulse
from powercoord.stages import Stage

_CHUNK = 500


class Steering(Connected):
    """
    The methods of a client that are about the coordinator itself.
    """

    def ping(self) -> Deferred[Pulse]:
        """
        Whether it answers, and whether it takes new changes; asks for no proof.
        """
        return self._call(Ping).addCallback(_pulse)

    def health(self) -> Deferred[Health]:
        """
        How it is, and why it takes no new changes if it does not.
        """
        return self._call(Status, nodes=[]).addCallback(_health)

    def drain(self, reason: str = "", *, wait: bool = False) -> Deferred[Health]:
        """
        Let it refuse new changes; what was accepted goes on.

        :param wait: until nothing goes on any more, or somebody resumed.
        """
        values = {"reason": reason, "requester": self._requester, "wait": wait or None}
        patience = None if wait else self._patience.call
        return self._lifeline.call(patience, Drain, **values).addCallback(_health)

    def resume(self) -> Deferred[Health]:
        """
        Let it take new work again.
        """
        return self._call(Resume, requester=self._requester).addCallback(_health)

    def unpark(self, nodes: Sequence[str]) -> Deferred[tuple[str, ...]]:
        """
        Let it speak again to endpoints that are parked; fires with the nodes whose endpoint was.

        :raises NoSuchNode: naming the first unknown one.
        """

        async def unpark() -> tuple[str, ...]:
            said: list[dict[str, Any]] = []
            for index in range(0, len(nodes), _CHUNK):
                chunk = list(nodes[index : index + _CHUNK])
                page = await self._call(Unpark, nodes=chunk, requester=self._requester)
                said += [*page["answers"], *(page["rest"] or ())]
            return tuple(answer["node"] for answer in said if answer["unparked"])

        return Deferred.fromCoroutine(unpark())

    def shutdown(self) -> Deferred[Health]:
        """
        Let it drain and then end; fires when it has begun to.
        """
        return self._call(Shutdown, requester=self._requester).addCallback(_health)


def _health(said: dict[str, Any]) -> Health:
    return health_from(said["coordinator"])


def _pulse(said: dict[str, Any]) -> Pulse:
    stage, accepting = said["stage"], said["accepting"]
    return Pulse(
        stage=None if stage is None else Stage(stage),
        accepting=accepting is not False,
        reason=said["reason"] or "",
    )
