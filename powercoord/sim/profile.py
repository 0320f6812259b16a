# SPDX-License-Identifier: MIT
"""
What kind of BMC is simulated: its users, cipher suites and limits. One value serves a whole fleet.
"""

from __future__ import annotations

from enum import IntEnum

from attrs import field, frozen

from powercoord.sim.firmware import STANDARD, Firmware


class Privilege(IntEnum):
    """
    Privilege levels (IPMI 2.0, 6.8).
    """

    CALLBACK = 1
    USER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4


@frozen
class User:
    """
    Somebody who may log in. An empty name is the null user.
    """

    name: bytes
    password: bytes = field(repr=False)
    privilege: Privilege = Privilege.ADMINISTRATOR


USERS = (
    User(b"", b"test", Privilege.USER),
    User(b"admin", b"secret", Privilege.ADMINISTRATOR),
    User(b"oper", b"opsecret", Privilege.OPERATOR),
)


@frozen(kw_only=True)
class Profile:
    """
    Its users are also those of `powercoord.testing.ipmi_sim`, so that tests can swap fleets.

    :param suites: cipher suites on offer, of 3, 8 and 17; none: a BMC of IPMI 1.5.
    :param ipmi15: whether IPMI 1.5 sessions with MD5 are on offer as well.
    :param kg: K_g; empty: none.
    :param slots: sessions at a time, those being made included.
    :param idle_timeout: seconds without a packet after which a session is gone.
    :param firmware: how it departs from the specification.
    """

    users: tuple[User, ...] = USERS
    suites: tuple[int, ...] = (3, 17)
    ipmi15: bool = True
    kg: bytes = field(default=b"", repr=False)
    slots: int = 4
    idle_timeout: float = 60.0
    firmware: Firmware = STANDARD
    manufacturer: int = 0
    product: int = 0

    def user(self, name: bytes) -> User | None:
        """
        The user of that name.
        """
        return next((user for user in self.users if user.name == name), None)
