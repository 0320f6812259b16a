# SPDX-License-Identifier: MIT
"""
On which line a key of a TOML document stands.

The standard library's parser forgets.  This one remembers nothing else: it
skips values without looking at them, and relies on the text having been
parsed before, so that it need not notice mistakes.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

from powercoord.strict import Path

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


class Lines:
    """
    The line of each key, counted from 1.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._found: dict[Path, int] = {}
        self._read_document()

    def of(self, path: Path) -> int:
        """
        The line of this key, or of the nearest table around it.
        """
        while path:
            if path in self._found:
                return self._found[path]
            path = path[:-1]
        return 1

    def _read_document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
            self._skip(_BLANK)

    def _read_header(self) -> Path:
        many = self._text.startswith("[[", self._at)
        self._at += 1 + many
        table = self._read_key(())
        self._at += 1 + many
        if not many:
            return table
        index = 0
        while (*table, index) in self._found:
            index += 1
        self._note((*table, index), self._at - 1)
        return (*table, index)

    def _read_pair(self, table: Path) -> None:
        path = self._read_key(table)
        self._at += 1
        self._skip(_SPACE)
        self._read_value(path)

    def _read_key(self, path: Path) -> Path:
        while True:
            self._skip(_SPACE)
            start = self._at
            path = (*path, self._read_word())
            self._note(path, start)
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return path
            self._at += 1

    def _read_word(self) -> str:
        if self._text[self._at] in "\"'":
            return str(tomllib.loads(f"key = {self._skip(_STRING)}")["key"])
        return self._skip(_BARE)

    def _read_value(self, path: Path) -> None:
        sign = self._text[self._at]
        if sign in "\"'":
            self._skip(_STRING)
        elif sign == "[":
            self._read_array(path)
        elif sign == "{":
            self._read_inline_table(path)
        else:
            self._skip(_SCALAR)

    def _read_array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while not self._closes("]"):
            self._note((*path, index), self._at)
            self._read_value((*path, index))
            index += 1
        self._at += 1

    def _read_inline_table(self, path: Path) -> None:
        self._at += 1
        while not self._closes("}"):
            self._read_pair(path)
        self._at += 1

    def _closes(self, sign: str) -> bool:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        return self._text[self._at] == sign

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise AssertionError(f"not TOML at {self._at}: parse it first")
        self._at = match.end()
        return match[0]

    def _note(self, path: Path, at: int) -> None:
        self._found.setdefault(path, bisect_right(self._starts, at))
