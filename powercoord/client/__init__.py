# SPDX-License-Identifier: MIT
"""
For programs that ask a coordinator for power.
"""

from powercoord.api.health import Health
from powercoord.client.client import Client
from powercoord.client.connecting import Patience
from powercoord.client.errors import CallTimeout, ClientClosed, NotAuthenticated, RemoteError, Unreachable
from powercoord.client.holding import HeldNode, ReleasedNode
from powercoord.client.racks import Racks
from powercoord.client.results import (
    Accepted,
    Answer,
    Desired,
    Lagged,
    NodeStatus,
    Pulse,
    Reading,
    Refused,
    RosterEntry,
    ServerInfo,
    WatchEvent,
)
from powercoord.client.watch import Watch

__all__ = [
    "Accepted",
    "Answer",
    "CallTimeout",
    "Client",
    "ClientClosed",
    "Desired",
    "Health",
    "HeldNode",
    "Lagged",
    "NodeStatus",
    "NotAuthenticated",
    "Patience",
    "Pulse",
    "Racks",
    "Reading",
    "Refused",
    "ReleasedNode",
    "RemoteError",
    "RosterEntry",
    "ServerInfo",
    "Unreachable",
    "Watch",
    "WatchEvent",
]
