"""The benchmark runs: a short round of a few cases, with nobody but the floors and wssync itself."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tests.bench import __main__ as command
from tests.bench.rows import FLOOR, PURE


@unittest.skipUnless(sys.platform == "linux", "the benchmark runs on Linux alone")
class RunTests(unittest.TestCase):
    def run_quickly(self, *arguments: str) -> str:
        """What the command printed; it must not fail."""
        printed, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
            status = command.main(["--quick", "--clients", f"raw,{FLOOR},{PURE}", *arguments])
        self.assertEqual(status, 0, told.getvalue())
        return printed.getvalue()

    def test_a_round(self) -> None:
        """Echo, receive, handlers, send and callbacks have figures, and the report is in the file too."""
        if shutil.which("cc") is None:
            self.skipTest("no C compiler")
        rows = "echo-16,receive-16,receive-128-text,handlers-16,send-1m,compressed*,connect,callback*"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.md"
            report = self.run_quickly("--rows", rows, "--output", str(file))
            self.assertEqual(file.read_text(encoding="utf-8") + "\n", report)
        if "are needed to build" in report:
            self.skipTest("no headers of OpenSSL")
        figure = r"[\d.,]+"
        for title, raw, floor in (
            ("echo 16 B, nothing pinned, p50", figure, figure),
            ("connect and close", figure, figure),
            ("receive 128 B text", figure, "-"),
            ("send 1 MiB", figure, "-"),
            ("callback, QueueExecutor, p99", "-", "-"),
            ("compressed send 1 KiB: on the wire", "-", figure),
        ):
            with self.subTest(title):
                self.assertRegex(report, rf"\| {title} \| [\w ]+ \| {raw} \| {floor} \| {figure} \|\n")
        self.assertRegex(report, r"(held: \S+ <=|missed: \S+ >) 1.6 x raw")

    def test_without_a_compiler(self) -> None:
        """What needs the server is left out, with the reason in a line; what does not is measured."""
        with mock.patch.dict("os.environ", {"CC": "no-such-compiler"}):
            report = self.run_quickly("--rows", "echo-16,size")
        self.assertIn(f"- {PURE}: there is no C compiler (no-such-compiler) to build the server with (echo-16)", report)
        self.assertRegex(report, r"\| installed, without the accelerator \| KiB \| [\d,]+ \|")

    def test_a_pattern_for_nothing(self) -> None:
        """It is wrong usage."""
        with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()) as told:
            command.main(["--rows", "nothing"])
        self.assertEqual(ended.exception.code, 2)
        self.assertIn("'nothing'", told.getvalue())


if __name__ == "__main__":
    unittest.main()
