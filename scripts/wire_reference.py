# SPDX-License-Identifier: MIT
"""
Write the tables of docs/wire.md from the command classes.

Without an argument the page is written anew; with ``--check`` it is only said whether it is current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import fields
from twisted.protocols.amp import AmpList, Argument, Command, ListOf

from powercoord.api import commands, extensions
from powercoord.api.batch import FIELDS, MAX_ITEMS, MAX_NAME, MAX_WORD
from powercoord.api.boxes import MAX_BOX, MAX_KEYS
from powercoord.api.commands import PROTOCOL_ERRORS
from powercoord.api.limits import Limits
from powercoord.api.serving import MAX_TAG
from powercoord.model import CancelResult, Disposition, How, Phase, Policy, PowerState, Verb, Wait

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wire.md"
MARKED = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- so far -->)", re.DOTALL)

TYPES: Mapping[str, str] = {
    "Unicode": "text",
    "String": "bytes",
    "Integer": "integer",
    "Boolean": "`True`, `False`",
    "Seconds": "seconds",
    "Json": "JSON",
    "CompressedJson": "zlib JSON",
}
TO_CLIENT = {extensions.Readings, extensions.ActionEvent, extensions.GoingAway}
WORDS = {
    "verb": Verb,
    "policy": Policy,
    "wait": Wait,
    "disposition": Disposition,
    "state": PowerState,
    "phase": Phase,
    "how": How,
    "result, cancel": CancelResult,
}


def current() -> str:
    """
    The page with its tables as the code is now.
    """
    return MARKED.sub(
        lambda found: f"{found[1]}\n{SECTIONS[found[2]]().rstrip()}\n\n{found[3]}", PAGE.read_text("utf-8")
    )


def maas() -> str:
    """
    The commands of MAAS's racks.
    """
    return "\n".join(map(_command, _commands(commands)))


def ours() -> str:
    """
    The commands that MAAS does not have.
    """
    return "\n".join(map(_command, _commands(extensions)))


def errors() -> str:
    """
    All codes, those that any command can answer first.
    """
    found: dict[bytes, type[BaseException]] = {code: error for error, code in PROTOCOL_ERRORS.items()}
    for command in (*_commands(commands), *_commands(extensions)):
        found |= {code: error for error, code in command.allErrors.items() if code not in found}  # type: ignore[attr-defined]
    unhandled = ("`UNHANDLED`", "There is no command of that name.")
    rows = [(f"`{code.decode()}`", _meaning(error)) for code, error in found.items()]
    return _table(("code", "meaning"), [unhandled, *rows])


def words() -> str:
    """
    What may stand where one word of several is asked for.
    """
    rows = [(f"`{name}`", ", ".join(f"`{each.value}`" for each in kind)) for name, kind in WORDS.items()]
    return _table(("field", "one of"), rows)


def limits() -> str:
    """
    How much one peer may ask for.
    """
    text = " ".join((getdoc(Limits) or "").split())
    told = dict(re.findall(r":param (\w+): (.*?)(?= :param|$)", text))
    rows = [(f"{field.default:g}".replace("e+", "e"), told[field.name]) for field in fields(Limits)]
    rows += [
        (f"{MAX_BOX}", "bytes in one box"),
        (f"{MAX_KEYS}", "keys in one box"),
        (f"{MAX_TAG}", "bytes in `_ask`"),
        (f"{MAX_ITEMS}", "items of `Submit`, nodes of `Query` and `Status`"),
        (f"{MAX_NAME}", "characters in a node's name"),
        (f"{MAX_WORD}", "characters in a request id and a requester"),
    ]
    return _table(("limit", "of what"), rows)


def items() -> str:
    """
    The fields of a request in a batch.
    """
    return ", ".join(f"`{name}`" for name in FIELDS)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "maas": maas,
    "ours": ours,
    "errors": errors,
    "words": words,
    "limits": limits,
    "items": items,
}


def _commands(module: ModuleType) -> list[type[Command]]:
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Command) and each.__module__ == module.__name__
        if not each.__subclasses__()
    ]


def _command(command: type[Command]) -> str:
    direction = " (to the caller)" if command in TO_CLIENT else ""
    text = (getdoc(command) or "").replace("``", "`")
    common = commands.PowerOn if command is not commands.PowerOn else None
    rows = [*_rows(command.arguments, common and common.arguments, "question")]
    rows += _rows(command.response, common and common.response, "answer")
    table = _table(("field", "type", "in"), rows) if rows else ""
    if issubclass(command, commands.Change) and common:
        table = "Arguments and answer are those of `PowerOn`" + (f", and\n\n{table}" if rows else ".\n")
    table = table or "It has no arguments and an empty answer.\n"
    return f"### `{command.__name__}`{direction}\n\n{text}\n\n{table}"


def _rows(
    arguments: commands.Arguments, common: commands.Arguments | None, what: str
) -> Iterator[tuple[str, str, str]]:
    known = dict(common or ())
    for name, kind in arguments:
        if known.get(name) is not kind or len(known) > len(arguments):
            yield f"`{name.decode()}`", _type(kind), what


def _type(argument: Argument) -> str:
    optional = ", optional" if argument.optional else ""
    if isinstance(argument, AmpList):
        inner = ", ".join(f"`{name.decode()}` {_type(kind)}" for name, kind in argument.subargs)
        return f"AmpList of: {inner}"
    if isinstance(argument, ListOf):
        return f"ListOf {_type(argument.elementType)}{optional}"
    return TYPES[type(argument).__name__] + optional


def _meaning(error: type[Any]) -> str:
    if error is Exception:
        return "Something broke at the other end; its log has the reference."
    if error is NotImplementedError:
        return "MAAS declares it; here a driver that cannot do something says so in the outcome."
    return " ".join((getdoc(error) or "").split())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"

    return "\n".join(lines()) + "\n"


def main(words: Sequence[str]) -> int:
    """
    Write the page, or say that it is not current.
    """
    text = current()
    if "--check" not in words:
        PAGE.write_text(text, "utf-8")
    elif text != PAGE.read_text("utf-8"):
        print("docs/wire.md is not current; run scripts/wire_reference.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
