# SPDX-License-Identifier: MIT
"""
Chassis commands: power status and power control; and who the BMC is.

IPMI 2.0 sections 28.2 (Get Chassis Status), 28.3 (Chassis Control), 20.1 (Get Device ID).
"""

from enum import IntEnum
from struct import Struct
from typing import Any, ClassVar

from attrs import frozen

from powercoord.drivers.ipmi.lan import NETFN_APP, NETFN_CHASSIS
from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need

_DEVICE_ID = Struct("<BBBBBB3sH")


class Control(IntEnum):
    """
    What Chassis Control can ask for.
    """

    OFF = 0
    ON = 1
    CYCLE = 2
    RESET = 3
    DIAGNOSTIC = 4
    SOFT = 5


@frozen
class GetChassisStatus:
    """
    Ask whether the power is on. The request has no data.
    """

    NETFN: ClassVar[int] = NETFN_CHASSIS
    COMMAND: ClassVar[int] = 0x01

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return b""


@frozen
class ChassisStatus:
    """
    The three bytes that each BMC sends; the optional fourth is not kept.

    :param power: bits 0 power is on, 1 overload, 2 interlock, 3 fault,
        4 control fault, 5 and 6 restore policy.
    :param last_event: why the power last went.
    :param misc: intrusion, front panel lockout, drive fault, cooling fault, identify.
    """

    power: int
    last_event: int = 0
    misc: int = 0

    @property
    def on(self) -> bool:
        """
        Whether the power is on.
        """
        return bool(self.power & 1)

    @property
    def fault(self) -> bool:
        """
        Whether the BMC reports a fault in the main power.
        """
        return bool(self.power & 0x18)

    def encode(self) -> bytes:
        """
        The response's data.
        """
        return bytes((self.power, self.last_event, self.misc))

    @classmethod
    def decode(cls, data: bytes) -> "ChassisStatus":
        """
        Read the response's data.
        """
        # Only the first byte says anything about power, and some firmware sends no more.
        need(data, 1, "Get Chassis Status response")
        power, last_event, misc = (*data[:3], 0, 0)[:3]
        return cls(power, last_event, misc)


@frozen
class ChassisControl:
    """
    Change the power. The response has no data.
    """

    NETFN: ClassVar[int] = NETFN_CHASSIS
    COMMAND: ClassVar[int] = 0x02

    control: Control

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return bytes((self.control,))

    @classmethod
    def decode(cls, data: bytes) -> "ChassisControl":
        """
        Read the request's data.
        """
        need(data, 1, "Chassis Control")
        try:
            return cls(Control(data[0] & 0x0F))
        except ValueError:
            raise MalformedDatagram(f"Chassis Control {data[0]:#04x} is reserved") from None


@frozen
class GetDeviceId:
    """
    Ask who made this BMC. The request has no data.
    """

    NETFN: ClassVar[int] = NETFN_APP
    COMMAND: ClassVar[int] = 0x01

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return b""


@frozen
class DeviceId:
    """
    Who made this BMC. ``firmware_minor`` is BCD, ``ipmi_version`` has the major digit low.
    """

    device_id: int
    revision: int
    firmware_major: int
    firmware_minor: int
    ipmi_version: int
    support: int
    manufacturer: int
    product: int
    auxiliary: bytes = b""

    def encode(self) -> bytes:
        """
        The response's data.
        """
        head = _DEVICE_ID.pack(
            self.device_id,
            self.revision,
            self.firmware_major,
            self.firmware_minor,
            self.ipmi_version,
            self.support,
            self.manufacturer.to_bytes(3, "little"),
            self.product,
        )
        return head + self.auxiliary

    @classmethod
    def decode(cls, data: bytes) -> "DeviceId":
        """
        Read the response's data.
        """
        need(data, _DEVICE_ID.size, "Get Device ID response")
        fields: list[Any] = [*_DEVICE_ID.unpack_from(data)]
        fields[6] = int.from_bytes(fields[6], "little")
        fields.append(data[_DEVICE_ID.size : _DEVICE_ID.size + 4])
        return cls(*fields)
