"""Standard streams for the command line, in memory, and pipes where reading has to wait."""

from __future__ import annotations

import io
import os
from typing import List, Tuple

from wssync.cli import main
from wssync.cli.console import Console
from wssync.testing import WebSocketTestCase

__all__ = ["CommandCase", "FailingBytes", "Terminal", "console", "reader", "text_of", "writer"]


class Terminal(io.TextIOWrapper):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class FailingBytes(io.BytesIO):
    """Takes nothing, raises `error` instead."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, data: object) -> int:
        raise self.error


def reader(data: bytes = b"") -> io.TextIOWrapper:
    """A standard input that holds `data` and ends."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def writer() -> io.TextIOWrapper:
    """A standard output, for `text_of`."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def text_of(stream: io.TextIOWrapper) -> str:
    """What was written to a `writer`."""
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def console(data: bytes = b"") -> Console:
    """Three streams in memory."""
    return Console(reader(data), writer(), writer())


class CommandCase(WebSocketTestCase):
    """Runs the command line inside the process."""

    def command(self, *arguments: str, data: bytes = b"") -> Tuple[int, str, str]:
        """The exit status, standard output and standard error of a run with `data` on standard input."""
        output, errors = writer(), writer()
        status = main(arguments, reader(data), output, errors)
        return status, text_of(output), text_of(errors)

    def assertFails(self, status: int, pattern: str, *arguments: str, data: bytes = b"") -> None:
        """The command ends with `status` and says why in one line."""
        got, output, errors = self.command(*arguments, data=data)
        self.assertEqual((got, output), (status, ""), errors)
        self.assertRegex(errors, rf"\Awssync: .*{pattern}.*\n\Z")
        self.assertEqual(errors.count("\n"), 1)

    def open_pipe(self) -> Tuple[io.TextIOWrapper, List[int]]:
        """A standard input nobody has ended yet, and in a list the descriptor to write to; both are closed at last."""
        read, write = os.pipe()
        stream = os.fdopen(read, encoding="utf-8")
        self.addCleanup(stream.close)
        self.addCleanup(os.close, write)
        return stream, [write]
