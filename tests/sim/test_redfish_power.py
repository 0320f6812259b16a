# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.redfish.power`, and of what a system tells of its power.
"""

from __future__ import annotations

import json

from attrs import evolve

from powercoord.sim.machine import Latency, Performed
from powercoord.sim.redfish.profile import Profile, Told
from powercoord.sim.web.faults import Faults
from powercoord.sim.web.record import Commanded
from tests.sim.web import RESET, ROOT, SYSTEM, RedfishCase, basic, header


class ResetTests(RedfishCase):
    def test_effects(self) -> None:
        """
        Each reset type does to a machine what it says, or answers that it cannot be.
        """
        for kind, on, code, verb in (
            ("On", False, 204, "on"),
            ("On", True, 204, None),
            ("ForceOn", False, 204, "on"),
            ("ForceOff", True, 204, "off"),
            ("ForceOff", False, 204, None),
            ("GracefulShutdown", True, 204, "soft"),
            ("GracefulShutdown", False, 204, None),
            ("GracefulRestart", True, 204, "soft-reset"),
            ("GracefulRestart", False, 409, None),
            ("ForceRestart", True, 204, "reset"),
            ("ForceRestart", False, 409, None),
            ("PowerCycle", True, 204, "cycle"),
            ("PowerCycle", False, 409, None),
            ("Nmi", True, 204, "diag"),
            ("PushPowerButton", True, 204, "soft"),
            ("PushPowerButton", False, 204, "on"),
        ):
            self.machine.press_button(on)
            before = len(self.machine.commands)
            self.assertEqual(code, self.reset(kind), (kind, on))
            done = [command.verb for command in self.machine.commands[before:]]
            self.assertEqual([] if verb is None else [verb], done, (kind, on))

    def test_record(self) -> None:
        """
        The record has every command that was understood, and the machine those that were obeyed.
        """
        for kind in ("On", "On", "PowerCycle"):
            self.clock.advance(1)
            self.reset(kind)
        self.reset("Nonsense")

        self.assertEqual(
            [Commanded(1, 0, "On", 204), Commanded(2, 0, "On", 204), Commanded(3, 0, "PowerCycle", 204)],
            self.bmc.record.commands,
        )
        self.assertEqual([Performed(1, "on"), Performed(3, "cycle")], self.machine.commands)

    def test_second_machine(self) -> None:
        """
        Each system has its own power, name and UUID.
        """
        self.ask("POST", RESET.replace("/1/", "/2/"), {"ResetType": "On"})
        first, second = self.get(SYSTEM), self.get(f"{ROOT}/Systems/2")

        self.assertEqual(("Off", "On"), (first["PowerState"], second["PowerState"]))
        self.assertEqual(1, self.bmc.record.commands[0].machine)
        self.assertEqual(2, len({first["UUID"], second["UUID"]}))

    def test_mistakes(self) -> None:
        """
        What is no reset is refused with the reason, and nothing is done.
        """
        for body, message in (
            ({}, "ActionParameterMissing"),
            ({"ResetType": None}, "ActionParameterMissing"),
            ({"ResetType": "Explode"}, "ActionParameterValueNotInList"),
            ({"ResetType": ["On"]}, "ActionParameterValueNotInList"),
            ({"ResetType": "On", "Delay": 3}, "ActionParameterNotSupported"),
            (["On"], "UnrecognizedRequestBody"),
            (b"{", "MalformedJSON"),
            (b"\xff", "MalformedJSON"),
            (b"[" * 100_000, "MalformedJSON"),
        ):
            answer = self.ask("POST", RESET, body)
            self.assertEqual(400, answer.code)
            self.assertEqual(f"Base.1.12.{message}", json.loads(answer.body)["error"]["code"])
        self.assertEqual(([], []), (self.bmc.record.commands, self.machine.commands))

    def test_roles(self) -> None:
        """
        An operator may switch power, and whoever may only read may not.
        """
        self.assertEqual(403, self.reset("On", basic("reader", "readsecret")))
        self.assertEqual("Off", self.state())
        self.assertEqual(204, self.reset("On", basic("oper", "opsecret")))

    def test_already(self) -> None:
        """
        A service may refuse what is so already, and what cannot be, as its profile says.
        """
        self.become(Profile(already=409, impossible=400))

        self.assertEqual(409, self.reset("ForceOff"))
        self.assertEqual(400, self.reset("PowerCycle"))
        self.assertEqual([409, 400], [command.code for command in self.bmc.record.commands])

    def test_conflict_after_off(self) -> None:
        """
        An iDRAC10 refuses On for a while after power off.
        """
        self.become(Profile(conflict_after_off=10))
        self.assertEqual(204, self.reset("On"))
        self.reset("ForceOff")
        self.clock.advance(9)
        early = self.ask("POST", RESET, {"ResetType": "On"})
        self.clock.advance(1)

        self.assertEqual(409, early.code)
        self.assertIn(b"ActionParameterValueConflict", early.body)
        self.assertEqual(204, self.reset("On"))

    def test_stuck(self) -> None:
        """
        A stuck machine's BMC takes commands, remembers them, and nothing happens.
        """
        self.bmc.faults = Faults(stuck=True)

        self.assertEqual((204, "Off"), (self.reset("On"), self.state()))
        self.assertEqual(1, self.machine.count("on"))


class TransitionTests(RedfishCase):
    latency = Latency(on=2.0, off=1.0)

    def test_states(self) -> None:
        """
        Power that is changing is told as the profile says, and as it is afterwards.
        """
        for changing, on, off in (
            ("Powering", "PoweringOn", "PoweringOff"),
            ("null", None, None),
            ("Reset", "Reset", "Reset"),
            ("", "Off", "On"),
        ):
            self.become(Profile(changing=changing))
            self.reset("On")
            seen = [self.state()]
            self.clock.advance(2)
            seen.append(self.state())
            self.reset("ForceOff")
            seen.append(self.state())
            self.clock.advance(1)
            self.assertEqual([on, "On", off, "Off"], [*seen, self.state()], changing)

    def test_shown(self) -> None:
        """
        A fault may tell any state.
        """
        for shows, told in (("Unknown", "Unknown"), ("null", None), ("Paused", "Paused")):
            self.bmc.faults = Faults(shows=shows)
            self.assertEqual(told, self.state())

    def test_off_overtakes_on(self) -> None:
        """
        Power off stops a power on that is under way.
        """
        self.reset("On")
        self.clock.advance(1)
        self.assertEqual(204, self.reset("ForceOff"))
        self.clock.advance(5)

        self.assertEqual(
            ("Off", ["on", "off"]), (self.state(), [each.verb for each in self.machine.commands])
        )

    def test_ok(self) -> None:
        """
        A reset may be answered with 200 and a message.
        """
        self.become(Profile(reset_code=200))
        answer = self.ask("POST", RESET, {"ResetType": "On"})

        self.assertEqual(200, answer.code)
        self.assertIn(b"Base.1.12.Success", answer.body)


class TaskTests(RedfishCase):
    latency = Latency(on=2.0)
    profile = Profile(reset_code=202, retry_after=3, task_lasts=1.0)

    def begin(self) -> str:
        answer = self.ask("POST", RESET, {"ResetType": "On"})
        self.assertEqual((202, "3"), (answer.code, header(answer, "Retry-After")))
        self.task = json.loads(answer.body)["@odata.id"]
        return header(answer, "Location")

    def test_monitor(self) -> None:
        """
        The monitor says 202 until power has changed, and then what the reset would have been answered.
        """
        monitor = self.begin()
        self.clock.advance(1.5)
        running, state = self.ask("GET", monitor), self.get(self.task)["TaskState"]
        self.clock.advance(0.5)

        self.assertEqual((202, "3", "Running"), (running.code, header(running, "Retry-After"), state))
        self.assertEqual(
            (204, "Completed"), (self.ask("GET", monitor).code, self.get(self.task)["TaskState"])
        )

    def test_lasts(self) -> None:
        """
        A task takes a while even if power changes at once.
        """
        self.machine.latency = Latency()
        monitor = self.begin()
        self.clock.advance(0.9)
        early = self.ask("GET", monitor).code
        self.clock.advance(0.1)

        self.assertEqual((202, 204), (early, self.ask("GET", monitor).code))

    def test_failure(self) -> None:
        """
        A task may fail at its end, and then nothing was done.
        """
        self.bmc.faults = Faults(task_fails=True)
        monitor = self.begin()
        self.clock.advance(5)

        self.assertEqual(
            (500, "Exception"), (self.ask("GET", monitor).code, self.get(self.task)["TaskState"])
        )
        self.assertFalse(self.machine.power())

    def test_unknown(self) -> None:
        """
        There is no task that nobody began; of many, the oldest are forgotten.
        """
        first = self.begin()
        for _ in range(250):
            self.ask("POST", RESET, {"ResetType": "ForceOff"})
            self.machine.press_button(False)
            self.begin()

        self.assertEqual(404, self.ask("GET", f"{ROOT}/TaskService/TaskMonitors/99999").code)
        self.assertEqual(404, self.ask("GET", first).code)


class ToldTests(RedfishCase):
    def test_reset_types(self) -> None:
        """
        What may be asked stands where the profile says, and what is not on the list is refused.
        """
        types = ("On", "GracefulShutdown", "GracefulRestart", "ForceOff")
        for told, listed, info in (
            (Told.ACTION_INFO, None, True),
            (Told.ALLOWABLE, [*types], False),
            (Told.BOTH, [*types], True),
            (Told.FUSED, ["On", "GracefulShutdownGracefulRestart", "ForceOff"], True),
            (Told.NOWHERE, None, False),
        ):
            self.become(evolve(self.profile, told=told, reset_types=types))
            action = self.get(SYSTEM)["Actions"]["#ComputerSystem.Reset"]
            self.assertEqual(listed, action.get("ResetType@Redfish.AllowableValues"))
            self.assertEqual(info, "@Redfish.ActionInfo" in action)
            if info:
                document = self.get(action["@Redfish.ActionInfo"])
                self.assertEqual([*types], document["Parameters"][0]["AllowableValues"])
            self.assertEqual((400, 204), (self.reset("PowerCycle"), self.reset("On")))
