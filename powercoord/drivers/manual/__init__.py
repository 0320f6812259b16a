# SPDX-License-Identifier: MIT
"""
Nodes whose power only a person can change.
"""

from powercoord.drivers.manual.driver import ManualDriver, ManualSettings, driver

__all__ = ["ManualDriver", "ManualSettings", "driver"]
