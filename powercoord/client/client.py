# SPDX-License-Identifier: MIT
"""
The coordinator's power, as method calls that return Deferreds.

::

    client = Client.from_string(reactor, "unix:/run/powercoord/amp.sock", requester="region")
    await client.connect()
    outcome = await client.on("rack1n001")          # a powercoord.model.Outcome
    await client.close()
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from uuid import uuid4

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from powercoord.client.results import (
    Accepted,
    Answer,
    NodeStatus,
    Reading,
    RosterEntry,
    ServerInfo,
    WatchEvent,
)
from powercoord.model import Boot, CancelResult, Outcome, Policy, Request, Verb, Wait


@frozen(kw_only=True)
class Patience:
    """
    How long a client waits, in seconds.

    :param connect: for one attempt to connect.
    :param call: for the answer to any call, lost connections and all.  What
        waits for an outcome has no such limit: actions have deadlines.
    :param retry_first: before the second attempt to connect; it grows up to
        ``retry_longest``.
    """

    connect: float = 10.0
    call: float = 30.0
    retry_first: float = 0.25
    retry_longest: float = 30.0


class Watch:
    """
    Events in the order in which they became durable: ``async for event in watch``.

    It goes on over lost connections; what was missed, there or by reading too
    slowly, stands in the stream as one `Lagged`.  It ends with `stop` and with
    the client's `close`.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        """
        The next event; waits for it.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """
        Stop following; whoever waits for an event sees the end.
        """
        raise NotImplementedError


class Client:
    """
    One coordinator, kept connected from `connect` (or `start`) to `close`.

    A call made while the connection is down waits for the next one, within
    its patience; one whose connection is lost is sent again with the same
    request id, so that nothing is ever done twice.  Cancelling a Deferred that
    a method returned gives up waiting and changes nothing at the coordinator.

    Every method's Deferred fails with a `powercoord.errors.RequestRefused`
    subclass (the coordinator's refusal), or one of `powercoord.client.errors`.
    """

    def __init__(
        self,
        clock: Any,
        endpoint: IStreamClientEndpoint,
        *,
        name: str = "",
        requester: str = "",
        secret: bytes | None = None,
        patience: Patience = Patience(),
        jitter: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        """
        :param clock: the reactor.
        :param name: what error messages call the coordinator.
        :param requester: who asks, for the history and for other operators.
        :param secret: the shared secret, where the coordinator demands it.
        """
        raise NotImplementedError

    @classmethod
    def from_string(cls, reactor: Any, endpoint: str, **options: Any) -> Self:
        """
        Make a client of a Twisted client endpoint string.

        :raises ValueError: that is no endpoint; the text says why.
        """
        raise NotImplementedError

    # Being connected.

    def connect(self) -> Deferred[None]:
        """
        Connect now or fail with `Unreachable`, naming endpoint and reason.
        """
        raise NotImplementedError

    def start(self) -> None:
        """
        Begin to connect, and keep trying until `close`.
        """
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """
        Disconnect; calls that still wait fail with `ClientClosed`.
        """
        raise NotImplementedError

    # Asking for power.

    def request(
        self,
        node: str,
        verb: Verb,
        *,
        boot: Boot | None = None,
        escalate: bool = True,
        policy: Policy = Policy.SUPERSEDE,
        wait: Wait = Wait.POWER,
        deadline: float | None = None,
        sequence: int | None = None,
        request_id: str | None = None,
    ) -> Request:
        """
        Make a request with an id of its own, to be submitted.
        """
        raise NotImplementedError

    def submit(self, requests: Sequence[Request]) -> Deferred[tuple[Answer, ...]]:
        """
        Submit any number of requests; fires with one answer for each, in order.

        Fires once all are accepted or refused, durably; see `outcome` for how
        they end.
        """
        raise NotImplementedError

    def outcome(self, accepted: Accepted) -> Deferred[Outcome]:
        """
        How an accepted request ends; each call makes a Deferred of its own.

        It survives lost connections and restarts of the coordinator.
        """
        raise NotImplementedError

    def on(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Turn a node on and wait; options are those of `request`.
        """
        raise NotImplementedError

    def off(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Turn a node off, hard, and wait.
        """
        raise NotImplementedError

    def soft_off(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Ask the operating system to stop; at the deadline it is forced off.
        """
        raise NotImplementedError

    def cycle(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Off, seen off, on again, seen on.
        """
        raise NotImplementedError

    def reset(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Reset without removing power.
        """
        raise NotImplementedError

    def boot(self, node: str, boot: Boot, **options: Any) -> Deferred[Outcome]:
        """
        Set the next boot device and nothing else.
        """
        raise NotImplementedError

    def cancel(self, action: str) -> Deferred[CancelResult]:
        """
        Cancel an action, for all who wait for it; fires when it is quiet.
        """
        raise NotImplementedError

    # Looking.

    def query(
        self, nodes: Sequence[str], *, each: Callable[[Reading], None] | None = None
    ) -> Deferred[tuple[Reading, ...]]:
        """
        Read the power of nodes from their BMCs now.

        Never fails for a node: one that cannot be read is ``UNKNOWN`` or
        ``ERROR``, and one that does not exist is ``ERROR`` too, with a text.

        :param each: called with every reading as it comes.
        """
        raise NotImplementedError

    def status(self, nodes: Sequence[str] | None = None) -> Deferred[tuple[NodeStatus, ...]]:
        """
        What the registry knows of these nodes (default: all), without asking a BMC.

        :raises NoSuchNode: naming the first unknown one.
        """
        raise NotImplementedError

    def list_actions(self) -> Deferred[tuple[NodeStatus, ...]]:
        """
        The nodes that have an action in play or waiting, with who asked for it.
        """
        raise NotImplementedError

    def nodes(self) -> Deferred[tuple[RosterEntry, ...]]:
        """
        All nodes, configured ones first, with their groups.
        """
        raise NotImplementedError

    def drivers(self) -> Deferred[Sequence[Mapping[str, Any]]]:
        """
        The power drivers with their settings, as MAAS's DescribePowerTypes has them.
        """
        raise NotImplementedError

    def info(self) -> Deferred[ServerInfo]:
        """
        Who answers there, and whether it is draining.
        """
        raise NotImplementedError

    def watch(
        self,
        *,
        nodes: Sequence[str] = (),
        actions: Sequence[str] = (),
        requests: Sequence[str] = (),
        mine: bool = False,
    ) -> Deferred[Watch]:
        """
        Follow what happens from now on; fires when the coordinator has begun to tell.

        Without a filter: everything.  ``mine``: only what the requests of this
        client bring about, also those it has yet to make.
        """
        raise NotImplementedError

    # Running the coordinator.

    def drain(self, reason: str) -> Deferred[None]:
        """
        Let it refuse new changes; what was accepted goes on.
        """
        raise NotImplementedError

    def resume(self) -> Deferred[None]:
        """
        Let it take new work again.
        """
        raise NotImplementedError
