# SPDX-License-Identifier: MIT
"""
Ending the process with a code that says how it went, whatever hangs.
"""

from __future__ import annotations

import _thread
import atexit
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning

# sysexits.h, which systemd and others know, and 128 + the number of a signal, as a shell would tell it.
EX_UNAVAILABLE = 69
EX_TEMPORARY = 75
EX_CONFIG = 78
EX_SIGINT = 130
EX_SIGTERM = 143

# How long Twisted, its threads and the interpreter may take once all of ours is over.
_CLEARING = 5.0


def exit_with(code: int) -> None:
    """
    Have the process end with this code once twistd has cleaned up.

    twistd decides the code itself and swallows ``SystemExit`` while the
    reactor stops; the last exit hook is the only place that has the last word.
    """
    atexit.register(_exit, code)


def end_process(reactor: Any) -> Callable[[int], None]:
    """
    What ends the process that runs this reactor, with a code.
    """

    def ended(code: int) -> None:
        if code:
            exit_with(code)
        insist(_CLEARING, code)
        # A start can fail before the reactor runs, and it cannot be stopped before.
        reactor.callWhenRunning(_stop, reactor)

    return ended


def insist(seconds: float, code: int) -> None:
    """
    See that the process ends by then, if need be with the reactor stuck.

    A thread says where it is stuck, and ends it with the code.  If that gets
    no turn either, because C code does not let go of the interpreter, the
    kernel ends it a second later.

    This may be called by a signal handler, so it takes no lock: a thread of
    the module ``threading`` would.
    """
    _thread.start_new_thread(_insist, (seconds, code))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)


def _insist(seconds: float, code: int) -> None:
    time.sleep(seconds)
    os.write(2, b"powercoord: stuck while ending, here; ended by force\n")
    with suppress(Exception):
        faulthandler.dump_traceback(file=2)
    os._exit(code)


def _stop(reactor: Any) -> None:
    with suppress(ReactorNotRunning):
        reactor.stop()


def _exit(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
