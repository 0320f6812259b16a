# SPDX-License-Identifier: MIT
"""
The simulated AMT as others see it: PyPI's `amt`, and curl, take it for a real one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from shutil import which
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase

from powercoord.drivers.ipmi.boot import Device
from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Latency

#: Does what its words say, one after the other, and prints all answers.
CLIENT = """
import json, sys, time
from amt.client import Client
address, protocol, *steps = sys.argv[1:]
client, answers = Client(address, "secret", protocol=protocol), []
for step in steps:
    if step == "wrong":
        client.password = "not this"
        continue
    try:
        answers.append(getattr(client, step)())
    except Exception as error:
        answers.append(str(getattr(getattr(error, "response", None), "status_code", None)))
    time.sleep(0.1)
print(json.dumps(answers))
"""

IDENTIFY = """<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><Header>
 <a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action>
 <w:ResourceURI>http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_SoftwareIdentity</w:ResourceURI>
 <a:MessageID>7</a:MessageID></Header><Body/></Envelope>"""


def written(path: Path, content: bytes) -> str:
    """
    The path of a new file.
    """
    path.write_bytes(content)
    return str(path.absolute())


class AmtPeerCase(TestCase):
    """
    One machine in this process, at an address of this case's own and the ports that `amt` insists on.
    """

    timeout = 120
    base = "127.70.60.1"
    tls = False
    profile = Profile()

    def setUp(self) -> None:
        from twisted.internet import reactor

        latency = Latency(on=0.02, off=0.02, cycle=0.02)
        self.fleet = AmtFleet(reactor, 1, base=self.base, latency=latency, tls=self.tls, profile=self.profile)
        self.fleet.startService()
        self.addCleanup(self.fleet.stopService)
        self.bmc = self.fleet.bmcs[0]
        self.environment = dict(os.environ)

    async def amt(self, *steps: str) -> list[Any]:
        """
        What `amt` is answered, step by step.
        """
        words = ("-c", CLIENT, self.bmc.address, "https" if self.tls else "http", *steps)
        out, err, _ = await getProcessOutputAndValue(sys.executable, words, env=self.environment)
        self.assertTrue(out, err.decode())
        answers: list[Any] = json.loads(out.splitlines()[-1])
        return answers


class AmtClientTests(AmtPeerCase):
    base = "127.70.61.1"

    async def test_power(self) -> None:
        """
        `amt` reads power, switches on, cycles and switches off, and the machine agrees.
        """
        answers = await self.amt(
            *("power_status", "power_on", "power_status", "power_cycle", "power_off", "power_status")
        )

        self.assertEqual(["8", 0, "2", 0, 0, "8"], answers)
        self.assertEqual(["2", "5", "8"], self.bmc.record.asked_for())
        self.assertEqual(["on", "cycle", "off"], [command.verb for command in self.bmc.machine.commands])

    async def test_boot_once(self) -> None:
        """
        `amt` boots from the network once.
        """
        await self.amt("pxe_next_boot", "power_on", "power_cycle")

        self.assertTrue(self.bmc.machine.power())
        self.assertEqual([Device.PXE, Device.NONE], self.bmc.machine.booted)

    async def test_wrong_password(self) -> None:
        """
        `amt` hears 401 for a wrong password, and nothing was done.
        """
        answers = await self.amt("power_status", "wrong", "power_on", "power_off")

        self.assertEqual(["8", "401", "401"], answers)
        self.assertEqual((2, []), (self.bmc.record.wrong_passwords, self.bmc.machine.commands))


class AmtLockTests(AmtPeerCase):
    base = "127.70.62.1"
    profile = Profile(lock_after=2)

    async def test_lock(self) -> None:
        """
        After too many wrong passwords `amt` is refused with the right one too.
        """
        await self.amt("wrong", "power_status", "power_status")
        locked = await self.amt("power_status")
        self.bmc.bmc.unlock()

        self.assertEqual((["401"], ["8"]), (locked, await self.amt("power_status")))


class AmtTlsTests(AmtPeerCase):
    base = "127.70.63.1"
    tls = True

    async def test_tls(self) -> None:
        """
        `amt` speaks TLS with whoever trusts the certificate, and not without.
        """
        assert self.fleet.certificate is not None
        authority = written(Path(self.mktemp()), self.fleet.certificate.pem)
        refused = await self.amt("power_status")
        self.environment["REQUESTS_CA_BUNDLE"] = authority

        self.assertEqual((["None"], ["8"]), (refused, await self.amt("power_status")))


class CurlTests(AmtPeerCase):
    base = "127.70.64.1"

    async def test_curl(self) -> None:
        """
        curl answers the challenge in its odd form, and puts the chunks together.
        """
        program = which("curl")
        if program is None:
            raise SkipTest("curl is not installed")
        words = ("-s", "--digest", "-u", "admin:secret", "-d", IDENTIFY, self.bmc.url + "/wsman")
        out, _, _ = await getProcessOutputAndValue(program, words, env=self.environment)

        self.assertIn(b"<g:VersionString>15.0.23</g:VersionString>", out)
        self.assertIn(b"<b:RelatesTo>7</b:RelatesTo>", out)
