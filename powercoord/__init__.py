# SPDX-License-Identifier: MIT
"""
Coordinate the power of a rack's machines: one change per node at a time, and the truth about how it ended.

``powercoord.client`` is for programs that ask for power; ``powercoord.interfaces``, ``powercoord.settings``
and ``powercoord.testing`` are for those who write drivers. Everything else is the coordinator's own.
"""

__all__: list[str] = []
