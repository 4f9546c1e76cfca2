"""The public names of the kit, each of which is imported when it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys
import unittest
from pathlib import Path

from wssync import testing

ROOT = Path(__file__).resolve().parents[2]


class NameTests(unittest.TestCase):
    def test_every_name_leads_to_its_module(self) -> None:
        """The list and the table agree, and what is there is what the module itself makes public."""
        homes = {name: module for module, names in testing._HOMES.items() for name in names.split()}
        self.assertEqual(sorted(homes), testing.__all__)
        for name, module in homes.items():
            with self.subTest(name):
                home = importlib.import_module(f"wssync.testing.{module}")
                self.assertIn(name, home.__all__)
                self.assertIs(getattr(testing, name), getattr(home, name))

    def test_they_can_be_listed(self) -> None:
        """`dir` has every public name, those that were not used yet too."""
        self.assertLessEqual({*testing.__all__, "__doc__"}, set(dir(testing)))

    def test_another_name_is_none(self) -> None:
        """AttributeError, as of any module."""
        with self.assertRaisesRegex(AttributeError, "module 'wssync.testing' has no attribute 'Srever'"):
            testing.Srever  # type: ignore[attr-defined]  # noqa: B018

    def test_only_what_is_used_is_imported(self) -> None:
        """Nothing with the package; with the server, neither the test case nor the cassette; all with the star."""
        script = (
            "import sys\n"
            "def count(): print(sorted(name[15:] for name in sys.modules if name.startswith('wssync.testing.')))\n"
            "import wssync.testing\n"
            "count()\n"
            "wssync.testing.Server\n"
            "print('unittest' in sys.modules, 'wssync.testing.cassette' in sys.modules)\n"
            "from wssync.testing import *\n"
            "print(WebSocketTestCase.__name__, proxy.__name__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout, "[]\nFalse False\nWebSocketTestCase proxy\n")
