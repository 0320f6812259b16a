# SPDX-License-Identifier: MIT
"""
The doors between the rooms, and what each side may rely on.

A method declared ``async def`` may take time; one declared ``def`` answers at
once.  What is *not* promised is said too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from powercoord.entries import Entry
from powercoord.holds import IHolds
from powercoord.model import (
    Boot,
    BootDevice,
    CancelResult,
    Command,
    Disposition,
    Node,
    Observation,
    Outcome,
    PowerState,
    Request,
    Target,
)
from powercoord.views import ActionView, NodeView

Listener = Callable[[int, Sequence[Entry]], None]
"""
Is told the number of the last entry, and the entries, which are consecutive.
"""


@frozen
class Capabilities:
    """
    What a kind of BMC can do at all.

    A command that is missing here is never asked for: a soft-off goes
    straight to hard, a reset is refused.

    :param at_once: how many operations one endpoint takes at once, where the
        configuration says nothing else.
    """

    commands: frozenset[Command]
    boot_devices: frozenset[BootDevice] = frozenset()
    queryable: bool = True
    at_once: int = 1


class IOperation(Interface):
    """
    One operation on the wire, as a driver sees it from inside.

    Two ways to stop it, and a driver honours both.  The polite one sets
    ``cancelled`` and calls what `when_cancelled` registered: the driver sends
    nothing new and ends when it is quiet: at once (`OperationCancelled`) if no
    power-changing request has left, else with its answer or its own timeout.
    The hard one cancels the coroutine's Deferred: the driver tears the channel
    down there and then, and nothing more is sent.
    """

    deadline: float = Attribute("Seconds on the reactor's clock by which it must have ended.")
    cancelled: bool = Attribute("Whether it was politely asked to stop.")

    def sending() -> None:
        """
        Tell that a power-changing request leaves now.

        Called before its first byte; repeated calls are harmless.  Reads and
        session set-up never call it.
        """

    def when_cancelled(callback: Callable[[], None]) -> None:
        """
        Call ``callback`` once on a polite cancel, at once if it was before.
        """


class IPowerDriver(Interface):
    """
    One kind of BMC.

    Each of the three ``async`` methods is one operation on the wire.  They are
    never called twice at once for one node; for one endpoint only up to its
    configured limit.  Waiting for a state, retrying, escalating and cycling
    are not the driver's: it must not do them.

    All three raise: `PowerConnError` (nobody answered; ``sent`` tells whether
    the command may have arrived), `PowerActionError` (the BMC cannot just
    now), `PowerAuthError`, `PowerRefusedError` (with the BMC's reason in
    words), `PowerSettingError`, `OperationCancelled`.
    """

    name: str = Attribute("The driver's name in configuration and on the wire.")
    title: str = Attribute("What a person calls this kind of BMC.")
    settings: type = Attribute("The attrs class of its settings (see powercoord.settings).")
    capabilities: Capabilities = Attribute("What this kind of BMC can do at all.")

    def target(settings: Any) -> Target:
        """
        Say which endpoint and selector a settings value names.

        :raises PowerSettingError: the settings contradict each other.
        """

    def from_context(context: Mapping[str, Any]) -> Any:
        """
        Make a settings value from MAAS's power parameters.

        :raises PowerSettingError: one is missing or makes no sense.
        """

    def worst_case(settings: Any, command: Command | None) -> float:
        """
        The longest one operation can take, in seconds, with these settings.

        ``None`` means a read.
        """

    def missing_tools() -> Sequence[str]:
        """
        Names of the packages that must be installed before this can work.
        """

    async def read(target: Target, operation: IOperation) -> PowerState:
        """
        Read the power state: ``ON`` or ``OFF``, never a guess.
        """

    async def command(target: Target, command: Command, operation: IOperation) -> None:
        """
        Send one command.

        Returning means that the BMC accepted it, not that power changed.
        ``SOFT`` and ``RESET`` leave at most once, whatever is lost.
        """

    async def set_boot(target: Target, boot: Boot, operation: IOperation) -> None:
        """
        Set the next boot device.  Calls ``sending`` like a command.
        """

    async def close() -> None:
        """
        Give back sessions and sockets; within seconds, whatever the BMCs do.
        """


class IPowerHints(Interface):
    """
    What a driver may provide beside `IPowerDriver`: its BMCs tell by themselves.
    """

    def watch(target: Target, hint: Callable[[], None]) -> Callable[[], None]:
        """
        Call ``hint`` whenever the power of a node may have changed, until the result is called.

        Opens nothing: it speaks on what reads and commands have opened.  A hint
        is never taken for an answer but for a reason to read now, so it may
        come too often, or not at all; it comes from the reactor and never raises.
        """


class IDriverFactory(Interface):
    """
    What an entry point of the group ``powercoord.drivers`` names.
    """

    def __call__(reactor: Any) -> IPowerDriver:
        """
        Make the one driver of this kind for this process.

        Nothing is opened yet: a socket comes with the first operation.
        """


class IPowerAction(Interface):
    """
    The object that does what requests asked of one node.
    """

    id: str = Attribute("Unique for ever.")

    def view() -> ActionView:
        """
        What an outsider may see of it.
        """

    def cancel(by: str) -> Deferred[CancelResult]:
        """
        Stop, and say truthfully how far it had come.

        Fires only when the action is quiescent: nothing more will be sent for
        it, and what was sent has been answered or has run out its own time.
        After the cancel time the channel is torn down and it says UNKNOWN.
        """


class ITicket(Interface):
    """
    What a caller gets for an accepted request.
    """

    action: str = Attribute("The id of the action that does it at first.")
    node: str = Attribute("The node's name.")
    request_id: str = Attribute("The request's id.")
    disposition: Disposition = Attribute("What became of the request at once.")
    superseded: tuple[str, ...] = Attribute("Ids of the actions it took the place of.")
    deadline: datetime | None = Attribute("When its action must have ended, if that is later than it asked.")

    def wait() -> Deferred[Outcome]:
        """
        A new Deferred that fires once with the outcome; never fails.

        Cancelling it makes this waiter go away and nothing else.
        """


class IRoster(Interface):
    """
    Who the nodes are.
    """

    def find(name: str) -> Node:
        """
        :raises NoSuchNode: naming it, and the nearest name there is.
        """

    def adopt(name: str, power_type: str, context: Mapping[str, Any]) -> Node:
        """
        The node that a caller describes itself, as MAAS does.

        One whose name, or endpoint and selector, is known already is that
        node, so that all who mean one machine share one lane.

        :raises UnknownPowerType: no such driver.
        :raises PowerSettingError: its driver cannot use the context.
        :raises BadRequest: the name is configured with another endpoint.
        """

    def names() -> Sequence[str]:
        """
        All names, configured ones first, in the configuration's order.
        """

    def groups() -> Mapping[str, Sequence[str]]:
        """
        Names of the nodes in each group.
        """

    def requiring(name: str) -> Sequence[str]:
        """
        Names of the nodes that name this one among what they require.
        """


class IRegistry(Interface):
    """
    The heart, as the APIs see it.
    """

    roster: IRoster = Attribute("Who the nodes are.")
    holds: IHolds = Attribute("Who forbids changes of which nodes.")

    def submit(request: Request) -> Deferred[ITicket]:
        """
        Accept a request or refuse it; fires when that is durable.

        The order of calls is the order of decisions.

        :raises RequestRefused: one of its subclasses; nothing was changed.
        """

    def submit_many(requests: Sequence[Request]) -> Deferred[Sequence[Any]]:
        """
        As `submit` for each in order, with one durable write for all.

        Fires with a ticket or a `RequestRefused` instance for each.
        """

    def query(name: str) -> Deferred[Observation]:
        """
        Read a node's state; identical reads are shared.

        During a change it is answered by that change's own next read.  Never
        fails for a reason of the BMC: then the state is UNKNOWN or ERROR and
        the text says why.

        :raises NoSuchNode: no such node.
        """

    def cancel(action: str, by: str) -> Deferred[CancelResult]:
        """
        Cancel an action, in play or waiting, for all of its waiters.

        :raises NoSuchAction: it is not there (any more).
        """

    def view(name: str) -> NodeView:
        """
        A node's state with its age, and its lane.

        :raises NoSuchNode: no such node.
        """

    def busy() -> Sequence[NodeView]:
        """
        The nodes that have an action in play or waiting.
        """

    def resolve(action: str, by: str, text: str) -> Deferred[CancelResult]:
        """
        End an action because a person says so; sends nothing.

        What is on the wire is torn down.  Its waiters hear UNKNOWN with who
        resolved it and why; fires when that is durable, with how far the
        action had come.

        :raises NoSuchAction: it is not there (any more).
        """

    def unpark(name: str, by: str) -> bool:
        """
        Speak to a node's endpoint again, because a person says so; False if one does.

        :raises NoSuchNode: no such node.
        """

    def outstanding() -> Sequence[str]:
        """
        Names of the nodes with something unfinished, with other power than is wanted, or held.
        """

    def subscribe(listener: Listener) -> Callable[[], None]:
        """
        Tell ``listener`` every entry once it is durable; call the result to stop.

        Listeners must return at once and never raise.
        """

    def drain(reason: str, by: str) -> None:
        """
        Refuse new changes with `Draining`; what was accepted goes on.
        """

    def resume(by: str) -> None:
        """
        Take new work again.
        """

    draining: str | None = Attribute("The reason while draining, else None.")

    trouble: str | None = Attribute("Why nothing new can be accepted (the journal), else None.")


class IDoor(Interface):
    """
    A way in for callers: a listener, or a connection that is dialled.
    """

    name: str = Attribute("What it is and where, for the log.")

    async def open() -> None:
        """
        Let callers in.

        :raises Exception: it cannot; the text says why.
        """

    async def stop_accepting() -> None:
        """
        Let nobody new in, and tell who is in that we are going away.
        """

    async def close() -> None:
        """
        Send what is still to be answered, then close; within seconds.
        """
