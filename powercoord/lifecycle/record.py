# SPDX-License-Identifier: MIT
"""
A drain that outlives a restart: one small file, whole or not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from powercoord.errors import PowercoordError
from powercoord.stages import Drain, Source

_LASTING = (Source.COMMAND, Source.FILE)
_LONGEST = 64 * 1024


class RecordUnreadable(PowercoordError):
    """
    What was noted of a drain cannot be read.
    """


@frozen
class DrainRecord:
    """
    Who wants the service drained, on the disk.

    Written and read in one go, without a thread: it happens when an operator
    says so, a sync takes milliseconds, and who asked for a drain hears of it
    when it is durable.
    """

    path: Path
    _sync: Callable[[int], None] = os.fsync

    def load(self) -> Sequence[Drain]:
        """
        What was saved last; nothing, if nothing was.

        :raises RecordUnreadable: there is something, and it makes no sense.
        """
        try:
            with self.path.open("rb") as stream:
                found = json.loads(stream.read(_LONGEST))
            return [_drain(item) for item in found["drains"]]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise RecordUnreadable(f"{self.path}: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RecordUnreadable(f"{self.path}: it is no record of a drain") from error

    def save(self, drains: Sequence[Drain]) -> None:
        """
        Remember those that outlive a restart, and nothing else; durable on return.

        :raises OSError: it cannot be written; what was saved before still is.
        """
        lasting = [_plain(drain) for drain in drains if drain.source in _LASTING]
        if lasting:
            self._replace(json.dumps({"version": 1, "drains": lasting}, indent=1).encode() + b"\n")
        else:
            self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir():
            self._sync_folder()

    def _replace(self, content: bytes) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            self._sync(stream.fileno())
        new.replace(self.path)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)


def _plain(drain: Drain) -> dict[str, str]:
    return {
        "source": drain.source.value,
        "reason": drain.reason,
        "by": drain.by,
        "since": drain.since.isoformat(),
    }


def _drain(item: Any) -> Drain:
    since = datetime.fromisoformat(item["since"])
    source = Source(item["source"])
    if since.tzinfo is None or source not in _LASTING:
        raise ValueError(item)
    return Drain(since=since, reason=str(item["reason"]), by=str(item["by"]), source=source)
