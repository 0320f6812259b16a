# SPDX-License-Identifier: MIT
"""
Tests for `tests.functional.libvirt_peer`: our guests do what their names say, by their own record.
"""

from __future__ import annotations

import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.libvirt_guest import NEVER_OFF, slow
from tests.functional.libvirt_peer import MISSING, LibvirtError, LibvirtHost, gone, until


class LibvirtHostTests(SynchronousTestCase):
    """
    A libvirtd of our own, with real guests.
    """

    skip = MISSING

    def setUp(self) -> None:
        self.host = LibvirtHost()
        self.addCleanup(self.host.close)
        self.host.start()

    def test_obeying(self) -> None:
        """
        A guest that obeys is off after one press of its power button, by itself.
        """
        guest = self.host.define("obeys")
        guest.start()
        self.host.virsh("shutdown", guest.uuid)
        until(lambda: guest.state() == "shut off", "it is off")

        self.assertEqual(("shut off (shutdown)", 1, False), (guest.reason(), guest.presses(), guest.runs()))

    def test_slow(self) -> None:
        """
        A slow guest takes its time.
        """
        guest = self.host.define("slow", slow(1.5))
        guest.start()
        self.host.virsh("shutdown", guest.uuid)
        pressed = time.monotonic()
        until(lambda: guest.state() == "shut off", "it is off")

        self.assertGreater(time.monotonic() - pressed, 1.4)
        self.assertEqual("shut off (shutdown)", guest.reason())

    def test_never_off(self) -> None:
        """
        A stubborn guest hears each press, and runs on, also while libvirtd is away.
        """
        guest = self.host.define("never", NEVER_OFF)
        guest.start()
        for presses in (1, 2):
            self.host.virsh("shutdown", guest.uuid)
            until(lambda presses=presses: guest.presses() == presses, "it hears")  # type: ignore[misc]
        self.host.virsh("reset", guest.uuid)
        guest.wait_started(2)
        self.host.stop()
        meanwhile = guest.runs()
        self.host.start()

        self.assertEqual((True, "running"), (meanwhile, guest.state()))

    def test_crash(self) -> None:
        """
        A paused guest is paused, and one whose process is killed has crashed.
        """
        guest = self.host.define("crashes")
        guest.start()
        guest.pause()
        paused = guest.state()
        guest.signal(signal.SIGKILL)
        until(lambda: guest.state() == "shut off", "it is off")
        guest.undefine()

        self.assertEqual("paused", paused)
        self.assertIn("failed to get domain", str(self.assertRaises(LibvirtError, guest.state)))

    def test_test_driver(self) -> None:
        """
        The test driver's guests keep their state between connections.
        """
        self.host.keep_test_guests()
        self.host.virsh("destroy", "test", uri=self.host.test_uri)

        self.assertEqual("shut off", self.host.virsh("domstate", "test", uri=self.host.test_uri).strip())

    def test_nothing_stays(self) -> None:
        """
        Closing ends every process and leaves no file.
        """
        guest = self.host.define("ends")
        self.host.virsh("domrename", guest.uuid, "renamed")
        guest.name = "renamed"
        guest.start()
        pid = guest.pid()
        guest.name = "ends"
        self.host.close()

        assert pid is not None
        self.assertEqual((True, False), (gone(pid), self.host.folder.exists()))
