# SPDX-License-Identifier: MIT
"""
What AMT says: the body of a SOAP envelope, or a fault.

Read by namespace, as every message has prefixes of its own, and by a parser that knows no entities.
DSP0226 section 14 (faults), SOAP 1.2 part 1 section 5.4.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError

from attrs import frozen
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from powercoord.drivers.amt.namespaces import SOAP, class_name

# A fault's words go into an error text; a longer one says no more.
_LONGEST = 200


class NotWsman(Exception):
    """
    It is not an answer of WS-Management, or not to what was asked.
    """


@frozen
class Fault:
    """
    Why the device did not do it.

    :param code: the name of the innermost code: ``DestinationUnreachable``, ``QuotaLimit``.
    """

    code: str
    reason: str

    def __str__(self) -> str:
        """
        For people.
        """
        return f"{self.code} ({self.reason})" if self.reason else self.code


@frozen
class Answer:
    """
    One element with its fields, by their names; some come several times.
    """

    name: str
    fields: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        """
        Each value of a field.
        """
        return tuple(value for known, value in self.fields if known == name)

    def number(self, name: str) -> int:
        """
        A field that must be there once, as a number.

        :raises NotWsman: it is not.
        """
        values = self.all(name)
        if len(values) != 1 or not (values[0].isascii() and values[0].isdecimal()):
            raise NotWsman(f"{self.name} has no usable {name}")
        return int(values[0])


def read_answer(document: bytes, resource: str, element: str) -> Answer | Fault:
    """
    What is in the body of an envelope: a fault, or the element of that class that was asked for.

    :param element: "": none; whatever is no fault will do.
    :raises NotWsman: neither.
    """
    body = _body(document)
    fault = body.find(f"{{{SOAP}}}Fault")
    if fault is not None:
        return _fault(fault)
    if not element:
        return Answer("", ())
    found = body.find(f"{{{resource}}}{element}")
    if found is None:
        raise NotWsman(f"no {element} of {class_name(resource)} in it")
    return Answer(
        element,
        tuple((_local(child.tag), (child.text or "").strip()) for child in found if _ours(child, resource)),
    )


def _body(document: bytes) -> Element:
    try:
        envelope: Element = fromstring(document, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotWsman(f"not the XML that it should be ({type(error).__name__})") from None
    body = envelope.find(f"{{{SOAP}}}Body") if envelope.tag == f"{{{SOAP}}}Envelope" else None
    if body is None:
        raise NotWsman("no SOAP envelope")
    return body


def _ours(child: Element, resource: str) -> bool:
    return child.tag.startswith(f"{{{resource}}}")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _fault(fault: Element) -> Fault:
    codes = [each.text or "" for each in fault.iter(f"{{{SOAP}}}Value")]
    reason = next((each.text or "" for each in fault.iter(f"{{{SOAP}}}Text")), "")
    code = codes[-1].rpartition(":")[2].strip() if codes else ""
    return Fault(_plain(code) or "a fault without a code", _plain(reason))


def _plain(text: str) -> str:
    """
    On one line, and not too long, whatever a device sends.
    """
    words = " ".join(text.split())
    return "".join(letter for letter in words if letter.isprintable())[:_LONGEST]
