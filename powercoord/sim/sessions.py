# SPDX-License-Identifier: MIT
"""
The sessions of one simulated BMC: a few slots, and nobody may keep one without using it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from powercoord.drivers.ipmi.rakp import KeyExchange
from powercoord.drivers.ipmi.suites import SessionKeys, Suite
from powercoord.sim.profile import Privilege, User

#: How far a sequence number may jump ahead, and how late a packet may come (IPMI 2.0, 6.12.12).
WINDOW = 16


@define(kw_only=True)
class Session:
    """
    A session, or one that is being made: then it has no ``user``, or is not ``active`` yet.

    :ivar limit: the highest privilege that it may have; ``privilege`` is what it has now.
    """

    id: int
    console_id: int = 0
    limit: int = Privilege.ADMINISTRATOR
    privilege: int = Privilege.USER
    user: User | None = field(default=None, repr=False)
    active: bool = False
    heard: float = 0.0
    outbound: int = 0
    _newest: int = field(init=False, default=0)
    _seen: int = field(init=False, default=0)

    def fresh(self, sequence: int) -> bool:
        """
        Whether a packet of this number has not been here before. Remembers it.
        """
        ahead = sequence - self._newest
        if not -WINDOW < ahead <= WINDOW or sequence == 0:
            return False
        if ahead > 0:
            self._newest, self._seen = sequence, self._seen << ahead | 1
            self._seen &= (1 << WINDOW) - 1
            return True
        bit = 1 << -ahead
        known, self._seen = self._seen & bit, self._seen | bit
        return not known

    def expect(self, sequence: int) -> None:
        """
        Choose the number of the next packet from the console.
        """
        self._newest, self._seen = sequence - 1, 0

    def next_outbound(self) -> int:
        """
        The number of the next packet to the console.
        """
        self.outbound += 1
        return self.outbound


@define(kw_only=True)
class Session20(Session):
    """
    A session of IPMI 2.0 with its cipher suite.
    """

    suite: Suite
    exchange: KeyExchange | None = field(default=None, repr=False)
    session_key: bytes = field(default=b"", repr=False)
    keys: SessionKeys | None = field(default=None, repr=False)


@define(kw_only=True)
class Session15(Session):
    """
    A session of IPMI 1.5, authenticated by MD5.
    """

    challenge: bytes = field(repr=False)
    password: bytes = field(repr=False)


@define
class SessionTable:
    """
    The slots. Sessions that were idle for too long are gone when somebody looks.

    :ivar begun: how many sessions somebody began to make.
    """

    _clock: IReactorTime = field(repr=False)
    _new_id: Callable[[], int] = field(repr=False)
    _slots: int
    _idle_timeout: float
    begun: int = field(init=False, default=0)
    _sessions: dict[int, Session] = field(init=False, factory=dict)

    def __len__(self) -> int:
        self._forget_idle()
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        self._forget_idle()
        return iter(list(self._sessions.values()))

    def unused_id(self) -> int:
        """
        An id that no session has, and that is not 0.
        """
        while (candidate := self._new_id()) in self._sessions or not candidate:
            pass
        return candidate

    def add(self, session: Session) -> bool:
        """
        Give a session a slot, if need be that of the oldest one that nobody finished making.
        """
        self._forget_idle()
        if len(self._sessions) >= self._slots and not self._drop_unfinished():
            return False
        session.heard = self._clock.seconds()
        self._sessions[session.id] = session
        self.begun += 1
        return True

    def find(self, session_id: int) -> Session | None:
        """
        The session of that id, unless it was idle for too long.
        """
        session = self._sessions.get(session_id)
        if session is None or not self._expired(session):
            return session
        del self._sessions[session_id]
        return None

    def touch(self, session: Session) -> None:
        """
        A good packet came: the session's idle time begins anew.
        """
        session.heard = self._clock.seconds()

    def close(self, session_id: int) -> None:
        """
        Free the slot.
        """
        self._sessions.pop(session_id, None)

    def clear(self) -> None:
        """
        What a restart of the BMC does.
        """
        self._sessions.clear()

    def _expired(self, session: Session) -> bool:
        return self._clock.seconds() - session.heard > self._idle_timeout

    def _forget_idle(self) -> None:
        for session in list(self._sessions.values()):
            if self._expired(session):
                del self._sessions[session.id]

    def _drop_unfinished(self) -> bool:
        for session in self._sessions.values():
            if not session.active:
                del self._sessions[session.id]
                return True
        return False
