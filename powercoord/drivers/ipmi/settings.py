# SPDX-License-Identifier: MIT
"""
What must be known about a BMC that speaks IPMI.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from attrs import Attribute, frozen

from powercoord.drivers.ipmi.address import Address
from powercoord.drivers.ipmi.quirks import FLAGS, combine
from powercoord.drivers.ipmi.rakp import MAX_USERNAME
from powercoord.drivers.ipmi.suites import SUITES
from powercoord.errors import PowerSettingError
from powercoord.settings import read_context, setting
from powercoord.strict import Moment, Seconds

#: Longest password and K_g of IPMI 2.0, in bytes.
MAX_KEY = 20


class PrivilegeLevel(Enum):
    """
    As who a session is opened.
    """

    USER = "USER"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"


class BootType(Enum):
    """
    How a machine starts when a boot device is set. ``AUTO`` keeps what the BMC has.
    """

    AUTO = "auto"
    LEGACY = "legacy"
    EFI = "efi"


def key_bytes(text: str) -> bytes:
    """
    A key as it is written: as text, or in hexadecimal digits behind ``0x``.

    :raises PowerSettingError: the digits are none. The text is a secret and not told.
    """
    if not text.startswith("0x"):
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise PowerSettingError(
            "k_g begins with 0x but does not go on in pairs of hexadecimal digits"
        ) from None


def _fits(size: int, measure: Callable[[str], bytes]) -> Callable[[Any, Attribute[Any], str], None]:
    def check(_: Any, attribute: Attribute[Any], value: str) -> None:
        length = len(measure(value))
        if length > size:
            raise PowerSettingError(f"{attribute.name} has {length} bytes; IPMI has room for {size}")
        if "\0" in value:
            raise PowerSettingError(f"{attribute.name} has a zero byte in it")

    return check


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    Address.parse(value)


def _check_suites(_: Any, __: Attribute[Any], value: tuple[int, ...]) -> None:
    for suite in value:
        if suite not in SUITES:
            known = ", ".join(str(number) for number in sorted(SUITES, reverse=True))
            reason = "does not authenticate and is never used" if suite == 0 else "is not supported"
            raise PowerSettingError(f"cipher suite {suite} {reason}; supported: {known}")


def _check_flags(_: Any, __: Attribute[Any], value: tuple[str, ...]) -> None:
    combine(value)


@frozen(kw_only=True)
class IpmiSettings:
    """
    One BMC, and how to log in to it.
    """

    address: str = setting(
        "Address",
        description="Host name or IP address, with `:port` if it is not 623; IPv6 as `[address]:port`.",
        validator=_check_address,
    )
    username: str = setting(
        "User name",
        default="",
        description="At most 16 bytes; empty for the null user.",
        validator=_fits(MAX_USERNAME, str.encode),
    )
    password: str = setting(
        "Password",
        default="",
        secret=True,
        description="At most 20 bytes (16 with IPMI 1.5).",
        validator=_fits(MAX_KEY, str.encode),
    )
    k_g: str = setting(
        "K_g",
        default="",
        secret=True,
        description="The BMC's own key, where it has one: text, or hexadecimal digits behind `0x`.",
        validator=_fits(MAX_KEY, key_bytes),
    )
    cipher_suites: tuple[int, ...] = setting(
        "Cipher suites",
        default=(17, 3),
        description="Suites that may be used, the preferred one first.",
        validator=_check_suites,
    )
    privilege_level: PrivilegeLevel = setting(
        "Privilege level",
        default=PrivilegeLevel.OPERATOR,
        description="The level asked for. Changing power needs OPERATOR; USER can only read.",
        choices=(("USER", "User"), ("OPERATOR", "Operator"), ("ADMIN", "Administrator")),
    )
    workaround_flags: tuple[str, ...] = setting(
        "Workaround flags",
        default=(),
        description="What this firmware needs done otherwise, by FreeIPMI's names.",
        choices=tuple((name, name) for name in FLAGS),
        validator=_check_flags,
    )
    timeout: Moment = setting(
        "Timeout",
        default=Moment(5.0),
        description="How long one operation may take, session set-up included; then the BMC counts as dead.",
    )
    session_idle: Seconds = setting(
        "Session idle time",
        default=Seconds(20.0),
        description="How long an unused session is kept; less than the BMC's own limit of 30 to 60 s.",
    )
    allow_ipmi15: bool = setting(
        "Allow IPMI 1.5",
        default=False,
        description="Whether IPMI 1.5 with MD5, unencrypted, may be used with a BMC that has nothing better.",
    )
    boot_type: BootType = setting(
        "Boot type",
        default=BootType.AUTO,
        description="How the machine starts when a boot device is set; `auto` keeps what the BMC has.",
        choices=(("auto", "As it is"), ("legacy", "Legacy BIOS"), ("efi", "EFI")),
    )

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        if not self.cipher_suites and not self.allow_ipmi15:
            raise PowerSettingError(
                "cipher_suites is empty and allow_ipmi15 is not set: no session could be made"
            )


def _words(value: Any) -> tuple[str, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    return tuple(str(word) for word in words if word)


def _suites(value: Any) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(str(value)))


def _privilege(value: Any) -> PrivilegeLevel:
    return PrivilegeLevel(str(value).upper())


def _boot_type(value: Any) -> BootType:
    return BootType(str(value))


def _only_15(value: Any) -> bool:
    return {"LAN": True, "LAN_2_0": False}[value]


#: What MAAS chooses by in ``power_driver``.
POWER_DRIVERS = (("LAN_2_0", "LAN_2_0 [IPMI 2.0]"), ("LAN", "LAN [IPMI 1.5]"))

#: MAAS's power parameters, and which of ours each becomes.
#: ``power_off_mode`` belongs to a request and ``mac_address`` to nobody, so they are not here.
CONTEXT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "power_address": "address",
        "power_user": "username",
        "power_pass": "password",
        "k_g": "k_g",
        "cipher_suite_id": "cipher_suites",
        "privilege_level": "privilege_level",
        "workaround_flags": "workaround_flags",
        "power_boot_type": "boot_type",
        "power_driver": "allow_ipmi15",
    }
)

_READS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "cipher_suite_id": _suites,
        "privilege_level": _privilege,
        "workaround_flags": _words,
        "power_boot_type": _boot_type,
        "power_driver": _only_15,
    }
)


def from_context(context: Mapping[str, Any]) -> IpmiSettings:
    """
    Settings from MAAS's power parameters.

    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    return IpmiSettings(**read_context(context, CONTEXT_NAMES, {"power_address": "the BMC"}, _READS))
