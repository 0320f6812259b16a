# SPDX-License-Identifier: MIT
"""
What a driver asks about TLS, the same for every driver that has it.

A driver's settings class has fields ``ca_file``, ``pin`` and ``legacy_tls`` made with these, and calls
`trust_of` where it checks what makes no sense together.
"""

from __future__ import annotations

from typing import Any, Protocol

from attrs import Attribute

from powercoord.drivers.web.trust import Trust, parse_pin
from powercoord.settings import setting


class HasTrust(Protocol):
    """
    Settings with all three.
    """

    @property
    def ca_file(self) -> str: ...
    @property
    def pin(self) -> str: ...
    @property
    def legacy_tls(self) -> bool: ...


def trust_of(settings: HasTrust) -> Trust:
    """
    Whom these settings trust.

    :raises PowerSettingError: they contradict each other.
    """
    return Trust(pin=settings.pin, ca_file=settings.ca_file, legacy_tls=settings.legacy_tls)


def _check_pin(_: Any, __: Attribute[Any], value: str) -> None:
    if value:
        parse_pin(value)


def ca_file_setting() -> Any:
    """
    Which CAs are trusted.
    """
    return setting(
        "CA file",
        default="",
        description="PEM file with the CAs that may have signed the BMC's certificate; empty: the system's.",
    )


def pin_setting() -> Any:
    """
    Which one certificate is trusted.
    """
    return setting(
        "Pinned certificate",
        default="",
        description="SHA-256 of the BMC's certificate; then only that one is trusted, whoever signed it."
        " `powercoord pin NODE` shows it.",
        validator=_check_pin,
    )


def legacy_tls_setting() -> Any:
    """
    Whether old TLS is spoken.
    """
    return setting(
        "Legacy TLS",
        default=False,
        description="Whether TLS 1.0 and 1.1, SHA-1 and short keys may be used, for old BMCs.",
    )
