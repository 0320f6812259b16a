# SPDX-License-Identifier: MIT
"""
Starting and stopping.
"""
