"""Tests of `wssync.transport.tls_stream`.

Most run in one thread: the other end of the TLS connection is an `ssl.SSLObject` in memory, which gives and takes as
many bytes as the test wants. `test_tls_stream_threads` has sockets and threads.
"""

from __future__ import annotations

import random
import ssl
import unittest
from typing import Callable, List, Optional, Tuple, Type
from unittest import mock

from tests.support import cases, with_cases
from tests.transport.support import (
    TransportTestCase,
    ca_file,
    client_context,
    server_context,
)
from wssync.errors import Cancelled, ConnectionClosed
from wssync.transport.stream import Address, Buffer, Stream, connection_lost
from wssync.transport.tls_stream import TLSStream

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class MemoryPeer(Stream):
    """The stream below and the server behind it, in one object without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.server = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.room: Optional[int] = None  # bytes that it still takes; None: all
        self.give = 1 << 30  # bytes that it gives at a time
        self.queue: List[bytes] = []  # what to give before anything of the server's
        self.ended = False
        self.error: Optional[OSError] = None
        self.behind = False  # has something unsent itself
        self.calls: List[str] = []
        self.waits: List[Tuple[bool, bool, Optional[float], bool]] = []
        self.while_waiting: Callable[[], None] = self.step

    def step(self) -> None:
        """Let the server go on with the handshake, and take more."""
        self.room = None
        try:
            self.server.do_handshake()
        except ssl.SSLWantReadError:
            pass

    def read(self) -> bytes:
        """All plain text that has reached the server."""
        parts = []
        try:
            while True:
                parts.append(self.server.read(65536))
                if not parts[-1]:
                    break
        except ssl.SSLWantReadError:
            pass
        return b"".join(parts)

    def cipher(self) -> bytes:
        """All that the server has said, taken away."""
        return self._outgoing.read()

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        self.waits.append((read, write, timeout, owner))
        self.while_waiting()
        return read, write

    def wake(self) -> None:
        self.calls.append("wake")

    @property
    def pending(self) -> bool:
        return False

    def recv(self, limit: int) -> Optional[bytes]:
        if self.error is not None:
            raise connection_lost(self.error) from self.error
        if self.queue:
            return self.queue.pop(0)
        data = self._outgoing.read(min(limit, self.give))
        return data or (b"" if self.ended else None)

    def send(self, data: Buffer) -> int:
        if self.error is not None:
            raise connection_lost(self.error) from self.error
        taken = bytes(data) if self.room is None else bytes(data[: self.room])
        if self.room is not None:
            self.room -= len(taken)
        self._incoming.write(taken)
        return len(taken)

    @property
    def has_output(self) -> bool:
        return self.behind

    def flush(self) -> bool:
        return not self.behind

    def shutdown_write(self) -> None:
        self.calls.append("shutdown_write")

    def shutdown_read(self) -> None:
        self.calls.append("shutdown_read")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def close(self) -> None:
        self.calls.append("close")

    def abandon(self) -> None:
        self.calls.append("abandon")

    @property
    def local_address(self) -> Optional[Address]:
        return "127.0.0.1", 1

    @property
    def remote_address(self) -> Optional[Address]:
        return "127.0.0.1", 2


class MemoryTestCase(TransportTestCase):
    """A TLS stream whose other end is in memory; `version` is the TLS spoken, `kind` the stream below."""

    version: Optional[ssl.TLSVersion] = None
    kind: Type[MemoryPeer] = MemoryPeer

    def setUp(self) -> None:
        super().setUp()
        self.peer = self.kind(server_context(version=self.version))
        self.stream = TLSStream(self.peer, client_context(), "localhost")

    def connect(self) -> None:
        self.stream.handshake(self.attempt())
        self.peer.step()
        self.drain()
        self.peer.waits.clear()

    def drain(self) -> None:
        """Read what is no data: the tickets of TLS 1.3."""
        self.assertIsNone(self.stream.recv(65536))


class HandshakeTests(MemoryTestCase):
    """`handshake`, step by step."""

    def test_it_ends_with_both_sides_done(self) -> None:
        """The version is TLS 1.3, the name was sent and checked, and nothing is left to be sent."""
        self.connect()
        self.assertEqual(self.stream.ssl_object.version(), "TLSv1.3")
        self.assertEqual(self.stream.ssl_object.server_hostname, "localhost")
        self.assertEqual(self.peer.server.version(), "TLSv1.3")
        self.assertFalse(self.stream.has_output)

    def test_bytes_one_by_one_are_enough(self) -> None:
        """A stream that gives one byte at a time, and takes seven, gets through."""
        self.peer.give = 1

        def step() -> None:
            self.peer.step()
            self.peer.room = 7

        self.peer.while_waiting = step
        self.peer.room = 7
        self.stream.handshake(self.attempt())
        self.peer.step()
        self.assertEqual(self.peer.server.version(), "TLSv1.3")
        self.assertIn((True, True), [wait[:2] for wait in self.peer.waits])

    def test_it_waits_until_its_last_word_is_sent(self) -> None:
        """The handshake is not over before the kernel has taken all of it: then it waits for writing alone."""

        def step() -> None:
            self.peer.step()
            if len(self.peer.waits) == 1:
                self.peer.room = 10

        self.peer.while_waiting = step
        self.stream.handshake(self.attempt())
        self.assertEqual([wait[:2] for wait in self.peer.waits], [(True, False), (False, True)])
        self.assertFalse(self.stream.has_output)

    def test_a_connection_that_ends_is_reset(self) -> None:
        """EOF in the middle of the handshake is a ConnectionResetError, not a wait for ever."""
        self.peer.ended = True
        self.peer.while_waiting = lambda: None
        with self.assertRaises(ConnectionResetError):
            self.stream.handshake(self.attempt())

    def test_a_broken_connection_is_told(self) -> None:
        """The error of the stream below passes through."""

        def break_it() -> None:
            self.peer.error = ConnectionResetError("gone")

        self.peer.while_waiting = break_it
        with self.assertRaises(ConnectionClosed):
            self.stream.handshake(self.attempt())

    def test_a_wake_without_data_goes_on_waiting(self) -> None:
        """A wait that ends early with nothing ready is waited again."""
        woken = []

        def wake_twice() -> None:
            woken.append(1)
            if len(woken) > 2:
                self.peer.step()

        self.peer.while_waiting = wake_twice
        self.stream.handshake(self.attempt())
        self.assertEqual(self.stream.ssl_object.version(), "TLSv1.3")

    def test_a_cancelled_attempt_ends_it(self) -> None:
        """What `check` raises during a wait ends the handshake."""

        def check() -> None:
            if self.peer.waits:
                raise Cancelled("enough")

        with self.assertRaises(Cancelled):
            self.stream.handshake(self.attempt(check=check))
        self.assertEqual(len(self.peer.waits), 1)

    def test_a_refused_certificate_is_told_to_the_peer(self) -> None:
        """Rule 97: a certificate for another name is refused, and the server gets the alert that says so."""
        self.stream = TLSStream(self.peer, client_context(), "example.org")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.stream.handshake(self.attempt())
        with self.assertRaises(ssl.SSLError) as caught:
            self.peer.server.do_handshake()
        self.assertIn("ALERT", str(caught.exception.reason))

    def test_a_refusal_that_cannot_be_told_is_still_raised(self) -> None:
        """When the connection breaks under the alert, the error is the certificate's, not the connection's."""
        self.stream = TLSStream(self.peer, client_context(), "example.org")
        send = self.peer.send

        def break_after_hello(data: Buffer) -> int:
            if self.peer.waits:
                raise ConnectionClosed("gone")
            return send(data)

        self.peer.send = break_after_hello  # type: ignore[method-assign]  # one stream alone breaks
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.stream.handshake(self.attempt())

    def test_data_that_comes_with_the_handshake_is_pending(self) -> None:
        """What the server says in the same breath is not waited for: `pending` tells of it, and `wait` returns."""
        peer = self.peer = MemoryPeer(server_context(version=TLS_1_2))  # where the last word is the server's

        def step() -> None:
            try:
                peer.server.do_handshake()
                peer.server.write(b"early")
            except ssl.SSLWantReadError:
                pass

        peer.while_waiting = step
        stream = TLSStream(peer, client_context(), "localhost")
        stream.handshake(self.attempt())
        self.assertTrue(stream.pending)
        self.assertEqual(stream.wait(True, False, None), (True, False))
        self.assertEqual(stream.recv(100), b"early")


@with_cases
class ReceivingTests(MemoryTestCase):
    """`recv`, `pending` and `wait`."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def test_text_arrives(self) -> None:
        """What the server writes is read; then there is nothing."""
        self.peer.server.write(b"hello")
        self.assertEqual(self.stream.recv(65536), b"hello")
        self.assertFalse(self.stream.pending)
        self.assertIsNone(self.stream.recv(65536))

    def test_all_that_came_is_joined(self) -> None:
        """Many records that came together are one result."""
        texts = [bytes([65 + number]) * number for number in range(1, 60)]
        for text in texts:
            self.peer.server.write(text)
        self.assertEqual(self.stream.recv(65536), b"".join(texts))
        self.assertFalse(self.stream.pending)

    def test_the_limit_holds_and_the_rest_is_pending(self) -> None:
        """At most `limit` bytes come at a time, across records and within one; what is left needs no network."""
        self.peer.server.write(b"abcdef")
        self.peer.server.write(b"ghij")
        for expected in (b"abcd", b"efgh", b"ij"):
            self.assertEqual(self.stream.recv(4), expected)
            self.assertEqual(self.stream.pending, expected != b"ij")
        self.assertIsNone(self.stream.recv(4))

    def test_what_is_pending_is_not_waited_for(self) -> None:
        """With text left over `wait` returns at once; it still looks whether the stream below can be written."""
        self.peer.server.write(b"abcdef")
        self.stream.recv(4)
        self.assertEqual(self.stream.wait(True, False, None), (True, False))
        self.assertEqual(self.stream.wait(True, True, 9.0, owner=False), (True, True))
        self.assertEqual(self.peer.waits, [(True, False, 0.0, True), (True, True, 0.0, False)])

    def test_a_wait_is_the_lower_streams(self) -> None:
        """With nothing left over, or for writing alone, the stream below waits, and is woken."""
        self.assertEqual(self.stream.wait(True, False, 9.0), (True, False))
        self.peer.server.write(b"abcdef")
        self.stream.recv(4)
        self.assertEqual(self.stream.wait(False, True, None, owner=False), (False, True))
        self.assertEqual(self.peer.waits, [(True, False, 9.0, True), (False, True, None, False)])
        self.stream.wake()
        self.assertEqual(self.peer.calls, ["wake"])

    def test_one_byte_at_a_time(self) -> None:
        """Until its last byte has come a record is None, and not pending: the network must be waited for."""
        self.peer.server.write(b"hello")
        self.peer.give = 1
        results: List[Optional[bytes]] = []
        while not results or results[-1] is None:
            results.append(self.stream.recv(100))
            self.assertFalse(self.stream.pending)
        self.assertEqual(results[-1], b"hello")
        self.assertGreater(len(results), 20)

    def test_one_fetch_is_bounded(self) -> None:
        """However much there is below, one `recv` fetches 120 KiB of it at most, which may complete a record."""
        text = random.Random(1).randbytes(600_000)
        for start in range(0, len(text), 16384):
            self.peer.server.write(text[start : start + 16384])
        received: List[bytes] = []
        while sum(map(len, received)) < len(text):
            data = self.stream.recv(1 << 30)
            if data is None:
                self.assertFalse(received, "only of the first record, for which little is fetched, too little may come")
                continue
            self.assertLessEqual(len(data), (120 + 16) * 1024)
            received.append(data)
        self.assertTrue(b"".join(received) == text)
        self.assertLessEqual(len(received), 8)

    @cases(with_a_close_notify=(True,), without_one=(False,))
    def test_the_end(self, notify: bool) -> None:
        """Rule 177: EOF is b"", with close_notify or without, after the text, needing no network, and asked again."""
        self.peer.server.write(b"last")
        if notify:
            with self.assertRaises(ssl.SSLWantReadError):
                self.peer.server.unwrap()
        else:
            self.peer.ended = True
        received = self.stream.recv(65536)
        if not notify:
            self.assertEqual(self.stream.recv(65536), b"")
        self.assertEqual(received, b"last")
        self.assertEqual(self.stream.recv(65536), b"")
        self.assertTrue(self.stream.pending)
        self.assertEqual(self.stream.recv(65536), b"")

    def test_an_end_within_a_record_is_an_end(self) -> None:
        """Rule 177: also when the stream is cut in the middle of a record."""
        self.peer.server.write(b"never whole")
        self.peer.queue = [self.peer.cipher()[:-1], b""]
        self.assertIsNone(self.stream.recv(100))
        self.assertEqual(self.stream.recv(100), b"")

    def test_an_end_after_we_have_ended_too(self) -> None:
        """The peer's close_notify that answers ours is the end as well."""
        self.stream.shutdown_write()
        self.assertEqual(self.peer.read(), b"")
        self.peer.server.unwrap()
        self.assertEqual(self.stream.recv(100), b"")
        self.assertEqual(self.stream.recv(100), b"")

    def test_a_forged_record_breaks_the_connection_behind_the_good_ones(self) -> None:
        """What came before it is given first; then ConnectionClosed with the SSLError, each time; an alert goes out."""
        self.peer.server.write(b"good")
        good = self.peer.cipher()
        self.peer.server.write(b"evil")
        evil = bytearray(self.peer.cipher())
        evil[-1] ^= 1
        self.peer.queue = [good + bytes(evil)]
        self.assertEqual(self.stream.recv(65536), b"good")
        self.assertTrue(self.stream.pending)
        for _ in range(2):
            with self.assertRaises(ConnectionClosed) as caught:
                self.stream.recv(65536)
            self.assertEqual((caught.exception.code, caught.exception.url_error_code), (1006, -1005))
            self.assertIsInstance(caught.exception.__cause__, ssl.SSLError)
        self.assertTrue(self.stream.has_output)
        self.assertTrue(self.stream.flush())
        with self.assertRaises(ssl.SSLError) as refused:
            self.peer.read()
        self.assertIn("ALERT", str(refused.exception.reason))

    def test_a_broken_stream_below_is_told(self) -> None:
        """The error of the stream below passes through, once what came before it has been read."""
        self.peer.server.write(b"abcdef")
        self.assertEqual(self.stream.recv(4), b"abcd")
        self.peer.error = ConnectionResetError("gone")
        self.assertEqual(self.stream.recv(4), b"ef")
        with self.assertRaises(ConnectionClosed):
            self.stream.recv(4)

    def test_an_exception_within_the_decryption_is_no_silent_loss(self) -> None:
        """When a signal's handler raises while TLS decrypts, the record is gone: the connection counts as lost."""
        self.peer.server.write(b"abcdef")
        self.peer.server.write(b"ghijkl")
        self.assertEqual(self.stream.recv(6), b"abcdef")
        with mock.patch.object(self.stream, "_raw") as broken:
            broken.read.side_effect = KeyboardInterrupt
            with self.assertRaises(KeyboardInterrupt):
                self.stream.recv(6)
        with self.assertRaises(ConnectionClosed) as caught:
            self.stream.recv(6)
        self.assertIsInstance(caught.exception.__cause__, InterruptedError)

    def test_an_exception_after_the_decryption_loses_nothing(self) -> None:
        """When the exception comes a moment later the record is stored already: the next call returns it."""
        self.peer.server.write(b"abcdef")
        struck = mock.patch.object(self.stream, "_open_next", map(_strike, self.stream._open_next))
        with struck, self.assertRaises(KeyboardInterrupt):
            self.stream.recv(100)
        self.assertEqual(self.stream.recv(100), b"abcdef")
        self.assertIsNone(self.stream.recv(100))

    def test_within_a_call_that_a_signal_handler_interrupted(self) -> None:
        """It reads nothing, which is an error: it could wait for ever for what the interrupted call keeps."""
        self.peer.server.write(b"abcdef")
        with self.stream._lock, self.assertRaisesRegex(RuntimeError, r"receive\(\) in a signal handler"):
            self.stream.recv(100)
        self.assertEqual(self.stream.recv(100), b"abcdef")

    def test_cipher_text_of_an_interrupted_recv_comes_first(self) -> None:
        """What was fetched when an exception from outside came is fed before anything else is fetched."""
        self.peer.server.write(b"first ")
        self.stream._fetched.append(self.peer.cipher())
        self.peer.server.write(b"second")
        self.assertTrue(self.stream.pending)
        self.assertEqual(self.stream.recv(100), b"first ")
        self.assertEqual(self.stream.recv(100), b"second")


class ReceivingWithTLS12Tests(ReceivingTests):
    """The same over TLS 1.2."""

    version = TLS_1_2


class SendingTests(MemoryTestCase):
    """`send`, `flush`, `has_output`: what is kept, and in which order it leaves."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def test_text_arrives(self) -> None:
        """All kinds of bytes are taken whole, and nothing is left to be flushed."""
        for data in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
            self.assertEqual(self.stream.send(data), 3)
            self.assertFalse(self.stream.has_output)
            self.assertEqual(self.peer.read(), b"abc")

    def test_nothing_is_nothing(self) -> None:
        """No bytes make no record."""
        self.assertEqual(self.stream.send(b""), 0)
        self.assertEqual(self.peer._incoming.pending, 0)

    def test_what_the_kernel_takes_is_taken(self) -> None:
        """A call goes on, 64 KiB at a time and each handed down at once, as long as the kernel takes them whole."""
        data = random.Random(2).randbytes(200_000)
        with mock.patch.object(self.stream._lower, "send", wraps=self.stream._lower.send) as handed_down:
            self.assertEqual(self.stream.send(data), 200_000)
        self.assertEqual(handed_down.call_count, 4)
        self.assertFalse(self.stream.has_output)
        self.assertTrue(self.peer.read() == data)

    def test_64_kib_more_than_the_kernel_takes(self) -> None:
        """When the kernel is full, what is encrypted for it is no more than 64 KiB; the rest is left to the caller."""
        data = random.Random(2).randbytes(200_000)
        self.peer.room = 70_000
        self.assertEqual(self.stream.send(data), 2 * 65536)
        self.assertTrue(self.stream.has_output)
        self.peer.room = None
        self.assertEqual(self.stream.send(memoryview(data)[2 * 65536 :]), 200_000 - 2 * 65536)
        self.assertTrue(self.peer.read() == data)

    def test_nothing_is_taken_while_cipher_text_waits(self) -> None:
        """When the kernel took part of it, later data is refused until all is flushed: memory stays bounded."""
        data = random.Random(3).randbytes(65536)
        self.peer.room = 1000
        self.assertEqual(self.stream.send(data), 65536)
        self.assertTrue(self.stream.has_output)
        self.assertEqual(self.stream.send(b"more"), 0)
        self.assertFalse(self.stream.flush())
        self.peer.room = 500
        self.assertFalse(self.stream.flush())
        self.assertEqual(self.stream.send(b"more"), 0)
        self.peer.room = None
        self.assertTrue(self.stream.flush())
        self.assertFalse(self.stream.has_output)
        self.assertEqual(self.stream.send(b"more"), 4)
        self.assertTrue(self.peer.read() == data + b"more")

    def test_what_a_reader_produced_leaves_in_its_place(self) -> None:
        """Output that a reading thread left in the buffer goes behind earlier cipher text and before later text."""
        self.peer.room = 10
        self.assertEqual(self.stream.send(b"one"), 3)
        self.peer.server.write(b"?")
        with self.stream._lock:
            self.stream._object.write(b"two")  # in the place of a key update, which Python's ssl cannot ask for
        self.assertTrue(self.stream.has_output)
        self.assertEqual(self.stream.recv(10), b"?")
        self.assertEqual(self.stream.send(b"three"), 0)
        self.peer.room = None
        self.assertEqual(self.stream.send(b"three"), 5)
        self.assertEqual(self.peer.read(), b"onetwothree")

    def test_output_of_a_reader_is_told_and_flushed(self) -> None:
        """`has_output` is true for it although nothing was sent, and `flush` carries it."""
        with self.stream._lock:
            self.stream._object.write(b"answer")
        self.assertTrue(self.stream.has_output)
        self.assertEqual(self.peer.read(), b"")
        self.assertTrue(self.stream.flush())
        self.assertEqual(self.peer.read(), b"answer")
        self.assertFalse(self.stream.has_output)

    def test_a_lower_stream_that_is_behind_counts(self) -> None:
        """What the stream below has not sent is output too: nothing more is taken until it is gone."""
        self.peer.behind = True
        self.assertTrue(self.stream.has_output)
        self.assertFalse(self.stream.flush())
        self.assertEqual(self.stream.send(b"x"), 0)
        self.peer.behind = False
        self.assertEqual(self.stream.send(b"x"), 1)

    def test_a_send_that_must_read_first_takes_nothing(self) -> None:
        """While TLS waits for the rest of a handshake message, `send` is 0 and raises nothing."""
        stream = TLSStream(MemoryPeer(server_context()), client_context(), "localhost")
        self.assertEqual(stream.send(b"too early"), 0)

    def test_a_broken_stream_below_is_told(self) -> None:
        """Sending to a lost connection raises ConnectionClosed."""
        self.peer.error = BrokenPipeError("gone")
        with self.assertRaises(ConnectionClosed):
            self.stream.send(b"x")

    def test_no_data_after_the_end(self) -> None:
        """A send after `shutdown_write` raises ConnectionClosed with the SSLError as its cause."""
        self.stream.shutdown_write()
        with self.assertRaises(ConnectionClosed) as caught:
            self.stream.send(b"x")
        self.assertIsInstance(caught.exception.__cause__, ssl.SSLError)

    def test_within_a_call_that_a_signal_handler_interrupted(self) -> None:
        """It takes nothing, as if the kernel were full, and waits for nothing. Another thread waits its turn."""
        with self.stream._lock:
            self.stream._object.write(b"answer")
            self.assertFalse(self.stream.flush())
            self.assertEqual(self.stream.send(b"x"), 0)
            self.assertTrue(self.stream.has_output)
        self.peer.room = 10
        self.assertFalse(self.stream.flush())
        self.peer.room = None
        with self.stream._lock:
            self.assertTrue(self.stream.flush(), "what was taken out before is sent")
            self.assertEqual(self.stream.send(b"x"), 0)
        self.assertEqual(self.peer.read(), b"answer")
        self.assertEqual(self.stream.send(b"x"), 1)


class SendingWithTLS12Tests(SendingTests):
    """The same over TLS 1.2."""

    version = TLS_1_2


class ClosingTests(MemoryTestCase):
    """`shutdown_write`, `shutdown`, `close`, `abandon`."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def test_close_notify_then_fin_once(self) -> None:
        """The server reads close_notify after the data, and the stream below ends its writing; again does nothing."""
        self.stream.send(b"last")
        self.stream.shutdown_write()
        self.stream.shutdown_write()
        self.assertEqual(self.peer.calls, ["shutdown_write"])
        self.assertEqual(self.peer.read(), b"last")
        self.assertEqual(self.peer.server.read(10), b"")

    def test_fin_waits_until_everything_is_flushed(self) -> None:
        """With the kernel full, FIN follows with the `flush` that empties the stream, not before."""
        self.peer.room = 10
        self.stream.send(b"last")
        self.stream.shutdown_write()
        self.assertEqual(self.peer.calls, [])
        self.assertTrue(self.stream.has_output)
        self.peer.room = 1
        self.assertFalse(self.stream.flush())
        self.peer.room = None
        self.peer.behind = True
        self.assertFalse(self.stream.flush())
        self.assertEqual(self.peer.calls, [])
        self.peer.behind = False
        self.assertTrue(self.stream.flush())
        self.assertEqual(self.peer.calls, ["shutdown_write"])
        self.assertEqual(self.peer.read(), b"last")

    def test_reading_goes_on(self) -> None:
        """Half a connection is closed: what the server writes afterwards arrives."""
        self.stream.shutdown_write()
        self.peer.server.write(b"still here")
        self.assertEqual(self.stream.recv(100), b"still here")

    def test_what_has_come_is_not_lost(self) -> None:
        """Text that was fetched but not read when the write side closes is pending, and read within the limits."""
        self.peer.server.write(b"abcdef")
        self.peer.server.write(b"ghijkl")
        self.assertEqual(self.stream.recv(2), b"ab")
        self.stream.shutdown_write()
        self.assertTrue(self.stream.pending)
        self.assertEqual(self.stream.recv(7), b"cdefghi")
        self.assertEqual(self.stream.recv(7), b"jkl")
        self.assertFalse(self.stream.pending)

    def test_an_end_found_while_closing_comes_behind_the_text(self) -> None:
        """When the server's close_notify lies behind unread text, that text comes first, then b""."""
        self.peer.server.write(b"abcdef")
        with self.assertRaises(ssl.SSLWantReadError):
            self.peer.server.unwrap()
        self.assertEqual(self.stream.recv(2), b"ab")
        self.stream.shutdown_write()
        self.assertEqual(self.stream.recv(100), b"cdef")
        self.assertEqual(self.stream.recv(100), b"")

    def test_the_rest_is_the_lower_streams(self) -> None:
        """Cutting, closing and abandoning say nothing in TLS; the addresses are those of the stream below."""
        self.stream.shutdown_read()
        self.stream.shutdown()
        self.stream.close()
        self.stream.abandon()
        self.assertEqual(self.peer.calls, ["shutdown_read", "shutdown", "close", "abandon"])
        self.assertEqual(self.peer._incoming.pending, 0)
        self.assertEqual(self.stream.local_address, ("127.0.0.1", 1))
        self.assertEqual(self.stream.remote_address, ("127.0.0.1", 2))

    def test_abandon_takes_no_lock(self) -> None:
        """After a fork a copy of the lock may be held for ever by a thread that the child has not got."""
        with self.stream._lock:
            self.stream.abandon()
            self.stream.close()
            self.stream.shutdown()
        self.assertEqual(self.peer.calls, ["abandon", "close", "shutdown"])


class NameTests(TransportTestCase):
    """The name that the certificate is checked against."""

    def test_a_context_that_checks_needs_a_name(self) -> None:
        """Rule 97: without a name there is no TLS at all."""
        for name in (None, ""):
            with self.assertRaises(ValueError):
                TLSStream(MemoryPeer(server_context()), client_context(), name)

    def test_the_tests_trust_their_own_authority_alone(self) -> None:
        """The certificates of these tests come from one authority, in a file of its own."""
        self.assertTrue(client_context().cert_store_stats()["x509_ca"] == 1 and ca_file())


def _strike(_: object) -> None:
    """What a signal's handler does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    unittest.main()
