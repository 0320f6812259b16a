# SPDX-License-Identifier: MIT
"""
Starting, serving and stopping, in a stated order.
"""

from powercoord.lifecycle.coordinator import Coordinator
from powercoord.lifecycle.stopping import Step, stop_in_order

__all__ = ["Coordinator", "Step", "stop_in_order"]
