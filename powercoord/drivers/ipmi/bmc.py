# SPDX-License-Identifier: MIT
"""
What is remembered of one BMC between operations, and as who we come to it.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from powercoord.drivers.ipmi.address import Address, Peer
from powercoord.drivers.ipmi.channel import PRIVILEGE_ADMIN, PRIVILEGE_OPERATOR, PRIVILEGE_USER
from powercoord.drivers.ipmi.counters import Counters
from powercoord.drivers.ipmi.entropy import Entropy
from powercoord.drivers.ipmi.quirks import Quirks, combine
from powercoord.drivers.ipmi.session import Session
from powercoord.drivers.ipmi.settings import BootType, IpmiSettings, PrivilegeLevel, key_bytes
from powercoord.drivers.ipmi.suites import SUITES, Suite

_LEVELS = {
    PrivilegeLevel.USER: PRIVILEGE_USER,
    PrivilegeLevel.OPERATOR: PRIVILEGE_OPERATOR,
    PrivilegeLevel.ADMIN: PRIVILEGE_ADMIN,
}


@frozen(kw_only=True)
class Login:
    """
    As who we come to a BMC, in the words of the wire.

    :param peer: where it is, unless its name must be looked up.
    :param what: the BMC's name in errors.
    """

    address: Address
    peer: Peer | None
    username: bytes
    password: bytes = field(repr=False)
    k_g: bytes = field(repr=False)
    privilege: int
    suites: tuple[Suite, ...]
    allow_ipmi15: bool
    quirks: Quirks
    idle: float
    boot_type: BootType
    what: str

    @classmethod
    def of(cls, settings: IpmiSettings) -> Login:
        """
        What settings say.
        """
        address = Address.parse(settings.address)
        return cls(
            address=address,
            peer=(address.host, address.port) if address.literal else None,
            username=settings.username.encode(),
            password=settings.password.encode(),
            k_g=key_bytes(settings.k_g),
            privilege=_LEVELS[settings.privilege_level],
            suites=tuple(SUITES[number] for number in settings.cipher_suites),
            allow_ipmi15=settings.allow_ipmi15,
            quirks=combine(settings.workaround_flags),
            idle=settings.session_idle,
            boot_type=settings.boot_type,
            what=f"BMC {address.text}",
        )


@define(eq=False, kw_only=True)
class Bmc:
    """
    One BMC. At most one session with it is kept, and that for one login.

    :ivar what: its name in errors.
    :ivar heard: when the session last carried an answer.
    :ivar suite: the suite that it accepted last; asked for first next time.
    :ivar rmcpplus: whether the last session was one of IPMI 2.0.
    """

    entropy: Entropy
    seconds: Callable[[], float]
    counters: Counters
    what: str = field(default="", init=False)
    session: Session | None = field(default=None, init=False)
    login: Login | None = field(default=None, init=False)
    heard: float = field(default=0.0, init=False)
    suite: int | None = field(default=None, init=False)
    rmcpplus: bool = field(default=False, init=False)
    _tag: int = field(default=0, init=False)

    def tag(self) -> int:
        """
        A number for the next message of session set-up.
        """
        self._tag = (self._tag + 1) & 0x3F
        return self._tag

    def stale(self, login: Login) -> bool:
        """
        Whether the session is for another login, or too old to be there still.
        """
        session = self.session
        return (
            session is None
            or (self.login is not login and self.login != login)
            or self.seconds() - self.heard >= login.idle
            or session.worn_out()
        )

    def keep(self, session: Session, login: Login) -> None:
        """
        Remember a session that was just opened.
        """
        self.session, self.login, self.heard = session, login, self.seconds()
        self.counters.opened += 1
        self.counters.sessions += 1

    def forget(self) -> None:
        """
        Remember no session.
        """
        if self.session is not None:
            self.counters.sessions -= 1
        self.session = self.login = None

    def forgotten(self) -> None:
        """
        The BMC does not know the kept session any more.
        """
        self.counters.forgotten += 1
        self.forget()

    def age(self) -> float:
        """
        How long ago the session last carried an answer.
        """
        return self.seconds() - self.heard
