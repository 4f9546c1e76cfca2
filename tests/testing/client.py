"""A client for the tests of `wssync.testing`: a blocking socket, and `wssync.protocol` in the client's role.

It does nothing by itself: it answers no ping and no Close, so the tests see what the server does alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import socket
import ssl
import struct
import unittest
from collections import deque
from typing import Any, Deque, List, Optional, Sequence, Tuple, Union
from unittest import mock

from wssync.protocol.closing import encode_close
from wssync.protocol.deflate import Compressor, DeflateOptions, Inflater
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.protocol.handshake import Accepted, judge, make_upgrade
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import HeadReader, Response, parse_response_head
from wssync.protocol.messages import Decoder, Event
from wssync.protocol.urls import parse_url
from wssync.testing import Handler, Server, echo

TIMEOUT = 20.0
"""Seconds after which a test has failed; none of them comes near it."""

needs_trustme = unittest.skipUnless(importlib.util.find_spec("trustme"), "trustme is not installed")


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
    sock.close()


class Client:
    """A connection to `server`; `upgrade()` asks it to open."""

    def __init__(self, server: Server, context: Optional[ssl.SSLContext] = None) -> None:
        self.url = parse_url(server.url)
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", self.url.port), TIMEOUT)
        if self.url.secure:
            with contextlib.ExitStack() as undo:
                undo.callback(self.sock.close)
                context = context or ssl.create_default_context(cafile=server.ca_file)
                self.sock = context.wrap_socket(self.sock, server_hostname=self.url.host)
                undo.pop_all()
        self.verdict: object = None
        self.events: Deque[Event] = deque()

    def upgrade(
        self, protocols: Sequence[str] = (), deflate: Optional[DeflateOptions] = None, behind: bytes = b""
    ) -> Client:
        """Send a request, with the bytes `behind` it, and read the head of the answer."""
        upgrade = make_upgrade(
            self.url,
            headers=Headers(),
            additional=Headers(),
            protocols=protocols,
            deflate=deflate,
            nonce=os.urandom(16),
        )
        self.sock.sendall(upgrade.to_bytes() + behind)
        self.response, rest = self.read_response()
        self.verdict = judge(upgrade, self.response)
        compressor = inflater = None
        if isinstance(self.verdict, Accepted) and deflate is not None and self.verdict.deflate is not None:
            compressor = Compressor(self.verdict.deflate, Role.CLIENT, deflate)
            inflater = Inflater(self.verdict.deflate, Role.CLIENT)
        self.encoder = Encoder(Role.CLIENT, compressor)
        self.decoder = Decoder(Role.CLIENT, maximum_message_size=None, inflater=inflater)
        self.events.extend(self.decoder.feed(rest))
        return self

    def read_response(self) -> Tuple[Response, bytes]:
        """The next response head, and the bytes behind it."""
        reader = HeadReader()
        found = None
        while found is None:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the server hung up")
            found = reader.feed(data)
        return parse_response_head(found[0], str(self.url)), found[1]

    def send(self, message: Union[str, bytes]) -> None:
        """Send a message."""
        text = isinstance(message, str)
        payload = message.encode() if isinstance(message, str) else message
        for piece in self.encoder.pieces(Opcode.TEXT if text else Opcode.BINARY, payload):
            self.sock.sendall(piece)

    def control(self, opcode: Opcode, payload: bytes = b"") -> None:
        """Send a control frame."""
        self.sock.sendall(self.encoder.control(opcode, payload))

    def close(self, code: Optional[int] = 1000, reason: Optional[str] = None) -> None:
        """Send a Close frame."""
        self.control(Opcode.CLOSE, encode_close(code, reason))

    def receive(self) -> Event:
        """The next message, ping, pong or Close; EOFError at the end of the stream."""
        while not self.events:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.events.extend(self.decoder.feed(data))
        return self.events.popleft()

    def exactly(self, n: int) -> bytes:
        """The next `n` bytes, fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def rest(self) -> bytes:
        """All bytes until the server has finished sending."""
        data: List[bytes] = []
        while True:
            data.append(self.sock.recv(65536))
            if not data[-1]:
                return b"".join(data)


class ServerCase(unittest.TestCase):
    """A test case whose servers and clients are closed at its end, and whose servers complain to nobody."""

    def setUp(self) -> None:
        logger = logging.getLogger("wssync.testing")
        silence = logging.NullHandler()
        logger.addHandler(silence)
        self.addCleanup(logger.removeHandler, silence)
        quiet = mock.patch.object(logger, "propagate", False)
        quiet.start()
        self.addCleanup(quiet.stop)

    def serve(self, handler: Handler = echo, **arguments: Any) -> Server:
        """A running server."""
        server = Server(handler, **arguments)
        server.start()
        self.addCleanup(server.close)
        return server

    def connect(self, server: Server) -> Client:
        """A client that is connected and has said nothing."""
        client = Client(server)
        self.addCleanup(client.sock.close)
        return client

    def open(self, server: Server, **arguments: Any) -> Client:
        """A client that has asked for an upgrade and read the answer."""
        return self.connect(server).upgrade(**arguments)
