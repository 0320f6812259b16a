# SPDX-License-Identifier: MIT
"""
Envelopes as AMT answers them, and how two are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

from powercoord.drivers.amt.namespaces import ASSOCIATED_POWER, SOAP, STANDBY_SERVICE, class_name

MESSAGE = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}MessageID"


def envelope(body: str) -> bytes:
    return f'<?xml version="1.0"?><q:Envelope xmlns:q="{SOAP}"><q:Body>{body}</q:Body></q:Envelope>'.encode()


def instance(resource: str, *fields: tuple[str, object], name: str = "") -> bytes:
    inner = "".join(f"<z:{field}>{escape(str(value))}</z:{field}>" for field, value in fields)
    name = name or class_name(resource)
    return envelope(f'<z:{name} xmlns:z="{resource}">{inner}</z:{name}>')


def output(resource: str, method: str, value: object = 0) -> bytes:
    return instance(resource, ("ReturnValue", value), name=f"{method}_OUTPUT")


def power(number: object, available: Sequence[int] = (2, 5, 8, 10, 12)) -> bytes:
    offered = [("AvailableRequestedPowerStates", each) for each in available]
    return instance(ASSOCIATED_POWER, *offered, ("PowerState", number))


def saving(number: int) -> bytes:
    return instance(STANDBY_SERVICE, ("OSPowerSavingState", number))


def fault(code: str, reason: str = "because") -> bytes:
    return envelope(
        f'<q:Fault xmlns:w="urn:w"><q:Code><q:Value>q:Sender</q:Value><q:Subcode><q:Value>w:{code}</q:Value>'
        f"</q:Subcode></q:Code><q:Reason><q:Text>{reason}</q:Text></q:Reason></q:Fault>"
    )


def meaning(document: bytes) -> Any:
    """
    What a document says, whatever its prefixes, its white space, and the number of its message.
    """
    return _meaning(fromstring(document))


def _meaning(element: Element) -> Any:
    text = "" if element.tag == MESSAGE else (element.text or "").strip()
    return element.tag, dict(element.attrib), text, [_meaning(child) for child in element]
