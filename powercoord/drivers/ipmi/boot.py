# SPDX-License-Identifier: MIT
"""
System boot options: what a machine starts from next.

IPMI 2.0 sections 28.12 (Set), 28.13 (Get) and table 28-14 (parameters).
"""

from enum import IntEnum
from typing import ClassVar

from attrs import frozen

from powercoord.drivers.ipmi.lan import NETFN_CHASSIS
from powercoord.drivers.ipmi.rmcp import MalformedDatagram, need

PARAMETER_SET_IN_PROGRESS = 0
PARAMETER_VALID_BIT_CLEARING = 3
PARAMETER_INFO_ACKNOWLEDGE = 4
PARAMETER_BOOT_FLAGS = 5

SET_COMPLETE = b"\x00"
SET_IN_PROGRESS = b"\x01"
#: Do not forget the boot flags at power off, reset, watchdog, or 60 s without a start.
KEEP_VALID = b"\x1f"
#: All boot initiators have "handled" the information: none of them erases it.
ACKNOWLEDGED_BY_ALL = b"\x01\x01"

PARAMETER_VERSION = 1


class Device(IntEnum):
    """
    The boot device selector of the boot flags.
    """

    NONE = 0x0
    PXE = 0x1
    DISK = 0x2
    DISK_SAFE_MODE = 0x3
    DIAGNOSTIC = 0x4
    CDROM = 0x5
    BIOS = 0x6
    REMOTE_FLOPPY = 0x7
    REMOTE_CDROM = 0x8
    REMOTE_MEDIA = 0x9
    REMOTE_DISK = 0xB
    FLOPPY = 0xF


@frozen
class SetBootOptions:
    """
    Set one parameter. The response has no data.
    """

    NETFN: ClassVar[int] = NETFN_CHASSIS
    COMMAND: ClassVar[int] = 0x08

    parameter: int
    data: bytes = b""

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return bytes((self.parameter,)) + self.data

    @classmethod
    def decode(cls, data: bytes) -> "SetBootOptions":
        """
        Read the request's data.
        """
        need(data, 1, "Set System Boot Options")
        return cls(data[0] & 0x7F, data[1:])


@frozen
class GetBootOptions:
    """
    Ask for one parameter.
    """

    NETFN: ClassVar[int] = NETFN_CHASSIS
    COMMAND: ClassVar[int] = 0x09

    parameter: int
    selector: int = 0
    block: int = 0

    def encode(self) -> bytes:
        """
        The request's data.
        """
        return bytes((self.parameter, self.selector, self.block))

    @classmethod
    def decode(cls, data: bytes) -> "GetBootOptions":
        """
        Read the request's data.
        """
        need(data, 3, "Get System Boot Options")
        return cls(data[0] & 0x7F, data[1], data[2])


@frozen
class BootOption:
    """
    One parameter as the BMC has it.
    """

    parameter: int
    data: bytes
    valid: bool = True
    version: int = PARAMETER_VERSION

    def encode(self) -> bytes:
        """
        The response's data.
        """
        return bytes((self.version, self.parameter | 0x80 * (not self.valid))) + self.data

    @classmethod
    def decode(cls, data: bytes) -> "BootOption":
        """
        Read the response's data.
        """
        need(data, 2, "Get System Boot Options response")
        return cls(data[1] & 0x7F, data[2:], data[1] < 0x80, data[0] & 0x0F)


@frozen
class BootFlags:
    """
    Parameter 5. Without ``valid`` the BIOS is to ignore it.

    :param persistent: for all starts from now on, not only for the next.
    :param efi: start by EFI rather than by legacy BIOS.
    """

    device: Device
    persistent: bool = False
    efi: bool = False
    valid: bool = True

    def encode(self) -> bytes:
        """
        The parameter's five bytes.
        """
        first = 0x80 * self.valid | 0x40 * self.persistent | 0x20 * self.efi
        return bytes((first, self.device << 2, 0, 0, 0))

    @classmethod
    def decode(cls, data: bytes) -> "BootFlags":
        """
        Read the parameter's bytes.
        """
        need(data, 2, "boot flags")
        first = data[0]
        try:
            device = Device(data[1] >> 2 & 0x0F)
        except ValueError:
            raise MalformedDatagram(f"boot device {data[1] >> 2 & 0x0F:#x} is reserved") from None
        return cls(device, bool(first & 0x40), bool(first & 0x20), bool(first & 0x80))
