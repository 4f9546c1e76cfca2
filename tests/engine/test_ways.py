"""The ways to write a message at once."""

from __future__ import annotations

import socket
import unittest
import zlib
from typing import Any, Dict, List, Optional, Tuple, Type
from unittest import mock

from tests.clock import StillClock
from tests.interrupts import Interrupt, interrupted_at
from tests.support import cases, with_cases
from wssync.engine.ways import Compressing, Direct, Rest, Sealed, Staged, Way, choose
from wssync.errors import ConnectionClosed
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.transport.waiting import Waker

from .sealing import SealingStream
from .support import Frame, MemoryStream, frames_in

KINDS: Dict[str, Type[Any]] = {
    "staged": Staged,
    "sealed": Sealed,
    "direct": Direct,
}
BINARY = 0x82
BIG = bytes(range(256)) * 240
"""More than a small buffer of the kernel takes at once."""


class WayTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.peer: Optional[socket.socket] = None
        waker = Waker()
        self.addCleanup(waker.close)
        self.waker = waker

    def open(self, kind: str, compressor: Optional[Compressor] = None) -> Way:
        """A way over a new pair of sockets; the other end is `self.peer`."""
        left, self.peer = socket.socketpair()
        self.addCleanup(self.peer.close)
        self.peer.setblocking(False)
        self.stream = SealingStream(left, self.waker)
        self.addCleanup(self.stream.close)
        self.encoder = Encoder(Role.CLIENT)
        way = self.open_uncompressed(kind)
        return way if compressor is None else Compressing(compressor, way)

    def open_uncompressed(self, kind: str) -> Way:
        if kind == "staged":
            return Staged(self.encoder, self.stream)
        if kind == "sealed":
            return Sealed(self.encoder, self.stream, self.stream.sealing)
        assert self.stream.direct is not None
        return Direct(self.encoder, self.stream.direct)

    def shrink(self) -> None:
        """Let the kernel take little at once."""
        self.stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    def fill(self) -> bytes:
        """Let the kernel take nothing more; what it has taken."""
        taken: List[bytes] = []
        while True:
            size = self.stream.send(b"\0" * 1000)
            if not size:
                return b"".join(taken)
            taken.append(b"\0" * size)

    def came(self) -> bytes:
        """Everything that has come to the other end."""
        assert self.peer is not None
        pieces: List[bytes] = []
        try:
            while True:
                pieces.append(self.peer.recv(1 << 20))
        except BlockingIOError:
            return b"".join(pieces)

    def left(self, rest: Rest) -> Rest:
        """How much of a frame has really left: a stream may keep, or remember, what becomes of it."""
        accepted, frame = rest
        if self.stream.remembers:
            accepted += self.stream.send(frame[accepted:])
        accepted -= len(self.stream.kept)
        self.stream.kept = b""
        return accepted, frame

    def completed(self, sent: bytes, rest: Rest, number: int) -> bytes:
        """What was sent and what is left of it. Of what has left whole only the size need be known."""
        accepted, frame = self.left(rest)
        if accepted == len(sent) == len(frame):
            return sent
        self.assertEqual(sent, frame[:accepted], f"after call {number}")
        return frame

    def frames(self) -> List[Frame]:
        frames, rest = frames_in(self.came())
        self.assertEqual(rest, b"", "a part of a frame")
        return frames

    def whole(self, rest: Optional[Tuple[int, bytes]]) -> List[Frame]:
        """The frames that come of it when what is left of one is sent too."""
        if rest is not None:
            accepted, frame = self.left(rest)
            data = self.came()
            self.assertEqual(data[len(data) - accepted :], frame[:accepted])
            frames, left = frames_in(data + frame[accepted:])
        else:
            frames, left = frames_in(self.came())
        self.assertEqual(left, b"")
        return frames


@with_cases
class SendingTests(WayTestCase):
    @cases(KINDS)
    def test_a_message_leaves_as_one_frame(self, kind: Type[Any]) -> None:
        """Rules 108, 112 and 114: whole, of every size, and nothing is left of it."""
        way = self.open(kind.__name__.lower())
        for size in (0, 1, 125, 126, 4082, 4083, 30_000, 65_535, 65_536):
            self.assertTrue(way.send(BINARY, bytes(size)))
            self.assertIsNone(way.rest())
            self.assertEqual(self.frames(), [(Opcode.BINARY, bytes(size))])
        self.assertTrue(way.send(0x81, b"text"))
        self.assertEqual(self.frames(), [(Opcode.TEXT, b"text")])

    @cases(KINDS)
    def test_each_has_a_key_of_its_own(self, kind: Type[Any]) -> None:
        """Rule 111: also beyond the stock of keys, which is filled up from the operating system."""
        way = self.open(kind.__name__.lower())
        self.encoder._random = mock.Mock(side_effect=[b"abcdefgh", b"ijkl"])
        for _ in range(3):
            way.send(BINARY, b"")
        self.assertEqual(self.came(), b"\x82\x80efgh\x82\x80abcd\x82\x80ijkl")

    @cases(KINDS)
    def test_a_kernel_that_takes_a_part(self, kind: Type[Any]) -> None:
        """Whatever it did not take is told, with what it did, until somebody takes care of it."""
        way = self.open(kind.__name__.lower())
        self.shrink()
        while way.send(BINARY, BIG):
            pass
        rest = way.rest()
        assert rest is not None
        self.assertEqual({payload for _, payload in self.whole(rest)}, {BIG})
        self.assertEqual(way.rest(), rest)
        way.forget()
        self.assertIsNone(way.rest())
        self.assertTrue(way.send(BINARY, b"next"))
        self.assertEqual(self.frames(), [(Opcode.BINARY, b"next")])

    @cases(KINDS)
    def test_a_kernel_that_takes_nothing(self, kind: Type[Any]) -> None:
        """It does not wait; all of the frame is left."""
        way = self.open(kind.__name__.lower())
        filled = self.fill()
        self.assertFalse(way.send(BINARY, b"x" * 20_000))
        rest = way.rest()
        assert rest is not None
        self.assertEqual(frames_in(rest[1]), ([(Opcode.BINARY, b"x" * 20_000)], b""))
        self.assertEqual(self.left(rest)[0], 0)
        self.assertEqual(self.came(), filled)

    @cases(KINDS)
    def test_a_broken_connection(self, kind: Type[Any]) -> None:
        """It is told, with the system's error or as its cause, and no signal ends the program."""
        way = self.open(kind.__name__.lower())
        assert self.peer is not None
        self.peer.close()
        with self.assertRaises((ConnectionClosed, OSError)) as caught:
            way.send(BINARY, b"x")
        error = caught.exception
        self.assertIsInstance(error if isinstance(error, OSError) else error.__cause__, BrokenPipeError)


@with_cases
class InterruptTests(WayTestCase):
    def assertNothingLost(self, kind: str, payload: bytes, prepare: Any) -> None:
        """Interrupted after any call: no part of a frame is ever without its other part, and none comes twice."""
        number = 0
        while True:
            way = self.open(kind)
            before = prepare()
            hit = interrupted_at(number, lambda way=way: way.send(BINARY, payload))  # type: ignore[misc]
            number += hit
            try:
                rest = way.rest()
            except ConnectionClosed:
                self.assertEqual((kind, hit, self.came()), ("sealed", True, before), "within TLS alone")
                continue
            sent = self.came()
            self.assertEqual(sent[: len(before)], before)
            sent = sent[len(before) :]
            if rest is not None:
                sent = self.completed(sent, rest, number)
            frames, left = frames_in(sent)
            self.assertEqual(left, b"", f"after call {number}")
            self.assertIn(frames, ([], [(Opcode.BINARY, payload)]))
            way.forget()
            self.assertTrue(way.send(BINARY, b"next"))
            self.assertEqual(self.frames(), [(Opcode.BINARY, b"next")], f"after call {number}")
            if not hit:
                break
        self.assertGreater(number, 2)

    @cases(KINDS)
    def test_while_the_kernel_takes_all(self, kind: Type[Any]) -> None:
        """The frame has left whole, or not at all, or what is left of it is known."""
        self.assertNothingLost(kind.__name__.lower(), b"message", lambda: b"")

    @cases(KINDS)
    def test_while_the_kernel_takes_a_part(self, kind: Type[Any]) -> None:
        """How much it took is on record, however the call ends."""

        def prepare() -> bytes:
            self.shrink()
            return b""

        self.assertNothingLost(kind.__name__.lower(), BIG, prepare)

    @cases(KINDS)
    def test_while_the_kernel_takes_nothing(self, kind: Type[Any]) -> None:
        """The same."""
        self.assertNothingLost(kind.__name__.lower(), b"message", self.fill)


class StagedTests(WayTestCase):
    def memory(self) -> Staged:
        self.memory_stream = MemoryStream(StillClock())
        return Staged(Encoder(Role.CLIENT), self.memory_stream)

    def test_what_tls_holds_has_not_left(self) -> None:
        """Rule 109: the kernel has to have it; that it was taken is known."""
        way = self.memory()
        self.memory_stream.holds = True
        self.assertFalse(way.send(BINARY, b"message"))
        rest = way.rest()
        assert rest is not None
        self.assertEqual(rest, (len(rest[1]), bytes(self.memory_stream.outgoing)))

    def test_what_was_sent_is_not_flushed_once_more(self) -> None:
        """Of a flush that is interrupted nobody knows what it did; `send` has tried all there is to try."""
        way = self.memory()
        with mock.patch.object(self.memory_stream, "flush", side_effect=Interrupt):
            self.assertTrue(way.send(BINARY, b"message"))

    def test_an_unknown_outcome_breaks_the_connection(self) -> None:
        """An interrupted stream that neither remembers nor is exact may have taken any part of the frame."""
        for hook in ("before_send", "after_send"):
            way = self.memory()
            setattr(self.memory_stream, hook, mock.Mock(side_effect=Interrupt))
            with self.assertRaises(Interrupt):
                way.send(BINARY, b"message")
            with self.assertRaisesRegex(ConnectionClosed, "interrupted"):
                way.rest()

    def test_a_stream_that_remembers_is_asked_again(self) -> None:
        """All of the frame is the rest: the same `send` again tells how much was taken."""
        way = self.memory()
        self.memory_stream.after_send = mock.Mock(side_effect=Interrupt)
        with self.assertRaises(Interrupt):
            way.send(BINARY, b"message")
        with mock.patch.object(MemoryStream, "remembers", True):
            self.assertEqual(way.rest(), (0, bytes(self.memory_stream.outgoing)))

    def test_an_interrupt_before_anything_is_none(self) -> None:
        """Without compression a frame that was not made, or not offered, has not begun to leave."""
        way = self.memory()
        with mock.patch.object(Encoder, "key", side_effect=Interrupt), self.assertRaises(Interrupt):
            way.send(BINARY, b"message")
        self.assertIsNone(way.rest())


class SealedTests(WayTestCase):
    def test_what_is_too_long_is_staged(self) -> None:
        """It is offered to the stream as it is, as is what comes while the stream has something to send first."""
        way = self.open("sealed")
        self.stream.LONGEST = 10
        self.assertTrue(way.send(BINARY, b"message"))
        self.assertEqual(self.frames(), [(Opcode.BINARY, b"message")])
        self.fill()
        self.assertFalse(way.send(BINARY, b"message"))
        rest = way.rest()
        assert rest is not None
        self.assertEqual((rest[0], self.stream.kept), (0, b""))

    def test_an_interrupt_while_sealing_breaks_the_connection(self) -> None:
        """Every record of TLS counts: one that was made and not sent is missed by the peer."""
        way = self.open("sealed")
        with mock.patch.object(way, "_seal", side_effect=Interrupt), self.assertRaises(Interrupt):
            way.send(BINARY, b"message")
        with self.assertRaisesRegex(ConnectionClosed, "interrupted"):
            way.rest()
        way.forget()
        self.assertIsNone(way.rest())

    def test_what_the_kernel_did_not_take_is_kept(self) -> None:
        """The stream has all of the frame, and sends what is left of its cipher text; asked again it is the same."""
        way = self.open("sealed")
        self.fill()
        self.assertFalse(way.send(BINARY, b"message"))
        for _ in range(2):
            rest = way.rest()
            assert rest is not None
            self.assertEqual((rest[0], self.stream.kept), (len(rest[1]), rest[1]))


def make_compressor() -> Compressor:
    return Compressor(DeflateParameters(False, False, 15, 15), Role.CLIENT, DeflateOptions())


@with_cases
class CompressingTests(WayTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.inflater = zlib.decompressobj(-15)

    def inflate(self, frame: bytes) -> bytes:
        """The message in the one frame, which is a compressed one: the next that this inflater sees."""
        [(opcode, payload)], left = frames_in(frame)
        self.assertEqual((frame[0], opcode, left), (0xC2, Opcode.BINARY, b""))
        return self.inflater.decompress(payload + b"\0\0\xff\xff")

    @cases(KINDS)
    def test_messages_follow_each_other(self, kind: Type[Any]) -> None:
        """Rules 197 and 198: each is in one frame with RSV1, and needs those before; what is short is as it was."""
        way = self.open(kind.__name__.lower(), make_compressor())
        self.assertIsNone(way.rest())
        sizes = []
        for _ in range(3):
            sizes.append(way.send(BINARY, BIG[:1000]))
            self.assertIsNone(way.rest())
            sent = self.came()
            self.assertEqual((self.inflate(sent), len(sent)), (BIG[:1000], sizes[-1]))
        self.assertLess(max(sizes[1:]), 50)
        way.send(BINARY, b"short")
        self.assertEqual(self.frames(), [(Opcode.BINARY, b"short")])

    @cases(KINDS)
    def test_interrupted_after_any_call(self, kind: Type[Any]) -> None:
        """Compressor and inflater stay in step, or the connection counts as broken."""
        number = kept = 0
        hit = True
        while hit:
            way = self.open(kind.__name__.lower(), make_compressor())
            self.inflater = zlib.decompressobj(-15)
            hit = interrupted_at(number, lambda way=way: way.send(BINARY, BIG[:1000]))  # type: ignore[misc]
            number += 1
            try:
                rest = way.rest()
            except ConnectionClosed:
                self.assertTrue(hit)
                way.forget()
                self.assertIsNone(way.rest())
                continue
            sent = self.came()
            if rest is not None:
                sent = self.completed(sent, rest, number)
            self.assertEqual(self.inflate(sent), BIG[:1000])
            way.forget()
            self.assertTrue(way.send(BINARY, BIG[:1000]))
            self.assertEqual(self.inflate(self.came()), BIG[:1000])
            kept += 1
        self.assertGreater(number - kept, 1)

    @cases(KINDS)
    def test_a_short_message_that_was_interrupted(self, kind: Type[Any]) -> None:
        """The compressor has not seen it: a frame that has left, or has not begun to, breaks nothing."""
        broken, number, hit = 0, 0, True
        while hit:
            way = self.open(kind.__name__.lower(), make_compressor())
            hit = interrupted_at(number, lambda way=way: way.send(BINARY, b"short"))  # type: ignore[misc]
            number += 1
            try:
                way.rest()
            except ConnectionClosed:
                broken += 1
        self.assertLessEqual(broken, 5 if kind is Sealed else 3)
        self.assertGreater(number, broken + 1)

    def test_an_interrupted_compressor_breaks_the_connection(self) -> None:
        """The peer's inflater must see what the compressor has seen; what that was is not known."""
        with mock.patch.object(Compressor, "compress", side_effect=Interrupt):
            way = self.open("staged", make_compressor())
            with self.assertRaises(Interrupt):
                way.send(BINARY, b"message" * 100)
        with self.assertRaisesRegex(ConnectionClosed, "interrupted"):
            way.rest()
        way.forget()
        self.assertIsNone(way.rest())

    def test_a_compressed_message_goes_out_once_it_was_compressed(self) -> None:
        """An interrupt behind the compressor leaves the frame to be sent."""
        way = self.open("staged", make_compressor())
        with mock.patch.object(self.stream, "send", side_effect=Interrupt), self.assertRaises(Interrupt):
            way.send(BINARY, b"message" * 100)
        rest = way.rest()
        assert rest is not None
        self.assertEqual((rest[0], rest[1][0], self.came()), (0, 0xC2, b""))


class ChoiceTests(WayTestCase):
    def test_the_quickest_that_there_is(self) -> None:
        """The socket itself where nothing stands before it."""
        self.open("staged")
        plain, compressing = Encoder(Role.CLIENT), Encoder(Role.CLIENT, make_compressor())
        self.assertIs(type(choose(plain, self.stream)), Direct)
        way = choose(compressing, self.stream)
        assert isinstance(way, Compressing)
        self.assertIs(type(way._way), Direct)
        self.assertIs(type(choose(plain, MemoryStream(StillClock()))), Staged)
        with mock.patch.object(SealingStream, "direct", None):
            self.assertIsInstance(choose(plain, self.stream), Sealed)


if __name__ == "__main__":
    unittest.main()
