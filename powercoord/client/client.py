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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from powercoord.api.commands import DescribePowerTypes, Identify
from powercoord.api.extensions import Cancel, ListActions, ListDrivers, ListNodes, Status
from powercoord.client.holding import Holding
from powercoord.client.outcomes import Fate
from powercoord.client.past import Past
from powercoord.client.reading import CHUNK, entry_from, status_from
from powercoord.client.results import (
    Accepted,
    Answer,
    NodeStatus,
    Reading,
    Refused,
    RosterEntry,
    ServerInfo,
)
from powercoord.client.steering import Steering
from powercoord.client.watch import Watch
from powercoord.model import Boot, CancelResult, Outcome, Policy, Request, Verb, Wait


class Client(Past, Holding, Steering):
    """
    One coordinator, kept connected from `connect` (or `start`) to `close`.

    A call made while the connection is down waits for the next one, within
    its patience; one whose connection is lost is sent again with the same
    request id, so that nothing is ever done twice.  Cancelling a Deferred that
    a method returned gives up waiting and changes nothing at the coordinator.

    Every method's Deferred fails with a `powercoord.errors.RequestRefused`
    subclass (the coordinator's refusal), or one of `powercoord.client.errors`.
    """

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
        with_children: bool = False,
    ) -> Request:
        """
        Make a request, with an id of its own if it is given none, to be submitted.
        """
        return Request(
            node=node,
            verb=verb,
            request_id=request_id or self._next_id(),
            boot=boot,
            escalate=escalate,
            policy=policy,
            wait=wait,
            deadline=deadline,
            requester=self._requester,
            sequence=sequence,
            with_children=with_children,
        )

    def submit(self, requests: Sequence[Request]) -> Deferred[tuple[Answer, ...]]:
        """
        Submit any number of requests; fires with one answer for each, in order.

        Fires once all are accepted or refused, durably; see `outcome` for how
        they end.
        """
        return Deferred.fromCoroutine(self._submit(requests))

    def outcome(self, accepted: Accepted) -> Deferred[Outcome]:
        """
        How an accepted request ends; each call makes a Deferred of its own.

        It survives lost connections and restarts of the coordinator.

        :param accepted: an answer of this client's `submit`.
        """
        fate = accepted._fate  # noqa: SLF001 - the client's own mark on its own result
        if not isinstance(fate, Fate):
            raise TypeError(f"{accepted} is no answer of a client's submit")
        return self._outcomes.wait(fate)

    def on(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Turn a node on and wait; options are those of `request`.
        """
        return self._do(self.request(node, Verb.ON, **options))

    def off(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Turn a node off, hard, and wait.
        """
        return self._do(self.request(node, Verb.OFF, **options))

    def soft_off(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Ask the operating system to stop; at the deadline it is forced off.
        """
        return self._do(self.request(node, Verb.SOFT_OFF, **options))

    def cycle(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Off, seen off, on again, seen on.
        """
        return self._do(self.request(node, Verb.CYCLE, **options))

    def reset(self, node: str, **options: Any) -> Deferred[Outcome]:
        """
        Reset without removing power.
        """
        return self._do(self.request(node, Verb.RESET, **options))

    def boot(self, node: str, boot: Boot, **options: Any) -> Deferred[Outcome]:
        """
        Set the next boot device and nothing else.
        """
        return self._do(self.request(node, Verb.BOOT, boot=boot, **options))

    def cancel(self, action: str) -> Deferred[CancelResult]:
        """
        Cancel an action, for all who wait for it; fires when it is quiet.
        """
        cancelled = self._call(Cancel, action=action, requester=self._requester)
        return cancelled.addCallback(lambda said: CancelResult(said["result"]))

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
        return Deferred.fromCoroutine(self._looker.query(nodes, each))

    def status(self, nodes: Sequence[str] | None = None) -> Deferred[tuple[NodeStatus, ...]]:
        """
        What the registry knows of these nodes (default: all), without asking a BMC.

        :raises NoSuchNode: naming the first unknown one.
        """

        async def status() -> tuple[NodeStatus, ...]:
            if nodes is None:
                return tuple(map(status_from, await self._looker.pages(Status)))
            chunks = [list(nodes[index : index + CHUNK]) for index in range(0, len(nodes), CHUNK)]
            pages = [await self._looker.pages(Status, nodes=chunk) for chunk in chunks]
            return tuple(status_from(form) for page in pages for form in page)

        return Deferred.fromCoroutine(status())

    def list_actions(self) -> Deferred[tuple[NodeStatus, ...]]:
        """
        The nodes that have an action in play or waiting, with who asked for it.
        """
        listed = Deferred.fromCoroutine(self._looker.pages(ListActions))
        return listed.addCallback(lambda forms: tuple(map(status_from, forms)))

    def nodes(self) -> Deferred[tuple[RosterEntry, ...]]:
        """
        All nodes, configured ones first, with their groups.
        """
        listed = Deferred.fromCoroutine(self._looker.pages(ListNodes))
        return listed.addCallback(lambda forms: tuple(map(entry_from, forms)))

    def drivers(self) -> Deferred[Sequence[Mapping[str, Any]]]:
        """
        The power drivers with their settings, as MAAS's DescribePowerTypes has them.
        """
        return self._call(DescribePowerTypes).addCallback(lambda said: said["power_types"])

    def installed(self) -> Deferred[Mapping[str, Any]]:
        """
        The ``drivers`` that are installed there, with all that they declare, and the ``broken`` ones.
        """
        return self._call(ListDrivers).addCallback(lambda said: said)

    def info(self) -> Deferred[ServerInfo]:
        """
        Who answers there, and whether it is draining.
        """
        return self._call(Identify).addCallback(lambda said: ServerInfo(**said))

    def watch(
        self,
        *,
        nodes: Sequence[str] = (),
        actions: Sequence[str] = (),
        requests: Sequence[str] = (),
        mine: bool = False,
        after: int | None = None,
    ) -> Deferred[Watch]:
        """
        Follow what happens from now on; fires when the coordinator has begun to tell.

        Without a filter: everything.  ``mine``: only what the requests of this
        client bring about, also those it has yet to make.

        :param after: tell first what happened after the event of that number
            (0: all that is still known).
        :raises BadRequest: some of that is not known any more.
        """
        wanted: dict[str, Any] = {"nodes": nodes, "actions": actions, "requests": requests}
        if mine:
            wanted["request_prefix"] = self._prefix
        wanted = {name: value for name, value in wanted.items() if value}
        return Deferred.fromCoroutine(self._watch(wanted, mine=mine, after=after))

    def _do(self, request: Request) -> Deferred[Outcome]:
        async def do() -> Outcome:
            (answer,) = await self._submit([request])
            if isinstance(answer, Refused):
                raise answer.error
            return await self.outcome(answer)

        return Deferred.fromCoroutine(do())
