"""The three standard streams as the command needs them: messages as bytes in UTF-8, everything else as lines.

Messages do not pass through the text layer or its buffer. What is written is out, so a reader that has gone away is
noticed at once, and nothing is left that the interpreter would try to flush when it exits.

What a server says is not trusted: on a terminal, control characters could move the cursor, hide text or set the title.
They are shown as escapes, there and in every line on standard error.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import unicodedata
from dataclasses import dataclass
from typing import BinaryIO, Optional, TextIO, Union

__all__ = ["Console", "as_line", "as_output", "escape", "wait_for"]

CHUNK = 65_536
"""Bytes read from standard input at once: what a pipe holds on Linux."""

SHOWN_BYTES = 24
"""Bytes of a binary message that a terminal shows: as hex they fill most of a line of 80 characters."""

SLICE = 0.25 if sys.platform == "win32" else 3600.0
"""Seconds of one wait; Ctrl-C does not interrupt a wait on Windows, so there they are short."""

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible formatting, lone surrogates, separators of lines


@dataclass
class Console:
    """Where the command reads and writes; a stream is `None` when the process was started without it."""

    stdin: Optional[TextIO]
    stdout: Optional[TextIO]
    stderr: Optional[TextIO]

    @property
    def is_interactive(self) -> bool:
        """Whether a person sits at both ends."""
        return is_terminal(self.stdin) and is_terminal(self.stdout)

    def read(self) -> bytes:
        """Some bytes of standard input as soon as there are any; b"" at its end. OSError if it cannot be read."""
        if self.stdin is None:
            return b""
        data = _raw(self.stdin).read(CHUNK)
        if data is None:
            raise _would_block()
        return data

    def write(self, data: bytes) -> None:
        """Write to standard output, all of it and at once. OSError if nobody reads it any more."""
        if self.stdout is not None:
            write_all(_raw(self.stdout), data)

    def show(self, message: Union[str, bytes]) -> None:
        """Write a message as fits: a line for a person, the bytes themselves for a program."""
        self.write((as_line(message) + "\n").encode() if is_terminal(self.stdout) else as_output(message))

    def report(self, text: str) -> None:
        """One line on standard error about what went wrong."""
        self._tell(f"wssync: {text}")

    def note(self, text: str) -> None:
        """One line on standard error about what happens, for `--verbose`."""
        self._tell(f"* {text}")

    def _tell(self, text: str) -> None:
        if self.stderr is not None:
            try:
                print(escape(text), file=self.stderr, flush=True)
            except OSError:
                pass  # nobody listens there, and there is nowhere else to say so


def is_terminal(stream: Optional[TextIO]) -> bool:
    """Whether a stream leads to a terminal."""
    return stream is not None and stream.isatty()


def _raw(stream: TextIO) -> BinaryIO:
    """The unbuffered bytes under a text stream."""
    raw: BinaryIO = getattr(stream.buffer, "raw", stream.buffer)
    return raw


def write_all(raw: BinaryIO, data: bytes) -> None:
    """Write everything, though a raw stream may take less at a time."""
    rest = memoryview(data)
    while rest:
        written = raw.write(rest)
        if written is None:
            raise _would_block()
        rest = rest[written:]


def _would_block() -> BlockingIOError:
    """Somebody has set the descriptor non-blocking; waiting for it would need another way on every system."""
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def escape(text: str) -> str:
    """The text as one line that does to a terminal nothing but show itself."""
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character) in _HIDDEN else character for character in text
    )


def as_line(message: Union[str, bytes]) -> str:
    """A message for a person: text escaped, bytes as the beginning of a hex dump."""
    if isinstance(message, str):
        return escape(message)
    dump = message[:SHOWN_BYTES].hex(" ")
    more = " ..." if len(message) > SHOWN_BYTES else ""
    return f"<{len(message)} bytes{': ' if dump else ''}{dump}{more}>"


def as_output(message: Union[str, bytes]) -> bytes:
    """A message for a program: text as a line, bytes as they are."""
    return message.encode() + b"\n" if isinstance(message, str) else message


def wait_for(event: threading.Event, seconds: Optional[float] = None) -> bool:
    """Wait until `event` is set, at most `seconds`; whether it is. Ctrl-C interrupts it on every system."""
    end = None if seconds is None else time.monotonic() + seconds
    while not event.wait(SLICE if end is None else max(0.0, min(SLICE, end - time.monotonic()))):
        if end is not None and time.monotonic() >= end:
            return False
    return True
