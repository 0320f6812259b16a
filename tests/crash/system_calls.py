# SPDX-License-Identifier: MIT
"""
The library that kills at a system call, compiled where there is a compiler.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("calls.c")


def compiler() -> str | None:
    """
    A C compiler, if there is one.
    """
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path | None:
    """
    Compile it into a folder; None without a compiler.
    """
    program = compiler()
    if program is None:
        return None
    library = folder / "calls.so"
    subprocess.run([program, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    return library
