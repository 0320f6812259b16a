# SPDX-License-Identifier: MIT
"""
A fleet of BMCs that none of us wrote: OpenIPMI's `ipmi_sim`, hundreds of BMCs to a process.

Each BMC has a 127.x address and a machine of its own (`powercoord.testing.chassis_script`), whose files tell
a test what really happened. Starting blocks for a moment (0.2 s for 100 BMCs, 1.1 s for 1,000): this is for
fixtures and benchmarks, not for a service.

::

    with IpmiSimFleet(count=100) as fleet:
        ...  # talk IPMI to fleet.bmcs[7].address, fleet.port
        assert fleet.power(7) and fleet.commands(7).n_on == 1
"""

from __future__ import annotations

import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from powercoord.testing.chassis_script import SCRIPT, Behaviour, CommandLog, MachineFiles
from powercoord.testing.ipmi_sim_config import IPMB_ADDRESSES, emulation, lan_config

PER_PROCESS = 250

# Get Channel Authentication Capabilities (IPMI 2.0, 22.13) outside a session: any BMC must answer it.
_ANYBODY = bytes.fromhex("0600ff07 00 00000000 00000000 09 2018c8 810038 0e0435")


class IpmiSimError(Exception):
    """
    The simulator did not start. The text says which process and what it printed.
    """


@frozen
class IpmiSimBmc:
    """
    One BMC: where it listens and the machine behind it.
    """

    address: str
    port: int
    machine: MachineFiles

    @property
    def state_file(self) -> Path:
        """
        The truth about its power.
        """
        return self.machine.state_file


def available() -> bool:
    """
    Is `ipmi_sim` installed?
    """
    return shutil.which("ipmi_sim") is not None


def free_port(address: str) -> int:
    """
    A UDP port that nobody listens on at this address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _require_free(address: str, port: int) -> None:
    """
    `ipmi_sim` itself would share the port with whoever has it, and steal half of the datagrams.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            raise IpmiSimError(f"{address} port {port} cannot be used: {error.strerror}") from error


@define
class _Process:
    """
    One `ipmi_sim` and its folder.
    """

    folder: Path
    child: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, bmcs: list[IpmiSimBmc], script: Path, kg: bytes) -> _Process:
        folder.mkdir()
        ipmbs = list(IPMB_ADDRESSES[: len(bmcs)])
        config = "".join(
            lan_config(bmc.address, bmc.port, ipmb, f". {script}; chassis {bmc.machine.stem}", kg)
            for bmc, ipmb in zip(bmcs, ipmbs, strict=True)
        )
        (folder / "sim.conf").write_text(f'name "{folder.name}"\n{config}')
        (folder / "sim.emu").write_text(emulation(ipmbs))
        paths = {"-c": folder / "sim.conf", "-f": folder / "sim.emu", "-s": folder}
        command = ["ipmi_sim", "-n", "-p", *(str(word) for pair in paths.items() for word in pair)]
        if shutil.which("setpriv"):  # so that a killed test leaves nothing behind
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        with (folder / "output").open("wb") as output:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        return cls(folder, child)

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace").strip()[-500:]


def _stop(processes: list[_Process], folder: Path) -> None:
    """
    End every process, by force if need be, and remove their files.
    """
    for process in processes:
        process.child.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.child.wait(3)
        except subprocess.TimeoutExpired:
            process.child.kill()
            process.child.wait()
    processes.clear()
    shutil.rmtree(folder, ignore_errors=True)


@define(kw_only=True, eq=False)
class IpmiSimFleet:
    """
    Start ``count`` BMCs, at ``base`` and the addresses after it.

    :param port: the UDP port of all of them; 0 takes a free one, so that test runs do not meet.
    :param kg: K_g of at most 16 bytes, for two-key authentication; empty: BMCs have none.
    :param powered: the state in which machines start.
    """

    count: int
    base: str = "127.77.0.1"
    port: int = 0
    kg: bytes = field(default=b"", repr=False)
    powered: bool = False
    bmcs: tuple[IpmiSimBmc, ...] = field(init=False, default=())
    _processes: list[_Process] = field(init=False, factory=list)
    _cleanup: weakref.finalize[..., IpmiSimFleet] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 30.0) -> None:
        """
        Return when every BMC answers.

        :raises IpmiSimError: an address is taken, a process ended, or a BMC was silent all the time.
        """
        folder = Path(tempfile.mkdtemp(prefix="ipmi-sim-"))
        self._cleanup = weakref.finalize(self, _stop, self._processes, folder)
        self.port = self.port or free_port(self.base)
        self.bmcs = tuple(self._bmc(folder, index) for index in range(self.count))
        for bmc in self.bmcs:
            _require_free(bmc.address, bmc.port)
        script = folder / "chassis.sh"
        script.write_text(SCRIPT)
        for bmc in self.bmcs:
            bmc.machine.set_power(self.powered)
        for number, first in enumerate(range(0, self.count, PER_PROCESS)):
            bmcs = list(self.bmcs[first : first + PER_PROCESS])
            self._processes.append(_Process.start(folder / f"p{number}", bmcs, script, self.kg))
        try:
            self._wait_for_answers(timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """
        End the processes and remove their files. May be called twice.
        """
        if self._cleanup is not None:
            self._cleanup()

    @property
    def pids(self) -> tuple[int, ...]:
        """
        The processes, for measurements.
        """
        return tuple(process.child.pid for process in self._processes)

    def power(self, index: int) -> bool:
        """
        Is this machine on? Read from its file, not asked of the BMC.
        """
        return self.bmcs[index].machine.power()

    def commands(self, index: int) -> CommandLog:
        """
        What this BMC has asked of its machine.
        """
        return self.bmcs[index].machine.commands()

    def behave(self, index: int, behaviour: Behaviour) -> None:
        """
        Make a machine slow, stuck, or refuse.
        """
        self.bmcs[index].machine.behave(behaviour)

    def reset(self) -> None:
        """
        All machines as at the start, with nothing recorded: between tests that share a fleet.
        """
        for bmc in self.bmcs:
            bmc.machine.behave(Behaviour())
            bmc.machine.set_power(self.powered)
            bmc.machine.forget_commands()

    def _bmc(self, folder: Path, index: int) -> IpmiSimBmc:
        address = str(IPv4Address(self.base) + index)
        return IpmiSimBmc(address, self.port, MachineFiles(folder / address))

    def _wait_for_answers(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        silent = {bmc.address for bmc in self.bmcs}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.setblocking(False)
            while silent:
                for process in self._processes:
                    if process.child.poll() is not None:
                        raise IpmiSimError(f"ipmi_sim {process.folder.name} ended: {process.output()}")
                if time.monotonic() > deadline:
                    raise IpmiSimError(f"{len(silent)} BMCs silent after {timeout:g} s, e.g. {min(silent)}")
                for address in sorted(silent)[:64]:
                    probe.sendto(_ANYBODY, (address, self.port))
                silent -= _heard(probe, 0.05)


def _heard(probe: socket.socket, patience: float) -> set[str]:
    """
    The addresses that something came from, until ``patience`` seconds pass in silence.
    """
    heard: set[str] = set()
    while select.select([probe], [], [], patience)[0]:
        try:
            heard.add(probe.recvfrom(2048)[1][0])
        except OSError:
            continue
    return heard


def require_ipmi_sim() -> None:
    """
    Say what is missing, and how to get it.

    :raises IpmiSimError: `ipmi_sim` is not installed.
    """
    if not available():
        raise IpmiSimError("ipmi_sim is not installed: it comes with the Debian package openipmi")
