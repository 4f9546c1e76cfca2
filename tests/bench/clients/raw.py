"""The floor: the same bytes over a blocking socket.

Frames are built before the clock runs, with a masking key of zeros; what is received is read and not looked at.
"""

from __future__ import annotations

import struct
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from typing import Any, Callable
from urllib.parse import urlsplit

from tests.bench.clients import orders
from tests.bench.clients.blocking import Blocking
from tests.bench.clients.orders import Line, Meter, Order, Skip

__all__ = ["Client", "version"]

WINDOW = 256 * 1024
"""A read takes at most this, into a buffer that stays in the processor's cache."""


def version() -> str:
    """Nothing to tell: it is Python's own socket."""
    return ""


class Client(Blocking):
    """Bytes, with the headers of WebSocket frames among them."""

    offer = ""
    """The field of the request that offers compression, for whoever can do it."""

    def __init__(self) -> None:
        super().__init__()
        self._window = memoryview(bytearray(WINDOW))

    def open(self, order: Order, url: str) -> Line:
        if order.case.deflate and not self.offer:
            raise Skip("it does not compress")
        parts = urlsplit(url)
        connection: Any = create_connection((parts.hostname, parts.port))
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        context = orders.context(order)
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname=parts.hostname)
        connection.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{self.offer if order.case.deflate else ''}\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(4096)
        self._connection = connection
        self._expected = 1 if url.startswith(f"{order.url}/count") else answer_length(order.case.size)
        receive = self._counter() if order.case.kind == "pipe" else self._receiver()
        return Line(connection.sendall, receive, lambda: _close(connection))

    def _counter(self) -> Callable[[], None]:
        """The messages are all of one length, so they need not be looked at."""
        window, read, expected = self._window, self._connection.recv_into, self._expected
        there = 0

        def receive() -> None:
            nonlocal there
            while there < expected:
                there += read(window)
            there -= expected

        return receive

    def _receiver(self) -> Callable[[], memoryview]:
        window = self._window
        read, expected = self._connection.recv_into, self._expected

        def receive() -> memoryview:
            got: int = read(window)
            last = got
            while got < expected:
                last = read(window)
                got += last
            return window[:last]

        return receive

    def prepare(self, message: Any) -> bytes:
        return frame(message) if isinstance(message, bytes) else frame(message.encode(), 1)

    def stream(self, order: Order, line: Line, count: int) -> Meter:
        # Where a message ends in a stream is not to be seen without looking: it is read by the byte.
        go, left = self.prepare(order.word(count)), count * answer_length(order.case.size)
        window, read = self._window, self._connection.recv_into
        with Meter() as meter:
            line.send(go)
            while left:
                left -= read(window)
        return meter

    def wire(self, reply: Any) -> float:
        return float(bytes(reply[2:]).split()[1])


def _close(connection: Any) -> None:
    connection.sendall(frame(b"\x03\xe8", 8))
    while connection.recv(4096):
        pass
    connection.close()


def answer_length(size: int) -> int:
    """The length of a server's frame, which has no masking key."""
    return size + (2 if size < 126 else 4 if size < 1 << 16 else 10)


def frame(payload: bytes, opcode: int = 2) -> bytes:
    """A frame as a client sends it, masked with zeros."""
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 0xFF, length)
    return header + bytes(4) + payload
