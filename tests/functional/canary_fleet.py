# SPDX-License-Identifier: MIT
"""
One node after the other of every driver, with passwords that are known by sight, and what they speak to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from attrs import define, field
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from powercoord.sim.amt.fleet import AmtFleet
from powercoord.sim.amt.profile import Profile as AmtProfile
from powercoord.sim.fleet import SimulatedFleet
from powercoord.sim.profile import Profile, User
from powercoord.sim.redfish.fleet import RedfishFleet
from powercoord.sim.redfish.profile import Profile as RedfishProfile
from powercoord.sim.redfish.profile import accounts_with
from tests.functional.canaries import Canaries
from tests.functional.web_server import Peer

reactor: Any = global_reactor

# Nobody listens there.
NOBODY = "127.79.200.1"

# For each driver: nodes whose names begin with it.
NODES: Mapping[str, str] = {
    "ipmi": """
[nodes.ipmi-right]
driver = "ipmi"
address = "{ipmi}"
username = "admin"
password = "{right}"

[nodes.ipmi-wrong]
driver = "ipmi"
address = "{other_ipmi}"
username = "admin"
password = {{ file = "{ipmi_wrong}" }}

[nodes.ipmi-dead]
driver = "ipmi"
address = "{nobody}:9"
password = {{ file = "{ipmi_dead}" }}
k_g = {{ file = "{ipmi_key}" }}
timeout = 1
""",
    "amt": """
[nodes.amt-right]
driver = "amt"
address = "{amt}"
port = {amt_port}
tls = "off"
password = "{right}"

[nodes.amt-wrong]
driver = "amt"
address = "{other_amt}"
port = {amt_port}
tls = "off"
password = {{ file = "{amt_wrong}" }}

[nodes.amt-dead]
driver = "amt"
address = "{nobody}"
password = {{ file = "{amt_dead}" }}
timeout = 1
""",
    "redfish": """
[nodes.redfish-right]
driver = "redfish"
address = "{redfish}"
username = "admin"
password = "{right}"
pin = "{redfish_pin}"

[nodes.redfish-wrong]
driver = "redfish"
address = "{other_redfish}"
username = "admin"
password = {{ file = "{redfish_wrong}" }}
pin = "{redfish_pin}"

[nodes.redfish-dead]
driver = "redfish"
address = "https://{nobody}:13"
username = "admin"
password = {{ file = "{redfish_dead}" }}
timeout = 1
""",
    "ipmitool": """
[nodes.ipmitool-right]
driver = "ipmitool"
address = "{third_ipmi}"
username = "admin"
password = "{right}"
cipher_suite = 17
timeout = 3

[nodes.ipmitool-wrong]
driver = "ipmitool"
address = "{fourth_ipmi}"
username = "admin"
password = {{ file = "{ipmitool_wrong}" }}
k_g = {{ file = "{ipmitool_key}" }}
cipher_suite = 17
timeout = 3

[nodes.ipmitool-dead]
driver = "ipmitool"
address = "{nobody}:12"
password = {{ file = "{ipmitool_dead}" }}
timeout = 2
""",
    "virsh": """
[nodes.virsh-closed]
driver = "virsh"
transport = "ssh"
address = "{nobody}:9"
username = "root"
identity_file = "{folder}/{ssh_key}"
domain = "d"
timeout = 2

[nodes.virsh-shell]
driver = "virsh"
transport = "ssh"
address = "{nobody}:9"
username = "root"
identity_file = "{folder}/{ssh_key}"
domain = "e"
through_virsh = true
timeout = 2
""",
    "fence-agent": """
[nodes.fence-right]
driver = "fence-agent"
agent = "careful"
folder = "{folder}/agents"
address = "127.79.200.3"
username = "admin"
password = "{right}"
options = {{ token = {{ file = "{fence_token}" }} }}
timeout = 4

[nodes.fence-telling]
driver = "fence-agent"
agent = "telling"
folder = "{folder}/agents"
address = "127.79.200.2"
password = {{ file = "{fence_wrong}" }}
options = {{ token = {{ file = "{fence_other_token}" }} }}
timeout = 4

[nodes.fence-redfish]
driver = "fence-agent"
agent = "redfish"
address = "{third_redfish}"
username = "admin"
password = {{ file = "{fence_redfish}" }}
options = {{ ipport = {redfish_port}, ssl_insecure = true, systems_uri = "/redfish/v1/Systems/1" }}
timeout = 4

[nodes.fence-dead]
driver = "fence-agent"
agent = "redfish"
address = "127.79.200.4"
username = "admin"
password = {{ file = "{fence_dead}" }}
options = {{ ipport = 9, ssl_insecure = true, systems_uri = "/redfish/v1/Systems/1" }}
timeout = 4
""",
    "webhook": "".join(
        f"""
[nodes.webhook-{name}]
driver = "webhook"
power_on_uri = "{place}/on"
power_off_uri = "{place}/off"
power_query_uri = "{place}/status"
node_id = "{name}"
timeout = 1
{secrets}
"""
        for name, place, secrets in (
            ("right", "{webhook}", 'username = "admin"\npassword = "{right}"'),
            ("wrong", "{other_webhook}", 'username = "admin"\npassword = {{ file = "{webhook_wrong}" }}'),
            ("token", "{other_webhook}", 'token = {{ file = "{webhook_token}" }}'),
            ("dead", "http://{nobody}:17", 'token = {{ file = "{webhook_dead}" }}'),
        )
    ),
    "manual": """
[nodes.manual]
driver = "manual"
place = "rack 4, unit 12"
timing = {{ action = "3s", soft = "1s", force = "2s" }}
""",
}

# As a region describes nodes that are not configured.
CONTEXTS: Mapping[str, Mapping[str, str]] = {
    "ipmi": {"power_address": f"{NOBODY}:10", "power_user": "admin", "power_pass": "*", "k_g": "*"},
    "amt": {"power_address": NOBODY, "power_user": "admin", "power_pass": "*"},
    "redfish": {"power_address": f"https://{NOBODY}:14", "power_user": "admin", "power_pass": "*"},
    "ipmitool": {"power_address": f"{NOBODY}:11", "power_user": "admin", "power_pass": "*", "k_g": "*"},
    "virsh": {"power_address": f"qemu+ssh://root@{NOBODY}:18/system", "power_id": "d", "power_pass": "*"},
    "fence-agent": {
        "fence_agent": "redfish",
        "power_address": NOBODY,
        "power_user": "admin",
        "power_pass": "*",
        "fence_options": "ipport=15",
    },
    "webhook": {
        **{f"power_{what}_uri": f"http://{NOBODY}:16/{what}" for what in ("on", "off", "query")},
        "power_token": "*",
        "system_id": "h",
    },
    "manual": {"place": "rack 9", "power_pass": "*"},
}

# Two agents that keep what they are told out of their arguments; the second tells it to whoever started it.
AGENT = """\
    #!/bin/sh
    asked=$(cat)
    case "$asked" in
    *action=metadata*)
        echo '<resource-agent name="x"><parameters>'
        for name in ip username password token; do
            echo "<parameter name='$name'><content type='string'/></parameter>"
        done
        echo '</parameters><actions>'
        for name in on off reboot status; do echo "<action name='$name'/>"; done
        echo '</actions></resource-agent>'
        exit 0 ;;
    esac
    ACTION
"""
ACTIONS = {
    "careful": 'case "$asked" in *action=status*) exit 2;; esac; exit 0',
    "telling": "echo $asked; echo $asked >&2; exit 1",
}


@define(eq=False)
class Machine(Resource):
    """
    What stands behind a webhook: on or off, for who says the password.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    password: str = field(repr=False)
    on: bool = False
    refused: int = 0

    def __attrs_post_init__(self) -> None:
        Resource.__init__(self)

    def render(self, request: Request) -> bytes:
        if request.getPassword() != self.password.encode():
            self.refused += 1
            request.setResponseCode(401)
            return b"not so: " + (request.getHeader("Authorization") or "").encode()
        if request.method == b"POST":
            self.on = request.path == b"/on"
        return b"status: running" if self.on else b"status: stopped"


@define(eq=False)
class CanaryFleet:
    """
    All that the nodes speak to.

    :param folder: where passwords and agents are kept.
    :param add_cleanup: the test's own.
    """

    canaries: Canaries
    folder: Path
    add_cleanup: Callable[..., object]
    amt: AmtFleet = field(init=False)
    redfish: RedfishFleet = field(init=False)
    ipmi: SimulatedFleet = field(init=False)
    machine: Machine = field(init=False)
    other: Machine = field(init=False)

    def configured(self, head: str) -> str:
        """
        The text of a configuration with all drivers.
        """
        right = self.canaries.new("right")
        text = head + "".join(NODES.values())
        places = {
            "nobody": NOBODY,
            "folder": self.folder,
            "right": right,
            "server": self.kept("server"),
            **self.ipmis(right),
            **self.amts(right),
            **self.redfishes(right),
            **self.webhooks(right),
            **{name: self.kept(name) for name in FILES},
        }
        self.agents()
        return text.format(**places)

    def kept(self, name: str) -> str:
        """
        A new password in a file of its own; the file's name.
        """
        path = self.folder / f"{name}.secret"
        path.touch(0o600)
        path.write_text(f"{self.canaries.new(name)}\n")
        return path.name

    def ipmis(self, right: str) -> Mapping[str, object]:
        user = User(b"admin", right.encode())
        self.ipmi = SimulatedFleet(
            reactor, 4, base="127.79.201.1", port=0, profile=Profile(users=(user,), slots=50)
        )
        self.started(self.ipmi)
        names = ("ipmi", "other_ipmi", "third_ipmi", "fourth_ipmi")
        bmcs = [f"{bmc.address}:{self.ipmi.port}" for bmc in self.ipmi.bmcs]
        return dict(zip(names, bmcs, strict=True))

    def amts(self, right: str) -> Mapping[str, object]:
        self.amt = AmtFleet(reactor, 2, base="127.79.202.1", port=0, profile=AmtProfile(password=right))
        self.started(self.amt)
        first, second = self.amt.bmcs
        return {"amt": first.address, "other_amt": second.address, "amt_port": self.amt.port}

    def redfishes(self, right: str) -> Mapping[str, object]:
        profile = RedfishProfile(accounts=accounts_with(right))
        self.redfish = RedfishFleet(reactor, 3, base="127.79.203.1", port=0, profile=profile)
        self.started(self.redfish)
        first, second, third = self.redfish.bmcs
        return {
            "redfish": first.url,
            "other_redfish": second.url,
            "third_redfish": third.address,
            "redfish_port": self.redfish.port,
            "redfish_pin": self.redfish.certificate.fingerprint,
        }

    def webhooks(self, right: str) -> Mapping[str, object]:
        self.machine, self.other = Machine(right), Machine(right)
        places = {"webhook": self.machine, "other_webhook": self.other}
        return {name: f"http://127.0.0.1:{self.served(machine)}" for name, machine in places.items()}

    def served(self, machine: Machine) -> int:
        peer = Peer()
        peer.listen(Site(machine))
        self.add_cleanup(lambda: Deferred.fromCoroutine(peer.close()))
        return peer.number

    def agents(self) -> None:
        folder = self.folder / "agents"
        folder.mkdir()
        for name, action in ACTIONS.items():
            path = folder / f"fence_{name}"
            path.write_text(dedent(AGENT).replace("ACTION", action))
            path.chmod(0o755)

    def started(self, service: Any) -> None:
        service.startService()
        self.add_cleanup(service.stopService)


#: Passwords that stand in files.
FILES = (
    *("ipmi_wrong", "ipmi_dead", "ipmi_key", "amt_wrong", "amt_dead", "redfish_wrong", "redfish_dead"),
    *("ipmitool_wrong", "ipmitool_key", "ipmitool_dead", "ssh_key", "fence_token", "fence_wrong"),
    *("fence_other_token", "fence_redfish", "fence_dead", "webhook_wrong", "webhook_token", "webhook_dead"),
)
