# SPDX-License-Identifier: MIT
"""
One decision after the other, each resting on what is durable.

# Note [One write at a time]

Lanes change when a request is decided, and it is durable a while later.  If
others were decided in between, and the write then failed, they would rest on
something that never was.  So what comes while a write is under way is decided
when that is over, all of it together and with one write.  A write that fails
can then be undone exactly.  It costs no time: the journal would have made them
wait for its next commit.

A request id that only the disk may know is looked up before anything of the
same turn is decided, so that the order of calls stays the order of decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from powercoord.errors import JournalUnavailable
from powercoord.registry.batch import Batch
from powercoord.registry.surroundings import Write

T = TypeVar("T")
_Asked = tuple[Callable[[Batch], Any], Sequence[str], Deferred[Any]]
_log = Logger(namespace="powercoord.registry")


@define(eq=False)
class Intake:
    """
    Decides, writes, and only then lets anything happen.

    :param look_up: asked for those of these request ids that only the disk
        may know; gives None if there are none.
    :param durable: called with what was decided and written.
    :param undo: called with what was decided and could not be written.
    """

    _write: Write
    _durable: Callable[[Batch], None]
    _undo: Callable[[Batch], None]
    _look_up: Callable[[list[str]], Deferred[None] | None]
    _queue: list[_Asked] = field(factory=list, init=False)
    _busy: bool = field(default=False, init=False)

    def decide(self, decision: Callable[[Batch], T], request_ids: Sequence[str] = ()) -> Deferred[T]:
        """
        Fires with what ``decision`` returns, once what it did is durable.

        Cancelling it takes nothing back.

        :param request_ids: which requests it is about.
        :raises JournalUnavailable: nothing was changed.
        """
        decided: Deferred[T] = Deferred(_nobody_waits)
        self._queue.append((decision, request_ids, decided))
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work()).addErrback(_log_fault)
        return decided

    async def _work(self) -> None:
        try:
            while self._queue:
                queue, self._queue = self._queue, []
                await self._work_on(queue)
        finally:
            self._busy = False

    async def _work_on(self, queue: list[_Asked]) -> None:
        request_ids = [request_id for _, ids, _ in queue for request_id in ids]
        looking = self._look_up(request_ids) if request_ids else None
        if looking is not None:
            await looking
        batch = Batch()
        answers = [(decided, _attempt(decision, batch)) for decision, _, decided in queue]
        try:
            if batch.entries:
                await self._write(batch.entries)
        except JournalUnavailable as unavailable:
            _log.error("nothing was accepted: {error}", error=unavailable)
            _carry_out(self._undo, batch)
            answers = [(decided, Failure(_refusal(unavailable))) for decided, _ in answers]
        else:
            _carry_out(self._durable, batch)
        for decided, answer in answers:
            if not decided.called:
                decided.callback(answer)


def _carry_out(consequence: Callable[[Batch], None], batch: Batch) -> None:
    """
    A fault must not keep anybody from the answer, for that is true already.
    """
    try:
        consequence(batch)
    except Exception:  # noqa: BLE001 - logged in full
        _log.failure("fault while carrying out what was decided")


def _attempt(decision: Callable[[Batch], Any], batch: Batch) -> Any:
    """
    One fault must not keep the others from their answers.
    """
    try:
        return decision(batch)
    except Exception:  # noqa: BLE001 - handed to whoever asked for it
        return Failure()


def _refusal(unavailable: JournalUnavailable) -> JournalUnavailable:
    return JournalUnavailable(f"not accepted, and nothing was started: {unavailable}")


def _nobody_waits(_: Deferred[Any]) -> None:
    """
    A caller has gone away; what it asked for goes on.
    """


def _log_fault(failure: Failure) -> None:
    _log.failure("fault while accepting requests", failure)
