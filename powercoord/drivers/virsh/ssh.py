# SPDX-License-Identifier: MIT
"""
The way to a daemon on another host: an ssh child whose far end is joined to the daemon's socket.

Nothing in its arguments is a secret, and none of them is made of another: each stands for itself.
No configuration file of ssh is read, no password is asked for, and an unknown host key is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from shutil import which
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from powercoord.drivers.virsh.conversation import Conversation
from powercoord.drivers.virsh.place import Place
from powercoord.errors import PowerAuthError, PowerConnError, PowerError, PowerToolError

#: What is kept of what ssh and the far end complain about.
MOST_WORDS = 2048

#: How long ssh may take to connect, in seconds.
CONNECT_TIMEOUT = 15

#: What a child may take to end when its end has been told.
GRACE = 1.0

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ControlPath=none",
    "PermitLocalCommand=no",
    "LogLevel=ERROR",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    f"ConnectTimeout={CONNECT_TIMEOUT}",
)


def arguments(place: Place) -> list[str]:
    """
    The words of the child's command line.
    """
    options = list(_OPTIONS)
    if place.known_hosts:
        options += [f"UserKnownHostsFile={place.known_hosts}", "GlobalKnownHostsFile=/dev/null"]
    if place.identity_file:
        options += [f"IdentityFile={place.identity_file}", "IdentitiesOnly=yes"]
    words = ["ssh", "-F", "none", "-T", "-e", "none"]
    for option in options:
        words += ["-o", option]
    if place.user:
        words += ["-l", place.user]
    if place.port:
        words += ["-p", str(place.port)]
    return [*words, "--", place.host.strip("[]"), far_end(place.sockets)]


def far_end(sockets: Sequence[str]) -> str:
    """
    What a shell at the other end runs. No letter of a path means anything to it; it is quoted all the same.
    """
    if len(sockets) == 1:
        return f"exec nc -U {quote(sockets[0])}"
    names = " ".join(map(quote, sockets))
    return f"for s in {names}; do test -S $s && exec nc -U $s; done; echo no socket {names} >&2; exit 1"


@frozen
class SshDial:
    """
    Starts a child for each attempt.

    :param environment: of the child, and where it is looked for.
    """

    _reactor: Any
    _place: Place
    _environment: Mapping[str, str]

    async def __call__(self, conversation: Conversation) -> None:
        """
        See `powercoord.drivers.virsh.line.Dial`.

        Whether it reaches anybody shows in the first answer.

        :raises PowerToolError: there is no ssh.
        """
        program = which("ssh", path=self._environment.get("PATH"))
        if program is None:
            raise PowerToolError(f"{conversation.name}: the program ssh is missing; install openssh-client")
        child = SshChild(self._reactor, conversation)
        self._reactor.spawnProcess(child, program, arguments(self._place), dict(self._environment))


@define(eq=False)
class SshChild(ProcessProtocol):
    """
    The child, as a conversation's transport.
    """

    _clock: Any
    _conversation: Conversation
    transport: IProcessTransport | None = field(default=None, init=False)
    _words: bytes = field(default=b"", init=False)
    _guard: IDelayedCall | None = field(default=None, init=False)
    ended: Deferred[None] = field(factory=Deferred, init=False)

    def connectionMade(self) -> None:
        """
        It runs; whether it reaches anybody is another question.
        """
        self._conversation.makeConnection(self)

    def write(self, data: bytes) -> None:
        """
        To the far end.
        """
        if self.transport is not None:
            self.transport.writeToChild(0, data)

    def abortConnection(self) -> None:
        """
        Kill it here and now; it is reaped as it ends.
        """
        self._signal("KILL")

    def outReceived(self, data: bytes) -> None:
        """
        From the far end.
        """
        self._conversation.dataReceived(data)

    def errReceived(self, data: bytes) -> None:
        """
        Complaints; the last ones are the ones to know.
        """
        self._words = (self._words + data)[-MOST_WORDS:]

    def outConnectionLost(self) -> None:  # noqa: N802 - Twisted's word
        """
        Nothing more comes, so it has no more to do.
        """
        if self._guard is None:
            self._guard = self._clock.callLater(GRACE, self._signal, "KILL")

    def processEnded(self, reason: Failure) -> None:
        """
        It is dead and reaped.
        """
        if self._guard is not None and self._guard.active():
            self._guard.cancel()
        self.transport = None
        code = getattr(reason.value, "exitCode", None)
        self._conversation.connectionLost(Failure(why(self._conversation.name, code, self._words)))
        self.ended.callback(None)

    def _signal(self, name: str) -> None:
        if self.transport is not None:
            try:
                self.transport.signalProcess(name)
            except ProcessExitedAlready:
                return


#: Words of OpenSSH and of nc at the far end, in the order in which they are looked for, and what they mean.
_MEANINGS: tuple[tuple[str, type[PowerError], str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        PowerAuthError,
        "its host key is another than the known one; if that is right, put the new one into known_hosts",
    ),
    (
        "Host key verification failed",
        PowerAuthError,
        "its host key is not known; put it into known_hosts",
    ),
    (
        "Permission denied (",
        PowerAuthError,
        "ssh is not let in; put the coordinator's public key there, its private one is identity_file",
    ),
    ("Too many authentication failures", PowerAuthError, "ssh is not let in; name the key as identity_file"),
    (
        "Permission denied",
        PowerAuthError,
        "the user there may not open libvirt's socket (often group libvirt)",
    ),
    ("invalid option", PowerToolError, "its nc knows no UNIX sockets; install netcat-openbsd there"),
    ("not found", PowerToolError, "it has no nc; install netcat-openbsd there"),
    ("No such file or directory", PowerConnError, "libvirt's socket is not there; is its daemon running?"),
    ("no socket", PowerConnError, "libvirt's socket is not there; is its daemon running?"),
    ("Connection refused", PowerConnError, "nobody listens there"),
)


def why(name: str, code: int | None, words: bytes) -> PowerError:
    """
    Why a child ended, as the error that tells what to do about it.
    """
    lines = [line for line in words.decode(errors="replace").splitlines() if line.strip()]
    last = "".join(each if each.isprintable() else "?" for each in (lines[-1] if lines else ""))[:200].strip()
    text = " ".join(lines)
    for sign, kind, meaning in _MEANINGS:
        if sign in text:
            return kind(f"{name}: {meaning} ({last})")
    if last:
        return PowerConnError(f"{name}: ssh: {last}")
    return PowerConnError(f"{name}: ssh ended" + (f" with {code}" if code else ""))
