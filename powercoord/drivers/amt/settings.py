# SPDX-License-Identifier: MIT
"""
What must be known about a machine with Intel AMT.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from attrs import Attribute, frozen

from powercoord.drivers.web.place import Place
from powercoord.drivers.web.trust_settings import ca_file_setting, legacy_tls_setting, pin_setting, trust_of
from powercoord.errors import PowerSettingError
from powercoord.settings import read_context, setting
from powercoord.strict import Moment

#: Intel's own ports: without TLS, and with it.
PLAIN_PORT, TLS_PORT = 16992, 16993

_PORTS: Mapping[str, int] = MappingProxyType({"https": TLS_PORT, "http": PLAIN_PORT})
_WITH_PORT = re.compile(r"(?P<host>[^:]+|\[.*\]):(?P<port>\d+)")


class Tls(Enum):
    """
    Whether TLS is spoken. ``AUTO``: on every port but 16992.
    """

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def _check_address(_: Any, __: Attribute[Any], value: str) -> None:
    if "://" in value:
        raise PowerSettingError(
            f"address '{value}': there is no URL to AMT; right would be a host name or IP address"
        )
    found = _WITH_PORT.fullmatch(value)
    if found is not None:
        raise PowerSettingError(
            f"address '{value}': the port is a setting of its own;"
            f" right would be address '{found['host']}' and port {found['port']}"
        )
    Place.parse(value, ports=_PORTS)


def _check_port(_: Any, __: Attribute[Any], value: int) -> None:
    if not 0 < value < 65536:
        raise PowerSettingError(
            f"port {value} is not between 1 and 65535; AMT has {TLS_PORT} and {PLAIN_PORT}"
        )


def _check_username(_: Any, __: Attribute[Any], value: str) -> None:
    if not value or ":" in value or not value.isprintable():
        raise PowerSettingError("username is empty, or has a colon or a control character in it")


@frozen(kw_only=True)
class AmtSettings:
    """
    One machine, and how to log in to its AMT.
    """

    address: str = setting(
        "Address",
        description="Host name or IP address; the port is a setting of its own.",
        validator=_check_address,
    )
    port: int = setting(
        "Port",
        default=TLS_PORT,
        description="16993, with TLS, or 16992, without.",
        validator=_check_port,
    )
    tls: Tls = setting(
        "TLS",
        default=Tls.AUTO,
        description="Whether TLS is spoken; `auto`: on every port but 16992.",
        choices=(("auto", "As the port has it"), ("on", "Yes"), ("off", "No")),
    )
    username: str = setting(
        "User name",
        default="admin",
        description="An account with the right to remote control.",
        validator=_check_username,
    )
    password: str = setting(
        "Password",
        default="",
        secret=True,
        description="A refused one is not tried again: AMT locks its accounts.",
    )
    pin: str = pin_setting()
    ca_file: str = ca_file_setting()
    legacy_tls: bool = legacy_tls_setting()
    timeout: Moment = setting(
        "Timeout",
        default=Moment(15.0),
        description="How long one operation may take, with all its messages; then the device counts as dead.",
    )

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        trust_of(self)
        if not self.place.secure and (self.pin or self.ca_file or self.legacy_tls):
            raise PowerSettingError(
                f"pin, ca_file and legacy_tls are about TLS, and port {self.port} is without;"
                " right would be port 16993, or none of the three"
            )

    @property
    def place(self) -> Place:
        """
        Where its web server is.
        """
        on = self.port != PLAIN_PORT if self.tls is Tls.AUTO else self.tls is Tls.ON
        scheme = "https" if on else "http"
        return Place.parse(self.address, scheme, {scheme: self.port})

    @property
    def endpoint(self) -> str:
        """
        The device: its two ports are two ways to the same one.
        """
        place = self.place
        return place.host if self.port in (PLAIN_PORT, TLS_PORT) else place.authority


#: MAAS's power parameters, and which of ours each becomes. An empty value is as none.
CONTEXT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "power_address": "address",
        "power_user": "username",
        "power_pass": "password",
        "power_pin": "pin",
        "port": "port",
    }
)


def from_context(context: Mapping[str, Any]) -> AmtSettings:
    """
    Settings from MAAS's power parameters, whose ``ip_address`` goes before ``power_address``.

    :raises PowerSettingError: one is missing or makes no sense; secrets are not told.
    """
    given = {**context, "power_address": context.get("ip_address") or context.get("power_address")}
    needed = {"power_address": "the machine's AMT"}
    return AmtSettings(**read_context(given, CONTEXT_NAMES, needed, {"port": _port}))


def _port(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal()):
        raise PowerSettingError(
            f"port is {text!r}, which makes no sense; AMT has {TLS_PORT} and {PLAIN_PORT}"
        )
    return int(text)
