# SPDX-License-Identifier: MIT
"""
HTTP with a BMC, for all kinds of BMCs that speak it: whom to trust, and one exchange after another.
"""

from powercoord.drivers.web.counters import Counters
from powercoord.drivers.web.exchange import Exchange, sockets
from powercoord.drivers.web.place import Place
from powercoord.drivers.web.seat import Answer, Ask, Bounds
from powercoord.drivers.web.trust import Trust

__all__ = ["Answer", "Ask", "Bounds", "Counters", "Exchange", "Place", "Trust", "sockets"]
