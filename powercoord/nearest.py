# SPDX-License-Identifier: MIT
"""
Which known word somebody who wrote an unknown one may have meant.

Comparing with every word would cost a tenth of a second with ten thousand
nodes, on the reactor, for each bad name of a long list.  A typing mistake
leaves the beginning or the end of a word alone, so only the neighbours in two
sorted lists are compared: of the words, and of the words read backwards.  The
commonest mistake with node names, a zero too few or too many, is looked up.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from difflib import get_close_matches

_NEIGHBOURS = 8
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """
    The word of a few known ones that is most like this one, if any is.
    """
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


class Nearest:
    """
    The same for many known words.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._forwards = sorted(words)
        self._unpadded = {_unpad(word): word for word in self._forwards}
        self._backwards = sorted(word[::-1] for word in self._forwards)

    def to(self, word: str) -> str | None:
        """
        The known word that is most like this one, if any is.
        """
        same = self._unpadded.get(_unpad(word))
        if same is not None:
            return same
        beginnings = _around(self._forwards, word)
        endings = (found[::-1] for found in _around(self._backwards, word[::-1]))
        return nearest(word, dict.fromkeys([*beginnings, *endings]))


def _unpad(word: str) -> str:
    return _ZEROS.sub("", word)


def _around(words: list[str], word: str) -> list[str]:
    at = bisect_left(words, word)
    return words[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]
