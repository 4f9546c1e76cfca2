"""The package: its names, and what is loaded when."""

from __future__ import annotations

import subprocess
import sys
import unittest

import wssync.executors as package
from tests.architecture import ROOT


class PackageTests(unittest.TestCase):
    def test_every_name_is_there(self) -> None:
        """And no other."""
        for name in package.__all__:
            self.assertEqual(getattr(package, name).__name__, name)
        with self.assertRaisesRegex(AttributeError, "no attribute 'WinFormsExecutor'"):
            package.WinFormsExecutor  # type: ignore[attr-defined] # noqa: B018

    def test_toolkits_are_loaded_by_who_uses_them(self) -> None:
        """Neither they nor the modules for them by the package; nor does a class load the toolkit of another."""
        script = (
            "import sys, wssync.executors as e\n"
            "def loaded(): return sorted(n for n in sys.modules if n.startswith(('wssync.executors.', 'tkinter',"
            " 'PySide', 'PyQt', 'wx', 'gi.')) or n == 'asyncio')\n"
            "print(loaded())\n"
            "e.TkExecutor, e.QtExecutor, e.WxExecutor, e.GLibExecutor\n"
            "print([n for n in loaded() if not n.startswith('wssync')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        names = ["wssync.executors.queued", "wssync.executors.serial", "wssync.executors.work"]
        self.assertEqual(done.stdout, f"{names}\n[]\n")
