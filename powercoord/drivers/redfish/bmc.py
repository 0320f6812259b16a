# SPDX-License-Identifier: MIT
"""
One Redfish service: logged in once, discovered once, spoken to in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from powercoord.drivers.redfish.complaint import Complaint
from powercoord.drivers.redfish.login import Login, has_no_sessions, refuses_password
from powercoord.drivers.redfish.resource import Root, parse
from powercoord.drivers.web import Answer, Ask, Exchange
from powercoord.errors import PowerAuthError, PowerError
from powercoord.interfaces import IOperation

ROOT = "/redfish/v1/"

#: How long a goodbye may take.
GOODBYE = 2.0


@frozen
class Errand:
    """
    One operation of the coordinator, and the time on the clock by which all of it has ended.
    """

    operation: IOperation
    until: float


@implementer(IOperation)
@define
class Quiet:
    """
    An operation that is no node's: the end of a session, the beginning of events. Nobody stops it.
    """

    deadline: float
    cancelled: bool = False

    def sending(self) -> None:
        """
        Never called: it changes no power.
        """

    def when_cancelled(self, callback: Any) -> None:
        """
        It is not.
        """


@define(eq=False)
class Bmc:
    """
    One service, and who we are there.

    :param turns: one operation at a time, so that nobody logs in twice.
    """

    clock: IReactorTime
    exchange: Exchange
    _username: str
    _password: str = field(repr=False)
    turns: DeferredLock = field(factory=DeferredLock, init=False)
    _login: Login | None = field(default=None, init=False)
    _root: Root | None = field(default=None, init=False)
    _identity: bool = field(default=True, init=False)
    _slashes: bool = field(default=False, init=False)

    @property
    def what(self) -> str:
        """
        Its name in errors.
        """
        return self.exchange.place.text

    async def ask(
        self,
        method: str,
        path: str,
        errand: Errand,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool = False,
    ) -> Answer:
        """
        Ask as somebody who is logged in; a session that has ended is renewed, once.

        :raises PowerAuthError: the password is refused.
        """
        for again in (False, True):
            login = await self._logged_in(errand)
            more = {**(headers or {}), **login.headers}
            answer = await self._ask(method, path, errand, body, more, changes=changes)
            if answer.status != 401:
                return answer
            self._login = None
            if again or not login.renewable:
                raise self._refused(answer)
        raise AssertionError("unreachable")

    async def get(self, path: str, errand: Errand) -> Mapping[str, Any]:
        """
        Read a resource.
        """
        answer = await self.ask("GET", path, errand)
        if answer.status != 200:
            raise self.refusal(answer, f"GET {path}")
        return parse(answer.body, f"{self.what}: GET {path}")

    async def root(self, errand: Errand) -> Root:
        """
        Where everything begins; it is readable without a login, or should be.
        """
        if self._root is None:
            answer = await self._ask("GET", ROOT, errand, None, {})
            if answer.status == 401:
                basic = Login.basic(self._username, self._password)
                answer = await self._ask("GET", ROOT, errand, None, basic.headers)
                if answer.status == 401:
                    raise self._refused(answer)
            if answer.status != 200:
                raise self.refusal(answer, f"GET {ROOT}")
            self._root = Root.of(parse(answer.body, f"{self.what}: GET {ROOT}"))
        return self._root

    def complaint(self, answer: Answer) -> Complaint:
        """
        What an answer says that is no yes.
        """
        return Complaint.of(answer, (self._password,))

    def refusal(self, answer: Answer, doing: str, *, sent: bool = False) -> PowerError:
        """
        The same, as an error.
        """
        return self.complaint(answer).error(f"{self.what}: {doing}", sent=sent)

    async def listen(self, path: str, until: float, heard: Callable[[bytes], None]) -> None:
        """
        Hear what a service says by itself, until it or we end it; with the login that there is.

        :param until: on the clock, when it must have begun.
        :raises PowerError: it does not.
        """
        headers = {**(self._login.headers if self._login else {}), "Accept": "text/event-stream"}
        answer = await self.exchange.stream(Ask(method="GET", path=path, headers=headers), until, heard)
        if answer.status != 200:
            raise self.refusal(answer, f"GET {path}")

    async def close(self) -> None:
        """
        Give the session and the sockets back.
        """
        login, self._login = self._login, None
        try:
            if login is not None and login.session:
                until = self.clock.seconds() + GOODBYE
                errand = Errand(Quiet(until), until)
                await self._ask("DELETE", login.session, errand, None, login.headers)
        except PowerError:
            pass  # It ends by itself, when the BMC has not heard of it for a while.
        finally:
            await self.exchange.close()

    async def _logged_in(self, errand: Errand) -> Login:
        if self._login is None:
            root = await self.root(errand)
            self._login = await self._open(root.sessions, errand) if root.sessions else None
            if self._login is None:
                self._login = Login.basic(self._username, self._password)
        return self._login

    async def _open(self, sessions: str, errand: Errand) -> Login | None:
        """
        Open a session; None if there are none to be had.
        """
        body = {"UserName": self._username, "Password": self._password}
        answer = await self._ask("POST", sessions, errand, body, {})
        if answer.status in (200, 201):
            return Login.answered(answer)
        complaint = self.complaint(answer)
        if refuses_password(complaint):
            raise self._refused(answer)
        if has_no_sessions(complaint):
            return None
        raise complaint.error(f"{self.what}: login")

    def _refused(self, answer: Answer) -> PowerAuthError:
        return PowerAuthError(
            f"{self.what}: refuses '{self._username}' with this password ({self.complaint(answer).words})"
        )

    async def _ask(
        self,
        method: str,
        path: str,
        errand: Errand,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        *,
        changes: bool = False,
    ) -> Answer:
        """
        Ask in the way that this service likes: some know a path only with a slash, some know no `identity`.
        """
        answer = await self._once(method, path, errand, body, headers, changes=changes)
        if answer.status == 406 and self._identity:
            self._identity = False
            answer = await self._once(method, path, errand, body, headers, changes=changes)
        if answer.status == 404 and not self._slashes and not path.endswith("/") and "?" not in path:
            slashed = await self._once(method, path + "/", errand, body, headers, changes=changes)
            if slashed.status != 404:
                self._slashes = True
                return slashed
        return answer

    async def _once(
        self,
        method: str,
        path: str,
        errand: Errand,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        *,
        changes: bool,
    ) -> Answer:
        every = {"Accept": "application/json", "OData-Version": "4.0", **headers}
        if self._identity:
            # Who compresses makes its ETags weak.
            every["Accept-Encoding"] = "identity"
        if body is not None:
            every["Content-Type"] = "application/json"
        if self._slashes and not path.endswith("/") and "?" not in path:
            path += "/"
        asked = Ask(
            method=method, path=path, headers=every, body=None if body is None else json.dumps(body).encode()
        )
        return await self.exchange.ask(asked, errand.operation, errand.until, changes=changes)
