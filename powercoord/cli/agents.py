# SPDX-License-Identifier: MIT
"""
Show what a driver can run here, for drivers that run other people's programs.

Such a driver has ``agents()``, their names, and ``agent_page(name)``, what one of them takes.
"""

from __future__ import annotations

from typing import Any

from powercoord.cli.exits import REACHED
from powercoord.cli.screen import Screen
from powercoord.cli.session import Session
from powercoord.errors import BadRequest, UnknownPowerType


def show_agents(session: Session, name: str, agent: str, screen: Screen) -> int:
    """
    The names of all, or with a name the page of one.
    """

    async def work() -> int:
        driver = _driver(session, name)
        if agent:
            page: str = driver.agent_page(agent)
            told: dict[str, Any] = {"agent": agent, "page": page}
            lines = page.splitlines()
        else:
            lines = list(driver.agents())
            told = {"agents": lines}
        if screen.json:
            screen.document(told)
        else:
            for line in lines:
                screen.line(line)
        return REACHED

    return session.locally(work)


def _driver(session: Session, name: str) -> Any:
    """
    :raises UnknownPowerType: it is not installed here.
    :raises BadRequest: it runs no agents.
    """
    drivers, _ = session.drivers()
    if name not in drivers:
        raise UnknownPowerType(f"unknown driver '{name}' on this machine; 'fence-agent' runs agents")
    driver: Any = drivers[name]
    if not hasattr(driver, "agent_page"):
        raise BadRequest(f"driver '{name}' runs no agents; 'fence-agent' does")
    return driver
