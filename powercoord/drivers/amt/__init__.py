# SPDX-License-Identifier: MIT
"""
Intel AMT, spoken natively: WS-Management on the machine's own management engine.
"""

from powercoord.drivers.amt.native import AmtDriver, driver
from powercoord.drivers.amt.settings import AmtSettings

__all__ = ["AmtDriver", "AmtSettings", "driver"]
