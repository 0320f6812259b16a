# SPDX-License-Identifier: MIT
"""
A BMC as a function of a request, and what its faults make of the answer. No socket, no timer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.machine import Machine
from powercoord.sim.web.exchange import Answer, Ask, Ending, Framing, Reaction
from powercoord.sim.web.faults import HEALTHY, Faults, hit
from powercoord.sim.web.record import Commanded, Handled, Record

GARBAGE = b'\xff\x00<<<"{this is not what was asked for\r\n'


class WebBmc(ABC):
    """
    What every kind has: machines, faults, a record.

    :ivar faults: what is wrong with it now.
    """

    def __init__(self, clock: IReactorTime, machines: Sequence[Machine]) -> None:
        self._clock = clock
        self.machines = machines
        self.record = Record()
        self.faults = HEALTHY
        self._next: deque[tuple[str, Faults]] = deque()

    @property
    def machine(self) -> Machine:
        """
        Its first machine, and mostly its only one.
        """
        return self.machines[0]

    def fail_next(self, name: str, faults: Faults, times: int = 1) -> None:
        """
        The next so many requests of this name meet these faults instead; after them all is as before.
        """
        self._next.extend([(name, faults)] * times)

    def receive(self, ask: Ask) -> Reaction:
        """
        What it does with a request; whatever is in it, this does not raise.
        """
        name = self.name_of(ask)
        faults = self._faults_for(name)
        if faults.dead or hit(faults.drop_before, name):
            return self._react(ask, name, None, Ending.SILENT if faults.dead else Ending.DROPPED, faults)
        refusal = faults.refusal(name)
        answer = self.answer(ask, name, faults) if refusal is None else self.refusal(ask, refusal)
        return self._react(ask, name, answer, _ending(faults, name), faults)

    @abstractmethod
    def check(self, faults: Faults) -> None:
        """
        :raises ValueError: they have words that this kind does not know.
        """

    @abstractmethod
    def name_of(self, ask: Ask) -> str:
        """
        What a request is for, in the words of faults.
        """

    @abstractmethod
    def answer(self, ask: Ask, name: str, faults: Faults) -> Answer:
        """
        Do what is asked.
        """

    def news(self) -> bytes:
        """
        What is to be told to those who listen, since it was told last.
        """
        return b""

    @abstractmethod
    def refusal(self, ask: Ask, code: int) -> Answer:
        """
        How this kind of BMC says no.
        """

    def command(self, machine: int, asked: str, verb: str | None, code: int, faults: Faults) -> None:
        """
        Note a request to change power, and do it unless ``verb`` is None.
        """
        self.record.commanded(Commanded(self._clock.seconds(), machine, asked, code))
        if verb is None:
            return
        if faults.stuck or faults.task_fails:
            self.machines[machine].record(verb)
        else:
            self.machines[machine].perform(verb)

    def _faults_for(self, name: str) -> Faults:
        for index, (awaited, faults) in enumerate(self._next):
            if awaited == name:
                del self._next[index]
                return faults
        return self.faults

    def _react(
        self, ask: Ask, name: str, answer: Answer | None, ending: Ending | None, faults: Faults
    ) -> Reaction:
        heard = ending not in (Ending.SILENT, Ending.DROPPED)
        code = answer.code if answer is not None and heard else None
        self.record.handled(Handled(self._clock.seconds(), ask.connection, ask.method, ask.path, name, code))
        if answer is not None and hit(faults.garbage, name):
            answer = evolve(answer, body=GARBAGE, framing=Framing.LENGTH)
        return Reaction(answer if heard else None, faults.delay if hit(faults.slow, name) else 0.0, ending)


def _ending(faults: Faults, name: str) -> Ending | None:
    for names, ending in (
        (faults.drop_after, Ending.DROPPED),
        (faults.mute, Ending.SILENT),
        (faults.torn, Ending.TORN),
        (faults.endless, Ending.ENDLESS),
    ):
        if hit(names, name):
            return ending
    return None
