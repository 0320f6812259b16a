# SPDX-License-Identifier: MIT
"""
Who is logged in (DSP0266, "Redfish session login authentication").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.redfish.profile import Account


@define(eq=False)
class Session:
    """
    One login.
    """

    number: int
    token: str = field(repr=False)
    account: Account
    used: float


@define(eq=False)
class Sessions:
    """
    The sessions of one service.
    """

    _clock: IReactorTime = field(repr=False)
    _random_bytes: Callable[[int], bytes] = field(repr=False)
    _limit: int
    _timeout: float
    _by_number: dict[int, Session] = field(init=False, factory=dict)
    _last: int = field(init=False, default=0)

    def __iter__(self) -> Iterator[Session]:
        self._expire()
        return iter(list(self._by_number.values()))

    def open(self, account: Account) -> Session | None:
        """
        A new session; None: there are too many.
        """
        self._expire()
        if len(self._by_number) >= self._limit:
            return None
        self._last += 1
        session = Session(self._last, self._random_bytes(16).hex(), account, self._clock.seconds())
        self._by_number[session.number] = session
        return session

    def find(self, token: str) -> Session | None:
        """
        The session of that token, which thereby lasts longer.
        """
        for session in self:
            if session.token == token:
                session.used = self._clock.seconds()
                return session
        return None

    def get(self, number: str) -> Session | None:
        """
        The session of that number.
        """
        return next((session for session in self if str(session.number) == number), None)

    def close(self, session: Session) -> None:
        """
        Log out.
        """
        self._by_number.pop(session.number, None)

    def clear(self) -> None:
        """
        What a restart of the BMC does to whoever is logged in.
        """
        self._by_number.clear()

    def _expire(self) -> None:
        earliest = self._clock.seconds() - self._timeout
        for session in list(self._by_number.values()):
            if session.used < earliest:
                self.close(session)
