# SPDX-License-Identifier: MIT
"""
What all simulated BMCs that speak HTTP share: ports, certificate, faults of the wire, and the record.
"""

__all__: list[str] = []
