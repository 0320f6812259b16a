# SPDX-License-Identifier: MIT
"""
Cancel actions, and tell of each how far it had come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from powercoord.cli.exits import NOT_KNOWN, REACHED
from powercoord.cli.naming import Wanted, resolve
from powercoord.cli.session import World
from powercoord.cli.together import together
from powercoord.errors import NoSuchAction
from powercoord.folding import fold
from powercoord.model import CancelResult

WORDS = {
    CancelResult.NOT_STARTED: "not started: no command was sent",
    CancelResult.STOPPED: "stopped: what remained was not sent",
    CancelResult.TOO_LATE: "too late: the BMC had accepted all there was to send",
    CancelResult.UNKNOWN: "unknown: a command left and no answer came",
}
_OVER = "over: it ended by itself before"


@frozen
class _Cancelled:
    """
    What cancelling one action came to; ``result`` is None if it was over already.
    """

    action: str
    node: str
    result: CancelResult | None

    @property
    def words(self) -> str:
        return _OVER if self.result is None else WORDS[self.result]


async def cancel_nodes(nodes: Wanted, world: World) -> int:
    """
    Cancel all that is in play or waits on these nodes.
    """
    names = set(await resolve(world.client, nodes))
    actions: list[tuple[str, str]] = []
    for status in await world.client.list_actions():
        if status.name in names:
            # From the tail, so that nothing that waits begins when what is before it goes.
            actions += [(action.id, status.name) for action in reversed(status.waiting)]
            actions += [] if status.in_play is None else [(status.in_play.id, status.name)]
    if not actions and not world.screen.json:
        world.screen.line(f"Nothing is in play on {nodes.text}, and nothing waits.")
        return REACHED
    return await _cancel(actions, world, gone_is_fine=True)


async def cancel_actions(actions: Sequence[str], world: World) -> int:
    """
    Cancel these actions.

    :raises NoSuchAction: one is not there.
    """
    return await _cancel([(action, "") for action in actions], world, gone_is_fine=False)


async def _cancel(actions: Sequence[tuple[str, str]], world: World, *, gone_is_fine: bool) -> int:
    async def one(action: str, node: str) -> _Cancelled:
        try:
            return _Cancelled(action, node, await world.client.cancel(action))
        except NoSuchAction:
            if gone_is_fine:
                return _Cancelled(action, node, None)
            raise

    waiting = [Deferred.fromCoroutine(one(action, node)) for action, node in actions]
    done: list[_Cancelled] = await together(waiting)
    if world.screen.json:
        world.screen.document({"cancelled": [_form(cancelled) for cancelled in done]})
    else:
        _table(done, world)
    return NOT_KNOWN if any(cancelled.result is CancelResult.UNKNOWN for cancelled in done) else REACHED


def _table(done: Sequence[_Cancelled], world: World) -> None:
    alike: dict[str, list[_Cancelled]] = {}
    for cancelled in done:
        alike.setdefault(cancelled.words, []).append(cancelled)
    world.screen.table(
        ("CANCEL", "COUNT", "NODES"),
        [
            (words, str(len(group)), fold(cancelled.node or cancelled.action for cancelled in group))
            for words, group in alike.items()
        ],
    )


def _form(cancelled: _Cancelled) -> dict[str, Any]:
    form: dict[str, Any] = {"action": cancelled.action}
    if cancelled.node:
        form["node"] = cancelled.node
    return form | {"result": "over" if cancelled.result is None else cancelled.result.value}
