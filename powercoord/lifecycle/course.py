# SPDX-License-Identifier: MIT
"""
The course of a stop: its steps, their limits, and how it went in the end.

# Note [Order of a stop]

New work is refused, and that announced, as soon as a stop is asked for: who
watches the lifecycle sees to it.  Then: put off what has not begun, stay for
as long as a load balancer needs to notice, close the listeners, see that
nothing makes work by itself, wait for the actions, end those that are left,
let answers leave and close connections, close the drivers' sessions, and last
the journal, which all of these may still write to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from math import inf

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from powercoord.durable import IJournal
from powercoord.entries import Entered, Entry
from powercoord.errors import NoSuchAction
from powercoord.interfaces import IDoor, IPowerDriver
from powercoord.lifecycle.exiting import EX_TEMPORARY
from powercoord.lifecycle.lifecycle import Lifecycle
from powercoord.lifecycle.pace import Pace, Step
from powercoord.model import CancelResult, Phase
from powercoord.registry import Registry

_log = Logger(namespace="powercoord.lifecycle")

# What the steps beside the two waits may take, in seconds, when somebody is stuck.  The limit of a service
# manager should leave room for them: see BEYOND_GRACE.
_STARTING = 0.5
_PUTTING_OFF = 0.5
_LISTENER = 0.25
_ENDING = 2.5
_DOOR = 4.5
_DRIVERS = 1.0
_JOURNAL = 3.0
_ALL_AFTER_THE_WAIT = 6.5
BEYOND_GRACE = 10.0
"""
How much longer than lameduck and grace a stop may take, in seconds, when all that can be stuck is.
"""


class AtDeadline(Enum):
    """
    What becomes of the actions that are left when the grace is over.

    ``INTERRUPT``: they stop where they are and go on after the next start.
    ``CANCEL``: they are cancelled, and are over.  ``WAIT``: nothing; there is
    no deadline then.
    """

    INTERRUPT = "interrupt"
    CANCEL = "cancel"
    WAIT = "wait"


@frozen
class Companion:
    """
    What goes along from the start to the very end: a service manager's news, a file that is watched.
    """

    name: str
    start: Callable[[], object]
    stop: Callable[[], object]


@frozen(kw_only=True)
class StopPlan:
    """
    How patient a stop is.

    :param grace: how long it waits for actions; 0 does not wait, infinity has
        no limit.
    :param lameduck: how long listeners stay open after the announcement.
    :param put_off: whether what was accepted and has not begun is left to the
        next start at once.  Not where callers find another coordinator
        meanwhile: both would do it.
    """

    grace: float = 60.0
    lameduck: float = 0.0
    at_deadline: AtDeadline = AtDeadline.INTERRUPT
    put_off: bool = True

    @property
    def patience(self) -> float:
        """
        How long the actions have.
        """
        return inf if self.at_deadline is AtDeadline.WAIT else self.grace


def _nothing() -> None:
    """
    Nobody is subscribed yet.
    """


@define(eq=False, repr=False)
class Course:
    """
    One stop.
    """

    _clock: IReactorTime
    _lifecycle: Lifecycle
    _registry: Registry
    _doors: Sequence[IDoor]
    _drivers: Sequence[IPowerDriver]
    _journal: IJournal
    _plan: StopPlan
    _pace: Pace
    _companions: Sequence[Companion]
    _left: int = field(default=0, init=False)
    _put_off_ids: set[str] = field(factory=set, init=False)
    _late: IDelayedCall | None = field(default=None, init=False)
    _unsubscribe: Callable[[], None] = field(default=_nothing, init=False)

    def steps(self, starting: Deferred[None] | None) -> list[Step]:
        """
        All of them, in order.

        :param starting: the start, which may still be under way.
        """
        doors = self._doors
        return [
            *([Step("give up starting", lambda: _over(starting), _STARTING)] if starting is not None else []),
            Step("put off what has not begun", self._put_off, _PUTTING_OFF if self._plan.put_off else 0, 0),
            Step("stay for others to notice", self._linger, inf if self._plan.lameduck else 0, 0),
            *(Step(f"stop accepting at {door.name}", door.stop_accepting, _LISTENER) for door in doors),
            Step("end what makes work", self._end_makers),
            Step("wait for actions", self._quiet, self._plan.patience, 0),
            Step("end what is left", self._end_actions, _ENDING, 0.3),
            *(Step(f"close {door.name}", door.close, _DOOR, 0.2) for door in reversed(doors)),
            Step("close the drivers", self._close_drivers, _DRIVERS),
            Step("close the journal", self._close_journal, _JOURNAL, 1.0),
            *(Step(f"stop {each.name}", _calling(each.stop)) for each in reversed(self._companions)),
        ]

    def verdict(self) -> tuple[int, str]:
        """
        The exit code, and a line that says how it went.
        """
        forced = self._lifecycle.forced
        if forced is not None:
            return forced.code, f"stopped by {forced.by}: {self._fate('interrupted')}"
        if self._left:
            word = "cancelled" if self._cancels else "interrupted"
            return EX_TEMPORARY, f"stopped at the deadline of {self._plan.grace:g} s: {self._fate(word)}"
        return 0, f"stopped: {self._fate('')}"

    def over(self) -> None:
        """
        All steps were taken.
        """
        if self._late is not None and self._late.active():
            self._late.cancel()

    def _fate(self, word: str) -> str:
        put_off = len(self._put_off_ids)
        fates = [_counted(self._left, word)] if self._left else []
        fates += [_counted(put_off, "put off until the next start")] if put_off else []
        return ", ".join(fates) or "all actions had ended"

    @property
    def _cancels(self) -> bool:
        return self._plan.at_deadline is AtDeadline.CANCEL

    async def _linger(self) -> None:
        await deferLater(self._clock, self._plan.lameduck)

    async def _end_makers(self) -> None:
        self._lifecycle.end_makers()

    async def _put_off(self) -> None:
        self._unsubscribe = self._registry.subscribe(self._published)
        await self._registry.put_off("the coordinator is stopping")

    def _published(self, last: int, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, Entered) and entry.phase is Phase.INTERRUPTED:
                self._put_off_ids.add(entry.action)

    async def _quiet(self) -> None:
        await self._registry.idle()

    async def _end_actions(self) -> None:
        self._late = self._clock.callLater(_ALL_AFTER_THE_WAIT, self._pace.hurry)
        self._unsubscribe()
        self._left = self._lifecycle.pending
        self._lifecycle.closing()
        if self._left and self._cancels and self._lifecycle.forced is None:
            await self._cancel_actions()
        await self._registry.stop("the coordinator stopped")

    async def _cancel_actions(self) -> None:
        views = self._registry.busy()
        ids = [action.id for view in views for action in view.waiting]
        ids += [view.in_play.id for view in views if view.in_play is not None]
        await gatherResults([Deferred.fromCoroutine(self._cancel(each)) for each in ids], consumeErrors=True)

    async def _cancel(self, action: str) -> CancelResult | None:
        try:
            return await self._registry.cancel(action, "the end of the grace")
        except NoSuchAction:
            return None

    async def _close_drivers(self) -> None:
        """
        All at once: each has sessions to give back, at BMCs that may be away.
        """
        closing = [Deferred.fromCoroutine(_closed(driver)) for driver in self._drivers]
        await gatherResults(closing, consumeErrors=True)

    async def _close_journal(self) -> None:
        await self._journal.close()


def _counted(count: int, fate: str) -> str:
    return f"{count} action{'' if count == 1 else 's'} {fate}"


def _calling(call: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def called() -> None:
        call()

    return called


async def _closed(driver: IPowerDriver) -> None:
    try:
        await driver.close()
    except CancelledError:
        _log.warn("driver {driver} did not close in time", driver=driver.name)
    except Exception:  # noqa: BLE001 - the other drivers must have their turn
        _log.failure("could not close driver {driver} while stopping; going on", driver=driver.name)


async def _over(starting: Deferred[None]) -> None:
    """
    Wait for a start that has noticed, or will, that it need not go on.
    """
    over: Deferred[None] = Deferred()

    def pass_on(result: None) -> None:
        if not over.called:
            over.callback(None)
        return result

    starting.addBoth(pass_on)
    await over
