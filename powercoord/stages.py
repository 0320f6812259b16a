# SPDX-License-Identifier: MIT
"""
How far the service has come between starting and stopping, and who may watch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum

from attrs import frozen
from zope.interface import Attribute, Interface


class Stage(Enum):
    """
    Where the service stands.

    ``STARTING``: the journal is read, nobody is let in.  ``SERVING``.
    ``DRAINING``: no new changes are taken, and some that were accepted go on.
    ``DRAINED``: none goes on; it can be stopped and nobody will notice.
    ``STOPPING``: the doors close, and there is no way back.
    """

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    DRAINED = "drained"
    STOPPING = "stopping"


class Source(Enum):
    """
    By which way somebody drains the service.

    A drain by ``COMMAND`` or ``FILE`` outlives a restart; one by ``SIGNAL``
    is the beginning of a stop, and does not.
    """

    COMMAND = "command"
    FILE = "file"
    SIGNAL = "signal"


@frozen(kw_only=True)
class Drain:
    """
    Why no new changes are taken.
    """

    since: datetime
    reason: str
    by: str
    source: Source


class ILifecycle(Interface):
    """
    The service as its doors see it.
    """

    stage: Stage = Attribute("Where it stands.")
    drain: Drain | None = Attribute("Why it takes no new changes, None if it does (or is starting).")
    stop_requested: bool = Attribute("Whether the process is going to end.")
    pending: int = Attribute("How many actions are in play or waiting.")
    trouble: str | None = Attribute("Why it could do nothing new just now (the journal), else None.")

    def start_drain(reason: str, by: str, source: Source) -> None:
        """
        Take no new changes; what was accepted goes on.  Repeating it is harmless.
        """

    def resume(by: str, source: Source) -> None:
        """
        Take new changes again; in vain once a stop was requested.
        """

    def stop(by: str) -> None:
        """
        Drain, and end the process when all is done or the grace is over.
        """

    def watch(listener: Callable[[], None]) -> Callable[[], None]:
        """
        Call ``listener`` after every change of the above; call the result to stop.
        """
