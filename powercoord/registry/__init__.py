# SPDX-License-Identifier: MIT
"""
The heart: who may do what to which node, and when.

What is decided is in `lattice` (pure functions over values); what is done is
in `reaching`, `offs` and `verbs`, one step at a time; `registry` is the door.
Nothing here knows a socket, a file or a reactor other than its clock.
"""

from powercoord.registry.build import Limits, build_registry
from powercoord.registry.registry import Registry
from powercoord.registry.sweep_rhythm import Sweeping

__all__ = ["Limits", "Registry", "Sweeping", "build_registry"]
