# SPDX-License-Identifier: MIT
"""
A journal with a long past: how long it takes to begin with it, and to look into it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field

from benchmarks.cost import percentile
from benchmarks.worker import Order, obey
from powercoord.entries import Accepted, Answered, Ended, Entered, Entry, Observed
from powercoord.journal import SqliteJournal, sqlite_journal
from powercoord.model import Disposition, Done, How, Observation, Phase, PowerState, Request, Verb

_AT_ONCE = 500
_NODES = 1_000
_DONE = Done(How.COMMANDED, PowerState.ON)


def _one(number: int, at: datetime) -> Iterator[Entry]:
    """
    All that is written of a node that is turned on.
    """
    node, action = f"n{number % _NODES}", f"b-{number}"
    request = Request(node=node, verb=Verb.ON, request_id=f"r-{number}", requester="region", door="amp")
    yield Accepted(at, request, action, Disposition.STARTED, at)
    yield Entered(at, node, action, Phase.ADMITTED, "on")
    yield Entered(at, node, action, Phase.SENT, "on")
    yield Entered(at, node, action, Phase.VERIFYING, "on")
    yield Observed(at, node, Observation(PowerState.ON))
    yield Ended(at, node, action, _DONE)
    yield Answered(at, node, request.request_id, action, _DONE)


@define(eq=False)
class Past:
    """
    Fills a journal, begins with it again, and looks into it.
    """

    _reactor: Any
    _folder: Path = field(init=False)
    _journal: SqliteJournal = field(init=False)

    def orders(self) -> Mapping[str, Order]:
        """
        What it can be told.
        """
        return {"fill": self.fill, "begin": self.begin, "look": self.look, "end": self.end}

    async def fill(self, requests: int) -> dict[str, Any]:
        """
        A journal of so many requests, as a kill leaves it, and the same as a stop leaves it.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="journal-"))
        journal = sqlite_journal(self._reactor, self._folder / "stopped")
        await journal.open()
        entries = 0
        for first in range(0, requests, _AT_ONCE):
            at = datetime.now(UTC)
            batch = [entry for number in range(first, first + _AT_ONCE) for entry in _one(number, at)]
            await journal.append(batch)
            entries += len(batch)
        shutil.copytree(self._folder / "stopped", self._folder / "killed")
        await journal.close()
        size = (self._folder / "stopped" / "journal.db").stat().st_size
        return {"entries": entries, "bytes": size}

    async def begin(self, how: str) -> dict[str, Any]:
        """
        Open it, and close it again unless it is looked into next.
        """
        folder = self._folder / f"{how}-again"
        shutil.copytree(self._folder / how, folder)
        self._journal = sqlite_journal(self._reactor, folder)
        began = time.perf_counter()
        recovered = await self._journal.open()
        taken = time.perf_counter() - began
        await self._journal.close()
        shutil.rmtree(folder)
        return {"took": taken, "known": len(recovered.answered)}

    async def look(self, repetitions: int) -> dict[str, Any]:
        """
        Page through what was asked of a node, read an action, and follow the events.
        """
        self._journal = sqlite_journal(self._reactor, self._folder / "stopped")
        await self._journal.open()
        history = self._journal.history
        taken: dict[str, list[float]] = {"node": [], "action": [], "entries": []}
        for number in range(repetitions):
            taken["node"].append(await _timed(lambda n=number: history.requests([f"n{n}"], None, 100)))
            taken["action"].append(await _timed(lambda n=number: history.action(f"b-{n}")))
            taken["entries"].append(await _timed(lambda n=number: history.entries(500 * n, 500)))
        await self._journal.close()
        return {what: {"median": percentile(s, 0.5), "worst": max(s)} for what, s in taken.items()}

    async def end(self) -> dict[str, Any]:
        """
        Leave nothing behind.
        """
        shutil.rmtree(self._folder)
        return {}


async def _timed(ask: Any) -> float:
    began = time.perf_counter()
    found: Sequence[Any] = await ask()
    if not found:
        raise AssertionError("there is nothing in the journal")
    return time.perf_counter() - began


if __name__ == "__main__":
    obey(lambda reactor: Past(reactor).orders())
