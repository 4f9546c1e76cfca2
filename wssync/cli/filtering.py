"""The filter: each line of standard input is a message, each message is written to standard output.

Reading standard input cannot be interrupted, and must not keep the command from ending when the server hangs up. So it
is done on an executor of its own, one piece at a time and only when the last one was sent, and the main thread waits
for whichever comes first, a piece or the end.
"""

from __future__ import annotations

import queue
from typing import Iterator, List, NamedTuple, Optional

import wssync
from wssync.executors import SerialExecutor

from .console import SLICE, Console
from .conversation import Conversation, Problem, Status

__all__ = ["Filter", "LineSplitter"]


class _Piece(NamedTuple):
    """What one read has brought: bytes (none at the end of the input), or why it failed."""

    data: bytes = b""
    error: Optional[OSError] = None


class LineSplitter:
    """Bytes in, whole lines out, without their ends (LF or CR LF). Long lines cost no more than short ones."""

    def __init__(self) -> None:
        self._begun: List[bytes] = []

    def feed(self, data: bytes) -> List[bytes]:
        """The lines that `data` completes."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._begun, lines[0]])
            self._begun = []
        if rest:
            self._begun.append(rest)
        return [line[:-1] if line.endswith(b"\r") else line for line in lines]

    def finish(self) -> List[bytes]:
        """The last line, if it has no end."""
        rest, self._begun = b"".join(self._begun), []
        return [rest] if rest else []


class Filter(Conversation):
    """A conversation between two pipes."""

    def __init__(
        self, task: wssync.WebSocketTask, console: Console, *, binary: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(task, console.show, wait=wait)
        self._console = console
        self._binary = binary
        self._pieces: queue.SimpleQueue[Optional[_Piece]] = queue.SimpleQueue()

    def converse(self) -> None:
        """Send line by line."""
        reader = SerialExecutor()
        try:
            for number, line in enumerate(self._lines(reader), 1):
                if not self._send_line(number, line):
                    return
        finally:
            reader.shutdown(wait=False)

    def wake(self) -> None:
        """Let the main thread go on, though the input has not ended."""
        self._pieces.put(None)

    def _send_line(self, number: int, line: bytes) -> bool:
        if self._binary:
            return self.send(line)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            what = f"line {number} of the input is not UTF-8 ({error.reason} at byte {error.start + 1})"
            self.problem = Problem(Status.USAGE, f"{what}; --binary sends any bytes")
            return False
        return self.send(text)

    def _lines(self, reader: SerialExecutor) -> Iterator[bytes]:
        splitter = LineSplitter()
        while True:
            reader.submit(self._read)
            piece = self._next_piece()
            if piece is None:
                return
            if piece.error is not None:
                self.problem = Problem(
                    Status.FAILED, f"the input cannot be read: {piece.error.strerror or piece.error}"
                )
                return
            if not piece.data:
                break
            yield from splitter.feed(piece.data)
        yield from splitter.finish()

    def _read(self) -> None:
        """On the reader's thread."""
        try:
            self._pieces.put(_Piece(self._console.read()))
        except OSError as error:
            self._pieces.put(_Piece(error=error))

    def _next_piece(self) -> Optional[_Piece]:
        while True:
            try:
                return self._pieces.get(timeout=SLICE)
            except queue.Empty:
                pass  # a chance for Ctrl-C where a wait cannot be interrupted
