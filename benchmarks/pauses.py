# SPDX-License-Identifier: MIT
"""
The pauses that Python's garbage collector makes.
"""

from __future__ import annotations

import gc
import time

from attrs import define, field

# Shorter ones disturb nobody.
_LEAST = 0.001


def collect_rarely() -> None:
    """
    Leave what is there alone for ever, and look at the rest when there is much of it.

    By default, every 70,000 new objects can mean a look at all there are.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 50)


@define(eq=False)
class Pauses:
    """
    How long each collection took that took long, once `watch` was called.
    """

    seconds: list[float] = field(factory=list, init=False)
    _began: float = field(default=0.0, init=False)

    def watch(self) -> None:
        """
        Note them from now on.
        """
        gc.callbacks.append(self._collecting)

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic()
        elif (took := time.monotonic() - self._began) > _LEAST:
            self.seconds.append(took)
