# SPDX-License-Identifier: MIT
"""
Simulated machines with Intel AMT. Start with `powercoord.sim.amt.fleet.AmtFleet`.
"""

__all__: list[str] = []
