# SPDX-License-Identifier: MIT
"""
Checking a configuration from a shell, and taking from it where to connect to.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from powercoord.cli.where import LOCAL, Where, client_endpoint, where
from powercoord.errors import ConfigError
from tests.test_cli_power import CommandCase

GOOD = (
    '[nodes."n[1-3]"]\ndriver = "paper"\naddress = "a[1-3]"\ngroups = ["g"]\n[groups.g]\nmax_starting = 1\n'
)
BAD = '[server]\nstate_dri = "/x"\n[nodes.n1]\ndriver = "torn"\n'


class CheckingTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = Path(self.mktemp())

    def test_good(self) -> None:
        """
        Of a good file its size is told.
        """
        self.file.write_text(GOOD)
        result = self.run_command("check-config", str(self.file))

        self.assertEqual(
            (0, f"{self.file}: no mistakes; 3 nodes, 1 group limit, 1 driver\n"),
            (result.exit_code, result.stdout),
        )
        self.assertEqual(0, self.session.runs)

    def test_bad(self) -> None:
        """
        Each mistake is a line on standard error that begins with file and line, for editors to jump to.
        """
        self.file.write_text(BAD)
        result = self.run_command("--config", str(self.file), "check-config")

        self.assertEqual(
            [
                f"{self.file}:2: server.state_dri: unknown key; did you mean 'state_dir'?",
                f"{self.file}:4: nodes.n1.driver: driver 'torn' is installed but does not work: it is torn",
            ],
            result.stderr.splitlines(),
        )
        self.assertEqual((2, ""), (result.exit_code, result.stdout))

    def test_warning(self) -> None:
        """
        A warning is shown, and is no failure.
        """
        self.file.write_text('[drivers.paper]\npassword = "inline"\n')
        result = self.run_command("check-config", str(self.file))

        self.assertEqual(0, result.exit_code)
        self.assertTrue(result.stderr.startswith(f"warning: {self.file}:2: drivers.paper.password: a secret"))

    def test_broken_driver(self) -> None:
        """
        A driver that does not work is named, also where no node is of its kind, and that is no failure.
        """
        self.file.write_text("")
        result = self.run_command("check-config", str(self.file))
        document = json.loads(self.run_command("check-config", "--json", str(self.file)).stdout)

        self.assertEqual(0, result.exit_code)
        self.assertEqual("warning: driver 'torn' is installed but does not work: it is torn\n", result.stderr)
        self.assertEqual({"torn": "it is torn"}, document["broken_drivers"])

    def test_json(self) -> None:
        """
        Programs get file, line and key apart.
        """
        self.file.write_text(BAD)
        result = self.run_command("check-config", "--json", str(self.file))
        document = json.loads(result.stdout)

        self.assertEqual((False, None, 2), (document["ok"], document["nodes"], result.exit_code))
        self.assertEqual(
            {
                "file": str(self.file),
                "line": 2,
                "column": None,
                "key": "server.state_dri",
                "text": "unknown key; did you mean 'state_dir'?",
            },
            document["mistakes"][0],
        )


class WhereTests(SynchronousTestCase):
    def configured(self, text: str) -> str:
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_nothing_said(self) -> None:
        """
        The local socket is meant where nothing else is said.
        """
        self.assertEqual(Where(LOCAL), where(None, None))

    def test_configuration(self) -> None:
        """
        A configuration tells the first endpoint that a client can use, and the secret.
        """
        path = self.configured('[server]\namp = ["systemd:domain=UNIX:index=0", "tcp:4000"]\nsecret = "s"')

        self.assertEqual(Where("tcp:127.0.0.1:4000", "s"), where(None, path))
        self.assertNotIn("'s'", repr(where(None, path)))

    def test_named_endpoint(self) -> None:
        """
        An endpoint that is named counts, with the secret of the configuration.
        """
        path = self.configured('[server]\nsecret = "s"')

        self.assertEqual(Where("tcp:h:1", "s"), where("tcp:h:1", path))
        self.assertEqual(Where("tcp:h:1"), where("tcp:h:1", None))

    def test_no_endpoint(self) -> None:
        """
        Where none can be used, that is told.
        """
        path = self.configured('[server]\namp = ["systemd:domain=UNIX:index=0"]')

        error = self.assertRaises(ConfigError, where, None, path)
        self.assertEqual(
            f"{path}: server.amp names no endpoint that can be connected to; use --connect", str(error)
        )

    def test_client_endpoints(self) -> None:
        """
        What listens can be reached from the same machine.
        """
        cases = {
            "unix:/run/x.sock:mode=660": "unix:/run/x.sock",
            "unix:address=/run/x.sock": "unix:/run/x.sock",
            r"unix:/run/a\:b:lockfile=0": r"unix:/run/a\:b",
            "tcp:4000": "tcp:127.0.0.1:4000",
            "tcp:4000:interface=0.0.0.0": "tcp:127.0.0.1:4000",
            "tcp:port=4000:interface=10.0.0.1": "tcp:10.0.0.1:4000",
            "tcp6:4000": r"tcp:\:\:1:4000",
            r"tcp6:4000:interface=fe80\:\:1": r"tcp:fe80\:\:1:4000",
            "ssl:4000:privateKey=x": None,
        }

        self.assertEqual(cases, {listening: client_endpoint(listening) for listening in cases})
