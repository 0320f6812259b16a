# SPDX-License-Identifier: MIT
"""
What is asked for while the coordinator is killed: a few nodes, each with a story of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from powercoord.model import Boot, BootDevice, Verb
from powercoord.sim.faults import HEALTHY, Faults
from powercoord.sim.machine import Latency
from tests.crash.caller import Caller

USUAL = Latency(on=0.15, off=0.1, soft=0.15)
SLOW = Latency(on=0.6, off=0.3, soft=0.6)
DEAF = Latency(on=0.15, off=0.1, soft=None)

#: Long enough for a command to have been sent, shorter than a slow machine takes.
MEANWHILE = 0.2


@frozen
class Story:
    """
    What one caller wants of one node.

    :param began: whether its machine is on at first.
    :param slots: sessions that its BMC can hold. Half-made ones take a place, too, so one that loses
        datagrams needs many, or it lets nobody in for a minute.
    """

    tell: Callable[[Caller, str], Awaitable[None]]
    began: bool
    latency: Latency = USUAL
    faults: Faults = HEALTHY
    slots: int = 4


def just(verb: Verb, **options: object) -> Callable[[Caller, str], Awaitable[None]]:
    """
    One request and no more.
    """

    async def tell(caller: Caller, node: str) -> None:
        await caller.ask(node, verb, **options)

    return tell


def then(first: Verb, second: Verb, pause: float = MEANWHILE) -> Callable[[Caller, str], Awaitable[None]]:
    """
    One request, and another one while the first goes on.
    """

    async def tell(caller: Caller, node: str) -> None:
        await caller.ask(node, first)
        await caller.pause(pause)
        await caller.ask(node, second)

    return tell


async def cancelled_on(caller: Caller, node: str) -> None:
    """
    An on that is cancelled when it was sent.
    """
    accepted = await caller.ask(node, Verb.ON)
    await caller.pause(MEANWHILE)
    if accepted is not None:
        await caller.cancel(accepted.action)


async def queue(caller: Caller, node: str) -> None:
    """
    An on behind an off, and a second one that joins it.
    """
    await caller.ask(node, Verb.OFF)
    await caller.ask(node, Verb.ON)
    await caller.ask(node, Verb.ON)


PXE = Boot(BootDevice.PXE)

STORIES: Mapping[str, Story] = {
    "on": Story(just(Verb.ON), began=False),
    "off": Story(just(Verb.OFF), began=True),
    "slow-off": Story(just(Verb.OFF), began=True, latency=SLOW),
    "soft": Story(just(Verb.SOFT_OFF), began=True),
    "forced": Story(just(Verb.SOFT_OFF, deadline=0.5), began=True, latency=DEAF),
    "cycle": Story(just(Verb.CYCLE), began=True),
    "reset": Story(just(Verb.RESET), began=True),
    "pxe": Story(just(Verb.ON, boot=PXE), began=False),
    "boot": Story(just(Verb.BOOT, boot=PXE), began=False),
    "twice": Story(then(Verb.OFF, Verb.OFF, 0.05), began=True),
    "queue": Story(queue, began=True),
    "on-off": Story(then(Verb.ON, Verb.OFF), began=False, latency=SLOW),
    "cycle-off": Story(then(Verb.CYCLE, Verb.OFF), began=True, latency=SLOW),
    "soft-off": Story(then(Verb.SOFT_OFF, Verb.OFF), began=True, latency=SLOW),
    "reset-cycle": Story(then(Verb.RESET, Verb.CYCLE, 0.05), began=True),
    "cancel": Story(cancelled_on, began=False, latency=SLOW),
    "slow-bmc": Story(just(Verb.CYCLE), began=True, faults=Faults(reply_delay=0.05)),
    "lossy": Story(just(Verb.OFF), began=True, faults=Faults(loss_in=0.15, loss_out=0.15), slots=32),
}
