# SPDX-License-Identifier: MIT
"""
What an agent says of itself: the XML that it prints for ``action=metadata``.

The form is that of ClusterLabs' fence agent API (``FenceAgentAPI.md``, "metadata", and ``metadata.rng``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from xml.etree.ElementTree import Element

from attrs import frozen
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring


@frozen(kw_only=True)
class Parameter:
    """
    One line that an agent takes.

    :param kind: ``string``, ``boolean``, ``integer``, ``second`` or ``select``.
    :param default: as text; None: the agent has none.
    :param obsoletes: the older name of the same.
    """

    name: str
    kind: str = "string"
    required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()
    deprecated: bool = False
    obsoletes: str = ""
    summary: str = ""


@frozen(kw_only=True)
class Agent:
    """
    What one agent takes, and what it can do.
    """

    name: str
    summary: str
    parameters: Mapping[str, Parameter]
    actions: frozenset[str]

    def first(self, *names: str) -> str | None:
        """
        The first of these names that the agent knows.
        """
        return next((name for name in names if name in self.parameters), None)


class NotMetadata(Exception):
    """
    What was printed is no agent's description.
    """


def parse_metadata(text: bytes) -> Agent:
    """
    Read an agent's description.

    :raises NotMetadata: it is none.
    """
    try:
        root = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise NotMetadata(f"it printed no XML ({type(error).__name__})") from None
    if root.tag != "resource-agent":
        raise NotMetadata(f"it printed <{root.tag[:40]}> in place of <resource-agent>")
    parameters = (_parameter(each) for each in root.iterfind("parameters/parameter"))
    return Agent(
        name=root.get("name", ""),
        summary=_line(root.get("shortdesc", "")),
        parameters=MappingProxyType({each.name: each for each in parameters if each.name}),
        actions=frozenset(each.get("name", "") for each in root.iterfind("actions/action")),
    )


def _parameter(element: Element) -> Parameter:
    content = element.find("content")
    content = Element("content") if content is None else content
    return Parameter(
        name=element.get("name", ""),
        kind=content.get("type", "string"),
        required=element.get("required") == "1",
        default=content.get("default"),
        choices=tuple(option.get("value", "") for option in content.iterfind("option")),
        deprecated=element.get("deprecated") == "1",
        obsoletes=element.get("obsoletes", ""),
        summary=_line(element.findtext("shortdesc", "")),
    )


def _line(text: str) -> str:
    return " ".join(text.split())
