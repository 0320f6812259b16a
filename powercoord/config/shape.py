# SPDX-License-Identifier: MIT
# ruff: noqa: RUF009 - key() declares a field, and the other defaults are frozen values
"""
A configuration as the rest of the program sees it: complete, checked, frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen

from powercoord.config.ages import Age
from powercoord.config.keys import key
from powercoord.config.mistakes import Mistake
from powercoord.config.timing import TimingTable
from powercoord.model import Limit, Node, OnDrift, Timing
from powercoord.parking import ParkingRules
from powercoord.strict import Count, Interval, Moment, Patience, Seconds

LAMEDUCK = 5.0
"""
Seconds for which a stop lets HAProxy take notice, where nothing else is said.
"""


class DrainTimeoutAction(Enum):
    """
    What a stop does with actions that are not over when its time is.
    """

    INTERRUPT = "interrupt"
    CANCEL = "cancel"
    WAIT = "wait"


@frozen(kw_only=True)
class Server:
    """
    The coordinator itself.
    """

    state_dir: str = key("Where the journal is kept.", default="/var/lib/powercoord")
    amp: tuple[str, ...] = key(
        "Where to listen for AMP, as Twisted server endpoint strings.",
        default=("unix:/run/powercoord/amp.sock:mode=660",),
    )
    secret: str | None = key(
        "What a caller must prove to know, on any endpoint but a UNIX socket.", default=None, secret=True
    )
    insecure: bool = key("Allow endpoints on the network without a secret.", default=False)
    graceful_shutdown_timeout: Patience = key(
        'How long a stop waits for actions to end; 0 does not wait, "infinity" has no limit.',
        default=Patience(60.0),
    )
    drain_timeout_action: DrainTimeoutAction = key(
        "What becomes of actions that are not over by then: ``interrupt`` (they go on after the restart),"
        " ``cancel``, or ``wait`` (for as long as it takes).",
        default=DrainTimeoutAction.INTERRUPT,
    )
    lameduck: Seconds | None = key(
        "How long a stop lets new connections in, and refuses their changes, until load balancers have"
        " taken notice: twice HAProxy's agent-inter. Without it 5s with an agent, else 0.",
        default=None,
    )
    drain_file: str | None = key(
        "A file whose word drains (``maint``, ``drain``, ``stopped``, ``down``) or resumes"
        " (``ready``, ``up``).",
        default=None,
    )
    agent: tuple[str, ...] = key(
        "Where HAProxy's agent checks are answered, as Twisted server endpoint strings.", default=()
    )
    agent_allow: tuple[str, ...] = key(
        "Addresses and networks from which they may come, beside this machine.", default=()
    )
    agent_shared: bool = key(
        "Operators use HAProxy's command line, too: no word of ours undoes theirs.", default=False
    )
    agent_hold: bool = key(
        "A drain that is no stop leaves new connections here, where changes are refused, instead of"
        " sending them to another coordinator.",
        default=False,
    )
    http: tuple[str, ...] = key(
        "Where ``/health`` and ``/metrics`` are told to monitoring, as Twisted server endpoint strings.",
        default=(),
    )
    max_adopted: Count = key(
        "How many nodes that callers describe themselves are remembered.", default=Count(10_000)
    )

    def lameduck_seconds(self) -> float:
        """
        How long a stop waits for load balancers to take notice.
        """
        if self.lameduck is not None:
            return float(self.lameduck)
        return LAMEDUCK if self.agent else 0.0


@frozen(kw_only=True)
class Journal:
    """
    What is kept of what has happened; what is not over is always kept.
    """

    keep: Age = key("How long what was asked and how it ended is kept.", default=Age(90 * 86400.0))
    keep_requests: Count = key(
        "How many requests are kept at most; the oldest go first.", default=Count(1_000_000)
    )


@frozen(kw_only=True)
class Region:
    """
    Region controllers to which the coordinator dials out.
    """

    connect: tuple[str, ...] = key("Where they listen, as Twisted client endpoint strings.", default=())
    secret: str | None = key("The secret shared with them.", default=None, secret=True)


@frozen(kw_only=True)
class Sweep:
    """
    Reads of all nodes in the background.
    """

    interval: Interval = key(
        'How old what is known of a node may become before it is read; 0 or ``"off"``: however old.',
        default=Interval(300.0),
    )
    fast: Moment = key(
        "The same for a node that has just changed, or whose action is over; it doubles with each read.",
        default=Moment(15.0),
    )
    concurrency: Count = key(
        "How many of these reads may be under way at once, not counting those whose BMC is silent for"
        " longer than a second.",
        default=Count(16),
    )


@frozen(kw_only=True)
class FleetTable:
    """
    What holds over all nodes.
    """

    max_starting: Count | None = key(
        "How many nodes may be commanded on and not yet seen on (no limit without it).", default=None
    )
    settle: Seconds = key("How long a node counts as starting after it is seen on.", default=Seconds(0.0))
    start_interval: Seconds = key(
        "The least time between two nodes' commands to start.", default=Seconds(0.0)
    )
    max_watts: Count | None = key(
        "What those that are starting may draw together (no limit without it).", default=None
    )
    start_watts: Count | None = key("What a node draws while it starts.", default=None)
    on_drift: OnDrift = key(
        "What to do when a node's power is other than is wanted: ``flag`` says so, ``enforce`` asks for the"
        " wanted power again.",
        default=OnDrift.FLAG,
    )


@frozen(kw_only=True)
class GroupTable(FleetTable):
    """
    What holds over the nodes of a group.
    """

    on_drift: OnDrift | None = key(  # type: ignore[assignment]
        "In place of ``fleet.on_drift``, for its nodes; groups of one node must not disagree.", default=None
    )
    start_watts: Count | None = key(
        "In place of what the driver or the fleet says, for its nodes; of a node's groups the most counts.",
        default=None,
    )
    parent: str | None = key("The group inside of which it is; its limits hold, too.", default=None)
    timing: TimingTable = key("Times of its nodes.", default=TimingTable())


@frozen(kw_only=True)
class EndpointsTable:
    """
    Limits for each BMC, hypervisor or outlet bar.
    """

    limit: Count | None = key(
        "How many operations may be on the wire to one endpoint at once; else what suits its kind, mostly 1.",
        default=None,
    )
    gap: Seconds = key(
        "How long an endpoint is left in peace between two operations, reads and changes alike.",
        default=Seconds(0.0),
    )
    park_after: Count = key(
        "How many operations in a row may have no answer before an endpoint is parked.", default=Count(3)
    )
    park_pause: Moment = key(
        "How long after that it is tried again; doubles with each try in vain.", default=Moment(15.0)
    )
    park_longest: Moment = key("The longest pause between two tries.", default=Moment(600.0))
    park_refused: Moment = key(
        "How long after it refused a password that is tried once more, if nothing else happens;"
        " accounts lock.",
        default=Moment(21600.0),
    )


@frozen(kw_only=True)
class DriverTable:
    """
    What holds for all nodes of a driver, beside its own settings.
    """

    endpoint_limit: Count | None = key("In place of ``endpoints.limit``, for this driver.", default=None)
    start_watts: Count | None = key("In place of ``fleet.start_watts``, for its nodes.", default=None)
    endpoint_gap: Seconds | None = key("In place of ``endpoints.gap``, for this driver.", default=None)
    timing: TimingTable = key("Times of its nodes.", default=TimingTable())


@frozen(kw_only=True)
class CallerTable:
    """
    One who asks, as requests name their requester.
    """

    weight: Count = key(
        "How many of its nodes may start in a round, where those of others have their turns, too.",
        default=Count(1),
    )


@frozen(kw_only=True)
class ReadyTable:
    """
    When nodes that require this one may start, once it is seen on.
    """

    after: Seconds = key("How long after that.", default=Seconds(0.0))
    tcp: str | None = key(
        "An address (``host:port``) that must accept a connection; tried until one is accepted.", default=None
    )


@frozen(kw_only=True)
class NodeTable:
    """
    One node or many alike, beside the settings of their driver.
    """

    driver: str = key("What kind of BMC it has: see ``powercoord drivers``.")
    groups: tuple[str, ...] = key("Groups whose limits it counts against.", default=())
    on_drift: OnDrift | None = key("In place of what its groups or the fleet say.", default=None)
    start_watts: Count | None = key("In place of what its groups, driver or the fleet say.", default=None)
    requires: str | None = key(
        "Nodes that must be on, and ready, before it may start (a node set): its chassis, its outlet bar.",
        default=None,
    )
    ready: ReadyTable = key(
        "When those that require it may start: ``after`` (a time) it came on, and once ``tcp``"
        " (``host:port``) accepts a connection.",
        default=ReadyTable(),
    )
    timing: TimingTable = key("Its times.", default=TimingTable())


@frozen
class Defaults:
    """
    What holds for the nodes of a driver that callers describe themselves.

    ``settings`` has no credentials: a caller names the address, and must not
    have our passwords sent there.
    """

    settings: Mapping[str, object] = field(factory=dict)
    timing: Timing = Timing()
    start_watts: int = 0


@frozen(kw_only=True)
class Configuration:
    """
    All that a configuration file says.

    :param groups: limits by group; a group without one has none.
    :param endpoint_limits: by driver, where it differs from ``endpoint_limit``.
    :param endpoint_gaps: in seconds, likewise.
    :param defaults: by driver, for nodes that callers describe themselves.
    :param weights: by caller, where it is not 1.
    :param warnings: what works, but should not stay.
    """

    server: Server = Server()
    journal: Journal = Journal()
    region: Region = Region()
    sweep: Sweep = Sweep()
    nodes: tuple[Node, ...] = ()
    groups: Mapping[str, Limit] = field(factory=dict)
    fleet: Limit = Limit()
    endpoint_limit: int = 1
    endpoint_limits: Mapping[str, int] = field(factory=dict)
    endpoint_gap: float = 0.0
    endpoint_gaps: Mapping[str, float] = field(factory=dict)
    parking: ParkingRules = ParkingRules()
    timing: Timing = Timing()
    defaults: Mapping[str, Defaults] = field(factory=dict)
    weights: Mapping[str, int] = field(factory=dict)
    warnings: tuple[Mistake, ...] = ()

    def endpoint_limit_of(self, driver: str) -> int:
        """
        How many operations may be on the wire to one of this driver's endpoints.
        """
        return self.endpoint_limits.get(driver, self.endpoint_limit)

    def endpoint_gap_of(self, driver: str) -> float:
        """
        How long one of this driver's endpoints is left in peace between two operations.
        """
        return self.endpoint_gaps.get(driver, self.endpoint_gap)
