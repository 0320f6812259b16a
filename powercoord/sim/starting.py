# SPDX-License-Identifier: MIT
"""
``powercoord sim {ipmi,redfish,amt}``: serve a simulated fleet until SIGTERM or SIGINT.

When it answers, it prints one line: ``ready 50 BMCs 127.50.0.1 127.50.0.50 port 6230``, or
``ready 50 BMCs https://127.60.0.1:8443 https://127.60.0.50:8443``.
"""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powercoord.sim.places import (
    AMT_BASE,
    AMT_PORT,
    AMT_TLS_PORT,
    IPMI_BASE,
    IPMI_PORT,
    PASSWORD,
    REDFISH_BASE,
    REDFISH_PORT,
)

if TYPE_CHECKING:
    from powercoord.sim.fleet import SimulatedFleet
    from powercoord.sim.machine import Latency
    from powercoord.sim.web.fleet import WebFleet

#: Where the administrator's password may stand instead of in a file.
VARIABLE = "POWERCOORD_SIM_PASSWORD"

_FAULTS = """What is wrong, with all BMCs or, after an @, with some of them, counted from 1: dead,
delay=2@1-5, mute=reset, complain=reset:SYS518. Repeat it for more."""
_QUIRK = "How this kind departs from others: etags=weak, reset_code=202. Repeat it for more."
_EPILOG = f"""The names of faults, quirks, requests and complaints: docs/simulators.md. The user is admin, the
password {PASSWORD!r} unless --password-file or the environment's {VARIABLE} says otherwise."""


def arguments(words: Sequence[str], program: str = "powercoord sim") -> Namespace:
    """
    Read the command line.
    """
    parser = ArgumentParser(prog=program, description="Serve a simulated fleet.", epilog=_EPILOG)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="{ipmi,redfish,amt}")
    for name, describe, meaning in (
        ("ipmi", _describe_ipmi, "BMCs that speak IPMI over LAN"),
        ("redfish", _describe_redfish, "BMCs that speak Redfish"),
        ("amt", _describe_amt, "machines with Intel AMT"),
    ):
        kind = kinds.add_parser(name, help=meaning, description=f"Serve simulated {meaning}.", epilog=_EPILOG)
        _describe(kind)
        describe(kind)
    return parser.parse_args(words)


def _describe(parser: ArgumentParser) -> None:
    count = parser.add_argument
    count("--nodes", type=int, default=100, metavar="N", help="how many (default %(default)s)")
    count("--bmcs", type=int, dest="nodes", default=SUPPRESS, help=SUPPRESS)
    count("--on-latency", type=float, default=0.0, metavar="S", help="from power on to on")
    count("--off-latency", type=float, default=0.0, metavar="S", help="from power off to off")
    count("--soft-latency", type=float, default=0.0, metavar="S", help="-1: soft stops never end")
    count("--powered", action="store_true", help="all machines are on at first")
    count("--seed", type=int, default=0, help="of session ids, tokens, nonces, and of what is lost")
    count("--password-file", type=Path, metavar="FILE", help="the administrator's password")
    count("--fault", action="append", default=[], metavar="NAME[=VALUE][@WHICH]", help=_FAULTS)
    count("--quirk", action="append", default=[], metavar="NAME=VALUE", help=_QUIRK)


def _place(parser: ArgumentParser, base: str, port: int | None, text: str) -> None:
    parser.add_argument("--base", default=base, help="the first one's address (default %(default)s)")
    parser.add_argument("--port", type=int, default=port, help=text)


def _describe_ipmi(parser: ArgumentParser) -> None:
    _place(parser, IPMI_BASE, IPMI_PORT, "UDP (default %(default)s); 0 takes a free one")
    parser.add_argument("--slots", type=int, default=4, help="sessions of each BMC")
    parser.add_argument("--each", action="store_true", help="a socket for each BMC instead of one for all")


def _describe_redfish(parser: ArgumentParser) -> None:
    _place(parser, REDFISH_BASE, REDFISH_PORT, "TCP (default %(default)s); 0 takes a free one")
    parser.add_argument("--systems", type=int, default=1, metavar="N", help="machines behind each BMC")
    parser.add_argument("--http", action="store_true", help="without TLS")
    parser.add_argument("--certificate-file", type=Path, metavar="FILE", help="write the certificate there")


def _describe_amt(parser: ArgumentParser) -> None:
    text = f"TCP; 0 takes a free one (default {AMT_PORT}, with TLS {AMT_TLS_PORT})"
    _place(parser, AMT_BASE, None, text)
    parser.add_argument("--tls", action="store_true", help="with TLS")
    parser.add_argument("--certificate-file", type=Path, metavar="FILE", help="write the certificate there")


def password(options: Namespace, environment: Mapping[str, str] = os.environ) -> str:
    """
    The administrator's.

    :raises ValueError: its file cannot be read, or is empty.
    """
    if options.password_file is None:
        return environment.get(VARIABLE, PASSWORD)
    try:
        text: str = options.password_file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--password-file: cannot read {str(options.password_file)!r}: {error}") from None
    if not text:
        raise ValueError(f"--password-file: {str(options.password_file)!r} is empty")
    return text


def _latency(options: Namespace) -> Latency:
    from powercoord.sim.machine import Latency

    soft = options.soft_latency if options.soft_latency >= 0 else None
    return Latency(on=options.on_latency, off=options.off_latency, soft=soft)


def ipmi(options: Namespace, reactor: Any) -> SimulatedFleet:
    """
    The fleet that the command line asks for.

    :raises ValueError: there is no such fleet.
    """
    from attrs import evolve

    from powercoord.sim.faults import HEALTHY
    from powercoord.sim.fleet import SimulatedFleet
    from powercoord.sim.profile import Profile
    from powercoord.sim.wording import settled

    profile = settled(Profile(slots=options.slots), options.quirk)
    secret = password(options).encode()
    users = tuple(evolve(user, password=secret) if user.name == b"admin" else user for user in profile.users)
    fleet = SimulatedFleet(
        reactor,
        options.nodes,
        base=options.base,
        port=options.port,
        latency=_latency(options),
        profile=evolve(profile, users=users),
        powered=options.powered,
        each=options.each,
        seed=options.seed,
    )
    for index, texts in _faults(options).items():
        fleet.bmcs[index].bmc.faults = settled(HEALTHY, texts)
    return fleet


def redfish(options: Namespace, reactor: Any) -> WebFleet[Any]:
    """
    The fleet that the command line asks for.

    :raises ValueError: there is no such fleet.
    """
    from powercoord.sim.redfish.fleet import RedfishFleet
    from powercoord.sim.redfish.profile import Profile, accounts_with
    from powercoord.sim.wording import settled

    fleet = RedfishFleet(
        reactor,
        options.nodes,
        base=options.base,
        port=options.port,
        systems=options.systems,
        latency=_latency(options),
        profile=settled(Profile(accounts=accounts_with(password(options))), options.quirk),
        powered=options.powered,
        tls=not options.http,
        seed=options.seed,
    )
    return _furnished(fleet, options)


def amt(options: Namespace, reactor: Any) -> WebFleet[Any]:
    """
    The fleet that the command line asks for.

    :raises ValueError: there is no such fleet.
    """
    from powercoord.sim.amt.fleet import AmtFleet
    from powercoord.sim.amt.profile import Profile
    from powercoord.sim.wording import settled

    fleet = AmtFleet(
        reactor,
        options.nodes,
        base=options.base,
        port=options.port,
        latency=_latency(options),
        profile=settled(Profile(password=password(options)), options.quirk),
        powered=options.powered,
        tls=options.tls,
        seed=options.seed,
    )
    return _furnished(fleet, options)


def _furnished(fleet: WebFleet[Any], options: Namespace) -> WebFleet[Any]:
    from powercoord.sim.web.faults import HEALTHY
    from powercoord.sim.wording import settled

    for index, texts in _faults(options).items():
        faults = settled(HEALTHY, texts)
        fleet.bmcs[index].bmc.check(faults)
        fleet.bmcs[index].bmc.faults = faults
    if fleet.certificate is not None and options.certificate_file is not None:
        try:
            options.certificate_file.write_bytes(fleet.certificate.pem)
        except OSError as error:
            raise ValueError(f"--certificate-file: {error}") from None
    return fleet


def _faults(options: Namespace) -> dict[int, list[str]]:
    """
    The faults of each BMC that has any.
    """
    found: dict[int, list[str]] = {}
    for text in options.fault:
        what, at, which = text.rpartition("@")
        for index in _indexes(which, options.nodes) if at else range(options.nodes):
            found.setdefault(index, []).append(what if at else text)
    return found


def _indexes(text: str, count: int) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or not (last.isdigit() or not dash):
            raise ValueError(f"--fault: after @ stand numbers, as in @1-5,8; not {text!r}")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= count:
            raise ValueError(f"--fault: {part!r} is not from 1 to {count}")
        found += range(low - 1, high)
    return found


def _told_ipmi(fleet: SimulatedFleet) -> str:
    return f"{fleet.bmcs[0].address} {fleet.bmcs[-1].address} port {fleet.port}"


def _told_web(fleet: WebFleet[Any]) -> str:
    return f"{fleet.bmcs[0].url} {fleet.bmcs[-1].url}"


#: How each kind is made, and how it says where it is.
KINDS: dict[str, tuple[Callable[[Namespace, Any], Any], Callable[[Any], str]]] = {
    "ipmi": (ipmi, _told_ipmi),
    "redfish": (redfish, _told_web),
    "amt": (amt, _told_web),
}


def main(words: Sequence[str], program: str = "powercoord sim") -> int:
    """
    Serve until told to stop; 1, and a line that says why, if that cannot be.
    """
    options = arguments(words, program)
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError

    make, told = KINDS[options.kind]
    try:
        fleet = make(options, reactor)
        fleet.startService()
    except (ValueError, CannotListenError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 1

    def tell() -> None:
        sys.stdout.write(f"ready {len(fleet.bmcs)} BMCs {told(fleet)}\n")
        sys.stdout.flush()

    reactor.addSystemEventTrigger("before", "shutdown", fleet.stopService)
    reactor.callLater(0, tell)  # in the running reactor, where a signal is already a clean stop
    reactor.run()
    return 0
