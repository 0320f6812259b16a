# SPDX-License-Identifier: MIT
"""
``python -m powercoord.sim``: serve a simulated fleet until SIGTERM or SIGINT.

When it answers, it prints one line: ``ready 100 BMCs 127.50.0.1 127.50.0.100 port 6230``.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from twisted.internet.error import CannotListenError

from powercoord.sim.fleet import DEFAULT_BASE, DEFAULT_PORT, SimulatedFleet
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Profile


def arguments(words: Sequence[str] | None = None) -> Namespace:
    """
    Read the command line.
    """
    parser = ArgumentParser(prog="python -m powercoord.sim", description="Serve a simulated fleet of BMCs.")
    parser.add_argument("--bmcs", type=int, default=100, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--base", default=DEFAULT_BASE, help="the first one's address (default %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="UDP; 0 takes a free one")
    parser.add_argument("--on-latency", type=float, default=0.0, metavar="S", help="from power on to on")
    parser.add_argument("--off-latency", type=float, default=0.0, metavar="S", help="from power off to off")
    parser.add_argument(
        "--soft-latency", type=float, default=0.0, metavar="S", help="-1: soft stops never end"
    )
    parser.add_argument("--slots", type=int, default=Profile().slots, help="sessions of each BMC")
    parser.add_argument("--powered", action="store_true", help="all machines are on at first")
    parser.add_argument("--each", action="store_true", help="a socket for each BMC instead of one for all")
    parser.add_argument("--seed", type=int, default=0, help="of session ids and of what is lost")
    return parser.parse_args(words)


def fleet_for(options: Namespace, reactor: object) -> SimulatedFleet:
    """
    The fleet that the command line asks for.

    :raises ValueError: it does not fit into 127.0.0.0/8.
    """
    soft = options.soft_latency if options.soft_latency >= 0 else None
    return SimulatedFleet(
        reactor,
        options.bmcs,
        base=options.base,
        port=options.port,
        latency=Latency(on=options.on_latency, off=options.off_latency, soft=soft),
        profile=Profile(slots=options.slots),
        powered=options.powered,
        each=options.each,
        seed=options.seed,
    )


def tell(fleet: SimulatedFleet) -> None:
    """
    Say that it is ready, and where.
    """
    first, last = fleet.bmcs[0].address, fleet.bmcs[-1].address
    print(f"ready {len(fleet.bmcs)} BMCs {first} {last} port {fleet.port}", flush=True)  # noqa: T201


def main() -> None:
    """
    Serve until told to stop.
    """
    from twisted.internet import reactor

    try:
        fleet = fleet_for(arguments(), reactor)
        fleet.startService()
    except (ValueError, CannotListenError) as error:
        sys.exit(f"python -m powercoord.sim: {error}")
    reactor.addSystemEventTrigger("before", "shutdown", fleet.stopService)
    reactor.callLater(0, tell, fleet)  # in the running reactor, where a signal is already a clean stop
    reactor.run()


if __name__ == "__main__":
    main()
