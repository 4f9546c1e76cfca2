"""The way of a short message over TLS, and receiving into memory, which TLS has too.

The other end is a TLS server in memory, behind a socket's two calls that the test plays.
"""

from __future__ import annotations

import ssl
import unittest
from typing import List, Optional
from unittest import mock

from tests.interrupts import interrupted_at
from tests.transport.support import client_context, server_context
from tests.transport.test_tls_stream import MemoryPeer, MemoryTestCase
from wssync.engine.ways import Compressing, Sealed, Staged, choose
from wssync.errors import ConnectionClosed
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.transport.stream import Buffer, Direct
from wssync.transport.tls_stream import TLSStream

from ..protocol.wire import BINARY as BINARY_FRAME
from ..protocol.wire import frame
from .support import Frame, Rig, frames_in

BINARY = 0x82


class KernelPeer(MemoryPeer):
    """One whose socket takes as much as there is room for, or nothing."""

    broken = False

    @property
    def direct(self) -> Direct:
        return Direct(-1, self.take, 0, lambda memory, count, flags: 0, 0)

    def take(self, data: Buffer, flags: int) -> int:
        if self.broken:
            raise BrokenPipeError(32, "gone")
        taken = self.send(data)
        if data and not taken:
            raise BlockingIOError
        return taken


class SealedTests(MemoryTestCase):
    """`Sealed`."""

    def setUp(self) -> None:
        super().setUp()
        self.peer: KernelPeer = KernelPeer(server_context())
        self.stream = TLSStream(self.peer, client_context(), "localhost")
        self.connect()
        self.encoder = Encoder(Role.CLIENT)
        way = choose(self.encoder, self.stream)
        assert isinstance(way, Sealed)
        self.way = way

    def frames(self) -> List[Frame]:
        frames, rest = frames_in(self.peer.read())
        self.assertEqual(rest, b"", "a part of a frame")
        return frames

    def test_it_is_chosen_for_tls_on_a_socket_alone(self) -> None:
        """Also behind a compressor; behind another TLS a message is staged."""
        within = TLSStream(MemoryPeer(server_context()), client_context(), "localhost")
        self.assertIs(type(choose(self.encoder, within)), Staged)
        compressor = Compressor(DeflateParameters(), Role.CLIENT, DeflateOptions())
        way = choose(Encoder(Role.CLIENT, compressor), self.stream)
        assert isinstance(way, Compressing)
        self.assertIs(type(way._way), Sealed)

    def test_a_message_leaves_as_one_frame(self) -> None:
        """Rules 108, 112 and 114: of every size, more than a record too; nothing is left of it."""
        for size in (0, 1, 125, 126, 16_376, 16_377, 65_000):
            self.assertTrue(self.way.send(BINARY, bytes(size)))
            self.assertIsNone(self.way.rest())
            self.assertFalse(self.stream.has_output)
            self.assertEqual(self.frames(), [(Opcode.BINARY, bytes(size))])

    def test_each_has_a_key_of_its_own(self) -> None:
        """Rule 111: also beyond the stock of keys."""
        self.encoder._random = mock.Mock(side_effect=[b"abcdefgh", b"ijkl"])
        for _ in range(3):
            self.way.send(BINARY, b"")
        self.assertEqual(self.peer.read(), b"\x82\x80efgh\x82\x80abcd\x82\x80ijkl")

    def test_a_kernel_that_is_full(self) -> None:
        """The stream has taken all of the frame, and keeps what the kernel did not; then the way is free again."""
        for room in (0, 10):
            self.peer.room = room
            self.assertFalse(self.way.send(BINARY, b"message"))
            rest = self.way.rest()
            assert rest is not None
            self.assertEqual(rest[0], len(rest[1]))
            self.way.forget()
            self.assertIsNone(self.way.rest())
            self.assertTrue(self.stream.has_output)
            self.peer.room = None
            self.assertTrue(self.stream.flush())
            self.assertTrue(self.way.send(BINARY, b"next"))
            self.assertEqual(self.frames(), [(Opcode.BINARY, b"message"), (Opcode.BINARY, b"next")])

    def test_a_stream_that_has_something_left(self) -> None:
        """Nothing overtakes it: then it is staged, and not taken before that has gone."""
        self.peer.room = 10
        self.stream.send(b"")
        self.assertFalse(self.way.send(BINARY, b"message"))
        self.assertIsNotNone(self.way.rest())
        self.way.forget()
        self.assertFalse(self.way.send(BINARY, b"next"))
        rest = self.way.rest()
        assert rest is not None
        self.assertEqual(rest[0], 0)

    def test_a_broken_connection(self) -> None:
        """The system's error."""
        self.peer.broken = True
        with self.assertRaises(BrokenPipeError):
            self.way.send(BINARY, b"x")

    def test_a_connection_that_is_closed(self) -> None:
        """ConnectionClosed, as from any send."""
        self.stream.shutdown_write()
        with self.assertRaises(ConnectionClosed) as caught:
            self.way.send(BINARY, b"x")
        self.assertIsInstance(caught.exception.__cause__, ssl.SSLError)

    def test_an_interrupt_after_any_call(self) -> None:
        """The frame has left whole, or what is left of it is known, or the connection counts as broken."""
        number = broken = 0
        hit = True
        while hit:
            self.setUp()
            self.assertTrue(self.way.send(BINARY, b"before"))
            self.assertEqual(self.frames(), [(Opcode.BINARY, b"before")])
            self.peer.room = 20 if number % 2 else None
            hit = interrupted_at(number // 2, lambda: self.way.send(BINARY, b"message"))
            number += 1
            self.peer.room = None
            try:
                rest = self.way.rest()
            except ConnectionClosed:
                broken += 1
                continue
            self.assertEqual(self.way.rest(), rest, "an interrupt may come once more")
            self.way.forget()
            self.assertTrue(self.stream.flush())
            frames = self.frames()
            self.assertIn(frames, ([], [(Opcode.BINARY, b"message")]))
            self.assertEqual(bool(frames), rest is not None or not hit)
            self.assertTrue(self.way.send(BINARY, b"next"))
            self.assertEqual(self.frames(), [(Opcode.BINARY, b"next")])
        self.assertGreater(broken, 0)
        self.assertGreater(number, broken)


class IntoTests(unittest.TestCase):
    """Where a stream receives into memory, a long message comes to its place without a detour."""

    def test_a_long_message(self) -> None:
        """The middle of it is not fed to the decoder, and the message is whole."""
        rig = Rig(self, maximum_message_size=None)
        message = bytes(range(256)) * 1000
        data = frame(BINARY_FRAME, message)
        left = [data[4_000:150_000], b"", data[150_000:220_000], b""]
        patience: List[bool] = []

        def recv_into(memory: memoryview, patient: bool) -> Optional[int]:
            patience.append(patient)
            count = min(len(left[0]), len(memory))
            memory[:count] = left[0][:count]
            left[0] = left[0][count:]
            if not count and len(left) > 1:
                del left[0]
            return count or None

        rig.engine.reader._recv_into = recv_into
        rig.stream.give(data[:4_000])
        for _ in range(20):
            rig.engine.reader.role.attempt(rig.engine.reader.read)
        self.assertEqual((left, rig.connection.inbox.unread), ([b""], 0))
        rig.engine.reader._recv_into = None
        rig.give(data[220_000:])
        self.assertEqual(rig.connection.take(), message)
        self.assertEqual(set(patience), {False})


if __name__ == "__main__":
    unittest.main()
