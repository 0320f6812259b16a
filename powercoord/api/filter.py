# SPDX-License-Identifier: MIT
"""
Which events a subscriber wants.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from powercoord.api.batch import read_words
from powercoord.entries import Accepted, Answered, Ended, Entry, Followed
from powercoord.errors import BadRequest
from powercoord.forms import KINDS

STAGE = "stage"
MAX_FILTER = 2_000
MAX_FOLLOWED = 50_000
_LISTS = ("nodes", "actions", "requests")


@define(eq=False)
class Filter:
    """
    Which entries somebody wants.

    A request that matches brings its action along, with all that becomes of
    it, also when another action takes its place.
    """

    everything: bool
    nodes: frozenset[str]
    actions: frozenset[str]
    requests: set[str]
    prefix: str
    kinds: frozenset[str]
    _found: set[str] = field(factory=set, init=False)

    @classmethod
    def read(cls, form: Any) -> Filter:
        """
        The filter in a form; an empty one wants everything.

        :raises BadRequest: that is no filter; the text says what is wrong with it.
        """
        if type(form) is not dict:
            raise BadRequest("filter: it must be an object")
        if unknown := form.keys() - {*_LISTS, "request_prefix", "kinds"}:
            raise BadRequest(f"filter: there is no field {min(unknown)[:64]!r}")
        prefix, kinds = _prefix(form.get("request_prefix")), _kinds(form.get("kinds"))
        nodes, actions, requests = (_words(form.get(name), name) for name in _LISTS)
        everything = not (nodes or actions or requests or prefix)
        return cls(everything, nodes, actions, set(requests), prefix, kinds)

    def add(self, requests: Any) -> None:
        """
        Want these requests too.

        :raises BadRequest: that is no list of them, or too many to keep.
        """
        more = read_words(requests, "requests", MAX_FILTER)
        if len(self.requests) + len(more) > MAX_FOLLOWED:
            raise BadRequest(f"requests: a subscription follows at most {MAX_FOLLOWED} unanswered requests")
        self.requests.update(more)

    @property
    def wants_stages(self) -> bool:
        """
        Whether what becomes of the coordinator itself is to be told.
        """
        return STAGE in self.kinds if self.kinds else self.everything

    def wants(self, entry: Entry) -> bool:
        """
        Whether an entry is to be told; to be asked about every entry, in order.
        """
        return (self.everything or self._concerns(entry)) and (
            not self.kinds or KINDS[type(entry)] in self.kinds
        )

    def _concerns(self, entry: Entry) -> bool:
        node, action, request = _about(entry)
        mine = request in self.requests or (self.prefix != "" and request.startswith(self.prefix))
        if mine and isinstance(entry, Accepted | Followed):
            self._found.add(action)
        wanted = mine or node in self.nodes or action in self.actions or action in self._found
        if isinstance(entry, Ended):
            self._found.discard(action)
        elif mine and isinstance(entry, Answered):
            self.requests.discard(request)
        return wanted


def _about(entry: Entry) -> tuple[str, str, str]:
    """
    The node, the action and the request id of an entry, as far as it has them.
    """
    if isinstance(entry, Accepted):
        return entry.request.node, entry.action, entry.request.request_id
    return entry.node, getattr(entry, "action", ""), getattr(entry, "request_id", "")


def _words(value: Any, name: str) -> frozenset[str]:
    return frozenset() if value is None else frozenset(read_words(value, f"filter: {name}", MAX_FILTER))


def _prefix(value: Any) -> str:
    return "" if value is None else read_words([value], "filter: request_prefix", 1)[0]


def _kinds(value: Any) -> frozenset[str]:
    kinds, known = _words(value, "kinds"), (*KINDS.values(), STAGE)
    if unknown := kinds - set(known):
        raise BadRequest(f"filter: kinds: there is no {min(unknown)}; there are {', '.join(known)}")
    return kinds
