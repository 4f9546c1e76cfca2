"""Every example runs offline, and against a URL if it takes one; each is short and says at once what it shows."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import runpy
import sys
import time
import unittest
from pathlib import Path
from typing import Iterator, Tuple
from unittest import mock

from tests.gui.starting import LIMIT, python_with, start
from wssync.testing import Server

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
OUTPUT = {
    "a_game_loop": "\n60 frames\n",
    "a_password_dialog": "A password for the vault, please.\nhello\n",
    "a_progress_bar": "] 100 %\ndone\n",
    "a_self_signed_server": "hello\n",
    "asyncio_bridge": "message 2\n",
    "glib_clock": "five answers\n",
    "handlers": "hello\nclosed with 1000\n",
    "hello": "hello\n",
    "qt_ticker": "prices came\n",
    "stopping_on_a_signal": "message 2\nclosed with 1001\n",
    "testing_a_chat_client": "OK\n",
    "testing_a_flaky_server": "OK\n",
    "testing_with_a_cassette": "OK\n",
    "tk_chat": "server: hello\n",
    "unittest_example": "OK\n",
    "where_the_time_goes": " redirects, 1 messages\n",
    "wx_latency": "pongs came\n",
}
"""Example -> how what it prints ends."""

TOOLKITS = {"glib_clock": "glib", "qt_ticker": "pyside6", "tk_chat": "tk", "wx_latency": "wx"}
"""Example that runs in the loop of a toolkit -> which one that is, by its name in `tests/gui/apps/shells.py`."""

REQUESTS = {"testing_with_a_cassette": 2}
"""Example -> how often it asks the server at a URL, if that is not once."""


def docstring(path: Path) -> str:
    """The text at the top of an example."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def takes_a_url(path: Path) -> bool:
    """Whether its docstring says so."""
    return "[URL]`" in docstring(path)


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
            if path.stem not in TOOLKITS:
                with self.subTest(path.name):
                    yield path, OUTPUT[path.stem]

    def test_offline(self) -> None:
        """Without arguments an example brings its own server, and takes less than a second of processor time."""
        for path, ending in self.examples():
            began = time.process_time()
            output = run(path)
            self.assertTrue(output.endswith(ending), output)
            self.assertLess(time.process_time() - began, 1)

    def test_against_a_url(self) -> None:
        """With a URL it talks to the server there, and a cassette does so in the first of its runs alone."""
        for path, ending in self.examples():
            if takes_a_url(path):
                with Server() as server:
                    output = run(path, server.url)
                    self.assertTrue(output.endswith(ending), output)
                    self.assertEqual(len(server.requests), REQUESTS.get(path.stem, 1))

    def test_each_is_short_and_says_what_it_shows(self) -> None:
        """Fewer than 100 lines; at the top one sentence that names its command, and perhaps more behind that."""
        for path in EXAMPLES:
            self.assertLess(len(path.read_text(encoding="utf-8").splitlines()), 100)
            self.assertRegex(docstring(path), rf"\A.+: `python {re.escape(path.name)}( \[URL\])?`\.(\n\n|\Z)")

    def test_some_take_a_url(self) -> None:
        """Those that show the client do."""
        self.assertLessEqual({"handlers", "hello"}, {path.stem for path, _ in self.examples() if takes_a_url(path)})

    def test_there_are_examples(self) -> None:
        """The folder and the table above agree."""
        self.assertEqual([path.stem for path in EXAMPLES], sorted(OUTPUT))


class ToolkitExampleTests(unittest.TestCase):
    """Each in a process of its own, in a Python that has the toolkit; where there is none, it is skipped."""

    def play(self, name: str) -> None:
        """Run it offline, and against a URL if it takes one; it closes its window itself and says nothing else."""
        path = EXAMPLES[0].with_name(f"{name}.py")
        closing = ["--quit-after", "1"] if "--quit-after" in docstring(path) else []
        python_with(TOOLKITS[name])
        with Server() as server:
            for urls in ([], [server.url])[: 1 + takes_a_url(path)]:
                with start(TOOLKITS[name], path, *urls, *closing) as process:
                    output, errors = process.communicate(timeout=LIMIT)
                self.assertEqual((errors, process.returncode), ("", 0))
                self.assertTrue(output.endswith(OUTPUT[name]), output)
            self.assertEqual(len(server.requests), takes_a_url(path))
            server.take_errors()  # that a window is closed is none

    def test_tk(self) -> None:
        """tkinter."""
        self.play("tk_chat")

    def test_qt(self) -> None:
        """PySide6."""
        self.play("qt_ticker")

    def test_wx(self) -> None:
        """wxPython."""
        self.play("wx_latency")

    def test_glib(self) -> None:
        """PyGObject."""
        self.play("glib_clock")

    def test_each_has_its_test(self) -> None:
        """There are no others."""
        for name in TOOLKITS:
            self.assertTrue(hasattr(self, f"test_{name.partition('_')[0]}"), name)
