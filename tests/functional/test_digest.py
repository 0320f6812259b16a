# SPDX-License-Identifier: MIT
"""
HTTP digest against httpbin, whose digest was not written here.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from itertools import product
from typing import Any
from uuid import uuid4

from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import Agent, CookieAgent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from powercoord.drivers.web.digest import ChallengeUnsupported, CredentialsRefused, Digest
from tests.functional.httpbin_peer import MISSING, Httpbin

reactor: Any = global_reactor


class HttpbinTests(TestCase):
    """
    Several requests of one `Digest` for each form of challenge that httpbin knows.
    """

    timeout = 60

    async def setUp(self) -> None:
        if MISSING:
            raise SkipTest(MISSING)
        self.server = Httpbin(reactor)
        self.addCleanup(self.server.stop)
        await self.server.start()
        self.pool = HTTPConnectionPool(reactor, persistent=False)
        self.addCleanup(self.pool.closeCachedConnections)

    def agent(self) -> CookieAgent:
        """
        With a memory: httpbin keeps in cookies which nonces it gave.
        """
        return CookieAgent(Agent(reactor, pool=self.pool), CookieJar())

    async def get(self, agent: CookieAgent, digest: Digest, path: str) -> list[int]:
        """
        One request, and the status of each time that it was sent.
        """
        attempt = digest.attempt("GET", path)
        statuses = []
        while True:
            authorization = attempt.authorization()
            headers = Headers({} if authorization is None else {"Authorization": [authorization]})
            uri = f"http://127.0.0.1:{self.server.port}{path}".encode()
            response: Any = await agent.request(b"GET", uri, headers)
            await readBody(response)
            statuses.append(response.code)
            if response.code != 401:
                attempt.accepted()
                return statuses
            attempt.challenged(response.headers.getRawHeaders("WWW-Authenticate", []))

    async def test_forms(self) -> None:
        """
        Every algorithm and qop is accepted, with one challenge for all requests or for as many as are due.
        """
        for qop, algorithm, (stale, expected) in product(
            ("auth", "any"),
            ("MD5", "SHA-256", "SHA-512"),
            (("never", [[401, 200], [200], [200], [200]]), ("2", [[401, 200], [200], [401, 200], [200]])),
        ):
            agent, digest = self.agent(), Digest("user", "pass-word", lambda: uuid4().hex)
            path = f"/digest-auth/{qop}/user/pass-word/{algorithm}/{stale}"
            statuses = [await self.get(agent, digest, path) for _ in expected]
            self.assertEqual(expected, statuses, path)

    async def test_auth_int(self) -> None:
        """
        A server that wants the body hashed, too, is told no, and no credentials leave.
        """
        try:
            await self.get(self.agent(), Digest("user", "x", lambda: "c"), "/digest-auth/auth-int/user/x/MD5")
        except ChallengeUnsupported as error:
            self.assertIn("auth-int", str(error))
        else:
            self.fail("auth-int was accepted")

    async def test_wrong_password(self) -> None:
        """
        A wrong password leaves once.
        """
        digest = Digest("user", "wrong", lambda: "c")
        with self.assertRaises(CredentialsRefused):
            await self.get(self.agent(), digest, "/digest-auth/auth/user/right/SHA-256")
