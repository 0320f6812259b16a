# SPDX-License-Identifier: MIT
"""
What an author gives the suite: a driver, and a device whose truth is known without asking the driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater

from powercoord.interfaces import IPowerDriver

#: The word among a device's commands for a choice of the boot device.
BOOT = "boot"


class Absent(Exception):
    """
    The bench cannot do this; its class says so in ``absent``, with the reason.
    """


class Device(ABC):
    """
    One machine, seen from behind its BMC.

    :ivar settings: the driver's settings value that names it.
    """

    settings: Any

    @abstractmethod
    def power(self) -> bool:
        """
        Is it on? Not asked through the driver.
        """

    @abstractmethod
    def set_power(self, on: bool) -> None:
        """
        What somebody in front of it does; counts as no command.
        """

    @abstractmethod
    def commands(self) -> Sequence[str]:
        """
        The power-changing commands that reached it so far, oldest first.

        Each is the ``value`` of a `Command` or `BOOT`, also those without effect.
        """


class Bench(ABC):
    """
    A driver and a device to try it on, made new for each rule.

    The methods below the line are abilities: whoever lacks one leaves it out and says why in the test
    case's ``absent``, and the rules that need it become visible as ``test_absent_…``.

    :ivar clock: what the driver takes for its reactor: the real one, or a `Clock`.
    :ivar device: the good one, which answers to a good password.
    :ivar context: MAAS's power parameters that describe that device, under MAAS's names.
    :ivar secrets: every password and key in use here; none may ever be seen.
    :ivar step: seconds that one turn of the clock takes; 0 is one turn of the reactor.
    :ivar most_steps: how many moments of an operation are tried for a cancel.
    :ivar effect: seconds after which a command's effect is there at the latest.
    :ivar quiet: seconds without traffic after which nothing is on its way any more.
    :ivar prompt: seconds that count as at once.
    :ivar slack: seconds that an operation may be late for its deadline, because the machine is busy.
    """

    clock: IReactorTime
    device: Device
    context: Mapping[str, Any]
    secrets: Sequence[str] = ()
    step: float = 0.0
    most_steps: int = 24
    effect: float = 2.0
    quiet: float = 0.03
    prompt: float = 0.25
    slack: float = 0.5

    @abstractmethod
    def make_driver(self) -> IPowerDriver:
        """
        A new driver, as its factory makes it; the suite closes it.
        """

    async def stop(self) -> None:  # noqa: B027 - there may be nothing to take away
        """
        Take the device away; called once, after the last driver was closed.
        """

    async def turn(self) -> None:
        """
        Let the smallest time pass in which something can happen.
        """
        await self.pause(self.step)

    async def pause(self, seconds: float) -> None:
        """
        Let time pass: turn the clock, or wait.
        """
        if isinstance(self.clock, Clock):
            self.clock.advance(seconds)
        else:
            await deferLater(self.clock, seconds)

    # --- abilities -------------------------------------------------------------------------------

    def refused(self) -> Any:
        """
        Settings of the good device with a wrong password.
        """
        raise Absent("refused")

    def logins(self) -> int:
        """
        How often somebody began to log in at the device so far; goes with `refused`.
        """
        raise Absent("refused")

    def unreachable(self) -> Any:
        """
        Settings that name an endpoint where nobody is.
        """
        raise Absent("unreachable")

    def nowhere(self) -> Any:
        """
        Settings that name a node which the good device's endpoint does not have.
        """
        raise Absent("nowhere")

    def neighbour(self) -> Device:
        """
        Another node at the good device's endpoint.
        """
        raise Absent("neighbour")

    def mute(self) -> None:
        """
        From now on the device hears nothing and says nothing, also to who is logged in.
        """
        raise Absent("mute")

    def lose_answers(self) -> None:
        """
        From now on the device does what it is told to, and its answers to what changes power are lost.
        """
        raise Absent("lose_answers")

    def unmute(self) -> None:
        """
        It is well again; goes with `mute` and `lose_answers`.
        """
        raise Absent("mute")

    def obeys_soft(self) -> None:
        """
        Its operating system obeys a soft stop from now on.
        """
        raise Absent("obeys_soft")

    def ignores_soft(self) -> None:
        """
        Its operating system ignores a soft stop from now on.
        """
        raise Absent("ignores_soft")


#: What a bench may be unable to do, with the method that shows it.
ABILITIES: Mapping[str, str] = {
    "refused": "a wrong password",
    "unreachable": "an endpoint where nobody is",
    "nowhere": "a node that the endpoint does not have",
    "neighbour": "a second node at the endpoint",
    "mute": "a device that falls silent",
    "lose_answers": "a device whose answers are lost",
    "obeys_soft": "an operating system that obeys",
    "ignores_soft": "an operating system that does not",
}
