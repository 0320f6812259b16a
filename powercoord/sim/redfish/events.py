# SPDX-License-Identifier: MIT
"""
Server-sent events (DSP0266, "Server-sent events"): power has changed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType

from attrs import define, field

from powercoord.sim.redfish.documents import link, power_state
from powercoord.sim.redfish.service import Service
from powercoord.sim.web.faults import Faults

#: The ResourceEvent registry's message for each power state.
_MESSAGES = MappingProxyType(
    {
        "On": "ResourcePoweredOn",
        "Off": "ResourcePoweredOff",
        "PoweringOn": "ResourcePoweringOn",
        "PoweringOff": "ResourcePoweringOff",
    }
)


@define(eq=False)
class Events:
    """
    What has not been told yet.
    """

    _service: Service = field(repr=False)
    _told: list[str | None] = field(init=False, factory=list)
    _last: int = field(init=False, default=0)

    def news(self, faults: Faults) -> bytes:
        """
        An event for each system whose power state is another than last time; the first time, none.
        """
        service = self._service
        states = [power_state(service, machine, faults) for machine in service.machines]
        before, self._told = self._told or states, states
        changed = [index for index, state in enumerate(states) if state != before[index]]
        return b"".join(self._event(index, states[index]) for index in changed)

    def _event(self, index: int, state: str | None) -> bytes:
        self._last += 1
        path, number = self._service.system_path(index), str(self._last)
        happened = {
            "EventId": number,
            "EventType": "StatusChange",
            "EventTimestamp": datetime.fromtimestamp(self._service.clock.seconds(), UTC).isoformat(),
            "MemberId": "0",
            "MessageId": f"ResourceEvent.1.3.{_MESSAGES.get(state or '', 'ResourceChanged')}",
            "Message": f"The power state of {path} is {state}.",
            "MessageArgs": [path],
            "MessageSeverity": "OK",
            "OriginOfCondition": link(path),
        }
        event = {
            "@odata.type": "#Event.v1_7_0.Event",
            "Id": number,
            "Name": "Power has changed",
            "Events": [happened],
        }
        return f"id: {number}\ndata: {json.dumps(event)}\n\n".encode()
