# SPDX-License-Identifier: MIT
"""
Other people's programs, run as children that never outlive the operation they serve.
"""

from powercoord.drivers.children.children import Children, Stop
from powercoord.drivers.children.program import Ended, Halt, Program, find_program, hide, surroundings

__all__ = ["Children", "Ended", "Halt", "Program", "Stop", "find_program", "hide", "surroundings"]
