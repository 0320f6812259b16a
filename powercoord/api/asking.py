# SPDX-License-Identifier: MIT
"""
What a caller says of itself and of what it means, read with suspicion.
"""

from __future__ import annotations

from powercoord.api.batch import LARGEST, anybody, word
from powercoord.errors import BadRequest

MAX_REASON = 500


def word_of(value: str, name: str) -> str:
    """
    An id of some kind.

    :raises BadRequest: it could be none.
    """
    try:
        return str(word(value))
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from None


def requester_of(value: str | None, peer: str) -> str:
    """
    Who asks: as the caller says, else the peer itself.

    :raises BadRequest: nobody is called that.
    """
    try:
        return anybody(value or "") or peer
    except ValueError as error:
        raise BadRequest(f"requester: {error}") from None


def reason_of(value: str, *, required: bool = False) -> str:
    """
    Why somebody asks for something.

    :raises BadRequest: it is no such text, or there is none and there must be.
    """
    reason = value.strip()
    if (required and not reason) or len(reason) > MAX_REASON or not reason.isprintable():
        least = 1 if required else 0
        raise BadRequest(f"reason: it must be a text of {least} to {MAX_REASON} printable characters")
    return reason


def number_of(value: int | None, name: str, least: int = 0, most: int = LARGEST) -> int | None:
    """
    A number within bounds, or None.

    :raises BadRequest: it is outside.
    """
    if value is None or least <= value <= most:
        return value
    raise BadRequest(f"{name}: it must be a whole number from {least} to {most}")
