"""The two short ways: a send that writes at once, and a receive that reads by itself."""

from __future__ import annotations

import select
import signal
import socket
import threading
import unittest
from typing import Any, Deque, List, Optional, Union
from unittest import mock

from tests.clock import StillClock
from tests.interrupts import Interrupt, interrupted_at
from tests.protocol.wire import TEXT, frame, header
from tests.support import cases, with_cases
from wssync.engine import express, reader
from wssync.engine.accelerated import CompiledBorrower, CompiledExpress
from wssync.engine.completions import Waiter
from wssync.engine.express import SHORT
from wssync.engine.outbox import Message
from wssync.engine.reader import Reader
from wssync.engine.tracing import Tracer
from wssync.errors import Cancelled, ConnectionClosed
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.protocol.messages import Decoder
from wssync.transport.stream import TCPStream

from .support import PATIENCE, Frame, Rig, Running, frames_in

BINARY = 0x80 | Opcode.BINARY


def binary(*payloads: bytes) -> List[Frame]:
    return [(Opcode.BINARY, payload) for payload in payloads]


class SocketRig(Rig):
    """An open connection over a pair of sockets, the other end of which is `peer`. It has no thread.

    With `compiled` false it does without the accelerator.
    """

    def __init__(self, case: unittest.TestCase, *, compiled: bool = False, **settings: Any) -> None:
        super().__init__(case, **settings)
        left, self.peer = socket.socketpair()
        case.addCleanup(self.peer.close)
        self.peer.setblocking(False)
        self.socket = TCPStream(left, self.engine._waker)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.raw = b""
        connection = self.connection
        connection.stream = self.socket
        with mock.patch.object(express, "CompiledExpress", CompiledExpress if compiled else None):
            connection.outbox.attach(self.socket, Encoder(Role.CLIENT), connection.flush)
        with mock.patch.object(reader, "_BORROWER", reader._BORROWER if compiled else None):
            self.engine._reader = Reader(connection, self.socket, Decoder(Role.CLIENT, maximum_message_size=None))
        connection.reader = self.engine.reader
        case.addCleanup(self.socket.close)

    def fetch(self) -> List[Frame]:
        """The whole frames that have come to the other end since this was asked last."""
        try:
            while True:
                data = self.peer.recv(1 << 20)
                if not data:
                    break
                self.raw += data
        except BlockingIOError:
            pass
        frames, self.raw = frames_in(self.raw)
        return frames

    def write_out(self) -> List[Frame]:
        """Let the engine write as long as there is something, and the peer read."""
        frames = self.fetch()
        while self.connection.outbox.has_rest:
            select.select([], [self.socket._sock], [], PATIENCE)
            self.engine._turn()
            frames += self.fetch()
        return frames


class RoleCase(unittest.TestCase):
    def assertFree(self, rig: Rig) -> None:
        """Nobody holds a role."""
        self.assertTrue(Running(lambda: rig.connection.outbox.role.attempt(lambda: None)).result(), "the write role")


class SendTests(RoleCase):
    def setUp(self) -> None:
        self.rig = Rig(self)
        self.connection = self.rig.connection
        self.stream = self.rig.stream
        self.outbox = self.connection.outbox

    def send(self, payload: bytes = b"now") -> Union[bool, Message]:
        return self.rig.send_at_once(BINARY, payload)

    def refused(self) -> None:
        """It says that nothing has happened, and that is so."""
        total = self.stream.total
        self.assertIs(self.send(), False)
        self.assertEqual(self.stream.total, total)

    def test_it_writes_at_once(self) -> None:
        """Rules 108 and 109: handed to the operating system, one after the other; nothing is queued, nobody woken."""
        self.rig.settle()
        for payload in (b"a", b"", b"c" * SHORT):
            self.assertIs(self.send(payload), True)
            self.assertEqual(self.rig.sent(), binary(payload))
        self.assertEqual((self.outbox.counts.sent, self.outbox.buffered_amount), (SHORT + 1, 0))
        self.assertFalse(self.rig.woken())
        self.assertFree(self.rig)

    def test_a_long_message_is_queued(self) -> None:
        """Its pieces are made one by one, elsewhere."""
        self.assertIs(self.send(b"c" * (SHORT + 1)), False)
        self.assertEqual(self.rig.sent(), [])

    def test_not_before_the_connection_is_open(self) -> None:
        """Rule 47: what is sent early waits."""
        rig = Rig(self, opened=False)
        self.assertIs(rig.send_at_once(BINARY, b"early"), False)

    def test_what_is_queued_comes_first(self) -> None:
        """Rules 108, 119 and 147: behind a message, a ping, a pong or a Close it does not pass, and does after them."""
        self.stream.takes = 0

        def later() -> None:
            self.stream.take()
            self.rig.settle()

        for queue in (
            lambda: self.rig.send(b"before"),
            lambda: self.rig.ping(b"ping"),
            lambda: self.connection.pong(b"pong"),
        ):
            self.stream.takes = 0
            queue()
            self.refused()
            later()
            self.assertEqual(len(self.rig.sent()), 1)
            self.assertIs(self.send(), True)
            self.assertEqual(self.rig.sent(), binary(b"now"))

    def test_not_while_it_is_suspended(self) -> None:
        """`suspend()`: nothing leaves; after `resume()` the first comes the long way, and opens the short one."""
        self.connection.suspend()
        self.refused()
        self.connection.resume()
        self.refused()
        self.rig.send(b"first")
        self.assertIs(self.send(), True)

    def test_not_after_close(self) -> None:
        """Rule 116: the long way says why."""
        self.connection.close(1000, None, None)
        self.assertEqual(self.rig.sent()[0][0], Opcode.CLOSE)
        self.refused()

    def test_not_once_it_is_about_to_end(self) -> None:
        """Rule 175: it fails with all others, in order."""
        self.connection.end(Cancelled("x"))
        self.refused()
        self.rig.finish()
        self.refused()

    def test_not_while_another_writes(self) -> None:
        """Nobody waits for the role; what is queued in its place is written by the holder, who looks again."""
        outcomes: List[Union[bool, Message]] = []

        def meanwhile() -> None:
            self.stream.after_send = lambda: None
            outcomes.append(Running(self.send).result())
            Running(lambda: self.rig.send(b"queued")).result()

        self.stream.after_send = meanwhile
        self.assertIs(self.send(b"first"), True)
        self.assertEqual(outcomes, [False])
        self.assertEqual(self.rig.sent(), binary(b"first", b"queued"))
        self.assertFree(self.rig)

    def test_it_looks_again_once_it_has_the_role(self) -> None:
        """What closed the short way meanwhile is not passed."""
        way = self.outbox.express
        self.assertIsNotNone(way)

        class Closing:
            """A lock that lets somebody else act before it is taken."""

            def __init__(self, lock: Any) -> None:
                self._lock = lock
                self.release, self._is_owned = lock.release, lock._is_owned

            def acquire(self, blocking: bool) -> bool:
                Running(lambda: rig.send(b"queued")).result()
                return bool(self._lock.acquire(blocking))

        rig = self.rig
        closing = Closing(self.outbox.role.lock)
        with mock.patch.object(way, "_lock", closing), mock.patch.object(type(self.outbox), "pump"):
            self.assertIs(self.send(), False)
        self.rig.settle()
        self.assertEqual(self.rig.sent(), binary(b"queued"))

    def test_a_signal_handler_that_sends_within_a_send(self) -> None:
        """It does not get the role that its own thread holds; its message comes behind the one it interrupted."""
        outcomes: List[Union[bool, Message]] = []

        def handler() -> None:
            self.stream.before_send = lambda: None
            outcomes.append(self.send(b"inner"))
            self.rig.send(b"inner")

        self.stream.before_send = handler
        self.assertIs(self.send(b"outer"), True)
        self.assertEqual(outcomes, [False])
        self.assertEqual(self.rig.sent(), binary(b"outer", b"inner"))
        self.assertFree(self.rig)

    def test_a_full_kernel_leaves_a_message_that_has_begun(self) -> None:
        """Rules 108, 109 and 120: the rest leaves before all others, and the message is complete with its last byte."""
        self.stream.takes = self.stream.room = 5
        message = self.send(b"hello")
        assert isinstance(message, Message)
        later = self.rig.send(b"later")
        self.refused()
        self.assertEqual((message.begun, message.completion.done), (True, False))
        self.assertEqual((self.outbox.buffered_amount, self.outbox.counts.sent), (10, 0))
        self.assertFalse(self.connection.withdraw_send(message))
        self.assertTrue(self.rig.woken())
        self.stream.room = 5
        self.rig.settle()
        self.assertEqual((self.stream.room, message.completion.done), (0, False), "one byte more is to come")
        self.stream.take()
        self.rig.settle()
        self.assertEqual(self.rig.sent(), binary(b"hello", b"later"))
        self.assertTrue(message.completion.done and later.completion.done)
        self.assertEqual((self.outbox.buffered_amount, self.outbox.counts.sent), (0, 10))
        self.assertIs(self.send(), True)

    def test_one_whose_taking_over_was_interrupted_counts(self) -> None:
        """It leaves whole, and that is what is counted."""
        self.stream.takes = self.stream.room = 5
        add = self.outbox._add_to_flight

        def interrupted(message: Message) -> None:
            add(message)
            raise Interrupt

        with mock.patch.object(self.outbox, "_add_to_flight", interrupted), self.assertRaises(Interrupt):
            self.send(b"hello")
        self.stream.take()
        self.rig.settle()
        self.assertEqual(self.rig.sent(), binary(b"hello"))
        self.assertEqual((self.outbox.counts.sent, self.outbox.counts.messages_sent), (5, 1))
        self.assertEqual(self.outbox.buffered_amount, 0)

    def test_a_kernel_that_takes_nothing(self) -> None:
        """The same: the frame is made, and has its place."""
        self.stream.takes = 0
        message = self.send(b"hello")
        assert isinstance(message, Message)
        self.assertFalse(self.connection.withdraw_send(message))
        self.stream.take()
        self.rig.settle()
        self.assertEqual(self.rig.sent(), binary(b"hello"))
        self.assertTrue(message.completion.done)

    def test_one_that_has_begun_fails_with_the_connection(self) -> None:
        """Rules 117 and 175: with its error, before those behind it."""
        self.stream.takes = self.stream.room = 5
        message = self.send(b"hello")
        assert isinstance(message, Message)
        self.rig.send(b"later")
        self.assertEqual(self.outbox.fail()[0], message.completion)
        self.connection.cancel()
        self.rig.finish()
        self.assertIsInstance(message.completion.error, Cancelled)

    def test_a_broken_connection(self) -> None:
        """Rules 117 and 175: the send comes the long way and fails, behind those before it, with what broke."""
        self.stream.fails_at = self.stream.total
        self.assertIs(self.send(), False)
        self.assertTrue(self.rig.woken())
        message = self.rig.send(b"now", blocking=True)
        self.assertFalse(message.completion.done)
        self.rig.settle()
        self.rig.advance(1.0)
        self.rig.finish()
        error = message.completion.error
        self.assertIs(error, self.rig.verdict)
        self.assertIsInstance(error, ConnectionClosed)
        self.assertIsInstance(error and error.__cause__, ConnectionResetError)

    def test_an_unknown_outcome_breaks_it(self) -> None:
        """Interrupted where nobody can know how much was taken: nothing may follow, and the engine thread ends it."""
        self.stream.after_send = mock.Mock(side_effect=Interrupt)
        with self.assertRaises(Interrupt):
            self.send()
        self.assertIn("interrupted", str(self.outbox.broken))
        self.assertTrue(self.rig.woken())
        self.assertFree(self.rig)
        self.refused()

    def test_an_interrupt_before_the_role_is_won(self) -> None:
        """Nothing has happened."""
        lock = mock.Mock()
        lock._is_owned.return_value = False
        lock.acquire.side_effect = Interrupt
        lock.release.side_effect = RuntimeError
        with mock.patch.object(self.outbox.express, "_lock", lock), self.assertRaises(Interrupt):
            self.send()
        self.assertIsNone(self.outbox.broken)
        self.assertIs(self.send(), True)


WAYS = {"in Python": False, "compiled": True}


@with_cases
class SocketTests(RoleCase):
    def rig(self, compiled: bool, **settings: Any) -> SocketRig:
        if compiled and CompiledExpress is None:
            self.skipTest("wssync._speedups was not built, or has no sockets")
        return SocketRig(self, compiled=compiled, **settings)

    @cases(WAYS)
    def test_a_message_over_a_socket(self, compiled: bool) -> None:
        """Rule 108: there at once, as it is."""
        rig = self.rig(compiled)
        self.assertIs(rig.send_at_once(BINARY, b"hello"), True)
        self.assertIs(rig.send_at_once(0x81, b"text"), True)
        self.assertEqual(rig.fetch(), [*binary(b"hello"), (Opcode.TEXT, b"text")])

    @cases(WAYS)
    def test_what_the_kernel_does_not_take(self, compiled: bool) -> None:
        """Rules 109 and 118: nobody waits; the engine thread sends it when the peer reads, in order."""
        rig = self.rig(compiled)
        payloads: List[bytes] = []
        message: Union[bool, Message] = True
        while message is True:
            payloads.append(bytes([len(payloads)]) * 20_000)
            message = rig.send_at_once(BINARY, payloads[-1])
        assert isinstance(message, Message)
        self.assertEqual(rig.connection.outbox.buffered_amount, 20_000)
        self.assertIs(rig.send_at_once(BINARY, b"refused"), False)
        later = rig.send(b"later")
        self.assertEqual(rig.write_out(), binary(*payloads, b"later"))
        self.assertTrue(message.completion.done and later.completion.done)
        self.assertEqual(rig.connection.outbox.buffered_amount, 0)
        self.assertEqual(rig.connection.outbox.counts.sent, 20_000 * len(payloads) + 5)
        self.assertIs(rig.send_at_once(BINARY, b"again"), True)

    @cases(WAYS)
    def test_a_peer_that_is_gone(self, compiled: bool) -> None:
        """Rule 117: the connection is broken by what the system said; the message fails with it."""
        rig = self.rig(compiled)
        rig.peer.close()
        self.assertIs(rig.send_at_once(BINARY, b"hello"), False)
        broken = rig.connection.outbox.broken
        assert broken is not None
        self.assertEqual((broken.code, broken.url_error_code), (1006, -1005))
        self.assertIsInstance(broken.__cause__, BrokenPipeError)
        message = rig.send(b"hello", blocking=True)
        while rig.connection.cause is None:
            rig.engine._turn()
        rig.finish()
        self.assertIs(message.completion.error, rig.verdict)
        self.assertIs(rig.verdict, broken)

    def test_what_a_signal_handler_raises_is_no_lost_connection(self) -> None:
        """An alarm's TimeoutError is an OSError too: it is for the caller, and the connection goes on."""
        rig = self.rig(False)
        short: Any = rig.connection.outbox.express
        short._way._direct = short._way._direct._replace(send=mock.Mock(side_effect=TimeoutError("alarm")))
        with self.assertRaisesRegex(TimeoutError, "alarm"):
            rig.send_at_once(BINARY, b"hello")
        self.assertIsNone(rig.connection.outbox.broken)

    @cases(WAYS)
    def test_interrupted_after_any_call(self, compiled: bool) -> None:
        """The message has left whole, once, or not at all; no role is held, no byte lost, and sending goes on."""
        self.interrupt_everywhere(compiled, b"hello")

    @cases(WAYS)
    def test_interrupted_after_any_call_while_the_kernel_is_full(self, compiled: bool) -> None:
        """The same for one that leaves in two parts."""
        self.interrupt_everywhere(compiled, b"hello" * 10_000)

    def interrupt_everywhere(self, compiled: bool, payload: bytes) -> None:
        number, hit = 0, True
        while hit:
            rig = self.rig(compiled)
            connection = rig.connection

            def send(rig: SocketRig = rig) -> None:
                rig.send_at_once(BINARY, payload)

            rig.engine._waker.clear()
            hit = interrupted_at(number, send)
            with self.subTest(moment=number):
                self.assertTrue(rig.woken() or not connection.outbox.has_rest, "work that nobody knows of")
                self.assertFree(rig)
                frames = rig.write_out()
                self.assertIn(frames, (binary(payload),) if not hit else (binary(payload), []))
                later = rig.send(b"later")
                self.assertEqual(rig.write_out(), binary(b"later"))
                self.assertTrue(later.completion.done)
                for _ in range(2):
                    self.assertIs(rig.send_at_once(BINARY, b"again"), True)
                self.assertEqual(rig.write_out(), binary(b"again", b"again"))
                self.assertEqual((connection.outbox.buffered_amount, connection.outbox.broken), (0, None))
                self.assertIsNone(connection.cause)
            number += 1
            self.doCleanups()
        self.assertGreater(number, 2 if compiled else 3)

    @cases(WAYS)
    def test_two_interrupts_at_once(self, compiled: bool) -> None:
        """The second strikes before anybody could look after the frame that the first has left half sent."""
        rig = self.rig(compiled)
        outbox = rig.connection.outbox
        payload = b"hello" * 10_000
        keep = mock.patch.object(outbox, "keep_rest", side_effect=Interrupt)
        broke = mock.patch.object(outbox, "broke", side_effect=Interrupt)
        pump = mock.patch.object(outbox, "pump", side_effect=Interrupt)
        with keep, broke, pump, self.assertRaises(Interrupt):
            while True:
                rig.send_at_once(BINARY, payload)
        self.assertTrue(rig.woken())
        self.assertEqual((outbox.has_rest, outbox.is_clean, outbox.express), (True, False, None))
        self.assertIs(rig.send_at_once(BINARY, b"refused"), False)
        rig.send(b"later")
        frames = rig.write_out()
        self.assertEqual((frames[-1], {*frames[:-1]}), (*binary(b"later"), {*binary(payload)}))
        self.assertIsNone(outbox.struck)
        self.assertIs(rig.send_at_once(BINARY, b"again"), True)

    def test_two_interrupts_at_once_in_a_compressor(self) -> None:
        """What it has seen is not known then: the connection counts as broken, and nothing follows."""
        rig = self.rig(False)
        outbox = rig.connection.outbox
        short: Any = outbox.express
        unknown = ConnectionClosed("sending was interrupted")
        short._way = mock.Mock(**{"send.side_effect": Interrupt, "rest.side_effect": unknown})
        with mock.patch.object(outbox, "broke", side_effect=Interrupt), self.assertRaises(Interrupt):
            rig.send_at_once(BINARY, b"x")
        self.assertIs(outbox.broken, unknown)
        self.assertIsNone(outbox.struck)
        self.assertEqual(rig.fetch(), [])

    def test_an_interrupt_leaves_nothing_of_others_behind(self) -> None:
        """What another thread queued while the role was held is written, or the engine thread knows of it."""
        number, hit = 0, True
        while hit:
            rig = self.rig(False)
            connection = rig.connection
            short: Any = connection.outbox.express
            send = short._way.send

            def queue_meanwhile(first: int, payload: bytes, rig: Any = rig, send: Any = send) -> bool:
                Running(lambda: rig.send(b"other")).result()
                return bool(send(first, payload))

            short._way.send = queue_meanwhile
            rig.engine._waker.clear()
            hit = interrupted_at(number, lambda rig=rig: rig.send_at_once(BINARY, b"mine"))  # type: ignore[misc]
            with self.subTest(moment=number):
                self.assertTrue(rig.woken() or not connection.outbox.has_rest, "work that nobody knows of")
            number += 1
            self.doCleanups()
        self.assertGreater(number, 3)


class Vanishing(Deque[Any]):
    """A queue whose last message somebody else takes first."""

    def __bool__(self) -> bool:
        return True


class ReceiveTests(unittest.TestCase):
    def setUp(self) -> None:
        self.rig = Rig(self)
        self.connection = self.rig.connection

    def test_a_message_that_is_here(self) -> None:
        """Rules 122 and 123: the oldest, without a look at the network."""
        self.rig.give(frame(TEXT, b"one") + frame(TEXT, b"two"))
        with mock.patch.object(Reader, "borrow", side_effect=AssertionError):
            self.assertEqual(self.connection.receive_at_once(None), "one")
            self.assertEqual(self.connection.receive_at_once(0.0), "two")

    def test_it_reads_by_itself(self) -> None:
        """With nothing here the caller borrows the role for as long as it has time."""
        with mock.patch.object(Reader, "borrow", return_value="read") as borrow:
            self.assertEqual(self.connection.receive_at_once(3.0), "read")
        borrow.assert_called_once_with(3.0)

    def test_who_is_not_first_queues_up(self) -> None:
        """Rules 124 and 135: not before an earlier receive, nor while it is suspended, nor with the end near."""
        first = self.rig.receive()
        self.assertIsNone(self.connection.receive_at_once(None))
        self.connection.withdraw_receive(first)
        self.connection.suspend()
        self.assertIsNone(self.connection.receive_at_once(None))
        self.connection.resume()
        self.connection.end(Cancelled("x"))
        self.assertIsNone(self.connection.receive_at_once(None))

    def test_nobody_reads_before_it_is_open(self) -> None:
        """Rule 47: an early receive waits in the row."""
        connection = Rig(self, opened=False).connection
        connection.inbox.held = False
        connection.inbox.match(connection.strand)
        self.assertIsNotNone(connection.inbox.express)
        self.assertIsNone(connection.receive_at_once(None))

    def test_another_caller_was_quicker(self) -> None:
        """The message that was seen is gone: it reads."""
        self.connection.inbox.express = Vanishing()
        with mock.patch.object(Reader, "borrow", return_value=None) as borrow:
            self.assertIsNone(self.connection.receive_at_once(1.0))
        borrow.assert_called_once_with(1.0)


def borrowing_rig(case: unittest.TestCase, compiled: bool) -> SocketRig:
    """One that receives in this form, where that is to be had."""
    if compiled and CompiledBorrower is None:
        case.skipTest("wssync._speedups was not built, or has no sockets")
    return SocketRig(case, compiled=compiled)


@with_cases
class RememberedTests(unittest.TestCase):
    """Bytes that the stream alone knows of, because what fetched them was struck."""

    @cases({"in Python": (False,), "compiled": (True,)})
    def test_they_come_first_whoever_is_next(self, compiled: bool) -> None:
        """Rule 122: also for one who wins the role before the struck one can say what it has left."""
        rig = borrowing_rig(self, compiled)
        reader, note, recv = rig.engine.reader, rig.engine.reader._note_interrupt, TCPStream.recv
        got: List[Any] = []
        rig.peer.sendall(frame(TEXT, b"one"))

        def fetch(stream: TCPStream, limit: int) -> Optional[bytes]:
            if got or stream._received:
                return recv(stream, limit)
            stream._received = [stream._sock.recv(limit)]
            raise Interrupt

        def be_late(_: Reader) -> None:
            rig.peer.sendall(frame(TEXT, b"two"))
            got.append(Running(lambda: rig.connection.receive_at_once(None)).result())
            note()

        late = mock.patch.object(Reader, "_note_interrupt", be_late)
        with mock.patch.object(TCPStream, "recv", fetch), late, self.assertRaises(Interrupt):
            reader.borrow(PATIENCE)
        got.append(rig.connection.receive_at_once(PATIENCE))
        self.assertEqual(got, ["one", "two"])


@with_cases
class TracedTests(unittest.TestCase):
    @cases({"in Python": (False,), "compiled": (True,)})
    def test_each_frame_is_looked_at(self, compiled: bool) -> None:
        """Where somebody listens, no receive goes past what tells of frames."""
        heard: List[str] = []
        tracer = Tracer(None, lambda event, task, fields: heard.append(event), None, StillClock())
        with mock.patch.object(Tracer, "is_heard", True):
            rig = borrowing_rig(self, compiled)
        rig.connection.tracer = tracer
        for message in ("one", "two"):
            rig.peer.sendall(frame(TEXT, message.encode()))
            self.assertEqual(rig.connection.receive_at_once(None), message)
        self.assertEqual(heard.count("frame_received"), 2)


@with_cases
class AlarmTests(unittest.TestCase):
    """A signal handler that raises an OSError, as alarms do, in a receive that waits for the network."""

    @unittest.skipUnless(hasattr(signal, "setitimer"), "needs a timer signal")
    @cases(
        {
            "in Python": (False, None, b""),
            "compiled": (True, None, b""),
            "with a timeout": (False, PATIENCE, b""),
            "in a long message": (False, None, header(TEXT, 1 << 20) + b"x" * 100_000),
            "in a long one with a timeout": (False, PATIENCE, header(TEXT, 1 << 20) + b"x" * 100_000),
        }
    )
    def test_it_is_the_callers(self, compiled: bool, seconds: Optional[float], before: bytes) -> None:
        """It comes out of the receive as it is; the connection goes on, and nothing is lost."""
        rig = borrowing_rig(self, compiled)
        rig.peer.setblocking(True)
        sending = Running(lambda: rig.peer.sendall(before))

        def alarm(*details: object) -> None:
            raise TimeoutError("alarm")

        previous = signal.signal(signal.SIGALRM, alarm)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        with self.assertRaisesRegex(TimeoutError, "^alarm$"):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            rig.connection.receive_at_once(seconds)
        sending.result()
        self.assertIsNone(rig.connection.cause)
        rest = b"x" * ((1 << 20) - 100_000) if before else frame(TEXT, b"later")
        sending = Running(lambda: rig.peer.sendall(rest))
        message = rig.connection.receive_at_once(PATIENCE)
        sending.result()
        self.assertTrue(message == ("x" * (1 << 20) if before else "later"))


class TurnsTests(RoleCase):
    def test_many_senders_each_in_order(self) -> None:
        """Rule 108: four threads by whichever way; each thread's messages arrive once and in its order."""
        rig = SocketRig(self)
        rig.connection.waker = rig.engine._waker
        stop = threading.Event()
        frames: List[Frame] = []

        def run_engine() -> None:
            while not stop.is_set():
                rig.engine._turn()

        def send(name: int) -> None:
            for number in range(200):
                payload = bytes((name, number)) * 50
                sent = rig.send_at_once(BINARY, payload)
                if sent is not True:
                    message = sent or rig.connection.send(Opcode.BINARY, payload, Waiter())
                    rig.connection.wait_until_sent(message, PATIENCE)

        engine = Running(run_engine)
        senders = [Running(lambda name=name: send(name)) for name in range(4)]  # type: ignore[misc]
        rig.peer.settimeout(PATIENCE)
        while len(frames) < 800:
            rig.raw += rig.peer.recv(1 << 16)
            some, rig.raw = frames_in(rig.raw)
            frames += some
        for sender in senders:
            sender.result()
        stop.set()
        rig.engine._waker.wake()
        engine.result()
        for name in range(4):
            payloads = [payload for _, payload in frames if payload[0] == name]
            self.assertEqual(payloads, [bytes((name, number)) * 50 for number in range(200)])
        self.assertEqual(rig.connection.outbox.buffered_amount, 0)
        self.assertFree(rig)


if __name__ == "__main__":
    unittest.main()
