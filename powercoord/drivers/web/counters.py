# SPDX-License-Identifier: MIT
"""
What happened on the wire, for tests, benchmarks and the curious.
"""

from __future__ import annotations

from attrs import define


@define
class Counters:
    """
    Counts since the process began.

    :param connections: TCP connections that were tried.
    :param handshakes: those of them that could be used (with TLS: whose certificate is trusted).
    :param requests: HTTP requests of which a byte left.
    :param repeated: requests sent again because a kept connection had gone stale.
    :param redirected: requests sent again because the BMC said that it is elsewhere.
    """

    connections: int = 0
    handshakes: int = 0
    requests: int = 0
    repeated: int = 0
    redirected: int = 0
