# SPDX-License-Identifier: MIT
"""
Finding a system in a service, once.
"""

from __future__ import annotations

from attrs import define, field

from powercoord.drivers.redfish.bmc import Bmc, Errand
from powercoord.drivers.redfish.resource import System, action_info, members, parse, path_in
from powercoord.drivers.web import Answer
from powercoord.errors import PowerActionError, PowerRefusedError, PowerSettingError

#: No chassis has more systems than this, and no collection more pages.
_MOST = 256
_PAGES = 16


@define(eq=False)
class Discovery:
    """
    The systems of one service, by the names that nodes have for them.
    """

    bmc: Bmc
    _paths: dict[str, str] = field(factory=dict, init=False)
    _seen: dict[str, System] = field(factory=dict, init=False)
    _allowed: dict[str, frozenset[str]] = field(factory=dict, init=False)

    async def look(self, name: str, errand: Errand) -> System:
        """
        Read a system; one that is not where it was is looked for again.

        :param name: its Id or UUID; empty: the only one.
        """
        path = self._paths.get(name)
        if path is not None:
            answer = await self.bmc.ask("GET", path, errand)
            if answer.status not in (404, 410):
                return self._read(name, path, answer)
            self.forget(name)
        path = await self._find(name, errand)
        return self._read(name, path, await self.bmc.ask("GET", path, errand))

    def _read(self, name: str, path: str, answer: Answer) -> System:
        if answer.status != 200:
            raise self.bmc.refusal(answer, f"GET {path}")
        resource = parse(answer.body, f"{self.bmc.what}: GET {path}")
        system = System.of(path, resource, answer.header("ETag"))
        self._paths[name], self._seen[name] = path, system
        return system

    def place(self, name: str) -> str:
        """
        Where a system is, if that is known.
        """
        return self._paths.get(name, "")

    async def known(self, name: str, errand: Errand) -> System:
        """
        A system as it was when it was last read: its links do not change, its state does.
        """
        return self._seen.get(name) or await self.look(name, errand)

    def forget(self, name: str) -> None:
        """
        Look for it anew next time.
        """
        system = self._seen.pop(name, None)
        self._paths.pop(name, None)
        if system is not None:
            self._allowed.pop(system.action_info, None)

    async def allowed(self, system: System, errand: Errand) -> frozenset[str]:
        """
        The reset types that a system offers; none: it does not say.

        ActionInfo is asked first: where both are there, the list beside it is the one that is wrong.
        """
        if not system.action_info:
            return system.allowed
        if system.action_info not in self._allowed:
            answer = await self.bmc.ask("GET", system.action_info, errand)
            if answer.status != 200:
                return system.allowed
            told = action_info(parse(answer.body, f"{self.bmc.what}: GET {system.action_info}"))
            self._allowed[system.action_info] = told or system.allowed
        return self._allowed[system.action_info]

    async def _find(self, name: str, errand: Errand) -> str:
        paths = await self._members(errand)
        if not name:
            if len(paths) == 1:
                return paths[0]
            raise self._ambiguous(paths)
        exact = [
            path for path in paths if name in (path.rstrip("/").rpartition("/")[2], path, path.rstrip("/"))
        ]
        found = exact or [path for path in paths if await self._is_called(path, name, errand)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(_short(path) for path in paths[:20])
        reason = "is the name of several systems" if found else "is no system there"
        raise PowerSettingError(f"{self.bmc.what}: node_id '{name}' {reason}; there are: {known}")

    def _ambiguous(self, paths: list[str]) -> PowerActionError | PowerSettingError:
        if not paths:
            return PowerActionError(f"{self.bmc.what}: it lists no system")
        known = ", ".join(_short(path) for path in paths[:20])
        return PowerSettingError(
            f"{self.bmc.what}: it has {len(paths)} systems; set node_id to one of: {known}"
        )

    async def _is_called(self, path: str, name: str, errand: Errand) -> bool:
        answer = await self.bmc.ask("GET", path, errand)
        if answer.status != 200:
            return False
        return System.of(path, parse(answer.body, f"{self.bmc.what}: GET {path}")).is_called(name)

    async def _members(self, errand: Errand) -> list[str]:
        page = (await self.bmc.root(errand)).systems
        if not page:
            raise PowerRefusedError(f"{self.bmc.what}: this service has no systems")
        found: list[str] = []
        for _ in range(_PAGES):
            resource = await self.bmc.get(page, errand)
            found += members(resource)
            page = path_in(resource.get("Members@odata.nextLink"))
            if not page or len(found) >= _MOST:
                break
        return list(dict.fromkeys(found))[:_MOST]


def _short(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
