# SPDX-License-Identifier: MIT
"""
Redfish's error bodies (DSP0266, "Error responses") and the words of some vendors.
"""
# ruff: noqa: E501 - a table of sentences

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

from attrs import frozen

from powercoord.sim.web.exchange import Answer

#: DSP0268's Base registry, as far as it is used here: the severity and the text, with places for arguments.
_BASE = MappingProxyType(
    {
        "Success": ("OK", "The request completed successfully."),
        "GeneralError": ("Critical", "A general error has occurred. See Resolution for information."),
        "MalformedJSON": ("Critical", "The request body submitted was malformed JSON and could not be parsed."),
        "UnrecognizedRequestBody": ("Warning", "The request body is not an object that this service takes."),
        "EmptyJSON": ("Warning", "The request body submitted contained an empty JSON object."),
        "PropertyMissing": ("Warning", "The property '{0}' is a required property."),
        "PropertyUnknown": ("Warning", "The property '{0}' is not in the list of valid properties."),
        "PropertyNotWritable": ("Warning", "The property '{0}' is read-only."),
        "PropertyValueNotInList": ("Warning", "The value '{0}' for the property '{1}' is not in the list."),
        "PropertyValueTypeError": ("Warning", "The value '{0}' for the property '{1}' is of another type."),
        "ActionParameterMissing": ("Critical", "The action '{0}' requires the parameter '{1}'."),
        "ActionParameterNotSupported": ("Warning", "The parameter '{1}' of the action '{0}' is not supported."),
        "ActionParameterValueNotInList": ("Warning", "The value '{0}' for the parameter '{1}' is not in the list."),
        "ActionParameterValueConflict": (
            "Warning",
            "The parameter '{0}' with the value '{1}' does not fit the state of the system.",
        ),
        "ActionNotSupported": ("Critical", "The action '{0}' is not supported by the resource."),
        "NoOperation": ("Warning", "The request is not needed: the system is in that state."),
        "ResourceMissingAtURI": ("Critical", "The resource at the URI '{0}' was not found."),
        "OperationNotAllowed": ("Critical", "The HTTP method is not allowed on this resource."),
        "NoValidSession": ("Critical", "There is no valid session established with the implementation."),
        "InsufficientPrivilege": ("Critical", "The account or credentials do not have sufficient privileges."),
        "ResourceAtUriUnauthorized": ("Critical", "While accessing the resource, authorization was refused."),
        "SessionLimitExceeded": ("Critical", "The session establishment failed: the limit has been exceeded."),
        "PreconditionFailed": ("Critical", "The ETag supplied did not match the ETag required."),
        "PreconditionRequired": ("Critical", "A precondition header with an ETag is required."),
        "ServiceTemporarilyUnavailable": ("Critical", "The service is temporarily unavailable. Retry in {0} seconds."),
        "InternalError": ("Critical", "The request failed due to an internal service error."),
        "HeaderInvalid": ("Critical", "The header '{0}' is invalid."),
        "QueryParameterUnsupported": ("Warning", "Query parameter '{0}' is not supported."),
    }
)  # fmt: skip


@frozen(kw_only=True)
class Complaint:
    """
    An error that a test can ask for by name.
    """

    code: int
    message: str
    text: str


#: What Dell's and HPE's BMCs say; sushy's connector looks for these words.
COMPLAINTS = MappingProxyType(
    {
        "SYS518": Complaint(
            code=503,
            message="IDRAC.2.8.SYS518",
            text="iDRAC is not ready. The configuration values cannot be accessed. Please retry after a few minutes.",
        ),
        "ilo": Complaint(
            code=400,
            message="iLO.2.14.InvalidOperationForSystemState",
            text="The operation was not successful due to the current power state of the system.",
        ),
        "ilo-post": Complaint(
            code=400,
            message="iLO.2.14.UnableToModifyDuringSystemPOST",
            text="The change cannot be made while the system BIOS is in POST.",
        ),
        "conflict": Complaint(
            code=409,
            message="Base.1.12.ActionParameterValueConflict",
            text="The parameter 'ResetType' with the value 'On' does not fit the state of the system.",
        ),
        "unavailable": Complaint(
            code=503,
            message="Base.1.12.ServiceTemporarilyUnavailable",
            text="The service is temporarily unavailable.  Retry in 1 seconds.",
        ),
        "internal": Complaint(
            code=500,
            message="Base.1.12.InternalError",
            text="The request failed due to an internal service error. The service is still operational.",
        ),
    }
)


def told(message: str, *arguments: str) -> dict[str, Any]:
    """
    A message of the Base registry, as it stands in bodies.
    """
    severity, text = _BASE[message]
    return {
        "@odata.type": "#Message.v1_1_2.Message",
        "MessageId": f"Base.1.12.{message}",
        "Message": text.format(*arguments),
        "MessageArgs": list(arguments),
        "MessageSeverity": severity,
        "Severity": severity,
        "Resolution": "None." if severity == "OK" else "Correct the request and submit it again.",
    }


def refused(code: int, message: str, *arguments: str) -> Answer:
    """
    An error of the Base registry.
    """
    return error(code, told(message, *arguments))


def complained(name: str) -> Answer:
    """
    An error that a test asked for.

    :raises KeyError: there is none of this name.
    """
    complaint = COMPLAINTS[name]
    answer = told("GeneralError")
    answer.update(MessageId=complaint.message, Message=complaint.text)
    return error(complaint.code, answer)


def error(code: int, message: dict[str, Any]) -> Answer:
    """
    An error body with one message in it.
    """
    return document(
        {
            "error": {
                "code": message["MessageId"],
                "message": message["Message"],
                "@Message.ExtendedInfo": [message],
            }
        },
        code,
    )


def document(what: dict[str, Any], code: int = 200, *headers: tuple[str, str]) -> Answer:
    """
    An answer of JSON.
    """
    body = json.dumps(what, indent=1).encode()
    kind = ("Content-Type", "application/json;charset=utf-8")
    return Answer(code=code, headers=(kind, *_described(what), *headers), body=body)


def _described(what: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """
    Where the schema of a resource is published (DSP0266, "Link header").
    """
    if "@odata.type" not in what:
        return ()
    schema = what["@odata.type"].lstrip("#").rpartition(".")[0]
    return (("Link", f"<http://redfish.dmtf.org/schemas/v1/{schema}.json>; rel=describedby"),)
