# SPDX-License-Identifier: MIT
"""
What real devices were recorded to send, byte for byte.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.amt.answer import Answer, Fault
from powercoord.drivers.amt.device import Device
from powercoord.drivers.amt.envelope import get
from powercoord.drivers.web.challenges import parse_challenges
from powercoord.drivers.web.digest import Digest
from powercoord.errors import PowerAuthError
from tests.drivers.web.world import Errand, World
from tests.recorded import recorded

PACKAGE = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ComputerSystemPackage"


class RecordedHttpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder: Path = recorded("amt") / "responses" / "http"
        self.world = World()
        digest = Digest("admin", "secret", lambda: "c")
        self.device = Device("AMT", self.world.clock, self.world.exchange(), digest)

    def ask(self) -> Deferred[Answer | Fault]:
        return Deferred.fromCoroutine(self.device.ask(get(PACKAGE), Errand(), 10.0))

    def say(self, data: bytes) -> None:
        """
        Byte by byte, as a slow device may.
        """
        for at in range(len(data)):
            self.world.socket.say(data[at : at + 1])
        self.world.turn()

    def nonce(self) -> str:
        """
        The one in the credentials that came.
        """
        head, _, _ = self.world.heard().decode().partition("\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        return parse_challenges([fields["Authorization"]])[0].parameters["nonce"]

    def test_login(self) -> None:
        """
        The challenges of two generations are answered on new connections, and a chunked answer is read.
        """
        for name, missing, nonce in (
            ("401-amt11.8.50.http", b"", "wlbEK1EtAAAAAAAAWW5aUHFp+mQQ1j63"),
            ("401-amt15.0.23.http", b"x" * 693, "bQali2IAAAAAAAAAn0xaWCOcxNsRcEHX"),
        ):
            self.setUp()
            asked = self.ask()
            self.world.turn()
            self.assertNotIn(b"Authorization", self.world.heard())
            self.say((self.folder / name).read_bytes() + missing)
            self.assertEqual(2, len(self.world.sockets))
            self.assertEqual(nonce, self.nonce())
            self.say((self.folder / "200-chunked-amt15.0.23.http").read_bytes())
            answer = self.successResultOf(asked)
            assert isinstance(answer, Answer)
            self.assertEqual(("44454C4C4B0010428033B6C04F504633",), answer.all("PlatformGUID"))

    def test_refused(self) -> None:
        """
        The same page in answer to credentials means that they are wrong.
        """
        page = (self.folder / "401-amt11.8.50.http").read_bytes()
        asked = self.ask()
        self.world.turn()
        for _ in range(2):
            self.say(page)

        self.failureResultOf(asked, PowerAuthError)
        self.assertEqual(2, len(self.world.sockets))
