# SPDX-License-Identifier: MIT
"""
Tests of great numbers, which are run without measuring what they cover.

Measuring takes twice as long as the test itself, and small tests have been at every line that they come to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from coverage import Coverage

Test = TypeVar("Test", bound=Callable[..., Any])


def unmeasured(test: Test) -> Test:
    """
    Mark a test method whose coverage is not measured, where that is done at all.
    """

    @wraps(test)
    def run(*arguments: Any) -> Any:
        measuring = Coverage.current()
        if measuring is None:
            return test(*arguments)
        measuring.stop()
        try:
            return test(*arguments)
        finally:
            measuring.start()

    return cast("Test", run)
