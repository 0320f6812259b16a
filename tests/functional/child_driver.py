# SPDX-License-Identifier: MIT
"""
A driver that runs a child process for each command, as those for tools do; for tests of stops alone.

A machine is a file that holds ``on`` or ``off``.  The child says that it has
begun by writing its environment to ``FILE.begun``, takes its time, and then writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from powercoord.errors import PowerActionError, PowerRefusedError, PowerSettingError
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target
from powercoord.settings import setting

SCRIPT = 'env > "$1.begun"; sleep "$2"; printf %s "$3" > "$1"'
ENTRY_POINTS = "[powercoord.drivers]\nchild = tests.functional.child_driver:ChildDriver\n"


@frozen(kw_only=True)
class ChildSettings:
    """
    Which file it is, and how long a command takes.
    """

    path: str = setting("Path")
    seconds: str = setting("Seconds", default="3")


class Ending(ProcessProtocol):
    """
    Waits for the end of a child.
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred(lambda _: self.transport.signalProcess("KILL"))

    def processEnded(self, reason: Failure) -> None:
        if reason.check(ProcessDone):
            self.ended.callback(None)
        elif not self.ended.called:
            self.ended.errback(PowerActionError(reason.getErrorMessage()))


@implementer(IPowerDriver)
@define(eq=False)
class ChildDriver:
    """
    Machines by the paths of their files.
    """

    _reactor: Any
    name: str = "child"
    title: str = "A child process"
    settings: type = ChildSettings
    capabilities: Capabilities = Factory(lambda: Capabilities(frozenset({Command.ON, Command.OFF})))

    def target(self, settings: ChildSettings) -> Target:
        """
        Each file is an endpoint of its own.
        """
        return Target(self.name, f"child:{settings.path}", "", settings)

    def from_context(self, context: Mapping[str, Any]) -> ChildSettings:
        """
        Nobody brings such a machine.
        """
        raise PowerSettingError("such machines are configured")

    def worst_case(self, settings: ChildSettings, command: Command | None) -> float:
        """
        What it was told, and a little.
        """
        return float(settings.seconds) + 5

    def missing_tools(self) -> Sequence[str]:
        """
        None.
        """
        return ()

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        What the file says; none at all is off.
        """
        return _state(Path(_settings(target).path))

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        Run a child to its end.
        """
        settings, ending = _settings(target), Ending()
        operation.sending()
        words = ["sh", "-c", SCRIPT, "sh", settings.path, settings.seconds, command.value]
        self._reactor.spawnProcess(ending, "/bin/sh", words, env=None)
        await ending.ended

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        It cannot.
        """
        raise PowerRefusedError("it has no boot device")

    async def close(self) -> None:
        """
        Nothing is open.
        """


def _settings(target: Target) -> ChildSettings:
    assert isinstance(target.settings, ChildSettings)
    return target.settings


def _state(path: Path) -> PowerState:
    return PowerState.ON if path.exists() and path.read_text() == "on" else PowerState.OFF
