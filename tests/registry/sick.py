# SPDX-License-Identifier: MIT
"""
BMCs that are dead, or do not take our password, until a test says otherwise.
"""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from powercoord.errors import PowerAuthError, PowerConnError
from powercoord.interfaces import IOperation
from powercoord.model import Command, PowerState, Target
from powercoord.parking import ParkingRules
from powercoord.testing.driver import FakeDriver
from tests.registry.world import World, quick

RULES = ParkingRules(after=3, pause=10.0, longest=40.0, refused=1000.0)


@define(eq=False)
class SickDriver(FakeDriver):
    """
    Each operation at a dead endpoint takes its timeout; a stranger is refused at once.

    :param dead: endpoints, or selectors at an endpoint, that answer nobody.
    :param locked: endpoints that take another password only.
    :param tried: when something was sent to which node, and what.
    """

    dead: set[str] = field(factory=set)
    locked: dict[str, str] = field(factory=dict)
    tried: list[tuple[float, str, str]] = field(factory=list)

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        await self._meet(target, "read", operation)
        state: PowerState = await FakeDriver.read(self, target, operation)
        return state

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await self._meet(target, command.value, operation)
        await FakeDriver.command(self, target, command, operation)

    async def _meet(self, target: Target, what: str, operation: IOperation) -> None:
        self.tried.append((self.clock.seconds(), target.selector, what))
        settings: Any = target.settings
        if self.locked.get(target.endpoint, settings.password) != settings.password:
            raise PowerAuthError("password is wrong")
        if self.dead & {target.endpoint, target.selector}:
            with self._talk(target):
                await self._sleep(self.timeout, operation)
            raise PowerConnError("no answer")

    def times(self, name: str = "n1", since: float = 0.0) -> list[float]:
        """
        When something was sent to a node.
        """
        return [at for at, selector, _ in self.tried if selector == name and at >= since]


@define(eq=False)
class Ward(World):
    """
    A world whose endpoints can be sick; tries are made as in a service that serves.
    """

    driver: Any = field(init=False)
    serving: bool = True

    def __attrs_post_init__(self) -> None:
        self.make_driver = SickDriver
        World.__attrs_post_init__(self)
        self.registry.breakers.rules = RULES
        if self.serving:
            self.registry.breakers.resume()

    def change_password(self, name: str, password: str) -> None:
        """
        The node has another password from now on.
        """
        node = self.roster.nodes[name]
        settings = evolve(node.target.settings, password=password)  # type: ignore[misc]
        self.roster.nodes[name] = evolve(node, target=self.driver.target(settings))

    def silence(self, name: str = "n1") -> None:
        """
        An endpoint dies, and is found to be dead.
        """
        self.driver.dead.add(self.roster.nodes[name].target.endpoint)
        for _ in range(RULES.after):
            self.really_query(name)

    def really_query(self, name: str = "n1") -> None:
        """
        Read a node even if it was silent just now.
        """
        self.registry.breakers.pause()
        self.registry.query(name)
        self.turn(2.1, step=0.1)
        if self.serving:
            self.registry.breakers.resume()

    def is_parked(self, name: str = "n1") -> bool:
        """
        Whether a node's endpoint is left alone.
        """
        return self.registry.view(name).parked is not None


def ward(**options: Any) -> Ward:
    """
    A ward with short times.
    """
    return Ward(timing=quick(), **options)
