# SPDX-License-Identifier: MIT
"""
Seeing that nobody waits for a turn for longer than they said.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IReactorTime

from powercoord.model import Outcome, Unknown
from powercoord.registry.action import PowerAction
from powercoord.registry.batch import Batch
from powercoord.registry.intake import Intake
from powercoord.registry.unwritten import log_unwritten


@define(eq=False)
class Expiry:
    """
    The timers of those whose turn has not come.

    :param end: ends an action if it is still waiting.
    """

    _clock: IReactorTime
    _intake: Intake
    _end: Callable[[PowerAction, Outcome, Batch], None]

    def watch(self, action: PowerAction) -> None:
        """
        End it when nobody waits any longer.
        """
        limit = action.expires()
        if limit is not None:
            self._wake(action, limit, self._overdue)

    def watch_absent(self, action: PowerAction) -> None:
        """
        End it at its deadline, if nobody has said by then what its node is.
        """
        self._wake(action, action.deadline(), self._never_came)

    def unwatch(self, action: PowerAction) -> None:
        """
        Something else is waited for now.
        """
        if action.expiry is not None and action.expiry.active():
            action.expiry.cancel()
        action.expiry = None

    def _wake(self, action: PowerAction, limit: float, call: Callable[[PowerAction], None]) -> None:
        remaining = max(0.0, limit - self._clock.seconds())
        action.expiry = self._clock.callLater(remaining, call, action)

    def _overdue(self, action: PowerAction) -> None:
        if action.overdue():
            action.steps.leave_queue()
            self._decide(action, self._end_overdue)
        else:
            self.watch(action)

    def _end_overdue(self, action: PowerAction, batch: Batch) -> None:
        if action.overdue():
            self._end(action, action.expired(), batch)

    def _never_came(self, action: PowerAction) -> None:
        self._decide(action, self._end_absent)

    def _end_absent(self, action: PowerAction, batch: Batch) -> None:
        self._end(action, _unseen(action), batch)

    def _decide(self, action: PowerAction, end: Callable[[PowerAction, Batch], None]) -> None:
        self._intake.decide(lambda batch: end(action, batch)).addErrback(log_unwritten)


def _unseen(action: PowerAction) -> Outcome:
    """
    How an action ends whose node nobody has named since a restart.
    """
    if action.cancelling:
        return action.halt.outcome(action.stopped_at())
    sent = ", ".join(action.past.sent) if action.past is not None else ""
    what = f"{sent} may have been sent before a restart" if sent else "nothing was sent"
    return Unknown(f"{action.node.name}: {what}, and nobody has said since what this node is")
