# SPDX-License-Identifier: MIT
"""
What it takes to switch one machine by Intel AMT: our driver, and PyPI's client.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Table
from benchmarks.web import Contender, compare

CONTENDERS = (
    Contender("powercoord", "web_ours", {}),
    Contender("PyPI's amt", "web_peers", {"kind": "amt"}),
)


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Without TLS.
    """
    title = "One machine behind Intel AMT, step by step"
    yield from compare("amt", "127.94.0.1", title, CONTENDERS, tiny=tiny, profile=profile)
