# SPDX-License-Identifier: MIT
"""
What is wrong with a configuration: all of it, each with file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from operator import is_
from typing import Any, TypeVar, cast

from attrs import Factory, define, frozen

from powercoord.config.ages import Age, parse_age
from powercoord.config.lines import Lines
from powercoord.errors import ConfigError
from powercoord.strict import Path, Problem, problems, strict_converter

T = TypeVar("T")

_BARE = re.compile(r"[A-Za-z0-9_-]+")
CONVERTER = strict_converter()
CONVERTER.register_structure_hook_func(partial(is_, Age), parse_age)


@frozen
class Mistake:
    """
    One thing that is wrong, or worth a warning.
    """

    file: str
    line: int
    key: str
    text: str
    column: int | None = None

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}{column}: {key}{self.text}"


class ConfigMistakes(ConfigError):
    """
    The configuration is wrong; ``mistakes`` says where.
    """

    def __init__(self, mistakes: Sequence[Mistake], warnings: Sequence[Mistake] = ()) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)


@define
class Findings:
    """
    Collects what is wrong, and what is only odd, while a document is read.
    """

    wrong: list[Problem] = Factory(list)
    odd: list[Problem] = Factory(list)

    def mistake(self, path: Path, text: str) -> None:
        """
        Note something that must be put right.
        """
        self.wrong.append(Problem(path, text))

    def warn(self, path: Path, text: str) -> None:
        """
        Note something that works, but should not stay.
        """
        self.odd.append(Problem(path, text))

    def take(self, value: object, kind: type[T], path: Path) -> T | None:
        """
        Make a value of this kind, or note all that is wrong with it.
        """
        try:
            return CONVERTER.structure(value, cast(Any, kind))  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - cattrs raises whatever a hook raised
            self.wrong.extend(problems(error, path))
            return None


def locate(found: Iterable[Problem], file: str, text: str) -> tuple[Mistake, ...]:
    """
    Say where each problem stands, in the order of the file.
    """
    listed = list(found)
    if not listed:
        return ()
    lines = Lines(text)
    mistakes = [
        Mistake(file, lines.of(problem.path), dotted(problem.path), problem.text) for problem in listed
    ]
    return tuple(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.line))


def dotted(path: Path) -> str:
    """
    A path as one would write it in the file.
    """
    words = ""
    for word in path:
        if isinstance(word, int):
            words += f"[{word}]"
        else:
            words += ("." if words else "") + (word if _BARE.fullmatch(word) else f'"{word}"')
    return words
