# SPDX-License-Identifier: MIT
"""
A process that appends to a journal as fast as it can, and prints a number once that is durable.

``python -m tests.functional.journal_child FOLDER [BYTES]``; with BYTES no file may grow beyond that, and each
refusal is printed too.
"""

from __future__ import annotations

import os
import resource
import sys
from datetime import UTC, datetime, timedelta
from itertools import count

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from powercoord.entries import Accepted, Answered, Ended, Entry
from powercoord.errors import JournalUnavailable
from powercoord.journal import SqliteJournal, sqlite_journal
from powercoord.model import Disposition, Done, How, PowerState, Request, Verb

DONE = Done(How.COMMANDED, PowerState.ON)
LANES = 16


def story(number: int) -> list[Entry]:
    """
    A request from its acceptance to its answer; every third one is left unfinished.
    """
    now = datetime.now(UTC)
    node, action, request_id = f"n{number % 7}", f"a{number}", f"r{number}"
    asked = Request(node=node, verb=Verb.ON, request_id=request_id)
    begun = Accepted(now, asked, action, Disposition.STARTED, now + timedelta(seconds=180))
    if number % 3 == 0:
        return [begun]
    return [begun, Ended(now, node, action, DONE), Answered(now, node, request_id, action, DONE)]


async def lane(journal: SqliteJournal, numbers: count[int]) -> None:
    """
    Append one story after the other, and tell of each as soon as it is durable.
    """
    for number in numbers:
        try:
            await journal.append(story(number))
        except JournalUnavailable as error:
            say(f"refused r{number} {error}")
            await deferLater(reactor, 0.05)
        else:
            say(f"durable r{number}")


def say(line: str) -> None:
    """
    Print in one write, so that a line is whole or not there.
    """
    os.write(1, f"{line}\n".encode())


async def main(folder: str, limit: int | None) -> None:
    """
    Append until somebody kills us.
    """
    journal = sqlite_journal(reactor, folder)
    recovered = await journal.open()
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    numbers = count(recovered.newest + 1)
    for _ in range(LANES):
        Deferred.fromCoroutine(lane(journal, numbers))


if __name__ == "__main__":
    Deferred.fromCoroutine(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
    reactor.run()
