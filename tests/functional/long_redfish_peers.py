# SPDX-License-Identifier: MIT
"""
DMTF's slow judges of the simulated Redfish service: ``make long-peers``, a minute of mostly waiting.
"""

from __future__ import annotations

from tests.functional.redfish_peers import RedfishPeerCase, explained


class ProtocolTests(RedfishPeerCase):
    base = "127.60.66.1"

    async def test_protocol(self) -> None:
        """
        DMTF's protocol validator finds nothing wrong, and does not test what is explained.
        """
        passed, others = await self.protocol()

        self.assertEqual(explained("protocol"), others)
        self.assertLessEqual(273, passed)


class PowerControlTests(RedfishPeerCase):
    base = "127.60.67.1"

    async def test_power_control(self) -> None:
        """
        DMTF's use case checker for power passes, but for what is explained.
        """
        passed, others = await self.use_cases("PowerControl")

        self.assertEqual(explained("power_control"), others)
        self.assertEqual(9, passed)
