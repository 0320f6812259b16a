# SPDX-License-Identifier: MIT
"""
Support for tests, ours and those of third parties: fakes, contract suites, fleets of real peers.
"""

__all__: list[str] = []
