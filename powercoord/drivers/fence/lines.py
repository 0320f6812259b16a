# SPDX-License-Identifier: MIT
"""
The lines that an agent reads: options as they are configured, checked against what it says it takes.

``key=value``, one a line (``FenceAgentAPI.md``, "Agent Operations and Return Values").  An agent strips
white space around a line and one pair of double quotes around a value.  What it does not know it ignores
with a warning that repeats the value in the system's log, so it is told nothing that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from powercoord.drivers.fence.metadata import Agent, Parameter
from powercoord.drivers.fence.settings import FenceAgentSettings
from powercoord.errors import PowerSettingError
from powercoord.nearest import nearest
from powercoord.settings import SecretText, sounds_secret

#: Settings of ours, and what agents call them: the present name, and the one before.
NAMES: Mapping[str, tuple[str, ...]] = {
    "address": ("ip", "ipaddr"),
    "username": ("username", "login"),
    "password": ("password", "passwd"),
    "plug": ("plug", "port"),
}

_MINE = {theirs: ours for ours, names in NAMES.items() for theirs in names}

# Why an option is not to be set by anybody but us.
_OURS: Mapping[str, str] = {
    **dict.fromkeys(("action", "option", "nodename"), "it is said with each operation"),
    **dict.fromkeys(
        ("verbose", "verbose_level", "debug", "debug_file"), "it would write passwords into logs"
    ),
    **dict.fromkeys(("quiet", "help", "version", "separator"), "its answer could not be read"),
    **dict.fromkeys(
        ("power_timeout", "shell_timeout", "login_timeout", "disable_timeout"),
        "set 'timeout' of the node instead",
    ),
    **dict.fromkeys(("delay", "stonith_status_sleep"), "waiting is the coordinator's, see 'timing'"),
    **dict.fromkeys(("retry_on", "method"), "repeating and cycling are the coordinator's"),
}

_TRUE = frozenset(("1", "yes", "on", "true"))
_FALSE = frozenset(("0", "no", "off", "false"))
_NEEDED = ("on", "off", "status")


@frozen
class Pace:
    """
    The times that are told to an agent, in seconds, so that it ends with a reason before it is ended without.

    An agent has several such times in one run, one after the other.
    """

    step: int

    @classmethod
    def within(cls, seconds: float) -> Pace:
        """
        Steps of a third of the time that there is.
        """
        return cls(max(int(seconds / 3), 1))

    def values(self) -> Mapping[str, str]:
        """
        The lines that say so; a wait is none of an agent's business.
        """
        step = str(self.step)
        return {
            "login_timeout": step,
            "shell_timeout": step,
            "power_timeout": step,
            "power_wait": "0",
            "stonith_status_sleep": "0",
            "delay": "0",
            "retry_on": "0",
        }


def check(settings: FenceAgentSettings, agent: Agent) -> None:
    """
    Refuse what the agent would not understand.

    :raises PowerSettingError: it names the option and what would be right; never a value that may be secret.
    """
    lines(settings, agent, "status", Pace(1))


def lines(settings: FenceAgentSettings, agent: Agent, action: str, pace: Pace) -> bytes:
    """
    What to write to an agent's standard input.

    :raises PowerSettingError: as `check`.
    """
    _check_power(agent)
    values = {name: value for name, value in pace.values().items() if name in agent.parameters}
    values |= dict(_options(settings, agent))
    values |= dict(_fields(settings, agent))
    _check_required(agent, values)
    values["action"] = action
    return "".join(f"{name}={_quoted(value)}\n" for name, value in values.items()).encode()


def setting_of(name: str) -> str | None:
    """
    Our setting that an agent calls so.
    """
    return _MINE.get(name)


def is_ours(name: str) -> bool:
    """
    Whether an option is nobody's to set but ours.
    """
    return name in _OURS


def secrets(settings: FenceAgentSettings) -> tuple[str, ...]:
    """
    What must not be repeated: the password, and whatever options may hold of the kind.
    """
    found = [
        str(value)
        for name, value in settings.options.items()
        if isinstance(value, SecretText) or (isinstance(value, str) and sounds_secret(name))
    ]
    return tuple(sorted({settings.password, *found} - {""}, key=len, reverse=True))


def _check_power(agent: Agent) -> None:
    lacking = [action for action in _NEEDED if action not in agent.actions]
    if lacking:
        raise PowerSettingError(f"{agent.name} cannot be used: it has no action '{lacking[0]}'")
    if "reboot" not in agent.actions:
        raise PowerSettingError(f"{agent.name} cannot be used: it cuts off a network or disks, not power")


def _fields(settings: FenceAgentSettings, agent: Agent) -> Iterator[tuple[str, str]]:
    for ours, names in NAMES.items():
        value: str = getattr(settings, ours)
        if not value:
            continue
        name = agent.first(*names)
        if name is None:
            raise PowerSettingError(f"{agent.name} takes no {ours}")
        yield name, value


def _options(settings: FenceAgentSettings, agent: Agent) -> Iterator[tuple[str, str]]:
    for written, value in settings.options.items():
        name = written.replace("-", "_")
        if name in _MINE:
            raise PowerSettingError(f"option '{written}' of {agent.name} is the setting '{_MINE[name]}'")
        if name in _OURS:
            raise PowerSettingError(f"option '{written}' of {agent.name} cannot be set: {_OURS[name]}")
        parameter = agent.parameters.get(name)
        if parameter is None:
            raise PowerSettingError(f"option '{written}' is unknown to {agent.name}; {_meant(name, agent)}")
        yield name, _text(value, parameter, agent)


def _meant(name: str, agent: Agent) -> str:
    known = [
        each.name
        for each in agent.parameters.values()
        if each.name not in _OURS and each.name not in _MINE and not each.deprecated
    ]
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else f"it knows: {', '.join(sorted(known))}"


def _text(value: str | float | bool, parameter: Parameter, agent: Agent) -> str:
    what = f"option '{parameter.name}' of {agent.name}"
    if isinstance(value, bool) or parameter.kind == "boolean":
        text = str(value).lower()
        if text not in _TRUE | _FALSE:
            raise PowerSettingError(f"{what} must be true or false")
        return "1" if text in _TRUE else "0"
    text = str(value)
    if any(mark in text for mark in "\r\n\0"):
        raise PowerSettingError(f"{what} has more than one line; an agent reads one")
    if parameter.kind in ("integer", "second") and not text.removeprefix("-").isdecimal():
        unit = "a number of seconds" if parameter.kind == "second" else "a whole number"
        raise PowerSettingError(f"{what} must be {unit}")
    if parameter.kind == "select" and parameter.choices and text not in parameter.choices:
        near = nearest(text, parameter.choices)
        hint = f"did you mean '{near}'?" if near else f"expected one of: {', '.join(parameter.choices)}"
        raise PowerSettingError(f"{what}: {hint}")
    return text


def _check_required(agent: Agent, values: Mapping[str, str]) -> None:
    for parameter in agent.parameters.values():
        name = parameter.name
        if not parameter.required or parameter.deprecated or parameter.default is not None:
            continue
        if name not in values and parameter.obsoletes not in values and name != "action":
            needed = f"setting '{_MINE[name]}'" if name in _MINE else f"option '{name}'"
            raise PowerSettingError(f"{agent.name} needs the {needed} ({parameter.summary})")


def _quoted(value: str) -> str:
    """
    A value that an agent's reader leaves as it is.
    """
    bare = value == value.strip() and not (value.startswith('"') and value.endswith('"'))
    return value if bare else f'"{value}"'
