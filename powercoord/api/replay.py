# SPDX-License-Identifier: MIT
"""
Telling a subscriber what it missed, and letting it go over to what happens.

It is read from the disk in slices, the next one when the last was taken.
Meanwhile what happens is held.  The end is reached by a slice that was read
after anything was last let go of there, and was the last: whatever is not in
it is held, and what is in both has the same number.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from powercoord.api.following import Audience, Held, written
from powercoord.durable import IHistory, Numbered
from powercoord.errors import BadRequest, RequestRefused

SLICE = 500
_log = Logger()


@define(eq=False)
class Replay:
    """
    The way of one follower from a number that it knows to the present.

    :param most: how much the follower has room for.
    """

    _history: IHistory
    _audience: Audience
    _held: Held
    _most: int

    @property
    def _slice(self) -> int:
        return min(SLICE, self._most)

    async def first(self, after: int) -> Sequence[Numbered]:
        """
        The first slice.

        :raises BadRequest: some of what is wanted has been pruned, or the
            number is none of this journal's.
        """
        self._held.follower.told = after
        entries = await self._read()
        if not entries and not await self._was_given(after):
            raise BadRequest(
                f"after: there is no event {after} here, nor any after it; is it another journal's?"
            )
        return entries

    async def _was_given(self, number: int) -> bool:
        """
        Whether nothing after a number means that it is the newest.
        """
        if not number:
            return True
        try:
            return bool(await self._history.entries(number - 1, 1))
        except BadRequest:
            return True  # it has been pruned

    def begin(self, first: Sequence[Numbered]) -> None:
        """
        Tell the first slice and all that follows.
        """
        Deferred.fromCoroutine(self._run(first)).addErrback(
            lambda failure: _log.failure("a subscriber is not told what it missed", failure)
        )

    async def _read(self) -> Sequence[Numbered]:
        self._held.spilled = False
        return await self._history.entries(self._held.follower.told, self._slice)

    async def _run(self, entries: Sequence[Numbered]) -> None:
        follower = self._held.follower
        while not follower.pusher.stopped:
            follower.hear([(each.number, each.entry) for each in entries], written)
            if len(entries) < self._slice and not self._held.spilled:
                break
            await follower.pusher.drained()
            try:
                entries = await self._read()
            except Exception as error:  # noqa: BLE001 - the present goes on, whatever the disk says
                follower.pusher.lost(_why(error))
                break
        self._audience.release(self._held)


def _why(error: Exception) -> str:
    if isinstance(error, RequestRefused):
        return str(error)
    _log.failure("the journal could not be read")
    return "the journal could not be read; the coordinator's log has the details"
