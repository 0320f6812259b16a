# SPDX-License-Identifier: MIT
"""
httpbin, which asks for digest authentication in many forms, in a child process on the loopback interface.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

MISSING = None if find_spec("httpbin") else "no httpbin here (Python package httpbin)"

# It tells its port, and lives as long as its standard input.
SERVER = """\
import sys, threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from httpbin import app
WSGIRequestHandler.log_message = lambda *_: None
server = make_server("127.0.0.1", 0, app)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""


@define(eq=False)
class Httpbin(ProcessProtocol):
    """
    The process, and the port on which it answers.
    """

    _reactor: Any
    port: int = field(default=0, init=False)
    _output: bytes = field(default=b"", init=False)
    _errors: bytes = field(default=b"", init=False)
    _ready: Deferred[None] = field(factory=Deferred, init=False)
    _ended: Deferred[None] = field(factory=Deferred, init=False)

    def start(self) -> Deferred[None]:
        """
        Fires when it can be asked.
        """
        self._reactor.spawnProcess(self, sys.executable, [sys.executable, "-c", SERVER], env=None)
        return self._ready

    def stop(self) -> Deferred[None]:
        """
        Fires when it is gone.
        """
        if self.transport is not None:
            self.transport.closeStdin()
        return self._ended

    def outReceived(self, data: bytes) -> None:
        """
        It says where it is.
        """
        self._output += data
        if self._output.endswith(b"\n") and not self._ready.called:
            self.port = int(self._output)
            self._ready.callback(None)

    def errReceived(self, data: bytes) -> None:
        """
        Kept in case that it does not start.
        """
        self._errors += data

    def processEnded(self, reason: Failure) -> None:
        """
        It has ended, and its pipes are closed.
        """
        if not self._ready.called:
            self._ready.errback(AssertionError(f"httpbin did not start: {self._errors.decode()}"))
        self._ended.callback(None)
