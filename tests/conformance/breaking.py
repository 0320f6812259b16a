# SPDX-License-Identifier: MIT
"""
How a driver that breaks a rule on purpose is written down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from tests.conformance.fake_bench import SETTINGS, FakeBench

B = TypeVar("B", bound=type[Any])


@frozen
class Broken:
    """
    A driver that breaks a rule.

    :param says: what stands in the complaint.
    :param settings: what names the good device.
    """

    rule: str
    says: str
    driver: type[Any]
    settings: Any = SETTINGS

    def bench(self) -> FakeBench:
        bench = FakeBench(self.driver)
        bench.device.settings = self.settings
        return bench


BROKEN: list[Broken] = []


def breaks(rule: str, says: str, settings: Any = SETTINGS) -> Callable[[B], B]:
    """
    Mark a driver with the rule that it breaks, and what the suite says of that.
    """

    def mark(driver: B) -> B:
        BROKEN.append(Broken(rule, says, driver, settings))
        return driver

    return mark
