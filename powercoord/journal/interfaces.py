# SPDX-License-Identifier: MIT
"""
The room's own door: between the reactor's thread and the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class IWorker(Interface):
    """
    Does one thing after the other, somewhere else.
    """

    alive: bool = Attribute("Whether it can still do something.")

    def do(work: Callable[[], Any]) -> Deferred[Any]:
        """
        Fires with what ``work`` returns or raises; in the order of the calls.
        """

    def stop() -> Deferred[None]:
        """
        Fires when all of it is done.
        """
