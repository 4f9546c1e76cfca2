"""What really was on the wire: a relay in front of a server, which keeps the bytes of both directions.

A server's own word for what it sent is worth little in a test of that server. So the head of its answer and the headers
of the frames are read from here.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Iterator, List, NamedTuple, Optional, Set, Type

__all__ = ["Conversation", "FrameHeader", "Tap"]

READ_SIZE = 65536


class FrameHeader(NamedTuple):
    """The first byte of a frame (RFC 6455 section 5.2), taken apart, and the length of its payload."""

    final: bool
    reserved: int
    opcode: int
    length: int

    @property
    def compressed(self) -> bool:
        """Whether RSV1 says that a compressed message begins here (RFC 7692 section 6)."""
        return self.reserved == 0b100


class Conversation:
    """One connection through the tap: all that the client said, and all that the server said."""

    def __init__(self) -> None:
        self.client = bytearray()
        self.server = bytearray()

    @property
    def response(self) -> str:
        """The head of the server's answer."""
        return bytes(self.server).partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def client_messages(self) -> List[FrameHeader]:
        """The first frame of every message of the client."""
        return _messages(bytes(self.client))

    @property
    def server_messages(self) -> List[FrameHeader]:
        """The first frame of every message of the server."""
        return _messages(bytes(self.server))


def _messages(data: bytes) -> List[FrameHeader]:
    frames = _frames(data.partition(b"\r\n\r\n")[2])
    return [frame for frame in frames if frame.opcode in (1, 2)]


def _frames(data: bytes) -> Iterator[FrameHeader]:
    """The headers of all frames, also of one that is not complete yet."""
    while len(data) >= 2:
        length, size = data[1] & 0x7F, 2
        if length == 126:
            length, size = struct.unpack_from("!H", data, 2)[0], 4
        elif length == 127:
            length, size = struct.unpack_from("!Q", data, 2)[0], 10
        yield FrameHeader(bool(data[0] & 0x80), data[0] >> 4 & 7, data[0] & 15, length)
        data = data[size + (4 if data[1] & 0x80 else 0) + length :]


class Tap:
    """A relay to `port` of 127.0.0.1, which listens on `self.port` while the context is open."""

    def __init__(self, port: int) -> None:
        self._conversations: List[Conversation] = []
        self._relay = _Relay(port, self._conversations)
        self.port: int = self._relay.server_address[1]
        self._thread = threading.Thread(target=self._relay.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._relay.shutdown()
        self._thread.join()
        for sock in list(self._relay.sockets):  # browsers keep connections that they may want later
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._relay.server_close()  # waits for the threads

    @property
    def upgraded(self) -> List[Conversation]:
        """The connections that became WebSockets, in order."""
        return [each for each in self._conversations if each.server.startswith(b"HTTP/1.1 101 ")]


class _Relay(socketserver.ThreadingTCPServer):
    def __init__(self, target: int, conversations: List[Conversation]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.conversations = conversations
        self.sockets: Set[socket.socket] = set()


class _Handler(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        conversation = Conversation()
        self.server.conversations.append(conversation)
        with socket.create_connection(("127.0.0.1", self.server.target)) as beyond:
            self.server.sockets |= {self.request, beyond}
            back = threading.Thread(target=_pump, args=(beyond, self.request, conversation.server), daemon=True)
            back.start()
            _pump(self.request, beyond, conversation.client)
            back.join()
            self.server.sockets -= {self.request, beyond}


def _pump(source: socket.socket, target: socket.socket, record: bytearray) -> None:
    """Pass on all that comes, its end too. It is recorded first: who has received something finds it here."""
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(READ_SIZE)
            if not data:
                break
            record += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
