# SPDX-License-Identifier: MIT
"""
How a run of tests ended, in a form that outlives the process that ran it.
"""

import json
from pathlib import Path

from attrs import asdict, frozen


@frozen
class Counts:
    """
    What came of one run. ``skips`` has one line for each skipped test: which, and why.
    """

    passed: int
    failed: int
    skips: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """
        Whether no test was so much as looked at.
        """
        return not (self.passed or self.failed or self.skips)

    @classmethod
    def read(cls, path: Path) -> "Counts":
        """
        Read what `write` wrote.
        """
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(fields["passed"], fields["failed"], tuple(fields["skips"]))

    def write(self, path: Path) -> None:
        """
        Keep the counts in a file for the tally.
        """
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
