"""The floor of a client in Python: what `raw` does, and what no such client gets round.

Each frame is masked by wssync's function that does it without the accelerator, always with the same key; or, where that
is asked for, it is compressed with the settings that wssync has, and not masked. A message that is received has memory
of its own. Each connection has a thread, which opens it and closes it. Nothing is promised: who else sends is not
looked at, nothing is checked, nothing is counted.
"""

from __future__ import annotations

import _thread
import zlib
from collections import deque
from typing import Any, Callable, Deque, List

from tests.bench.clients import raw
from tests.bench.clients.orders import Line, Meter, Order
from tests.bench.clients.raw import answer_length, frame
from wssync.protocol.deflate import DeflateOptions
from wssync.protocol.frames import encode_frame

__all__ = ["Client", "version"]

KEY = b"\x37\xfa\x21\x3d"

version = raw.version


class Client(raw.Client):
    """It takes part where one of these makes a difference."""

    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

    def open(self, order: Order, url: str) -> Line:
        if order.case.kind == "connect":
            return self._open_in_thread(order, url)
        line = super().open(order, url)
        return line._replace(send=_squeezing(line.send) if order.case.deflate else _masking(line.send))

    def prepare(self, message: Any) -> Any:
        """It is masked when it is sent."""
        return message

    def stream(self, order: Order, line: Line, count: int) -> Meter:
        go, size = self.prepare(order.word(count)), order.case.size
        header = answer_length(size) - size
        read, read_into = self._connection.recv, self._connection.recv_into
        messages: Deque[memoryview] = deque(maxlen=1)  # the last one is still there when the next comes
        with Meter() as meter:
            line.send(go)
            for _ in range(count):
                left = header
                while left:
                    left -= len(read(left))
                message, start = memoryview(bytearray(size)), 0
                while start < size:
                    start += read_into(message[start:])
                messages.append(message)
        return meter

    def _open_in_thread(self, order: Order, url: str) -> Line:
        opened, closing, closed = (_thread.allocate_lock() for _ in range(3))
        lines: List[Line] = []
        open_line = super().open

        def run() -> None:
            try:
                lines.append(open_line(order, url))
            finally:
                opened.release()
            closing.acquire()
            try:
                lines[0].close()
            finally:
                closed.release()

        def close() -> None:
            closing.release()
            closed.acquire()

        for lock in (opened, closing, closed):
            lock.acquire()
        _thread.start_new_thread(run, ())
        opened.acquire()
        return lines[0]._replace(close=close)


def _masking(send: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return lambda payload: send(encode_frame(0x82, payload, KEY))


def _squeezing(send: Callable[[bytes], Any]) -> Callable[[str], Any]:
    options = DeflateOptions()
    stream = zlib.compressobj(options.level, zlib.DEFLATED, -zlib.MAX_WBITS, options.mem_level)

    def squeeze(text: str) -> None:
        data = stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)
        send(frame(data[:-4], 0x41))  # without what ends each (RFC 7692 section 7.2.1)

    return squeeze
