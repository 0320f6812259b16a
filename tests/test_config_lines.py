# SPDX-License-Identifier: MIT
"""
The line of each key, whatever TOML is written around it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config.lines import Lines
from powercoord.strict import Path
from tests.hypothesis_notes import HypothesisNotes

DOCUMENT = '''\
# a comment with = and [brackets]
top = 1 # after it
"quoted key" = "a # b"
'literal' = 'c'
a.b."c.d" = 1979-05-27 07:32:00

[table]
multi = """
not = "a key"
[not.a.table]
"""
literal = \'\'\'
also = not\'\'\'
escaped = "a \\" b"
list = [
  1, # one
  [2, 3],

  { x = 1, y = ["]"] },
]
inline = { p = { q = true }, r = 'z' }

[table . "sub table"]
key = inf
quotes = """two at the end: """""
more = \'\'\'one: \'\'\'\'
last = 1

[[many]]
one = 1
[[many]]
two = 2
'''

EXPECTED: dict[Path, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("literal",): 4,
    ("a", "b", "c.d"): 5,
    ("table",): 7,
    ("table", "multi"): 8,
    ("table", "literal"): 12,
    ("table", "escaped"): 14,
    ("table", "list"): 15,
    ("table", "list", 0): 16,
    ("table", "list", 1, 1): 17,
    ("table", "list", 2, "x"): 19,
    ("table", "list", 2, "y", 0): 19,
    ("table", "inline", "p", "q"): 21,
    ("table", "inline", "r"): 21,
    ("table", "sub table"): 23,
    ("table", "sub table", "key"): 24,
    ("table", "sub table", "more"): 26,
    ("table", "sub table", "last"): 27,
    ("many", 0, "one"): 30,
    ("many", 1): 31,
    ("many", 1, "two"): 32,
}


class LinesTests(SynchronousTestCase):
    def test_every_notation(self) -> None:
        """
        Each way to write a key and a value is passed over at the right place.
        """
        tomllib.loads(DOCUMENT)
        lines = Lines(DOCUMENT)

        self.assertEqual(EXPECTED, {path: lines.of(path) for path in EXPECTED})

    def test_missing(self) -> None:
        """
        A key that is not there is looked for where it would stand: in its table, else at the top.
        """
        lines = Lines(DOCUMENT)

        self.assertEqual(
            (24, 23, 1),
            tuple(
                map(lines.of, [("table", "sub table", "key", "x"), ("table", "sub table", "x"), ("x", "y")])
            ),
        )


_KEYS = st.text(alphabet="ab-_9 .\"'#=[]é\\\n", max_size=6)
_SCALARS = st.one_of(st.booleans(), st.integers(-9, 9), st.text(alphabet="a\"'#[]{}=,\n\\é", max_size=8))
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
_DOCUMENTS = st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=4)


def _written(document: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Path]]:
    """
    The lines of a document in TOML, with the key that each one is for.
    """
    for table, values in document.items():
        yield f"[ {json.dumps(table, ensure_ascii=False)} ] # here", (table,)
        for key, value in values.items():
            yield f" {json.dumps(key)} = {json.dumps(value)}", (table, key)


class AnyDocumentTests(HypothesisNotes, SynchronousTestCase):
    @given(_DOCUMENTS)
    def test_any_document(self, document: dict[str, dict[str, Any]]) -> None:
        """
        In any document each key is found on the line on which it was written.
        """
        written = list(_written(document))
        text = "\n".join(line for line, _ in written)
        self.assertEqual(document, tomllib.loads(text))

        lines = Lines(text)

        self.assertEqual(
            [(path, number) for number, (_, path) in enumerate(written, 1)],
            [(path, lines.of(path)) for _, path in written],
        )
