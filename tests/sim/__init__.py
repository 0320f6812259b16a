# SPDX-License-Identifier: MIT
"""
Tests of the simulated BMCs that speak HTTP, on a virtual clock and without sockets.
"""
