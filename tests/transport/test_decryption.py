"""Tests of `wssync.transport.decryption`: `recv_into`, and exceptions from outside; and of `sealing` and `unsealing`.

The other end is that of `test_tls_stream`. Interrupts strike after each call in turn, so that none is left out.
"""

from __future__ import annotations

import random
import ssl
import sys
import unittest
from typing import Callable, List, Optional
from unittest import mock

from tests.interrupts import Interrupt, interrupted_at
from tests.support import cases, with_cases
from tests.transport.support import client_context, server_context
from tests.transport.test_tls_stream import TLS_1_2, MemoryPeer, MemoryTestCase
from wssync.errors import ConnectionClosed
from wssync.transport import decryption
from wssync.transport.stream import Direct
from wssync.transport.tls_stream import TLSStream

DONT_WAIT = 64
"""What stands for the flag of that name."""

RETRIES = 10
"""More calls than it takes to receive what is there."""


class IntoTestCase(MemoryTestCase):
    """With memory to receive into."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.memory = bytearray(300_000)

    def write(self, *texts: bytes) -> None:
        """Each a record of the server's."""
        for text in texts:
            self.peer.server.write(text)

    def into(self, start: int, end: int, *, patient: bool = False) -> Optional[int]:
        recv_into = self.stream.recv_into
        assert recv_into is not None
        with memoryview(self.memory)[start:end] as memory:
            return recv_into(memory, patient)

    def receive(self, size: int, end: Optional[int] = None) -> bytes:
        """So many bytes, however often that takes."""
        count = 0
        while count < size:
            count += self.into(count, end or size) or 0
        return bytes(self.memory[:count])

    def forged(self) -> bytes:
        self.write(b"evil")
        evil = bytearray(self.peer.cipher())
        evil[-1] ^= 1
        return bytes(evil)


class SocketPeer(MemoryPeer):
    """One that pretends to have a socket behind it, and nothing else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.patience: List[bool] = []  # of each `recv_into`

    @property
    def direct(self) -> Direct:
        return Direct(-1, lambda data, flags: self.send(data), 0, self.recv_into_memory, DONT_WAIT)

    def recv_into_memory(self, memory: memoryview, count: int, flags: int) -> int:
        """As the socket's own does it."""
        self.patience.append(flags != DONT_WAIT)
        if self.error is not None:
            raise self.error
        data = self.recv(count or len(memory))
        if data is None:
            raise BlockingIOError(11, "nothing is there")
        memory[: len(data)] = data
        return len(data)


@with_cases
class ReceivingIntoTests(IntoTestCase):
    """`recv_into`: the same bytes as from `recv`, in the place where they belong."""

    def test_text_arrives(self) -> None:
        """What the server writes is there, and nothing behind it is touched."""
        self.write(b"hello")
        self.assertEqual(self.into(0, 100), 5)
        self.assertEqual(self.memory[:6], b"hello\0")
        self.assertFalse(self.stream.pending)
        self.assertIsNone(self.into(0, 100))

    def test_a_long_message(self) -> None:
        """Many full records, each behind the last, in few calls; the memory is free again."""
        text = random.Random(20).randbytes(len(self.memory))
        self.write(*(text[start : start + 16384] for start in range(0, len(text), 16384)))
        self.assertTrue(self.receive(len(text)) == text)
        self.memory.clear()  # BufferError, if anybody held it

    def test_short_records_leave_no_holes(self) -> None:
        """Where the next record begins depends on how long the last one was."""
        numbers = random.Random(21)
        texts = [numbers.randbytes(numbers.choice((1, 10, 100, 16384))) for _ in range(60)]
        self.write(*texts)
        text = b"".join(texts)
        self.assertTrue(self.receive(len(text)) == text)
        self.assertFalse(self.stream.pending)

    def test_the_memory_is_a_limit(self) -> None:
        """What does not fit, across records and within one, is pending, and needs no network."""
        self.write(b"abcdef", b"ghij")
        self.assertEqual([self.into(0, 4), self.into(4, 8), self.into(8, 12)], [4, 4, 2])
        self.assertEqual(self.memory[:12], b"abcdefghij\0\0")
        self.assertFalse(self.stream.pending)

    def test_recv_goes_on_behind_it(self) -> None:
        """The two ways may take turns, also within a record."""
        self.write(b"abcdef", b"ghij")
        self.assertEqual(self.into(0, 2), 2)
        self.assertEqual(self.stream.recv(3), b"cde")
        self.assertEqual(self.into(2, 12), 5)
        self.assertEqual(self.memory[:7], b"abfghij")

    def test_text_that_is_decrypted_already_comes_first(self) -> None:
        """What `shutdown_write` found is copied into the memory, and not more than there is room for."""
        self.write(b"abcdef", b"ghij")
        self.assertEqual(self.stream.recv(1), b"a")
        self.stream.shutdown_write()
        self.assertEqual([self.into(0, 3), self.into(3, 9), self.into(5, 15)], [3, 2, 4])
        self.assertEqual(self.memory[:10], b"bcdefghij\0")

    def test_patience_is_the_lower_streams(self) -> None:
        """When asked to be patient it waits as the stream below does, where that can wait."""
        self.write(b"abc")
        cipher = self.peer.cipher()
        patient = mock.Mock(return_value=cipher)
        with mock.patch.object(self.stream, "_patient", patient):
            self.assertEqual(self.into(0, 10, patient=True), 3)
        patient.assert_called_once()
        self.assertIsNone(self.into(0, 10, patient=True))

    def test_a_patient_recv_is_the_lower_streams(self) -> None:
        """Where the stream below has none there is none; else it is as `recv` is, to the end."""
        self.assertIsNone(self.stream.patient_recv)
        self.write(b"abc")
        fetch = mock.Mock(side_effect=[self.peer.cipher(), b""])
        with mock.patch.object(self.stream, "_patient", fetch):
            patient_recv = self.stream.patient_recv
            assert patient_recv is not None
            self.assertEqual([patient_recv(100) for _ in range(3)], [b"abc", b"", b""])

    def test_text_that_another_thread_finds_meanwhile(self) -> None:
        """It comes before the end that `shutdown_write` found behind it: for now there is nothing."""

        def find(limit: int, fetch: object) -> bool:
            self.stream._decrypted.append(b"abc")
            self.stream._ended, self.stream.is_clean = True, False
            return False

        with mock.patch.object(self.stream, "_prepare", find):
            self.assertIsNone(self.stream.recv(100))
        self.assertEqual([self.stream.recv(100), self.stream.recv(100)], [b"abc", b""])

    def test_half_a_record_is_nothing(self) -> None:
        """Until its last byte has come."""
        self.write(bytes(10_000))
        cipher = self.peer.cipher()
        self.peer.queue = [cipher[:5000]]
        self.assertIsNone(self.into(0, 20_000))
        self.peer.queue = [cipher[5000:]]
        self.assertFalse(self.stream.pending)
        self.assertEqual(self.into(0, 20_000), 10_000)

    @cases(with_a_close_notify=(True,), without_one=(False,))
    def test_the_end(self, notify: bool) -> None:
        """Rule 177: it is 0, behind the text, and asked again."""
        self.write(b"last")
        if notify:
            with self.assertRaises(ssl.SSLWantReadError):
                self.peer.server.unwrap()
        else:
            self.peer.queue = [self.peer.cipher(), b""]
        self.assertEqual([self.into(0, 100) for _ in range(3)], [4, 0, 0])
        self.assertEqual(self.stream.recv(100), b"")

    def test_a_forged_record_breaks_the_connection_behind_the_good_ones(self) -> None:
        """What came before it is given first."""
        self.write(b"good")
        self.peer.queue = [self.peer.cipher() + self.forged()]
        self.assertEqual(self.into(0, 100), 4)
        for _ in range(2):
            with self.assertRaises(ConnectionClosed) as caught:
                self.into(4, 100)
            self.assertIsInstance(caught.exception.__cause__, ssl.SSLError)

    def test_within_a_call_that_a_signal_handler_interrupted(self) -> None:
        """To read is an error, and nothing of the memory is changed."""
        self.write(b"hello")
        with self.stream._lock, self.assertRaisesRegex(RuntimeError, r"receive\(\) in a signal handler"):
            self.into(0, 5)
        self.assertEqual(self.memory[:5], bytes(5))
        self.assertEqual(self.receive(5), b"hello")


class ShortWayTests(MemoryTestCase):
    """A record that comes alone, when nothing else is pending: its way is short."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.peer.server.write(b"first")
        self.assertEqual(self.stream.recv(100), b"first")
        self.short = mock.patch.object(self.stream, "_prepare_all", side_effect=AssertionError("the long way"))

    def test_one_after_the_other(self) -> None:
        """Patient or not, of one byte and of nearly as many as are fetched at a time."""
        for size in (1, 16, decryption.LITTLE - 100):
            text = bytes(range(1, 251)) * 20
            self.peer.server.write(text[:size])
            with self.short:
                self.assertEqual(self.stream.recv(65536), text[:size])
            self.assertFalse(self.stream.pending)

    def test_what_is_pending_comes_first(self) -> None:
        """Two records at once, a limit within one, one that another thread has found: nothing is fetched before."""
        self.peer.server.write(b"one")
        self.peer.server.write(b"two")
        self.assertEqual([self.stream.recv(100), self.stream.recv(100)], [b"onetwo", None])
        self.peer.server.write(b"three")
        self.assertEqual(self.stream.recv(3), b"thr")
        self.stream._decrypted.append(b", four")
        self.peer.error = ConnectionResetError("gone")
        self.assertEqual(self.stream.recv(100), b"ee, four")
        with self.assertRaises(ConnectionClosed):
            self.stream.recv(100)

    def test_the_end_behind_it(self) -> None:
        """It is not waited for: it is here."""
        self.peer.server.write(b"last")
        with self.assertRaises(ssl.SSLWantReadError):
            self.peer.server.unwrap()
        self.peer.queue = [self.peer.cipher()]
        self.assertEqual(self.stream.recv(100), b"last")
        self.assertTrue(self.stream.pending)
        self.peer.error = ConnectionResetError("gone")
        self.assertEqual([self.stream.recv(100), self.stream.recv(100)], [b"", b""])

    def test_half_a_record(self) -> None:
        """And the rest of it, which is shorter than its text."""
        self.peer.server.write(bytes(3000))
        cipher = self.peer.cipher()
        self.peer.queue = [cipher[:2000], cipher[2000:]]
        self.assertEqual([self.stream.recv(4096), self.stream.recv(4096)], [None, bytes(3000)])

    def test_much_takes_the_long_way_until_little_comes(self) -> None:
        """How much is fetched follows what has come."""
        self.peer.server.write(bytes(10_000))
        self.assertIsNone(self.stream.recv(65536))
        self.assertEqual(self.stream.recv(65536), bytes(10_000))
        for way in (mock.MagicMock(), self.short):
            self.peer.server.write(b"short")
            with way:
                self.assertEqual(self.stream.recv(65536), b"short")
            self.assertEqual(self.stream._most, [decryption.LITTLE])

    def test_nothing_is_fetched_before_what_is_left(self) -> None:
        """By an exception that came at the last moment, or by a `recv_into`."""
        fetch = mock.patch.object(self.peer, "error", ConnectionResetError("gone"))
        self.stream._decrypted.append(b"left")
        with fetch:
            self.assertEqual(self.stream.recv(100), b"left")
        self.peer.server.write(b"abcdef")
        memory = bytearray(2)
        self.assertEqual(self.stream._read_into(memoryview(memory), False), 2)
        with fetch:
            self.assertEqual(self.stream.recv(100), b"cdef")
        self.assertEqual(memory, b"ab")

    def test_a_close_notify_that_comes_alone(self) -> None:
        """The end is the end, whatever is asked for again."""
        with self.assertRaises(ssl.SSLWantReadError):
            self.peer.server.unwrap()
        self.assertEqual(self.stream.recv(100), b"")
        self.peer.error = ConnectionResetError("gone")
        self.assertEqual(self.stream.recv(100), b"")


class ReceivingIntoWithTLS12Tests(ReceivingIntoTests):
    """The same over TLS 1.2."""

    version = TLS_1_2


class ReadInterruptTests(IntoTestCase):
    """Exceptions from outside in a thread that reads, after each call in turn."""

    def assertNothingLost(self, texts: List[bytes], read: Callable[[], object], received: Callable[[], bytes]) -> int:
        """However often `read` is hit, all the texts come; how many places there were to hit it."""
        number = 0
        while True:
            self.memory = bytearray(len(b"".join(texts)) + 1)
            self.write(*texts)
            hit = interrupted_at(number, read)
            self.assertTrue(received() == b"".join(texts), f"after call {number}")
            self.assertIsNone(self.stream.recv(1), f"after call {number}")
            self.assertFalse(self.stream.pending)
            if not hit:
                return number
            number += 1

    def assertNothingReadIsLost(self, texts: List[bytes]) -> None:
        chunks: List[Optional[bytes]] = []
        total = len(b"".join(texts))

        def read() -> None:
            chunks.clear()
            chunks.extend(map(self.stream.recv, (total,)))

        def received() -> bytes:
            for _ in range(RETRIES):
                chunks.append(self.stream.recv(total))
            return b"".join(filter(None, chunks))

        self.assertGreater(self.assertNothingLost(texts, read, received), 5)

    def test_one_record(self) -> None:
        """The short way."""
        self.assertNothingReadIsLost([b"hello"])

    def test_more_than_one(self) -> None:
        """Several records, one of them long."""
        self.assertNothingReadIsLost([b"hello", bytes(range(256)) * 40, b"again"])

    def test_into_memory(self) -> None:
        """How much of the memory is filled is on record: asked again, it tells."""
        texts = [b"hello", bytes(range(256)) * 64, bytes(range(256)) * 64, b"x", b"again"]
        total = len(b"".join(texts))
        filled: List[Optional[int]] = []

        def read() -> None:
            filled.clear()
            with memoryview(self.memory) as memory:
                filled.extend(map(self.stream._read_into, (memory,), (False,)))

        def received() -> bytes:
            for _ in range(RETRIES):
                filled.append(self.into(sum(filter(None, filled)), total + 1))
            return bytes(self.memory[: sum(filter(None, filled))])

        self.assertGreater(self.assertNothingLost(texts, read, received), 5)

    def test_a_copy_into_memory(self) -> None:
        """Text that was decrypted already is there until the call has returned."""
        number = 0
        while True:
            self.stream._decrypted.append(b"abcdef")
            filled: List[Optional[int]] = []

            def read(filled: List[Optional[int]] = filled) -> None:
                with memoryview(self.memory)[:4] as memory:
                    filled.extend(map(self.stream._read_into, (memory,), (False,)))

            hit = interrupted_at(number, read)
            if not filled:
                filled.append(self.into(0, 4))
            self.assertEqual((filled, self.memory[:4], self.stream.recv(9)), ([4], b"abcd", b"ef"))
            if not hit:
                break
            number += 1
        self.assertGreater(number, 2)

    def test_recv_in_the_place_of_it_is_refused(self) -> None:
        """What is in memory that nobody asked for again cannot be given in order: the connection counts as lost."""
        number = 0
        while not self.stream._filled:
            self.write(b"hello")
            self.assertTrue(interrupted_at(number, lambda: self.into(0, 10)))
            if not self.stream._filled:
                self.stream.recv(10)
            number += 1
        self.assertTrue(self.stream.pending)
        with self.assertRaises(ConnectionClosed) as caught:
            self.stream.recv(10)
        self.assertIsInstance(caught.exception.__cause__, InterruptedError)

    def test_within_the_decryption_of_several_records(self) -> None:
        """Those that are stored are given, then the connection counts as lost."""
        self.write(b"one", b"two", b"three")
        self.assertEqual(self.stream.recv(1), b"o")
        with mock.patch.object(self.stream, "_raw") as broken:
            broken.read.side_effect = [b"two", Interrupt]
            with self.assertRaises(Interrupt):
                self.stream.recv(65536)
        self.assertEqual(self.stream.recv(65536), b"netwo")
        with self.assertRaises(ConnectionClosed) as caught:
            self.stream.recv(65536)
        self.assertIsInstance(caught.exception.__cause__, InterruptedError)

    def test_who_keeps_the_exception_keeps_no_hold_of_the_memory(self) -> None:
        """Its traceback must not forbid to make the memory longer."""
        self.write(b"one", b"two")
        self.assertEqual(self.into(0, 1), 1)

        class Broken:
            """It decrypts one record."""

            def __init__(self) -> None:
                self.counts = [2]

            def read(self, size: int, memory: memoryview) -> int:
                if not self.counts:
                    raise Interrupt
                return self.counts.pop()

        self.stream._raw = Broken()
        with self.assertRaises(Interrupt) as caught:
            self.into(1, 100_000)
        self.memory.extend(b"more")
        self.assertIsNotNone(caught.exception)


class DroppedTests(IntoTestCase):
    """A record that OpenSSL had decrypted is gone, for a signal's handler has raised; then another one does."""

    def dropped_and_struck(self, number: int, receive: Callable[[], object]) -> bool:
        """Let the first record read be dropped, and strike once more `number` calls after `receive` has begun."""
        dropped: List[bool] = []
        raw = self.stream._raw

        def drop(*arguments: int) -> bytes:
            raw.read(*arguments)
            dropped.append(True)
            raise KeyboardInterrupt

        self.stream._raw = mock.Mock(read=drop, pending=raw.pending)
        self.stream._open_next = map(self.stream._decrypted.append, map(drop, self.stream._feed_next))
        try:
            if not interrupted_at(number, receive):
                raise AssertionError("nothing came of the first exception")
        except KeyboardInterrupt:
            pass
        self.stream._raw = raw
        self.stream._open_next = map(self.stream._decrypted.append, map(raw.read, self.stream._feed_next))
        return bool(dropped)

    def test_the_connection_counts_as_lost(self) -> None:
        """Wherever the second strikes; as long as nothing was dropped, it goes on."""
        calls: List[Callable[[], object]] = [lambda: self.stream.recv(100), lambda: self.into(0, 100)]
        for call in calls:
            lost = 0
            for number in range(40):
                self.setUp()
                self.write(b"first", b"second")
                if self.dropped_and_struck(number, call):
                    lost += 1
                    with self.assertRaises(ConnectionClosed):
                        for _ in range(RETRIES):
                            call()
            self.assertGreater(lost, 5)


class OwnMemoryTests(IntoTestCase):
    """Where there is a socket below, and much comes from it: cipher text is fetched into memory that lasts."""

    kind = SocketPeer
    peer: SocketPeer

    def setUp(self) -> None:
        super().setUp()
        self.spare: List[memoryview] = []
        spare = mock.patch.object(decryption, "_spare", self.spare)
        spare.start()
        self.addCleanup(spare.stop)

    def use_memory(self) -> memoryview:
        """A long message is received; its memory is free again."""
        text = bytes(range(256)) * 80
        self.write(text[:16384], text[16384:])
        self.assertTrue(self.receive(len(text)) == text)
        self.assertIsNone(self.stream._memory)
        return self.spare[-1]

    def test_it_is_used_again_and_again(self) -> None:
        """One piece of memory takes all of a long message; in order, and with no waits."""
        memory = self.use_memory()
        self.memory = bytearray(600_000)
        text = random.Random(22).randbytes(len(self.memory))
        self.peer.patience.clear()
        self.write(*(text[start : start + 16384] for start in range(0, len(text), 16384)))
        self.assertEqual(self.into(0, len(text)), len(text))
        self.assertTrue(self.memory == text)
        self.assertEqual(list(map(id, self.spare)), [id(memory)])
        self.assertEqual(self.peer.patience, [False] * 3)

    def test_another_takes_the_last_piece(self) -> None:
        """Between a look at what there is and the taking: then memory is made."""

        class Emptied(List[memoryview]):
            def __bool__(self) -> bool:
                return True

        with mock.patch.object(decryption, "_spare", Emptied()) as spare:
            self.spare = spare
            self.use_memory()

    def test_one_call_is_bounded(self) -> None:
        """Whoever reads has other things to do as well."""
        self.memory = bytearray(2_000_000)
        self.write(*[bytes(16384)] * 90)
        filled = self.into(0, len(self.memory)) or 0
        self.assertGreaterEqual(filled, decryption.ENOUGH)
        self.assertLess(filled, decryption.ENOUGH + decryption.MEMORY)
        self.assertEqual(self.into(filled, len(self.memory)), 90 * 16384 - filled)

    def test_what_is_there_is_not_waited_for(self) -> None:
        """Nor is what comes behind it."""
        text = bytes(range(256)) * 80
        self.write(text[:16384], text[16384:])
        patient = mock.Mock(side_effect=AssertionError("it waits"))
        with mock.patch.object(self.stream, "_patient", patient):
            self.assertEqual(self.into(0, 100_000, patient=True), len(text))
        self.assertEqual(self.peer.patience, [False, False])

    def test_who_waits_holds_no_memory(self) -> None:
        """Little is fetched then, and all that has come with it without waiting."""
        self.use_memory()
        self.peer.patience.clear()
        text = bytes(range(256)) * 80
        spare: List[int] = []

        def patient(limit: int) -> Optional[bytes]:
            spare.append(len(self.spare))
            self.write(text[:16384], text[16384:])
            return self.peer.recv(limit)

        with mock.patch.object(self.stream, "_patient", mock.Mock(side_effect=patient)) as called:
            self.assertEqual(self.into(0, 100_000, patient=True), len(text))
        called.assert_called_once_with(decryption.LITTLE)
        self.assertEqual(spare, [1])
        self.assertEqual(self.peer.patience, [False] * 3)

    def test_what_is_pending_is_not_waited_for(self) -> None:
        """Nor what comes behind it."""
        text = bytes(range(256)) * 400
        self.write(*(text[start : start + 16384] for start in range(0, len(text), 16384)))
        self.peer.queue.append(self.peer.cipher())
        self.assertTrue(self.stream.recv(65_552) == text[:65_552])
        patient = mock.Mock(side_effect=AssertionError("it waits"))
        with mock.patch.object(self.stream, "_patient", patient):
            self.assertEqual(self.into(0, 100_000, patient=True), len(text) - 65_552)

    def test_half_a_record_is_waited_for_once(self) -> None:
        """What a patient read brings is all it brings, if that is no text yet."""
        self.use_memory()
        self.write(bytes(3000))
        cipher = self.peer.cipher()
        patient = mock.Mock(side_effect=[cipher[:2000], AssertionError("it waits again")])
        with mock.patch.object(self.stream, "_patient", patient):
            self.assertIsNone(self.into(0, 100_000, patient=True))
        self.peer.queue = [cipher[2000:]]
        self.assertEqual(self.into(0, 100_000, patient=True), 3000)

    def test_it_is_everybodys(self) -> None:
        """Of four at most; more connections that receive at once are rare, and memory is memory."""
        self.use_memory()
        del self.spare[:]  # another connection has it
        self.use_memory()
        del self.spare[:]
        self.spare.extend(memoryview(bytearray(20_000)) for _ in range(4))
        last = self.spare[-1]
        self.assertIs(self.use_memory(), last)
        with mock.patch.object(self.stream, "_memory", memoryview(bytearray(20_000))):
            self.write(b"hello")
            self.assertEqual(self.into(0, 10), 5)
        self.assertEqual(len(self.spare), 4)

    def test_nothing_is_there(self) -> None:
        """`None`, as without it; nothing is held meanwhile."""
        self.assertIsNone(self.into(0, 10))
        self.assertFalse(self.stream.pending)
        self.assertIsNone(self.stream._memory)

    def test_the_end(self) -> None:
        """0, again and again."""
        self.peer.ended = True
        self.assertEqual([self.into(0, 10), self.stream.recv(10), self.into(0, 10)], [0, b"", 0])

    def test_a_broken_connection_is_told(self) -> None:
        """ConnectionClosed with its reason."""
        self.peer.error = ConnectionResetError(104, "reset")
        with self.assertRaises(ConnectionClosed) as caught:
            self.into(0, 10)
        self.assertIs(caught.exception.__cause__, self.peer.error)

    def test_what_a_signal_handler_raises_is_for_the_program(self) -> None:
        """An alarm's TimeoutError is an OSError too, and says nothing of the connection."""
        self.peer.error = TimeoutError("an alarm")
        with self.assertRaises(TimeoutError):
            self.into(0, 10)
        self.peer.error = None
        self.write(b"hello")
        self.assertEqual(self.into(0, 10), 5)


class ReadInterruptInOwnMemoryTests(ReadInterruptTests):
    """The same with memory for the cipher text."""

    kind = SocketPeer

    def test_much(self) -> None:
        """Enough for the memory to be used, from the second fetch on."""
        self.assertNothingReadIsLost([bytes(range(256)) * 64, b"more", bytes(range(256)) * 30])


class RawTests(MemoryTestCase):
    """The part of an `ssl.SSLObject` that does the work."""

    @unittest.skipUnless(sys.implementation.name == "cpython", "what is behind the object is CPython's affair")
    def test_it_is_called_without_a_detour(self) -> None:
        """There is no Python code between decrypting a record and storing it."""
        self.assertFalse(hasattr(self.stream._raw.read, "__code__"))

    def test_the_object_itself_does_too(self) -> None:
        """Where there is no such part."""

        class Whole(ssl.SSLObject):
            """One whose parts are out of sight."""

        context = client_context()
        context.sslobject_class = Whole
        peer = MemoryPeer(server_context())
        with mock.patch("wssync.transport.decryption.getattr", lambda it, name, default: default, create=True):
            stream = TLSStream(peer, context, "localhost")
        self.assertIsInstance(stream._raw, Whole)
        stream.handshake(self.attempt())
        peer.step()
        self.assertIsNone(stream.recv(100), "there is something besides the tickets")
        peer.server.write(b"hello")
        self.assertEqual(stream.recv(100), b"hello")
        self.assertEqual(stream.send(b"hello"), 5)
        self.assertEqual(peer.read(), b"hello")


class SealingTests(MemoryTestCase):
    """`sealing`: the steps of a send."""

    kind = SocketPeer

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        sealing = self.stream.sealing
        assert sealing is not None
        self.sealing = sealing

    def test_there_is_none_without_a_socket(self) -> None:
        """Behind TLS through a proxy's TLS is more than that."""
        self.assertIsNone(TLSStream(MemoryPeer(server_context()), client_context(), "localhost").sealing)

    def test_the_steps_are_a_send(self) -> None:
        """What is sealed is for the socket; the stream has nothing left."""
        sealed = self.sealing.seal(b"hello")
        assert sealed is not None
        self.assertFalse(self.stream.has_output)
        self.assertEqual(self.peer.read(), b"")
        self.assertEqual(self.sealing.direct.send(sealed, self.sealing.direct.send_flags), len(sealed))
        self.assertEqual(self.peer.read(), b"hello")

    def test_what_the_kernel_did_not_take_goes_first(self) -> None:
        """It is kept, and nothing else is sealed before it has gone."""
        sealed = self.sealing.seal(b"hello")
        assert sealed is not None
        self.sealing.direct.send(sealed[:7], 0)
        self.sealing.keep(sealed[7:])
        self.assertTrue(self.stream.has_output)
        self.assertIsNone(self.sealing.seal(b"more"))
        self.assertEqual(self.stream.send(b", you"), 5)
        self.assertEqual(self.peer.read(), b"hello, you")

    def test_what_a_reader_produced_goes_before(self) -> None:
        """The answer to a key update must not come behind what is sealed after it."""
        with self.stream._lock:
            self.stream._object.write(b"answer, ")
        sealed = self.sealing.seal(b"hello")
        assert sealed is not None
        self.sealing.direct.send(sealed, 0)
        self.assertFalse(self.stream.has_output)
        self.assertEqual(self.peer.read(), b"answer, hello")

    def test_what_is_longer_than_a_record(self) -> None:
        """It becomes several, in order, and all of them are there at once."""
        for size in (16384, 16385, 65_550):
            data = random.Random(size).randbytes(size)
            sealed = self.sealing.seal(data)
            assert sealed is not None
            self.assertFalse(self.stream.has_output)
            self.sealing.direct.send(sealed, 0)
            self.assertTrue(self.peer.read() == data, size)

    def test_what_is_longer_than_a_frame_is_not_sealed(self) -> None:
        """What is held for the kernel at once has a bound."""
        self.assertIsNone(self.sealing.seal(bytes(81_921)))
        self.assertFalse(self.stream.has_output)

    def test_within_a_call_that_a_signal_handler_interrupted(self) -> None:
        """Nothing is sealed, nor waited for."""
        with self.stream._lock:
            self.assertIsNone(self.sealing.seal(b"hello"))
        self.assertIsNotNone(self.sealing.seal(b"hello"))

    def test_nothing_is_sealed_while_tls_must_read(self) -> None:
        """Before the handshake is done, for example."""
        stream = TLSStream(SocketPeer(server_context()), client_context(), "localhost")
        assert stream.sealing is not None
        self.assertIsNone(stream.sealing.seal(b"too early"))

    def test_no_data_after_the_end(self) -> None:
        """The same ConnectionClosed as from `send`."""
        self.stream.shutdown_write()
        with self.assertRaises(ConnectionClosed) as caught:
            self.sealing.seal(b"x")
        self.assertIsInstance(caught.exception.__cause__, ssl.SSLError)


class UnsealingTests(IntoTestCase):
    """`unsealing`: the steps of a `patient_recv`."""

    kind = SocketPeer

    def setUp(self) -> None:
        super().setUp()
        unsealing = self.stream.unsealing
        assert unsealing is not None
        self.steps = unsealing
        self.write(b"before")
        self.assertEqual(self.stream.recv(100), b"before")
        self.assertOpen()

    def assertOpen(self, is_open: bool = True) -> None:
        """Whether the short way may be gone."""
        self.assertIs(self.stream.is_clean, is_open)
        if is_open:
            self.assertEqual((self.steps.fetched, self.steps.decrypted, self.stream.pending), ([], [], False))

    def give(self, data: bytes) -> None:
        """What one has to do who has fetched this."""
        self.stream.is_clean = False
        self.steps.fetched.append(data)

    def test_there_is_none_without_a_socket(self) -> None:
        """Behind TLS through a proxy's TLS is more than that."""
        self.assertIsNone(TLSStream(MemoryPeer(server_context()), client_context(), "localhost").unsealing)

    def test_the_steps_are_a_recv(self) -> None:
        """What is opened was fetched by whoever asks; the way is open again."""
        for text in (b"hello", b"x" * 4000, b"again"):
            self.write(text)
            self.give(self.peer.cipher())
            self.assertEqual(self.steps.open(10_000), text)
            self.assertOpen()

    def test_within_a_call_that_a_signal_handler_interrupted(self) -> None:
        """To read is an error; what was fetched is there for the next."""
        self.write(b"hello")
        self.give(self.peer.cipher())
        with self.stream._lock, self.assertRaisesRegex(RuntimeError, r"receive\(\) in a signal handler"):
            self.steps.open(100)
        self.assertEqual(self.stream.recv(100), b"hello")

    def test_several_records(self) -> None:
        """All of them at once, as far as the limit; the rest is for `recv`."""
        self.write(b"one", b"two", b"three")
        self.give(self.peer.cipher())
        self.assertEqual(self.steps.open(100), b"onetwothree")
        self.assertOpen()
        self.write(b"one", b"two")
        self.give(self.peer.cipher())
        self.assertEqual(self.steps.open(4), b"onet")
        self.assertOpen(False)
        self.assertEqual(self.stream.recv(4), b"wo")
        self.assertOpen()
        self.write(b"longer")
        self.give(self.peer.cipher())
        self.assertEqual(self.steps.open(4), b"long")
        self.assertEqual(self.stream.recv(4), b"er")

    def test_what_is_no_text(self) -> None:
        """Part of a record, the end, nonsense: `recv` has the rest of it, or tells."""
        self.write(b"hello")
        cipher = self.peer.cipher()
        self.give(cipher[:10])
        self.assertIsNone(self.steps.open(100))
        self.peer.queue = [cipher[10:]]
        self.assertEqual(self.stream.recv(100), b"hello")
        self.assertOpen()
        forged = self.forged()
        self.give(forged)
        self.assertIsNone(self.steps.open(100))
        self.assertOpen(False)
        with self.assertRaises(ConnectionClosed):
            self.stream.recv(100)

    def test_the_end(self) -> None:
        """Rule 177: it is the same as that of `recv`, behind the text before it."""
        self.write(b"last")
        self.give(self.peer.cipher())
        self.assertEqual(self.steps.open(100), b"last")
        self.give(b"")
        self.assertIsNone(self.steps.open(100))
        self.assertOpen(False)
        self.assertEqual(self.stream.recv(100), b"")

    def test_what_has_to_be_answered(self) -> None:
        """Then the text is for `recv`, whose caller asks whether there is output."""
        self.write(b"hello")
        with self.stream._lock:
            self.stream._object.write(b"answer")
        self.give(self.peer.cipher())
        self.assertIsNone(self.steps.open(100))
        self.assertOpen(False)
        self.assertTrue(self.stream.has_output)
        self.assertEqual(self.stream.recv(100), b"hello")
        self.assertOpen()

    def test_an_interrupt_at_any_call(self) -> None:
        """The text is given, or comes from the next `recv`; nothing is waited for before that."""
        number, hit = 0, True
        while hit:
            self.write(b"hello")
            self.give(self.peer.cipher())
            got: List[Optional[bytes]] = []

            def read(got: List[Optional[bytes]] = got) -> None:
                got.extend(map(self.steps.open, (100,)))

            hit = interrupted_at(number, read)
            if not got:
                self.assertTrue(self.stream.pending or self.stream.is_clean, number)
                got.append(self.stream.recv(100))
            self.assertEqual(got, [b"hello"], f"after call {number}")
            self.assertOpen()
            number += 1
        self.assertGreater(number, 3)


class UnsealingWithTLS12Tests(UnsealingTests):
    """The same over TLS 1.2."""

    version = TLS_1_2


class SealingWithTLS12Tests(SealingTests):
    """The same over TLS 1.2."""

    version = TLS_1_2


if __name__ == "__main__":
    unittest.main()
