# SPDX-License-Identifier: MIT
"""
WS-Management envelopes (DSP0226) as AMT reads and writes them, after recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from attrs import field, frozen
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
IPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"

#: The subcode of a fault, and its reason. The first is recorded; the texts of the others are DSP0226's.
FAULTS = MappingProxyType(
    {
        "DestinationUnreachable": (
            "b",
            "Sender",
            "No route can be determined to reach the destination role defined by the WSAddressing To.",
        ),
        "ActionNotSupported": ("b", "Sender", "The action is not supported by the service."),
        "InvalidRepresentation": ("e", "Sender", "The XML content was invalid."),
        "SchemaValidationError": ("e", "Sender", "The supplied SOAP violates the XML schema definition."),
        "InvalidSelectors": ("e", "Sender", "The Selectors for the resource were not valid."),
        "AccessDenied": ("e", "Sender", "The sender was not authorized to access the resource."),
        "QuotaLimit": ("e", "Receiver", "The service is busy servicing other requests."),
        "TimedOut": ("e", "Receiver", "The operation has timed out."),
        "InternalError": ("e", "Receiver", "The service cannot comply due to internal processing errors."),
    }
)  # fmt: skip


class Unreadable(Exception):
    """
    This is no envelope.
    """


@frozen
class Envelope:
    """
    A request.

    :param action: the last word of its action: ``Get``, ``RequestPowerStateChange`` …
    :param resource: its resource's whole URI; :param kind: the last word of that, a CIM class.
    """

    action: str
    resource: str
    message_id: str
    _body: Element = field(repr=False)

    @property
    def kind(self) -> str:
        return self.resource.rpartition("/")[2]

    @classmethod
    def parse(cls, text: bytes) -> Envelope:
        """
        :raises Unreadable: it is none.
        """
        try:
            root = fromstring(text, forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise Unreadable(str(error)) from None
        body = root.find(f"{{{SOAP}}}Body")
        action = root.findtext(f"{{{SOAP}}}Header/{{{ADDRESSING}}}Action")
        resource = root.findtext(f"{{{SOAP}}}Header/{{{WSMAN}}}ResourceURI")
        number = root.findtext(f"{{{SOAP}}}Header/{{{ADDRESSING}}}MessageID")
        if body is None or not action or not resource:
            raise Unreadable("an envelope has a body, an action and a resource")
        return cls(action.strip().rpartition("/")[2], resource.strip(), (number or "").strip(), body)

    def value(self, name: str) -> str | None:
        """
        The text of the first element of that name in the body, whatever its namespace.
        """
        return next((_text(found) for found in self._body.iter() if _local(found.tag) == name), None)

    def has(self, name: str) -> bool:
        """
        Is there such an element in the body?
        """
        return self.value(name) is not None

    def selector(self, name: str) -> str | None:
        """
        The value of the first selector of that name in the body.
        """
        for found in self._body.iter(f"{{{WSMAN}}}Selector"):
            if name in (found.get("Name"), found.get(f"{{{WSMAN}}}Name")):
                return _text(found)
        return None

    def members(self) -> list[tuple[str, str]]:
        """
        The elements of the instance in the body, in order.
        """
        instance = next(iter(self._body), None)
        return [] if instance is None else [(_local(each.tag), _text(each)) for each in instance]


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _text(element: Element) -> str:
    return (element.text or "").strip()


@frozen
class Reference:
    """
    A pointer to another instance, as a member's value.
    """

    resource: str
    selectors: tuple[tuple[str, str], ...]

    def xml(self) -> str:
        """
        As it is written.
        """
        chosen = "".join(
            f'<c:Selector Name="{escape(name)}">{escape(value)}</c:Selector>'
            for name, value in self.selectors
        )
        return (
            f"<b:Address>{ANONYMOUS}</b:Address><b:ReferenceParameters><c:ResourceURI>{self.resource}</c:ResourceURI>"
            f"<c:SelectorSet>{chosen}</c:SelectorSet></b:ReferenceParameters>"
        )


Value = str | Reference
Members = Iterable[tuple[str, Value]]


def instance(prefix: str, kind: str, members: Members) -> str:
    """
    One instance of a class.
    """
    inside = "".join(
        f"<{prefix}:{name}>{value.xml() if isinstance(value, Reference) else escape(value)}</{prefix}:{name}>"
        for name, value in members
    )
    return f"<{prefix}:{kind}>{inside}</{prefix}:{kind}>"


@frozen
class Writer:
    """
    Writes answers.

    :param number: of the answer, which its MessageID ends with.
    """

    number: int

    def answer(self, asked: Envelope, action: str, body: str, *, enumeration: bool = False) -> bytes:
        """
        A good answer. In its body ``g`` is the resource's namespace; or the enumeration's, and ``h`` that.
        """
        spaces = f'xmlns:g="{escape(asked.resource)}"'
        if enumeration:
            spaces = f'xmlns:g="{ENUMERATION}" xmlns:h="{escape(asked.resource)}"'
        resource = f"<c:ResourceURI>{escape(asked.resource)}</c:ResourceURI>"
        return self._envelope(f'xmlns:c="{WSMAN}" {spaces}', asked.message_id, action, resource, body)

    def fault(self, message_id: str, name: str) -> bytes:
        """
        A fault of `FAULTS`.
        """
        prefix, side, reason = FAULTS[name]
        body = (
            f"<a:Fault><a:Code><a:Value>a:{side}</a:Value><a:Subcode><a:Value>{prefix}:{name}</a:Value></a:Subcode>"
            f'</a:Code><a:Reason><a:Text xml:lang="en-US">{escape(reason)}</a:Text></a:Reason>'
            "<a:Detail></a:Detail></a:Fault>"
        )
        return self._envelope(f'xmlns:e="{WSMAN}"', message_id, f"{ADDRESSING}/fault", "", body)

    def _envelope(self, spaces: str, relates: str, action: str, more: str, body: str) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<a:Envelope xmlns:a="{SOAP}" xmlns:b="{ADDRESSING}" {spaces} '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><a:Header>'
            f"<b:To>{ANONYMOUS}</b:To><b:RelatesTo>{escape(relates)}</b:RelatesTo>"
            f'<b:Action a:mustUnderstand="true">{escape(action)}</b:Action>'
            f"<b:MessageID>uuid:00000000-8086-8086-8086-{self.number:012X}</b:MessageID>{more}</a:Header>"
            f"<a:Body>{body}</a:Body></a:Envelope>"
        ).encode()
