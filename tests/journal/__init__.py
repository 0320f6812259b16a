# SPDX-License-Identifier: MIT
"""
The journal: on real files and its own rules, with threads only where threads are the question.
"""
