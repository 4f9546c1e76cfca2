"""Which form of the functions is used: wssync/protocol/speed.py.

It is decided when the module is imported, so each test asks an interpreter of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import unittest
from pathlib import Path

from wssync.protocol import frames, speed

ROOT = Path(__file__).resolve().parents[2]

STAND_IN = """
import sys, types
stand_in = types.ModuleType("wssync._speedups")
stand_in.cut_messages, stand_in.encode_frame, stand_in.mask, stand_in.mask_into = "cut", "encode", "mask", "into"
stand_in.Row = "row"
sys.modules["wssync._speedups"] = stand_in
"""

MISSING = """
import sys
sys.modules["wssync._speedups"] = None
"""

BROKEN = """
import importlib.machinery, importlib.util, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "wssync._speedups":
            loader = importlib.machinery.ExtensionFileLoader(name, sys.argv[1])
            return importlib.util.spec_from_file_location(name, sys.argv[1], loader=loader)
sys.meta_path.insert(0, Finder())
"""

ASK = """
from wssync.protocol import frames, speed
names = ("cut_messages", "encode_frame", "mask", "mask_into")
taken = [getattr(speed, name) for name in names] + [speed.ROW]
if taken == [getattr(frames, name) for name in names] + [None]:
    taken = "pure"
print(speed.ACCELERATED, taken)
"""


def answer(script: str, *arguments: str, pure: str = "") -> str:
    """What an interpreter prints that runs this before it asks; `pure` is its WSSYNC_PURE_PYTHON."""
    done = subprocess.run(
        [sys.executable, "-c", script + ASK, *arguments],
        cwd=ROOT,
        env={**os.environ, "WSSYNC_PURE_PYTHON": pure},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


class SelectionTests(unittest.TestCase):
    def test_the_compiled_form_is_taken(self) -> None:
        """Whatever `wssync._speedups` has is what `speed` has."""
        self.assertEqual(answer(STAND_IN), "True ['cut', 'encode', 'mask', 'into', 'row']")

    def test_it_can_be_switched_off(self) -> None:
        """WSSYNC_PURE_PYTHON=1 leaves it out, though it is there; any other value does not."""
        self.assertEqual(answer(STAND_IN, pure="1"), "False pure")
        self.assertEqual(answer(STAND_IN, pure="0"), "True ['cut', 'encode', 'mask', 'into', 'row']")

    def test_it_may_be_missing(self) -> None:
        """The pure form is used without a word."""
        self.assertEqual(answer(MISSING), "False pure")

    def test_it_may_be_broken(self) -> None:
        """A file that no loader takes is as good as none."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "_speedups" + str(sysconfig.get_config_var("EXT_SUFFIX")))
            file.write_bytes(b"no library")
            self.assertEqual(answer(BROKEN, str(file)), "False pure")

    def test_what_this_process_uses(self) -> None:
        """`ACCELERATED` tells the truth about the functions."""
        for name in ("cut_messages", "encode_frame", "mask", "mask_into"):
            self.assertEqual(getattr(speed, name) is not getattr(frames, name), speed.ACCELERATED)
        self.assertEqual(speed.ROW is not None, speed.ACCELERATED)
