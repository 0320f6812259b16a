# SPDX-License-Identifier: MIT
"""
How fast a row comes on under several limits: the real registry, on a clock that is turned.

Nothing here is timed, so the figures are the same each time.  With matplotlib (the extra ``bench``) they
are drawn, too: ``python -m benchmarks inrush --picture docs/inrush.png``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from attrs import field, frozen
from twisted.internet.task import Clock

from benchmarks.heart import registry_of
from benchmarks.table import Table
from powercoord.interfaces import ITicket
from powercoord.model import Command, Limit, Node, Request, Verb
from powercoord.registry import Limits
from powercoord.testing.driver import FakeDriver, FakeMachine, FakeSettings

_COLUMNS = ("limits", "half are on after, s", "all are on after, s", "most starting at once", "most watts")
_WATTS, _RACKS = 450, 5


@frozen
class Scene:
    """
    A row of racks and its limits; each node takes about eight seconds.
    """

    title: str
    fleet: Limit = field(factory=Limit)
    rack: Limit = field(factory=Limit)


SCENES = (
    Scene("no limit"),
    Scene("fleet: 40 at once", Limit(40)),
    Scene("each rack: 4 at once", rack=Limit(4)),
    Scene("feed: 9 kW, each rack: 8 at once", Limit(max_watts=9_000), Limit(8)),
    Scene("each rack: one every 2 s", rack=Limit(start_interval=2.0)),
    Scene("fleet: 10 at once", Limit(10)),
)


@frozen
class Course:
    """
    When each node was told to start, and when it was on, in order.
    """

    title: str
    told: Sequence[float]
    on: Sequence[float]

    def starting(self) -> Iterator[tuple[float, int]]:
        """
        How many were starting, whenever that changes.
        """
        now = 0
        for at, change in sorted([(at, 1) for at in self.told] + [(at, -1) for at in self.on]):
            now += change
            yield at, now


class _Recording(FakeDriver):
    """
    Machines whose power-ons are written down.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.told: list[float] = []
        self.on: list[float] = []

    def _effect(self, machine: FakeMachine, command: Command) -> Callable[[], None] | None:
        self.told.append(self.clock.seconds())
        effect = super()._effect(machine, command)

        def recorded() -> None:
            if effect is not None:
                effect()
            self.on.append(self.clock.seconds())

        return recorded


def run(*, tiny: bool, profile: Path | None) -> Iterator[Table]:  # noqa: ARG001 - nothing is timed
    """
    A row of 200 nodes in five racks, all asked to go on at once.
    """
    nodes = 20 if tiny else 200
    table = Table(f"{nodes} nodes in {_RACKS} racks, asked to go on at once", _COLUMNS)
    for course in courses(nodes):
        most = max(number for _, number in course.starting())
        table.add(
            course.title,
            f"{course.on[nodes // 2 - 1]:.1f}",
            f"{course.on[-1]:.1f}",
            str(most),
            f"{most * _WATTS:,}",
        )
    yield table


def courses(nodes: int) -> list[Course]:
    """
    One for each scene.
    """
    return [_course(scene, nodes) for scene in SCENES]


def _course(scene: Scene, nodes: int) -> Course:
    clock, random = Clock(), Random(1)
    driver = _Recording(clock)
    racks = {f"rack{number}": scene.rack for number in range(_RACKS)}
    row = [
        Node(
            f"n{number}",
            driver.target(FakeSettings(address=f"bmc{number}")),
            (f"rack{number * _RACKS // nodes}",),
            start_watts=_WATTS,
        )
        for number in range(nodes)
    ]
    for number in range(nodes):
        driver.machine(f"bmc{number}/").latency = random.uniform(6.0, 10.0)
    registry = registry_of(clock, row, {"fake": driver}, Limits(fleet=scene.fleet, groups=racks))
    tickets: list[ITicket] = []
    requests = [Request(node=node.name, verb=Verb.ON, request_id=node.name) for node in row]
    registry.submit_many(requests).addCallback(tickets.extend)
    while len(driver.on) < nodes:
        clock.advance(0.01)
    return Course(scene.title, sorted(driver.told), sorted(driver.on))


def draw(path: Path, nodes: int = 200) -> None:
    """
    Nodes on against time, and below how many were starting, for each scene.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    ends = []
    for course in courses(nodes):
        times = [0.0, *course.on]
        upper.step(times, [bisect_right(course.on, at) for at in times], where="post", label=course.title)
        starting = [(0.0, 0), *course.starting()]
        lower.step([at for at, _ in starting], [number for _, number in starting], where="post")
        ends.append(course.on[-1])
    upper.set_title(f"{nodes} nodes in {_RACKS} racks, asked to go on at once; each takes 6 to 10 s")
    upper.set_ylabel("nodes on")
    upper.legend(loc="lower right")
    lower.set_ylabel("commanded on, not yet on")
    lower.set_yscale("symlog", linthresh=10)
    lower.set_xlabel("seconds")
    lower.set_xlim(0, max(ends) * 1.02)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    # Without the program's version in it the file changes only when the picture does.
    figure.savefig(path, dpi=110, metadata={"Software": None})
