# SPDX-License-Identifier: MIT
"""
What it takes to switch one machine by Redfish: our driver, the sequence that MAAS performs, and sushy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Table
from benchmarks.web import Contender, compare

CONTENDERS = (
    Contender("powercoord", "web_ours", {}),
    Contender("model of MAAS's requests", "web_peers", {"kind": "plain"}),
    Contender("sushy", "web_peers", {"kind": "sushy"}),
)


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    With TLS.
    """
    title = "One machine behind Redfish, step by step"
    yield from compare("redfish", "127.93.0.1", title, CONTENDERS, tiny=tiny, profile=profile)
