# SPDX-License-Identifier: MIT
"""
The rules of the house that a machine can hold. A complaint names the file, the line and the rule.
"""

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from statistics import median
from typing import Any

from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from tests.sources import FunctionNode, Source, sources

# What every room shares: values, errors, journal entries, and the doors between the rooms.
SHARED = {
    "model",
    "interfaces",
    "certificates",
    "errors",
    "entries",
    "forms",
    "holds",
    "durable",
    "parking",
    "settings",
    "stages",
    "marks",
    "timing",
    "views",
}

# Single modules of plain functions, which know nothing of power. Whoever needs one imports it, except the
# shared ones and the registry.
TOOLS = {"duration", "folding", "kinds", "nearest", "nodeset", "strict"}

# What else a room may import. A room that is not named here may import what all share, and the tools.
DOORS = {
    "api": {"registry"},
    "cli": {"api", "client", "config", "installed", "registry", "sim"},
    "client": {"api"},
    "config": {"registry"},
    "drivers": {"registry"},
    "journal": {"registry"},
    "lifecycle": {"registry"},
    "sim": {"drivers", "registry"},
    "testing": {"registry"},
}

# Where the rooms are put together.
ASSEMBLIES = {"service", "demo"}

# The registry decides; whatever it needs from the outside comes in through an argument.
REGISTRY_MAY_IMPORT = (
    "__future__",
    "abc",
    "attrs",
    "bisect",
    "collections",
    "contextlib",
    "datetime",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "powercoord",
    "twisted.internet.defer",
    "twisted.internet.error",
    "twisted.internet.interfaces",
    "twisted.internet.task",
    "twisted.logger",
    "twisted.python.failure",
    "typing",
    "zope.interface",
)

MEANINGLESS = {"engine", "handler", "helper", "helpers", "manager", "util", "utils"}


def is_assembly(source: Source) -> bool:
    return any(part.startswith(tuple(ASSEMBLIES)) for part in source.name.split(".")[1:])


def may_import(source: Source, room: str) -> bool:
    if source.room in SHARED:
        return room in SHARED
    if source.room == "registry":
        return room in SHARED | {"registry"}
    return is_assembly(source) or room in SHARED | TOOLS | {source.room} | DOORS.get(source.room, set())


def reached(start: str) -> set[str]:
    """
    Name the modules of ours that importing one package brings along.
    """
    known = {source.name: source for source in sources("powercoord")}
    found: set[str] = set()
    waiting = [name for name in known if name == start or name.startswith(start + ".")]
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found.add(name)
            targets = [each.target for each in known[name].imports()]
            waiting += [*targets, *(target.rpartition(".")[0] for target in targets)]
    return found


def is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_all(node: ast.stmt) -> bool:
    target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
    return isinstance(target, ast.Name) and target.id == "__all__"


def code_lines(function: FunctionNode) -> int:
    body = function.body[1:] if is_docstring(function.body[0]) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


class HouseCase(SynchronousTestCase):
    def assertHolds(self, complaints: Callable[[Source], Iterator[str]], folder: str = "powercoord") -> None:
        """
        Fail with every complaint about every module below a folder.
        """
        found = [
            f"{source.where}: {complaint}" for source in sources(folder) for complaint in complaints(source)
        ]

        if found:
            self.fail("\n".join(["the house rules are broken:", *found]))


class RoomTests(HouseCase):
    def test_imports_point_inward(self) -> None:
        """
        A room imports what all rooms share and the rooms it stands on, and only an assembly imports across.
        """

        def complaints(source: Source) -> Iterator[str]:
            for found in source.imports():
                package, _, rest = found.target.partition(".")
                room = rest.partition(".")[0]
                if package == "powercoord" and not may_import(source, room):
                    yield f"{found.line}: {source.room} may not import {found.target}"

        self.assertHolds(complaints)

    def test_registry_is_pure(self) -> None:
        """
        The registry imports nothing with which it could reach a clock, a file, a socket or a thread.
        """

        def complaints(source: Source) -> Iterator[str]:
            for found in source.imports():
                allowed = any((found.target + ".").startswith(name + ".") for name in REGISTRY_MAY_IMPORT)
                if source.room == "registry" and not allowed:
                    yield f"{found.line}: the registry may not import {found.target}"

        self.assertHolds(complaints)

    def test_client_stands_alone(self) -> None:
        """
        Whoever imports the client gets the words of the wire with it, and nothing of the coordinator.
        """
        rooms = {name.partition(".")[2].partition(".")[0] for name in reached("powercoord.client")}

        self.assertIn("client", rooms)
        self.assertEqual(set(), rooms - SHARED - TOOLS - {"", "api", "client"})

    def test_no_reactor_at_module_level(self) -> None:
        """
        No module installs a reactor by being imported.
        """

        def complaints(source: Source) -> Iterator[str]:
            for found in source.imports():
                if found.at_module_level and found.target.startswith("twisted.internet.reactor"):
                    yield f"{found.line}: imports the reactor at module level; take it as an argument"

        self.assertHolds(complaints)


class ShapeTests(HouseCase):
    def test_header(self) -> None:
        """
        Every module begins with its licence and a docstring that says what for.
        """

        def complaints(source: Source) -> Iterator[str]:
            if not source.text.startswith("# SPDX-License-Identifier: MIT\n"):
                yield "1: the first line names the licence: # SPDX-License-Identifier: MIT"
            if not ast.get_docstring(source.tree):
                yield "1: has no docstring"

        for folder in ("powercoord", "tests", "scripts", "twisted"):
            self.assertHolds(complaints, folder)

    def test_size(self) -> None:
        """
        A module has at most 300 lines that are not blank, a function at most 60.
        """

        def complaints(source: Source) -> Iterator[str]:
            lines = sum(1 for line in source.text.splitlines() if line.strip())
            if lines > 300:
                yield f"1: {lines} lines; does it hold two ideas?"
            for function in source.functions():
                if code_lines(function) > 60:
                    yield f"{function.lineno}: {function.name} has {code_lines(function)} lines"

        self.assertHolds(complaints)

    def test_short_functions(self) -> None:
        """
        Half of all functions have at most nine lines.
        """
        lengths = [
            code_lines(function) for source in sources("powercoord") for function in source.functions()
        ]

        self.assertLessEqual(median(lengths), 9)

    def test_names(self) -> None:
        """
        No module is named after nothing in particular.
        """

        def complaints(source: Source) -> Iterator[str]:
            words = set(source.name.replace(".", "_").split("_"))
            for word in sorted(words & MEANINGLESS):
                yield f"1: {word} does not say what it does"

        self.assertHolds(complaints)

    def test_packages(self) -> None:
        """
        A package's __init__ has a docstring, imports and __all__, and no code.
        """

        def complaints(source: Source) -> Iterator[str]:
            if source.path.name != "__init__.py":
                return
            if not any(map(is_all, source.tree.body)):
                yield "1: has no __all__"
            for node in source.tree.body:
                if not (isinstance(node, ast.Import | ast.ImportFrom) or is_docstring(node) or is_all(node)):
                    yield f"{node.lineno}: belongs in a module of its own"

        self.assertHolds(complaints)


class WireTests(SynchronousTestCase):
    def commands(self) -> list[type[Any]]:
        for source in sources("powercoord"):
            if any(found.target.startswith("twisted.protocols.amp") for found in source.imports()):
                import_module(source.name)
        return [
            command for command in subclasses(amp.Command) if command.__module__.startswith("powercoord.")
        ]

    def test_attributes(self) -> None:
        """
        A command of ours has no attribute that AMP does not know, because AMP would ignore it in silence.
        """
        known = {*dir(amp.Command), "allErrors", "reverseErrors"}
        unknown = [
            f"{command.__qualname__}.{name}"
            for command in self.commands()
            for name in vars(command)
            if name not in known and not name.startswith("__")
        ]

        self.assertEqual([], unknown)

    def test_undeclared_errors(self) -> None:
        """
        Every command declares a code for any exception, because an undeclared one costs the connection.
        """
        careless = [
            command.__qualname__
            for command in self.commands()
            if dict(command.errors).get(Exception) != b"INTERNAL"
        ]

        self.assertEqual([], careless)


def subclasses(parent: type[Any]) -> Iterator[type[Any]]:
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


class TestTests(HouseCase):
    def test_docstrings(self) -> None:
        """
        Every test states the rule that it holds.
        """

        def complaints(source: Source) -> Iterator[str]:
            for function in source.functions():
                if function.name.startswith("test_") and not ast.get_docstring(function):
                    yield f"{function.lineno}: {function.name} has no docstring"

        self.assertHolds(complaints, "tests")

    def test_collected(self) -> None:
        """
        What looks like a test is one that trial runs: a method of a case, never a state machine's own case.
        """

        def complaints(source: Source) -> Iterator[str]:
            functional = source.name.startswith("tests.functional")
            for top in source.tree.body:
                if isinstance(top, FunctionNode) and top.name.startswith("test_") and not functional:
                    yield f"{top.lineno}: trial does not run the function {top.name}"
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Assign | ast.AnnAssign) and is_machine_case(node.value):
                    yield f"{node.lineno}: trial runs no test of a TestCase; call run_state_machine"

        self.assertHolds(complaints, "tests")

    def test_no_shortcuts(self) -> None:
        """
        A test on a virtual clock patches nothing and does not wait.
        """

        def complaints(source: Source) -> Iterator[str]:
            if source.name.startswith("tests.functional"):
                return
            for found in source.imports():
                if found.target.startswith(("unittest.mock", "mock.", "time.sleep")):
                    yield f"{found.line}: imports {found.target}"
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep":
                    yield f"{node.lineno}: sleeps; advance a clock"

        self.assertHolds(complaints, "tests")


def is_machine_case(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Attribute) and value.attr == "TestCase"
