# SPDX-License-Identifier: MIT
"""
What real guests run: a boot sector of our own that obeys the power button at once, late, or never.

It tells what happened by single letters on its serial port: ``R`` when it has
started (from then on it sees the button) and ``B`` for each press of it.  That
is the guest's own record, which neither libvirt nor we can have made up.
"""

from __future__ import annotations

import struct
from enum import Enum
from pathlib import Path

from attrs import frozen

STARTED, PRESSED = "R", "B"

#: The BIOS clock: 0x1800B0 ticks in a day.
TICKS_PER_SECOND = 0x1800B0 / 86_400

_SECTOR = 512


class Manners(Enum):
    """
    What a guest does when its power button is pressed.
    """

    OBEYS = "obeys"
    NEVER = "never"


@frozen
class Kind:
    """
    A kind of guest: what it does with the button, and after how many seconds.
    """

    manners: Manners = Manners.OBEYS
    after: float = 0.0


OBEYING = Kind()
NEVER_OFF = Kind(Manners.NEVER)


def slow(seconds: float) -> Kind:
    """
    A guest that is off that many seconds after the press.
    """
    return Kind(after=seconds)


def boot_sector(kind: Kind) -> bytes:
    """
    The first sector of a guest's disk, for a machine of type ``pc``.

    Its ACPI registers begin at I/O port 0x600 (PIIX4 PM I/O space as SeaBIOS sets it up; the
    registers are those of the ACPI specification, section 4.8.3): status at 0x600, enable at
    0x602, control at 0x604. Bit 8 of the first two is the power button, bit 13 of the third
    enters the sleep state whose type is in bits 10-12, and type 0 is "off" there.
    """
    ticks = min(round(kind.after * TICKS_PER_SECOND), 0xFFFF)
    say = b"\xba\xf8\x03\xb0%c\xee"  # mov dx,0x3f8; mov al,letter; out dx,al
    start = (
        b"\xfa"  # cli
        b"\x31\xc0\x8e\xd8\x8e\xd0"  # xor ax,ax; mov ds,ax; mov ss,ax
        b"\xbc\x00\x7c"  # mov sp,0x7c00
        b"\xba\x02\x06\xb8\x00\x01\xef"  # mov dx,0x602; mov ax,0x100; out dx,ax: see the button
        + say % STARTED.encode()
        + b"\xfb"  # sti
    )
    wait = (
        b"\xba\x00\x06"  # mov dx,0x600
        b"\xf4"  # wait: hlt, until the next tick of the clock
        b"\xed"  # in ax,dx
        b"\xf6\xc4\x01"  # test ah,1
        b"\x74\xf9"  # jz wait
        b"\xb8\x00\x01\xef"  # mov ax,0x100; out dx,ax: seen, so it can be pressed again
        + say
        % PRESSED.encode()
    )
    if kind.manners is Manners.NEVER:
        # jmp near, to the beginning of `wait`.
        code = start + wait + b"\xe9" + struct.pack("<h", -len(wait) - 3)
    else:
        code = (
            start
            + wait
            + b"\xb9"  # mov cx,ticks
            + struct.pack("<H", ticks)
            + b"\xe3\x03"  # jcxz off
            b"\xf4\xe2\xfd"  # delay: hlt; loop delay
            b"\xba\x04\x06\xb8\x00\x20\xef"  # off: mov dx,0x604; mov ax,0x2000; out dx,ax
            b"\xfa\xf4"  # cli; hlt: not reached
        )
    return code.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


_DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{image}'/><target dev='hda' bus='ide'/>
    </disk>
    <serial type='file'><source path='{record}'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def domain_xml(name: str, uuid: str, emulator: str, image: Path, record: Path) -> str:
    """
    A guest of 16 MiB on an emulated processor, as libvirt wants it described.

    Each guest has an image of its own: QEMU locks it.
    """
    return _DOMAIN.format(name=name, uuid=uuid, emulator=emulator, image=image, record=record)
