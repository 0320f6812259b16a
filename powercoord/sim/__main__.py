# SPDX-License-Identifier: MIT
"""
``python -m powercoord.sim``: the same as ``powercoord sim``; without a kind, IPMI.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from powercoord.sim.starting import KINDS, main


def with_kind(words: Sequence[str]) -> list[str]:
    """
    The words of ``powercoord sim``.
    """
    return [*words] if words and (words[0] in KINDS or words[0] in ("-h", "--help")) else ["ipmi", *words]


if __name__ == "__main__":
    sys.exit(main(with_kind(sys.argv[1:]), "python -m powercoord.sim"))
