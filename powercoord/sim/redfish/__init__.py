# SPDX-License-Identifier: MIT
"""
Simulated BMCs that speak Redfish. Start with `powercoord.sim.redfish.fleet.RedfishFleet`.
"""

__all__: list[str] = []
