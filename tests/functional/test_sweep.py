# SPDX-License-Identifier: MIT
"""
Reads in the background on real sockets: what happens behind our back is told in time, and once.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from powercoord.client import Watch
from powercoord.entries import Drifted
from powercoord.model import PowerState, Verb
from tests.functional.signalled_twistd import COUNT, HUP, NAMES, SignalledCase

INTERVAL = 2.0
SWEEP = '[sweep]\ninterval = "{interval}"\nfast = "500ms"\n'


class SweepTests(SignalledCase):
    """
    Twenty simulated BMCs, each of which is read within two seconds.
    """

    timeout = 120

    async def begin(self) -> None:
        """
        Serve, with all nodes on, and note all drift from now on.
        """
        await self.start(SWEEP.format(interval=INTERVAL))
        await self.all_of(await self.accepted(*NAMES))
        self.drifted: list[str] = []
        watch = await self.client.watch(nodes=NAMES)
        following = Deferred.fromCoroutine(self.follow(watch))
        self.addCleanup(lambda: (watch.stop(), following)[1])

    async def follow(self, watch: Watch) -> None:
        async for event in watch:
            if isinstance(event, Drifted):
                self.drifted.append(event.node)

    async def ages(self) -> list[float]:
        """
        How long ago each node was seen.
        """
        found = await self.client.status(NAMES)
        return [float("inf") if node.age is None else node.age for node in found]

    async def test_behind_our_back(self) -> None:
        """
        A machine that somebody switches off is told of as drifted within the interval, and only once.
        """
        await self.begin()
        await self.pause(INTERVAL)
        since = reactor.seconds()
        self.fleet.bmcs[6].machine.press_button(False)
        while not self.drifted:
            await self.pause(0.02)
        self.assertLess(reactor.seconds() - since, INTERVAL + 5)
        await self.pause(3 * INTERVAL)

        self.assertEqual([NAMES[6]], self.drifted)
        (status,) = await self.client.status([NAMES[6]])
        self.assertEqual((PowerState.OFF, True), (status.state, status.drifted))
        self.assertLess(max(await self.ages()), INTERVAL + 5)
        self.assertNotIn("Traceback", self.twistd.text)

    async def test_a_drain_lets_them_be(self) -> None:
        """
        During a drain no BMC is read, and after it all are, as before; a reload may end it.
        """
        await self.begin()
        await self.pause(INTERVAL)
        await self.client.drain("quiet, please")
        before = await self.ages()
        await self.pause(INTERVAL)
        for old, new in zip(before, await self.ages(), strict=True):
            self.assertGreater(new, old + INTERVAL - 0.5)

        await self.client.resume()
        await self.pause(1.5 * INTERVAL)
        ages = await self.ages()
        self.assertEqual(COUNT, len(ages))
        self.assertLess(max(ages), INTERVAL + 5)

        config = self.folder / "pc.toml"
        config.write_text(config.read_text().replace(f'interval = "{INTERVAL}"', 'interval = "off"'))
        self.send(HUP)
        while "changed: sweep.interval" not in self.twistd.text:
            await self.pause(0.05)
        await self.pause(INTERVAL)
        self.assertGreater(min(await self.ages()), INTERVAL - 0.5)
        await self.all_of(await self.accepted(NAMES[0], verb=Verb.OFF))
