# SPDX-License-Identifier: MIT
"""
Check a configuration file without a coordinator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from powercoord.cli.exits import BAD_INPUT, REACHED
from powercoord.cli.options import as_json
from powercoord.cli.screen import Screen, count_of
from powercoord.cli.session import Session

if TYPE_CHECKING:  # at run time it would import Twisted
    from powercoord.config import Configuration, Parsed


@click.command(name="check-config")
@click.argument("file", required=False)
@as_json
@click.pass_obj
def check_config(session: Session, /, file: str | None, json: bool) -> int:
    """
    Name every mistake in a configuration file, with file, line and key.
    """
    from powercoord.config import DEFAULT, examine
    from powercoord.installed import broken_driver

    path = file or session.config or DEFAULT
    drivers, broken = session.drivers()
    found = examine(path, drivers, broken)
    screen = Screen(json)
    if json:
        screen.document(_form(found) | {"broken_drivers": dict(broken)})
    else:
        for warning in found.warnings:
            screen.note(f"warning: {warning}")
        for mistake in found.mistakes:
            screen.note(str(mistake))
        for sentence in (broken_driver(name, reason) for name, reason in broken.items()):
            if not any(sentence in mistake.text for mistake in found.mistakes):
                screen.note(f"warning: {sentence}")
        if found.configuration is not None:
            screen.line(_sentence(path, found.configuration))
    return REACHED if found.configuration is not None else BAD_INPUT


def _sentence(path: str, configuration: Configuration) -> str:
    counts = {
        "node": len(configuration.nodes),
        "group limit": len(configuration.groups),
        "driver": len({node.target.driver for node in configuration.nodes}),
    }
    words = ", ".join(count_of(count, word) for word, count in counts.items())
    return f"{path}: no mistakes; {words}"


def _form(found: Parsed) -> dict[str, Any]:
    return {
        "ok": found.configuration is not None,
        "nodes": None if found.configuration is None else len(found.configuration.nodes),
        "mistakes": [asdict(mistake) for mistake in found.mistakes],
        "warnings": [asdict(warning) for warning in found.warnings],
    }
