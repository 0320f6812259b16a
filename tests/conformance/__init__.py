# SPDX-License-Identifier: MIT
"""
The suite for driver authors, tried on drivers that keep the contract and on drivers that break one rule each.
"""
