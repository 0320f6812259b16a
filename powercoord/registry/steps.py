# SPDX-License-Identifier: MIT
"""
What an action does to its node, one step at a time, each of which can be stopped.

An endpoint's slot is held inside one step only, never between two.  A step
that is stopped ends in `Stopped`, after its driver call has become quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from powercoord.errors import OperationCancelled, PowercoordError, PowerError, PowerParkedError
from powercoord.interfaces import IPowerDriver
from powercoord.model import Boot, CancelResult, Command, Node, PowerState
from powercoord.registry.breaker import Standing
from powercoord.registry.gates import Priority, Slot
from powercoord.registry.hints import watch
from powercoord.registry.operation import Operation
from powercoord.registry.polling import Poll
from powercoord.registry.stoppable import Expired, Stoppable, Stopped
from powercoord.registry.visit import Visit

T = TypeVar("T")
_LONGEST_PAUSE = 30.0
_STANDINGS = {
    Priority.OFF: Standing.OFF,
    Priority.CHANGE: Standing.NEW,
    Priority.QUERY: Standing.QUERY,
    Priority.SWEEP: Standing.QUERY,
}


@define(eq=False)
class Steps(Stoppable):
    """
    One action's hands.

    :param deadline: asked at each step, because joining can move it.
    :param overdue: whether it is too late to begin.
    """

    _node: Node
    _priority: Priority
    _deadline: Callable[[], float]
    _overdue: Callable[[], bool]
    _what: str
    _queued: bool = field(default=False, init=False)
    _operation: Operation[Any] | None = field(default=None, init=False)
    _sent: bool = field(default=False, init=False)
    _unanswered: bool = field(default=False, init=False)
    _persistent: bool = field(default=False, init=False)
    _poll: Poll = field(init=False)
    standing: Standing = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.standing = _STANDINGS[self._priority]
        self._poll = Poll(self._world.clock, self._node.timing, self._glance, self)

    def take_up(self, *, sent: bool) -> None:
        """
        Go on after a restart; ``sent``: something may have left before it.

        From now on what fails is tried again until the deadline.
        """
        self._sent = self._unanswered = sent
        self._persistent = True
        if self.standing is Standing.NEW:
            self.standing = Standing.RESUMED

    def stop(self) -> None:
        """
        End as soon as what is on the wire is quiet.
        """
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._operation is not None:
            self._operation.stop()

    def tear_down(self) -> None:
        """
        End now: what is on the wire is given up, its effect unknown.
        """
        if self._operation is not None:
            self._operation.tear_down()

    def leave_queue(self) -> None:
        """
        Nobody waits any longer; but what has begun is brought to its end.
        """
        if self._queued and not self._sent and self._waiting is not None:
            self._waiting.cancel()

    def cancel_result(self, *, remained: bool) -> CancelResult:
        """
        What a cancel can say; ``remained``: whether a command was withheld.
        """
        if not self._sent:
            return CancelResult.NOT_STARTED
        if self._unanswered:
            return CancelResult.UNKNOWN
        return CancelResult.STOPPED if remained else CancelResult.TOO_LATE

    @property
    def polling(self) -> bool:
        """
        Whether it looks again and again, and will look once more before the limit.
        """
        return self._poll.under_way

    @property
    def sent(self) -> bool:
        """
        Whether any power-changing request left.
        """
        return self._sent

    @property
    def unanswered(self) -> bool:
        """
        Whether the last power-changing request left, and what became of it was not said.
        """
        return self._unanswered

    async def read(self) -> PowerState:
        """
        Read the node's state once.

        :raises PowerError: it could not be read; the sighting says so too.
        """
        target = self._node.target
        try:
            driver = self._driver()
            limit = driver.worst_case(target.settings, None)
            state = await self._operate("read", limit, lambda op: driver.read(target, op))
        except PowerParkedError as error:
            self._world.sightings.withhold(self._node.name, str(error))
            raise
        except PowercoordError as error:
            passing = isinstance(error, PowerError) and error.retryable
            seen = PowerState.UNKNOWN if passing else PowerState.ERROR
            self._world.sightings.saw(self._node.name, seen, str(error))
            raise
        self._world.sightings.saw(self._node.name, state)
        return state

    async def patient_read(self) -> PowerState:
        """
        Read the state, trying again when the reason may pass.
        """
        return await self._retrying(self.read, self._node.timing.retries)

    async def command(self, command: Command, retries: int | None = None) -> bool:
        """
        Send one command; True: accepted, False: it left and no answer came.

        Tried again only where it certainly did not reach the BMC, or was
        answered "not now".

        :raises PowerError: it was refused, or never left.
        """
        driver, target = self._driver(), self._node.target
        limit = driver.worst_case(target.settings, command)
        return await self._change(
            command.value, limit, lambda op: driver.command(target, command, op), retries
        )

    async def set_boot(self, boot: Boot) -> bool:
        """
        Set the next boot device, as `command`.
        """
        driver, target = self._driver(), self._node.target
        limit = driver.worst_case(target.settings, None)
        return await self._change(
            f"boot {boot.device.value}", limit, lambda op: driver.set_boot(target, boot, op)
        )

    async def until(self, wanted: PowerState, limit: Callable[[], float]) -> bool:
        """
        Read until the state is seen; False at ``limit``.
        """
        stop_watching = watch(self._driver(), self._node.target, self._poll.hint)
        try:
            return await self._poll.until(wanted, limit)
        finally:
            stop_watching()

    async def wait_for(self, begin: Callable[[], Deferred[T]]) -> T:
        """
        Wait for somebody else, as long as somebody waits for this action.
        """
        self._check_queue()
        return await self._queue(begin())

    def expect_answers(self) -> None:
        """
        The BMC may only be coming up now: what fails is tried again until the deadline.
        """
        self._persistent = True
        if self.standing in (Standing.NEW, Standing.RESUMED):
            self.standing = Standing.ON_ITS_WAY

    def _driver(self) -> IPowerDriver:
        return self._world.driver(self._node.target.driver)

    async def _glance(self) -> PowerState | None:
        try:
            return await self.read()
        except PowerError as error:
            if not error.retryable:
                raise
            return None

    async def _change(
        self,
        name: str,
        limit: float,
        call: Callable[[Operation[None]], Coroutine[Any, Any, None]],
        retries: int | None = None,
    ) -> bool:
        async def once() -> bool:
            try:
                await self._operate(name, limit, call)
            except PowerError as error:
                if not error.sent:
                    raise
                self._unanswered = True
                return False
            self._unanswered = False
            return True

        return await self._retrying(once, self._node.timing.retries if retries is None else retries)

    async def _retrying(self, attempt: Callable[[], Coroutine[Any, Any, T]], retries: int) -> T:
        pause = self._node.timing.retry_pause
        for _ in count() if self._persistent else range(retries):
            try:
                return await attempt()
            except PowerError as error:
                if not self._worth_repeating(error, pause):
                    raise
            await self.pause(self._world.jitter(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return await attempt()

    def _worth_repeating(self, error: PowerError, pause: float) -> bool:
        """
        Whether the reason may pass in time; that nothing was tried is one only after a restart.
        """
        if isinstance(error, PowerParkedError) and not (self._persistent and error.passing):
            return False
        return error.retryable and self._deadline() - self._world.clock.seconds() > pause

    async def _operate(
        self, name: str, limit: float, call: Callable[[Operation[T]], Coroutine[Any, Any, T]]
    ) -> T:
        """
        One driver call under one endpoint slot, in the window of the fleet.
        """
        self._check_queue()
        visit = Visit(self._world.clock, self._world.breakers, self._node, self.standing)
        with visit:
            place, slot = await self._places()
            try:
                with visit:
                    return await self._begin(visit, name, limit, call)
            except PowerParkedError:
                slot.unused()
                raise
            finally:
                slot.release()
                place.release()

    async def _begin(
        self, visit: Visit, name: str, limit: float, call: Callable[[Operation[T]], Coroutine[Any, Any, T]]
    ) -> T:
        now = self._world.clock.seconds()
        end = self._end(now, limit)
        visit.begin(end, cut_short=end < now + limit)
        if self.standing in (Standing.NEW, Standing.RESUMED):
            self.standing = Standing.ON_ITS_WAY
        return await self._talk(name, end, call)

    async def _places(self) -> tuple[Slot, Slot]:
        place = await self._queue(self._world.window.acquire(self._priority))
        try:
            self._check_queue()
            slot = await self._queue(self._world.endpoints.acquire(self._node.target, self._priority))
        except BaseException:
            place.release()
            raise
        return place, slot

    async def _talk(self, name: str, end: float, call: Callable[[Operation[T]], Coroutine[Any, Any, T]]) -> T:
        operation: Operation[T] = Operation(
            self._world.clock, f"{self._what} {name}", end, self._node.timing.cancel
        )
        self._operation = operation
        try:
            return await operation.run(call(operation))
        except OperationCancelled as cancelled:
            self._unanswered = self._unanswered or cancelled.sent
            raise Stopped from None
        finally:
            self._operation = None
            self._sent = self._sent or operation.sent

    def _end(self, now: float, limit: float) -> float:
        """
        When an operation that begins now must be over, if it can take ``limit``.

        One that begins after the deadline, to see what came of it all, gets
        its full time: with none it could only fail.
        """
        deadline = self._deadline()
        return now + limit if deadline <= now else min(now + limit, deadline)

    async def _queue(self, granted: Deferred[T]) -> T:
        self._queued = True
        try:
            return await self._stoppable(granted)
        finally:
            self._queued = False

    def _check_queue(self) -> None:
        """
        Queue only as long as somebody waits for what it is for.
        """
        self.check()
        if not self._sent and self._overdue():
            raise Expired
