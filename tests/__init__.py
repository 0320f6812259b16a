# SPDX-License-Identifier: MIT
"""
Trial test cases on a virtual clock, and in ``tests.functional`` those with real peers.
"""
