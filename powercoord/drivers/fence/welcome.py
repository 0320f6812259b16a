# SPDX-License-Identifier: MIT
"""
Where a password has last been good.

# Note [A password that may be wrong]

Agents say the same of a wrong password and of much else: "unable to obtain
correct plug status", or the last line of a traceback.  To try again may lock
the account; not to try again may leave a machine on because its BMC was busy.
So it is asked what is known of the device:

=============================================  ======================================
what is known                                  what it is taken for
=============================================  ======================================
it is silent when asked without a login        silence: tried again
a plug was named, and the agent cannot read    a plug that is not there: refused,
it; agents say more of a login at such         and not tried again by itself
devices
this password was let in the last time         a passing failure: tried again, once
anything else                                  a refused password: not tried again
=============================================  ======================================

So a password that was never good costs one attempt, and one that was changed at
the device costs two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from powercoord.drivers.fence.settings import FenceAgentSettings

_MANY = 40_000


@frozen
class Login:
    """
    All that decides whether a device lets us in.
    """

    _agent: str
    _username: str
    _password: str = field(repr=False)
    _options: Mapping[str, Any] = field(repr=False)


@define(eq=False)
class Welcomes:
    """
    For each device, the login that it has let in the last time that it was asked.
    """

    _known: dict[str, Login] = field(factory=dict, init=False, repr=False)

    def let_in(self, endpoint: str, settings: FenceAgentSettings) -> None:
        """
        It has just told us something.
        """
        if len(self._known) >= _MANY and endpoint not in self._known:
            self._known.clear()
        self._known[endpoint] = _login(settings)

    def forget(self, endpoint: str, settings: FenceAgentSettings) -> bool:
        """
        It has just not; whether it had the last time.
        """
        return self._known.pop(endpoint, None) == _login(settings)


def _login(settings: FenceAgentSettings) -> Login:
    return Login(settings.agent, settings.username, settings.password, settings.options)
