# SPDX-License-Identifier: MIT
"""
How far many nodes have come, while one waits for them.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from powercoord.cli.screen import Screen
from powercoord.model import Phase

# What has not been sent yet waits for its turn; what was sent is still to be seen.
_WORDS = {
    Phase.QUEUED: "waiting",
    Phase.ADMITTED: "waiting",
    Phase.SENT: "sent",
    Phase.VERIFYING: "sent",
    Phase.CANCELLING: "cancelling",
}


class Meter(Protocol):
    """
    Is told what happens, and shows it in its own way.
    """

    def ended(self, node: str, *, good: bool) -> None:
        """
        A node is over.
        """

    def entered(self, node: str, phase: Phase) -> None:
        """
        A node's action entered a phase.
        """

    def refresh(self) -> None:
        """
        Time has passed.
        """

    def close(self) -> None:
        """
        Nothing more will happen; leave the screen as it was.
        """


def meter(screen: Screen, title: str, total: int) -> Meter:
    """
    The meter for whoever reads the screen.
    """
    if screen.json:
        return _Silent()
    if screen.err.is_terminal:
        return _Bar(screen.err, title, total)
    return _Lines(screen, title, total)


class _Silent:
    def ended(self, node: str, *, good: bool) -> None: ...

    def entered(self, node: str, phase: Phase) -> None: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...


class _Bar:
    """
    A bar that is drawn again only when it is told to: there is no thread.
    """

    def __init__(self, console: Console, title: str, total: int) -> None:
        self._phases: dict[str, Phase] = {}
        self._failed = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total, detail="")
        self._bar.start()

    def ended(self, node: str, *, good: bool) -> None:
        self._phases.pop(node, None)
        self._failed += not good
        self._bar.advance(self._task)

    def entered(self, node: str, phase: Phase) -> None:
        if phase in _WORDS:
            self._phases[node] = phase

    def refresh(self) -> None:
        counts = Counter(_WORDS[phase] for phase in self._phases.values())
        counts["failed"] = self._failed
        detail = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        self._bar.update(self._task, detail=detail)
        self._bar.refresh()

    def close(self) -> None:
        self.refresh()
        self._bar.stop()


class _Lines:
    """
    A line for each further tenth, which is what a log can bear.
    """

    def __init__(self, screen: Screen, title: str, total: int) -> None:
        self._screen = screen
        self._title = title
        self._total = total
        self._ended = 0
        self._failed = 0

    def ended(self, node: str, *, good: bool) -> None:
        before = self._ended * 10 // self._total
        self._ended += 1
        self._failed += not good
        if self._total >= 10 and self._ended * 10 // self._total > before:
            failed = f", {self._failed} failed" if self._failed else ""
            self._screen.note(f"{self._title}: {self._ended} of {self._total} nodes{failed}")

    def entered(self, node: str, phase: Phase) -> None: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...
