# SPDX-License-Identifier: MIT
"""
Tests of the Intel AMT driver.
"""

__all__: list[str] = []
