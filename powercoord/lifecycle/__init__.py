# SPDX-License-Identifier: MIT
"""
Starting, serving, draining and stopping, in a stated order.

What may follow what is in `machine`; where the service stands and who wants
it where, in `lifecycle`; what is done, in `serving` and `course`.
"""

from powercoord.lifecycle.course import AtDeadline, Companion, StopPlan
from powercoord.lifecycle.lifecycle import Lifecycle
from powercoord.lifecycle.makers import WorkMakers
from powercoord.lifecycle.pace import Step
from powercoord.lifecycle.record import DrainRecord
from powercoord.lifecycle.serving import Coordinator
from powercoord.lifecycle.signals import Signals

__all__ = [
    "AtDeadline",
    "Companion",
    "Coordinator",
    "DrainRecord",
    "Lifecycle",
    "Signals",
    "Step",
    "StopPlan",
    "WorkMakers",
]
