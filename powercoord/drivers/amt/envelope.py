# SPDX-License-Identifier: MIT
"""
What we say to AMT: SOAP envelopes, written from templates with everything in them escaped.

DSP0226 sections 5.2 and 5.4 (headers), DSP0230 section 9 (methods: the action is the class's URI and the
method's name, the body ``<Method>_INPUT``).  No selectors name an instance: of each class that we speak to
AMT has one, and serves it without.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from attrs import frozen

from powercoord.drivers.amt.namespaces import (
    ADDRESSING,
    ANONYMOUS,
    GET,
    PUT,
    SOAP,
    WSMAN,
    class_name,
)

#: The request target of all exchanges, and what is in them.
PATH = "/wsman"
CONTENT_TYPE = "application/soap+xml;charset=UTF-8"

# The device's own limit. Ours is shorter, but a short one here is not known to be understood by all firmware.
_TIMEOUT = "PT60S"

_ENVELOPE = """\
<?xml version="1.0" encoding="utf-8"?>\
<s:Envelope xmlns:s="{soap}" xmlns:a="{addressing}" xmlns:w="{wsman}">\
<s:Header><a:Action>{action}</a:Action><a:To>{path}</a:To><w:ResourceURI>{resource}</w:ResourceURI>\
<a:MessageID>{message}</a:MessageID><a:ReplyTo><a:Address>{anonymous}</a:Address></a:ReplyTo>\
<w:OperationTimeout>{timeout}</w:OperationTimeout></s:Header>\
<s:Body>{body}</s:Body></s:Envelope>"""

_REFERENCE = """\
<a:Address>{addressing}</a:Address><a:ReferenceParameters>\
<w:ResourceURI>{resource}</w:ResourceURI><w:SelectorSet>{selectors}</w:SelectorSet></a:ReferenceParameters>"""


@frozen
class Reference:
    """
    Names one instance of a class (an endpoint reference of WS-Addressing).
    """

    resource: str
    selectors: tuple[tuple[str, str], ...]

    def write(self) -> str:
        """
        As XML.
        """
        selectors = "".join(
            f"<w:Selector Name={quoteattr(name)}>{escape(value)}</w:Selector>"
            for name, value in self.selectors
        )
        return _REFERENCE.format(addressing=ADDRESSING, resource=escape(self.resource), selectors=selectors)


#: A property's or parameter's name, and what it is given.
Field = tuple[str, str | Reference]


@frozen
class Request:
    """
    One thing that is asked of one class.

    :param what: what a person calls it.
    :param element: in the body; "": nothing is.
    :param answer: the element of the class that answers it; "": whatever is no fault.
    :param changes: whether it may change power, or what the next start does.
    """

    action: str
    resource: str
    what: str
    element: str = ""
    fields: tuple[Field, ...] = ()
    answer: str = ""
    changes: bool = False

    def write(self, message: str) -> bytes:
        """
        The envelope, under a message id.
        """
        return _ENVELOPE.format(
            soap=SOAP,
            addressing=ADDRESSING,
            wsman=WSMAN,
            action=escape(self.action),
            path=PATH,
            resource=escape(self.resource),
            message=escape(message),
            anonymous=ANONYMOUS,
            timeout=_TIMEOUT,
            body=self._body(),
        ).encode()

    def _body(self) -> str:
        if not self.element:
            return ""
        inner = "".join(f"<h:{name}>{_written(value)}</h:{name}>" for name, value in self.fields)
        return f"<h:{self.element} xmlns:h={quoteattr(self.resource)}>{inner}</h:{self.element}>"


def _written(value: str | Reference) -> str:
    return escape(value) if isinstance(value, str) else value.write()


def get(resource: str) -> Request:
    """
    Ask for the one instance of a class.
    """
    name = class_name(resource)
    return Request(GET, resource, f"Get {name}", answer=name)


def put(resource: str, fields: Sequence[Field]) -> Request:
    """
    Give the one instance of a class new values; the answer may repeat them, and need not.
    """
    name = class_name(resource)
    return Request(PUT, resource, f"Put {name}", name, tuple(fields), changes=True)


def invoke(resource: str, method: str, *fields: Field) -> Request:
    """
    Call a method of the one instance of a class.
    """
    action = f"{resource}/{method}"
    return Request(action, resource, method, f"{method}_INPUT", fields, f"{method}_OUTPUT", changes=True)
