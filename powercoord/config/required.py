# SPDX-License-Identifier: MIT
"""
Which nodes require which: names that exist, without circles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import Factory, define

from powercoord.config.mistakes import Findings
from powercoord.config.shape import ReadyTable
from powercoord.folding import fold
from powercoord.model import Node, Ready
from powercoord.nearest import nearest
from powercoord.nodeset import NodeSetError, expand
from powercoord.strict import Path

_HIGHEST_PORT = 65_535


@define
class Required:
    """
    Reads what tables of nodes require, and looks at it when all nodes are known.
    """

    findings: Findings
    _said: dict[Path, Sequence[str]] = Factory(dict)

    def read(self, words: str | None, names: Sequence[str], path: Path) -> tuple[str, ...]:
        """
        The names in a node set; ``names`` are the nodes that require them.
        """
        if words is None:
            return ()
        try:
            required = tuple(dict.fromkeys(expand(words)))
        except NodeSetError as error:
            self.findings.mistake((*path, "requires"), str(error))
            return ()
        self._said[path] = required
        return required

    def ready(self, table: ReadyTable, path: Path) -> Ready:
        """
        When a node of a table carries others.
        """
        if table.tcp is not None and not _is_address(table.tcp):
            text = f"'{table.tcp}' is no host and port, such as 10.0.0.1:443 or [fd00::1]:443"
            self.findings.mistake((*path, "ready", "tcp"), text)
        return Ready(float(table.after), table.tcp or "")

    def check(
        self, nodes: Sequence[Node], taken: Mapping[str, Path], readable: Callable[[Node], bool]
    ) -> None:
        """
        Note what is required and is no node, cannot be seen on, or requires itself in the end.
        """
        known = {node.name: node for node in nodes}
        for path, required in self._said.items():
            self._check_names((*path, "requires"), required, taken)
            blind = [name for name in required if name in known and not readable(known[name])]
            if blind:
                text = (
                    f"{fold(blind)}: driver {known[blind[0]].target.driver} cannot read power, so nobody can"
                    " see it on"
                )
                self.findings.mistake((*path, "requires"), text)
        for circle in _circles({name: node.requires for name, node in known.items()}):
            words = " requires ".join((*circle, circle[0]))
            text = f"a node cannot require itself: {words}"
            self.findings.mistake((*taken[circle[0]], "requires"), text)

    def _check_names(self, path: Path, required: Sequence[str], taken: Mapping[str, Path]) -> None:
        unknown = [name for name in required if name not in taken]
        if unknown:
            near = nearest(unknown[0], taken)
            hint = f"; did you mean '{near}'?" if near else ""
            self.findings.mistake(path, f"there is no node {fold(unknown)}{hint}")


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    has_host = bool(plain) and not any(each.isspace() for each in plain)
    brackets = (":" in plain) == host.startswith("[")
    return bool(colon) and has_host and brackets and port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT


def _circles(requires: Mapping[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """
    A circle for each set of nodes that hold one another up, from the first that the file names.

    Goes down without recursion: a configuration may be as deep as it likes.
    """
    done: set[str] = set()
    for start in requires:
        chain: dict[str, Iterator[str]] = {}
        waiting = [start] if start not in done else []
        while waiting:
            name = waiting[-1]
            below = chain.setdefault(name, iter(requires.get(name, ())))
            following = next((each for each in below if each not in done), None)
            if following is None:
                done.add(waiting.pop())
                del chain[name]
            elif following in chain:
                names = list(chain)
                circle = names[names.index(following) :]
                done.update(circle)
                yield circle
            else:
                waiting.append(following)
