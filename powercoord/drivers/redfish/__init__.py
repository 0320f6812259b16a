# SPDX-License-Identifier: MIT
"""
Redfish, spoken natively: one connection and one session for each service.
"""

from powercoord.drivers.redfish.native import RedfishDriver, driver
from powercoord.drivers.redfish.settings import RedfishSettings

__all__ = ["RedfishDriver", "RedfishSettings", "driver"]
