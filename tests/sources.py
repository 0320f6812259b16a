# SPDX-License-Identifier: MIT
"""
The project's own source text, parsed, for the tests of the house rules.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Import:
    """
    One imported module or name, as ``package.module.name``, and where.
    """

    target: str
    line: int
    at_module_level: bool


@frozen(eq=False)
class Source:
    """
    A module of ours.

    :param name: as it is imported, ``powercoord.registry.lattice``.
    """

    name: str
    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def from_file(cls, path: Path) -> "Source":
        """
        Read and parse one file below the project's root.
        """
        parts = path.relative_to(ROOT).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return cls(name, path, text, ast.parse(text, str(path)))

    @property
    def where(self) -> str:
        """
        The path to name in a complaint.
        """
        return str(self.path.relative_to(ROOT))

    @property
    def room(self) -> str:
        """
        The part of the package that this module belongs to: ``registry``, ``model``; else ``""``.
        """
        return self.name.partition(".")[2].partition(".")[0]

    def imports(self) -> tuple[Import, ...]:
        """
        List what this module imports, inside functions too.
        """
        return _imports(self)

    def functions(self) -> tuple[FunctionNode, ...]:
        """
        List the functions and methods, nested ones too.
        """
        return _functions(self)


@cache
def _imports(source: Source) -> tuple[Import, ...]:
    package = source.name if source.path.name == "__init__.py" else source.name.rpartition(".")[0]
    return tuple(
        Import(target, node.lineno, at_module_level)
        for node, at_module_level in _statements(source.tree, True)
        for target in _targets(node, package)
    )


@cache
def _functions(source: Source) -> tuple[FunctionNode, ...]:
    return tuple(node for node in ast.walk(source.tree) if isinstance(node, FunctionNode))


@cache
def sources(folder: str) -> tuple[Source, ...]:
    """
    Read all modules below a folder of the project.

    :raises AssertionError: there is none, so that no rule is held by an empty set.
    """
    found = tuple(Source.from_file(path) for path in sorted((ROOT / folder).rglob("*.py")))
    assert found, f"no modules below {ROOT / folder}"
    return found


def _statements(tree: ast.AST, at_module_level: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node, at_module_level
        inside = isinstance(node, FunctionNode | ast.Lambda)
        yield from _statements(node, at_module_level and not inside)


def _targets(node: ast.stmt, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
        return [f"{origin}.{alias.name}" for alias in node.names]
    return []
