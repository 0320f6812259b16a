# SPDX-License-Identifier: MIT
"""
The operations: read, command, next boot device, as messages to one device.

Each that changes anything begins with a read, so that what changes leaves on a connection that works and
with credentials that were accepted a moment ago: no refused password and no stale connection can then be the
reason why nobody knows what became of it.
"""

from __future__ import annotations

from attrs import define, field
from twisted.logger import Logger

from powercoord.drivers.amt import boot as booting
from powercoord.drivers.amt.answer import Answer, Fault, NotWsman
from powercoord.drivers.amt.device import Device
from powercoord.drivers.amt.envelope import Reference, Request, get, invoke
from powercoord.drivers.amt.namespaces import (
    ASSOCIATED_POWER,
    BOOT_CAPABILITIES,
    BOOT_SETTINGS,
    COMPUTER_SYSTEM,
    POWER_SERVICE,
    STANDBY_SERVICE,
    class_name,
)
from powercoord.drivers.amt.states import INVALID_TRANSITION, REQUESTED, Power, available, check
from powercoord.errors import (
    OperationCancelled,
    PowerActionError,
    PowerError,
    PowerRefusedError,
    PowerUnsupportedError,
)
from powercoord.interfaces import IOperation
from powercoord.model import Boot, Command, PowerState

_log = Logger()

#: The machine itself, as opposed to its management engine.
_MACHINE = Reference(
    COMPUTER_SYSTEM, (("CreationClassName", class_name(COMPUTER_SYSTEM)), ("Name", "ManagedSystem"))
)

#: IPS_PowerManagementService.OSPowerSavingState: all there, and in modern standby.
_FULL_POWER, _SAVING = "2", ("3",)

#: What a device says of a class that it does not have.
_NO_SUCH_CLASS = "DestinationUnreachable"

#: Faults that time mends; with those of the second kind it may have been done all the same.
_PASSING = frozenset(("QuotaLimit", "Concurrency", "EndpointUnavailable"))
_DONE_PERHAPS = frozenset(("TimedOut", "InternalError"))

#: The state that makes a command superfluous.
_GOALS = {Command.ON: PowerState.ON, Command.OFF: PowerState.OFF, Command.SOFT: PowerState.OFF}


@define(eq=False)
class Talk:
    """
    One operation with one device, which is ours until it is over.
    """

    _device: Device
    _operation: IOperation
    _until: float
    _changed: bool = field(default=False, init=False)

    async def read_power(self) -> PowerState:
        """
        Is it on or off?
        """
        return (await self._power()).state(self._device.what)

    async def change_power(self, command: Command) -> None:
        """
        Send one power command and have it accepted.
        """
        power = await self._power()
        number = REQUESTED[command]
        if command is Command.SOFT and number not in power.available:
            raise PowerRefusedError(
                f"{self._device.what}: it has no soft stop now: nothing in its operating system would hear it"
            )
        if command is Command.ON:
            await self._wake()
        request = invoke(
            POWER_SERVICE,
            "RequestPowerStateChange",
            ("PowerState", str(number)),
            ("ManagedElement", _MACHINE),
        )
        value = await self._call(request)
        if value == INVALID_TRANSITION and await self._is_there(command):
            return
        check(self._device.what, request.what, value)

    async def set_boot(self, boot: Boot) -> None:
        """
        Have the next start, and only that, come from another device.
        """
        if boot.persistent:
            raise PowerUnsupportedError(f"{self._device.what}: AMT sets a boot device for one start only")
        if boot.efi is not None:
            raise PowerUnsupportedError(f"{self._device.what}: AMT cannot choose between EFI and legacy boot")
        able = await self._ask(get(BOOT_CAPABILITIES))
        if isinstance(able, Answer) and booting.lacks(able, boot.device):
            raise PowerUnsupportedError(
                f"{self._device.what}: this machine cannot be told to start from {boot.device.value}"
            )
        current = await self._need(get(BOOT_SETTINGS))
        await self._do(booting.clear_order())
        await self._need(booting.settings(current, boot.device))
        await self._do(booting.use_once())
        source = booting.force_source(boot.device)
        if source is not None:
            await self._do(source)

    async def _power(self) -> Power:
        answer = await self._need(get(ASSOCIATED_POWER))
        return Power(self._number(answer, "PowerState", sent=False), available(answer))

    async def _is_there(self, command: Command) -> bool:
        """
        Whether a change was invalid because there was nothing to change.
        """
        goal = _GOALS.get(command)
        return goal is not None and (await self._power()).state(self._device.what) is goal

    async def _wake(self) -> None:
        """
        Have an operating system in modern standby come to full power, which AMT takes for on as it is.

        What the device says to that is of no account: the command that follows is the one that counts.
        """
        if not self._device.standby:
            return
        try:
            found = await self._ask(get(STANDBY_SERVICE))
            if isinstance(found, Fault):
                self._device.standby = found.code != _NO_SUCH_CLASS
            elif found.all("OSPowerSavingState") == _SAVING:
                await self._ask(full_power())
        except (PowerRefusedError, PowerActionError) as error:
            _log.debug("not woken from standby: {error}", error=error)

    async def _do(self, request: Request) -> None:
        check(self._device.what, request.what, await self._call(request))

    async def _call(self, request: Request) -> int:
        return self._number(await self._need(request), "ReturnValue", sent=True)

    def _number(self, answer: Answer, name: str, *, sent: bool) -> int:
        try:
            return answer.number(name)
        except NotWsman as error:
            raise PowerActionError(f"{self._device.what}: {error}", sent=sent) from None

    async def _need(self, request: Request) -> Answer:
        """
        An answer that is no fault.
        """
        answer = await self._ask(request)
        if isinstance(answer, Fault):
            raise _failed(f"{self._device.what}: {request.what}", answer, changes=request.changes)
        return answer

    async def _ask(self, request: Request) -> Answer | Fault:
        """
        Have it answered; who stops us between two changes is told that there was one.
        """
        try:
            answer = await self._device.ask(request, self._operation, self._until)
        except OperationCancelled as cancelled:
            raise OperationCancelled(sent=cancelled.sent or self._changed) from None
        self._changed = self._changed or request.changes
        return answer


def request_state(number: int) -> Request:
    """
    Ask for a state of power.
    """
    fields = ("PowerState", str(number)), ("ManagedElement", _MACHINE)
    return invoke(POWER_SERVICE, "RequestPowerStateChange", *fields)


def full_power() -> Request:
    """
    End modern standby.
    """
    fields = ("OSPowerSavingState", _FULL_POWER), ("ManagedElement", _MACHINE)
    return invoke(STANDBY_SERVICE, "RequestOSPowerSavingStateChange", *fields)


def _failed(doing: str, fault: Fault, *, changes: bool) -> PowerError:
    """
    A fault as the error that tells the caller what to do about it.
    """
    text = f"{doing}: {fault}"
    if fault.code in _DONE_PERHAPS:
        return PowerActionError(text, sent=changes)
    return PowerActionError(text) if fault.code in _PASSING else PowerRefusedError(text)
