# SPDX-License-Identifier: MIT
"""
Tests for what is said to a virsh and what it says: framing, lists, complaints, URIs.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord.drivers.virsh import shell_lists
from powercoord.drivers.virsh.guests import Guest, GuestState, NoSuchGuest, Seen, WrongState
from powercoord.drivers.virsh.place import Hypervisor, Transport
from powercoord.drivers.virsh.settings import VirshSettings
from powercoord.drivers.virsh.shell_framing import Asked, Exchange, TooMuch
from powercoord.drivers.virsh.shell_meanings import cannot_connect, failed
from powercoord.drivers.virsh.shell_ssh import SshScript, script
from powercoord.drivers.virsh.shell_uri import environment, uri
from powercoord.errors import (
    PowerActionError,
    PowerAuthError,
    PowerConnError,
    PowerRefusedError,
    PowerSettingError,
    PowerToolError,
    PowerUnsupportedError,
)
from tests.hypothesis_notes import HypothesisNotes

A, B = "6695eb01-f6a4-8304-79aa-97f2502e193f", "00000000-0000-4000-8000-000000000000"
M = "0123456789abcdef"

# As a real virsh printed it, for `domstats --state A B`.
OUT = (
    "virsh # \r<4-79aa-97f2502e193f 00000000-0000-4000-8000-000000000000\n"
    "Domain: 'g'\n  state.state=1\n  state.reason=1\n\n"
    "Domain: 'never x  y   z'\n  state.state=5\n  state.reason=0\n"
    f"virsh # echo --err {M}\nvirsh # echo {M}\n{M}virsh # "
).encode()
ERR = (
    "error: Disconnected from qemu+unix:///session?socket=/tmp/x due to end of file\n"
    f"error: Reconnected to the hypervisor\nerror: {M}\n"
).encode()


class FramingTests(HypothesisNotes, SynchronousTestCase):
    """
    Where an answer ends.
    """

    @given(st.lists(st.integers(1, 40), max_size=60), st.lists(st.booleans(), max_size=120))
    def test_pieces(self, sizes: list[int], order: list[bool]) -> None:
        """
        However the two pipes come in pieces, and in whatever order, the answer is complete at the end only.
        """
        exchange = Exchange((f"domstats --state {A} {B}",), M)
        out, err = OUT.removesuffix(b"virsh # "), ERR
        sizes = [*sizes, 10_000, 10_000]
        turns = iter([*order, *[True, False] * 200])
        while out or err:
            self.assertFalse(exchange.complete)
            size = sizes.pop(0) if len(sizes) > 2 else 10_000
            if next(turns):
                if out:
                    exchange.out(out[:size])
                out = out[size:]
            else:
                if err:
                    exchange.err(err[:size])
                err = err[size:]

        self.assertTrue(exchange.complete)
        self.assertEqual((), exchange.answer().errors)
        self.assertIn("  state.state=5", exchange.answer().lines)

    def test_one_pipe_is_not_enough(self) -> None:
        """
        An answer whose errors may still come is not complete.
        """
        exchange = Exchange((), M)
        exchange.out(OUT)
        self.assertFalse(exchange.complete)
        exchange.err(ERR)

        self.assertTrue(exchange.complete)

    def test_echo_is_no_end(self) -> None:
        """
        The repeated command with the marker is not the marker; a virsh that repeats nothing is understood.
        """
        for text, complete in (
            (f"virsh # echo --err {M}\nvirsh # echo {M}\n", False),
            (f"virsh # echo --err {M}\nvirsh # echo {M}\n{M}", True),
            (f"virsh # {M}", True),
            (f"virsh > {M}", True),
        ):
            exchange = Exchange((), M)
            exchange.err(ERR)
            exchange.out(text.encode())
            self.assertEqual(complete, exchange.complete, text)

    def test_failures(self) -> None:
        """
        A lost connection that is there again is no failure; anything else behind "error:" is.
        """
        for text, errors in (
            (ERR.decode(), ()),
            (f"warning: so what\nerror: {M}\n", ("warning: so what",)),
            (
                f"error: Failed to start domain 'x'\nerror: no\n\nerror: {M}\n",
                ("error: Failed to start domain 'x'", "error: no"),
            ),
        ):
            exchange = Exchange((), M)
            exchange.out(OUT)
            exchange.err(text.encode())
            answer = exchange.answer()
            self.assertEqual((errors, len(errors) == 2), (answer.errors, answer.failed))

    def test_request(self) -> None:
        """
        Behind the commands it asks for the marker on both pipes.
        """
        self.assertEqual(
            f"start {A}\necho --err {M}\necho {M}\n".encode(), Exchange((f"start {A}",), M).request()
        )

    @given(st.text(max_size=20))
    def test_safe(self, name: str) -> None:
        """
        Nothing but letters, digits and hyphens ever reaches a shell's line editor.
        """
        command = f"start {name}"
        try:
            sent = Exchange((command,), M).request().decode("ascii")
        except ValueError:
            return
        self.assertLessEqual(
            set(sent), set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- \n")
        )
        self.assertEqual(3, sent.count("\n"))

    def test_tab(self) -> None:
        """
        A name with a tabulator, for which the line editor would take another guest, is not sent.
        """
        for command in ("domstate a\tb", "start a;destroy b", "start 'x'", "", "start  x", "start x\n"):
            with self.assertRaises(ValueError):
                Exchange((command,), M).request()

    def test_bounded(self) -> None:
        """
        What never ends is not kept.
        """
        exchange = Exchange((), M, 1000)
        exchange.out(b"x" * 900)
        with self.assertRaises(TooMuch):
            exchange.out(b"x" * 200)
        with self.assertRaises(TooMuch):
            Exchange((), M, 1000).err(b"x" * 1001)

    def test_question(self) -> None:
        """
        A virsh that asks for a password while it connects is noticed; those words in a guest's name are not.
        """
        for text in ("Enter root's password for esx1: ", "Enter username for esx1 [administrator]: "):
            with self.assertRaises(Asked):
                Exchange((), M).out(text.encode())
        Exchange((shell_lists.LISTING,), M).out(b"Enter root's password for esx1: ")


class ListTests(SynchronousTestCase):
    """
    What lists say.
    """

    def test_states(self) -> None:
        """
        States belong to the guests in the order of the question, and to nobody if one is called otherwise.
        """
        lines = OUT.decode().splitlines()
        g, never = Guest("g", UUID(A)), Guest("never x  y   z", UUID(B))

        self.assertEqual(
            {g.uuid: Seen(g, GuestState.RUNNING), never.uuid: Seen(never, GuestState.SHUTOFF)},
            shell_lists.states(lines, [g, never]),
        )
        self.assertIsNone(shell_lists.states(lines, [never, g]))
        with self.assertRaises(PowerActionError):
            shell_lists.states(lines, [g])

    def test_unknown_state(self) -> None:
        """
        A state that no libvirt has yet is no state.
        """
        guest = Guest("g", UUID(A))
        seen = shell_lists.states(["Domain: 'g'", "  state.state=99"], [guest])

        self.assertEqual({guest.uuid: Seen(guest, GuestState.NOSTATE)}, seen)

    def test_table(self) -> None:
        """
        A table's rows are told by the names that are known, even if a name looks like a row.
        """
        lines = [
            f"{A} x   running",
            f"{B} y",
            "00000000-0000-4000-8000-000000000001 z",
            " -   x   running   shut off",
            " 12   y             in shutdown",
            "virsh # list --all",
        ]
        seen = {each.guest.name: each.state for each in shell_lists.table(lines).values()}

        self.assertEqual(
            {"x   running": GuestState.SHUTOFF, "y": GuestState.SHUTDOWN, "z": GuestState.NOSTATE}, seen
        )

    def test_chunks(self) -> None:
        """
        Many guests are asked for in few commands, each once.
        """
        guests = [Guest(f"n{number}", UUID(int=number)) for number in range(450)]
        commands = shell_lists.stats(guests)

        self.assertEqual([202, 202, 52], [len(command.split()) for command in commands])
        self.assertEqual(450, len({word for command in commands for word in command.split()[2:]}))
        self.assertEqual((), shell_lists.stats([]))


CONNECTING: tuple[tuple[str, type[Exception]], ...] = (
    ("Failed to connect socket to '/x': No such file or directory", PowerConnError),
    ("Failed to connect socket to '/x': Connection refused", PowerConnError),
    ("Failed to connect socket to '/x': Permission denied", PowerAuthError),
    ("Cannot recv data: u@h: Permission denied (publickey).: Connection reset by peer", PowerAuthError),
    ("Cannot recv data: Host key verification failed.: Connection reset by peer", PowerAuthError),
    (
        "Cannot recv data: ssh: connect to host h port 22: Connection refused: Connection reset",
        PowerConnError,
    ),
    ("authentication failed: SSH host key does not match", PowerAuthError),
    ("authentication unavailable: no polkit agent available", PowerAuthError),
    ("internal error: HTTP response code 401 for call to 'Login'", PowerAuthError),
    ("unsupported configuration: libvirt was built without the 'hyperv' driver", PowerToolError),
    ("no connection driver available for bhyve:///system", PowerToolError),
    ("Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory", PowerSettingError),
)

WORKING: tuple[tuple[str, type[Exception], bool], ...] = (
    ("failed to get domain 'x'", NoSuchGuest, False),
    ("Domain is already active", WrongState, False),
    ("Requested operation is not valid: domain is not running", WrongState, False),
    ("Requested operation is not valid: domain is already running", WrongState, False),
    ("internal error: domain 'test' not running", PowerActionError, False),
    ("End of file while reading data: Input/output error", PowerConnError, True),
    ("Disconnected from x due to end of file; internal error: client socket is closed", PowerConnError, True),
    ("this function is not supported by the connection driver: virDomainReset", PowerUnsupportedError, False),
    ("operation forbidden: read only access prevents virDomainCreate", PowerRefusedError, False),
    ("Timed out during operation: cannot acquire state change lock", PowerActionError, False),
    ("Cannot access storage file '/x': Permission denied", PowerActionError, False),
    ("Failed to reconnect to the hypervisor", PowerConnError, False),
)


class MeaningTests(SynchronousTestCase):
    """
    What complaints mean.
    """

    def test_connecting(self) -> None:
        """
        While it connects, each known sentence has its meaning, and nothing was sent.
        """
        for text, kind in CONNECTING:
            error = cannot_connect("host", ["error: failed to connect to the hypervisor", f"error: {text}"])
            self.assertIs(kind, type(error), text)
            self.assertFalse(error.sent)
            self.assertIn(text, str(error))

    def test_working(self) -> None:
        """
        Each known sentence has its meaning, and only a broken connection leaves open what was done.
        """
        for text, kind, sent in WORKING:
            error = failed("host", [f"error: {text}"], changes=True)
            self.assertEqual((kind, sent), (type(error), error.sent), text)
            self.assertFalse(failed("host", [f"error: {text}"], changes=False).sent)

    def test_one_line(self) -> None:
        """
        A text is one line of bounded length, whatever was said.
        """
        error = failed("host", ["error: a\x1b[31m\rb", *["error: more"] * 500], changes=True)

        self.assertLess(len(str(error)), 600)
        self.assertTrue(str(error).isprintable())

    def test_silence(self) -> None:
        """
        A virsh that ends without a word is told as such.
        """
        self.assertEqual("host: virsh ended and said nothing", str(cannot_connect("host", ())))


class UriTests(SynchronousTestCase):
    """
    What a virsh is told to connect to.
    """

    def uri(self, **settings: Any) -> str:
        return uri(VirshSettings(domain="x", **settings).place("/run/user/1"), "/tmp/our ssh/ssh")

    def test_table(self) -> None:
        """
        Each way has the URI that libvirt documents for it.
        """
        for settings, expected in (
            ({"transport": Transport.TLS, "address": "h1"}, "qemu+tls://h1/system"),
            ({"transport": Transport.TCP, "address": "[fe80::1]:99"}, "qemu+tcp://[fe80::1]:99/system"),
            ({"hypervisor": Hypervisor.ESX, "transport": Transport.LOCAL, "address": "esx1",
              "username": "root", "instance": "/"}, "esx://root@esx1/"),
            ({"hypervisor": Hypervisor.ESX, "address": "esx1:8443"}, "esx://esx1:8443/"),
            ({"hypervisor": Hypervisor.VBOX, "transport": Transport.SSH, "address": "h",
              "instance": "session"}, "vbox+ssh://h/session?command=/tmp/our%20ssh/ssh&no_tty=1&proxy=netcat"),
            ({"hypervisor": Hypervisor.VCENTER, "transport": Transport.LOCAL, "address": "vc",
              "username": "u$", "instance": "/dc,1/c/h"}, "vpx://u%24@vc/dc%2C1/c/h"),
            ({"hypervisor": Hypervisor.VBOX, "transport": Transport.LOCAL, "instance": "session"},
             "vbox:///session"),
            ({"hypervisor": Hypervisor.TEST, "transport": Transport.LOCAL, "instance": "default"},
             "test:///default"),
            ({}, "qemu+unix:///system"),
            ({"socket": "/a/b+c"}, "qemu+unix:///system?socket=/a/b%2Bc"),
        ):  # fmt: skip
            self.assertEqual(expected, self.uri(**settings))  # type: ignore[arg-type]

    def test_ssh(self) -> None:
        """
        libvirt runs our ssh, which knows the host key; its own clients are told where that is.
        """
        words = {"address": "h", "username": "u", "identity_file": "/k", "known_hosts": "/h", "socket": "/s"}
        ssh = self.uri(transport=Transport.SSH, **words)
        libssh = self.uri(transport=Transport.LIBSSH2, **words)

        self.assertEqual("qemu+ssh://u@h/system", ssh.partition("?")[0])
        self.assertEqual(
            {"command": ["/tmp/our ssh/ssh"], "no_tty": ["1"], "proxy": ["netcat"], "keyfile": ["/k"],
             "socket": ["/s"]},
            parse_qs(urlsplit(ssh).query),
        )  # fmt: skip
        self.assertEqual(
            {"sshauth": ["agent,privkey"], "known_hosts_verify": ["normal"], "known_hosts": ["/h"],
             "proxy": ["netcat"], "keyfile": ["/k"], "socket": ["/s"]},
            parse_qs(urlsplit(libssh).query),
        )  # fmt: skip

    def test_environment(self) -> None:
        """
        A child sees what it needs, and neither our secrets nor what would lead it elsewhere.
        """
        ours = {"PATH": "/bin", "HOME": "/h", "SECRET": "s", "LIBVIRT_DEFAULT_URI": "x", "LC_ALL": "de_DE"}
        theirs = environment(ours)

        self.assertEqual({"PATH", "HOME", "INPUTRC", "LC_ALL", "TERM", "VIRSH_HISTSIZE"}, set(theirs))
        self.assertEqual("C", theirs["LC_ALL"])


class SshScriptTests(SynchronousTestCase):
    """
    The ssh that libvirt runs.
    """

    def place(self, **settings: Any) -> Any:
        return VirshSettings(domain="x", transport=Transport.SSH, address="h", **settings).place()

    def test_words(self) -> None:
        """
        It passes on what libvirt says behind options that win, and asks nobody anything.
        """
        text = script(self.place(known_hosts="/k/h", identity_file="/k/i"))
        words = shlex.split(text.splitlines()[1])

        self.assertEqual(["exec", "ssh", "-F", "none", "-o"], words[:5])
        self.assertEqual("$@", words[-1])
        options = {
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UserKnownHostsFile=/k/h",
            "IdentitiesOnly=yes",
        }
        self.assertLessEqual(options, set(words))
        self.assertNotIn("UserKnownHostsFile", script(self.place()))

    def test_file(self) -> None:
        """
        It is there when it is needed, runs, is ours alone, and goes when it is not needed any more.
        """
        ssh = SshScript(self.place(known_hosts="/k"))
        self.addCleanup(ssh.remove)
        path = Path(ssh.path())
        done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False, timeout=20)

        self.assertEqual(path, Path(ssh.path()))
        self.assertEqual(0o700, path.parent.stat().st_mode & 0o777)
        self.assertNotEqual(126, done.returncode, done.stderr)
        ssh.remove()
        self.assertFalse(path.parent.exists())

    def test_only_for_ssh(self) -> None:
        """
        Another transport needs no file.
        """
        self.assertEqual("", SshScript(VirshSettings(domain="x", through_virsh=True).place()).path())
