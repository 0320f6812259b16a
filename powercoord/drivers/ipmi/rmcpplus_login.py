# SPDX-License-Identifier: MIT
"""
The script that opens an RMCP+ session: open session, RAKP 1 to 4.

IPMI 2.0 sections 13.14 to 13.24. The level is not raised here: a new session has
privilege level USER, which is enough to read (see `powercoord.drivers.ipmi.logged_in`).
"""

from __future__ import annotations

from collections.abc import Iterator
from hmac import compare_digest

from attrs import evolve, frozen

from powercoord.drivers.ipmi import completion, rmcpplus
from powercoord.drivers.ipmi.ask import NoAnswer, Script, SetupAsk
from powercoord.drivers.ipmi.bmc import Bmc, Login
from powercoord.drivers.ipmi.channel import PRIVILEGE_USER
from powercoord.drivers.ipmi.completion import STATUS_OK, status_words
from powercoord.drivers.ipmi.opensession import Algorithms, OpenRequest, OpenResponse
from powercoord.drivers.ipmi.rakp import MAX_USERNAME, NAME_ONLY, KeyExchange, Rakp1, Rakp2, Rakp3, Rakp4
from powercoord.drivers.ipmi.session import Session20
from powercoord.drivers.ipmi.suites import SessionKeys, Suite
from powercoord.errors import PowerAuthError, PowerConnError, PowerError, PowerRefusedError, PowerSettingError

HIGHEST_PRIVILEGE = 0
_RANDOM = 16
_SHORT_PASSWORD = 16

#: "Not with these algorithms." Old firmware says it with 0x0a or 0x12 (FreeIPMI's LAN issues 19, 20).
_NO_SUITE = frozenset((0x04, 0x05, 0x06, 0x07, 0x0A, 0x10, 0x11, 0x12))
_NO_PRIVILEGE = frozenset((0x09, 0x0A))
_SLOTS_FULL = frozenset((0x01, 0x0B))
_LOST_SESSION = frozenset((0x02, 0x08))
_NOT_YOU = frozenset((0x09, 0x0A, 0x0C, 0x0D, 0x0E))


class SlotsFull(Exception):
    """
    All sessions of the BMC are taken just now. The text says it in the BMC's words.
    """


class StartOver(Exception):
    """
    The two sides lost each other on the way, probably by a repeated message.

    :param error: what it means if it happens again and again.
    """

    def __init__(self, error: PowerError) -> None:
        super().__init__(str(error))
        self.error = error


@frozen
class _Agreed:
    suite: Suite
    privilege: int
    console_id: int
    managed_id: int
    repeated: bool


def open_rmcpplus(bmc: Bmc, login: Login) -> Script[Session20]:
    """
    Open a session.

    :raises PowerAuthError: the BMC does not want this user, password or K_g.
    :raises PowerSettingError: none of the allowed suites is possible.
    :raises SlotsFull: it may work later.
    :raises StartOver: it may work at once.
    """
    agreed = yield from _agree(bmc, login)
    exchange, repeated = yield from _exchange(bmc, login, agreed)
    user_key = _user_key(login, agreed.suite)
    session_key = exchange.session_key(login.k_g or user_key)
    yield from _prove(bmc, login, exchange, session_key, repeated)
    bmc.suite = agreed.suite.id
    return Session20(
        managed_id=agreed.managed_id,
        console_id=agreed.console_id,
        keys=SessionKeys.derive(agreed.suite, session_key),
        entropy=bmc.entropy,
        privilege=min(PRIVILEGE_USER, login.privilege),
    )


def _proposals(bmc: Bmc, login: Login) -> Iterator[tuple[Suite, int]]:
    """
    What to ask for in turn: the suite that worked last, then in the operator's order.
    """
    for suite in sorted(login.suites, key=lambda suite: suite.id != bmc.suite):
        # The same level as in RAKP 1: then it matters to nobody which of the two is hashed.
        yield suite, login.privilege
        if login.quirks.highest_privilege:
            yield suite, HIGHEST_PRIVILEGE


def _agree(bmc: Bmc, login: Login) -> Script[_Agreed]:
    console_id, status = bmc.entropy.number(), STATUS_OK
    for suite, privilege in _proposals(bmc, login):
        if privilege == HIGHEST_PRIVILEGE and status not in _NO_PRIVILEGE:
            continue
        request = OpenRequest(bmc.tag(), privilege, console_id, Algorithms.of(suite))
        ask = SetupAsk(rmcpplus.PAYLOAD_OPEN_REQUEST, request.encode(), OpenResponse, console_id)
        response = yield ask
        status = response.status
        if status == STATUS_OK:
            chosen = _chosen(login, suite, response)
            if chosen is not None:
                return _Agreed(chosen, privilege, console_id, response.managed_id, ask.attempts > 1)
        elif status in _SLOTS_FULL:
            raise SlotsFull(status_words(status))
        elif status not in _NO_SUITE and status not in _NO_PRIVILEGE:
            raise PowerRefusedError(f"{bmc.what}: open session: {status_words(status)}")
    raise _no_suite(bmc, login, status)


def _chosen(login: Login, asked: Suite, response: OpenResponse) -> Suite | None:
    """
    The suite that the BMC answered with: some answer another one than was asked for.
    """
    if response.algorithms == Algorithms.of(asked):
        return asked
    for suite in login.suites:
        if response.algorithms == Algorithms.of(suite):
            return suite
    return None


def _no_suite(bmc: Bmc, login: Login, status: int) -> PowerSettingError:
    suites = ", ".join(str(suite.id) for suite in login.suites)
    reason = status_words(status) if status else "it answers with other algorithms"
    return PowerSettingError(
        f"{bmc.what}: no session with cipher suite {suites}: {reason}; "
        "cipher_suites must name one that it has"
    )


def _exchange(bmc: Bmc, login: Login, agreed: _Agreed) -> Script[tuple[KeyExchange, bool]]:
    """
    RAKP 1 and 2. Also tells whether something was repeated.
    """
    name = login.username
    if login.quirks.pad_username:
        name = name.ljust(MAX_USERNAME, b"\0")
    random, role = bmc.entropy(_RANDOM), NAME_ONLY | login.privilege
    message = Rakp1(bmc.tag(), agreed.managed_id, random, role, name)
    ask = SetupAsk(rmcpplus.PAYLOAD_RAKP1, message.encode(), Rakp2, agreed.console_id)
    answer = yield ask
    _check_status(bmc, login, answer.status, "RAKP message 2", agreed.repeated or ask.attempts > 1)
    exchange = KeyExchange(
        suite=agreed.suite,
        console_id=agreed.console_id,
        managed_id=agreed.managed_id,
        console_random=random,
        managed_random=answer.managed_random,
        guid=answer.guid,
        role=role,
        username=name,
    )
    if not _same_code(login, exchange, answer.code):
        # Much firmware hashes the level of open session instead (LAN issue 13).
        exchange = exchange.with_role(NAME_ONLY | agreed.privilege)
    repeated = agreed.repeated or ask.attempts > 1
    if _same_code(login, exchange, answer.code):
        return exchange, repeated
    yield from _break_off(bmc, agreed)
    wrong = f"the password for user '{_name(login)}' is wrong (its RAKP message 2 does not match)"
    raise _or_over(PowerAuthError(f"{bmc.what}: {wrong}"), repeated)


def _same_code(login: Login, exchange: KeyExchange, code: bytes) -> bool:
    size = exchange.suite.digest_length
    if login.quirks.long_rakp2_code and len(code) == size + 1:
        code = code[:size]
    return compare_digest(exchange.managed_code(_user_key(login, exchange.suite)), code)


def _user_key(login: Login, suite: Suite) -> bytes:
    md5 = suite.hash.name == "md5"
    return login.password[:_SHORT_PASSWORD] if md5 and login.quirks.short_md5_password else login.password


def _break_off(bmc: Bmc, agreed: _Agreed) -> Script[None]:
    """
    Give the half-made session back; there is no answer to this.
    """
    message = Rakp3(bmc.tag(), completion.STATUS_BAD_INTEGRITY_VALUE, agreed.managed_id)
    try:
        yield SetupAsk(rmcpplus.PAYLOAD_RAKP3, message.encode(), Rakp4, agreed.console_id, patience=0)
    except NoAnswer:
        return


def _prove(bmc: Bmc, login: Login, exchange: KeyExchange, session_key: bytes, repeated: bool) -> Script[None]:
    """
    RAKP 3 and 4: both sides show that they have the same key.
    """
    proof = exchange
    if login.quirks.plain_rakp3_role:
        proof = proof.with_role(proof.role & ~NAME_ONLY)
    if login.quirks.pad_username:
        proof = evolve(proof, username=login.username)
    code = proof.console_code(_user_key(login, proof.suite))
    message = Rakp3(bmc.tag(), STATUS_OK, exchange.managed_id, code)
    ask = SetupAsk(rmcpplus.PAYLOAD_RAKP3, message.encode(), Rakp4, exchange.console_id)
    answer = yield ask
    repeated = repeated or ask.attempts > 1
    _check_status(bmc, login, answer.status, "RAKP message 4", repeated)
    if not compare_digest(exchange.final_code(session_key), answer.code):
        wrong = "K_g is wrong" if login.k_g else "it has a K_g, and no k_g is set"
        error = PowerAuthError(f"{bmc.what}: {wrong} (its RAKP message 4 does not match)")
        raise _or_over(error, repeated)


def _check_status(bmc: Bmc, login: Login, status: int, message: str, repeated: bool) -> None:
    if status == STATUS_OK:
        return
    words, name = f"{message}: {status_words(status)}", _name(login)
    if status in _SLOTS_FULL:
        raise SlotsFull(words)
    error: PowerError = PowerRefusedError(f"{bmc.what}: {words}")
    if status in _LOST_SESSION:
        error = PowerConnError(f"{bmc.what}: {words}")
    elif status in _NOT_YOU:
        error = PowerAuthError(f"{bmc.what}: user '{name}' is refused at this level, {words}")
    elif status == completion.STATUS_BAD_INTEGRITY_VALUE:
        error = PowerAuthError(f"{bmc.what}: user '{name}' could not prove the password, {words}")
    raise _or_over(error, repeated or status in _LOST_SESSION)


def _or_over(error: PowerError, repeated: bool) -> PowerError | StartOver:
    """
    An error, or the wish to start over where a repeated message may be all there is to it.

    For a repeated open session or RAKP 1 firmware may make a new session or draw a new random
    number, and a repeated RAKP 3 comes to a session that is made already. Then even the right
    password looks wrong. Starting over costs no failed attempt: no RAKP 3 with a wrong code ever leaves.
    """
    return StartOver(error) if repeated else error


def _name(login: Login) -> str:
    return login.username.decode(errors="replace")
