# SPDX-License-Identifier: MIT
"""
Every place of a service, what may be done there, and what that is called when it goes wrong on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import field, frozen

from powercoord.sim.redfish import accounts, documents
from powercoord.sim.redfish.login import log_in, log_out
from powercoord.sim.redfish.messages import document
from powercoord.sim.redfish.override import patch_settings, patch_system
from powercoord.sim.redfish.power import monitor, reset
from powercoord.sim.redfish.service import ROOT, Call, Refused
from powercoord.sim.web.exchange import Answer, Framing

Do = Callable[[Call], Answer]

_METADATA = b"""<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
 <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ServiceRoot_v1.xml">
  <edmx:Include Namespace="ServiceRoot"/>
  <edmx:Include Namespace="ServiceRoot.v1_14_0"/>
 </edmx:Reference>
 <edmx:DataServices>
  <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
   <EntityContainer Name="Service" Extends="ServiceRoot.v1_14_0.ServiceContainer"/>
  </Schema>
 </edmx:DataServices>
</edmx:Edmx>
"""

_WORD = r"([^/]+)"


@frozen
class Method:
    """
    What one HTTP method does at a place.

    :param name: what faults call it; :param public: nobody needs to log in for it.
    """

    name: str
    do: Do
    public: bool = False


@frozen
class Place:
    """
    A path, or many of one form.
    """

    pattern: re.Pattern[str]
    methods: Mapping[str, Method] = field(repr=False)


def place(path: str, **methods: Method) -> Place:
    """
    ``{}`` in the path is any word.
    """
    pattern = _WORD.join(re.escape(part) for part in path.split("{}"))
    return Place(re.compile(pattern), methods)


def read(name: str, make: Callable[[Call], documents.Json], public: bool = False) -> Method:
    """
    GET of a document.
    """
    return Method(name, lambda call: document(make(call)), public)


def _session(call: Call) -> documents.Json:
    held = call.service.sessions.get(call.words[0])
    if held is None:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    return documents.session(held)


def _task(call: Call) -> documents.Json:
    begun = call.service.tasks.by_number.get(call.words[0])
    if begun is None:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    return documents.task(call.service, begun)


def _settings(call: Call) -> documents.Json:
    index = call.system()
    if not call.service.profile.boot_settings:
        raise Refused(404, "ResourceMissingAtURI", call.ask.path)
    return documents.settings(call.service, index)


def _systems(call: Call) -> documents.Json:
    service = call.service
    paths = [service.system_path(index) for index in range(len(service.machines))]
    return documents.collection(f"{ROOT}/Systems", "ComputerSystemCollection", paths)


def _system(call: Call) -> documents.Json:
    index = call.system()
    call.service.machines[index].reads += 1
    return documents.system(call.service, index, call.faults)


def _sessions(call: Call) -> documents.Json:
    path = f"{ROOT}/SessionService/Sessions"
    paths = [f"{path}/{held.number}" for held in call.service.sessions]
    return documents.collection(path, "SessionCollection", paths)


def _tasks(call: Call) -> documents.Json:
    path = f"{ROOT}/TaskService/Tasks"
    paths = [f"{path}/{number}" for number in call.service.tasks.by_number]
    return documents.collection(path, "TaskCollection", paths)


def _listen(_: Call) -> Answer:
    kind = ("Content-Type", "text/event-stream")
    return Answer(headers=(kind,), framing=Framing.CHUNKED, stream=True, body=b": here\n\n")


def _metadata(_: Call) -> Answer:
    kind = ("Content-Type", "application/xml;charset=utf-8")
    return Answer(headers=(kind,), body=_METADATA)


_SESSIONS = (
    place(
        f"{ROOT}/SessionService", GET=read("session", lambda call: documents.session_service(call.service))
    ),
    place(
        f"{ROOT}/SessionService/Sessions",
        GET=read("session", _sessions),
        POST=Method("login", log_in, public=True),
    ),
    place(f"{ROOT}/SessionService/Sessions/Members", POST=Method("login", log_in, public=True)),
    place(
        f"{ROOT}/SessionService/Sessions/{{}}",
        GET=read("session", _session),
        DELETE=Method("logout", log_out),
    ),
)

_ACCOUNTS = (
    place(f"{ROOT}/AccountService", GET=read("account", lambda call: accounts.service(call.service))),
    place(f"{ROOT}/AccountService/Accounts", GET=read("account", lambda call: accounts.listed(call.service))),
    place(
        f"{ROOT}/AccountService/Accounts/{{}}",
        GET=read("account", lambda call: accounts.account(call.service, call.words[0])),
    ),
    place(f"{ROOT}/AccountService/Roles", GET=read("account", lambda _: accounts.roles())),
    place(
        f"{ROOT}/AccountService/Roles/{{}}",
        GET=read("account", lambda call: accounts.role(call.words[0])),
    ),
)

_EVENTS = (
    place(f"{ROOT}/EventService", GET=read("events", lambda _: documents.event_service())),
    place(f"{ROOT}/EventService/SSE", GET=Method("events", _listen)),
)

_ALWAYS = (
    place("/redfish", GET=read("root", lambda _: {"v1": f"{ROOT}/"}, public=True)),
    place(ROOT, GET=read("root", lambda call: documents.root(call.service), public=True)),
    place(f"{ROOT}/odata", GET=read("root", lambda call: documents.odata(call.service), public=True)),
    place(f"{ROOT}/$metadata", GET=Method("root", _metadata, public=True)),
    place(f"{ROOT}/Systems", GET=read("systems", _systems)),
    place(f"{ROOT}/Systems/{{}}", GET=read("system", _system), PATCH=Method("boot", patch_system)),
    place(
        f"{ROOT}/Systems/{{}}/Settings",
        GET=read("settings", _settings),
        PATCH=Method("boot", patch_settings),
    ),
    place(
        f"{ROOT}/Systems/{{}}/ResetActionInfo",
        GET=read("action-info", lambda call: documents.action_info(call.service, call.system())),
    ),
    place(f"{ROOT}/Systems/{{}}/Actions/ComputerSystem.Reset", POST=Method("reset", reset)),
    place(f"{ROOT}/TaskService", GET=read("task", lambda _: documents.task_service())),
    place(f"{ROOT}/TaskService/Tasks", GET=read("task", _tasks)),
    place(f"{ROOT}/TaskService/Tasks/{{}}", GET=read("task", _task)),
    place(f"{ROOT}/TaskService/TaskMonitors/{{}}", GET=Method("task", monitor)),
)


def places(*, sessions: bool, events: bool) -> tuple[Place, ...]:
    """
    Those that a service has.
    """
    return _ALWAYS + _ACCOUNTS + _SESSIONS * sessions + _EVENTS * events


def find(known: tuple[Place, ...], path: str) -> tuple[Place, tuple[str, ...]] | None:
    """
    The place of a path, and the variable words in it.
    """
    for each in known:
        matched = each.pattern.fullmatch(path)
        if matched is not None:
            return each, matched.groups()
    return None
