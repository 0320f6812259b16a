# SPDX-License-Identifier: MIT
"""
What is shipped beside the code: metadata, news, the unit file and the sample configuration.
"""

import ast
import re
import sys
import tomllib
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from typing import Any, ClassVar

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from powercoord.config import SecretFile, Surroundings, parse
from powercoord.installed import find_drivers
from tests.sources import ROOT, Source, sources

SAMPLE = ROOT / "contrib/powercoord.toml"


def setup_cfg() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string((ROOT / "setup.cfg").read_text(encoding="utf-8"))
    return parser


def sample() -> dict[str, Any]:
    return tomllib.loads(SAMPLE.read_text(encoding="utf-8"))


def unit_file() -> dict[str, str]:
    """
    Read the unit's settings; of one that stands there twice, the last.
    """
    text = (ROOT / "packaging/systemd/powercoord.service").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


class PluginTests(SynchronousTestCase):
    def test_plugin_is_light(self) -> None:
        """
        The plugin file, which every Twisted program reads, imports ServiceMaker and nothing else.
        """
        plugin = Source.from_file(ROOT / "twisted/plugins/powercoord_plugin.py")

        self.assertEqual(
            ["twisted.application.service.ServiceMaker"], [found.target for found in plugin.imports()]
        )

    def test_plugin_is_short(self) -> None:
        """
        The plugin file is a docstring, an import and one assignment.
        """
        plugin = Source.from_file(ROOT / "twisted/plugins/powercoord_plugin.py")

        self.assertEqual([ast.Expr, ast.ImportFrom, ast.Assign], [type(node) for node in plugin.tree.body])

    def test_twisted_stays_whole(self) -> None:
        """
        No folder of ours below twisted is a package, because it would replace Twisted's own.
        """
        self.assertEqual([], list((ROOT / "twisted").rglob("__init__.py")))


class MetadataTests(SynchronousTestCase):
    def test_editable_finds_the_plugin(self) -> None:
        """
        The packages lie where a plain path entry reaches them, so that editable installs keep the plugin.
        """
        options = setup_cfg()["options"]

        self.assertEqual(("= .", "find_namespace:"), (options["package_dir"].strip(), options["packages"]))

    def test_entry_points_name_modules(self) -> None:
        """
        An entry point names a module that exists.
        """
        section = setup_cfg()["options.entry_points"]
        targets = re.findall(r"=\s*([\w.]+):\w+", section["console_scripts"] + section["powercoord.drivers"])
        paths = [ROOT.joinpath(*target.split(".")) for target in targets]
        missing = [
            str(path.relative_to(ROOT))
            for path in paths
            if not (path / "__init__.py").is_file() and not path.with_suffix(".py").is_file()
        ]

        self.assertTrue(targets)
        self.assertEqual([], missing)


class DependencyTests(SynchronousTestCase):
    """
    What is installed with us, and with our tests.
    """

    #: Twisted's extra `tls` is there for them.
    BROUGHT_BY_TWISTED: ClassVar[set[str]] = {"OpenSSL", "service_identity"}

    def requirements(self, text: str) -> list[str]:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return [re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower() for line in lines]

    def imported(self, folder: str) -> set[str]:
        names = {found.target.split(".")[0] for each in sources(folder) for found in each.imports()}
        return names - set(sys.stdlib_module_names) - {"powercoord"}

    def test_used(self) -> None:
        """
        What is required is imported, and what is imported is required, not brought by something else.
        """
        required = set(map(normalised, self.requirements(setup_cfg()["options"]["install_requires"])))
        brought = packages_distributions()
        # Several distributions may share a name space, such as zope.
        by = {
            module: set(map(normalised, brought[module]))
            for module in self.imported("powercoord") - self.BROUGHT_BY_TWISTED
        }

        self.assertEqual([], sorted(module for module, names in by.items() if not names & required))
        self.assertEqual([], sorted(required.difference(*by.values())))

    def test_once(self) -> None:
        """
        Nothing is required twice, and everything has at least a lower bound.
        """
        parser = setup_cfg()
        extras = parser["options.extras_require"]
        for name, text in [("", parser["options"]["install_requires"]), *extras.items()]:
            found = self.requirements(text)
            self.assertEqual(sorted(set(found)), sorted(found), name)
            bounds = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
            self.assertEqual([], [line for line in bounds if ">=" not in line], name)


def normalised(name: str) -> str:
    """
    A distribution's name, as all ways to write it are compared.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


class NewsTests(SynchronousTestCase):
    def test_fragments(self) -> None:
        """
        Every fragment of news has a name of which towncrier makes an entry; it drops the others in silence.
        """
        config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
        kinds = "|".join(kind["directory"] for kind in config["type"])
        wrong = [
            path.name
            for path in (ROOT / config["directory"]).iterdir()
            if path.name != "README.md" and not re.fullmatch(rf"(\+[\w-]+|\d+)\.({kinds})\.rst", path.name)
        ]

        self.assertEqual([], wrong)


class SampleTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        """
        The sample configuration is accepted as it stands, and makes the eighty nodes that it names.
        """
        found = find_drivers(MemoryReactorClock())
        around = Surroundings(lambda _: SecretFile("secret"), {})
        parsed = parse(SAMPLE.read_text(encoding="utf-8"), SAMPLE.name, found.drivers, around, found.broken)

        self.assertEqual([], [str(each) for each in (*parsed.mistakes, *parsed.warnings)])
        self.assertEqual(80, len(parsed.value().nodes))


class UnitFileTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """
        The unit makes the folders that the sample configuration names, and reads that configuration.
        """
        unit, server = unit_file(), sample()["server"]

        self.assertEqual(server["state_dir"], f"/var/lib/{unit['StateDirectory']}")
        self.assertIn(f"/run/{unit['RuntimeDirectory']}/", server["amp"][0])
        self.assertIn(f"/etc/{unit['ConfigurationDirectory']}/powercoord.toml", unit["ExecStart"])

    def test_stop_is_waited_for(self) -> None:
        """
        systemd waits longer for the stop than the coordinator waits for what is in play.
        """
        grace = str(sample()["server"]["graceful_shutdown_timeout"])

        self.assertGreaterEqual(int(unit_file()["TimeoutStopSec"]), int(grace.removesuffix("s")) + 10)

    def test_children_may_finish(self) -> None:
        """
        A stop signals the coordinator alone, and not the tools that it runs for a BMC.
        """
        self.assertEqual("mixed", unit_file()["KillMode"])
