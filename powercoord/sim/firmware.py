# SPDX-License-Identifier: MIT
"""
How some firmware departs from the specification while it makes a session, as far as FreeIPMI knows.

From the BMC's end of what FreeIPMI's workarounds ``intel20`` and ``supermicro20`` do at the console's.
That FreeIPMI gets a session with the workaround and none without is a test.
"""

from __future__ import annotations

from attrs import evolve, frozen

from powercoord.drivers.ipmi.rakp import MAX_USERNAME, NAME_ONLY, KeyExchange
from powercoord.drivers.ipmi.suites import Suite

_SHORT_PASSWORD = 16


@frozen(kw_only=True)
class Firmware:
    """
    The default does as the specification says.

    :param padded_names: the name in RAKP message 1 must have 16 bytes, and is hashed so except for message 3.
    :param plain_rakp3_role: in message 3 the role is hashed without the bit "by name only".
    :param short_md5_passwords: only 16 bytes of a password are hashed where the suite uses MD5.
    :param long_rakp2_codes: the code in RAKP message 2 has one byte too many.
    """

    padded_names: bool = False
    plain_rakp3_role: bool = False
    short_md5_passwords: bool = False
    long_rakp2_codes: bool = False

    def name(self, sent: bytes) -> bytes | None:
        """
        The name that was meant; None: this is no name to this firmware.
        """
        if not self.padded_names:
            return sent
        return sent.rstrip(b"\0") if len(sent) == MAX_USERNAME else None

    def password(self, password: bytes, suite: Suite) -> bytes:
        """
        As much of a password as is hashed.
        """
        short = self.short_md5_passwords and suite.hash.name == "md5"
        return password[:_SHORT_PASSWORD] if short else password

    def rakp2_code(self, code: bytes) -> bytes:
        """
        The code as it is sent.
        """
        return code + b"\0" if self.long_rakp2_codes else code

    def rakp3_exchange(self, exchange: KeyExchange) -> KeyExchange:
        """
        What RAKP message 3 is expected to be computed from.
        """
        if self.plain_rakp3_role:
            exchange = exchange.with_role(exchange.role & ~NAME_ONLY)
        if self.padded_names:
            exchange = evolve(exchange, username=exchange.username.rstrip(b"\0"))
        return exchange


STANDARD = Firmware()
INTEL = Firmware(padded_names=True, plain_rakp3_role=True, short_md5_passwords=True)
SUPERMICRO = Firmware(long_rakp2_codes=True)
