# SPDX-License-Identifier: MIT
"""
What is to be done at a BMC: one operation of the coordinator, as it is passed down to the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define

from powercoord.drivers.ipmi.ask import Script
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.interfaces import IOperation

T = TypeVar("T")


@define(eq=False)
class Errand(Generic[T]):
    """
    One operation.

    :param deadline: on the clock; then whatever is unanswered is lost.
    """

    login: Login
    script: Callable[[Bmc, Login], Script[T]]
    deadline: float
    operation: IOperation
