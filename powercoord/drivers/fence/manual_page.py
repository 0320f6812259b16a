# SPDX-License-Identifier: MIT
"""
What an agent takes, for people: a page made of what it says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from powercoord.drivers.fence.lines import is_ours, setting_of
from powercoord.drivers.fence.metadata import Agent, Parameter


def page(agent: Agent) -> str:
    """
    The agent's name, our settings that it uses, and its own options with their kinds and defaults.
    """
    present = [each for each in agent.parameters.values() if not each.deprecated]
    settings = [
        f"  {ours}{_needed(each)}: {each.summary}"
        for each in present
        if (ours := setting_of(each.name)) is not None
    ]
    options = [line for each in present for line in _option(each)]
    parts = [f"{agent.name}: {agent.summary}", "settings:", *settings, "options:", *options]
    return "\n".join(parts) + "\n"


def _option(parameter: Parameter) -> Iterator[str]:
    if setting_of(parameter.name) is None and not is_ours(parameter.name):
        kind = " | ".join(parameter.choices) or parameter.kind
        default = "" if parameter.default is None else f", {parameter.default}"
        yield f"  {parameter.name} ({kind}{default}){_needed(parameter)}: {parameter.summary}"


def _needed(parameter: Parameter) -> str:
    return " (needed)" if parameter.required and parameter.default is None else ""
