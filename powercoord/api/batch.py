# SPDX-License-Identifier: MIT
"""
What a caller asks for, read with suspicion: from JSON, or from a command's arguments.

A batch is read whole or not at all: one item of a wrong shape, and nothing of
it is submitted.  Whether a node exists and can do it is the registry's to say,
for each item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from powercoord.errors import BadRequest
from powercoord.forms import boot_from
from powercoord.model import Boot, Policy, Request, Verb, Wait
from powercoord.nearest import nearest

MAX_ITEMS = 500
MAX_NAME = 255
MAX_WORD = 128
LONGEST = 7 * 86_400.0
LARGEST = 2**63 - 1

Reader = Callable[[Any], Any]


def _text(most: int, least: int = 1) -> Reader:
    """
    A text that can be put before an operator: printable, and of sensible length.
    """

    def read(value: Any) -> str:
        if type(value) is str and least <= len(value) <= most and value.isprintable():
            return value
        raise ValueError(f"it must be a text of {least} to {most} printable characters")

    return read


def _one_of(kind: type[Any]) -> Reader:
    known = {each.value: each for each in kind}

    def read(value: Any) -> Any:
        if type(value) is str and value in known:
            return known[value]
        raise ValueError(f"it must be one of {', '.join(known)}")

    return read


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise ValueError("it must be true or false")


def _boot(value: Any) -> Boot:
    if isinstance(value, str):
        return boot_from(value[:MAX_WORD])
    raise ValueError("it must be a text such as pxe or disk+persistent")


def _seconds(value: Any) -> float:
    if type(value) in (int, float) and 0 < value <= LONGEST:
        return float(value)
    raise ValueError(f"it must be a number of seconds above 0 and at most {LONGEST:.0f}")


def _sequence(value: Any) -> int:
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    raise ValueError("it must be a whole number, 0 or more")


node_name = _text(MAX_NAME)
word = _text(MAX_WORD)
anybody = _text(MAX_WORD, least=0)

FIELDS: Mapping[str, Reader] = {
    "node": node_name,
    "verb": _one_of(Verb),
    "request_id": word,
    "boot": _boot,
    "escalate": _boolean,
    "policy": _one_of(Policy),
    "wait": _one_of(Wait),
    "deadline": _seconds,
    "requester": anybody,
    "sequence": _sequence,
    "again": _boolean,
    "with_children": _boolean,
}
COMMON = FIELDS.keys() - {"node", "request_id"} | {"items", "request_prefix"}
TURN_ON = frozenset({Verb.ON, Verb.CYCLE, Verb.RESET, Verb.BOOT})


def read_fields(form: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """
    The fields of a form, each of its type; those that are null are left out.

    :raises BadRequest: naming the first that is unknown or wrong.
    """
    values = {}
    for name, value in form.items():
        read = FIELDS.get(name)
        if read is None:
            raise BadRequest(f"{where}there is no field {name[:64]!r}{_meant(name, FIELDS)}")
        if value is not None:
            try:
                values[name] = read(value)
            except ValueError as error:
                raise BadRequest(f"{where}{name}: {error}") from None
    return values


def checked(request: Request, where: str = "") -> Request:
    """
    A request whose verb and boot device go together.

    :raises BadRequest: they do not.
    """
    if request.boot is None:
        if request.verb is Verb.BOOT:
            raise BadRequest(f"{where}boot: the verb boot needs a device, such as pxe")
    elif request.verb not in TURN_ON:
        raise BadRequest(
            f"{where}boot: {request.verb.value} takes no boot device; on, cycle, reset and boot do"
        )
    return request


def read_batch(batch: Any, *, door: str, requester: str, new_id: Callable[[], str]) -> list[Request]:
    """
    The requests of a batch.

    An item that brings no id of its own gets one made of ``request_prefix``
    and its place in the list, so that sending the batch again is harmless.

    :param requester: who asks where the batch does not say it.
    :param new_id: makes a prefix where there is none.
    :raises BadRequest: the first thing that is wrong, with its place.
    """
    if type(batch) is not dict:
        raise BadRequest("batch: it must be an object with items")
    common = dict(batch)
    items = items_of(common.pop("items", None), "items")
    prefix = common.pop("request_prefix", None)
    for name in common:
        if name not in COMMON:
            raise BadRequest(f"batch: there is no field {name[:64]!r}{_meant(name, COMMON)}")
    prefix = f"{new_id()}-" if prefix is None else _prefix(prefix)
    shared = {"requester": requester} | read_fields(common, "batch: ") | {"door": door}
    return [_item(item, index, shared, prefix) for index, item in enumerate(items)]


def _item(item: Any, index: int, shared: dict[str, Any], prefix: str) -> Request:
    values = shared.copy()
    values["request_id"] = f"{prefix}{index}"
    if type(item) is dict:
        values.update(read_fields(item, f"items[{index}]: "))
    else:
        try:
            values["node"] = node_name(item)
        except ValueError as error:
            raise BadRequest(f"items[{index}]: {error}") from None
    for name in ("node", "verb"):
        if name not in values:
            raise BadRequest(f"items[{index}]: {name} is missing")
    request = Request(**values)
    if request.boot is None and request.verb is not Verb.BOOT:
        return request
    return checked(request, f"items[{index}]: ")


def read_words(value: Any, where: str = "nodes", most: int = MAX_ITEMS) -> list[str]:
    """
    A list of node names, or of other words.

    :raises BadRequest: it is no such list; the text begins with ``where``.
    """
    try:
        return [node_name(name) for name in items_of(value, where, most)]
    except ValueError as error:
        raise BadRequest(f"{where}: {error}") from None


def items_of(value: Any, name: str, most: int = MAX_ITEMS) -> Sequence[Any]:
    """
    A list of some things, and not of too many.

    :raises BadRequest: it is none.
    """
    if type(value) is not list or not 0 < len(value) <= most:
        size = f", not {len(value)}" if type(value) is list else ""
        raise BadRequest(f"{name}: it must be a list of 1 to {most}{size}")
    return value


def _prefix(value: Any) -> str:
    try:
        return str(_text(MAX_WORD - 4)(value))
    except ValueError as error:
        raise BadRequest(f"batch: request_prefix: {error}") from None


def _meant(name: str, known: Any) -> str:
    found = nearest(name[:64], known)
    return f"; did you mean {found}?" if found else ""
