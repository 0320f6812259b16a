# SPDX-License-Identifier: MIT
"""
What `ipmi_sim` reads when it starts: `ipmi_lan(5)` and `ipmi_sim_cmd(5)` for many BMCs in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

USERNAME, PASSWORD = "admin", "secret"
OPERATOR, OPERATOR_PASSWORD = "oper", "opsecret"
NULL_USER_PASSWORD = "test"

# One process may have a controller at every address but 0; the one at 0x20 must come first.
IPMB_ADDRESSES = (0x20, *(ipmb for ipmb in range(1, 256) if ipmb != 0x20))

_AUTHS = "none md2 md5 straight"
_ALLOWED = "".join(f"    allowed_auths_{who} {_AUTHS}\n" for who in ("callback", "user", "operator", "admin"))
_USERS = (
    f'  user 1 true "" "{NULL_USER_PASSWORD}" user 10 {_AUTHS}\n'
    f'  user 2 true "{USERNAME}" "{PASSWORD}" admin 10 {_AUTHS}\n'
    f'  user 3 true "{OPERATOR}" "{OPERATOR_PASSWORD}" operator 10 {_AUTHS}\n'
)


def lan_config(address: str, port: int, ipmb: int, chassis: str, kg: bytes) -> str:
    """
    One BMC. Without ``guid`` it would offer no IPMI 2.0.

    :param chassis: the shell command that is the machine; `ipmi_sim` appends what it asks.
    """
    guid = f"{int(IPv4Address(address)):08x}{ipmb:024x}"
    key = f"    bmc_key {kg.ljust(16, bytes(1)).hex()}\n" if kg else ""
    return (
        f"set_working_mc {ipmb:#x}\n"
        f"  startlan 1\n    addr {address} {port}\n    priv_limit admin\n"
        f"{_ALLOWED}    guid {guid}\n{key}  endlan\n"
        f'  chassis_control "{chassis}"\n{_USERS}'
    )


def emulation(ipmbs: Sequence[int]) -> str:
    """
    The controllers of one process. Bit 7 of 0x9f: without it a controller knows no chassis commands.
    """
    lines = ["mc_setbmc 0x20"]
    for ipmb in ipmbs:
        lines += [f"mc_add {ipmb:#x} 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02", f"mc_enable {ipmb:#x}"]
    return "\n".join(lines) + "\n"
