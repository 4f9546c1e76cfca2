"""Tests of `wssync.cli.interactive`."""

from __future__ import annotations

import builtins
import io
import signal
import sys
import threading
import unittest
from typing import Callable, List, Optional
from unittest import mock

from tests.cli.streams import Terminal, text_of
from wssync.cli import interactive as module
from wssync.cli.console import Console
from wssync.cli.interactive import Interactive, Screen, line_editor
from wssync.executors import SerialExecutor
from wssync.testing import Handler, ServerConnection, WebSocketTestCase, echo

ERASE = "\r\x1b[K"


class ScreenCase(unittest.TestCase):
    def setUp(self) -> None:
        self.written: List[str] = []
        self.executor = SerialExecutor()  # shows and ends, as the session's does
        self.addCleanup(self.executor.shutdown)

    def screen(self, ask: Callable[[str], str]) -> Screen:
        screen = Screen(lambda data: self.written.append(data.decode()), ask)
        screen._typed = lambda: "typed"
        return screen

    def text(self) -> str:
        return "".join(self.written)


@unittest.skipIf(sys.platform == "win32", "there are no such signals")
class KnockingTests(ScreenCase):
    def test_a_message_appears_above_the_prompt(self) -> None:
        """It is written by the main thread inside `input()`; prompt and typed text are drawn again behind it."""
        threads = []

        def write(data: bytes) -> None:
            self.written.append(data.decode())
            threads.append(threading.current_thread())

        def ask(prompt: str) -> str:
            self.assertEqual(prompt, "> ")
            self.executor.submit(screen.show, "a\x07").result(10)
            return "line"

        screen = self.screen(ask)
        screen._write_bytes = write
        with screen.open():
            self.assertEqual(screen.read(), "line")
        self.assertEqual(self.text(), f"{ERASE}a\\x07\n> typed")
        self.assertEqual(set(threads), {threading.main_thread()})

    def test_a_message_beside_the_prompt(self) -> None:
        """When nobody types it is a line."""
        screen = self.screen(lambda prompt: "")
        with screen.open():
            self.executor.submit(screen.show, b"\x00").result(10)
        self.assertEqual(self.text(), "<1 bytes: 00>\n")

    def test_the_end_takes_the_prompt_away(self) -> None:
        """A read that waits returns `None`, and so does every later one."""

        def ask(prompt: str) -> str:
            self.executor.submit(screen.end)
            never.wait(10)
            return "too late"

        never = threading.Event()
        screen = self.screen(ask)
        with screen.open():
            self.assertIsNone(screen.read())
            self.assertIsNone(screen.read())
        self.assertEqual(self.text(), ERASE)

    def test_a_knock_is_repeated(self) -> None:
        """One that came in the wrong moment does not leave the message lying."""
        knocks = []

        def knock(thread: int, number: int) -> None:
            knocks.append(number)
            if len(knocks) == 3:
                kill(thread, number)

        def ask(prompt: str) -> str:
            self.executor.submit(screen.show, "a").result(10)
            return ""

        kill = signal.pthread_kill
        screen = self.screen(ask)
        patches = mock.patch.object(module, "KNOCK", 0.001), mock.patch.object(signal, "pthread_kill", knock)
        with patches[0], patches[1], screen.open():
            screen.read()
        self.assertGreaterEqual(len(knocks), 3)
        self.assertIn("a\n", self.text())

    def test_a_message_that_comes_when_a_line_is_complete(self) -> None:
        """It is written as soon as the prompt is gone, though no knock was answered."""

        def ask(prompt: str) -> str:
            future.append(self.executor.submit(screen.show, "a"))
            while not screen._lines:
                shown.wait(0.001)
            return "line"

        future: List[object] = []
        shown = threading.Event()
        screen = self.screen(ask)
        with mock.patch.object(signal, "pthread_kill"), screen.open():
            self.assertEqual(screen.read(), "line")
        self.assertEqual(self.text(), "a\n")

    def test_a_knock_without_a_prompt_does_nothing(self) -> None:
        """It may come late: when the line was complete already, or when somebody else sent the signal."""

        def ask(prompt: str) -> str:
            self.knock()
            return "line"

        screen = self.screen(ask)
        with screen.open():
            self.knock()
            self.assertEqual(screen.read(), "line")
            screen.end()
            self.knock()
        self.assertEqual(self.text(), "")

    def knock(self) -> None:
        signal.raise_signal(signal.SIGURG)

    def test_the_signal_is_given_back(self) -> None:
        """Afterwards its handler is what it was before."""
        before = signal.getsignal(signal.SIGURG)
        screen = self.screen(input)
        with screen.open():
            self.assertNotEqual(signal.getsignal(signal.SIGURG), before)
        self.assertEqual(signal.getsignal(signal.SIGURG), before)


class WithoutSignalsTests(ScreenCase):
    def test_a_message_is_written_into_the_line(self) -> None:
        """Elsewhere than in the main thread, or on Windows, it comes at once, with a new prompt."""

        def ask(prompt: str) -> str:
            screen.show("a")
            return ""

        screen = self.screen(ask)
        self.executor.submit(self.use, screen).result(10)
        self.assertEqual(self.text(), "\ra\n> ")

    def use(self, screen: Screen) -> Optional[str]:
        with screen.open():
            return screen.read()

    def test_on_windows_there_is_nothing_to_listen_to(self) -> None:
        """No handler is installed."""
        with mock.patch.object(sys, "platform", "win32"), mock.patch.object(signal, "signal") as install:
            self.use(self.screen(lambda prompt: ""))
        install.assert_not_called()

    def test_the_end_waits_for_enter(self) -> None:
        """It is announced; the line that is typed then is the last."""

        def ask(prompt: str) -> str:
            screen.end()
            return "x"

        screen = self.screen(ask)
        self.assertEqual(screen.read(), "x")
        self.assertIsNone(screen.read())
        self.assertIn("Enter", self.text())

    def test_the_end_without_a_prompt(self) -> None:
        """There is nothing to take away."""
        screen = self.screen(input)
        screen.end()
        self.assertIsNone(screen.read())
        self.assertEqual(self.text(), "")

    def test_the_end_of_the_input(self) -> None:
        """Ctrl-D, and a terminal that has gone away, end the reading."""
        for error in (EOFError(), OSError(5, "hung up")):
            screen = self.screen(mock.Mock(side_effect=error))
            self.assertIsNone(screen.read())

    def test_an_output_that_has_gone_away(self) -> None:
        """Nothing is raised; the input ends as well."""
        screen = Screen(mock.Mock(side_effect=OSError(5, "hung up")), input)
        screen.show("a")


class LineEditorTests(unittest.TestCase):
    def test_with_and_without_readline(self) -> None:
        """The line as it stands, or nothing where there is no readline."""
        with mock.patch.dict(sys.modules, {"readline": None}):
            self.assertEqual(line_editor()(), "")
        with mock.patch.dict(sys.modules, {"readline": mock.Mock(get_line_buffer=lambda: "abc")}):
            self.assertEqual(line_editor()(), "abc")


class InteractiveTests(WebSocketTestCase):
    def setUp(self) -> None:
        self.terminal = Terminal(io.BytesIO(), encoding="utf-8")
        self.executor = SerialExecutor()
        self.addCleanup(self.executor.shutdown)

    def talk(self, ask: Callable[[str], str], handler: Handler = echo, *, binary: bool = False) -> str:
        self.serve(handler)
        task = self.connect(executor=self.executor)
        with mock.patch.object(builtins, "input", ask):
            screen = Screen(Console(None, self.terminal, None).write, ask)
            with mock.patch.object(module, "Screen", return_value=screen):
                self.dialogue = Interactive(task, Console(None, self.terminal, None), binary=binary)
            self.dialogue.run()
        return text_of(self.terminal)

    def test_a_dialogue(self) -> None:
        """What is typed is sent, what comes is shown, Ctrl-D closes, and the end is told."""
        ask = mock.Mock(side_effect=["hello", EOFError])
        text = self.talk(ask)
        self.assertTrue(text.startswith("Connected. Ctrl-D closes the connection.\n"), text)
        self.assertIn("hello\n", text)
        self.assertTrue(text.endswith("Closed: 1000.\n"), text)

    def test_binary(self) -> None:
        """Lines are sent as bytes, and shown as a dump."""
        ask = mock.Mock(side_effect=["\xe4", EOFError])
        self.assertIn("<2 bytes: c3 a4>\n", self.talk(ask, binary=True))

    def test_a_line_that_is_no_text(self) -> None:
        """It is not sent; the dialogue goes on."""
        ask = mock.Mock(side_effect=["\ud800", "hello", EOFError])
        text = self.talk(ask)
        self.assertIn("not sent: ", text)
        self.assertIn("hello\n", text)

    def test_a_server_that_hangs_up(self) -> None:
        """The prompt goes away by itself, and its reason is shown, escaped."""
        never = threading.Event()

        def ask(prompt: str) -> str:
            never.wait(10)
            return ""

        text = self.talk(ask, lambda connection: connection.close(1001, "b\x07ye"))
        self.assertTrue(text.endswith("Closed: 1001 (b\\x07ye).\n"), text)

    def test_a_line_after_the_end(self) -> None:
        """A line that can no longer be sent ends the dialogue, and is a problem."""
        go_on, ended = threading.Event(), threading.Event()

        def ask(prompt: str) -> str:
            go_on.set()
            ended.wait(10)
            return "late"

        def handler(connection: ServerConnection) -> None:
            go_on.wait(10)
            connection.close()

        # The knock comes when the connection has ended; this one only lets the line through.
        with mock.patch.object(Screen, "end", lambda screen: ended.set()):
            self.talk(ask, handler)
        self.assertIsNotNone(self.dialogue.problem)
