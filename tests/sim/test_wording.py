# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.sim.wording` and `powercoord.sim.starting`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.sim import starting
from powercoord.sim.__main__ import with_kind
from powercoord.sim.amt.bmc import REQUESTS as AMT_REQUESTS
from powercoord.sim.amt.envelope import FAULTS
from powercoord.sim.amt.profile import Profile as AmtProfile
from powercoord.sim.faults import Faults as IpmiFaults
from powercoord.sim.machine import Latency
from powercoord.sim.profile import Profile as IpmiProfile
from powercoord.sim.redfish.bmc import REQUESTS as REDFISH_REQUESTS
from powercoord.sim.redfish.messages import COMPLAINTS
from powercoord.sim.redfish.profile import ETags, Profile
from powercoord.sim.starting import arguments
from powercoord.sim.web.faults import HEALTHY, Faults
from powercoord.sim.wording import fields_of, settled


class SettledTests(SynchronousTestCase):
    def test_kinds_of_values(self) -> None:
        """
        Each kind of field is read from words.
        """
        for words, wanted in (
            ((), HEALTHY),
            (("dead",), Faults(dead=True)),
            (("dead=no",), HEALTHY),
            (("delay=2.5", "slow=reset"), Faults(delay=2.5, slow=frozenset(["reset"]))),
            (("mute=reset,boot",), Faults(mute=frozenset(["reset", "boot"]))),
            (("refuse=reset:503,*:0x1f4",), Faults(refuse={"reset": 503, "*": 500})),
            (("complain=reset:SYS518",), Faults(complain={"reset": "SYS518"})),
            (("shows=Unknown",), Faults(shows="Unknown")),
        ):
            self.assertEqual(wanted, settled(HEALTHY, words))
        changed = settled(Profile(), ["etags=weak", "reset_code=202", "reset_types=On,ForceOff"])
        self.assertEqual(
            (ETags.WEAK, 202, ("On", "ForceOff")), (changed.etags, changed.reset_code, changed.reset_types)
        )
        self.assertEqual((3, 17), settled(IpmiProfile(suites=(3,)), ["suites=3,17"]).suites)

    def test_mistakes(self) -> None:
        """
        A mistake is named, with what would be right.
        """
        for words, text in (
            ("dedd", "unknown 'dedd'; did you mean 'dead'?"),
            ("xyzzy", "unknown 'xyzzy'; there are closed, complain, dead"),
            ("dead=perhaps", "dead: true or false, not 'perhaps'"),
            ("delay=soon", "delay: a number, not 'soon'"),
            ("delay=-1", "a delay is not negative, as -1.0 is"),
            ("refuse=reset", "refuse: request:answer, not 'reset'"),
            ("refuse=reset:no", "refuse: a whole number, not 'no'"),
        ):
            error = self.assertRaises(ValueError, settled, HEALTHY, [words])
            self.assertIn(text, str(error))

    def test_no_passwords(self) -> None:
        """
        No password can be given in a word of the command line.
        """
        for kind in (Faults, IpmiFaults, Profile, AmtProfile, IpmiProfile):
            self.assertEqual(set(), {"password", "accounts", "users", "kg"} & set(fields_of(kind)))


class StartingTests(SynchronousTestCase):
    def test_fleets(self) -> None:
        """
        Each kind of fleet is as the options say.
        """
        common = ["--nodes", "3", "--powered", "--on-latency", "2", "--soft-latency", "-1", "--seed", "7"]
        for kind, more in (
            ("ipmi", "--fault dead@2"),
            ("redfish", "--fault dead@2 --http --systems 2"),
            ("amt", "--fault dead@2"),
        ):
            options = arguments([kind, *common, *more.split()])
            fleet = starting.KINDS[kind][0](options, Clock())
            machine = fleet.bmcs[0].machine
            self.assertEqual([False, True, False], [each.faults.dead for each in fleet.bmcs])
            self.assertEqual((True, Latency(on=2.0, soft=None)), (machine.power(), machine.latency))

    def test_old_word(self) -> None:
        """
        The module takes the words of old: no kind is IPMI, and ``--bmcs`` are nodes.
        """
        self.assertEqual(["ipmi", "--bmcs", "3"], with_kind(["--bmcs", "3"]))
        self.assertEqual((["amt"], ["-h"], ["ipmi"]), (with_kind(["amt"]), with_kind(["-h"]), with_kind([])))
        self.assertEqual(3, arguments(["ipmi", "--bmcs", "3"]).nodes)

    def test_password(self) -> None:
        """
        The password is from a file, or the environment, or the one that everybody knows.
        """
        file = Path(self.mktemp())
        file.write_text("from file\n")
        self.assertEqual("secret", starting.password(arguments(["amt"]), {}))
        self.assertEqual(
            "from there", starting.password(arguments(["amt"]), {starting.VARIABLE: "from there"})
        )
        options = arguments(["amt", "--password-file", str(file)])
        self.assertEqual("from file", starting.password(options, {starting.VARIABLE: "from there"}))

    def test_mistakes(self) -> None:
        """
        What cannot be is refused with one line.
        """
        empty = Path(self.mktemp())
        empty.write_text("\n")
        for words, text in (
            ("redfish --fault mute=rest", "no request is called 'rest'; there are root, systems"),
            ("redfish --fault dead@200", "--fault: '200' is not from 1 to 100"),
            ("redfish --fault dead@3-2", "--fault: '3-2' is not from 1 to 100"),
            ("redfish --fault dead@x", "--fault: after @ stand numbers, as in @1-5,8; not 'x'"),
            ("redfish --quirk etags=bent", "etags: 'bent' is none of none, strong, weak"),
            ("amt --fault complain=request:no", "there is no complaint 'no'"),
            ("amt --password-file /nonexistent", "--password-file: cannot read '/nonexistent'"),
            (f"amt --password-file {empty}", "is empty"),
            ("amt --tls --certificate-file /nonexistent/file", "--certificate-file: "),
            ("ipmi --fault ded", "unknown 'ded'; did you mean 'dead'?"),
            ("ipmi --nodes 0", "a fleet has at least one BMC, not 0"),
        ):
            options = arguments(words.split())
            error = self.assertRaises(ValueError, starting.KINDS[options.kind][0], options, Clock())
            self.assertIn(text, str(error))
            self.assertNotIn("\n", str(error))

    def test_help_is_quick(self) -> None:
        """
        Help does not wait for Twisted to be imported.
        """
        program = (
            "import sys\n"
            "from powercoord.sim.starting import arguments\n"
            "try: arguments(['redfish', '--help'])\n"
            "except SystemExit: print([name for name in sys.modules if name.startswith('twisted')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
        )

        self.assertIn("--certificate-file", done.stdout)
        self.assertEqual("[]", done.stdout.splitlines()[-1])


class PageTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """
        The page for third parties has every fault, quirk, request and complaint.
        """
        page = (Path(starting.__file__).parents[2] / "docs" / "simulators.md").read_text()
        words = {*fields_of(Faults), *fields_of(Profile), *fields_of(AmtProfile), *COMPLAINTS, *FAULTS}
        words |= {*fields_of(IpmiFaults), *fields_of(IpmiProfile)}
        words |= {*REDFISH_REQUESTS, *AMT_REQUESTS, starting.VARIABLE}

        self.assertEqual(
            [], [word for word in sorted(words) if not re.search(rf"`{re.escape(word)}[`=]", page)]
        )
