# SPDX-License-Identifier: MIT
"""
Entries that are there although they were reported as not written.

# Note [Doubt]

When the disk fails in the middle of a commit, SQLite says so and we report the
entries as not written; but all of them may be in the log, and come to light
when it is read again.  So after such a fault the file is opened anew, its log
is copied into the database (what the log's own pages are worth after a failed
sync nobody knows), and what was reported as not written is taken out.  Should
the process die between the fault and that, the next one finds the entries and
takes them for durable: their callers, who were told "not accepted", may then
see done what they asked for.  No disk can do better.
"""

from __future__ import annotations

import sqlite3

from powercoord.journal.faults import DamagedError
from powercoord.journal.loading import newest

# The triggers make the other tables again, from the entries that stay.  Of what was pruned, an acceptance may
# be there without its end; that must not bring its action back to life, so only what was there before stays.
# A node's sequence stays as it is; it may be that of a disowned request, which does no harm.
_DISOWN = """
BEGIN IMMEDIATE;
CREATE TEMP TABLE kept_entry AS
    SELECT number, run, kind, node, action, request_id, body FROM entry WHERE number < {first};
CREATE TEMP TABLE kept_request AS SELECT number FROM request;
CREATE TEMP TABLE kept_action AS
    SELECT id FROM action UNION SELECT action FROM entry WHERE number >= {first} AND kind = 'ended';
DELETE FROM entry;
DELETE FROM request;
DELETE FROM action;
DELETE FROM hold;
DELETE FROM refused;
UPDATE node SET wanted = NULL, wanted_action = NULL, seen = NULL;
INSERT INTO entry (number, run, kind, node, action, request_id, body)
    SELECT * FROM kept_entry ORDER BY number;
DELETE FROM request WHERE number NOT IN (SELECT number FROM kept_request);
DELETE FROM action WHERE id NOT IN (SELECT id FROM kept_action);
DROP TABLE kept_entry;
DROP TABLE kept_request;
DROP TABLE kept_action;
COMMIT;
"""


def settle(connection: sqlite3.Connection, doubt: int | None) -> None:
    """
    Make sure of what is there, and take out what should not be.

    :param doubt: the lowest number that was reported as not written.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        error = sqlite3.OperationalError("another program is reading it")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error
    if doubt is not None and newest(connection) >= doubt:
        _disown(connection, doubt)


def _disown(connection: sqlite3.Connection, first: int) -> None:
    try:
        connection.executescript(_DISOWN.format(first=first))
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if newest(connection) >= first:
        raise DamagedError(f"entries from {first} on cannot be taken out")
