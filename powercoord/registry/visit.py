# SPDX-License-Identifier: MIT
"""
One operation at an endpoint, and what its end shows of the endpoint.
"""

from __future__ import annotations

from typing import Self

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.errors import PowerConnError
from powercoord.model import Node
from powercoord.registry.breaker import Sign, Standing, sign_of
from powercoord.registry.breakers import Breakers


@define(eq=False)
class Visit:
    """
    One operation at an endpoint, from asking until it is over; a context manager.

    It may be entered again inside: then the inner one ends it, so that what it
    has shown is known before the next in line is let in.

    :raises PowerParkedError: one may not speak to it now.
    """

    _clock: IReactorTime
    _breakers: Breakers
    _node: Node
    _standing: Standing
    _tries: bool = field(init=False)
    _end: float | None = field(default=None, init=False)
    _begun: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._tries = self._breakers.admit(self._node, self._standing)

    def begin(self, end: float, *, cut_short: bool) -> None:
        """
        It leaves now; much may have become known while it waited.

        :param end: when it must be over, on the clock.
        :param cut_short: whether that gives it less time than it can take.
        :raises PowerParkedError: it may not any more.
        """
        if not self._tries:
            # A look at an endpoint under suspicion is no try of one that was parked meanwhile.
            standing = Standing.QUERY if self._standing is Standing.PROBE else self._standing
            self._tries = self._breakers.admit(self._node, standing)
        self._begun = True
        self._end = end if cut_short else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._over:
            return
        self._over = True
        sign = sign_of(error) if self._begun and not self._was_cut_short(error) else Sign.NOTHING
        self._breakers.shown(self._node, sign, error, tried=self._tries)

    def _was_cut_short(self, error: BaseException | None) -> bool:
        """
        Whether it is no wonder that there was no answer in so little time.
        """
        end = self._end
        return isinstance(error, PowerConnError) and end is not None and end <= self._clock.seconds()
