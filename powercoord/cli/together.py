# SPDX-License-Identifier: MIT
"""
Wait for many things at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError


async def together(waiting: Sequence[Deferred[Any]]) -> list[Any]:
    """
    The results of all, in order; the first failure fails it.

    Cancelled, it cancels them all and fails with CancelledError, where a
    DeferredList alone would call that a result.
    """
    try:
        found = await DeferredList(list(waiting), fireOnOneErrback=True, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
    return [result for _, result in found]
