# SPDX-License-Identifier: MIT
"""
Tests with the real reactor, real sockets, child processes and peers that nobody here wrote.
"""
