# SPDX-License-Identifier: MIT
"""
From the text of a configuration file to a configuration, or to all its mistakes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import evolve, fields_dict, frozen

from powercoord.config.inrush import Watts, check_groups, limit_of
from powercoord.config.listening import check_region, check_server
from powercoord.config.mistakes import ConfigMistakes, Findings, Mistake, locate
from powercoord.config.nodes import NodesReader, unknown_driver
from powercoord.config.secrets import Surroundings, resolve
from powercoord.config.settings import Kind, Prepared, prepare, public
from powercoord.config.shape import (
    CallerTable,
    Configuration,
    Defaults,
    DriverTable,
    EndpointsTable,
    FleetTable,
    GroupTable,
    Journal,
    NodeTable,
    Region,
    Server,
    Sweep,
)
from powercoord.config.timing import Layer, TimingTable, combine
from powercoord.interfaces import IPowerDriver
from powercoord.parking import ParkingRules
from powercoord.strict import kind_of, unknown_key

T = TypeVar("T")

TABLES: Mapping[str, type] = {
    "server": Server,
    "journal": Journal,
    "region": Region,
    "timing": TimingTable,
    "fleet": FleetTable,
    "sweep": Sweep,
    "endpoints": EndpointsTable,
    "drivers": DriverTable,
    "groups": GroupTable,
    "callers": CallerTable,
    "nodes": NodeTable,
}

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@frozen
class Parsed:
    """
    What a text gave: a configuration, or mistakes, and warnings either way.
    """

    configuration: Configuration | None
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()

    def value(self) -> Configuration:
        """
        The configuration.

        :raises ConfigMistakes: there are some.
        """
        if self.configuration is None:
            raise ConfigMistakes(self.mistakes, self.warnings)
        return self.configuration


def parse(
    text: str,
    file: str,
    drivers: Mapping[str, IPowerDriver],
    around: Surroundings,
    broken: Mapping[str, str] = MappingProxyType({}),
) -> Parsed:
    """
    Read a configuration.

    :param file: what messages call it.
    :param broken: drivers that are installed but do not work, with the reason.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Parsed(None, (_not_toml(str(error), file, text),))
    findings = Findings()
    kinds = {name: Kind.of(driver) for name, driver in drivers.items()}
    configuration = _Reader(document, kinds, broken, around, findings).read()
    warnings = locate(findings.odd, file, text)
    if findings.wrong:
        return Parsed(None, locate(findings.wrong, file, text), warnings)
    return Parsed(evolve(configuration, warnings=warnings), (), warnings)


def parse_server(text: str, file: str, around: Surroundings) -> Server:
    """
    Read the table ``server`` alone, without knowing any driver.

    :raises ConfigMistakes: that table is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigMistakes((_not_toml(str(error), file, text),)) from None
    findings = Findings()
    server = _Reader(document, {}, {}, around, findings).server()
    if findings.wrong:
        raise ConfigMistakes(locate(findings.wrong, file, text))
    return server


def _not_toml(message: str, file: str, text: str) -> Mistake:
    place = _PLACE.search(message)
    reason = _PLACE.sub("", message)
    if place is None or place[1] is None:
        lines = text.split("\n")
        return Mistake(file, len(lines), "", f"not TOML: {reason}", len(lines[-1]) + 1)
    return Mistake(file, int(place[1]), "", f"not TOML: {reason}", int(place[2]))


def _said(tables: Mapping[str, DriverTable], key: str) -> Mapping[str, Any]:
    """
    What the tables of drivers say under one key, those that say anything.
    """
    said = {name: getattr(table, key) for name, table in tables.items()}
    return {name: value for name, value in said.items() if value is not None}


@frozen
class _Reader:
    """
    Reads the tables of a document, each into its part of the configuration.
    """

    document: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    broken: Mapping[str, str]
    around: Surroundings
    findings: Findings

    def read(self) -> Configuration:
        """
        Read all of it; what is wrong is left out, and noted.
        """
        for name in self.document:
            if name not in TABLES:
                self.findings.mistake((name,), unknown_key(name, list(TABLES)))
        server = self.server()
        region = self._with_secret("region", Region)
        check_region(region, self.findings)
        tables, defaults = self._drivers()
        groups = self._groups()
        fleet = self._plain("fleet", FleetTable)
        endpoints = self._plain("endpoints", EndpointsTable)
        layer = Layer(("timing",), self._plain("timing", TimingTable))
        layers = {name: Layer(("drivers", name, "timing"), table.timing) for name, table in tables.items()}
        watts = Watts(fleet, groups, _said(tables, "start_watts"), self.findings)
        reader = NodesReader(
            self.kinds,
            self.broken,
            defaults,
            layer,
            layers,
            groups,
            fleet.on_drift,
            watts,
            self.around,
            self.findings,
        )
        nodes = reader.read(self._tables("nodes"))
        check_groups(groups, reader.members, self.findings)
        return Configuration(
            server=server,
            journal=self._plain("journal", Journal),
            region=region,
            sweep=self._plain("sweep", Sweep),
            nodes=nodes,
            groups={name: limit_of(table) for name, table in groups.items()},
            fleet=limit_of(fleet),
            endpoint_limit=endpoints.limit or 1,
            endpoint_gap=endpoints.gap,
            parking=self._parking(endpoints),
            endpoint_gaps=_said(tables, "endpoint_gap"),
            endpoint_limits={**self._usual(endpoints), **_said(tables, "endpoint_limit")},
            timing=combine([layer]),
            weights=self._weights(),
            defaults={
                name: Defaults(
                    public(kind, defaults.get(name, Prepared())),
                    combine([layer, *([layers[name]] if name in layers else [])]),
                    watts.of_driver(name) or 0,
                )
                for name, kind in self.kinds.items()
            },
        )

    def server(self) -> Server:
        """
        What is said about the coordinator itself.
        """
        server = self._with_secret("server", Server)
        check_server(server, self.findings)
        return server

    def _tables(self, name: str) -> Mapping[str, Any]:
        value = self.document.get(name, {})
        if isinstance(value, dict):
            return value
        self.findings.mistake((name,), f"expected a table, got {kind_of(value)}")
        return {}

    def _plain(self, name: str, kind: type[T]) -> T:
        return self.findings.take(self.document.get(name, {}), kind, (name,)) or kind()

    def _with_secret(self, name: str, kind: type[T]) -> T:
        table = dict(self._tables(name))
        if "secret" in table:
            secret = resolve(table["secret"], (name, "secret"), True, self.around, self.findings)
            table["secret"] = "" if secret is None else secret
        return self.findings.take(table, kind, (name,)) or kind()

    def _usual(self, table: EndpointsTable) -> Mapping[str, int]:
        """
        How many operations endpoints of each kind take at once, unless one number is said for all.
        """
        if table.limit is not None:
            return {}
        usual = {name: kind.driver.capabilities.at_once for name, kind in self.kinds.items()}
        return {name: number for name, number in usual.items() if number != 1}

    def _parking(self, table: EndpointsTable) -> ParkingRules:
        if table.park_longest < table.park_pause:
            text = f"{table.park_longest:g} s is less than endpoints.park_pause ({table.park_pause:g} s)"
            self.findings.mistake(("endpoints", "park_longest"), text)
        return ParkingRules(
            after=table.park_after,
            pause=table.park_pause,
            longest=table.park_longest,
            refused=table.park_refused,
        )

    def _drivers(self) -> tuple[Mapping[str, DriverTable], Mapping[str, Prepared]]:
        tables: dict[str, DriverTable] = {}
        defaults: dict[str, Prepared] = {}
        common = list(fields_dict(DriverTable))
        for name, table in self._tables("drivers").items():
            path = ("drivers", name)
            own = (
                table if not isinstance(table, dict) else {key: table[key] for key in table if key in common}
            )
            tables[name] = self.findings.take(own, DriverTable, path) or DriverTable()
            if name not in self.kinds:
                self.findings.mistake(path, unknown_driver(name, self.kinds, self.broken))
            elif isinstance(table, dict):
                settings = {key: value for key, value in table.items() if key not in common}
                prepared = prepare(self.kinds[name], settings, path, common, self.around, self.findings)
                for key in prepared.ranges:
                    text = "a range pairs with nodes; it can only stand in a node's table"
                    self.findings.mistake((*path, key), text)
                defaults[name] = prepared.without_ranges()
        return tables, defaults

    def _weights(self) -> Mapping[str, int]:
        tables = {
            name: self.findings.take(table, CallerTable, ("callers", name))
            for name, table in self._tables("callers").items()
        }
        return {name: table.weight for name, table in tables.items() if table and table.weight != 1}

    def _groups(self) -> Mapping[str, GroupTable]:
        return {
            name: self.findings.take(table, GroupTable, ("groups", name)) or GroupTable()
            for name, table in self._tables("groups").items()
        }
