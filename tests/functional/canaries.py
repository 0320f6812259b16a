# SPDX-License-Identifier: MIT
"""
Passwords that are known by sight, and looking for them wherever they must not be.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from attrs import define, field


def disguises(secret: str) -> Iterator[bytes]:
    """
    A secret as it may stand somewhere: plain, in hexadecimal digits, in base64 at any offset, quoted.
    """
    plain = secret.encode()
    yield plain
    yield plain.hex().encode()
    yield quote(secret, safe="").encode()
    for offset in range(3):
        # What depends on the neighbours at both ends is left away.
        coded = base64.b64encode(b"\0" * offset + plain)
        yield coded[(0, 2, 3)[offset] : len(plain) * 4 // 3 - 2]


@define
class Canaries:
    """
    The passwords of a test, each with a name to tell where it came from.
    """

    passwords: dict[str, str] = field(factory=dict)

    def new(self, name: str) -> str:
        """
        A password that stands nowhere by chance, and fits into what any BMC takes.
        """
        self.passwords[name] = f"Cn/{secrets.token_hex(5)}@"
        return self.passwords[name]

    def found_in(self, text: bytes) -> list[str]:
        """
        Names of the passwords that stand in a text, however they are written.
        """
        return [
            name
            for name, secret in self.passwords.items()
            if any(disguise in text for disguise in disguises(secret))
        ]

    def found_below(self, folder: Path, allowed: frozenset[Path] = frozenset()) -> Mapping[str, list[str]]:
        """
        The same for every file below a folder, by the file's name.
        """
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in allowed)
        found = {str(path.relative_to(folder)): self.found_in(path.read_bytes()) for path in files}
        return {name: canaries for name, canaries in found.items() if canaries}


@define(eq=False)
class Words:
    """
    Remembers the command lines of all descendants of a process, as often as it can look.
    """

    _root: int
    seen: set[bytes] = field(factory=set, init=False)
    _over: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Begin to look, in a thread of its own: a child may live for milliseconds.
        """
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            for pid in self._descendants():
                try:
                    self.seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
                except OSError:
                    continue

    def _descendants(self) -> list[int]:
        found = [self._root]
        for pid in found:
            try:
                tasks = list(Path(f"/proc/{pid}/task").iterdir())
                for task in tasks:
                    found += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return found
