# SPDX-License-Identifier: MIT
"""
What was recorded of real devices: data with licences of its own, beside this project and not in it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest

VARIABLE = "POWERCOORD_FIXTURES"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "fixtures"


def recorded(kind: str, environment: Mapping[str, str] = os.environ) -> Path:
    """
    The folder with what was recorded of one kind of device.

    :raises SkipTest: it is not here.
    """
    folder = Path(environment.get(VARIABLE, BESIDE)) / kind
    if not folder.is_dir():
        raise SkipTest(f"no recorded data at {folder}; {VARIABLE} names where it is")
    return folder
