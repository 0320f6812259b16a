# SPDX-License-Identifier: MIT
"""
Tests of `powercoord.drivers.redfish`.
"""
