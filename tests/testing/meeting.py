"""A handler that is the test itself: with the server's side of a connection in one hand and the client in the other."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Callable, Iterator, List, Tuple
from unittest import mock

from wssync.errors import ConnectionClosed
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.testing import Server, ServerConnection

from .client import TIMEOUT, Client, ServerCase

BIG = 64 * 1024 * 1024
"""More than the kernel keeps for both sides of a connection on loopback, however generous it is."""


def masked(opcode: Opcode, payload: bytes) -> bytes:
    """A frame of a client, without an object that remembers anything."""
    encoder = Encoder(Role.CLIENT)
    return (
        encoder.control(opcode, payload)
        if opcode >= Opcode.CLOSE
        else b"".join(map(bytes, encoder.pieces(opcode, payload)))
    )


@contextlib.contextmanager
def noted_sends(server: Server) -> Iterator[List[bytes]]:
    """What each `send` of a connection of `server` gave to the kernel, in the order of the calls."""
    port = int(server.url.split(":")[2].strip("/"))
    real = socket.socket.send
    sent: List[bytes] = []

    def send(sock: socket.socket, data: bytes, *flags: int) -> int:
        ours = sock.family == socket.AF_INET and sock.getsockname()[1] == port
        taken = real(sock, data, *flags)
        if ours:
            sent.append(bytes(data[:taken]))
        return taken

    with mock.patch.object(socket.socket, "send", send):
        yield sent


class HandlerCase(ServerCase):
    """What a handler sees: the test is the handler, with a connection whose own handler only waits for the end."""

    def meet(self, **arguments: Any) -> Tuple[ServerConnection, Client]:
        opening = arguments.pop("client", {})
        self.server = self.serve(lambda connection: connection.wait_until_closed(None), **arguments)
        client = self.open(self.server, **opening)
        return self.server.wait_for_connection(TIMEOUT), client

    def assertEnds(self, call: Callable[[], object], code: int = 1006, **details: object) -> ConnectionClosed:
        with self.assertRaises(ConnectionClosed) as caught:
            call()
        self.assertEqual(caught.exception.code, code)
        for name, value in details.items():
            self.assertEqual(getattr(caught.exception, name), value, name)
        return caught.exception
