# SPDX-License-Identifier: MIT
"""
IPMI, spoken natively: RMCP+ on one UDP socket for the whole fleet.
"""

__all__: list[str] = []
