# SPDX-License-Identifier: MIT
"""
Drivers that fail wrongly, or do not stop as they are told to.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from powercoord.errors import OperationCancelled, PowerAuthError, PowerConnError, PowerRefusedError
from powercoord.interfaces import IOperation
from powercoord.model import Boot, Command, PowerState, Target
from tests.conformance.breaking import breaks
from tests.conformance.fake_bench import NAME, GuardedDriver


@define(eq=False)
class Mask:
    """
    An operation as its driver should not see it.
    """

    real: IOperation
    deadline: float
    deaf: bool = False
    silent: bool = False
    cancelled: bool = field(default=False, init=False)

    def sending(self) -> None:
        if not self.silent:
            self.real.sending()

    def when_cancelled(self, callback: Any) -> None:
        if not self.deaf:
            self.real.when_cancelled(callback)


@breaks("wrong_password", "attempts to log in")
class Insistent(GuardedDriver):
    async def enter(self, target: Target, operation: IOperation) -> None:
        try:
            await super().enter(target, operation)
        except PowerAuthError:
            await super().enter(target, operation)


@breaks("wrong_password", "PowerConnError")
class Misreading(GuardedDriver):
    def refusal(self, target: Target) -> Exception:
        return PowerConnError("no connection")


@breaks("nobody_there", "was announced, and never sent")
class Premature(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        operation.sending()
        await super().command(target, command, operation)


@breaks("right_password_after_wrong", "ended so: None")
class Trusting(GuardedDriver):
    """
    Whoever comes after one who was let in is let in.
    """

    inside = False

    async def enter(self, target: Target, operation: IOperation) -> None:
        if not self.inside:
            await super().enter(target, operation)
            self.inside = True


@breaks("nobody_there", "having been sent")
class Claiming(GuardedDriver):
    def nobody(self, target: Target) -> Exception:
        return PowerConnError("connection refused", sent=True)


@breaks("nobody_there", "ConnectionRefusedError")
class Raw(GuardedDriver):
    def nobody(self, target: Target) -> Exception:
        return ConnectionRefusedError("connection refused")


@breaks("unknown_node", "does not name the node")
class Mumbling(GuardedDriver):
    def unknown(self, target: Target) -> Exception:
        return PowerRefusedError("no such outlet")


@breaks("unknown_node", "PowerConnError")
class Temporary(GuardedDriver):
    def unknown(self, target: Target) -> Exception:
        return PowerConnError(f"no outlet {target.selector}")


class Masking(GuardedDriver):
    """
    Gives its better half another operation than the real one.
    """

    deaf = silent = False
    patience: float | None = None

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        return await super().read(target, self.mask(operation))

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await super().command(target, command, self.mask(operation))

    def mask(self, operation: IOperation) -> Any:
        deadline = operation.deadline if self.patience is None else self.clock.seconds() + self.patience
        return Mask(operation, deadline, self.deaf, self.silent)


@breaks("deadline", "not ended after")
@breaks("no_time_left", "took too long")
class Unhurried(Masking):
    patience = 100.0


@breaks("silence", "not ended after")
class Endless(GuardedDriver):
    def __init__(self, *words: Any, **names: Any) -> None:
        super().__init__(*words, **names)
        self.timeout *= 3

    def worst_case(self, settings: Any, command: Command | None) -> float:
        return 2.0


class Denying(GuardedDriver):
    """
    Says that nothing left when something did.
    """

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        try:
            await super().command(target, command, operation)
        except (PowerConnError, OperationCancelled) as error:
            raise type(error)(str(error), sent=False) from None


@breaks("silence", "having been sent")
@breaks("lost_answer", "having been sent")
@breaks("polite_cancel_after_sending", "says it did not")
class Lying(Denying):
    pass


@breaks("lost_answer", "was repeated")
class Repeating(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        if self.machine(NAME).faults:
            operation.sending()
            self.machine(NAME).commands.append((0.0, command.value))
        await super().command(target, command, operation)


@breaks("polite_cancel_of_a_read", "has not ended")
@breaks("polite_cancel_of_a_change", "has not ended")
@breaks("cancelled_before", "has not ended")
@breaks("cancel_in_silence", "has not ended")
class Unhearing(Masking):
    deaf = True


@breaks("polite_cancel_while_announcing", "sent again")
class Doubling(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        await super().command(target, command, operation)
        if operation.cancelled:
            self.machine(NAME).commands.append((0.0, command.value))


@breaks("polite_cancel_of_a_read", "ended so")
class Misnaming(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        try:
            return await super().read(target, operation)
        except OperationCancelled:
            raise PowerConnError("stopped") from None


@breaks("polite_cancel_of_a_change", "announced something afterwards")
class Parting(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        operation.when_cancelled(operation.sending)
        await super().command(target, command, operation)


@breaks("cancel_of_a_boot_device", "announced something afterwards")
class Stubborn(GuardedDriver):
    """
    Goes on with the steps of a boot device when it is told to stop.
    """

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        try:
            await super().set_boot(target, boot, operation)
        finally:
            if operation.cancelled:
                operation.sending()


@breaks("polite_cancel_of_a_change", "what arrived")
class Afterthought(GuardedDriver):
    """
    What was to be sent is sent later, whoever cancelled.
    """

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        try:
            await super().command(target, command, operation)
        except OperationCancelled:
            self.clock.callLater(1.0, self.machine(NAME).commands.append, (0.0, command.value))
            raise


@breaks("hard_cancel_of_a_change", "what arrived")
class Shielded(GuardedDriver):
    """
    Tears nothing down: what it began goes on behind its back.
    """

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        try:
            await super().command(target, command, operation)
        except CancelledError:
            self.clock.callLater(1.0, self.machine(NAME).commands.append, (0.0, command.value))
            raise


@breaks("hard_cancel_of_a_read", "does not end there and then")
@breaks("hard_cancel_of_a_change", "does not end there and then")
class Tidying(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        try:
            return await super().read(target, operation)
        finally:
            await deferLater(self.clock, 1.0)  # type: ignore[arg-type]

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        try:
            await super().command(target, command, operation)
        finally:
            await deferLater(self.clock, 1.0)  # type: ignore[arg-type]


@breaks("hard_cancel_of_a_read", "returned as if")
class Swallowing(GuardedDriver):
    async def read(self, target: Target, operation: IOperation) -> PowerState:
        try:
            return await super().read(target, operation)
        except CancelledError:
            return PowerState.OFF


@breaks("polite_cancel_after_sending", "sent again")
class Nervous(GuardedDriver):
    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        machine = self.machine(NAME)
        operation.when_cancelled(lambda: machine.commands.append((0.0, command.value)))
        await super().command(target, command, operation)


@breaks("close_in_silence", "has not ended after 10 s")
class Waiting(GuardedDriver):
    async def close(self) -> None:
        if self.machine(NAME).faults:
            await Deferred()
        await super().close()
