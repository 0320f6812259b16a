# SPDX-License-Identifier: MIT
"""
Which agents there are, and what each has said of itself, until its file changes.

# Note [Asking while the reactor runs]

To ask an agent takes a tenth of a second, and some ask the network while they
are imported.  Before the reactor runs (start, ``check-config``) nothing waits
for us and mistakes in options are best told at once, so it is asked there and
then.  Afterwards a new agent is asked by its first operation.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping

from attrs import define, field

from powercoord.drivers.children import Children, Program, surroundings
from powercoord.drivers.children.places import Rank
from powercoord.drivers.fence.metadata import Agent, NotMetadata, parse_metadata
from powercoord.errors import PowerSettingError, PowerToolError
from powercoord.interfaces import IOperation
from powercoord.nearest import nearest

#: Where Debian, Fedora and SUSE put them.
USUAL_FOLDER = "/usr/sbin"

_PREFIX = "fence_"
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_ASK = b"action=metadata\n"
_LONGEST = 10.0
_MANY = 1000

Stamp = tuple[int, int, int]
AskNow = Callable[[str, Mapping[str, str]], bytes]


def full_name(name: str) -> str:
    """
    An agent's name with its prefix, which may be left out.

    :raises PowerSettingError: it is no name but, say, a path.
    """
    if not _NAME.fullmatch(name):
        raise PowerSettingError(
            f"agent '{name[:60]}' is no name of an agent; use letters, digits and '_', such as 'fence_apc'"
        )
    return name if name.startswith(_PREFIX) else _PREFIX + name


def installed(folder: str) -> list[str]:
    """
    The names of the agents in a folder.
    """
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(_PREFIX))
    except OSError:
        return []
    return [name for name in found if _NAME.fullmatch(name) and os.access(f"{folder}/{name}", os.X_OK)]


def ask_now(path: str, environment: Mapping[str, str]) -> bytes:
    """
    Have an agent describe itself, and wait for it.

    :raises PowerToolError: it does not.
    """
    try:
        done = subprocess.run(
            [path], input=_ASK, capture_output=True, env=dict(environment), timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise PowerToolError(f"{path} did not describe itself within {_LONGEST:g} s") from None
    except OSError as error:
        raise PowerToolError(f"cannot run {path}: {error.strerror or error}") from None
    return done.stdout


@define(eq=False)
class Agents:
    """
    The agents of this machine.
    """

    _children: Children
    _environ: Mapping[str, str] = field(repr=False)
    _ask_now: AskNow = ask_now
    _known: dict[str, tuple[Stamp, Agent]] = field(factory=dict, init=False)

    @staticmethod
    def path(name: str, folder: str) -> str:
        """
        Where an agent is.

        :raises PowerSettingError: it is not there; names the nearest that is.
        """
        name = full_name(name)
        path = f"{folder.rstrip('/')}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
        there = installed(folder)
        near = nearest(name, there)
        hint = f"did you mean '{near}'?" if near else f"{len(there)} agents are there (package fence-agents)"
        raise PowerSettingError(f"no agent '{name}' in {folder}; {hint}")

    def known(self, path: str) -> Agent | None:
        """
        What an agent has said of itself, if its file is still the same.
        """
        found = self._known.get(path)
        return found[1] if found is not None and found[0] == _stamp(path) else None

    def now(self, path: str) -> Agent:
        """
        The same, having it asked if need be; see note [Asking while the reactor runs].

        :raises PowerToolError: it says nothing that can be used.
        """
        known = self.known(path)
        if known is not None:
            return known
        return self._learn(path, self._ask_now(path, surroundings(self._environ)))

    async def ask(self, path: str, operation: IOperation, deadline: float) -> Agent:
        """
        The same, as a part of an operation.

        :raises PowerError: as `Children.run`, and `PowerToolError` as above.
        """
        known = self.known(path)
        if known is not None:
            return known
        program = Program(argv=(path,), environment=surroundings(self._environ), stdin=_ASK)
        ended = await self._children.run(program, operation, deadline, Rank.READ)
        return self._learn(path, ended.stdout)

    def _learn(self, path: str, text: bytes) -> Agent:
        try:
            agent = parse_metadata(text)
        except NotMetadata as error:
            raise PowerToolError(f"{path} does not describe itself: {error}") from None
        if len(self._known) >= _MANY:
            self._known.clear()
        self._known[path] = _stamp(path), agent
        return agent


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
