# SPDX-License-Identifier: MIT
"""
The heart, on a clock that the tests turn.
"""
