# SPDX-License-Identifier: MIT
"""
Where the failures of writes end that nobody waits for.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger(namespace="powercoord.registry")


def log_unwritten(failure: Failure) -> None:
    """
    Say that something is not in the journal, and why.
    """
    _log.failure("an entry was not written", failure)
