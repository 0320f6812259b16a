# SPDX-License-Identifier: MIT
"""
The procedures that power needs: their numbers, arguments and answers.

Source: libvirt, src/remote/remote_protocol.x (REMOTE_PROTOCOL_VERSION 1) and
src/rpc/virnetprotocol.x (virNetMessageError).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from uuid import UUID

from attrs import frozen

from powercoord.drivers.virsh.guests import Guest, GuestState, Seen
from powercoord.drivers.virsh.xdr import Malformed, Reader, array, fixed, integer, optional, string, unsigned
from powercoord.model import Command


class Procedure(IntEnum):
    """
    remote_procedure, what we use of it.
    """

    CONNECT_OPEN = 1
    CONNECT_CLOSE = 2
    DOMAIN_LOOKUP_BY_NAME = 23
    DOMAIN_LOOKUP_BY_UUID = 24
    CONNECT_SUPPORTS_FEATURE = 60
    AUTH_LIST = 66
    AUTH_POLKIT = 70
    DOMAIN_CREATE_WITH_FLAGS = 196
    DOMAIN_GET_STATE = 212
    DOMAIN_DESTROY_FLAGS = 234
    DOMAIN_RESET = 245
    DOMAIN_SHUTDOWN_FLAGS = 258
    CONNECT_LIST_ALL_DOMAINS = 273
    CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY = 316
    DOMAIN_EVENT_CALLBACK_LIFECYCLE = 318
    CONNECT_GET_ALL_DOMAIN_STATS = 344


class Auth(IntEnum):
    """
    remote_auth_type.
    """

    NONE = 0
    SASL = 1
    POLKIT = 2


class ErrorCode(IntEnum):
    """
    virErrorNumber, what we treat apart.
    """

    NO_SUPPORT = 3
    OPERATION_DENIED = 29
    NO_DOMAIN = 42
    AUTH_FAILED = 45
    OPERATION_INVALID = 55
    CONFIG_UNSUPPORTED = 67
    ARGUMENT_UNSUPPORTED = 74
    AUTH_CANCELLED = 79
    OPERATION_UNSUPPORTED = 84
    ACCESS_DENIED = 88
    AUTH_UNAVAILABLE = 94


#: All take a guest and flags. Without flags a hypervisor asks a guest to end in its own way; QEMU by the
#: guest's agent where it has one, else by the ACPI button.
OF_COMMAND: Mapping[Command, Procedure] = MappingProxyType(
    {
        Command.ON: Procedure.DOMAIN_CREATE_WITH_FLAGS,
        Command.OFF: Procedure.DOMAIN_DESTROY_FLAGS,
        Command.SOFT: Procedure.DOMAIN_SHUTDOWN_FLAGS,
        Command.RESET: Procedure.DOMAIN_RESET,
    }
)

#: VIR_DRV_FEATURE_PROGRAM_KEEPALIVE. Who asks for it is asked "are you there" from then on.
FEATURE_KEEPALIVE = 10

#: VIR_DOMAIN_EVENT_ID_LIFECYCLE.
EVENT_LIFECYCLE = 0

#: VIR_DOMAIN_STATS_STATE.
STATS_STATE = 1

#: REMOTE_DOMAIN_LIST_MAX and REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX.
MOST_DOMAINS = 16384
MOST_PARAMETERS = 4096

_NO_ID = -1
_UUID_SIZE = 16
_STATE_FIELD = "state.state"


@frozen
class RemoteError:
    """
    What the daemon says went wrong.
    """

    code: int
    text: str


def read_error(body: bytes) -> RemoteError:
    """
    virNetMessageError, of which code, domain and message stand in front.
    """
    reader = Reader(body)
    code = reader.integer()
    reader.integer()
    return RemoteError(code, reader.optional(reader.string) or f"error {code}")


def open_arguments(uri: str) -> bytes:
    """
    remote_connect_open_args: for reading and writing.
    """
    return optional(string(uri)) + unsigned(0)


def read_auth(body: bytes) -> list[int]:
    """
    remote_auth_list_ret.
    """
    reader = Reader(body)
    return reader.array(reader.integer, 20)


def guest_argument(guest: Guest) -> bytes:
    """
    remote_nonnull_domain; drivers go by its UUID.
    """
    return string(guest.name) + fixed(guest.uuid.bytes) + integer(_NO_ID)


def guest_with_flags(guest: Guest) -> bytes:
    """
    The arguments of all that is done to a guest.
    """
    return guest_argument(guest) + unsigned(0)


def name_argument(name: str) -> bytes:
    """
    remote_domain_lookup_by_name_args.
    """
    return string(name)


def uuid_argument(uuid: UUID) -> bytes:
    """
    remote_domain_lookup_by_uuid_args.
    """
    return fixed(uuid.bytes)


def read_guest(body: bytes) -> Guest:
    """
    remote_nonnull_domain.
    """
    return _guest(Reader(body))


def read_state(body: bytes) -> GuestState:
    """
    remote_domain_get_state_ret.
    """
    return _state(Reader(body).integer())


def list_arguments() -> bytes:
    """
    remote_connect_list_all_domains_args: all of them.
    """
    return integer(1) + unsigned(0)


def read_list(body: bytes) -> list[Guest]:
    """
    remote_connect_list_all_domains_ret.
    """
    reader = Reader(body)
    return reader.array(lambda: _guest(reader), MOST_DOMAINS)


def stats_arguments(guests: Sequence[Guest]) -> bytes:
    """
    remote_connect_get_all_domain_stats_args: their states; of no guest in particular: of all.
    """
    return array([guest_argument(guest) for guest in guests]) + unsigned(STATS_STATE) + unsigned(0)


def read_stats(body: bytes) -> list[Seen]:
    """
    remote_connect_get_all_domain_stats_ret; a guest without a state is not among them.
    """
    reader = Reader(body)
    return [seen for seen in reader.array(lambda: _record(reader), MOST_DOMAINS) if seen is not None]


def event_arguments() -> bytes:
    """
    remote_connect_domain_event_callback_register_any_args: what becomes of any guest.
    """
    return integer(EVENT_LIFECYCLE) + optional(None)


def read_event(body: bytes) -> Guest:
    """
    remote_domain_event_callback_lifecycle_msg: of whom it tells.
    """
    reader = Reader(body)
    reader.integer()
    return _guest(reader)


def _guest(reader: Reader) -> Guest:
    name, uuid = reader.string(), UUID(bytes=reader.fixed(_UUID_SIZE))
    reader.integer()
    return Guest(name, uuid)


def _record(reader: Reader) -> Seen | None:
    guest = _guest(reader)
    found = dict(reader.array(lambda: _parameter(reader), MOST_PARAMETERS))
    state = found.get(_STATE_FIELD)
    return Seen(guest, _state(state)) if isinstance(state, int) else None


def _parameter(reader: Reader) -> tuple[str, int | str | None]:
    """
    remote_typed_param: a name and a value of one of seven types (virTypedParameterType).
    """
    name, kind = reader.string(), reader.integer()
    if kind in (1, 6):
        return name, reader.integer()
    if kind == 2:
        return name, reader.unsigned()
    if kind in (3, 4, 5):
        reader.hyper()
        return name, None
    if kind == 7:
        return name, reader.string()
    raise Malformed(f"a value of type {kind}, which is none")


def _state(number: int) -> GuestState:
    """
    One that we have never heard of is no answer.
    """
    try:
        return GuestState(number)
    except ValueError:
        return GuestState.NOSTATE
