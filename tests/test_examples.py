"""Every example runs offline, and against a URL; each is short and says in one sentence what it shows."""

from __future__ import annotations

import ast
import contextlib
import io
import runpy
import sys
import unittest
from pathlib import Path
from typing import Iterator, Tuple
from unittest import mock

from wssync.testing import Server

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
OUTPUT = {
    "handlers": "hello\nclosed with 1000\n",
    "hello": "hello\n",
    "unittest_example": "OK\n",
}
"""Example -> how what it prints ends."""


def run(path: Path, *arguments: str) -> str:
    """Run an example inside the process; what it prints, on both outputs."""
    output = io.StringIO()
    redirected = contextlib.redirect_stdout(output), contextlib.redirect_stderr(output)
    with redirected[0], redirected[1], mock.patch.object(sys, "argv", [str(path), *arguments]), main_module():
        runpy.run_path(str(path), run_name="__main__")
    return output.getvalue()


@contextlib.contextmanager
def main_module() -> Iterator[None]:
    """`unittest.main()` looks for tests in `__main__`, and ends with `sys.exit`; its status 0 is none."""
    try:
        yield
    except SystemExit as stop:
        if stop.code:
            raise AssertionError(f"the example ended with status {stop.code}") from stop


class ExampleTests(unittest.TestCase):
    def examples(self) -> Iterator[Tuple[Path, str]]:
        for path in EXAMPLES:
            with self.subTest(path.name):
                yield path, OUTPUT[path.stem]

    def test_offline(self) -> None:
        """Without arguments an example brings its own server."""
        for path, ending in self.examples():
            self.assertTrue(run(path).endswith(ending), path)

    def test_against_a_url(self) -> None:
        """With a URL it talks to the server there."""
        for path, ending in self.examples():
            with Server() as server:
                self.assertTrue(run(path, server.url).endswith(ending), path)
                self.assertEqual(len(server.requests), 1)

    def test_each_is_short_and_says_what_it_shows(self) -> None:
        """Fewer than 60 lines; one sentence at the top that names its command."""
        for path, _ in self.examples():
            text = path.read_text(encoding="utf-8")
            self.assertLess(len(text.splitlines()), 60)
            docstring = ast.get_docstring(ast.parse(text)) or ""
            self.assertRegex(docstring, rf"\A.+: `python {path.name} \[URL\]`\.\Z")

    def test_there_are_examples(self) -> None:
        """The folder and the table above agree."""
        self.assertEqual([path.stem for path in EXAMPLES], sorted(OUTPUT))
