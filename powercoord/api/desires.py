# SPDX-License-Identifier: MIT
"""
The power that a caller wants of many nodes, read with suspicion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from powercoord.api.batch import MAX_WORD, items_of, read_fields, word
from powercoord.errors import BadRequest
from powercoord.model import Request, Verb

DOOR = "reconcile"
MAX_RECONCILE_ID = 64
TURNS: Mapping[str, Verb] = {"on": Verb.ON, "off": Verb.OFF}


def read_desires(reconcile_id: str, items: Any, requester: str) -> list[Request]:
    """
    A request for each node of a page.

    :raises BadRequest: the first thing that is wrong, with its place.
    """
    base = _base(reconcile_id)
    requests: dict[str, Request] = {}
    for index, fields in enumerate(_fields(items)):
        node = fields["node"]
        if node in requests:
            raise BadRequest(f"items[{index}]: {node} stands twice; say once what is wanted of it")
        requests[node] = Request(request_id=request_id(base, node), requester=requester, door=DOOR, **fields)
    return list(requests.values())


def request_id(reconcile_id: str, node: str) -> str:
    """
    The id of a node's request: the same each time, and never too long for one.
    """
    whole = f"{reconcile_id}:{node}"
    return whole if len(whole) <= MAX_WORD else f"{reconcile_id}:{sha256(node.encode()).hexdigest()[:40]}"


def _base(reconcile_id: str) -> str:
    try:
        base = str(word(reconcile_id))
    except ValueError:
        base = ""
    if 0 < len(base) <= MAX_RECONCILE_ID:
        return base
    raise BadRequest(
        f"reconcile_id: it must be a text of 1 to {MAX_RECONCILE_ID} printable characters,"
        " and the same when a page is sent again"
    )


def _fields(items: Any) -> Iterator[dict[str, Any]]:
    for index, item in enumerate(items_of(items, "items")):
        where = f"items[{index}]: "
        if type(item) is not dict:
            raise BadRequest(f"{where}it must be an object with node and state")
        given = dict(item)
        verb = _verb(given.pop("state", None), where)
        if unknown := given.keys() - {"node", "sequence"}:
            raise BadRequest(f"{where}there is no field {min(map(str, unknown))[:64]!r}")
        fields = read_fields(given, where)
        if "node" not in fields:
            raise BadRequest(f"{where}node is missing")
        yield fields | {"verb": verb}


def _verb(state: Any, where: str) -> Verb:
    verb = TURNS.get(state) if isinstance(state, str) else None
    if verb is None:
        raise BadRequest(f"{where}state: it must be on or off")
    return verb
