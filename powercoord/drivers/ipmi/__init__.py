# SPDX-License-Identifier: MIT
"""
IPMI, spoken natively: RMCP+ on one UDP socket for the whole fleet.
"""

from powercoord.drivers.ipmi.native import IpmiDriver, driver
from powercoord.drivers.ipmi.settings import IpmiSettings

__all__ = ["IpmiDriver", "IpmiSettings", "driver"]
