# SPDX-License-Identifier: MIT
"""
Guests of libvirt: its own protocol spoken natively, and the virsh program where that cannot be.
"""

from powercoord.drivers.virsh.native import VirshDriver, driver
from powercoord.drivers.virsh.settings import VirshSettings

__all__ = ["VirshDriver", "VirshSettings", "driver"]
