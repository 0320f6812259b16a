# SPDX-License-Identifier: MIT
"""
The doors of the service, as the lifecycle opens and closes them.
"""

from __future__ import annotations

from attrs import define
from zope.interface import implementer

from powercoord.api.dial import RegionDialler
from powercoord.api.listen import AmpListener
from powercoord.api.reception import Reception
from powercoord.interfaces import IDoor


@implementer(IDoor)
@define(eq=False)
class AmpDoor:
    """
    Callers that connect to us.
    """

    _listener: AmpListener
    _reception: Reception
    name: str

    async def open(self) -> None:
        """
        Listen on every endpoint, or on none.
        """
        await self._listener.listen()

    async def stop_accepting(self) -> None:
        """
        Take no new connections.
        """
        await self._listener.stop_accepting()

    async def close(self) -> None:
        """
        Answer what is owed, say goodbye, and part from every peer.
        """
        await self._reception.close("it is stopping")


@implementer(IDoor)
@define(eq=False)
class RegionDoor:
    """
    Region controllers to which we connect.
    """

    _dialler: RegionDialler
    name: str

    async def open(self) -> None:
        """
        Begin to dial; a region that is away is no reason not to serve others.
        """
        self._dialler.startService()

    async def stop_accepting(self) -> None:
        """
        Dial no more.
        """
        await self._dialler.stopService()

    async def close(self) -> None:
        """
        The connections are parted from with all others.
        """
