# SPDX-License-Identifier: MIT
"""
The known word that a mistyped one was meant to be.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from powercoord.nearest import Nearest, nearest


class NearestTests(SynchronousTestCase):
    def test_few(self) -> None:
        """
        Of a few words the most alike is found, or none if none is alike.
        """
        self.assertEqual(
            ("state_dir", None), (nearest("stat_dir", ["amp", "state_dir"]), nearest("x", ["amp"]))
        )

    def test_many(self) -> None:
        """
        Among thousands a mistake at the beginning, in the middle or at the end is found.
        """
        near = Nearest(f"rack{rack}n{node:03d}" for rack in range(40) for node in range(100))
        mistyped = {
            "tack7n042": "rack7n042",
            "rack7m042": "rack7",
            "rack7n0422": "rack7n042",
            "rack7n42": "rack7n042",
            "rack07n042": "rack7n042",
        }

        for word, beginning in mistyped.items():
            self.assertTrue((near.to(word) or "").startswith(beginning), (word, near.to(word)))

    def test_none(self) -> None:
        """
        Nothing is near where nothing is known.
        """
        self.assertIsNone(Nearest([]).to("n1"))
