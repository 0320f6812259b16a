# SPDX-License-Identifier: MIT
"""
Commands compiled for speed: between a box's bytes and a responder's keyword arguments.

Twisted's own way converts every name on every call; that alone costs as much
as all else.  The commands stay `twisted.protocols.amp.Command` classes, so that
any Twisted program can use them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from attrs import frozen
from twisted.protocols.amp import AmpList, Argument, Command

from powercoord.api.boxes import Box
from powercoord.api.commands import MalformedArguments


@frozen
class Field:
    """
    One argument of a command or of its answer.
    """

    wire: bytes
    name: str
    optional: bool
    kind: str
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


def _field(wire: bytes, argument: Argument) -> Field:
    read, write = argument.fromString, argument.toString
    if isinstance(argument, AmpList):

        def read(text: bytes) -> Any:
            return argument.fromStringProto(text, None)

        def write(value: Any) -> bytes:
            return argument.toStringProto(value, None)  # type: ignore[no-any-return]

    return Field(wire, wire.decode("ascii"), argument.optional, type(argument).__name__, read, write)


@frozen
class Schema:
    """
    The arguments of a command, or those of its answer.
    """

    fields: tuple[Field, ...]
    _by_wire: Mapping[bytes, Field]
    _nothing: Mapping[str, None]

    @classmethod
    def of(cls, arguments: list[tuple[bytes, Argument]]) -> Schema:
        """
        Compile a list of arguments.
        """
        fields = tuple(_field(*argument) for argument in arguments)
        by_wire = {field.wire: field for field in fields}
        return cls(fields, by_wire, dict.fromkeys(field.name for field in fields if field.optional))

    def read(self, box: Box) -> dict[str, Any]:
        """
        The values in a box by their names; what is left out is None.

        :raises MalformedArguments: naming the first that is missing or cannot
            be read, and never its value: that may be a password.
        """
        values: dict[str, Any] = dict(self._nothing)
        for wire, text in box.items():
            field = self._by_wire.get(wire)
            if field is not None:
                try:
                    values[field.name] = field.read(text)
                except Exception:  # noqa: BLE001 - whatever a value does to its reader, the peer sent it
                    raise MalformedArguments(f"argument {field.name!r} is no {field.kind}") from None
        if len(values) < len(self.fields):
            missing = next(field.name for field in self.fields if field.name not in values)
            raise MalformedArguments(f"argument {missing!r} is missing")
        return values

    def write(self, values: Mapping[str, Any], box: Box) -> Box:
        """
        Put values into a box; None is left out.
        """
        for field in self.fields:
            value = values.get(field.name)
            if value is not None:
                box[field.wire] = field.write(value)
            elif not field.optional:
                raise TypeError(f"{field.name} is missing")
        return box


@frozen
class Compiled:
    """
    A command, ready to be called or answered.
    """

    name: bytes
    arguments: Schema
    response: Schema
    codes: Mapping[type[BaseException], bytes]

    def code(self, error: type[BaseException] | None) -> bytes | None:
        """
        The declared code of a class of errors, by its nearest declared ancestor; None if there is none.
        """
        for ancestor in error.__mro__ if error else ():
            if ancestor is not Exception and ancestor in self.codes:
                return self.codes[ancestor]
        return None


@cache
def compiled(command: type[Command]) -> Compiled:
    """
    A command class, compiled once.
    """
    return Compiled(
        command.commandName,
        Schema.of(command.arguments),
        Schema.of(command.response),
        {error: code for error, code in command.allErrors.items()},  # type: ignore[attr-defined] # noqa: C416
    )
