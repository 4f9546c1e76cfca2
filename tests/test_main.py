"""Tests of `wssync.__main__`: real processes, with real pipes, signals and a terminal. `tests.cli` has the rest."""

from __future__ import annotations

import importlib
import os
import runpy
import select
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from typing import IO, List
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 30
"""At most for a process, on a machine that is busy with other things."""


def start(*arguments: str, streams: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """`python -m wssync`, with pipes or with the descriptor `streams` as its standard streams."""
    return subprocess.Popen(
        [sys.executable, "-m", "wssync", *arguments], cwd=ROOT, stdin=streams, stdout=streams, stderr=streams
    )


class MainTests(unittest.TestCase):
    def setUp(self) -> None:
        modules = mock.patch.dict(sys.modules)  # a module that is run must not have been imported before
        modules.start()
        self.addCleanup(modules.stop)
        sys.modules.pop("wssync.__main__", None)

    def run_main(self, *arguments: str) -> object:
        with mock.patch.object(sys, "argv", ["wssync", *arguments]), self.assertRaises(SystemExit) as stopped:
            runpy.run_module("wssync", run_name="__main__")
        return stopped.exception.code

    def test_the_exit_status_is_that_of_the_command(self) -> None:
        """The process's own arguments and streams are used."""
        with mock.patch("sys.stderr") as errors:
            self.assertEqual(self.run_main("--nothing"), 2)
        self.assertIn("--nothing", errors.write.call_args[0][0])

    def test_an_import_runs_nothing(self) -> None:
        """The console script finds `main` there."""
        self.assertTrue(callable(importlib.import_module("wssync.__main__").main))


class ProcessTests(unittest.TestCase):
    left = b""

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Nothing is left behind, whatever a test has found."""
        if process.poll() is None:
            process.kill()
        process.wait(SECONDS)
        streams: List[IO[bytes]] = [s for s in (process.stdin, process.stdout, process.stderr) if s is not None]
        for stream in streams:
            try:
                stream.close()
            except BrokenPipeError:
                pass  # it was not flushed, and there is nobody to flush it to

    def start(self, *arguments: str, streams: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        process = start(*arguments, streams=streams)
        self.addCleanup(self.stop, process)
        return process

    def test_the_pipe_of_the_readme(self) -> None:
        """`printf 'hello\\n' | python -m wssync` prints exactly that."""
        process = self.start()
        self.assertEqual(process.communicate(b"hello\n", timeout=SECONDS), (b"hello\n", b""))
        self.assertEqual(process.returncode, 0)

    @unittest.skipIf(sys.platform == "win32", "processes cannot be interrupted one by one there")
    def test_ctrl_c(self) -> None:
        """The connection is closed with 1001, the status is 130, nobody sees a traceback."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, which hands that on
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.addCleanup(signal.signal, signal.SIGINT, signal.SIG_IGN)
        process = self.start("--verbose")
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"hello\n")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, output), (130, b""))
        self.assertIn(b"closed with 1001", errors)
        self.assertNotIn(b"Traceback", errors)

    def test_a_reader_that_has_seen_enough(self) -> None:
        """`| head -1` ends the command quietly, though the input goes on."""
        process = self.start()
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"a\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"a\n")
        process.stdout.close()
        process.stdin.write(b"b\n")
        process.stdin.flush()
        self.assertEqual(process.wait(SECONDS), 0)
        self.assertEqual(process.stderr.read(), b"")

    @unittest.skipIf(sys.platform == "win32", "there are no pseudo-terminals there")
    def test_a_terminal(self) -> None:
        """A prompt; the answer above the next one; Ctrl-D ends it."""
        import pty

        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start(streams=slave)
        os.close(slave)
        self.read_until(master, b"> ")
        os.write(master, b"hello\r")
        self.read_until(master, b"hello")  # as it is typed
        self.read_until(master, b"hello\r\n")  # and as it comes back
        self.read_until(master, b"> ")  # before it asks again, the terminal would take Ctrl-D for itself
        os.write(master, b"\x04")
        self.assertIn(b"Closed: 1000.", self.read_until(master, b"Closed: 1000."))
        self.assertEqual(process.wait(SECONDS), 0)

    def read_until(self, terminal: int, ending: bytes) -> bytes:
        seen = self.left
        while ending not in seen:
            ready, _, _ = select.select([terminal], [], [], SECONDS)
            self.assertTrue(ready, f"{ending!r} did not come behind {seen!r}")
            seen += os.read(terminal, 4096)
        found, ending, self.left = seen.partition(ending)
        return found + ending
