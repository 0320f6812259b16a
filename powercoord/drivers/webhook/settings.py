# SPDX-License-Identifier: MIT
"""
Which addresses a webhook has, and how its answer is understood.
"""
# ruff: noqa: RUF009 - `setting` is attrs' field in another word.

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, frozen

from powercoord.drivers.web import Place
from powercoord.drivers.web.trust_settings import ca_file_setting, legacy_tls_setting, pin_setting, trust_of
from powercoord.errors import PowerSettingError
from powercoord.settings import Scope, read_context, setting
from powercoord.strict import Moment

_LINE = re.compile(r"[\x21-\x7e]*")
_LONGEST_PATTERN = 500


@frozen
class Address:
    """
    Where one thing is asked for.

    :param path: with its query, as it is sent.
    """

    place: Place
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        Read a URI.

        :raises PowerSettingError: it is none, or has a user or password in it.
        """
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.netloc or not _LINE.fullmatch(text):
            raise PowerSettingError(
                "a URI must begin with http:// or https:// and a host, and have no spaces"
            )
        if "@" in parts.netloc:
            raise PowerSettingError(
                "a URI must have no user or password in it, which would be seen; set username and password"
            )
        query = f"?{parts.query}" if parts.query else ""
        return cls(Place.parse(f"{parts.scheme}://{parts.netloc}"), (parts.path or "/") + query)


def _check_uri(_: Any, attribute: Attribute[Any], value: str) -> None:
    if not value:
        return
    try:
        Address.parse(value)
    except (PowerSettingError, ValueError) as error:
        raise PowerSettingError(f"{attribute.name}: {error}") from None


def _check_pattern(_: Any, attribute: Attribute[Any], value: str) -> None:
    if not value or len(value) > _LONGEST_PATTERN:
        raise PowerSettingError(f"{attribute.name} must have 1 to {_LONGEST_PATTERN} characters")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise PowerSettingError(f"{attribute.name} is no regular expression: {error}") from None


def _check_word(_: Any, attribute: Attribute[Any], value: str) -> None:
    if any(mark in value for mark in "\r\n\0"):
        raise PowerSettingError(f"{attribute.name} has more than one line")


def _uri(label: str, description: str, **more: Any) -> Any:
    return setting(label, description=description, scope=Scope.NODE, validator=_check_uri, **more)


@frozen(kw_only=True)
class WebhookSettings:
    """
    One node behind a web server.
    """

    power_on_uri: str = _uri("URI for on", "Asked with POST to turn the node on.")
    power_off_uri: str = _uri("URI for off", "Asked with POST to turn the node off.")
    power_query_uri: str = _uri("URI for status", "Asked with GET for the node's power.")
    power_soft_uri: str = _uri(
        "URI for soft off", "Asked with POST to have the operating system stop.", default=""
    )
    power_reset_uri: str = _uri("URI for reset", "Asked with POST to reset the node.", default="")
    power_on_regex: str = setting(
        "Regex for on",
        default=r"status.*\:.*running",
        description="Found in the answer of a node that is on, and of no other.",
        validator=_check_pattern,
    )
    power_off_regex: str = setting(
        "Regex for off",
        default=r"status.*\:.*stopped",
        description="Found in the answer of a node that is off, and of no other.",
        validator=_check_pattern,
    )
    node_id: str = setting(
        "Node's id",
        default="",
        scope=Scope.NODE,
        description="Sent as the header `System_Id` and in the body; several nodes can share URIs.",
        validator=_check_word,
    )
    username: str = setting("User name", default="", description="For HTTP's basic authentication.")
    password: str = setting("Password", default="", secret=True, validator=_check_word)
    token: str = setting(
        "Token",
        default="",
        secret=True,
        description="Sent as `Bearer`, in place of user name and password.",
        validator=_check_word,
    )
    ca_file: str = ca_file_setting()
    pin: str = pin_setting()
    legacy_tls: bool = legacy_tls_setting()
    timeout: Moment = setting(
        "Timeout",
        default=Moment(15.0),
        description="How long one operation may take.",
    )

    def __attrs_post_init__(self) -> None:
        """
        Refuse what makes no sense together.
        """
        trust_of(self)
        if self.token and (self.username or self.password):
            raise PowerSettingError("token and username or password are both set; a server gets one of them")
        if self.power_on_regex == self.power_off_regex:
            raise PowerSettingError("power_on_regex and power_off_regex are the same; nothing could be told")


#: MAAS's names, and what each becomes. ``power_verify_ssl`` is not here: a certificate is always looked at.
CONTEXT: Mapping[str, str] = MappingProxyType(
    {
        "power_on_uri": "power_on_uri",
        "power_off_uri": "power_off_uri",
        "power_query_uri": "power_query_uri",
        "power_on_regex": "power_on_regex",
        "power_off_regex": "power_off_regex",
        "power_user": "username",
        "power_pass": "password",
        "power_token": "token",
        "power_pin": "pin",
        "system_id": "node_id",
    }
)
_NEEDED = {
    "power_on_uri": "what turns it on",
    "power_off_uri": "what turns it off",
    "power_query_uri": "what tells its state",
}


def from_context(context: Mapping[str, Any]) -> WebhookSettings:
    """
    Settings from MAAS's power parameters.

    :raises PowerSettingError: one is missing or makes no sense.
    """
    return WebhookSettings(**read_context(context, CONTEXT, _NEEDED))
