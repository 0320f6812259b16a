# SPDX-License-Identifier: MIT
"""
What we say to AMT, compared with what somebody else's program says.
"""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.amt import boot
from powercoord.drivers.amt.answer import Answer, read_answer
from powercoord.drivers.amt.envelope import Reference, Request, get, invoke, put
from powercoord.drivers.amt.namespaces import BOOT_CONFIG, BOOT_SETTINGS, STANDBY_SERVICE
from powercoord.drivers.amt.talk import full_power, request_state
from powercoord.model import BootDevice
from tests.drivers.amt.documents import meaning
from tests.hypothesis_notes import HypothesisNotes
from tests.recorded import recorded

AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))

#: Kinds of message that we never send: an enumeration needs two where one Get does.
FOREIGN = {
    "power-state-enumerate.xml",
    "power-state-pull.xml",
    "software-identity-enumerate.xml",
}


def requests() -> dict[str, Request]:
    """
    By the names of the recorded files, all that we or our templates can say.
    """
    orders = {"pxe": BootDevice.PXE, "hd": BootDevice.DISK}
    return {
        **{
            f"request-power-state-{state}.xml": request_state(state)
            for state in (2, 4, 5, 7, 8, 10, 11, 12, 14)
        },
        **{f"change-boot-order-{name}.xml": source(device) for name, device in orders.items()},
        "change-boot-order-clear.xml": boot.clear_order(),
        "set-boot-config-role.xml": boot.use_once(),
        "boot-setting-data-get.xml": get(BOOT_SETTINGS),
        "boot-config-setting-get.xml": get(BOOT_CONFIG),
        "boot-capabilities-get.xml": get(AMT + "AMT_BootCapabilities"),
        "general-settings-get.xml": get(AMT + "AMT_GeneralSettings"),
        "ips-power-get.xml": get(STANDBY_SERVICE),
        "ips-request-os-power-saving-full.xml": full_power(),
    }


def source(device: BootDevice) -> Request:
    request = boot.force_source(device)
    assert request is not None
    return request


def fields_of(document: bytes) -> dict[str, str]:
    (record,) = fromstring(document).find("{http://www.w3.org/2003/05/soap-envelope}Body") or ()
    return {child.tag.rpartition("}")[2]: child.text or "" for child in record}


class RecordedRequestTests(SynchronousTestCase):
    def test_requests(self) -> None:
        """
        Each request means what the request of an independent builder means, and none is left unlooked at.
        """
        folder = recorded("amt") / "requests"
        ours = requests()
        compared = {*ours, *FOREIGN, "boot-setting-data-put.xml"}

        self.assertEqual({path.name for path in folder.glob("*.xml")}, compared)
        for name, request in ours.items():
            self.assertEqual(meaning((folder / name).read_bytes()), meaning(request.write("7")), name)

    def test_cleaned_settings(self) -> None:
        """
        Made of a recorded record, the cleaned one says of each option what an independent builder says,
        and leaves out what devices only report.
        """
        folder = recorded("amt")
        current = read_answer(
            (folder / "responses/amt/boot/settingdata/get.xml").read_bytes(),
            BOOT_SETTINGS,
            "AMT_BootSettingData",
        )
        assert isinstance(current, Answer)
        ours = fields_of(boot.settings(current, BootDevice.PXE).write("1"))
        theirs = fields_of((folder / "requests/boot-setting-data-put.xml").read_bytes())
        newer = {"PlatformErase": "false", "UefiBootNumberOfParams": "0"}

        self.assertEqual({"BIOSLastStatus", "OptionsCleared"}, set(theirs) - set(ours))
        self.assertEqual({**theirs, **newer}, {**theirs, **ours})


class EscapeTests(HypothesisNotes, SynchronousTestCase):
    @given(TEXT, TEXT, TEXT)
    def test_any_text(self, value: str, selector: str, message: str) -> None:
        """
        Whatever a value is, it is a value in the message and nothing else.
        """
        reference = Reference("urn:<&>", ((selector, value),))
        written = put("urn:x/Class", [("Field", value), ("Source", reference)]).write(message)
        record = fromstring(written)[1][0]

        self.assertEqual(["{urn:x/Class}Class"], [each.tag for each in fromstring(written)[1]])
        self.assertEqual(value, record[0].text or "")
        found = record[1][1][1][0]
        self.assertEqual(({"Name": selector}, value), (found.attrib, found.text or ""))


class RequestTests(SynchronousTestCase):
    def test_changes(self) -> None:
        """
        A Get changes nothing; everything else may.
        """
        self.assertEqual(
            [False, True, True],
            [each.changes for each in (get("urn:x"), put("urn:x", ()), invoke("urn:x", "Do"))],
        )
