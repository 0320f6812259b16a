# SPDX-License-Identifier: MIT
"""
What some firmware needs done otherwise than the specification says, by FreeIPMI's names.

A quirk is data: its name stands for values of `Quirks`, and the code reads
those values, never the name. Facts from FreeIPMI's documentation
("WORKAROUNDS" in ipmipower(8), and its list of bugs, issues and workarounds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from powercoord.errors import PowerSettingError
from powercoord.nearest import nearest


@frozen(kw_only=True)
class Quirks:
    """
    How to talk to one BMC. The defaults are what the specification says.

    :param highest_privilege: whether "the highest privilege" may be asked for
        in open session once the wanted one was refused there.
    :param check_capabilities: whether authentication capabilities (IPMI 1.5)
        are believed where they say "not possible".
    :param pad_username: send and hash the name as 16 bytes, except for RAKP 3.
    :param plain_rakp3_role: hash RAKP 3 without the bit "by name only".
    :param short_md5_password: hash 16 bytes of the password where the suite uses MD5.
    :param long_rakp2_code: the code in RAKP 2 may have one byte too many.
    :param check_checksums: whether a wrong checksum in an answer makes it ignored.
    :param check_codes: whether a wrong code in an IPMI 1.5 answer makes it ignored.
    :param swapped_sequence: IPMI 1.5 session sequence numbers come big-endian.
    :param zero_session: IPMI 1.5 answers may carry session id 0.
    :param unexpected_codes: IPMI 1.5 answers may carry a code where none was agreed on.
    :param per_message: IPMI 1.5 packets carry codes whatever was agreed on.
    """

    highest_privilege: bool = True
    check_capabilities: bool = True
    pad_username: bool = False
    plain_rakp3_role: bool = False
    short_md5_password: bool = False
    long_rakp2_code: bool = False
    check_checksums: bool = True
    check_codes: bool = True
    swapped_sequence: bool = False
    zero_session: bool = False
    unexpected_codes: bool = False
    per_message: bool = False


STANDARD = Quirks()

#: What each flag changes. An empty one asks for what is done (or never done) here anyway.
FLAGS: Mapping[str, Mapping[str, bool]] = MappingProxyType(
    {
        "authcap": {"check_capabilities": False},
        "endianseq": {"swapped_sequence": True},
        "forcepermsg": {"per_message": True},
        "idzero": {"zero_session": True},
        # Its code in RAKP 4 depends on the integrity algorithm; in our suites that has the same hash.
        "intel20": {
            "highest_privilege": False,
            "pad_username": True,
            "plain_rakp3_role": True,
            "short_md5_password": True,
        },
        # Concerns only suite 0, which is never used.
        "integritycheckvalue": {},
        # No presence pings are sent.
        "ipmiping": {},
        "noauthcodecheck": {"check_codes": False},
        "nochecksumcheck": {"check_checksums": False},
        "none": {},
        "opensesspriv": {"highest_privilege": False},
        # Its broken cipher suite records are not read.
        "sun20": {"highest_privilege": False, "long_rakp2_code": True},
        "supermicro20": {"long_rakp2_code": True},
        "unexpectedauth": {"unexpected_codes": True},
    }
)


def combine(names: Iterable[str]) -> Quirks:
    """
    All that these flags change, together.

    :raises PowerSettingError: a flag is not known.
    """
    changes: dict[str, Any] = {}
    for name in names:
        if name not in FLAGS:
            near = nearest(name, FLAGS)
            hint = f"did you mean '{near}'?" if near else f"known: {', '.join(FLAGS)}"
            raise PowerSettingError(f"workaround flag '{name}' is not known; {hint}")
        changes.update(FLAGS[name])
    return evolve(STANDARD, **changes) if changes else STANDARD
