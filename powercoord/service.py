# SPDX-License-Identifier: MIT
"""
Where the rooms are put together, for twistd and for tests.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any

from twisted.python import usage

from powercoord.config import DEFAULT, Configuration, load
from powercoord.durable import IHistory, IJournal
from powercoord.errors import ConfigError
from powercoord.installed import Installed, broken_driver, find_drivers
from powercoord.journal import sqlite_journal
from powercoord.lifecycle.exiting import EX_CONFIG, end_process
from powercoord.lifecycle.inherited import Inherited
from powercoord.lifecycle.notify_systemd import Systemd
from powercoord.lifecycle.serving import Coordinator
from powercoord.service_assembly import Around, Assembly


class Options(usage.Options):
    """
    ``twistd powercoord``.
    """

    optParameters = [
        ["config", "c", DEFAULT, "The configuration file."],
    ]


def makeService(options: Options) -> Coordinator:
    """
    The service that ``twistd powercoord --config FILE`` runs.

    Mistakes in the configuration are told on standard error, a line each,
    and end the process with 78 before anything has begun.
    """
    from twisted.internet import reactor

    # In this order: both take what systemd says out of the environment, and share a part of it.
    inherited = Inherited.from_environment(reactor, os.environ)
    systemd = Systemd.from_environment(reactor, os.environ, os.getpid, lambda: time.monotonic_ns() // 1000)
    installed = find_drivers(reactor)
    read = partial(load, options["config"], installed.drivers, installed.broken)
    try:
        configuration = read()
        server = configuration.server
        unused = inherited.check(
            [*server.amp, *server.agent, *server.http],
            secret=server.secret is not None,
            insecure=server.insecure,
        )
    except ConfigError as mistakes:
        _tell(str(mistakes))
        raise SystemExit(EX_CONFIG) from None
    for name, reason in installed.broken.items():
        _tell(f"warning: {broken_driver(name, reason)}")
    for warning in configuration.warnings:
        _tell(f"warning: {warning}")
    for name in unused:
        _tell(f"warning: systemd handed over a socket '{name}' that no endpoint of server.amp or agent names")
    keep = configuration.journal
    journal = sqlite_journal(
        reactor, server.state_dir, keep=float(keep.keep), keep_requests=int(keep.keep_requests)
    )
    around = Around(end_process(reactor), _tell, inherited.endpoint, systemd, read, lambda: journal.alive)
    return build(reactor, configuration, installed, journal, around, journal.history)


def build(
    reactor: Any,
    configuration: Configuration,
    installed: Installed,
    journal: IJournal,
    around: Around,
    history: IHistory | None = None,
) -> Coordinator:
    """
    A coordinator for a configuration; nothing is opened before it is started.
    """
    return Assembly(reactor, configuration, installed, journal, around, history).coordinator()


def _tell(text: str) -> None:
    """
    Say it where whoever started the process looks; the log may be elsewhere.
    """
    sys.stderr.write("".join(f"powercoord: {line}\n" for line in text.splitlines()))
