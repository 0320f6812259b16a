# SPDX-License-Identifier: MIT
"""
The driver as the coordinator sees it.

# Note [Reached first]

From outside nobody sees when an agent has logged in and sends its command.  So
before a change an agent is asked for the state: only when it has one is the
change announced and made.  A dead device and a refused password are then found
out with nothing sent, and a cancel before that withholds the change.

# Note [Who waits]

An agent that has switched a device reads its state until it is as wanted.  That
is the coordinator's work, done without holding the endpoint; so agents are told
to read without pauses and few times, and "not yet" is as good as "accepted".

# Note [A refused login]

"Unable to connect/login" is what agents say when nobody answers and when the
password is wrong.  The first should be tried again, the second must not be.  So
we look whether the device is there: if it is, it was the login.  What agents
say of yet more things is the matter of note [A password that may be wrong].
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from shutil import which
from typing import Any

from attrs import define, field
from zope.interface import implementer

from powercoord.drivers.children import Children, Ended, Program, surroundings
from powercoord.drivers.children.children import RESERVE
from powercoord.drivers.children.places import Rank
from powercoord.drivers.fence.agents import USUAL_FOLDER, Agents, full_name, installed
from powercoord.drivers.fence.knock import Knock
from powercoord.drivers.fence.lines import Pace, check, lines, secrets
from powercoord.drivers.fence.manual_page import page
from powercoord.drivers.fence.settings import CONTEXT, FenceAgentSettings, from_context
from powercoord.drivers.fence.verdict import Trouble, error_of, reason, state_of, trouble_of
from powercoord.drivers.fence.welcome import Welcomes
from powercoord.errors import (
    PowerAuthError,
    PowerConnError,
    PowerError,
    PowerRefusedError,
    PowerUnsupportedError,
)
from powercoord.interfaces import Capabilities, IOperation, IPowerDriver
from powercoord.model import Boot, Command, PowerState, Target
from powercoord.settings import SecretText, sounds_secret

_RANKS = {Command.OFF: Rank.OFF, Command.ON: Rank.CHANGE}

#: What may be said of a wrong password, too; None: whatever we do not know.
_MAYBE_LOGIN = frozenset((Trouble.LOGIN, Trouble.OVERDUE, Trouble.UNUSABLE, None))


@implementer(IPowerDriver)
@define(eq=False)
class FenceAgentDriver:
    """
    One run of an agent for a read and two for a change, told what to do on its standard input.

    It has no reset: an agent's ``reboot`` takes power away, and does not look whether it came back.
    """

    name = "fence-agent"
    title = "Fence agent (ClusterLabs)"
    settings = FenceAgentSettings
    context_names = CONTEXT
    capabilities = Capabilities(commands=frozenset(_RANKS))

    _reactor: Any
    _children: Children
    _agents: Agents
    _environ: Mapping[str, str] = field(repr=False)
    _knock: Knock
    _welcomes: Welcomes = field(factory=Welcomes, init=False)

    def target(self, settings: FenceAgentSettings) -> Target:
        """
        The device, and the plug; its options are checked where that does not keep the reactor waiting.
        """
        path = self._agents.path(settings.agent, settings.folder)
        agent = self._agents.known(path) if self._reactor.running else self._agents.now(path)
        if agent is not None:
            check(settings, agent)
        return Target(self.name, endpoint_of(settings), selector_of(settings), settings)

    def from_context(self, context: Mapping[str, Any]) -> FenceAgentSettings:
        """
        From what a caller sends.
        """
        return from_context(context)

    def worst_case(self, settings: FenceAgentSettings, command: Command | None) -> float:
        """
        An agent that has not ended by then is ended.
        """
        return settings.timeout

    def missing_tools(self) -> Sequence[str]:
        """
        The agents, and the program that gives each a process group of its own.
        """
        agents = () if installed(USUAL_FOLDER) else ("fence-agents",)
        return (*agents, *(() if which("setsid") else ("util-linux",)))

    def agents(self) -> Sequence[str]:
        """
        The agents that are installed.
        """
        return installed(USUAL_FOLDER)

    def agent_page(self, name: str) -> str:
        """
        What an agent takes, for people; waits for the agent to say so.

        :raises PowerError: it is not there, or does not say.
        """
        return page(self._agents.now(self._agents.path(name, USUAL_FOLDER)))

    async def read(self, target: Target, operation: IOperation) -> PowerState:
        """
        See `IPowerDriver`.
        """
        return await self._look(target, operation, self._deadline(target, operation))

    async def command(self, target: Target, command: Command, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        rank = _RANKS.get(command)
        if rank is None:
            raise PowerUnsupportedError(f"fence agents have no {command.value}")
        deadline = self._deadline(target, operation)
        now: float = self._reactor.seconds()
        await self._look(target, operation, (now + deadline) / 2)
        ended = await self._run(target, command.value, rank, operation, deadline)
        if ended.code != 0 and trouble_of(ended) is not Trouble.NOT_YET:
            raise self._error(target, ended, changes=True)

    async def set_boot(self, target: Target, boot: Boot, operation: IOperation) -> None:
        """
        See `IPowerDriver`.
        """
        raise PowerUnsupportedError("fence agents set no boot device")

    async def close(self) -> None:
        """
        See `IPowerDriver`.
        """
        await self._children.close()

    async def _look(self, target: Target, operation: IOperation, until: float) -> PowerState:
        ended = await self._run(target, "status", Rank.READ, operation, until)
        state = state_of(ended)
        if state is None:
            raise await self._not_let_in(target, ended, operation)
        self._welcomes.let_in(target.endpoint, _settings(target))
        return state

    def _deadline(self, target: Target, operation: IOperation) -> float:
        now: float = self._reactor.seconds()
        return min(operation.deadline, now + _settings(target).timeout)

    async def _run(
        self, target: Target, action: str, rank: Rank, operation: IOperation, deadline: float
    ) -> Ended:
        settings = _settings(target)
        path = self._agents.path(settings.agent, settings.folder)
        agent = await self._agents.ask(path, operation, deadline)
        pace = Pace.within(deadline - self._reactor.seconds() - RESERVE)
        program = Program(
            argv=(path,),
            environment=surroundings(self._environ),
            stdin=lines(settings, agent, action, pace),
        )
        return await self._children.run(program, operation, deadline, rank)

    def _error(self, target: Target, ended: Ended, *, changes: bool) -> PowerError:
        settings = _settings(target)
        return error_of(_what(settings), ended, secrets(settings), changes=changes)

    async def _not_let_in(self, target: Target, ended: Ended, operation: IOperation) -> PowerError:
        """
        Why a look failed; see notes [A refused login] and [A password that may be wrong].
        """
        settings = _settings(target)
        trouble = trouble_of(ended)
        plain = self._error(target, ended, changes=False)
        hidden = secrets(settings)
        if trouble not in _MAYBE_LOGIN or not (hidden or trouble is Trouble.LOGIN):
            return plain
        text = f"{_what(settings)}: {reason(ended, hidden)}"
        agent = self._agents.known(self._agents.path(settings.agent, settings.folder))
        if not await self._knock.answers(settings, agent, operation):
            return PowerConnError(f"{text}; it does not answer")
        if trouble is Trouble.LOGIN:
            return PowerAuthError(f"{text}; it answers, so it must be the user name or password")
        if trouble is Trouble.UNUSABLE and settings.plug:
            return PowerRefusedError(f"{text}; it answers, so there may be no such plug")
        if self._welcomes.forget(target.endpoint, settings):
            return plain
        return PowerAuthError(
            f"{text}; it answers and has not let us in before, so it may be the user name or password,"
            " and is not tried again"
        )


def endpoint_of(settings: FenceAgentSettings) -> str:
    """
    The device: by its address, or where an agent needs none, by all that says which one it is.
    """
    if settings.address:
        port = settings.options.get("ipport")
        return settings.address.lower() if port is None else f"{settings.address.lower()}:{port}"
    telling = sorted(
        f"{name}={value}"
        for name, value in settings.options.items()
        if not isinstance(value, SecretText) and not sounds_secret(name)
    )
    return " ".join([full_name(settings.agent), *telling])


def selector_of(settings: FenceAgentSettings) -> str:
    """
    The node at that device.
    """
    return settings.plug or str(settings.options.get("target", ""))


def place_of(settings: FenceAgentSettings) -> str:
    """
    The device and the plug, for people.
    """
    plug = f"plug {settings.plug}" if settings.plug else ""
    return " ".join(word for word in (settings.address, plug) if word)


def _what(settings: FenceAgentSettings) -> str:
    return f"{full_name(settings.agent)} {place_of(settings)}".rstrip()


def _settings(target: Target) -> FenceAgentSettings:
    if not isinstance(target.settings, FenceAgentSettings):
        raise TypeError(f"settings of {target.driver} given to fence-agent")
    return target.settings


def driver(reactor: Any) -> FenceAgentDriver:
    """
    The driver of a process.
    """
    setsid = which("setsid")
    children = Children(reactor, (setsid,) if setsid else ())
    return FenceAgentDriver(reactor, children, Agents(children, os.environ), os.environ, Knock(reactor))
