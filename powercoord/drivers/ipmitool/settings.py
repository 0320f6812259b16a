# SPDX-License-Identifier: MIT
"""
What `ipmitool` must be told about a BMC.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from attrs import Attribute, frozen

from powercoord.drivers.ipmi.address import Address
from powercoord.drivers.ipmi.settings import BootType, PrivilegeLevel, key_bytes
from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, read_context, setting
from powercoord.strict import Moment

# ipmitool(1), "SECURITY": 20 bytes with IPMI 2.0, 16 with 1.5; and its user names.
_MAX_KEY = 20
_MAX_USERNAME = 16
_BRIDGE = re.compile(
    r"(?:-[BTbt] (?:0x[0-9A-Fa-f]{1,2}|\d{1,3}))(?: -[BTbt] (?:0x[0-9A-Fa-f]{1,2}|\d{1,3}))*"
)


class Interface(Enum):
    """
    Which IPMI: 2.0, or 1.5, which does not encrypt.
    """

    LANPLUS = "lanplus"
    LAN = "lan"


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    Address.parse(value)


def _fits(size: int, measure: Callable[[str], bytes]) -> Callable[[Any, Attribute[Any], str], None]:
    def check(_: Any, attribute: Attribute[Any], value: str) -> None:
        data = measure(value)
        if len(data) > size:
            raise PowerSettingError(f"{attribute.name} has {len(data)} bytes; ipmitool has room for {size}")
        if 0 in data:
            raise PowerSettingError(f"{attribute.name} has a zero byte in it, which no environment can hold")

    return check


def _check_username(_: Any, attribute: Attribute[Any], value: str) -> None:
    _fits(_MAX_USERNAME, str.encode)(_, attribute, value)
    if value.startswith("-"):
        raise PowerSettingError("username begins with '-', which ipmitool takes for an option")


def _check_suite(_: Any, __: Attribute[Any], value: int | None) -> None:
    if value == 0:
        raise PowerSettingError(
            "cipher_suite 0 does not authenticate and is never used; 17 or 3 would be right"
        )
    if value is not None and not 0 < value < 256:
        raise PowerSettingError(f"cipher_suite {value} is none; 17 or 3 would be right")


def _check_bridge(_: Any, __: Attribute[Any], value: str) -> None:
    if value and not _BRIDGE.fullmatch(value):
        raise PowerSettingError(
            f"bridge '{value[:60]}' is not understood; right would be ipmitool's -B, -T, -b and -t with"
            " their numbers, such as '-b 7 -t 0x72'"
        )


def _check_word(_: Any, attribute: Attribute[Any], value: str) -> None:
    if value and not re.fullmatch(r"[a-z0-9_]{1,32}", value):
        raise PowerSettingError(f"{attribute.name} '{value[:40]}' is no word of `ipmitool -o list`")


@frozen(kw_only=True)
class IpmitoolSettings:
    """
    One BMC, how to log in to it, and what `ipmitool` must do otherwise for it.
    """

    address: str = setting(
        "Address",
        description="Host name or IP address, with `:port` if it is not 623; IPv6 as `[address]:port`.",
        validator=_check_address,
    )
    username: str = setting("User name", default="", validator=_check_username)
    password: str = setting("Password", default="", secret=True, validator=_fits(_MAX_KEY, str.encode))
    k_g: str = setting(
        "K_g",
        default="",
        secret=True,
        description="The BMC's own key (IPMI 2.0): text, or hexadecimal digits behind `0x`.",
        validator=_fits(_MAX_KEY, key_bytes),
    )
    interface: Interface = setting(
        "Interface",
        default=Interface.LANPLUS,
        description="`lanplus` is IPMI 2.0; `lan` is 1.5, unencrypted.",
        choices=(("lanplus", "IPMI 2.0"), ("lan", "IPMI 1.5")),
    )
    cipher_suite: int | None = setting(
        "Cipher suite",
        default=None,
        description="The one to use with IPMI 2.0; without it, the best that the BMC offers.",
        validator=_check_suite,
    )
    privilege_level: PrivilegeLevel = setting(
        "Privilege level",
        default=PrivilegeLevel.OPERATOR,
        description="The level asked for. Changing power needs OPERATOR; USER can only read.",
        choices=(("USER", "User"), ("OPERATOR", "Operator"), ("ADMIN", "Administrator")),
    )
    oem: str = setting(
        "OEM type",
        default="",
        description="What `ipmitool -o` is told, such as `supermicro` or `intelplus`.",
        validator=_check_word,
    )
    bridge: str = setting(
        "Bridge",
        default="",
        scope=Scope.NODE,
        description="Where behind the BMC the node is: `ipmitool`'s `-B`, `-T`, `-b` and `-t` with numbers.",
        validator=_check_bridge,
    )
    boot_type: BootType = setting(
        "Boot type",
        default=BootType.AUTO,
        description="How the machine starts when a boot device is set; `auto` keeps what the BMC has.",
        choices=(("auto", "As it is"), ("legacy", "Legacy BIOS"), ("efi", "EFI")),
    )
    timeout: Moment = setting(
        "Timeout",
        default=Moment(15.0),
        description="How long one operation may take; then `ipmitool` is ended.",
    )


def _suite(value: Any) -> int:
    return int(value)


def _interface(value: Any) -> Interface:
    return {"LAN": Interface.LAN, "LAN_2_0": Interface.LANPLUS}.get(value) or Interface(value)


#: MAAS's power parameters, and which of ours each becomes.
CONTEXT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "power_address": "address",
        "power_user": "username",
        "power_pass": "password",
        "k_g": "k_g",
        "power_driver": "interface",
        "cipher_suite_id": "cipher_suite",
        "privilege_level": "privilege_level",
        "power_hwaddress": "bridge",
        "power_boot_type": "boot_type",
    }
)

_READS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "power_driver": _interface,
        "cipher_suite_id": _suite,
        "privilege_level": lambda value: PrivilegeLevel(str(value).upper()),
        "power_hwaddress": lambda value: " ".join(str(value).split()),
        "power_boot_type": lambda value: BootType(str(value)),
    }
)


def from_context(context: Mapping[str, Any]) -> IpmitoolSettings:
    """
    Settings from MAAS's power parameters.

    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    return IpmitoolSettings(**read_context(context, CONTEXT_NAMES, {"power_address": "the BMC"}, _READS))
