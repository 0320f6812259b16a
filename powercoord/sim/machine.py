# SPDX-License-Identifier: MIT
"""
The machine behind a BMC: it takes its time, and remembers everything that was done to it.

No timer runs: a command makes a plan of the changes to come, and whoever looks carries out what is due.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from powercoord.drivers.ipmi.boot import BootFlags, Device

#: What is remembered of a machine's past, at most.
MEMORY = 10_000

NO_BOOT = BootFlags(Device.NONE, valid=False)

_T = TypeVar("_T")


@frozen(kw_only=True)
class Latency:
    """
    How long a machine takes, in seconds.

    :param on: from power on to being seen on.
    :param off: from hard power off to being seen off.
    :param soft: what its operating system needs to stop; None: it ignores the button.
    :param minimum_off: power on earlier than this after off is a violation, which is recorded.
    :param cycle: the pause in a cycle that the BMC makes itself.
    :param late_on: a power on that is under way is not stopped by an off: it still lands.
    """

    on: float = 0.0
    off: float = 0.0
    soft: float | None = 0.0
    minimum_off: float = 0.0
    cycle: float = 1.0
    late_on: bool = False


@frozen
class Performed:
    """
    One chassis command that reached the machine.
    """

    at: float
    verb: str


@frozen
class Change:
    """
    The moment when power became on, or off.
    """

    at: float
    on: bool


@frozen
class Violation:
    """
    Power came back too early.
    """

    at: float
    off_for: float


@define(eq=False)
class Machine:
    """
    A machine with one power supply.

    :ivar commands: what was done to it through the BMC, oldest first; likewise the other lists.
    :ivar reads: how often its power was read.
    :ivar changes: when its power changed.
    :ivar violations: when power came back earlier than its power supply likes.
    :ivar boot: where it will start from.
    :ivar keeps_boot: whether that is remembered although no start follows.
    :ivar booted: where it did start from, each time.
    """

    _clock: IReactorTime = field(repr=False)
    latency: Latency = Latency()
    _on: bool = False
    commands: list[Performed] = field(init=False, factory=list)
    reads: int = field(init=False, default=0)
    changes: list[Change] = field(init=False, factory=list)
    violations: list[Violation] = field(init=False, factory=list)
    boot: BootFlags = field(init=False, default=NO_BOOT)
    keeps_boot: bool = field(init=False, default=False)
    booted: list[Device] = field(init=False, factory=list)
    _boot_until: float | None = field(init=False, default=None)
    _off_since: float | None = field(init=False, default=None)
    _plan: tuple[Change, ...] = field(init=False, default=())

    def power(self) -> bool:
        """
        Is it on at this moment?
        """
        now = self._clock.seconds()
        while self._plan and self._plan[0].at <= now:
            change, self._plan = self._plan[0], self._plan[1:]
            self._become(change)
        return self._on

    def coming(self) -> Change | None:
        """
        The next change of power that is on its way.
        """
        self.power()
        return self._plan[0] if self._plan else None

    def count(self, verb: str) -> int:
        """
        How often this was done to it.
        """
        return sum(command.verb == verb for command in self.commands)

    def perform(self, verb: str) -> None:
        """
        Obey a chassis command: ``on``, ``off``, ``cycle``, ``reset``, ``soft``, ``soft-reset`` or ``diag``.
        """
        self.power()
        self.record(verb)
        now = self._clock.seconds()
        match verb:
            case "on":
                self._start(now)
            case "off":
                self._stop(now + self.latency.off)
            case "soft" if self.latency.soft is not None:
                self._stop(now + self.latency.soft)
            case "cycle":
                self._cycle(now)
            case "reset":
                self._restart()
            case "soft-reset" if self.latency.soft is not None:
                self._restart()
        self.power()

    def record(self, verb: str) -> None:
        """
        Remember that something was asked, without doing it.
        """
        _remember(self.commands, Performed(self._clock.seconds(), verb))

    def press_button(self, on: bool) -> None:
        """
        What somebody in front of the machine does: power changes at once, and no command is recorded.
        """
        self._plan = (Change(self._clock.seconds(), on),)
        self.power()

    def boot_flags(self) -> BootFlags:
        """
        Where it will start from, unless the BMC has forgotten that by now.
        """
        if self._boot_until is not None and self._clock.seconds() > self._boot_until:
            self._forget_boot()
        return self.boot

    def set_boot(self, flags: BootFlags, lasts: float) -> None:
        """
        Choose where to start from, within ``lasts`` seconds unless it ``keeps_boot``.
        """
        self.boot = flags
        passing = not flags.persistent and not self.keeps_boot
        self._boot_until = self._clock.seconds() + lasts if passing else None

    def _start(self, now: float) -> None:
        if self._on or self._plan:  # a machine that is off with a plan is about to be on
            return
        if self._off_since is not None and now - self._off_since < self.latency.minimum_off:
            _remember(self.violations, Violation(now, now - self._off_since))
        self._promise_start()
        self._plan = (Change(now + self.latency.on, True),)

    def _stop(self, at: float) -> None:
        if self._on:
            earliest = min([at, *(change.at for change in self._plan[:1])])
            self._plan = (Change(earliest, False),)
        elif not self.latency.late_on:
            self._plan = ()

    def _cycle(self, now: float) -> None:
        self._promise_start()
        off = now + self.latency.off
        pause = max(self.latency.cycle, self.latency.minimum_off)
        self._plan = (Change(off, False), Change(off + pause + self.latency.on, True))

    def _restart(self) -> None:
        if self._on:
            self._promise_start()
            self._note_boot()

    def _promise_start(self) -> None:
        """
        A start follows, so what was chosen before holds until then, however long it takes.
        """
        self.boot_flags()
        self._boot_until = None

    def _become(self, change: Change) -> None:
        if change.on is self._on:
            return
        self._on = change.on
        _remember(self.changes, change)
        if change.on:
            self._note_boot()
        else:
            self._off_since = change.at

    def _note_boot(self) -> None:
        _remember(self.booted, self.boot.device if self.boot.valid else Device.NONE)
        if not self.boot.persistent:
            self._forget_boot()

    def _forget_boot(self) -> None:
        self.boot, self._boot_until = NO_BOOT, None


def _remember(past: list[_T], what: _T) -> None:
    past.append(what)
    if len(past) > MEMORY:
        del past[: MEMORY // 2]
