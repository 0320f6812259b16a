# SPDX-License-Identifier: MIT
"""
Write the tables of three pages of the documentation from the code that defines what is in them.

Without an argument the pages are written anew; with ``--check`` it is only said whether they are current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from enum import Enum
from importlib.metadata import EntryPoint
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import click
from attrs import NOTHING, resolve_types
from twisted.internet.task import Clock

from powercoord.api.metrics import METRICS
from powercoord.cli.exits import MEANINGS
from powercoord.cli.root import main as command_line
from powercoord.config.ages import Age
from powercoord.config.keys import keys_of
from powercoord.config.parse import TABLES
from powercoord.config.shape import ReadyTable
from powercoord.config.timing import TimingTable
from powercoord.duration import format_duration
from powercoord.interfaces import IPowerDriver
from powercoord.model import BootDevice, Command, Timing
from powercoord.settings import Described, Scope, context_names, describe
from powercoord.strict import Count, Interval, Moment, Patience, Scalars, Seconds, Tries
from powercoord.testing.conformance import DriverConformance

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(ROOT / "docs" / name for name in ("operators.md", "power_types.md", "drivers.md"))
MARKED = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- so far -->)", re.DOTALL)

CHANGING = ("on", "off", "cycle", "reset", "boot")

HEADINGS = {
    "server": "`[server]`",
    "journal": "`[journal]`",
    "region": "`[region]`",
    "sweep": "`[sweep]`",
    "timing": "`[timing]`, and `timing` of a driver, a group or a node",
    "fleet": "`[fleet]`",
    "endpoints": "`[endpoints]`",
    "drivers": "`[drivers.NAME]`, beside the driver's own settings",
    "groups": "`[groups.NAME]`",
    "callers": '`[callers."REQUESTER"]`',
    "nodes": '`[nodes."NODESET"]`, beside the settings of its driver',
}

TYPES: Mapping[Any, str] = {
    str: "text",
    int: "number",
    float: "time or number",
    bool: "true, false",
    Count: "number from 1",
    Tries: "number from 0",
    Seconds: "time",
    Moment: "time above 0",
    Patience: "time",
    Interval: "time",
    Scalars: "table",
    Age: "time above 0",
    TimingTable: "table",
    ReadyTable: "table",
}


def current(page: Path) -> str:
    """
    A page with its tables as the code is now.
    """
    return MARKED.sub(
        lambda found: f"{found[1]}\n{SECTIONS[found[2]]().rstrip()}\n\n{found[3]}", page.read_text("utf-8")
    )


def configuration() -> str:
    """
    A table for each table of the configuration file.
    """
    return "".join(f"### {HEADINGS[name]}\n\n{_keys(table)}\n" for name, table in TABLES.items())


def settings() -> str:
    """
    A section for each driver of this package.
    """
    return "".join(map(_driver, drivers()))


def drivers() -> Iterator[IPowerDriver]:
    """
    Every driver that the package announces, made of the object that its entry point names.
    """
    package = ConfigParser(interpolation=None)
    package.read(ROOT / "setup.cfg", "utf-8")
    lines = package["options.entry_points"]["powercoord.drivers"].split("\n")
    for name, _, value in sorted(line.partition("=") for line in lines if "=" in line):
        driver: IPowerDriver = EntryPoint(name.strip(), value.strip(), "powercoord.drivers").load()(Clock())
        yield driver


def commands() -> str:
    """
    What each command takes; what all that change power take stands once.
    """
    context = click.Context(command_line, info_name="powercoord")
    words = ", ".join(f"`{name}`" for name in CHANGING)
    known = command_line.commands
    shared = [
        option for option in known["off"].params if option.name in {p.name for p in known["boot"].params}
    ]
    common = f"### Options of {words}\n\n{_options(shared, context)}"
    return common + "".join(_command(command, context, shared) for command in known.values())


def exits() -> str:
    """
    The exit codes.
    """
    return _table(("code", "meaning"), ((f"{code}", meaning) for code, meaning in MEANINGS.items()))


def metrics() -> str:
    """
    A row for each metric.
    """
    heads = ("metric", "kind", "labels", "meaning")
    rows = (
        (f"`{it.name}`", it.kind.__name__.lower(), ", ".join(f"`{label}`" for label in it.labels), it.text)
        for it in METRICS
    )
    return _table(heads, rows)


def rules() -> str:
    """
    A row for each rule of the conformance suite.
    """
    found = {name: getattr(DriverConformance, name) for name in vars_of(DriverConformance, "rule_")}
    rows = (
        (
            f"`{name.removeprefix('rule_')}`",
            " ".join(f"`{ability}`" for ability in getattr(rule, "needs", ())),
            " ".join((rule.__doc__ or "").split()),
        )
        for name, rule in found.items()
    )
    return _table(("rule", "needs", ""), rows)


def vars_of(kind: type, prefix: str) -> list[str]:
    """
    Names in a class and its parents, in the order of their definition.
    """
    return [name for each in kind.__mro__ for name in vars(each) if name.startswith(prefix)]


SECTIONS: Mapping[str, Callable[[], str]] = {
    "configuration": configuration,
    "settings": settings,
    "commands": commands,
    "exits": exits,
    "metrics": metrics,
    "rules": rules,
}


def _keys(table: type) -> str:
    resolve_types(table)
    rows = []
    for key in keys_of(table):
        default = getattr(Timing(), key.name) if table is TimingTable else key.default
        rows.append((f"`{key.name}`", _type(key.type), _default(default, key.type), key.description))
    return _table(("key", "what", "default", ""), rows)


def _driver(driver: IPowerDriver) -> str:
    able = driver.capabilities
    commands = ", ".join(f"`{command.value}`" for command in Command if command in able.commands)
    boot = ", ".join(f"`{device.value}`" for device in BootDevice if device in able.boot_devices)
    names = {ours: theirs for theirs, ours in context_names(driver).items()}
    rows = [_setting(each, names.get(each.name, "")) for each in describe(driver.settings)]
    return (
        f"## `{driver.name}`: {driver.title}\n\nCommands: {commands}. Boot devices: {boot or 'none'}.\n\n"
        + _table(("key", "what", "default", "of the", "MAAS's name", ""), rows)
        + "\n"
    )


def _setting(described: Described, context: str) -> tuple[str, ...]:
    choices = [f"`{word}`" for word, _ in described.setting.choices]
    which = "One of" if _single(described) else "Any of"
    text = f"{described.setting.description} {which} {', '.join(choices)}.".strip()
    default = NOTHING if described.required else described.default
    secret = " (secret)" if described.setting.secret else ""
    return (
        f"`{described.name}`",
        _type(described.type) + secret,
        _default(default, described.type),
        "BMC" if described.setting.scope is Scope.BMC else "node",
        f"`{context}`" if context else "",
        text if choices else described.setting.description,
    )


def _single(described: Described) -> bool:
    return get_origin(described.type) not in (tuple, frozenset)


def _type(kind: Any) -> str:
    kinds = [each for each in get_args(kind) if each not in (NoneType, Ellipsis)]
    if get_origin(kind) in (tuple, frozenset):
        return f"list of {_type(kinds[0])}s"
    if kinds:
        return _type(kinds[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "word"
    return TYPES[kind]


def _default(value: Any, kind: Any) -> str:  # noqa: PLR0911 - one for each kind of value
    match value:
        case _ if value is NOTHING:
            return "needed"
        case None | "" | () | TimingTable() | ReadyTable():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`{value.value}`"
        case float() if kind is not float:
            return f"`{format_duration(value)}`"
        case tuple():
            return ", ".join(f"`{each}`" for each in value)
        case _:
            return f"`{value}`"


def _command(command: click.Command, parent: click.Context, shared: Sequence[click.Parameter]) -> str:
    context = click.Context(command, info_name=command.name, parent=parent)
    usage = f"powercoord {command.name} {' '.join(command.collect_usage_pieces(context))}"
    text = " ".join((command.help or "").split())
    elsewhere = {parameter.name for parameter in shared} if command.name in CHANGING else set()
    own = [parameter for parameter in command.params if parameter.name not in elsewhere]
    return (
        f"### `powercoord {command.name}`\n\n```console\n$ {usage}\n```\n\n{text}\n\n{_options(own, context)}"
    )


def _options(parameters: Iterable[click.Parameter], context: click.Context) -> str:
    records = [parameter.get_help_record(context) for parameter in parameters]
    rows = [(f"`{record[0]}`", " ".join(record[1].split())) for record in records if record and record[1]]
    return _table(("option", ""), rows) + "\n" if rows else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"

    return "\n".join(lines()) + "\n"


def main(words: Sequence[str]) -> int:
    """
    Write the pages, or say which are not current.
    """
    texts = {page: current(page) for page in PAGES}
    old = [page for page, text in texts.items() if text != page.read_text("utf-8")]
    for page in old:
        if "--check" in words:
            print(f"docs/{page.name} is not current; run scripts/operators_reference.py")
        else:
            page.write_text(texts[page], "utf-8")
    return 1 if old and "--check" in words else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
