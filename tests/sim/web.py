# SPDX-License-Identifier: MIT
"""
A simulated Redfish service and a simulated AMT to be asked by hand.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.sim.amt.bmc import AmtBmc
from powercoord.sim.amt.profile import Profile as AmtProfile
from powercoord.sim.machine import Latency, Machine
from powercoord.sim.redfish.bmc import RedfishBmc
from powercoord.sim.redfish.profile import Profile
from powercoord.sim.web.exchange import Answer, Ask, Reaction

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SESSIONS = f"{ROOT}/SessionService/Sessions"

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
IPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"


def basic(name: str = "admin", password: str = "secret") -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


class RedfishCase(SynchronousTestCase):
    """
    One service with two machines.
    """

    profile = Profile()
    latency = Latency()
    powered = False

    def setUp(self) -> None:
        self.clock = Clock()
        machines = [Machine(self.clock, self.latency, self.powered) for _ in range(2)]
        self.bmc = RedfishBmc(self.clock, machines, self.profile, "place", Random(0).randbytes)
        self.machine = self.bmc.machine

    def become(self, profile: Profile) -> None:
        self.bmc.restart(profile)

    def receive(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reaction:
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        used = basic() if headers is None else headers
        return self.bmc.receive(Ask(method=method, path=path, headers=used, body=sent))

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        answer = self.receive(method, path, body, headers).answer
        assert answer is not None
        return answer

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        answer = self.ask("GET", path, headers=headers)
        self.assertEqual(200, answer.code, answer.body)
        return json.loads(answer.body)

    def reset(self, kind: Any, headers: Mapping[str, str] | None = None) -> int:
        return self.ask("POST", RESET, {"ResetType": kind}, headers).code

    def state(self) -> str | None:
        told: str | None = self.get(SYSTEM)["PowerState"]
        return told

    def log_in(self, name: str = "admin", password: str = "secret") -> Answer:
        return self.ask("POST", SESSIONS, {"UserName": name, "Password": password}, {})


def header(answer: Answer, name: str) -> str:
    """
    A header of an answer; empty: it has none.
    """
    return next((value for each, value in answer.headers if each == name), "")


def envelope(action: str, resource: str, body: str = "", number: str = "1") -> bytes:
    """
    A request as wsman-messages writes them.
    """
    whole = action if ":" in action else f"{resource}/{action}"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<Envelope xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
        'xmlns="http://www.w3.org/2003/05/soap-envelope"><Header>'
        f"<a:Action>{whole}</a:Action><a:To>/wsman</a:To><w:ResourceURI>{resource}</w:ResourceURI>"
        f"<a:MessageID>{number}</a:MessageID></Header><Body>{body}</Body></Envelope>"
    ).encode()


def transfer(action: str, resource: str, body: str = "") -> bytes:
    return envelope(f"http://schemas.xmlsoap.org/ws/2004/09/transfer/{action}", resource, body)


def enumeration(action: str, resource: str) -> bytes:
    return envelope(f"http://schemas.xmlsoap.org/ws/2004/09/enumeration/{action}", resource)


def call(method: str, resource: str, **arguments: object) -> bytes:
    inside = "".join(f"<h:{name}>{value}</h:{name}>" for name, value in arguments.items())
    return envelope(method, resource, f'<h:{method}_INPUT xmlns:h="{resource}">{inside}</h:{method}_INPUT>')


def boot_source(name: str) -> str:
    return (
        '<ReferenceParameters><SelectorSet xmlns="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">'
        f'<Selector Name="InstanceID">{name}</Selector></SelectorSet></ReferenceParameters>'
    )


GET_POWER = transfer("Get", f"{CIM}CIM_AssociatedPowerManagementService")


def digest(
    challenge: str, body: bytes = b"", qop: str = "auth", nc: int = 1, password: str = "secret"
) -> str:
    """
    An ``Authorization`` header, computed from RFC 2617 alone.
    """
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    hashed = [
        md5(f"admin:{said['realm']}:{password}".encode()).hexdigest(),
        md5(b"POST:/wsman" + (b":" + md5(body).hexdigest().encode()) * (qop == "auth-int")).hexdigest(),
    ]
    middle = f"{said['nonce']}:{nc:08x}:mine:{qop}" if qop else said["nonce"]
    response = md5(f"{hashed[0]}:{middle}:{hashed[1]}".encode()).hexdigest()
    more = f', qop={qop}, nc={nc:08x}, cnonce="mine"' if qop else ""
    return (
        f'Digest username="admin", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="/wsman", '
        f'response="{response}"{more}'
    )


class AmtCase(SynchronousTestCase):
    """
    One machine with AMT.
    """

    profile = AmtProfile()
    latency = Latency()
    powered = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.machine = Machine(self.clock, self.latency, self.powered)
        self.bmc = AmtBmc(self.clock, self.machine, self.profile, Random(0).randbytes)

    def post(self, body: bytes, authorization: str = "") -> Answer:
        headers = {"authorization": authorization} if authorization else {}
        answer = self.bmc.receive(Ask(method="POST", path="/wsman", headers=headers, body=body)).answer
        assert answer is not None
        return answer

    def challenge(self) -> str:
        return header(self.post(GET_POWER), "WWW-Authenticate")

    def ask(self, body: bytes) -> Answer:
        """
        Ask with a fresh nonce and the right password.
        """
        return self.post(body, digest(self.challenge(), body))

    def text(self, body: bytes) -> str:
        answer = self.ask(body)
        self.assertEqual(200, answer.code, answer.body)
        return answer.body.decode()

    def values(self, body: bytes, name: str) -> list[str]:
        return re.findall(rf"<\w:{name}>([^<]*)</\w:{name}>", self.text(body))

    def request(self, state: object) -> int:
        body = call("RequestPowerStateChange", f"{CIM}CIM_PowerManagementService", PowerState=state)
        return int(self.values(body, "ReturnValue")[0])

    def state(self) -> str:
        return self.values(GET_POWER, "PowerState")[0]
