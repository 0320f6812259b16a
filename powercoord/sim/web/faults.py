# SPDX-License-Identifier: MIT
"""
What can be wrong with a simulated BMC that speaks HTTP. Set at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from attrs import field, frozen

#: In place of a request's name: all requests.
EVERY = "*"

_NOTHING: Mapping[str, int] = MappingProxyType({})
_NO_WORDS: Mapping[str, str] = MappingProxyType({})
_NOBODY: frozenset[str] = frozenset()


def _duration(_instance: object, _attribute: object, value: float) -> None:
    if value < 0:
        raise ValueError(f"a delay is not negative, as {value!r} is")


@frozen(kw_only=True)
class Faults:
    """
    The default has none. Requests are named by each kind of BMC; ``"*"`` is every request.

    :param closed: nobody listens, so a connection is refused.
    :param dead: connections are accepted, and nothing is ever read or answered; what is asked is not done.
    :param delay: seconds from a request to its answer. What was asked is done at once: an answer that comes
        after the asker's patience is over tells of something that happened.
    :param slow: to these requests only `delay` applies; none: to all.
    :param mute: these are done and never answered; the connection stays open.
    :param drop_before: at these the connection is dropped, and they are not done.
    :param drop_after: these are done, and then the connection is dropped without an answer.
    :param torn: these are done, and the connection is dropped in the middle of the answer.
    :param endless: these are done, and the body of the answer never ends.
    :param garbage: these are done, and the body of the answer is not what it should be.
    :param refuse: these are answered with an HTTP status, and not done.
    :param complain: these are answered with an error in the BMC's own words, and not done; each kind of BMC
        has a list of them.
    :param shows: the power state that is told, in the BMC's own words, whatever it is.
    :param stuck: power commands are accepted and nothing happens.
    :param task_fails: the same, and a task that was made of one ends as a failure.
    :param password: what every user's password is now, whatever was agreed.
    """

    closed: bool = False
    dead: bool = False
    delay: float = field(default=0.0, validator=_duration)
    slow: frozenset[str] = frozenset((EVERY,))
    mute: frozenset[str] = _NOBODY
    drop_before: frozenset[str] = _NOBODY
    drop_after: frozenset[str] = _NOBODY
    torn: frozenset[str] = _NOBODY
    endless: frozenset[str] = _NOBODY
    garbage: frozenset[str] = _NOBODY
    refuse: Mapping[str, int] = _NOTHING
    complain: Mapping[str, str] = _NO_WORDS
    shows: str = ""
    stuck: bool = False
    task_fails: bool = False
    password: str | None = field(default=None, repr=False)

    def refusal(self, name: str) -> int | None:
        """
        The status with which this request is refused.
        """
        return self.refuse.get(name, self.refuse.get(EVERY))

    def complaint(self, name: str) -> str | None:
        """
        The error with which this request is answered.
        """
        return self.complain.get(name, self.complain.get(EVERY))

    def check(self, requests: Collection[str], complains: Callable[[str], bool]) -> None:
        """
        :raises ValueError: a request or a complaint is none of these.
        """
        lists = (
            self.mute,
            self.drop_before,
            self.drop_after,
            self.torn,
            self.endless,
            self.garbage,
            self.slow,
        )
        named = {*self.refuse, *self.complain}.union(*lists)
        for name in sorted(named - {EVERY, *requests}):
            known = ", ".join(requests)
            raise ValueError(f"no request is called {name!r}; there are {known} and {EVERY}")
        for word in self.complain.values():
            if not complains(word):
                raise ValueError(f"there is no complaint {word!r} (see docs/simulators.md)")


HEALTHY = Faults()


def hit(names: frozenset[str], name: str) -> bool:
    """
    Does a fault concern this request?
    """
    return name in names or EVERY in names
