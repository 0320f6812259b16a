# SPDX-License-Identifier: MIT
"""
How long an off takes from its request to the driver while thousands of other actions are queued.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from benchmarks.child import Child
from benchmarks.cost import load, percentile
from benchmarks.table import Table, figure

_COLUMNS = (
    "in the registry", "asked", "garbage", "offs", "median, ms", "99 %, ms", "longest, ms",
    "longest collection, ms", "busy nodes", "load",
)  # fmt: skip


@frozen
class Size:
    """
    How much is measured.

    :param queued: nodes that are asked to go on before, or meanwhile.
    :param offs: how many nodes of each kind are asked to go off.
    :param pause: seconds between two of them.
    :param latest: seconds after which the last has reached the driver, however late it is.
    :param scenes: how many of the scenes, from the last.
    """

    queued: int
    offs: int
    pause: float
    latest: float
    scenes: int


FULL = Size(queued=10_000, offs=400, pause=0.002, latest=1.0, scenes=3)
TINY = Size(queued=60, offs=5, pause=0.002, latest=0.2, scenes=1)


@frozen
class Scene:
    """
    What the registry is busy with; its machines accept a power on and stay off.

    :param storm: the ons come at the same time as the offs, in batches over a connection of their own.
    """

    title: str
    max_starting: int | None
    storm: bool = False

    def titled(self, queued: int) -> str:
        """
        With the number of ons.
        """
        return self.title.format(f"{queued:,}")


SCENES = (
    Scene("{} ons, all but 100 of which wait for their turn", 100),
    Scene("{} ons, all under way and looked after", None),
    Scene("{} ons that arrive meanwhile, without a limit", None, storm=True),
)


@frozen
class Offs:
    """
    The nodes to go off: some with an on in their lane, and some that are on and at rest.
    """

    queued: Sequence[str]
    running: Sequence[str]

    @classmethod
    def of(cls, size: Size) -> Offs:
        """
        The same ones each time.
        """
        chosen = Random(7).sample(range(size.queued), size.offs)
        return cls(
            [f"n{index}" for index in chosen], [f"n{size.queued + index}" for index in range(size.offs)]
        )

    def mixed(self) -> list[str]:
        """
        Those of both kinds, one after the other.
        """
        return [name for pair in zip(self.queued, self.running, strict=True) for name in pair]


def _measure(scene: Scene, size: Size, by_amp: bool, rarely: bool, profile: Path | None) -> Iterator[str]:
    """
    The cells of one row.
    """
    offs = Offs.of(size)
    with TemporaryDirectory(prefix="benchmark-") as folder, Child("amp_server", profile) as server:
        path = f"{folder}/amp"
        nodes, limit = size.queued + size.offs, scene.max_starting
        server.ask("coordinate", path=path, nodes=nodes, max_starting=limit, deaf=True, rarely=rarely)
        server.ask("fill", nodes=size.queued, submit=not scene.storm)
        with Child("amp_client") as caller, Child("amp_client") as crowd:
            for client in (caller, crowd):
                client.ask("connect", path=path, ours=True)
            server.ask("watch", notice=True)
            busy = server.ask("seen")["busy"]
            items = min(500, size.queued)
            if scene.storm:
                crowd.tell("submit", batches=size.queued // items, items=items, depth=4)
            asked = (caller if by_amp else server).ask("offs", nodes=offs.mixed(), pause=size.pause)["sent"]
            if scene.storm:
                crowd.answer()
            time.sleep(size.latest)
            seen = server.ask("seen")
    yield from (
        scene.titled(size.queued),
        "over AMP" if by_amp else "inside",
        "rarely" if rarely else "as usual",
    )
    yield from _reached(offs, asked, seen)
    yield figure(1e3 * max(seen["pauses"], default=0.0))
    yield f"{max(busy, seen['busy']):,}"
    yield f"{load():.1f}"


def _reached(offs: Offs, asked: dict[str, float], seen: dict[str, Any]) -> Iterator[str]:
    """
    A node with an on in its lane is off already: its first packet is a read. One that is on hears "off".
    """
    reached = [(name, seen["called"].get(name)) for name in offs.queued]
    reached += [(name, seen["told_off"].get(name)) for name in offs.running]
    took = [1e3 * (at - asked[name]) for name, at in reached if at is not None]
    yield f"{len(took)} of {len(reached)}"
    yield from (figure(percentile(took, share)) if took else "–" for share in (0.5, 0.99, 1.0))


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:
    """
    Each scene, asked from inside and over AMP, with two ways to collect garbage.
    """
    size, began = TINY if tiny else FULL, load()
    table = Table("From the request for an off to the driver, in the midst of other actions", _COLUMNS)
    for scene in SCENES[-size.scenes :]:
        for by_amp in (False, True):
            for rarely in (False, True):
                table.add(*_measure(scene, size, by_amp, rarely, profile))
    table.notes.append(
        f"One off every {1e3 * size.pause:g} ms: half for nodes with an on in their lane (to a packet, "
        "which is a read), half for nodes that are on and at rest (to the command). Garbage is collected as "
        "Python does it, or rarely (`benchmarks.pauses`)."
    )
    table.notes.append(f"Load average {began:.2f} before, {load():.2f} after.")
    yield table
