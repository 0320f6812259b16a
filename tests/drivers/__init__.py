# SPDX-License-Identifier: MIT
"""
Tests of `powercoord.drivers`, one folder for each room.
"""
