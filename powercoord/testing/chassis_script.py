# SPDX-License-Identifier: MIT
"""
The machine behind a BMC of `ipmi_sim`: a few lines of shell and the files that they keep.

`ipmi_sim` asks a program for every chassis command (``ipmi_sim_chassiscontrol(5)``) and waits for it, so the
program uses shell builtins only and never sleeps: a machine that is slow to change has *a time at which it
changes* in its state file, and whoever reads the file compares that with the clock (`/proc/uptime`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

SCRIPT = r"""
# <folder>/<address>.power   "BEFORE AFTER AT": power is BEFORE until AT (1/100 s since boot), then AFTER
# <folder>/<address>.boot    the next boot device
# <folder>/<address>.faults  shell assignments, see Behaviour
# <folder>/<address>.log     one line for each thing that was asked: "NOW get|set WHAT [VALUE]"
turn() {
  [ -n "$stuck" ] && return 0
  [ -n "$2" ] || return 0
  [ "$power" = "$1" ] && set -- "$1" 0
  [ "$power" != "$1" ] && [ "$after" = "$1" ] && [ "$at" -le $((now + $2)) ] && return 0
  echo "$power $1 $((now + $2))" > "$f.power"
}
chassis() {
  f=$1; op=$2; shift 2
  read -r now _ < /proc/uptime; now=${now%.*}${now#*.}
  stuck= refuse= on_after=0 off_after=0 shutdown_after=0
  [ -r "$f.faults" ] && . "$f.faults"
  before=0 after=0 at=0; read -r before after at < "$f.power"
  if [ "$now" -ge "$at" ]; then power=$after; else power=$before; fi
  while [ $# -gt 0 ]; do
    what=$1; shift
    if [ "$op" = set ]; then value=$1; [ $# -gt 0 ] && shift; else value=; fi
    echo "$now $op $what $value" >> "$f.log"
    case " $refuse " in *" $op-$what "*) return 1;; esac
    case $op-$what in
      get-power) echo "power:$power";;
      get-boot) boot=default; [ -r "$f.boot" ] && read -r boot < "$f.boot"; echo "boot:$boot";;
      set-power) if [ "$value" = 1 ]; then turn 1 "$on_after"; else turn 0 "$off_after"; fi;;
      set-boot) echo "$value" > "$f.boot";;
      set-shutdown) turn 0 "$shutdown_after";;
      set-reset) ;;
      set-identify) [ $# -gt 0 ] && shift;;
      *) echo "no such parameter: $what"; return 1;;
    esac
  done
}
"""


def uptime() -> float:
    """
    The clock of the script: seconds since the machine that runs this was started.
    """
    return float(Path("/proc/uptime").read_text().split()[0])


@frozen(kw_only=True)
class Behaviour:
    """
    How a machine answers its BMC. The default obeys at once.

    :param on_after: seconds from power on to being on; likewise ``off_after``.
    :param shutdown_after: seconds that the operating system takes to stop; None: it never does.
    :param stuck: accepts everything and never changes.
    :param refuse: what ends in completion code 0xff: ``set-power``, ``get-power``, ``set-reset``,
        ``set-shutdown``, ``set-boot``, ``get-boot``.
    """

    on_after: float = 0.0
    off_after: float = 0.0
    shutdown_after: float | None = 0.0
    stuck: bool = False
    refuse: frozenset[str] = frozenset()

    def as_shell(self) -> str:
        """
        The assignments that the script reads.
        """
        shutdown = "" if self.shutdown_after is None else round(self.shutdown_after * 100)
        return (
            f"on_after={round(self.on_after * 100)} off_after={round(self.off_after * 100)} "
            f"shutdown_after={shutdown} stuck={'yes' if self.stuck else ''} "
            f"refuse='{' '.join(sorted(self.refuse))}'\n"
        )


@frozen
class ChassisCommand:
    """
    One thing that the BMC asked of the machine, at ``at`` seconds of `uptime`.
    """

    at: float
    op: str
    what: str
    value: str

    @classmethod
    def from_line(cls, line: str) -> ChassisCommand:
        """
        Read a line of the log.
        """
        now, op, what, *value = line.split()
        return cls(int(now) / 100, op, what, value[0] if value else "")


@frozen
class CommandLog:
    """
    Everything that was asked of one machine, oldest first.
    """

    commands: tuple[ChassisCommand, ...]

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> CommandLog:
        """
        Read a whole log.
        """
        return cls(tuple(ChassisCommand.from_line(line) for line in lines))

    def count(self, op: str, what: str, value: str | None = None) -> int:
        """
        How often this was asked.
        """
        return sum(
            command.op == op and command.what == what and value in (None, command.value)
            for command in self.commands
        )

    @property
    def changes(self) -> tuple[ChassisCommand, ...]:
        """
        What was set, without what was only read.
        """
        return tuple(command for command in self.commands if command.op == "set")

    @property
    def n_on(self) -> int:
        """
        Power-on commands; a ``cycle`` of the BMC counts one here and one in `n_off`.
        """
        return self.count("set", "power", "1")

    @property
    def n_off(self) -> int:
        """
        Hard power-off commands.
        """
        return self.count("set", "power", "0")

    @property
    def n_reset(self) -> int:
        """
        Hard resets.
        """
        return self.count("set", "reset")

    @property
    def n_shutdown(self) -> int:
        """
        Soft stops.
        """
        return self.count("set", "shutdown")

    @property
    def n_boot(self) -> int:
        """
        Choices of a boot device.
        """
        return self.count("set", "boot")

    @property
    def n_get_power(self) -> int:
        """
        Reads of the power state.
        """
        return self.count("get", "power")


@frozen
class MachineFiles:
    """
    The files of one simulated machine: the truth to compare an IPMI answer with.
    """

    stem: Path

    @property
    def state_file(self) -> Path:
        """
        Where the power state is kept.
        """
        return self._path("power")

    def _path(self, what: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}.{what}")

    def _replace(self, what: str, text: str) -> None:
        """
        Write a file that the script sees either old or new, never half.
        """
        fresh = self._path(f"{what}.new")
        fresh.write_text(text)
        fresh.replace(self._path(what))

    def power(self) -> bool:
        """
        Is the machine on at this moment?
        """
        while len(words := self.state_file.read_text().split()) != 3:
            pass  # the script is between truncating and writing
        before, after, at = words
        return (after if round(uptime() * 100) >= int(at) else before) == "1"

    def set_power(self, on: bool) -> None:
        """
        What someone at the machine's own button does: no command is recorded.
        """
        self._replace("power", f"{int(on)} {int(on)} 0\n")

    def boot(self) -> str:
        """
        The boot device that was chosen last, in `ipmi_sim`'s words, or ``default``.
        """
        path = self._path("boot")
        return path.read_text().strip() if path.exists() else "default"

    def behave(self, behaviour: Behaviour) -> None:
        """
        Let the machine act like this from the next command on.
        """
        self._replace("faults", behaviour.as_shell())

    def commands(self) -> CommandLog:
        """
        What was asked since the start, or since `forget_commands`.
        """
        path = self._path("log")
        return CommandLog.from_lines(path.read_text().splitlines() if path.exists() else ())

    def forget_commands(self) -> None:
        """
        Begin a new count.
        """
        self._path("log").write_text("")
