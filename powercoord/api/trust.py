# SPDX-License-Identifier: MIT
"""
Whether the peer knows the shared secret, and proving that we do.

The proof is MAAS's: HMAC-SHA256(secret, message + salt), asked for by each
side.  Two things keep a stranger from having one honest side answer what
another one asked.  The side that was dialled answers only after the dialling
side has proven itself.  And our questions name the side that asks, and we
never answer one that could be our own side's.  What remains is a stranger
between the two, passing everything on: only TLS or a private network helps
against that.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from powercoord.api.calls import CallFailed, LinkLost
from powercoord.api.commands import Authenticate, Identify, NotAuthenticated, Ping
from powercoord.api.serving import Responders
from powercoord.api.wire import Link

ALWAYS = frozenset({Authenticate.commandName, Identify.commandName, Ping.commandName})
MAX_HELD = 16
MAX_MESSAGE = 1_024
_ASKS = {True: b"powercoord asks, having dialled: ", False: b"powercoord asks, being dialled: "}


def proof(secret: bytes, message: bytes, salt: bytes) -> bytes:
    """
    What only somebody who knows the secret can answer.
    """
    return hmac.digest(secret, message + salt, "sha256")


@define(eq=False)
class Trust:
    """
    The state of trust on one connection.

    :param secret: None where none is configured: then nobody can be asked.
    :param required: whether the peer's commands wait until it has proven itself.
    :param dialled: whether our side made the connection.
    """

    _secret: bytes | None = field(repr=False)
    required: bool
    _dialled: bool
    _random: Callable[[int], bytes]
    _verdict: Exception | None = field(default=None, init=False)
    _decided: bool = field(default=False, init=False)
    _held: list[Deferred[None]] = field(factory=list, init=False)

    def responders(self) -> Responders:
        """
        Our side of the proof.
        """
        return {Authenticate: self._prove}

    def gate(self, name: bytes) -> Exception | Deferred[None] | None:
        """
        Whether a command may be answered: at once, later, or not.
        """
        if not self.required or name in ALWAYS or (self._decided and self._verdict is None):
            return None
        if self._verdict is not None:
            return self._verdict
        return self._hold()

    async def ask(self, link: Link, clock: IReactorTime, patience: float) -> None:
        """
        Let the peer prove itself, and open the gate.

        :raises NotAuthenticated: it did not.
        :raises LinkLost: it may yet do so on another connection.
        """
        if self._secret is None:
            raise NotAuthenticated("no secret is configured on this side")
        message, reason = _ASKS[self._dialled] + self._random(16), ""
        try:
            answer = await link.call(Authenticate, message=message).addTimeout(patience, clock)
        except (CallFailed, TimeoutError) as error:
            reason = f"the peer did not prove that it knows the secret: {error}"
        except LinkLost:
            self._decide(NotAuthenticated("the connection was lost before the peer had proven anything"))
            raise
        else:
            if not hmac.compare_digest(proof(self._secret, message, answer["salt"]), answer["digest"]):
                reason = "the peer does not know the secret"
        self._decide(NotAuthenticated(reason) if reason else None)
        if self._verdict is not None:
            raise self._verdict

    def _decide(self, verdict: Exception | None) -> None:
        self._decided, self._verdict = True, verdict
        held, self._held = self._held, []
        for waiting in held:
            if verdict is None:
                waiting.callback(None)
            else:
                waiting.errback(verdict)

    def _hold(self) -> Exception | Deferred[None]:
        if len(self._held) >= MAX_HELD:
            return NotAuthenticated("authenticate first; too many commands wait for that already")
        waiting: Deferred[None] = Deferred(self._held.remove)
        self._held.append(waiting)
        return waiting

    async def _prove(self, *, message: bytes) -> dict[str, Any]:
        secret = self._secret
        if secret is None:
            raise NotAuthenticated("no secret is configured on this side")
        if not 0 < len(message) <= MAX_MESSAGE or message.startswith(_ASKS[self._dialled]):
            raise NotAuthenticated("this is not a question for this side")
        if self.required and not self._dialled and not (self._decided and self._verdict is None):
            held = self._verdict or self._hold()
            await (held if isinstance(held, Deferred) else _failed(held))
        salt = self._random(16)
        return {"digest": proof(secret, message, salt), "salt": salt}


async def _failed(error: Exception) -> None:
    raise error
