# SPDX-License-Identifier: MIT
"""
Ending the process with a code that says how it went.
"""

from __future__ import annotations

import atexit
import os
import sys

# sysexits.h, which systemd and others know.
EX_UNAVAILABLE = 69
EX_CONFIG = 78


def exit_with(code: int) -> None:
    """
    Have the process end with this code once twistd has cleaned up.

    twistd decides the code itself and swallows ``SystemExit`` while the
    reactor stops; the last exit hook is the only place that has the last word.
    """
    atexit.register(_exit, code)


def _exit(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
