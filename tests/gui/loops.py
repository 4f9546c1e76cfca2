"""Each toolkit in its own loop: every callback comes on the loop's thread, and the loop always turns.

A test runs a program with a window (apps/program.py) that talks to a server here, and reads what that has seen.
"""

from __future__ import annotations

import unittest
from typing import Any, List

from tests.gui.starting import Seen, python_with, run_program
from wssync.testing import Handler, Server, ServerConnection, digest, stop_reading

__all__ = ["GLib", "Asyncio", "PyQt", "PySide", "Tk", "TkWithoutFiles", "Wx"]

MESSAGES = 100_000
TICKS = 50
"""How often a second a timer of 10 ms has to come at least."""


def flood(connection: ServerConnection) -> None:
    """Send many messages, each its number."""
    for number in range(MESSAGES):
        connection.send(str(number))
    connection.wait_until_closed()


def endless(connection: ServerConnection) -> None:
    """Send until nobody is there any more."""
    while True:
        connection.send("more")


class Loops:
    """What holds for every toolkit; a mixture for `unittest.TestCase`."""

    shell: str

    def see(self: Any, scenario: str, handler: Handler = stop_reading, **options: Any) -> Seen:
        """Let the program run against that server. It fails at nothing, and its loop turned all the time."""
        python_with(self.shell)  # before there is a server
        with Server(handler, compression=None, **options) as server:
            seen: Seen = self.watch(scenario, server)
            return seen

    def watch(self: Any, scenario: str, server: Server) -> Seen:
        """The same with a server that is there."""
        seen = run_program(self.shell, scenario, server.url)
        server.take_errors()  # that the window was closed is no error here
        self.assertEqual((seen.errors, seen.status), ("", 0))
        self.assertEqual(seen.found["elsewhere"], 0, "callbacks on a thread that is not the loop's")
        if seen.found["seconds"] > 0.3:  # else there is nothing to count
            self.assertGreaterEqual(seen.found["ticks"] / seen.found["seconds"], TICKS)
        return seen

    def test_a_flood(self: Any) -> None:
        """100,000 messages, each in its turn; a loop that draws when it is idle draws all the time."""
        found = self.see("flood", flood).found
        self.assertEqual((found["messages"], found["ordered"]), (MESSAGES, True))
        self.assertGreaterEqual(found.get("idle", found["ticks"]) / found["seconds"], TICKS)

    def test_a_peer_that_does_not_read(self: Any) -> None:
        """Sends are accepted until there is too much; nothing blocks."""
        self.assertGreater(self.see("unread").found["callbacks"], 2)

    def test_a_challenge_that_waits(self: Any) -> None:
        """The user thinks about the password for a second, and then the task is open."""
        self.assertTrue(self.see("challenge", opening=digest("user", "secret")).found["opened"])

    def test_a_server_that_is_gone(self: Any) -> None:
        """A reset, and then a hundred refusals and more."""
        case: Any = self

        def vanish(connection: ServerConnection) -> None:
            server.refuse_connections()
            connection.abort()

        python_with(self.shell)
        with Server(vanish, compression=None) as server:
            errors: List[str] = self.watch("gone", server).found["errors"]
            case.assertEqual(set(errors[1:]), {"ConnectionRefused"})
            case.assertGreater(len(errors), 10)

    def test_a_server_that_says_nothing(self: Any) -> None:
        """It takes the connection, and that is all."""
        python_with(self.shell)
        with Server() as server:
            server.ignore_connections()
            self.assertEqual(self.watch("ignored", server).found["errors"], [])

    def test_the_window_is_closed_in_full_flow(self: Any) -> None:
        """By the user or by a callback: the program ends within a second, with status 0, and says nothing."""
        for scenario in ("full-flow", "full-flow-inside"):
            with self.subTest(scenario):
                seen = self.see(scenario, endless)
                self.assertLess(seen.ended - seen.found["closed"], 1)

    def test_the_end_of_the_loop_cancels_the_task(self: Any) -> None:
        """Whoever waits for it is released; what comes later is cancelled as well, and no callback runs."""
        self.assertEqual(self.see("released", endless).found["errors"], ["Cancelled", "Cancelled"])


class Tk(Loops, unittest.TestCase):
    """tkinter, which watches a descriptor."""

    shell = "tk"


class TkWithoutFiles(Loops, unittest.TestCase):
    """tkinter as it is where it cannot."""

    shell = "tk-without-files"


class PySide(Loops, unittest.TestCase):
    """Qt by PySide6."""

    shell = "pyside6"


class PyQt(Loops, unittest.TestCase):
    """Qt by PyQt6."""

    shell = "pyqt6"


class Wx(Loops, unittest.TestCase):
    """wxPython."""

    shell = "wx"


class GLib(Loops, unittest.TestCase):
    """PyGObject."""

    shell = "glib"


class Asyncio(Loops, unittest.TestCase):
    """asyncio."""

    shell = "asyncio"
