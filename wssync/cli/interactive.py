"""The dialogue with a person: lines are edited at a prompt, and what the server says appears above it.

`input()` must run in the main thread, and while it does only the main thread may touch the terminal: the editor's state
belongs to it. Where there are signals, the executor's thread therefore hands a message over and knocks with SIGURG,
which nobody else uses and which does nothing once nobody expects it. Python runs the signal's handler in the main
thread, inside the `input()` that it interrupts; it writes the message, draws the prompt again, and the editor goes on
as if nothing had been. The same knock ends the prompt when the connection has ended. A knock in the wrong moment gets
lost, so it is repeated until it is answered.

Windows has no such signals: messages are written into the line that is being typed, and the end waits for Enter.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import types
from typing import Callable, Iterator, List, Optional, Union

import wssync

from .console import Console, as_line, escape
from .conversation import Conversation

__all__ = ["Interactive", "Screen"]

PROMPT = "> "

KNOCK = 0.1
"""Seconds until a knock is repeated."""


class _Ended(Exception):
    """The prompt is over, because the connection is."""


def line_editor() -> Callable[[], str]:
    """Have `input()` edit lines, where that is possible; returns what tells the line as it stands."""
    try:
        import readline
    except ImportError:
        return lambda: ""
    return readline.get_line_buffer


class Screen:
    """A prompt, and a place above it. `read` is the main thread's; `show` and `end` are the executor's."""

    def __init__(self, write: Callable[[bytes], None], ask: Callable[[str], str] = input) -> None:
        self._write_bytes = write
        self._ask = ask
        self._typed = line_editor()
        self._changed = threading.Condition()
        self._lines: List[str] = []
        self._reading = False
        self._at_prompt = False
        self._ended = False
        self._knocks = False

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Listen to knocks as long as the block lasts, where that is possible."""
        number = None if sys.platform == "win32" else signal.SIGURG
        if number is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(number, self._answer)
        self._knocks = True
        try:
            yield
        finally:
            self._knocks = False
            signal.signal(number, previous)

    def read(self) -> Optional[str]:
        """The next line that is typed; `None` at the end of the input or of the connection."""
        with self._changed:
            if self._ended:
                return None
            self._reading = True
        try:
            try:
                self._at_prompt = True
                return self._ask(PROMPT)
            finally:
                self._at_prompt = False
        except (EOFError, OSError, _Ended):
            self._write("\r\x1b[K" if self._knocks else "\n")
            return None
        finally:
            with self._changed:
                self._reading = False
                self._flush()

    def show(self, message: Union[str, bytes]) -> None:
        """Write a message, above the prompt if there is one; returns when it is written."""
        self.note(as_line(message))

    def note(self, line: str) -> None:
        """Write a line of our own like a message."""
        with self._changed:
            if not (self._reading and self._knocks):
                self._write(f"\r{line}\n{PROMPT}" if self._reading else f"{line}\n")
                return
            self._lines.append(line)
            self._knock_while(lambda: bool(self._lines))

    def end(self) -> None:
        """Take the prompt away; from now on `read` returns `None`."""
        with self._changed:
            self._ended = True
            if self._knocks:
                self._knock_while(lambda: self._reading)
            elif self._reading:
                self._write("\r(the connection has ended: Enter)\n")

    def _knock_while(self, unanswered: Callable[[], bool]) -> None:
        """Holding the condition."""
        while unanswered() and self._reading and self._knocks:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGURG)
            self._changed.wait(KNOCK)

    def _answer(self, number: int, frame: Optional[types.FrameType]) -> None:
        """The signal's handler: in the main thread, most likely inside `input()`."""
        if not self._at_prompt:
            return
        with self._changed:
            if self._lines:
                self._write("\r\x1b[K")
                self._flush()
                self._write(PROMPT + self._typed())
            if self._ended:
                raise _Ended

    def _flush(self) -> None:
        """Write the lines that wait, with the condition held."""
        lines, self._lines = self._lines, []
        for line in lines:
            self._write(f"{line}\n")
        self._changed.notify_all()

    def _write(self, text: str) -> None:
        try:
            self._write_bytes(text.encode(errors="replace"))
        except OSError:
            pass  # the terminal is gone; so is its input, which ends the conversation


class Interactive(Conversation):
    """A conversation with a person at a terminal."""

    def __init__(
        self, task: wssync.WebSocketTask, console: Console, *, binary: bool = False, wait: float = 0.0
    ) -> None:
        self._screen = Screen(console.write)
        super().__init__(task, self._screen.show, wait=wait)
        self._binary = binary

    def run(self) -> None:
        """Say what this is, talk, say how it ended."""
        with self._screen.open():
            self._screen.note("Connected. Ctrl-D closes the connection.")
            super().run()
            code, reason = self._task.close_code, self._task.close_reason
            self._screen.note(escape(f"Closed: {int(code)}{f' ({reason})' if reason else ''}."))

    def converse(self) -> None:
        """Send what is typed."""
        while True:
            line = self._screen.read()
            if line is None:
                return
            try:
                if not self.send(line.encode() if self._binary else line):
                    return
            except ValueError as error:
                self._screen.note(escape(f"not sent: {error}"))

    def wake(self) -> None:
        """Take the prompt away."""
        self._screen.end()
