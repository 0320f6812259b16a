# SPDX-License-Identifier: MIT
"""
How much time those who wait for an action give it, taken together.
"""

from __future__ import annotations

from math import inf

from attrs import evolve, frozen

from powercoord.model import Request


@frozen
class Patience:
    """
    What several requests, joined in one action, allow it.

    All in seconds on the clock.  A named time counts from the acceptance of
    the request that names it; the node's own time from the action's turn.

    :param latest: the latest that anybody named; minus infinity if nobody did.
    :param own: whether anybody leaves it to the node's own time.
    :param force_at: the earliest that anybody named who lets it be forced.
    :param force_own: whether anybody lets it be forced at the node's own time.
    """

    latest: float = -inf
    own: bool = False
    force_at: float = inf
    force_own: bool = False

    def with_request(self, request: Request, accepted_at: float) -> Patience:
        """
        As much, and what one more request allows.
        """
        if request.deadline is None:
            forced = self.force_own or request.escalate
            if self.own and forced is self.force_own:
                return self
            return Patience(self.latest, True, self.force_at, forced)
        named = accepted_at + request.deadline
        force_at = min(self.force_at, named) if request.escalate else self.force_at
        return evolve(self, latest=max(self.latest, named), force_at=force_at)

    def end(self, own: float) -> float:
        """
        When it must be over, if the node's own time ends at ``own``.
        """
        return max(self.latest, own) if self.own or self.latest == -inf else self.latest

    def force(self, own: float) -> float:
        """
        When a soft-off is forced, if the node's own time ends at ``own``; never: infinity.
        """
        return min(self.force_at, own) if self.force_own else self.force_at

    def expiry(self) -> float | None:
        """
        When nobody waits any longer, even if its turn has not come yet.
        """
        return None if self.own or self.latest == -inf else self.latest
