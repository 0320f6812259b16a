# SPDX-License-Identifier: MIT
"""
What happened on the wire since the start, as plain numbers.
"""

from __future__ import annotations

from attrs import define


@define(eq=False)
class Counters:
    """
    One fleet's numbers. They only grow, except ``talks`` and ``sessions``: how many there are now.

    :ivar talks: conversations with BMCs.
    :ivar ignored: datagrams from strangers, late ones, and those that belong to nothing asked.
    :ivar malformed: datagrams from a BMC of ours that could not be read or proved.
    :ivar retransmitted: requests sent again.
    :ivar refused: requests that a host said nobody listens for.
    :ivar unsent: requests that our own kernel did not take; they are sent again later.
    :ivar forgotten: sessions that a BMC did not know any more.
    """

    talks: int = 0
    sent: int = 0
    received: int = 0
    ignored: int = 0
    malformed: int = 0
    retransmitted: int = 0
    refused: int = 0
    unsent: int = 0
    sessions: int = 0
    opened: int = 0
    forgotten: int = 0
    evicted: int = 0
