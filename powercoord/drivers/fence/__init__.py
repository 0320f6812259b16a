# SPDX-License-Identifier: MIT
"""
Whatever a ClusterLabs fence agent can switch: some eighty more kinds of devices.
"""

from powercoord.drivers.fence.driver import FenceAgentDriver, driver
from powercoord.drivers.fence.settings import FenceAgentSettings

__all__ = ["FenceAgentDriver", "FenceAgentSettings", "driver"]
