# SPDX-License-Identifier: MIT
"""
What can be wrong with a simulated BMC. Set at any moment, also while a session is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

_NOTHING: Mapping[str, int] = MappingProxyType({})


def _probability(_instance: object, _attribute: object, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"a probability is between 0 and 1, not {value!r}")


def _duration(_instance: object, _attribute: object, value: float) -> None:
    if value < 0:
        raise ValueError(f"a delay is not negative, as {value!r} is")


@frozen(kw_only=True)
class Faults:
    """
    The default has none. Commands are named as in `powercoord.sim.commands`:
    ``on`` ``off`` ``soft`` ``reset`` ``cycle`` ``diag`` ``status`` ``set-boot`` ``get-boot`` ``privilege`` …

    :param dead: nothing is ever answered.
    :param closed: nobody listens, so a datagram is refused (needs a socket for each BMC).
    :param reply_delay: seconds from any request to its answer. What was asked is done at once: an answer
        that comes after the asker's patience is over tells of something that happened.
    :param handshake_delay: as much again for each step of making a session.
    :param command_delay: as much again for answers to chassis commands.
    :param loss_in: how many of a thousand requests vanish, divided by a thousand; likewise ``loss_out``.
    :param copies: how often each answer is sent.
    :param stuck: chassis commands are accepted and nothing happens.
    :param refuse: the completion code for these commands, which are not done.
    :param mute: these commands are done and never answered.
    :param password: what every user's password is now, whatever was agreed.
    :param slots_full: no new session, "insufficient resources".
    :param forgetful: a session is gone after its first command that is not about sessions.
    """

    dead: bool = False
    closed: bool = False
    reply_delay: float = field(default=0.0, validator=_duration)
    handshake_delay: float = field(default=0.0, validator=_duration)
    command_delay: float = field(default=0.0, validator=_duration)
    loss_in: float = field(default=0.0, validator=_probability)
    loss_out: float = field(default=0.0, validator=_probability)
    copies: int = 1
    stuck: bool = False
    refuse: Mapping[str, int] = _NOTHING
    mute: frozenset[str] = frozenset()
    password: bytes | None = field(default=None, repr=False)
    slots_full: bool = False
    forgetful: bool = False


HEALTHY = Faults()
