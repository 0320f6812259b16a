# SPDX-License-Identifier: MIT
"""
Trial test cases on a virtual clock, and in ``tests.functional`` those with real peers.
"""

from tests.hypothesis_notes import load_profile

load_profile()
