# SPDX-License-Identifier: MIT
"""
The parent's end of a worker.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from pstats import SortKey, Stats
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from benchmarks.cost import Cost
from benchmarks.worker import PROFILE

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 120.0


class WorkerFailed(Exception):
    """
    A worker did not do what it was told; its standard error says why.
    """


@define(eq=False)
class Child:
    """
    A worker: ``python -m benchmarks.NAME``.

    :param profile: the folder that its profile goes to, if one is wanted.
    """

    name: str
    profile: Path | None = None
    _process: subprocess.Popen[bytes] = field(init=False)
    _began: float = field(init=False, factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        environment = dict(os.environ)
        if self.profile is not None:
            environment[PROFILE] = str(self.profile / f"{self.name}.{time.monotonic_ns()}.prof")
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{self.name}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """
        The process.
        """
        return self._process.pid

    def ask(self, order: str, **arguments: Any) -> dict[str, Any]:
        """
        Give an order and wait for its answer.

        :raises WorkerFailed: it failed, ended or took too long.
        """
        self.tell(order, **arguments)
        return self.answer()

    def tell(self, order: str, **arguments: Any) -> None:
        """
        Give an order; `answer` waits for it.
        """
        if self._process.stdin is None:
            raise AssertionError("a worker has a standard input")
        self._process.stdin.write(json.dumps({"order": order, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """
        The answer to the last order.

        :raises WorkerFailed: it failed, ended or took too long.
        """
        output = self._process.stdout
        if output is None:
            raise AssertionError("a worker has a standard output")
        ready, _, _ = select.select([output], [], [], _PATIENCE)
        line = output.readline() if ready else b""
        if not line:
            raise WorkerFailed(f"{self.name} {'ended' if ready else f'was silent for {_PATIENCE:g} s'}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise WorkerFailed(f"{self.name}: {answer['failed']}")
        return answer

    def end(self) -> Cost:
        """
        Let it end, and say what all of it has cost. May be called twice; then the second says nothing.
        """
        if self._process.returncode is not None:
            return Cost(0.0, 0.0, 0.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Cost(time.monotonic() - self._began, usage.ru_utime, usage.ru_stime)


def hot_spots(folder: Path, rows: int = 25) -> str:
    """
    Where the time of all profiles in a folder went.
    """
    from io import StringIO

    text = StringIO()
    for path in sorted(folder.glob("*.prof")):
        text.write(f"\n{path.name}\n")
        Stats(str(path), stream=text).strip_dirs().sort_stats(SortKey.TIME).print_stats(rows)
    return text.getvalue()
