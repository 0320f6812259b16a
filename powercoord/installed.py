# SPDX-License-Identifier: MIT
"""
The drivers that are installed, ours and others', by their entry points.

A driver of somebody else that cannot be imported, or is no driver, is named
with its reason, and only that one is disabled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import field, frozen, has
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from powercoord.interfaces import IPowerDriver
from powercoord.settings import describe

GROUP = "powercoord.drivers"

# Keys of the configuration that stand beside a driver's own settings.
RESERVED = frozenset({"driver", "groups", "timing", "endpoint_limit"})


@frozen
class Installed:
    """
    The drivers that work, and for those that do not, why.

    :param origins: the packages that they come from, with version, where that is known.
    """

    drivers: Mapping[str, IPowerDriver] = field(factory=dict)
    broken: Mapping[str, str] = field(factory=dict)
    origins: Mapping[str, str] = field(factory=dict)


def find_drivers(reactor: Any, points: Iterable[EntryPoint] | None = None) -> Installed:
    """
    Make one driver of each kind that is installed.

    :param points: entry points to use instead of the installed ones.
    """
    drivers: dict[str, IPowerDriver] = {}
    broken: dict[str, str] = {}
    origins: dict[str, str] = {}
    for name, every in _by_name(entry_points(group=GROUP) if points is None else points).items():
        candidates = [point for point in every if _is_ours(point)] or every
        origin = " and ".join(sorted({_origin(point) for point in candidates} - {""}))
        origins |= {name: origin} if origin else {}
        for point in every:
            if point not in candidates:
                broken[f"{name} of {_origin(point) or point.value}"] = f"its name is taken by {origin}"
        try:
            drivers[name] = _make(name, candidates, reactor)
        # Whatever others' code raises, a SystemExit included, only that driver is lost.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            broken[name] = _reason(error) + (f" (from {origin})" if origin else "")
    return Installed(drivers, broken, origins)


def broken_driver(name: str, reason: str) -> str:
    """
    The sentence about a driver that does not work.
    """
    return f"driver '{name}' is installed but does not work: {reason}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, _NotADriver) else f"{type(error).__name__}: {text}".rstrip(": ")


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == "powercoord"


def _origin(point: EntryPoint) -> str:
    """
    The package that announces it.
    """
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"


class _NotADriver(Exception):
    """
    It was imported, but is not what it should be.
    """


def _first(error: Invalid) -> str:
    """
    The first of what may be a page of complaints.
    """
    complaints = getattr(error, "exceptions", (error,))
    more = f" (and {len(complaints) - 1} more complaints)" if len(complaints) > 1 else ""
    # Before the colon stand the object, with its address in memory, and the interface.
    text = " ".join(str(complaints[0]).split())
    return f"it is no IPowerDriver: {text.partition('IPowerDriver: ')[2] or text}{more}"


def _by_name(points: Iterable[EntryPoint]) -> Mapping[str, list[EntryPoint]]:
    """
    Entry points by name; the same one found twice (an editable install) counts once.
    """
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in points:
        found.setdefault(point.name, {}).setdefault(point.value, point)
    return {name: list(found[name].values()) for name in sorted(found)}


def _make(name: str, candidates: list[EntryPoint], reactor: Any) -> IPowerDriver:
    if len(candidates) > 1:
        values = " and ".join(point.value for point in candidates)
        raise _NotADriver(f"several packages call a driver so: {values}; uninstall all but one")
    driver = candidates[0].load()(reactor)
    try:
        verifyObject(IPowerDriver, driver)
    except Invalid as error:
        raise _NotADriver(_first(error)) from None
    if driver.name != name:
        raise _NotADriver(f"its entry point is '{name}', but it calls itself '{driver.name}'")
    if not (isinstance(driver.settings, type) and has(driver.settings)):
        raise _NotADriver("its settings are no attrs class")
    taken = sorted(RESERVED & {attribute.name for attribute in driver.settings.__attrs_attrs__})
    if taken:
        raise _NotADriver(f"its setting '{taken[0]}' has the name of a key that every node has")
    # Asked for here, so that a driver that cannot say it spoils nobody's list of drivers.
    describe(driver.settings)
    list(driver.missing_tools())
    return driver  # type: ignore[no-any-return]
