# SPDX-License-Identifier: MIT
"""
IPMI by the program `ipmitool`, for BMCs that nothing else satisfies.
"""

from powercoord.drivers.ipmitool.driver import IpmitoolDriver, driver
from powercoord.drivers.ipmitool.settings import IpmitoolSettings

__all__ = ["IpmitoolDriver", "IpmitoolSettings", "driver"]
