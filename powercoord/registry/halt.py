# SPDX-License-Identifier: MIT
"""
Why an action is to stop, and how it ends because of it.
"""

from __future__ import annotations

from attrs import define

from powercoord.model import Cancelled, CancelResult, Interrupted, Outcome, Superseded, Unknown, Verb


@define(eq=False)
class Halt:
    """
    Who told an action to stop.  Several may; the order here is whom it obeys.

    :param resolved: the person who declared it settled, and why.
    :param superseded: the action that takes its place, and that one's verb.
    :param cancelled: who cancelled it.
    :param interrupted: why the service stops.
    """

    resolved: tuple[str, str] | None = None
    superseded: tuple[str, Verb] | None = None
    cancelled: str | None = None
    interrupted: str | None = None

    @property
    def told(self) -> bool:
        """
        Whether it is to end for good (an interrupted action goes on one day).
        """
        return self.superseded is not None or self.cancelled is not None or self.resolved is not None

    @property
    def overrules(self) -> bool:
        """
        Whether it ends for this reason even if it came to its own end meanwhile.
        """
        return self.resolved is not None or self.cancelled is not None

    def outcome(self, result: CancelResult) -> Outcome:
        """
        How an action ends that was stopped when it had come so far.
        """
        if self.resolved is not None:
            by, text = self.resolved
            return Unknown(f"resolved by {by or 'nobody named'}: {text or 'no reason given'}")
        if self.superseded is not None:
            return Superseded(*self.superseded, result)
        if self.cancelled is not None:
            return Cancelled(result, self.cancelled)
        return Interrupted(self.interrupted or "")
