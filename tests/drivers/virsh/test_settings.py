# SPDX-License-Identifier: MIT
"""
What is taken for a guest and a hypervisor: nothing that a caller says becomes an option or a program.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh import VirshSettings, driver
from powercoord.drivers.virsh.place import Hypervisor, Transport
from powercoord.drivers.virsh.settings import from_context
from powercoord.drivers.virsh.ssh import arguments, far_end, why
from powercoord.errors import PowerAuthError, PowerConnError, PowerSettingError, PowerToolError
from tests.hypothesis_notes import HypothesisNotes

EVIL = (
    "-oProxyCommand=touch x",
    "a b",
    "a;b",
    "$(x)",
    "`x`",
    "a'b",
    'a"b',
    "a\nb",
    "a\0b",
    "a&b",
    "a|b",
    "%h",
    "~x",
    "a?command=x",
    "a#b",
)


def ssh(**settings: Any) -> VirshSettings:
    usual = {"domain": "g", "address": "hv1", "transport": Transport.SSH}
    return VirshSettings(**{**usual, **settings})


class SettingsTests(HypothesisNotes, SynchronousTestCase):
    """
    Fields.
    """

    def test_endpoint(self) -> None:
        """
        One hypervisor is written in one way, whatever guest of it is meant.
        """
        for settings, name in (
            (VirshSettings(domain="g"), "qemu+unix:///system"),
            (ssh(), "qemu+ssh://hv1/system"),
            (ssh(address="HV1:2222", username="root"), "qemu+ssh://root@hv1:2222/system"),
            (ssh(address="[fe80::1]:22"), "qemu+ssh://[fe80::1]:22/system"),
            (ssh(address="fe80::1"), "qemu+ssh://[fe80::1]/system"),
            (
                VirshSettings(domain="g", hypervisor=Hypervisor.TEST, instance="default", socket="/run/s"),
                "test+unix:///default?socket=/run/s",
            ),
            (
                VirshSettings(domain="g", hypervisor=Hypervisor.VBOX, transport=Transport.LOCAL),
                "vbox:///system",
            ),
        ):
            self.assertEqual(name, settings.place().name)
        target = driver(Clock()).target(ssh(domain="4C1B2F60-0d0a-4c2b-8f0e-6a5d3b2c1d0e"))
        self.assertEqual("4c1b2f60-0d0a-4c2b-8f0e-6a5d3b2c1d0e", target.selector)

    def test_sockets(self) -> None:
        """
        Without a socket it is where libvirt has it: the hypervisor's own daemon first, then the one for all.
        """
        self.assertEqual(("/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"), ssh().place().sockets)
        session = VirshSettings(domain="g", instance="session", hypervisor=Hypervisor.TEST)
        self.assertEqual(("/run/user/7/libvirt/libvirt-sock",), session.place("/run/user/7").sockets)
        error = self.assertRaises(PowerSettingError, driver(Clock(), {}).target, session)
        self.assertIn("socket is missing", str(error))

    def test_refused(self) -> None:
        """
        Nothing that could be read as more than what it stands for is taken, in any field.
        """
        for field in ("address", "username", "identity_file", "known_hosts", "socket", "instance"):
            for word in EVIL:
                self.assertRaises(PowerSettingError, ssh, **{field: word})
                self.assertRaises(PowerSettingError, ssh, **{field: f"/tmp/{word}"})
        for domain in ("", "-g", "a/b", "a\tb", "a\nb", "x" * 256):
            self.assertRaises(PowerSettingError, ssh, domain=domain)
        for wrong in (
            {"address": "hv1:0"},
            {"address": "hv1:65536"},
            {"address": ""},
            {"address": "[fe80::1"},
            {"address": "."},
            {"transport": Transport.UNIX},
            {"socket": "relative/sock"},
            {"socket": "/" + "x" * 107},
        ):
            self.assertRaises(PowerSettingError, ssh, **wrong)

    def test_who_speaks(self) -> None:
        """
        Sockets here and through ssh are spoken to natively; all else, and what is told so, by virsh.
        """
        self.assertTrue(VirshSettings(domain="g").native)
        self.assertTrue(ssh().native)
        self.assertFalse(ssh(transport=Transport.TLS).native)
        self.assertFalse(ssh(hypervisor=Hypervisor.ESX, instance="/").native)
        self.assertFalse(VirshSettings(domain="g", through_virsh=True).native)


class ContextTests(HypothesisNotes, SynchronousTestCase):
    """
    MAAS's power parameters.
    """

    def test_read(self) -> None:
        """
        A URI is taken apart into fields.
        """
        for uri, settings in (
            ("", VirshSettings(domain="g")),
            ("qemu:///system", VirshSettings(domain="g")),
            ("qemu+unix:///session", VirshSettings(domain="g", instance="session")),
            ("qemu+ssh://ubuntu@10.0.0.1/system", ssh(address="10.0.0.1", username="ubuntu")),
            ("qemu+ssh://u@[::1]:2222/session", ssh(address="[::1]:2222", username="u", instance="session")),
            ("xen+ssh://root@hv1/system", ssh(username="root", hypervisor=Hypervisor.XEN)),
            ("qemu://hv1/system", ssh(transport=Transport.TLS)),
            (
                "test:///default",
                VirshSettings(
                    domain="g", hypervisor=Hypervisor.TEST, transport=Transport.LOCAL, instance="default"
                ),
            ),
            (
                "test+unix:///etc/guests.xml",
                VirshSettings(domain="g", hypervisor=Hypervisor.TEST, instance="/etc/guests.xml"),
            ),
        ):
            self.assertEqual(settings, from_context({"power_address": uri, "power_id": "g"}), uri)
        files = {"identity_file": "/k", "known_hosts": "/h", "socket": "/s"}
        context = {"power_address": "qemu+ssh://hv1/system", "power_id": "g", "power_pass": "", **files}
        self.assertEqual(ssh(**files), from_context(context))

    def test_refused(self) -> None:
        """
        A query part, a password, an unknown or missing word is refused with the reason; no secret is told.
        """
        for uri, reason in (
            ("qemu+ssh://hv1/system?command=/bin/evil", "a program to run"),
            ("qemu+ssh://hv1/system?", "a program to run"),
            ("qemu+ssh://hv1/system#x", "a program to run"),
            ("qemu+ssh://u:hunter2@hv1/system", "has a password in it"),
            ("qemu+ssh://u:hun@ter2@hv1/system", "is no URI of libvirt"),
            ("qemu+ext://hv1/system", "transport 'ext' is unknown"),
            ("qemux:///system", "hypervisor 'qemux' is unknown"),
            ("10.0.0.1", "is no URI of libvirt"),
            ("qemu+ssh://-oProxyCommand=x/system", "is not understood"),
            ("qemu+ssh://-lroot@hv1/system", "cannot be used with ssh"),
            ("qemu+ssh:///system", "needs the hypervisor's address"),
            ("qemu+unix://hv1/system", "transport unix is for this host"),
            ("qemu:///system/../x", "instance"),
        ):
            error = self.assertRaises(
                PowerSettingError, from_context, {"power_address": uri, "power_id": "g"}
            )
            self.assertIn(reason, str(error), uri)
            self.assertNotIn("hunter2", str(error))
            self.assertNotIn("ter2", str(error))
        error = self.assertRaises(PowerSettingError, from_context, {"power_address": "qemu:///system"})
        self.assertIn("power_id is missing", str(error))
        context = {"power_address": "qemu:///system", "power_id": "g", "power_pass": "hunter2"}
        error = self.assertRaises(PowerSettingError, from_context, context)
        self.assertIn("no password is ever given to ssh", str(error))
        self.assertNotIn("hunter2", str(error))

    @given(st.text(max_size=60), st.text(max_size=20))
    def test_anything(self, uri: str, domain: str) -> None:
        """
        Any texts are settings or `PowerSettingError`.
        """
        for address in (uri, f"qemu+ssh://{uri}/system", f"qemu+ssh://hv1/{uri}"):
            try:
                settings = from_context({"power_address": address, "power_id": domain})
            except PowerSettingError:
                continue
            words = arguments(settings.place()) if settings.transport is Transport.SSH else []
            self.assertFalse(any(word.startswith("-o") and len(word) > 2 for word in words))


class SshTests(SynchronousTestCase):
    """
    The child.
    """

    def test_arguments(self) -> None:
        """
        Each word stands for itself; the host cannot be an option, the known hosts are those that were named.
        """
        settings = ssh(
            address="hv1:2222", username="root", identity_file="/k", known_hosts="/h", socket="/run/s"
        )
        words = arguments(settings.place())

        self.assertEqual(["--", "hv1", "exec nc -U /run/s"], words[-3:])
        self.assertEqual(["ssh", "-F", "none", "-T"], words[:4])
        for option in (
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UserKnownHostsFile=/h",
            "GlobalKnownHostsFile=/dev/null",
            "IdentityFile=/k",
            "IdentitiesOnly=yes",
            "PasswordAuthentication=no",
        ):
            self.assertEqual("-o", words[words.index(option) - 1])
        self.assertEqual("root", words[words.index("-l") + 1])
        self.assertEqual("2222", words[words.index("-p") + 1])
        self.assertEqual("::1", arguments(evolve(settings, address="[::1]").place())[-2])

    def test_far_end(self) -> None:
        """
        Of several sockets the first that is there is taken.
        """
        self.assertEqual(
            "for s in /a /b; do test -S $s && exec nc -U $s; done; echo no socket /a /b >&2; exit 1",
            far_end(("/a", "/b")),
        )

    def test_why(self) -> None:
        """
        What ssh and the far end say becomes the error that tells what to do; it is one line, and bounded.
        """
        for words, kind, reason in (
            (b"u@hv1: Permission denied (publickey).\r\n", PowerAuthError, "ssh is not let in"),
            (b"No ED25519 host key is known.\nHost key verification failed.\n", PowerAuthError, "not known"),
            (
                b"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key ver",
                PowerAuthError,
                "another",
            ),
            (
                b"nc: unix connect failed: Permission denied\n",
                PowerAuthError,
                "may not open libvirt's socket",
            ),
            (b"nc: invalid option -- 'U'\n", PowerToolError, "install netcat-openbsd there"),
            (b"bash: line 1: exec: nc: not found\n", PowerToolError, "it has no nc"),
            (
                b"nc: unix connect failed: No such file or directory\n",
                PowerConnError,
                "is its daemon running?",
            ),
            (b"no socket /a /b\n", PowerConnError, "is its daemon running?"),
            (b"ssh: connect to host hv1 port 22: Connection refused\n", PowerConnError, "nobody listens"),
            (b"ssh: Could not resolve hostname hv1: Name or service not known", PowerConnError, "resolve"),
            (b"", PowerConnError, "ssh ended with 255"),
            (b"\x1b[31mred\n\n", PowerConnError, "?[31mred"),
            (b"x" * 5000, PowerConnError, "xxx"),
        ):
            error = why("qemu+ssh://hv1/system", 255, words)
            self.assertIs(kind, type(error), words)
            self.assertIn(reason, str(error))
            self.assertNotIn("\n", str(error))
            self.assertLess(len(str(error)), 400)
            self.assertFalse(error.sent)
