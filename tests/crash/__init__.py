# SPDX-License-Identifier: MIT
"""
The real service, killed at every boundary of its journal and at random moments, and what must hold then.

``python -m tests.crash`` does all of it; `tests.functional.test_crash` a part. What is shown: docs/crash.md.
"""

__all__: list[str] = []
