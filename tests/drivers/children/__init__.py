# SPDX-License-Identifier: MIT
"""
Unit tests of one driver room.
"""
