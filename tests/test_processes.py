"""Other people's programs are started, waited for and stopped: `tests.processes`."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional
from unittest import mock

from tests.processes import Program, ProgramFailed, cache_folder, free_port, run_command

LISTENING = """\
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(os.environ.get("SETTING"), flush=True)
with open("written", "w") as file:
    file.write("all of it")
while True:
    connection, _ = listener.accept()
    connection.close()
"""


class ProgramTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.port = free_port()

    def program(self, code: str, **settings: Optional[str]) -> Program:
        return Program(
            [sys.executable, "-c", code, self.port],
            port=self.port,
            folder=self.folder,
            environment=settings,
            seconds=20,
        )

    def test_it_listens_inside_the_context_and_not_after_it(self) -> None:
        """Entering waits until it listens; leaving stops it, and nobody listens there any more."""
        with self.program(LISTENING):
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port), 5)

    def test_it_runs_in_its_folder_with_its_settings(self) -> None:
        """The environment has the settings, without those that are None; what it says is kept."""
        with mock.patch.dict(os.environ, {"SETTING": "inherited"}):
            with self.program(LISTENING, SETTING="given") as program:
                self.assertEqual(program.read_when_complete(self.folder / "written", ending="it"), "all of it")
                self.assertEqual(program.output, "given\n")
            self.port = free_port()
            with self.program(LISTENING, SETTING=None) as program:
                self.assertEqual(program.read_when_complete(self.folder / "written", ending="it"), "all of it")
                self.assertEqual(program.output, "None\n")

    def test_one_that_ends_is_told_with_its_last_words(self) -> None:
        """A program that dies before it listens raises at once."""
        with self.assertRaisesRegex(ProgramFailed, "(?s)status 3: .*no such thing"):
            self.program("import sys; print('no such thing'); sys.exit(3)").__enter__()

    def test_a_file_that_never_comes_is_empty(self) -> None:
        """Waiting for a file ends when the program has ended."""
        with self.program(LISTENING) as program:
            self.assertEqual(program.read_when_complete(self.folder / "never", ending="it", seconds=0.1), "")


class CommandTests(unittest.TestCase):
    def test_its_output_is_returned(self) -> None:
        """A command that succeeds gives what it said."""
        self.assertEqual(run_command([sys.executable, "-c", "print(1 + 1)"], seconds=20).strip(), "2")

    def test_failures_are_told(self) -> None:
        """A status other than 0, a program that is not there and one that takes too long raise."""
        with self.assertRaisesRegex(ProgramFailed, "oh no"):
            run_command([sys.executable, "-c", "raise SystemExit('oh no')"], seconds=20)
        with self.assertRaisesRegex(ProgramFailed, "could not be run"):
            run_command([Path("nothing") / "of-the-sort"], seconds=20)
        with self.assertRaisesRegex(ProgramFailed, "took more than"):
            run_command([sys.executable, "-c", "import threading; threading.Event().wait()"], seconds=0.2)


class CacheTests(unittest.TestCase):
    def test_the_environment_names_the_folder(self) -> None:
        """The variable wins over the home directory, and the folder is made."""
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / "deep" / "cache"
            with mock.patch.dict(os.environ, {"WSSYNC_TEST_CACHE": str(named)}):
                self.assertEqual(cache_folder("x", "WSSYNC_TEST_CACHE"), named)
            self.assertTrue(named.is_dir())
