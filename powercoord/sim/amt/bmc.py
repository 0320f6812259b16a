# SPDX-License-Identifier: MIT
"""
The AMT of one machine: a request goes in, an answer comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import datetimeToString

from powercoord.sim.amt import instances
from powercoord.sim.amt.boot import BootChoice
from powercoord.sim.amt.digest import Guard, Verdict
from powercoord.sim.amt.envelope import ENUMERATION, FAULTS, TRANSFER, Envelope, Unreadable, Writer, instance
from powercoord.sim.amt.power import DEEP_SLEEP, HIBERNATE, ON, available, judge
from powercoord.sim.amt.profile import Profile
from powercoord.sim.machine import Machine
from powercoord.sim.web.bmc import WebBmc
from powercoord.sim.web.exchange import Answer, Ask, Framing
from powercoord.sim.web.faults import Faults

PATH = "/wsman"
FULL_POWER, SAVING_POWER = 2, 3

#: As recorded; every pull gets everything, so that none needs to be told from another.
_CONTEXT = "5E1A0000-0000-0000-0000-000000000000"

_SOAP = "application/soap+xml; charset=UTF-8"

#: What faults call a request, by action and class.
_NAMES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        **{
            (action, kind): "power"
            for action in ("Get", "Enumerate", "Pull")
            for kind in ("CIM_AssociatedPowerManagementService", "CIM_ServiceAvailableToElement")
        },
        ("RequestPowerStateChange", "CIM_PowerManagementService"): "request",
        ("ChangeBootOrder", "CIM_BootConfigSetting"): "boot-order",
        ("SetBootConfigRole", "CIM_BootService"): "boot-role",
        ("Get", "AMT_BootSettingData"): "boot-settings",
        ("Put", "AMT_BootSettingData"): "boot-settings-put",
        ("Get", "IPS_PowerManagementService"): "saving",
        ("RequestOSPowerSavingStateChange", "IPS_PowerManagementService"): "request-saving",
    }
)

#: What faults call requests; ``challenge`` is any without credentials.
REQUESTS = (*dict.fromkeys(_NAMES.values()), "challenge", "other")

_REFUSED = """<!DOCTYPE html>
<html><head><title>Intel&reg; Active Management Technology (simulated)</title></head>
<body><h2>Log on failed. Incorrect user name or password, or user account temporarily locked.</h2>
</body></html>
"""


class AmtBmc(WebBmc):
    """
    One AMT. What faults call its requests stands in `REQUESTS`.

    :ivar saving: OSPowerSavingState: 2 at full power, 3 in modern standby.
    :ivar asleep: the PowerState of a machine that was sent to sleep: 4, 7, or 0.
    :param random_bytes: for nonces; seeded in tests.
    """

    def __init__(
        self,
        clock: IReactorTime,
        machine: Machine,
        profile: Profile,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        super().__init__(clock, (machine,))
        self._random_bytes = random_bytes
        self._number = 0
        self.restart(profile)

    def restart(self, profile: Profile) -> None:
        """
        Begin anew as another kind: nonces, locks, the choice of boot are gone; the machine does not notice.
        """
        self.profile = profile
        self.guard = Guard(self._clock, profile, self._random_bytes)
        self.boot = BootChoice(self.machine)
        self.saving = FULL_POWER
        self.asleep = 0
        self._wrong = 0
        self._locked_until = 0.0

    @property
    def locked(self) -> bool:
        """
        Is nobody let in, because of wrong passwords?
        """
        return self._clock.seconds() < self._locked_until

    def unlock(self) -> None:
        """
        Let people in again.
        """
        self._wrong, self._locked_until = 0, 0.0

    def check(self, faults: Faults) -> None:
        faults.check(REQUESTS, lambda word: word in FAULTS or word.isdecimal())

    def name_of(self, ask: Ask) -> str:
        if "authorization" not in ask.headers:
            return "challenge"
        try:
            asked = Envelope.parse(ask.body)
        except Unreadable:
            return "other"
        return _NAMES.get((asked.action, asked.kind), "other")

    def answer(self, ask: Ask, name: str, faults: Faults) -> Answer:
        verdict = self._verdict(ask, faults)
        if verdict is not Verdict.RIGHT:
            return self._challenge(stale=verdict is Verdict.STALE)
        if ask.path != PATH:
            return self._page(404, "Not found")
        if ask.method != "POST":
            return self._page(405, "Method not allowed")
        try:
            asked = Envelope.parse(ask.body)
        except Unreadable:
            return self._fault("0", "SchemaValidationError")
        complaint = faults.complaint(name)
        if complaint is not None and complaint in FAULTS:
            return self._fault(asked.message_id, complaint)
        return self._carry_out(asked, faults, None if complaint is None else int(complaint))

    def refusal(self, ask: Ask, code: int) -> Answer:
        return self._page(code, "No")

    def _verdict(self, ask: Ask, faults: Faults) -> Verdict:
        password = faults.password or self.profile.password
        verdict = self.guard.judge(ask.method, ask.headers.get("authorization", ""), ask.body, password)
        if verdict is Verdict.WRONG:
            self.record.wrong_passwords += 1
            self._wrong += 1
            if self.profile.lock_after and self._wrong >= self.profile.lock_after:
                self._locked_until = self._clock.seconds() + self.profile.lock_lasts
                self._wrong = 0
        elif verdict is Verdict.RIGHT:
            self._wrong = 0
        return Verdict.WRONG if verdict is not Verdict.NONE and self.locked else verdict

    def _challenge(self, *, stale: bool) -> Answer:
        headers = (
            ("WWW-Authenticate", self.guard.challenge(stale)),
            ("Content-Type", "text/html"),
            ("Server", self._server),
        )
        return Answer(code=401, headers=headers, body=_REFUSED.encode(), close=self.profile.close_on_401)

    @property
    def _server(self) -> str:
        return f"Intel(R) Active Management Technology {self.profile.version}"

    def _carry_out(self, asked: Envelope, faults: Faults, complaint: int | None) -> Answer:
        match asked.action:
            case "Get" | "Enumerate" | "Pull":
                return self._read(asked, faults)
            case "Put" if asked.resource == instances.BOOT_SETTINGS:
                return self._get(asked, self.boot.put_settings(asked), "PutResponse")
            case _:
                value = self._call(asked, faults, complaint)
        if value is None:
            known = self._instances(asked, faults) is not None
            return self._fault(asked.message_id, "ActionNotSupported" if known else "DestinationUnreachable")
        output = instance("g", f"{asked.action}_OUTPUT", [("ReturnValue", str(value))])
        action = f"{asked.resource}/{asked.action}Response"
        return self._good(self._writer().answer(asked, action, output))

    def _call(self, asked: Envelope, faults: Faults, complaint: int | None) -> int | None:
        """
        The ReturnValue of a method; None: there is none of that name.
        """
        match _NAMES.get((asked.action, asked.kind)):
            case "request":
                return self._request(asked, faults, complaint)
            case "boot-order":
                return self.boot.change_order(asked) if complaint is None else complaint
            case "boot-role":
                return self.boot.set_role(asked) if complaint is None else complaint
            case "request-saving":
                return self._request_saving(asked) if complaint is None else complaint
            case _:
                return None

    def _request(self, asked: Envelope, faults: Faults, complaint: int | None) -> int:
        text = asked.value("PowerState") or ""
        wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
        value, verb = judge(self.machine, self.profile, self.asleep, wanted)
        if complaint is not None:
            value, verb = complaint, None
        self.command(0, text[:20], verb, value, faults)
        if verb is not None and not faults.stuck:
            self.asleep = wanted if wanted in (DEEP_SLEEP, HIBERNATE) else 0
        return value

    def _request_saving(self, asked: Envelope) -> int:
        wanted = asked.value("OSPowerSavingState")
        if wanted != str(FULL_POWER):
            return 5
        self.saving = FULL_POWER
        return 0

    def _read(self, asked: Envelope, faults: Faults) -> Answer:
        found = self._instances(asked, faults)
        if found is None:
            return self._fault(asked.message_id, "DestinationUnreachable")
        if asked.action == "Get":
            return self._get(asked, found[0], "GetResponse")
        body = f"<g:EnumerationContext>{_CONTEXT}</g:EnumerationContext>"
        body = f"<g:EnumerateResponse>{body}</g:EnumerateResponse>"
        if asked.action == "Pull":
            items = "".join(instance("h", asked.kind, each) for each in found)
            body = f"<g:PullResponse><g:Items>{items}</g:Items><g:EndOfSequence/></g:PullResponse>"
        action = f"{ENUMERATION}/{asked.action}Response"
        return self._good(self._writer().answer(asked, action, body, enumeration=True))

    def _get(self, asked: Envelope, members: instances.Instance, action: str) -> Answer:
        body = instance("g", asked.kind, members)
        return self._good(self._writer().answer(asked, f"{TRANSFER}/{action}", body))

    def _instances(self, asked: Envelope, faults: Faults) -> list[instances.Instance] | None:
        profile, resource = self.profile, asked.resource
        if resource in instances.POWER:
            self.machine.reads += asked.action != "Enumerate"
            return [instances.power(self._state(faults), available(self.machine, profile))]
        if resource == instances.SAVING:
            return [instances.saving(self.saving)]
        if resource == instances.BOOT_SETTINGS:
            return [self.boot.settings]
        if resource == instances.IDENTITY:
            return [
                [
                    ("InstanceID", "AMT"),
                    ("IsEntity", "true"),
                    ("VersionString", profile.version.rpartition(".")[0]),
                ]
            ]
        if resource == instances.GENERAL:
            return [[("DigestRealm", profile.realm), ("InstanceID", "Intel(r) AMT: General Settings")]]
        constant = instances.CONSTANT.get(resource)
        return None if constant is None else constant()

    def _state(self, faults: Faults) -> str:
        if not self.machine.power():
            self.asleep = 0
        on = str(self.asleep or ON) if self.machine.power() else str(self.profile.off_state)
        return faults.shows or on

    def _writer(self) -> Writer:
        self._number += 1
        return Writer(self._number)

    def _good(self, body: bytes, code: int = 200) -> Answer:
        headers = (
            ("Date", datetimeToString(self._clock.seconds()).decode()),
            ("Server", self._server),
            ("X-Frame-Options", "DENY"),
            ("Content-Type", _SOAP),
        )
        framing = Framing.CHUNKED_AMT if self.profile.chunked else Framing.LENGTH
        return Answer(code=code, headers=headers, body=body, framing=framing)

    def _fault(self, message_id: str, name: str) -> Answer:
        return self._good(self._writer().fault(message_id, name), 400)

    def _page(self, code: int, text: str) -> Answer:
        headers = (("Content-Type", "text/html"), ("Server", self._server))
        return Answer(code=code, headers=headers, body=f"<html><body>{text}</body></html>".encode())
