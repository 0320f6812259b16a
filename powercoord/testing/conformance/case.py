# SPDX-License-Identifier: MIT
"""
How a rule is tried: on a new bench, with everything heard that the driver says, and quiet at the end.
"""

from __future__ import annotations

import traceback
import unittest
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.python.failure import Failure

from powercoord.interfaces import IPowerDriver
from powercoord.model import Boot, Command, Target
from powercoord.testing.conformance.bench import ABILITIES, Absent, Bench
from powercoord.testing.conformance.watching import Attempt, WatchedOperation

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as Asserting
else:
    Asserting = object

R = TypeVar("R", bound=Callable[..., Awaitable[None]])
_RULE, _TEST = "rule_", "test_"
_PATIENT_TURNS = 200
_PATIENCE = 0.005


def needs(*abilities: str) -> Callable[[R], R]:
    """
    Mark a rule that can be tried only on a bench with these abilities.
    """

    def mark(rule: R) -> R:
        rule.needs = abilities  # type: ignore[attr-defined]
        return rule

    return mark


class ConformanceCase(Asserting):
    """
    Makes a test of each rule, in every subclass that is a test case.

    :cvar absent: what the bench cannot do, with the reason; the names are those of its abilities. Each rule
        that needs one of these becomes ``test_absent_…``, which holds that the bench really cannot.
    """

    absent: ClassVar[Mapping[str, str]] = {}
    bench: Bench
    driver: IPowerDriver
    _heard: list[str]

    async def make_bench(self) -> Bench:
        """
        A bench of its own for each rule.
        """
        raise NotImplementedError(f"{type(self).__name__}.make_bench")

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if issubclass(cls, unittest.TestCase):
            for name in sorted(dir(cls)):
                if name.startswith(_RULE):
                    _make_test(cls, name.removeprefix(_RULE), getattr(cls, name))

    async def try_rule(self, rule: Callable[[Any], Awaitable[None]]) -> None:
        """
        Try one rule from a new bench to its end, at which nothing secret has been heard.
        """
        self._heard = []
        self.bench = await self.make_bench()
        observer = cast(ILogObserver, self._listen)
        globalLogPublisher.addObserver(observer)
        try:
            self.driver = self.bench.make_driver()
            try:
                await rule(self)
            except Absent as lack:
                self.fail(f"the bench cannot do '{lack}': write that method, or say in `absent` why not")
            finally:
                await self.close(self.driver)
        finally:
            globalLogPublisher.removeObserver(observer)
            await self.bench.stop()
        self.hold_secrets("an error or the log", self._heard)

    def target(self, settings: Any = None) -> Target:
        """
        The good device, or what other settings name.
        """
        return self.driver.target(self.bench.device.settings if settings is None else settings)

    def begin(
        self,
        what: Command | Boot | None,
        settings: Any = None,
        *,
        within: float | None = None,
        cancelled: bool = False,
        on_sending: Callable[[WatchedOperation], None] = lambda _: None,
    ) -> Attempt:
        """
        Start a command, a choice of boot device or, with None, a read.

        :param within: seconds to the operation's deadline; by default it is too far to matter.
        :param cancelled: whether it is politely cancelled before it begins.
        :param on_sending: is called with the operation whenever the driver announces something.
        """
        target = self.target(settings)
        seconds = self.longest(what, settings) * 10 if within is None else within
        operation = WatchedOperation(self.bench.clock.seconds() + seconds, on_sending)
        if cancelled:
            operation.cancel()
        call: Any
        if what is None:
            name, call = "read", self.driver.read(target, operation)
        elif isinstance(what, Boot):
            name, call = f"boot from {what.device.value}", self.driver.set_boot(target, what, operation)
        else:
            name, call = what.value, self.driver.command(target, what, operation)
        return Attempt.begin(name, call, operation, self.bench.clock)

    def longest(self, what: Command | Boot | None, settings: Any = None) -> float:
        """
        The driver's own word for how long it may take.
        """
        command = Command.ON if isinstance(what, Boot) else what
        known = self.bench.device.settings if settings is None else settings
        return self.driver.worst_case(known, command)

    async def finish(self, attempt: Attempt, within: float) -> Attempt:
        """
        Wait until it has ended, which it must within this time from its begin.
        """
        latest = attempt.began + within + self.bench.slack
        await self.until(lambda: attempt.over or self.bench.clock.seconds() > latest, float("inf"))
        if not attempt.over:
            attempt.call.cancel()
            self.fail(f"{attempt.what}: not ended after {within:g} s, which it may take at most")
        if attempt.failure is not None:
            self.hear(attempt.failure)
        if attempt.what == "read":
            self.assertEqual(0, attempt.operation.announced, "a read called sending(): it changes nothing")
        self.assertLessEqual(attempt.took, within + self.bench.slack, f"{attempt.what}: took too long")
        return attempt

    async def perform(self, what: Command | Boot | None, settings: Any = None) -> Any:
        """
        Do it to a good end, and return what it returned.
        """
        attempt = await self.finish(self.begin(what, settings), self.longest(what, settings))
        if attempt.failure is not None:
            self.fail(f"{attempt.what} failed on a healthy device: {attempt.failure.getTraceback()}")
        return attempt.result

    async def until(self, condition: Callable[[], bool], within: float) -> bool:
        """
        Let time pass until something is so, in small steps at first.
        """
        latest = self.bench.clock.seconds() + within
        turns = 0
        while not condition():
            if self.bench.clock.seconds() > latest:
                return False
            turns += 1
            await (self.bench.turn() if turns < _PATIENT_TURNS else self.bench.pause(_PATIENCE))
        return True

    def hear(self, failure: Failure) -> None:
        """
        Keep what an error tells, for the search for secrets.
        """
        chain = traceback.format_exception(failure.value)  # with the errors that it came from
        self._heard += [str(failure.value), repr(failure.value), failure.getTraceback(), *chain]

    def hold_secrets(self, where: str, texts: list[str]) -> None:
        """
        Fail if one of the texts has a secret in it; the complaint does not repeat it.
        """
        for text in texts:
            for number, secret in enumerate(self.bench.secrets):
                if secret in text:
                    self.fail(f"secret number {number} stands in {where}: {text.replace(secret, '*****')}")

    async def close(self, driver: IPowerDriver) -> None:
        """
        Close a driver, within the seconds that it has for that.
        """
        closing = _Closing(Deferred.fromCoroutine(driver.close()))
        closed = await self.until(lambda: closing.over, _LONGEST_CLOSE)
        self.assertTrue(closed, f"close() has not ended after {_LONGEST_CLOSE:g} s")
        await closing.call

    def _listen(self, event: LogEvent) -> None:
        self._heard.append(eventAsText(event))


_LONGEST_CLOSE = 10.0


@define(eq=False)
class _Closing:
    call: Deferred[None]
    over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        def over(result: Any) -> Any:
            self.over = True
            return result

        self.call.addBoth(over)


def _make_test(case: Any, name: str, rule: Callable[[Any], Awaitable[None]]) -> None:
    missing = [ability for ability in getattr(rule, "needs", ()) if ability in case.absent]

    @wraps(rule)
    async def test(self: ConformanceCase) -> None:
        await self.try_rule(rule)

    @wraps(rule)
    async def test_absent(self: ConformanceCase) -> None:
        await self.try_rule(lambda _: _hold_absence(self, missing))

    kind = test_absent if missing else test
    kind.__name__ = f"{_TEST}{'absent_' if missing else ''}{name}"
    setattr(case, kind.__name__, kind)


async def _hold_absence(case: ConformanceCase, abilities: list[str]) -> None:
    """
    What is declared absent has a reason, and the bench does not have it all the same.
    """
    for ability in abilities:
        case.assertTrue(case.absent[ability].strip(), f"absent['{ability}'] has no reason")
        method = getattr(type(case.bench), ability)
        case.assertIs(getattr(Bench, ability), method, f"'{ability}' is declared absent, and is there")


def unknown_abilities(case: type[ConformanceCase]) -> list[str]:
    """
    Names in ``absent`` that are no abilities.
    """
    return sorted(set(case.absent) - set(ABILITIES))


__all__ = ["Absent", "ConformanceCase", "needs", "unknown_abilities"]
