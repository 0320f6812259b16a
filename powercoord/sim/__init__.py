# SPDX-License-Identifier: MIT
"""
A fleet of simulated BMCs with machines behind them: RMCP+ on real sockets, thousands in one process.

Start with `powercoord.sim.fleet.SimulatedFleet`, or ``python -m powercoord.sim``.
"""

__all__: list[str] = []
