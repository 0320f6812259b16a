# SPDX-License-Identifier: MIT
"""
What kind of AMT is simulated. One value serves a whole fleet.

What is recorded of real ones, and what is a guess, stands in docs/simulators.md.
"""

from __future__ import annotations

from attrs import field, frozen


@frozen(kw_only=True)
class Profile:
    """
    The default is what was recorded of AMT 15.0.23.

    :param qop: as it stands in the challenge: ``auth``, ``auth-int, auth`` (16.1.25), ``auth,,auth-int``, or
        empty, and then none is told (RFC 2069).
    :param spaced: whether a space follows each comma of the challenge; recorded: only the first.
    :param close_on_401: whether a challenge ends its connection.
    :param nonce_uses: as often a nonce may be used; 0: without limit; :param nonce_lasts: for so long.
    :param lock_after: wrong passwords after which nobody is let in, for `lock_lasts` seconds; 0: never.
    :param graceful: whether the operating system can be asked to stop: 12 and 14 are available while on.
    :param off_state: the PowerState of a machine that is off: 8, or 6.
    :param accepted: ReturnValue of what is done: 0, or 4096 (job started).
    :param already: of power on when on, and of power off when off.
    :param impossible: of a reset when off, and of what is not available.
    :param chunked: whether answers come in chunks, as recorded.
    """

    username: str = "admin"
    password: str = field(default="secret", repr=False)
    version: str = "15.0.23.1706"
    realm: str = "Digest:A4070000000000000000000000000000"
    qop: str = "auth"
    spaced: bool = False
    close_on_401: bool = True
    nonce_uses: int = 0
    nonce_lasts: float = 300.0
    lock_after: int = 0
    lock_lasts: float = 60.0
    graceful: bool = True
    off_state: int = 8
    accepted: int = 0
    already: int = 0
    impossible: int = 4097
    chunked: bool = True
