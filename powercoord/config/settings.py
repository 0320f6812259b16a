# SPDX-License-Identifier: MIT
"""
A driver's own settings: from what a table says to values of the driver's class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, get_args

from attrs import field, frozen, resolve_types
from cattrs.errors import StructureHandlerNotFoundError

from powercoord.config.mistakes import CONVERTER, Findings
from powercoord.config.secrets import Surroundings, resolve
from powercoord.errors import PowerSettingError
from powercoord.interfaces import IPowerDriver
from powercoord.nearest import nearest
from powercoord.nodeset import NodeSetError, expand_values, has_range
from powercoord.settings import Described, SecretText, describe, sounds_secret
from powercoord.strict import Path, Scalars, problems, unknown_key


@frozen
class Kind:
    """
    A driver, and the settings that it declares.
    """

    driver: IPowerDriver
    settings: Mapping[str, Described]

    @classmethod
    def of(cls, driver: IPowerDriver) -> Self:
        """
        Look at what a driver declares.
        """
        resolve_types(driver.settings)
        return cls(driver, {described.name: described for described in describe(driver.settings)})


@frozen
class Prepared:
    """
    Settings, checked one by one.

    :param ranges: those with one value for each node.
    :param broken: those that are there but wrong, which has been noted.
    """

    fixed: Mapping[str, object] = field(factory=dict, repr=False)
    ranges: Mapping[str, Sequence[object]] = field(factory=dict)
    broken: frozenset[str] = frozenset()

    def over(self, defaults: Prepared) -> Prepared:
        """
        These settings where there are any, else the defaults; of tables, member by member.
        """
        mine = {*self.fixed, *self.ranges, *self.broken}
        fixed = {name: value for name, value in defaults.fixed.items() if name not in mine}
        fixed |= {name: _over(value, defaults.fixed.get(name)) for name, value in self.fixed.items()}
        return Prepared(fixed, self.ranges, self.broken | (defaults.broken - mine))

    def without_ranges(self) -> Prepared:
        """
        These settings where there is nothing for a range to pair with.
        """
        return Prepared(self.fixed, {}, self.broken | set(self.ranges))


def _over(value: object, default: object) -> object:
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return MappingProxyType({**default, **value})
    return value


def prepare(
    kind: Kind,
    table: Mapping[str, object],
    path: Path,
    common: list[str],
    around: Surroundings,
    findings: Findings,
) -> Prepared:
    """
    Check each setting of a table; ``common`` are the other keys one may have meant.
    """
    fixed: dict[str, object] = {}
    ranges: dict[str, Sequence[object]] = {}
    broken: set[str] = set()
    for name, value in table.items():
        here = (*path, name)
        described = kind.settings.get(name)
        if described is None:
            findings.mistake(here, unknown_key(name, [*kind.settings, *common]))
            continue
        before = len(findings.wrong)
        if isinstance(value, str) and has_range(value) and not described.setting.secret:
            ranges[name] = _values(value, described, here, findings)
        else:
            fixed[name] = _value(value, described, here, around, findings)
        if len(findings.wrong) > before:
            broken.add(name)
            fixed.pop(name, None)
            ranges.pop(name, None)
    return Prepared(fixed, ranges, frozenset(broken))


def missing(kind: Kind, prepared: Prepared) -> Iterator[Described]:
    """
    Required settings that nobody gave.
    """
    given = {*prepared.fixed, *prepared.ranges, *prepared.broken}
    return (
        described
        for described in kind.settings.values()
        if described.required and described.name not in given
    )


def make(kind: Kind, prepared: Prepared, index: int) -> Any:
    """
    The settings of one node.

    :raises ValueError: the driver's class refuses the values; says why.
    """
    values = {name: choices[index] for name, choices in prepared.ranges.items()}
    try:
        return kind.driver.settings(**prepared.fixed, **values)
    except (TypeError, ValueError, PowerSettingError) as error:
        # attrs' own validators put the value into the error's arguments; the first one is their sentence.
        raise ValueError(str(error.args[0]) if error.args else type(error).__name__) from None


def public(kind: Kind, prepared: Prepared) -> dict[str, object]:
    """
    The settings that may go to an address that a caller chose: no secrets.
    """
    return {name: value for name, value in prepared.fixed.items() if not kind.settings[name].setting.secret}


def _value(
    value: object, described: Described, path: Path, around: Surroundings, findings: Findings
) -> object:
    before = len(findings.wrong)
    if _takes_text(described.type):
        value = resolve(value, path, described.setting.secret, around, findings)
    elif described.type is Scalars and isinstance(value, dict):
        value = {name: _member(name, each, (*path, name), around, findings) for name, each in value.items()}
    if len(findings.wrong) > before:
        return None
    try:
        made = CONVERTER.structure(value, described.type)
    except StructureHandlerNotFoundError:
        return value
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever a hook raised
        findings.wrong.extend(problems(error, path))
        return None
    _check_choices(made, described, path, findings)
    return made


def _member(name: str, value: object, path: Path, around: Surroundings, findings: Findings) -> object:
    """
    One value of a table whose keys the driver does not declare; what stands elsewhere is a secret.
    """
    found = resolve(value, path, sounds_secret(name), around, findings)
    return SecretText(found) if isinstance(value, dict) and isinstance(found, str) else found


def _values(value: str, described: Described, path: Path, findings: Findings) -> Sequence[object]:
    try:
        texts = expand_values(value)
    except NodeSetError as error:
        findings.mistake(path, str(error))
        return ()
    if _takes_text(described.type):
        return texts
    if described.type is int and all(text.isdecimal() for text in texts):
        return [int(text) for text in texts]
    findings.mistake(path, "only a string or an integer can have ranges")
    return ()


def _takes_text(kind: Any) -> bool:
    return kind is str or (str in get_args(kind) and type(None) in get_args(kind))


def _check_choices(made: object, described: Described, path: Path, findings: Findings) -> None:
    allowed = [word for word, _ in described.setting.choices]
    if not allowed or made is None:
        return
    members = made if isinstance(made, tuple | frozenset | list) else (made,)
    for member in members:
        word = str(getattr(member, "value", member))
        if word not in allowed:
            near = nearest(word, allowed)
            hint = f"did you mean '{near}'?" if near else f"expected one of: {', '.join(allowed)}"
            shown = "" if described.setting.secret else f"'{word}' is not known here; "
            findings.mistake(path, shown + hint)
