# SPDX-License-Identifier: MIT
"""
A Redfish service: a request goes in, an answer comes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from powercoord.sim.machine import Machine
from powercoord.sim.redfish.events import Events
from powercoord.sim.redfish.login import known
from powercoord.sim.redfish.messages import COMPLAINTS, complained, refused
from powercoord.sim.redfish.places import Method, find, places
from powercoord.sim.redfish.profile import ETags, Profile, Slash
from powercoord.sim.redfish.service import Call, Refused, Service
from powercoord.sim.redfish.sessions import Sessions
from powercoord.sim.redfish.tasks import Tasks
from powercoord.sim.web.bmc import WebBmc
from powercoord.sim.web.exchange import Answer, Ask, Framing
from powercoord.sim.web.faults import Faults

OTHER = "other"

#: What faults call requests.
REQUESTS = (
    *("root", "systems", "system", "reset", "boot", "settings", "action-info", "login", "logout", "session"),
    *("task", "events", "account", OTHER),
)


class RedfishBmc(WebBmc):
    """
    One BMC. What faults call its requests stands in `REQUESTS`.

    :param place: tells it from others.
    :param random_bytes: for tokens; seeded in tests.
    """

    def __init__(
        self,
        clock: IReactorTime,
        machines: Sequence[Machine],
        profile: Profile,
        place: str,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        super().__init__(clock, machines)
        self._place = place
        self._random_bytes = random_bytes
        self.restart(profile)

    def restart(self, profile: Profile) -> None:
        """
        Begin anew as another kind: sessions and tasks are gone, and the machines do not notice.
        """
        self.profile = profile
        self.sessions = Sessions(
            self._clock, self._random_bytes, profile.session_limit, profile.session_timeout
        )
        tasks = Tasks(self._clock, profile.task_lasts)
        self.service = Service(
            self._clock, self._place, profile, self.machines, self.record, self.sessions, tasks
        )
        self.events = Events(self.service)
        self._places = places(sessions=profile.sessions, events=profile.events)

    def check(self, faults: Faults) -> None:
        faults.check(REQUESTS, COMPLAINTS.__contains__)

    def name_of(self, ask: Ask) -> str:
        method, _ = self._find(ask)
        return OTHER if method is None else method.name

    def answer(self, ask: Ask, name: str, faults: Faults) -> Answer:
        complaint = faults.complaint(name)
        try:
            answer = self._answer(ask, faults) if complaint is None else complained(complaint)
        except Refused as refusal:
            answer = refusal.answer
        return self._finished(ask, answer)

    def refusal(self, ask: Ask, code: int) -> Answer:
        return self._finished(ask, refused(code, "GeneralError"))

    def news(self) -> bytes:
        return self.events.news(self.faults)

    def _find(self, ask: Ask) -> tuple[Method | None, tuple[str, ...]]:
        found = find(self._places, ask.path.rstrip("/"))
        if found is None:
            return None, ()
        method = "GET" if ask.method == "HEAD" else ask.method
        return found[0].methods.get(method), found[1]

    def _answer(self, ask: Ask, faults: Faults) -> Answer:
        self._check_form(ask)
        moved = self._moved(ask)
        if moved is not None:
            return moved
        method, words = self._find(ask)
        public = method is not None and method.public
        account = None if public else known(self.service, ask, faults)
        if account is None and not public:
            raise Refused(401, "NoValidSession")
        if method is None:
            missing = find(self._places, ask.path.rstrip("/")) is None
            raise (
                Refused(404, "ResourceMissingAtURI", ask.path)
                if missing
                else Refused(405, "OperationNotAllowed")
            )
        call = Call(self.service, ask, words, account, faults, partial(self._command, faults))
        self._check_etag(call)
        return method.do(call)

    def _command(self, faults: Faults, machine: int, asked: str, verb: str | None, code: int) -> None:
        self.command(machine, asked, verb, code, faults)

    def _check_form(self, ask: Ask) -> None:
        if ask.headers.get("odata-version", "4.0") != "4.0":
            raise Refused(412, "HeaderInvalid", "OData-Version")
        identity = ask.headers.get("accept-encoding", "").strip() == "identity"
        if identity and self.profile.identity:
            raise Refused(self.profile.identity, "HeaderInvalid", "Accept-Encoding")

    def _moved(self, ask: Ask) -> Answer | None:
        if self.profile.slash is Slash.EITHER or ask.path.endswith("/"):
            return None
        if self.profile.slash is Slash.REQUIRED:
            raise Refused(404, "ResourceMissingAtURI", ask.path)
        query = f"?{ask.query}" if ask.query else ""
        return Answer(code=308, headers=(("Location", f"{ask.path}/{query}"),))

    def _check_etag(self, call: Call) -> None:
        """
        :raises Refused: a change that is meant for another state than this one.
        """
        etags, sent = self.profile.etags, call.ask.headers.get("if-match")
        if call.ask.method != "PATCH" or etags is ETags.NONE:
            return
        if sent is None:
            if self.profile.if_match:
                raise Refused(428, "PreconditionRequired")
            return
        if sent == "*" and etags is not ETags.WEAK_TAKEN_NEVER:
            return
        current = self._tag(self._read(call))
        taken = {
            ETags.STRONG: {current},
            ETags.WEAK: {current, f"W/{current}"},
            ETags.WEAK_TAKEN_STRONG: {current},
        }.get(etags, set())
        if not taken & {each.strip() for each in sent.split(",")}:
            raise Refused(412, "PreconditionFailed")

    def _allowed(self, ask: Ask) -> str:
        found = find(self._places, ask.path.rstrip("/"))
        methods = () if found is None else tuple(found[0].methods)
        return ", ".join((*methods, "HEAD") if "GET" in methods else methods)

    def _read(self, call: Call) -> Answer:
        method, _ = self._find(evolve(call.ask, method="GET"))
        return Answer() if method is None else method.do(call)

    @staticmethod
    def _tag(answer: Answer) -> str:
        return f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'

    def _finished(self, ask: Ask, answer: Answer) -> Answer:
        """
        With the headers that every answer has.
        """
        headers = [*answer.headers, ("OData-Version", "4.0"), ("Cache-Control", "no-cache")]
        if answer.code == 401 and self.profile.basic:
            headers.append(("WWW-Authenticate", 'Basic realm="simulated BMC"'))
        if answer.code == 200 and answer.body and not answer.stream and self.profile.etags is not ETags.NONE:
            weak = "" if self.profile.etags is ETags.STRONG else "W/"
            headers.append(("ETag", weak + self._tag(answer)))
        if answer.code in (200, 405):
            headers.append(("Allow", self._allowed(ask)))
        framing = answer.framing if self.profile.lengths else Framing.CHUNKED
        return evolve(answer, headers=tuple(headers), framing=framing, close=self.profile.close)
