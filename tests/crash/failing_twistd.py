# SPDX-License-Identifier: MIT
"""
``twistd -n powercoord``, the real one, with a failpoint in front of its journal.

``python -m tests.crash.failing_twistd FOLDER [FAILPOINT]`` reads ``FOLDER/pc.toml``; every append is noted in
``FOLDER/appends``. Without a failpoint it is what ``twistd -n powercoord --config FOLDER/pc.toml`` is.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from powercoord import service
from powercoord.durable import IJournal
from tests.crash.failpoint import FailingJournal, Failpoint, Statements, When, kill_self


def install(folder: Path, failpoint: Failpoint | None) -> None:
    """
    Let `powercoord.service.build` be given the failing journal in place of the one it is given.
    """
    notes = os.open(folder / "appends", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    statements = Statements(kill_self)
    _trace_statements(statements)
    build: Callable[..., Any] = service.build

    def failing(given: Any) -> Any:
        if not IJournal.providedBy(given):
            return given
        from twisted.internet import reactor

        return FailingJournal(
            given, reactor, failpoint, statements, lambda line: _write(notes, line), kill_self
        )

    def build_failing(*args: Any, **options: Any) -> Any:
        return build(*map(failing, args), **{name: failing(value) for name, value in options.items()})

    service.build = build_failing


def _write(notes: int, line: str) -> None:
    os.write(notes, f"{line}\n".encode())


def _trace_statements(statements: Statements) -> None:
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(statements.trace)
        return connection

    sqlite3.connect = traced


def run(folder: Path, failpoint: Failpoint | None) -> None:
    """
    Become twistd.
    """
    from twisted.scripts.twistd import run as run_twistd

    if failpoint is not None and failpoint.when is When.SYSCALL:
        ctypes.CDLL(None).crash_arm(failpoint.at, failpoint.detail)
    install(folder, failpoint)
    sys.argv = ["twistd", "-n", "--pidfile=", "powercoord", "--config", str(folder / "pc.toml")]
    run_twistd()


def main(words: Sequence[str]) -> None:
    """
    Read the command line.
    """
    run(Path(words[0]), Failpoint.load(words[1]) if len(words) > 1 else None)


if __name__ == "__main__":
    main(sys.argv[1:])
