# SPDX-License-Identifier: MIT
"""
Power behind any web server: one address for each thing to do, and words to know its answer by.
"""

from powercoord.drivers.webhook.driver import WebhookDriver, driver
from powercoord.drivers.webhook.settings import WebhookSettings

__all__ = ["WebhookDriver", "WebhookSettings", "driver"]
