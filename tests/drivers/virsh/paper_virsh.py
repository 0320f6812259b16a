# SPDX-License-Identifier: MIT
"""
A virsh on paper: what a child process would do, on a clock, in this process.

It prints what the real one prints (measured with libvirt 9.0): its prompt and
every line that it reads among the answers, errors on the other pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from powercoord.drivers.virsh.guests import WORDS, GuestState

PROMPT = "virsh # "
WIDTH = 80
ENDED = {GuestState.SHUTOFF}
CHANGES = {"start", "destroy", "shutdown", "reset"}


@define(eq=False)
class PaperHost:
    """
    The guests, by UUID, and how the hypervisor behaves.

    :param silent: commands that are never answered, by their first word.
    :param broken: what is said on the error pipe instead of carrying a command out, by its first word.
    :param unreachable: what a virsh says when it starts, and ends.
    :param preface: what stands on the error pipe before each answer.
    :param mute: whether nothing is heard or said any more.
    :param loses: whether what changes power is done, and its answer lost.
    :param obeys: whether guests end when they are asked to.
    :param latency: seconds that everything takes.
    :param dials: how often a virsh was started for it.
    """

    names: dict[str, str] = field(factory=dict)
    states: dict[str, GuestState] = field(factory=dict)
    silent: set[str] = field(factory=set)
    broken: dict[str, Sequence[str]] = field(factory=dict)
    unreachable: str = ""
    preface: str = ""
    mute: bool = False
    loses: bool = False
    obeys: bool = True
    latency: float = 0.0
    dials: int = 0
    done: list[str] = field(factory=list)

    def add(self, name: str, uuid: str, state: GuestState = GuestState.SHUTOFF) -> None:
        self.names[uuid], self.states[uuid] = name, state

    def carry_out(self, line: str) -> tuple[Sequence[str], Sequence[str]]:
        """
        What it says on either pipe.
        """
        word, *arguments = line.split()
        self.done.append(line)
        if word in self.broken:
            return (), self.broken[word]
        return {"list": self._list, "domstats": self._stats}.get(word, self._change)(word, arguments)

    def _list(self, word: str, arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        if "--uuid" in arguments:
            return [f"{uuid} {name}" for uuid, name in self.names.items()], ()
        width = max(map(len, self.names.values()), default=0)
        return [
            f" {'-' if state in ENDED else '1'}   {self.names[uuid]:{width}}   {WORDS[state]}"
            for uuid, state in self.states.items()
        ], ()

    def _stats(self, word: str, arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        said: list[str] = []
        for uuid in arguments[1:]:
            if uuid not in self.names:
                return (), [f"error: failed to get domain '{uuid}'"]
            said += [f"Domain: '{self.names[uuid]}'", f"  state.state={self.states[uuid]:d}"]
            said += ["  state.reason=1", ""]
        return said[:-1], ()

    def _change(self, word: str, arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        (uuid,) = arguments
        if uuid not in self.names:
            return (), [f"error: failed to get domain '{uuid}'"]
        wanted = GuestState.RUNNING if word in ("start", "reset") else GuestState.SHUTOFF
        if word == "start" and self.states[uuid] not in ENDED:
            return (), ["error: Domain is already active"]
        if word != "start" and self.states[uuid] in ENDED:
            refused = "error: Requested operation is not valid: domain is not running"
            return (), [f"error: Failed to {word} domain '{uuid}'", refused]
        if word != "shutdown" or self.obeys:
            self.states[uuid] = wanted
        return (), ()


@define(eq=False)
class PaperVirsh:
    """
    One child, as its protocol's transport.
    """

    _host: PaperHost
    _clock: Clock
    protocol: ProcessProtocol
    words: Sequence[str]
    environment: Mapping[str, str]
    running: bool = field(default=True, init=False)
    stubborn: bool = field(default=False, init=False)
    signals: list[str] = field(factory=list, init=False)
    closed: bool = field(default=False, init=False)
    read: list[str] = field(factory=list, init=False)
    _hung: bool = field(default=False, init=False)

    def begin(self) -> None:
        self._host.dials += 1
        self.protocol.makeConnection(self)  # type: ignore[arg-type]
        if self._host.unreachable:
            self._clock.callLater(self._host.latency, self.die, self._host.unreachable)

    def writeToChild(self, number: int, data: bytes) -> None:  # noqa: N802 - Twisted's word
        for line in data.decode("ascii").splitlines():
            self._clock.callLater(self._host.latency, self._read, line)

    def closeStdin(self) -> None:  # noqa: N802 - Twisted's word
        self.closed = True
        if not self.stubborn:
            self._clock.callLater(0, self.die)

    def signalProcess(self, name: str) -> None:  # noqa: N802 - Twisted's word
        if not self.running:
            raise ProcessExitedAlready
        self.signals.append(name)
        self._clock.callLater(0, self.die)

    def ask_password(self) -> None:
        """
        It wants one before it reads any command.
        """
        self._hung = True
        self._clock.callLater(0, self.say, "Enter root's password for esx1: ")

    def say(self, text: str) -> None:
        self.protocol.outReceived(text.encode())

    def complain(self, text: str) -> None:
        self.protocol.errReceived(text.encode())

    def die(self, last: str = "") -> None:
        if self.running:
            if last:
                self.complain(last)
            self.running = False
            self.protocol.processEnded(Failure(ProcessDone(0)))

    def _read(self, line: str) -> None:
        if not self.running or self._hung:
            return
        self.read.append(line)
        shown = line if len(line) < WIDTH - len(PROMPT) else f"\r<{line[-50:]}"
        self.say(f"{PROMPT}{shown}\n")
        word, _, rest = line.partition(" ")
        if word in self._host.silent or self._host.mute:
            self._hung = True
        elif line.startswith("echo --err "):
            self.complain(f"{self._host.preface}error: {rest.removeprefix('--err ')}\n")
        elif word == "echo":
            self.say(rest)
        else:
            out, err = self._host.carry_out(line)
            self._hung = self._host.loses and word in CHANGES
            self.complain("".join(f"{each}\n" for each in err))
            self.say("".join(f"{each}\n" for each in out))


@define(eq=False)
class PaperReactor(Clock):
    """
    A clock whose child processes are on paper.

    :param others: hypervisors by what their URIs begin with.
    """

    host: PaperHost = field(factory=PaperHost)
    others: dict[str, PaperHost] = field(factory=dict)
    children: list[PaperVirsh] = field(factory=list, init=False)
    failing: bool = field(default=False, init=False)
    prepare: Callable[[PaperVirsh], None] | None = field(default=None, init=False)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def spawnProcess(
        self, protocol: ProcessProtocol, path: str, words: Sequence[str], environment: Mapping[str, str]
    ) -> Any:
        if self.failing:
            raise OSError("no room for another process")
        found = (host for uri, host in self.others.items() if words[3].startswith(uri))
        child = PaperVirsh(next(found, self.host), self, protocol, words, environment)
        self.children.append(child)
        if self.prepare is not None:
            self.prepare(child)
        child.begin()
        return child

    def turn(self) -> None:
        """
        Let everything happen that is due.
        """
        for _ in range(100):
            self.advance(0)

    @property
    def running(self) -> list[PaperVirsh]:
        return [child for child in self.children if child.running]
