"""The floor of a client in Python: what `raw` does, and what no such client gets round.

Each frame is masked by wssync's function that does it without the accelerator, always with the same key; each
connection has a thread, which opens it and closes it. Nothing is promised: who else sends is not looked at, nothing is
checked, nothing is counted.
"""

from __future__ import annotations

import _thread
from typing import Any, List

from tests.bench.clients import raw
from tests.bench.clients.orders import Line, Order
from wssync.protocol.frames import encode_frame

__all__ = ["Client", "version"]

KEY = b"\x37\xfa\x21\x3d"

version = raw.version


class Client(raw.Client):
    """It takes part where one of the two makes a difference."""

    def open(self, order: Order, url: str) -> Line:
        if order.case.kind == "connect":
            return self._open_in_thread(order, url)
        line = super().open(order, url)
        send = line.send
        return line._replace(send=lambda payload: send(encode_frame(0x82, payload, KEY)))

    def prepare(self, message: Any) -> Any:
        """It is masked when it is sent."""
        return message

    def _open_in_thread(self, order: Order, url: str) -> Line:
        opened, closing, closed = (_thread.allocate_lock() for _ in range(3))
        lines: List[Line] = []
        open_line = super().open

        def run() -> None:
            try:
                lines.append(open_line(order, url))
                opened.release()
                closing.acquire()
                lines[0].close()
            finally:
                for lock in (opened, closed):
                    if lock.locked():
                        lock.release()

        def close() -> None:
            closing.release()
            closed.acquire()

        for lock in (opened, closing, closed):
            lock.acquire()
        _thread.start_new_thread(run, ())
        opened.acquire()
        return lines[0]._replace(close=close)
