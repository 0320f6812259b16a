# SPDX-License-Identifier: MIT
"""
The simulated AMT beside what was recorded of real ones, and asked what an independent builder asks.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import fromstring

from tests.recorded import recorded
from tests.sim.web import AMT, CIM, GET_POWER, IPS, AmtCase, call, digest, enumeration, header, transfer

_POWER = f"{CIM}CIM_AssociatedPowerManagementService"
_REQUEST = call("RequestPowerStateChange", f"{CIM}CIM_PowerManagementService", PowerState=8)


def elements(text: bytes) -> list[tuple[str, str]]:
    """
    Every element in order, but for the numbers of messages and of what they answer.
    """
    found = [(each.tag, (each.text or "").strip()) for each in fromstring(text).iter()]
    return [each for each in found if not each[0].endswith(("}MessageID", "}RelatesTo"))]


class RecordedTests(AmtCase):
    powered = True

    def test_answers(self) -> None:
        """
        Element by element, an answer is the one that was recorded.
        """
        folder = recorded("amt") / "responses"
        for body, name in (
            (GET_POWER, "cim/associatedpower/managementservice/get.xml"),
            (enumeration("Enumerate", _POWER), "cim/associatedpower/managementservice/enumerate.xml"),
            (enumeration("Pull", _POWER), "cim/associatedpower/managementservice/pull.xml"),
            (transfer("Get", f"{CIM}CIM_PowerManagementService"), "cim/power/managementservice/get.xml"),
            (transfer("Get", f"{CIM}CIM_BootService"), "cim/boot/service/get.xml"),
            (transfer("Get", f"{CIM}CIM_BootConfigSetting"), "cim/boot/configsetting/get.xml"),
            (enumeration("Pull", f"{CIM}CIM_BootSourceSetting"), "cim/boot/sourcesetting/pull.xml"),
            (transfer("Get", f"{AMT}AMT_BootSettingData"), "amt/boot/settingdata/get.xml"),
            (transfer("Get", f"{IPS}IPS_PowerManagementService"), "ips/power/managementservice/get.xml"),
            (_REQUEST, "cim/power/managementservice/requestpowerstatechange.xml"),
            (transfer("Get", f"{CIM}CIM_Nothing"), "fault/destination-unreachable.xml"),
        ):
            self.assertEqual(elements((folder / name).read_bytes()), elements(self.ask(body).body), name)

    def test_challenge(self) -> None:
        """
        The head of a refusal has the names and the punctuation that were recorded.
        """
        head = (recorded("amt") / "responses" / "http" / "401-amt15.0.23.http").read_text()
        names = re.findall(r"^([A-Za-z-]+): ", head, re.MULTILINE)
        said = re.findall(r"^WWW-Authenticate: (.*?)\s*$", head, re.MULTILINE)[0]
        answer = self.post(GET_POWER)

        def form(text: str) -> str:
            return re.sub(r'(realm="Digest:|nonce=")[^"]*', r"\1", text)

        self.assertEqual(form(said), form(header(answer, "WWW-Authenticate")))
        self.assertEqual([*names[:3]], [name for name, _ in answer.headers])

    def test_requests(self) -> None:
        """
        Each request that the builder of another project makes is understood.
        """
        files = sorted((recorded("amt") / "requests").glob("*.xml"))
        for file in files:
            self.machine.press_button(True)
            body = file.read_bytes()
            answer = self.post(body, digest(self.challenge(), body))
            values = re.findall(rb"ReturnValue>(\d+)<", answer.body)
            self.assertEqual((200, True), (answer.code, values in ([], [b"0"])), file.name)

        self.assertEqual(23, len(files))
        self.assertEqual(9, len(self.bmc.record.commands))
