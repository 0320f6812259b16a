# SPDX-License-Identifier: MIT
"""
Putting a registry together from what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime

from powercoord.durable import IHistory, IJournal
from powercoord.errors import UnknownPowerType
from powercoord.interfaces import IPowerDriver, IRoster
from powercoord.model import Limit, Observation
from powercoord.parking import ParkingRules
from powercoord.registry.breakers import Breakers
from powercoord.registry.dependencies import Dependencies
from powercoord.registry.gates import EndpointGate
from powercoord.registry.publisher import Publisher
from powercoord.registry.readiness import Probe, Readiness, unprobed
from powercoord.registry.registry import Registry
from powercoord.registry.sightings import Sightings
from powercoord.registry.starts import StartGate
from powercoord.registry.starts_turns import Turns
from powercoord.registry.surroundings import Surroundings
from powercoord.registry.window import Window


@frozen(kw_only=True)
class Limits:
    """
    Who may do how much at once.

    :param endpoints: operations on the wire per endpoint, by driver; 1 where
        nothing is said.
    :param gaps: seconds between two operations at one endpoint, by driver.
    :param parking: when an endpoint that does not answer is left alone.
    :param weights: how many starts a caller has in a round, if not one.
    """

    fleet: Limit = field(factory=Limit)
    groups: Mapping[str, Limit] = field(factory=dict)
    endpoints: Mapping[str, int] = field(factory=dict)
    gaps: Mapping[str, float] = field(factory=dict)
    parking: ParkingRules = field(factory=ParkingRules)
    weights: Mapping[str, int] = field(factory=dict)


def build_registry(
    *,
    clock: IReactorTime,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
    jitter: Callable[[float], float],
    roster: IRoster,
    drivers: Mapping[str, IPowerDriver],
    journal: IJournal,
    history: IHistory | None = None,
    limits: Limits | None = None,
    probe: Probe = unprobed,
) -> Registry:
    """
    A registry with nothing in it.

    :param now: the wall clock, with its time zone, for what is written down.
    :param new_id: ids for actions, unique for ever.
    :param history: where requests are looked up that were answered long ago.
    :param jitter: spreads the pauses between retries.
    :param probe: tries whether something accepts connections at ``host:port``; "" if so, else why not.
    """
    limits = limits or Limits()
    publisher = Publisher(journal)

    def changed(name: str, observation: Observation) -> None:
        registry.observed(name, observation)

    def driver(name: str) -> IPowerDriver:
        try:
            return drivers[name]
        except KeyError:
            raise UnknownPowerType(f"no driver {name}; there are {', '.join(sorted(drivers))}") from None

    sightings = Sightings(clock, changed)
    world = Surroundings(
        clock=clock,
        now=now,
        write=publisher.write,
        driver=driver,
        endpoints=EndpointGate(clock, limits.endpoints, limits.gaps),
        breakers=Breakers(clock, now, publisher.write, jitter, limits.parking),
        window=Window(clock),
        starts=StartGate(clock, limits.fleet, limits.groups, Turns(limits.weights)),
        sightings=sightings,
        dependencies=Dependencies(clock, now, sightings, Readiness(sightings, probe)),
        jitter=jitter,
    )
    registry = Registry(roster, world, publisher, new_id, history)
    return registry
