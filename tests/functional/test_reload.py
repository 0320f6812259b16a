# SPDX-License-Identifier: MIT
"""
SIGHUP to a real ``twistd``: another configuration is taken, and no action and no connection is touched.
"""

from __future__ import annotations

from pathlib import Path

from powercoord.errors import Held, NoSuchNode
from powercoord.lifecycle.signals import TOGETHER
from powercoord.model import Done, How, PowerState, Verb
from tests.functional.signalled_twistd import CONFIGURATION, HUP, SignalledCase

ON = Done(How.COMMANDED, PowerState.ON)


class ReloadTests(SignalledCase):
    """
    Nodes that come, go and change.
    """

    timeout = 120

    @property
    def config(self) -> Path:
        return self.folder / "pc.toml"

    def nodes(self, **addresses: int) -> str:
        """
        Tables of nodes, each at the machine of that number.
        """
        return "".join(
            f'\n[nodes.{name}]\ndriver = "ipmi"\naddress = "127.79.1.{number}:{self.fleet.port}"\n'
            for name, number in addresses.items()
        )

    async def begin(self) -> str:
        """
        Serve the nodes a and b at the machines 1 and 2; returns the configuration without nodes.
        """
        text = CONFIGURATION.format(folder=self.folder, server="", settle=0, count=1, base="", port=0)
        head = text.partition("[nodes")[0]
        self.config.write_text(head + self.nodes(a=1, b=2))
        await self.start()
        return head

    async def reload(self, text: str, says: str) -> None:
        self.config.write_text(text)
        self.send(HUP)
        while says not in self.twistd.text:
            await self.pause(0.02)

    async def done(self, name: str, verb: Verb) -> None:
        """
        Ask for it, and wait until it is seen.
        """
        (accepted,) = await self.client.submit([self.client.request(name, verb)])
        self.assertIsInstance(await self.client.outcome(accepted), Done)

    async def test_nodes(self) -> None:
        """
        A removed node finishes what it does, a changed one is met at its new address, a new one is known.
        """
        head = await self.begin()
        await self.done("b", Verb.ON)
        self.slow(2, 0)
        (accepted,) = await self.client.submit([self.client.request("a", Verb.ON)])
        while not self.fleet.bmcs[0].machine.commands:
            await self.pause(0.02)

        await self.reload(head + self.nodes(b=3, c=4), "removed: a")
        (refused,) = await self.client.submit([self.client.request("a", Verb.OFF)])
        self.assertIsInstance(refused.error, NoSuchNode)
        self.assertEqual(ON, await self.client.outcome(accepted))
        await self.done("b", Verb.ON)
        await self.done("c", Verb.ON)

        self.assertEqual([True] * 4, [self.fleet.power(index) for index in range(4)])
        self.assertIn("added: c", self.twistd.text)
        self.assertIn("changed (machine): b", self.twistd.text)
        self.assertNotIn("Traceback", self.twistd.text)

    async def test_mistakes(self) -> None:
        """
        A configuration with mistakes is refused, line by line, and all stays as it was.
        """
        head = await self.begin()

        await self.reload(head + self.nodes(a=1) + "\n[nodes.b]\ndriver = 'impi'\n", "did you mean 'ipmi'")
        await self.done("b", Verb.ON)

        self.assertIn("not reloaded, all stays as it was", self.twistd.text)
        self.assertIn("pc.toml:", self.twistd.text)

    async def test_machine_in_use(self) -> None:
        """
        A machine is not given another name, and so a second lane, while its action is not over.
        """
        head = await self.begin()
        self.slow(2, 0)
        (accepted,) = await self.client.submit([self.client.request("a", Verb.ON)])
        while not self.fleet.bmcs[0].machine.commands:
            await self.pause(0.02)

        await self.reload(head + self.nodes(z=1), "where an action for 'a' is not over yet")
        self.assertEqual(ON, await self.client.outcome(accepted))
        await self.reload(head + self.nodes(z=1), "added: z")
        await self.done("z", Verb.OFF)

        self.assertFalse(self.fleet.power(0))

    async def test_held_machine(self) -> None:
        """
        A machine does not slip out of a hold by another name, nor by being gone from the configuration.
        """
        head = await self.begin()
        await self.client.hold(["a"], "hands inside")

        for names, says in (
            ({"z": 1}, "or it is held; wait for it, cancel it, or release it"),
            ({"b": 2}, "removed: a"),
            ({"a": 1}, "added: a"),
        ):
            await self.reload(head + self.nodes(**names), says)
            await self.pause(2 * TOGETHER)
        (refused,) = await self.client.submit([self.client.request("a", Verb.ON)])
        self.assertIsInstance(refused.error, Held)
        await self.client.release(["a"])
        await self.reload(head + self.nodes(z=1), "added: z")
        await self.done("z", Verb.ON)
