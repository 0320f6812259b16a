# SPDX-License-Identifier: MIT
"""
Show the certificates of BMCs, so that a person can decide to trust them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from powercoord.cli.exits import NOT_REACHED, REACHED
from powercoord.cli.options import as_json, nodeset
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session

if TYPE_CHECKING:  # at run time it would import Twisted
    from collections.abc import Mapping, Sequence

    from powercoord.certificates import ShownCertificate
    from powercoord.interfaces import IPowerDriver
    from powercoord.model import Node

_WARNING = "Compare each fingerprint with what its BMC shows itself; then set it as the node's pin."


@click.command()
@nodeset()
@as_json
@click.pass_obj
def pin(session: Session, /, nodeset: str, json: bool) -> int:
    """
    Show the certificate of each node's BMC, and the line that pins it.

    Reads the configuration here and connects from here; no password is sent to anybody.
    """
    from powercoord.config import DEFAULT, load

    drivers, broken = session.drivers()
    configuration = load(session.config or DEFAULT, drivers, broken)
    nodes = _chosen(nodeset, configuration.nodes)
    screen = Screen(json)

    async def work() -> int:
        found: dict[str, Any] = {}
        for node in nodes:
            found[node.name] = await _look(node, drivers, screen)
        if json:
            screen.document(found)
        elif any("fingerprint" in each for each in found.values()):
            screen.note(_WARNING)
        return NOT_REACHED if any("error" in each for each in found.values()) else REACHED

    return session.locally(work)


def _chosen(text: str, nodes: Sequence[Node]) -> Sequence[Node]:
    """
    The nodes that are meant, one for each BMC.
    """
    from powercoord.cli.naming import check
    from powercoord.nodeset import expand

    groups: dict[str, list[str]] = {"all": [node.name for node in nodes]}
    for node in nodes:
        for group in node.groups:
            groups.setdefault(group, []).append(node.name)
    names = expand(text, groups)
    check(names, groups["all"])
    by_name = {node.name: node for node in nodes}
    by_bmc = {
        (by_name[name].target.driver, by_name[name].target.endpoint): by_name[name]
        for name in reversed(names)
    }
    return list(reversed(by_bmc.values()))


async def _look(node: Node, drivers: Mapping[str, IPowerDriver], screen: Screen) -> dict[str, Any]:
    from powercoord.certificates import ICertified
    from powercoord.errors import PowercoordError

    driver = drivers[node.target.driver]
    try:
        if not ICertified.providedBy(driver):
            return _failed(node, screen, f"driver {driver.name} has no certificates to pin")
        certificate = await ICertified(driver).certificate(node.target)
    except PowercoordError as error:
        return _failed(node, screen, str(error))
    if not screen.json:
        for line in _lines(node, certificate):
            screen.line(line)
    return asdict(certificate)


def _failed(node: Node, screen: Screen, reason: str) -> dict[str, Any]:
    if not screen.json:
        screen.note(f"{node.name}: {reason}")
    return {"error": reason}


def _lines(node: Node, certificate: ShownCertificate) -> list[str]:
    now = f"not trusted now: {certificate.distrust}" if certificate.distrust else "trusted already"
    names = f"{certificate.subject or 'no name'}, signed by {certificate.issuer or 'nobody'}"
    return [
        f"{node.name}: {certificate.place}",
        f"  {names}, until {certificate.ends or 'nobody knows when'}; {now}",
        f"  SHA-256 {certificate.shown}",
        f'  pin = "{certificate.fingerprint}"',
    ]
