"""Sending at once over a socket, with TLS and without, in both forms: in Python and compiled. They behave alike in all
things.

A stand-in for the outbox writes down what it is told, so that each step can be made to fail.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import socket
import sys
import threading
import unittest
import weakref
from typing import Any, Callable, Iterator, List, Optional, Tuple, Type
from unittest import mock

from tests.interrupts import Interrupt
from tests.support import cases, with_cases
from tests.threads import Running
from wssync.engine.accelerated import CompiledExpress
from wssync.engine.express import SHORT, Express, make_express
from wssync.engine.roles import Role
from wssync.engine.ways import Direct, Sealed
from wssync.errors import ConnectionClosed
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Role as Side
from wssync.protocol.frames import encode_frame
from wssync.transport.stream import TCPStream
from wssync.transport.waiting import Waker

from .sealing import SealedStream

FORMS = {"in Python": False, "compiled": True}
BINARY = 0x82
SIZES = (0, 1, 125, 126, 4081, 4082, 4083, 4096, 30_000, 65_535, SHORT)
"""Up to 4 KiB a frame is made on the stack."""

needs_compiled = unittest.skipIf(CompiledExpress is None, "wssync._speedups was not built, or has no sockets")


class Outbox:
    """What `Express` needs of one; it stays open unless it is told otherwise."""

    def __init__(self) -> None:
        self.role = Role()
        self.express: Any = None
        self.struck: Any = None
        self.told: List[Tuple[Any, ...]] = []
        self.is_broken = True
        self.flushes = 0

    def keep_rest(self, way: Any, first: int, payload: bytes) -> Any:
        """See `Outbox.keep_rest`."""
        self.told.append(("rest", first, payload, way.rest()))
        way.forget()
        return "the message"

    def broke(self, way: Any, error: BaseException) -> bool:
        """See `Outbox.broke`."""
        self.told.append(("broke", error))
        self.express = None
        return self.is_broken

    def flush(self) -> None:
        """Behind the role, as the one who has closed the way could be."""
        assert not self.role.is_mine
        self.flushes += 1


class ExpressCase(unittest.TestCase):
    kind_of_stream: Type[TCPStream] = TCPStream

    def make(self, compiled: bool, compressor: Optional[Compressor] = None) -> Any:
        """A short way over a new pair of sockets."""
        if compiled and CompiledExpress is None:
            self.skipTest("wssync._speedups was not built, or has no sockets")
        left, self.peer = socket.socketpair()
        self.addCleanup(self.peer.close)
        self.peer.setblocking(False)
        waker = Waker()
        self.addCleanup(waker.close)
        self.stream: Any = self.kind_of_stream(left, waker)
        self.addCleanup(self.stream.close)
        self.encoder = Encoder(Side.CLIENT, compressor)
        self.keys: List[bytes] = []
        self.encoder._random = self.random
        self.outbox = outbox = Outbox()
        with mock.patch("wssync.engine.express.CompiledExpress", CompiledExpress if compiled else None):
            express = make_express(outbox, self.encoder, self.stream, lambda: outbox.flush())
        outbox.express = express
        return express

    def way(self, express: Any) -> Any:
        """What knows of a frame that has begun."""
        return express._way if isinstance(express, Express) else express

    def random(self, size: int) -> bytes:
        """As many bytes, of which no four are like others."""
        start = len(self.keys)
        self.keys.extend((start + at).to_bytes(4, "big") for at in range(size // 4))
        return b"".join(self.keys[start:])

    def came(self) -> bytes:
        """Everything that has come to the other end."""
        pieces: List[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                pieces.append(self.peer.recv(1 << 20))
        return b"".join(pieces)

    def fill(self) -> None:
        """Let the kernel take nothing more."""
        while self.stream.send(bytes(1000)):
            pass

    def accepted(self, rest: Tuple[int, bytes]) -> int:
        """How much of a frame the kernel has taken, as TLS keeps what it has not."""
        return rest[0] - len(getattr(self.stream, "kept", b""))

    def key_of(self, frame: bytes) -> bytes:
        """The masking key in it."""
        start = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
        return frame[start : start + 4]

    def counts(self, express: Any) -> Tuple[int, int, int]:
        """What it has counted."""
        return express.sent, express.messages_sent, express.wire_sent

    def assertFree(self) -> None:
        """Nobody holds the role."""
        self.assertTrue(Running(lambda: self.outbox.role.attempt(lambda: None)).result())


@with_cases
class SendingTests(ExpressCase):
    @cases(FORMS)
    def test_a_message_leaves_as_one_frame(self, compiled: bool) -> None:
        """Rules 108, 111, 112 and 114: masked with a key of its own, of every size, and it is counted."""
        express = self.make(compiled)
        used = []
        wire = 0
        for size in SIZES:
            self.assertIs(express.send_at_once(BINARY, b"x" * size), True)
            frame = self.came()
            used.append(self.key_of(frame))
            wire += len(frame)
            self.assertTrue(frame == encode_frame(BINARY, b"x" * size, used[-1]), size)
        express.send_at_once(0x81, b"text")
        frame = self.came()
        self.assertEqual(frame, encode_frame(0x81, b"text", self.key_of(frame)))
        self.assertEqual(self.counts(express), (sum(SIZES) + 4, len(SIZES) + 1, wire + len(frame)))
        self.assertEqual(len(set(used)), len(SIZES))
        self.assertLessEqual({*used}, {*self.keys})
        self.assertEqual((self.outbox.told, self.outbox.flushes, self.way(express).rest()), ([], 0, None))
        self.assertFree()

    @cases(FORMS)
    def test_keys_are_never_used_twice(self, compiled: bool) -> None:
        """Rule 111: beyond the first stock too, which grows."""
        express = self.make(compiled)
        data = b""
        for _ in range(500):
            express.send_at_once(BINARY, b"")
            data += self.came()
        used = [data[at + 2 : at + 6] for at in range(0, len(data), 6)]
        self.assertEqual((len(used), len({*used})), (500, 500))
        self.assertLessEqual({*used}, {*self.keys})

    @cases(FORMS)
    def test_a_long_message_is_not_for_it(self, compiled: bool) -> None:
        """Its pieces are made one by one, elsewhere."""
        express = self.make(compiled)
        self.assertIs(express.send_at_once(BINARY, bytes(SHORT + 1)), False)
        self.assertEqual((self.came(), self.counts(express)), (b"", (0, 0, 0)))

    @cases(FORMS)
    def test_a_kernel_that_takes_nothing(self, compiled: bool) -> None:
        """Rule 109: the outbox gets the message, and asks for the frame; it is not counted here."""
        for size in (5, 5000):
            express = self.make(compiled)
            self.fill()
            self.assertEqual(express.send_at_once(BINARY, b"x" * size), "the message")
            [(_, first, payload, (accepted, frame))] = self.outbox.told
            accepted = self.accepted((accepted, frame))
            self.assertEqual((first, payload, accepted), (BINARY, b"x" * size, 0))
            self.assertEqual(frame, encode_frame(BINARY, b"x" * size, self.key_of(frame)))
            self.assertEqual((self.counts(express), self.way(express).rest()), ((0, 0, 0), None))
            self.assertFree()

    @cases(FORMS)
    def test_a_kernel_that_takes_a_part(self, compiled: bool) -> None:
        """What it has taken, with the rest, is the whole frame."""
        express = self.make(compiled)
        self.stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        payload = bytes(range(256)) * 240
        while express.send_at_once(BINARY, payload) is True:
            self.came()
        [(_, _, _, (accepted, frame))] = self.outbox.told
        accepted = self.accepted((accepted, frame))
        self.assertGreater(accepted, 0)
        self.assertTrue(self.came().endswith(frame[:accepted]))
        self.assertTrue(frame == encode_frame(BINARY, payload, self.key_of(frame)))

    @cases(FORMS)
    def test_a_broken_connection(self, compiled: bool) -> None:
        """Rule 117: the outbox is told the system's error; nothing happened. Others go by, to the caller."""
        express = self.make(compiled)
        self.peer.close()
        self.assertIs(express.send_at_once(BINARY, b"x"), False)
        [(_, error)] = self.outbox.told
        self.assertIs(type(error), BrokenPipeError)
        self.assertEqual((error.errno, self.outbox.flushes), (errno.EPIPE, 1))
        self.assertFree()
        self.outbox.express, self.outbox.is_broken = express, False
        with self.assertRaises(BrokenPipeError):
            express.send_at_once(BINARY, b"x")
        self.assertEqual((self.counts(express), self.outbox.flushes), ((0, 0, 0), 2))
        self.assertFree()

    @cases(FORMS)
    def test_while_another_has_the_role(self, compiled: bool) -> None:
        """Nobody waits for it, and nothing happens; the holder looks again."""
        express = self.make(compiled)
        holding, done = threading.Event(), threading.Event()

        def hold() -> None:
            with self.outbox.role.lock:
                holding.set()
                done.wait()

        holder = Running(hold)
        holding.wait()
        self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual(self.outbox.flushes, 0)
        self.outbox.express = None
        self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual(self.outbox.flushes, 1)
        done.set()
        holder.result()
        self.assertEqual(self.came(), b"")

    @cases(FORMS)
    def test_in_a_signal_handler_that_interrupted_the_holder(self, compiled: bool) -> None:
        """Rule 110: the role is this thread's own, whose work must go on first."""
        express = self.make(compiled)
        with self.outbox.role.lock:
            self.outbox.express = None
            self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual((self.came(), self.outbox.flushes), (b"", 0))
        self.assertFree()

    @cases(FORMS)
    def test_once_it_is_closed(self, compiled: bool) -> None:
        """Whoever was on the way when it was closed does not send, and does what was left."""
        express = self.make(compiled)
        self.outbox.express = None
        self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual((self.came(), self.outbox.flushes), (b"", 1))
        self.assertFree()

    @cases(FORMS)
    def test_what_is_left_meanwhile_is_done(self, compiled: bool) -> None:
        """It is looked at again behind the role; what comes out of that comes out here."""
        express = self.make(compiled)
        keys = self.encoder._random

        def close(size: int) -> bytes:
            self.outbox.express = None
            return keys(size)

        self.encoder._random = close
        self.assertIs(express.send_at_once(BINARY, b"x"), True)
        self.assertEqual(self.outbox.flushes, 1)
        for _ in range(2):
            with mock.patch.object(self.outbox, "flush", side_effect=Interrupt), self.assertRaises(Interrupt):
                express.send_at_once(BINARY, b"x")
        self.assertFree()

    @cases(FORMS)
    def test_an_interrupt_of_what_is_left_comes_before_an_error(self, compiled: bool) -> None:
        """It is the later one."""
        express = self.make(compiled)
        self.peer.close()
        self.outbox.is_broken = False
        flush = mock.patch.object(self.outbox, "flush", side_effect=Interrupt)
        with flush, self.assertRaises(Interrupt) as caught:
            express.send_at_once(BINARY, b"x")
        self.assertIs(type(caught.exception.__context__), BrokenPipeError)
        self.assertFree()

    @cases(FORMS)
    def test_an_interrupt_while_the_outbox_takes_over(self, compiled: bool) -> None:
        """It hears of that, and finds the frame once more."""
        express = self.make(compiled)
        self.fill()
        self.outbox.is_broken = False
        with mock.patch.object(self.outbox, "keep_rest", side_effect=Interrupt), self.assertRaises(Interrupt):
            express.send_at_once(BINARY, b"x")
        [(_, error)] = self.outbox.told
        self.assertIsInstance(error, Interrupt)
        way = self.way(express)
        accepted, frame = way.rest()
        accepted = self.accepted((accepted, frame))
        self.assertEqual((accepted, frame), (0, encode_frame(BINARY, b"x", self.key_of(frame))))
        way.forget()
        self.assertIsNone(way.rest())
        self.assertFree()

    @cases(FORMS)
    def test_an_interrupt_before_the_outbox_could_hear_of_an_error(self, compiled: bool) -> None:
        """It goes to the caller, behind the error; the way is closed, the role free, and who may have begun is told."""
        express = self.make(compiled)
        self.peer.close()
        with mock.patch.object(self.outbox, "broke", side_effect=Interrupt), self.assertRaises(Interrupt) as caught:
            express.send_at_once(BINARY, b"x")
        self.assertIs(type(caught.exception.__context__), BrokenPipeError)
        self.assertIsNone(self.outbox.express)
        self.assertIs(self.outbox.struck, self.way(express))
        self.assertEqual(self.outbox.flushes, 1)
        self.assertFree()

    @cases(FORMS)
    def test_no_keys(self, compiled: bool) -> None:
        """The system has no random bytes to give: nothing was sent, and nothing is left."""
        express = self.make(compiled)
        self.outbox.is_broken = False
        dry = mock.patch.object(self.encoder, "_random", side_effect=OSError("no entropy"))
        with dry, self.assertRaisesRegex(OSError, "no entropy"):
            express.send_at_once(BINARY, b"x")
        self.assertEqual(self.came(), b"")
        self.assertIsNone(self.way(express).rest())
        self.outbox.express = express
        self.assertIs(express.send_at_once(BINARY, b"x"), True)

    @cases(FORMS)
    def test_a_lock_that_is_interrupted(self, compiled: bool) -> None:
        """Nothing has happened."""
        express = self.make(compiled)

        class Lock:
            def __init__(self, struck: str) -> None:
                self.struck = struck

            def __getattr__(self, name: str) -> Callable[..., bool]:
                def call(*arguments: object) -> bool:
                    if name == self.struck:
                        raise Interrupt
                    if name == "release" and self.struck == "acquire":
                        raise RuntimeError("not owned")
                    return name == "acquire"

                return call

        for struck in ("_is_owned", "acquire", "release"):
            self.outbox.told.clear()
            lock: Any = Lock(struck)
            if compiled:
                with mock.patch.object(self.outbox.role, "lock", lock):
                    express = make_express(self.outbox, self.encoder, self.stream, self.outbox.flush)
            else:
                express._lock = lock
            with self.assertRaises(Interrupt):
                express.send_at_once(BINARY, b"x")
            self.assertEqual(self.outbox.told, [])


@with_cases
class CompressingTests(ExpressCase):
    def compressor(self) -> Compressor:
        return Compressor(DeflateParameters(False, False, 15, 15), Side.CLIENT, DeflateOptions())

    @cases(FORMS)
    def test_compressed(self, compiled: bool) -> None:
        """Rules 197 and 198: with RSV1 if it was compressed; bytes of messages are counted as they were before."""
        express = self.make(compiled, self.compressor())
        self.assertIs(express.send_at_once(0x81, b"text" * 100), True)
        frame = self.came()
        self.assertEqual(frame[0], 0xC1)
        self.assertEqual(self.counts(express), (400, 1, len(frame)))
        self.assertIs(express.send_at_once(0x81, b"short"), True)
        frame = self.came()
        self.assertEqual(frame, encode_frame(0x81, b"short", self.key_of(frame)))

    @cases(FORMS)
    def test_a_rest_of_a_compressed_one(self, compiled: bool) -> None:
        """The outbox gets the message as it was, and the frame as it is."""
        express = self.make(compiled, self.compressor())
        self.fill()
        self.assertEqual(express.send_at_once(0x81, b"text" * 100), "the message")
        [(_, first, payload, (accepted, frame))] = self.outbox.told
        accepted = self.accepted((accepted, frame))
        self.assertEqual((first, payload, accepted, frame[0]), (0x81, b"text" * 100, 0, 0xC1))

    @cases(FORMS)
    def test_an_interrupted_compressor(self, compiled: bool) -> None:
        """The peer's inflater must see what the compressor saw: what that was is not known."""
        compressor = self.compressor()
        with mock.patch.object(compressor, "compress", side_effect=Interrupt):
            express = self.make(compiled, compressor)
            self.outbox.is_broken = False
            with self.assertRaises(Interrupt):
                express.send_at_once(BINARY, b"x" * 100)
        way = self.way(express)
        with self.assertRaisesRegex(ConnectionClosed, "^sending was interrupted$"):
            way.rest()
        way.forget()
        self.assertIsNone(way.rest())


class SealedSendingTests(SendingTests):
    """The same with TLS before the socket."""

    kind_of_stream = SealedStream


class SealedCompressingTests(CompressingTests):
    """The same with TLS before the socket."""

    kind_of_stream = SealedStream


@with_cases
class SealingTests(ExpressCase):
    """What TLS may do besides."""

    kind_of_stream = SealedStream

    @cases(FORMS)
    def test_what_cannot_be_sealed_now(self, compiled: bool) -> None:
        """It goes another way, whole; compressed or not."""
        for compressor in (None, Compressor(DeflateParameters(False, False, 15, 15), Side.CLIENT, DeflateOptions())):
            express = self.make(compiled, compressor)
            self.fill()
            self.stream.LONGEST = 0
            self.assertEqual(express.send_at_once(BINARY, b"x" * 500), "the message")
            [(_, first, payload, (accepted, frame))] = self.outbox.told
            self.assertEqual((first, payload, accepted, self.stream.kept), (BINARY, b"x" * 500, 0, b""))
            self.assertEqual(frame[0], BINARY if compressor is None else BINARY | 0x40)
            self.assertEqual((self.way(express).rest(), self.counts(express)), (None, (0, 0, 0)))

    @cases(FORMS)
    def test_what_is_counted(self, compiled: bool) -> None:
        """The bytes of frames, not what TLS makes of them."""
        with self.seal(self.make(compiled), lambda frame: b"sealed: " + frame) as express:
            self.assertIs(express.send_at_once(BINARY, b"x" * 100), True)
        self.assertEqual(self.counts(express), (100, 1, len(self.came()) - len(b"sealed: ")))

    @cases(FORMS)
    def test_a_failure(self, compiled: bool) -> None:
        """Rule 117: the connection is broken, and the outbox is told the error as it is."""
        express = self.make(compiled)
        error = ConnectionClosed("the connection was lost")
        with self.seal(express, mock.Mock(side_effect=error)) as express:
            self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual((self.outbox.told, self.came()), ([("broke", error)], b""))
        self.assertFree()

    @cases(FORMS)
    def test_an_interrupt(self, compiled: bool) -> None:
        """Every record counts: one that was made and not sent is missed by the peer."""
        express = self.make(compiled)
        self.outbox.is_broken = False
        with self.seal(express, mock.Mock(side_effect=Interrupt)) as express, self.assertRaises(Interrupt):
            express.send_at_once(BINARY, b"x")
        with self.assertRaisesRegex(ConnectionClosed, "^sending was interrupted$"):
            self.way(express).rest()
        self.way(express).forget()
        self.assertIsNone(self.way(express).rest())
        self.assertFree()

    @cases(FORMS)
    def test_an_interrupt_of_keeping(self, compiled: bool) -> None:
        """What the kernel did not take is kept when the outbox asks again."""
        express = self.make(compiled)
        self.fill()
        with mock.patch.object(self.outbox, "keep_rest", return_value="the message"):
            express.send_at_once(BINARY, b"hello")
        way = self.way(express)
        with self.keep(express, mock.Mock(side_effect=Interrupt)), self.assertRaises(Interrupt):
            way.rest()
        for _ in range(2):
            accepted, frame = way.rest()
            self.assertEqual((accepted, self.stream.kept), (len(frame), frame))
        way.forget()
        self.assertIsNone(way.rest())

    @contextlib.contextmanager
    def seal(self, express: Any, seal: Any) -> Iterator[Any]:
        """Let TLS do that instead."""
        if isinstance(express, Express):
            with mock.patch.object(express._way, "_seal", seal):
                yield express
            return
        with mock.patch.object(self.stream, "_seal", seal):
            self.outbox.express = express = make_express(self.outbox, self.encoder, self.stream, self.outbox.flush)
            yield express

    @contextlib.contextmanager
    def keep(self, express: Any, keep: Any) -> Iterator[None]:
        """Let that keep what is not sent."""
        if isinstance(express, Express):
            with mock.patch.object(express._way, "_keep", keep):
                yield
        else:
            with mock.patch.object(SealedStream, "kept", property(None, lambda stream, rest: keep(rest))):
                yield


@needs_compiled
class CompiledTests(ExpressCase):
    """What the compiled form alone can be asked."""

    def arguments(self, **others: Any) -> Tuple[Any, ...]:
        direct = self.stream.direct
        assert direct is not None
        named = {
            "outbox": self.outbox,
            "lock": self.outbox.role.lock,
            "flush": self.outbox.flush,
            "fresh_keys": lambda: b"abcd",
            "compress": None,
            "descriptor": direct.descriptor,
            "flags": direct.send_flags,
            "seal": None,
            "keep": None,
        }
        return tuple({**named, **others}.values())

    def setUp(self) -> None:
        assert CompiledExpress is not None
        self.express = self.make(True)
        self.kind: Any = CompiledExpress

    def test_it_is_what_a_socket_gets(self) -> None:
        """With one step of TLS before it too, and nothing else: where a stream is more than that, it is Python's."""
        self.assertIs(type(self.express), CompiledExpress)
        with mock.patch.object(TCPStream, "direct", None):
            short = make_express(self.outbox, self.encoder, self.stream, self.outbox.flush)
        self.assertIs(type(short), Express)
        self.assertIs(type(self.make(False)._way), Direct)
        self.kind_of_stream = SealedStream
        self.assertIs(type(self.make(True)), CompiledExpress)
        self.assertIs(type(self.make(False)._way), Sealed)

    def test_refusals_of_a_message(self) -> None:
        """What is no first byte or no bytes is not sent, and the role stays free."""
        wrong: List[List[Any]] = [[256, b""], [-1, b""], [1 << 70, b""], [None, b""], [BINARY, "text"]]
        wrong += [[BINARY, bytearray(b"x")], [BINARY], [BINARY, b"", 1], []]
        for arguments in wrong:
            with self.assertRaises((TypeError, OverflowError)):
                self.express.send_at_once(*arguments)
        self.assertEqual((self.came(), self.outbox.told), (b"", []))
        self.assertFree()

    def test_refusals_of_what_it_is_made_of(self) -> None:
        """It is made once, of nine things."""
        good = self.arguments()
        for arguments in (good[:-1], (*good, 1), self.arguments(descriptor="x"), self.arguments(flags=1 << 70), ()):
            with self.assertRaises((TypeError, OverflowError)):
                self.kind(*arguments)
        with self.assertRaises(TypeError):
            self.kind(*good, extra=1)
        with self.assertRaises(TypeError):
            self.express.__init__(*good)
        with self.assertRaises(TypeError):
            self.kind.__new__(self.kind).send_at_once(BINARY, b"")

    def test_what_gives_no_keys(self) -> None:
        """What is not bytes, or not enough of them, masks nothing."""
        self.outbox.is_broken = False
        for keys in (b"", b"abc", "abcd", None, bytearray(b"abcd")):
            express = self.kind(*self.arguments(fresh_keys=lambda keys=keys: keys))
            self.outbox.express = express
            with self.assertRaises(TypeError):
                express.send_at_once(BINARY, b"x")
        self.assertEqual(self.came(), b"")
        express = self.kind(*self.arguments(fresh_keys=mock.Mock(side_effect=[b"abcdef", b"ghij"])))
        self.outbox.express = express
        express.send_at_once(BINARY, b"")
        express.send_at_once(BINARY, b"")
        self.assertEqual(self.came(), b"\x82\x80abcd\x82\x80ghij")

    def test_what_gives_no_bytes(self) -> None:
        """Bytes or None; anything else leaves open what the compressor, or TLS, has seen."""
        self.outbox.is_broken = False
        for step in ("compress", "seal"):
            express = self.kind(*self.arguments(**{step: lambda data: "text"}))
            self.outbox.express = express
            with self.assertRaises(TypeError):
                express.send_at_once(BINARY, b"x")
            with self.assertRaises(ConnectionClosed):
                express.rest()

    def test_closed_meanwhile(self) -> None:
        """A signal handler that interrupts the compressor, and forks: the child has the number of a socket, no more."""

        def compress(payload: bytes) -> bytes:
            self.express.close()
            return payload

        self.express = self.kind(*self.arguments(compress=compress))
        self.outbox.express = self.express
        self.assertIs(self.express.send_at_once(BINARY, b"x"), False)
        [(_, error)] = self.outbox.told
        self.assertEqual((error.errno, self.came()), (errno.EBADF, b""))

    def test_an_outbox_that_says_nothing_of_it(self) -> None:
        """An error of looking at it goes to the caller, and the role is free."""

        class Slotted:
            __slots__ = ("express",)

        lock = self.outbox.role.lock
        for outbox in (object(), Slotted()):
            express = self.kind(*self.arguments(outbox=outbox, lock=lock))
            with self.assertRaises(AttributeError):
                express.send_at_once(BINARY, b"x")
            self.assertFree()

    def test_an_outbox_with_slots(self) -> None:
        """Where it lies there is where it is read."""

        class Slotted:
            __slots__ = ("express", "role")
            express: Any
            role: Role

        outbox = Slotted()
        outbox.role = self.outbox.role
        express = self.kind(*self.arguments(outbox=outbox))
        outbox.express = express
        self.assertIs(express.send_at_once(BINARY, b"x"), True)
        outbox.express = None
        self.assertIs(express.send_at_once(BINARY, b"x"), False)
        self.assertEqual(self.outbox.flushes, 1)

    def test_another_lock(self) -> None:
        """One that is not compiled is taken and left by its methods, and with the same outcome."""
        lock = threading.RLock()
        express = self.kind(*self.arguments(lock=lock))
        self.outbox.express = express
        self.assertIs(express.send_at_once(BINARY, b"x"), True)
        with lock:
            self.assertIs(express.send_at_once(BINARY, b"x"), False)
            self.assertIs(Running(lambda: express.send_at_once(BINARY, b"x")).result(), False)
        self.assertEqual(len(self.came()), 7)
        self.assertTrue(Running(lambda: lock.acquire(False)).result())

    def test_it_keeps_nothing(self) -> None:
        """However often it sends, nobody has a reference more or less in the end."""
        payload, frames = bytes(bytearray(300)), bytes(bytearray(b"abcd"))
        express = self.kind(*self.arguments(fresh_keys=lambda: frames, compress=lambda message: message))
        self.outbox.express = express
        keep: List[bytes] = []
        sealed = self.kind(*self.arguments(fresh_keys=lambda: frames, seal=lambda frame: payload, keep=keep.append))
        watched = (payload, frames, express, sealed, self.outbox, self.outbox.role.lock, True, False)

        def counts() -> List[int]:
            return [sys.getrefcount(one) for one in watched]

        for short in (express, sealed):
            self.outbox.express = short
            short.send_at_once(BINARY, payload)
            before = counts()
            for _ in range(50):
                short.send_at_once(BINARY, payload)
                self.came()
            self.fill()
            for _ in range(50):
                short.send_at_once(BINARY, payload)
                self.outbox.told.clear()
                keep.clear()
            self.assertEqual(counts(), before)
            self.came()

    def test_it_is_collected(self) -> None:
        """It and its outbox know each other; once nobody else knows them they go."""
        gone = weakref.ref(self.outbox)
        with mock.patch.object(self, "stream", self.stream):
            del self.express, self.outbox
            gc.collect()
        self.assertIsNone(gone())


if __name__ == "__main__":
    unittest.main()
