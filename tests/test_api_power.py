# SPDX-License-Identifier: MIT
# ruff: noqa: RUF009 - setting() declares a field, and the other default is a frozen value
"""
Tests for `powercoord.api.power`: a region that knows MAAS's commands, and nothing of us.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from powercoord import errors as e
from powercoord.api import commands
from powercoord.api.extensions import PowerReset
from powercoord.api.power_types import power_type
from powercoord.interfaces import Capabilities
from powercoord.model import Boot, BootDevice, Observation, Policy, PowerState, Request, Verb, Wait
from powercoord.settings import setting
from powercoord.strict import Seconds
from tests.amp_world import AmpWorld
from tests.registry.world import World


class Zipped(amp.Argument):
    """
    A structure as a region written for MAAS sends it.
    """

    def toString(self, value: Any) -> bytes:
        return zlib.compress(json.dumps(value).encode("ascii"))

    def fromString(self, wire: bytes) -> Any:
        return json.loads(zlib.decompress(wire).decode("ascii"))


class UnknownPowerType(Exception):
    pass


class PowerActionFail(Exception):
    pass


class PowerActionAlreadyInProgress(Exception):
    pass


class MaasPower(amp.Command):
    arguments = [
        (b"system_id", amp.Unicode()),
        (b"hostname", amp.Unicode()),
        (b"power_type", amp.Unicode()),
        (b"context", Zipped()),
    ]
    errors = {
        UnknownPowerType: b"UnknownPowerType",
        NotImplementedError: b"NotImplementedError",
        PowerActionFail: b"PowerActionFail",
        PowerActionAlreadyInProgress: b"PowerActionAlreadyInProgress",
    }


class MaasPowerOn(MaasPower):
    commandName = b"PowerOn"


class MaasPowerOff(MaasPower):
    commandName = b"PowerOff"


class MaasPowerCycle(MaasPower):
    commandName = b"PowerCycle"


class MaasPowerQuery(MaasPower):
    commandName = b"PowerQuery"
    response = [(b"state", amp.Unicode()), (b"error_msg", amp.Unicode(optional=True))]


class MaasDescribe(amp.Command):
    commandName = b"DescribePowerTypes"
    response = [(b"power_types", Zipped())]


class MaasCheck(amp.Command):
    commandName = b"PowerDriverCheck"
    arguments = [(b"power_type", amp.Unicode())]
    response = [(b"missing_packages", amp.ListOf(amp.Unicode()))]
    errors = MaasPower.errors


class MaasBootOrder(MaasPower):
    commandName = b"SetBootOrder"
    arguments = [
        *MaasPower.arguments,
        (
            b"order",
            amp.AmpList(
                [
                    (b"id", amp.Integer()),
                    (b"name", amp.Unicode()),
                    (b"mac_address", amp.Unicode(optional=True)),
                    (b"serial", amp.Unicode(optional=True)),
                ]
            ),
        ),
    ]


@define(eq=False)
class ScriptedRegistry:
    """
    Answers as a test says, and takes down what it is asked.
    """

    roster: Any
    requests: list[Request] = field(factory=list)
    refusal: Exception | None = None
    observation: Observation | None = None
    draining: str | None = None

    def submit(self, request: Request) -> Deferred[Any]:
        self.requests.append(request)
        return fail(self.refusal) if self.refusal else Deferred()

    def query(self, name: str) -> Deferred[Any]:
        return succeed(self.observation) if self.observation else fail(self.refusal or RuntimeError(name))


@define(eq=False)
class AdoptingRoster:
    """
    Knows the world's nodes, and adopts whom it is shown.
    """

    world: World
    adopted: list[tuple[str, str, dict[str, Any]]] = field(factory=list)

    def find(self, name: str) -> Any:
        return self.world.registry.roster.find(name)

    def adopt(self, name: str, power_type: str, context: dict[str, Any]) -> Any:
        if power_type != "fake":
            raise e.UnknownPowerType(f"no driver {power_type!r}")
        self.world.driver.from_context(context)
        self.adopted.append((name, power_type, context))
        return self.world.node(name)


class MaasCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.it = AmpWorld()
        self.region = self.it.stock()

    def call(self, command: Any, node: str = "n1", **arguments: Any) -> Any:
        """
        The answer to a command, or the error it ends with.
        """
        if issubclass(command, MaasPower | commands.Power):
            rest = {"system_id": node, "hostname": "h", "power_type": "", "context": {}}
            arguments = rest | arguments
        gotten: list[Any] = []
        self.region.callRemote(command, **arguments).addBoth(gotten.append)
        self.it.carry()
        if not gotten:
            self.it.turn(1)
        (answer,) = gotten
        return answer.value if isinstance(answer, Failure) else answer


class MaasTests(MaasCase):
    def test_power(self) -> None:
        """
        PowerOn, PowerOff and PowerCycle are answered with an empty box once they are accepted, and done.
        """
        for command, commanded in (
            (MaasPowerOn, ["on"]),
            (MaasPowerOff, ["on", "off"]),
            (MaasPowerOn, ["on", "off", "on"]),
            (MaasPowerCycle, ["on", "off", "on", "off", "on"]),
        ):
            before = len(self.it.pipes[0].written)
            self.assertEqual({}, self.call(command))
            self.assertLess(len(self.it.pipes[0].written) - before, 20)
            self.it.turn(20)
            self.assertEqual(commanded, self.it.world.commands("n1"))

    def test_supersedes(self) -> None:
        """
        A region that says nothing of policies can turn off what is being turned on.
        """
        self.it.world.machine("n1").latency = 5.0
        self.call(MaasPowerOn)
        self.it.turn(1)
        self.call(MaasPowerOff)
        self.it.turn(30)

        self.assertFalse(self.it.world.machine("n1").on)

    def test_query(self) -> None:
        """
        PowerQuery tells what the BMC says.
        """
        self.assertEqual({"state": "off", "error_msg": None}, self.call(MaasPowerQuery))
        self.it.world.machine("n1").on = True
        self.assertEqual({"state": "on", "error_msg": None}, self.call(MaasPowerQuery))

    def test_query_never_fails(self) -> None:
        """
        A node that is not there, or can not be described, is in state error with a reason.
        """
        unknown = self.call(MaasPowerQuery, "n99")
        wrong = self.call(MaasPowerQuery, "n1", power_type="fake", context={"x": 1})

        self.assertEqual("error", unknown["state"])
        self.assertIn("n99", unknown["error_msg"])
        self.assertEqual("error", wrong["state"])

    def test_errors(self) -> None:
        """
        A region hears MAAS's errors only, and those it does not know as PowerActionFail with their names.
        """
        error = self.call(MaasPowerOn, "n99")
        self.assertIsInstance(error, PowerActionFail)
        self.assertIn("NoSuchNode: no node n99", str(error))

        self.it.world.registry.drain("maintenance", "somebody")
        self.assertIn("Draining", str(self.call(MaasPowerOn)))

    def test_describe(self) -> None:
        """
        DescribePowerTypes has the drivers with their settings in MAAS's schema.
        """
        (fake,) = self.call(MaasDescribe)["power_types"]
        fields = {each["name"]: each for each in fake["fields"]}

        self.assertEqual(("power", "fake", True), (fake["driver_type"], fake["name"], fake["queryable"]))
        self.assertEqual(["power_address", "outlet", "power_pass"], list(fields))
        self.assertEqual(
            {
                "name": "outlet",
                "label": "Outlet",
                "required": False,
                "field_type": "string",
                "choices": [],
                "default": "",
                "scope": "node",
                "secret": False,
            },
            fields["outlet"],
        )
        password, address = fields["power_pass"], fields["power_address"]
        self.assertEqual(("password", True), (password["field_type"], password["secret"]))
        self.assertEqual(("ip_address", True), (address["field_type"], address["required"]))

    def test_describe_kinds(self) -> None:
        """
        Choices are told as choices, one or several, and only what a context can say is told.
        """

        @frozen(kw_only=True)
        class Settings:
            flags: tuple[str, ...] = setting("Flags", default=("a",), choices=(("a", "A"), ("b", "B")))
            mode: BootDevice = setting("Mode", default=BootDevice.PXE, choices=(("pxe", "PXE"),))
            secret: bool = setting("Secret", default=False)

        @define
        class Driver:
            settings: type = Settings
            name: str = "odd"
            title: str = "Odd"
            capabilities: Capabilities = Capabilities(frozenset())
            context_names: dict[str, str] = field(factory=lambda: {"power_flags": "flags", "mode": "mode"})

            def missing_tools(self) -> list[str]:
                return ["odd-tools"]

        told = power_type(Driver())  # type: ignore[arg-type]
        flags, mode = told["fields"]

        self.assertEqual((["odd-tools"], False), (told["missing_packages"], told["can_set_boot_order"]))
        self.assertEqual(("power_flags", "multiple_choice"), (flags["name"], flags["field_type"]))
        self.assertEqual((["a"], [["a", "A"], ["b", "B"]]), (flags["default"], flags["choices"]))
        self.assertEqual(("choice", "pxe"), (mode["field_type"], mode["default"]))

    def test_describe_types(self) -> None:
        """
        What MAAS's forms have no type for is told as text, and a yes or no as a choice.
        """

        @frozen(kw_only=True)
        class Settings:
            tls: bool = setting("TLS", default=True)
            wait: Seconds = setting("Wait", default=Seconds(90.0))
            port: int = setting("Port", default=23)
            suites: tuple[int, ...] = setting("Suites", default=(17, 3))
            old: bool = setting("Old", default=False)

        @define
        class Driver:
            settings: type = Settings
            name: str = "odd"
            title: str = "Odd"
            capabilities: Capabilities = Capabilities(frozenset())
            context_choices: dict[str, Any] = field(factory=lambda: {"old": (("NEW", "New"), ("OLD", "Old"))})

            def missing_tools(self) -> list[str]:
                return []

        told = power_type(Driver())  # type: ignore[arg-type]
        kinds = {each["name"]: (each["field_type"], each["default"]) for each in told["fields"]}
        self.assertEqual(
            {
                "tls": ("choice", "true"),
                "wait": ("string", "90s"),
                "port": ("string", "23"),
                "suites": ("string", "17 3"),
                "old": ("choice", "NEW"),
            },
            kinds,
        )

    def test_check(self) -> None:
        """
        PowerDriverCheck tells what a driver misses, or that there is no such driver.
        """
        self.assertEqual({"missing_packages": []}, self.call(MaasCheck, power_type="fake"))
        self.assertIsInstance(self.call(MaasCheck, power_type="amt"), UnknownPowerType)

    def test_boot_order(self) -> None:
        """
        SetBootOrder lets a machine boot from the first device of the order next time.
        """
        disk_first = [{"id": 1, "name": "sda", "serial": "x"}, {"id": 2, "name": "eth0", "mac_address": "x"}]
        self.assertEqual({}, self.call(MaasBootOrder, order=disk_first))
        self.it.turn(1)
        self.assertEqual({}, self.call(MaasBootOrder, order=list(reversed(disk_first))))
        self.it.turn(1)
        self.assertEqual({}, self.call(MaasBootOrder, order=[]))
        self.it.turn(1)

        self.assertEqual(["boot disk", "boot pxe"], self.it.world.commands("n1"))


class AdoptingTests(MaasCase):
    def setUp(self) -> None:
        super().setUp()
        self.roster = AdoptingRoster(self.it.world)
        self.registry = ScriptedRegistry(self.roster)
        self.it.restart(self.registry)
        self.region = self.it.stock()

    def ask(self, command: Any, **arguments: Any) -> Request:
        rest = {
            "system_id": "abc123",
            "hostname": "h",
            "power_type": "fake",
            "context": {"power_address": "10.0.0.7"},
        }
        self.region.callRemote(command, **(rest | arguments)).addErrback(lambda failure: failure)
        self.it.carry()
        return self.registry.requests[-1]

    def test_adopted(self) -> None:
        """
        A node that the region describes is adopted with its name, type and context.
        """
        request = self.ask(MaasPowerOff)

        self.assertEqual([("abc123", "fake", {"power_address": "10.0.0.7"})], self.roster.adopted)
        self.assertEqual(("abc123", Verb.OFF), (request.node, request.verb))
        self.assertEqual((Policy.SUPERSEDE, Wait.POWER), (request.policy, request.wait))
        self.assertEqual(("local", "amp"), (request.requester, request.door))

    def test_network_boot(self) -> None:
        """
        As with MAAS's own drivers, a described machine boots from the network once when it is turned on.
        """
        for command in (MaasPowerOn, MaasPowerCycle):
            self.assertEqual(Boot(BootDevice.PXE), self.ask(command).boot)
        context = {"power_address": "x", "power_boot_type": "efi"}
        self.assertEqual(Boot(BootDevice.PXE, efi=True), self.ask(MaasPowerOn, context=context).boot)
        self.assertIsNone(self.ask(MaasPowerOff).boot)

    def test_soft(self) -> None:
        """
        MAAS's power_off_mode is honoured.
        """
        context = {"power_address": "x", "power_off_mode": "soft"}

        self.assertEqual(Verb.SOFT_OFF, self.ask(MaasPowerOff, context=context).verb)
        self.assertEqual(Verb.OFF, self.ask(MaasPowerOff, context=context | {"power_off_mode": "hard"}).verb)

    def test_unknown_type(self) -> None:
        """
        A power type that is not installed is told as MAAS tells it, and a bad context as a failure.
        """
        error = self.call(MaasPowerOn, power_type="amt", context={"power_address": "x"})
        self.assertIsInstance(error, UnknownPowerType)
        error = self.call(MaasPowerOn, power_type="fake", context={"power_pass": "hunter2"})
        self.assertIsInstance(error, PowerActionFail)
        self.assertIn("PowerSettingError", str(error))
        self.assertNotIn("hunter2", str(error))

    def test_busy(self) -> None:
        """
        A refusal that MAAS knows keeps its name.
        """
        self.registry.refusal = e.PowerActionAlreadyInProgress("n1: off is in progress")

        self.assertIsInstance(self.call(MaasPowerOn), PowerActionAlreadyInProgress)

    def test_states(self) -> None:
        """
        Our states become MAAS's four, and stand in a field of their own besides.
        """
        for state, theirs in (
            (PowerState.ON, "on"),
            (PowerState.OFF, "off"),
            (PowerState.ERROR, "error"),
            (PowerState.UNKNOWN, "unknown"),
            (PowerState.NEVER_CHECKED, "unknown"),
            (PowerState.UNCONFIGURED, "unknown"),
        ):
            self.registry.observation = Observation(state, None, "because")
            answer = self.call(commands.PowerQuery)
            self.assertEqual((theirs, state.value), (answer["state"], answer["observed"]))
            self.assertEqual("because", answer["error_msg"])

    def test_query_that_breaks(self) -> None:
        """
        A read that is refused is state error, and one that breaks is an internal error of this call.
        """
        self.registry.refusal = e.NoSuchNode("gone")
        self.assertEqual("error", self.call(commands.PowerQuery)["state"])
        self.registry.refusal = ZeroDivisionError()
        self.call(commands.PowerQuery)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class OwnArgumentTests(MaasCase):
    def test_accepted(self) -> None:
        """
        A caller that gives an argument of ours hears which action it is.
        """
        answer = self.call(commands.PowerOn, request_id="r1")
        self.assertEqual(
            ("a1", "started", None), (answer["action"], answer["disposition"], answer["outcome"])
        )

        answer = self.call(commands.PowerOn, request_id="r2")
        self.assertEqual(("a1", "joined"), (answer["action"], answer["disposition"]))

    def test_wait(self) -> None:
        """
        With wait the answer comes when the machine was seen, and says how it went.
        """
        answer = self.call(commands.PowerOn, wait="power")

        self.assertEqual({"outcome": "done", "how": "commanded", "state": "on"}, answer["outcome"])
        self.assertTrue(self.it.world.machine("n1").on)

    def test_wait_does_not_block(self) -> None:
        """
        Callers that wait keep nobody else on the connection waiting.
        """
        self.it.world.machine("n1").latency = 5.0
        waiting: list[Any] = []
        for index in range(300):
            asked = {"system_id": "n1", "hostname": "", "power_type": "", "context": {}, "wait": "power"}
            self.region.callRemote(commands.PowerOn, request_id=f"w{index}", **asked).addBoth(waiting.append)
        self.it.carry()

        self.assertEqual({}, self.call(MaasPowerOn, "n2"))
        self.assertEqual([], waiting)
        self.it.turn(10)
        self.assertEqual(300, len(waiting))

    def test_options(self) -> None:
        """
        Every argument of ours reaches the request.
        """
        registry = ScriptedRegistry(self.it.world.registry.roster)
        self.it.restart(registry)
        self.region = self.it.stock()
        arguments = {
            "request_id": "r1",
            "policy": "queue",
            "wait": "none",
            "deadline": 60.0,
            "requester": "fred",
            "sequence": 7,
        }
        common = {"system_id": "n1", "hostname": "", "power_type": "", "context": {}}
        off, on = (
            common | arguments | {"mode": "soft", "escalate": False, "with_children": True},
            common | arguments | {"boot": "disk+efi"},
        )
        self.region.callRemote(commands.PowerOff, **off).addErrback(lambda _: None)
        self.region.callRemote(PowerReset, **on).addErrback(lambda _: None)
        self.it.carry()

        request = Request(
            node="n1",
            verb=Verb.SOFT_OFF,
            request_id="r1",
            escalate=False,
            with_children=True,
            policy=Policy.QUEUE,
            wait=Wait.NONE,
            deadline=60.0,
            requester="fred",
            door="amp",
            sequence=7,
        )
        reset = registry.requests[1]
        self.assertEqual(request, registry.requests[0])
        self.assertEqual((Verb.RESET, Boot(BootDevice.DISK, efi=True)), (reset.verb, reset.boot))

    def test_wrong_options(self) -> None:
        """
        An argument of ours that makes no sense is named, and nothing happens.
        """
        for name, wrong in (
            ("policy", "perhaps"),
            ("wait", "forever"),
            ("deadline", 0.0),
            ("deadline", 1e9),
            ("sequence", -1),
            ("boot", "floppy"),
            ("request_id", ""),
            ("request_id", "x\x1b[2J"),
            ("requester", "x" * 1_000),
        ):
            error = self.call(commands.PowerOn, **{name: wrong})
            self.assertIsInstance(error, e.BadRequest, (name, wrong))
            self.assertIn(name, str(error))
        self.assertIsInstance(self.call(commands.PowerOff, mode="gently"), e.BadRequest)
        self.assertIsInstance(self.call(commands.PowerOff, boot="pxe"), e.BadRequest)
        self.assertIsInstance(self.call(commands.PowerOn, "", request_id="r"), e.BadRequest)
        self.assertIsInstance(self.call(commands.PowerOn, context=[1], request_id="r"), e.BadRequest)
        self.it.turn(1)

        self.assertEqual([], self.it.world.commands("n1"))

    def test_refusals(self) -> None:
        """
        A caller that knows our arguments hears our errors.
        """
        self.assertIsInstance(self.call(commands.PowerOn, "n99", request_id="r1"), e.NoSuchNode)
        self.it.world.machine("n1").latency = 5.0
        self.call(commands.PowerOn)
        error = self.call(commands.PowerOff, policy="reject")
        self.assertIsInstance(error, e.PowerActionAlreadyInProgress)
