"""What is to be sent, and the one place that writes it."""

from __future__ import annotations

import unittest
from typing import Any, List, Optional
from unittest import mock

from tests.threads import is_held
from wssync.engine.accelerated import Mutex
from wssync.engine.completions import Completion, Handler, Waiter
from wssync.engine.heartbeat import Ping
from wssync.engine.outbox import JOIN, Message, Outbox
from wssync.engine.outgoing import MOST_PONGS
from wssync.errors import Cancelled, ConnectionClosed
from wssync.executors import QueueExecutor
from wssync.protocol.closing import ClosingHandshake, ClosingState
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters, Inflater
from wssync.protocol.encoder import PIECE, WHOLE, Encoder
from wssync.protocol.frames import Opcode, Role, mask, read_header
from wssync.strand import Strand
from wssync.transport.waiting import Waker

from ..clock import StillClock
from .support import Frame, MemoryStream, Running, close_body, frames_in

PLENTY = 1 << 30


class OutboxTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = StillClock()
        self.mutex = Mutex()
        self.executor = QueueExecutor()
        self.strand = Strand(self.executor, lambda error: None)
        self.closing = ClosingHandshake()
        self.outbox = Outbox(self.mutex, self.strand, self.clock.now, self.closing)
        self.stream = MemoryStream(self.clock)
        self.stream.waker = Waker()
        self.addCleanup(self.stream.waker.close)
        self.outbox.attach(self.stream, Encoder(Role.CLIENT), self.fail)

    def append(self, payload: bytes, opcode: Opcode = Opcode.BINARY) -> Message:
        message = Message(opcode, payload, Waiter())
        self.outbox.append(message)
        return message

    def pump(self, budget: int = PLENTY) -> List[Frame]:
        self.outbox.pump(budget)
        return self.sent()

    def sent(self) -> List[Frame]:
        frames, rest = frames_in(bytes(self.stream.outgoing))
        self.stream.outgoing[:] = rest
        return frames

    def payloads(self) -> List[bytes]:
        return [payload for _, payload in self.sent()]

    def sends(self) -> int:
        return self.stream.calls.count("send")

    def ping(self, payload: bytes) -> Ping:
        ping = Ping(payload, None)
        self.outbox.ping(ping)
        return ping

    def unstall(self) -> None:
        self.stream.take()
        self.outbox.stalled = False


class OrderTests(OutboxTestCase):
    def test_messages_leave_in_order_and_whole(self) -> None:
        """Rule 108: in the order of the calls, each a frame of its own; rule 109: then they are complete."""
        messages = [self.append(b"one", Opcode.TEXT), self.append(b""), self.append(b"three")]
        self.assertEqual(self.pump(), [(Opcode.TEXT, b"one"), (Opcode.BINARY, b""), (Opcode.BINARY, b"three")])
        self.assertTrue(all(message.completion.done and not message.completion.error for message in messages))
        self.assertEqual(self.outbox.counts.sent, 8)

    def test_small_frames_are_joined(self) -> None:
        """One system call for many; no more than about 64 KiB in one."""
        for _ in range(100):
            self.append(b"x" * 10)
        self.pump()
        self.assertEqual(self.sends(), 1)
        for _ in range(4):
            self.append(b"x" * (JOIN // 2))
        self.pump()
        self.assertEqual(self.sends(), 3)

    def test_control_frames_go_before_messages(self) -> None:
        """Rule 119: pongs first, then pings, then messages in their order."""
        self.append(b"message")
        ping = self.ping(b"ping")
        self.outbox.pong(b"pong")
        self.clock.advance(3)
        self.assertIsNone(ping.sent_at)
        self.assertEqual(self.pump(), [(Opcode.PONG, b"pong"), (Opcode.PING, b"ping"), (Opcode.BINARY, b"message")])
        self.assertEqual(ping.sent_at, self.clock.now())

    def test_of_many_pongs_the_newest_are_kept(self) -> None:
        """Rule 137: a peer that pings and does not read fills no memory; the newest is always answered."""
        for number in range(MOST_PONGS + 5):
            self.outbox.pong(b"%d" % number)
        sent = [payload for _, payload in self.pump()]
        self.assertEqual(sent, [b"%d" % number for number in range(5, MOST_PONGS + 5)])

    def test_a_close_goes_behind_what_is_queued(self) -> None:
        """Rule 147: messages, pings and pongs first, then the Close, then nothing."""
        self.append(b"a")
        self.outbox.close(1000, "bye", urgent=False)
        self.ping(b"ping")
        self.outbox.pong(b"pong")
        self.assertEqual(
            self.pump(),
            [
                (Opcode.PONG, b"pong"),
                (Opcode.PING, b"ping"),
                (Opcode.BINARY, b"a"),
                (Opcode.CLOSE, close_body(1000) + b"bye"),
            ],
        )
        self.assertEqual(self.closing.sent, (1000, "bye"))

    def test_an_urgent_close_goes_before_everything(self) -> None:
        """Rule 161: a reply or a failure overtakes messages, pings and pongs, which never leave."""
        self.append(b"a")
        self.ping(b"ping")
        self.outbox.pong(b"pong")
        self.outbox.close(1002, None, urgent=True)
        self.assertEqual(self.pump(), [(Opcode.CLOSE, close_body(1002))])
        self.assertEqual(self.pump(), [])
        self.assertFalse(self.outbox.has_rest)

    def test_nothing_follows_a_close(self) -> None:
        """RFC 6455 section 5.5.1: neither messages nor control frames nor another Close."""
        self.outbox.close(None, None, urgent=False)
        self.assertEqual(self.pump(), [(Opcode.CLOSE, b"")])
        self.append(b"a")
        self.ping(b"ping")
        self.outbox.pong(b"pong")
        self.outbox.close(1002, None, urgent=True)
        self.assertFalse(self.outbox.has_work)
        self.assertEqual(self.pump(), [])
        self.assertEqual(self.closing.sent, (1005, None))
        self.assertIs(self.closing.state, ClosingState.CLOSE_SENT)

    def test_nothing_follows_a_close_in_the_same_write(self) -> None:
        """What is queued behind an urgent Close is not joined with it either."""
        self.outbox.close(1002, None, urgent=True)
        self.append(b"a")
        self.assertEqual(self.pump(), [(Opcode.CLOSE, close_body(1002))])

    def test_the_first_close_stands_unless_a_later_one_is_urgent(self) -> None:
        """Rule 157: a second code changes nothing; the peer's Close and faults are not to be argued with."""
        self.outbox.held = True
        self.outbox.close(1000, None, urgent=False)
        self.outbox.close(1001, None, urgent=False)
        self.outbox.held = False
        self.assertEqual(self.pump(), [(Opcode.CLOSE, close_body(1000))])
        self.setUp()
        self.outbox.close(1000, None, urgent=False)
        self.outbox.close(1002, None, urgent=True)
        self.assertEqual(self.pump(), [(Opcode.CLOSE, close_body(1002))])

    def test_while_held_nothing_leaves(self) -> None:
        """`suspend()`: not even in the middle of a frame; afterwards it goes on where it was."""
        self.append(b"x" * 100)
        self.stream.takes = 10
        self.stream.room = 10
        self.outbox.pump(PLENTY)
        self.outbox.held = True
        self.unstall()
        self.assertFalse(self.outbox.has_work)
        self.assertEqual(self.pump(), [])
        self.outbox.held = False
        self.assertEqual(self.pump(), [(Opcode.BINARY, b"x" * 100)])

    def test_a_hold_during_a_write_takes_nothing_more(self) -> None:
        """What is taken one by one for a joined write stops at a suspend."""
        self.append(b"a")
        self.append(b"b")
        encode = self.outbox._encoder.control  # type: ignore[union-attr]

        def hold(*args: object) -> bytes:
            self.outbox.held = True
            return encode(*args)  # type: ignore[arg-type]

        self.ping(b"ping")
        with mock.patch.object(self.outbox._encoder, "control", hold):
            self.assertEqual(self.pump(), [(Opcode.PING, b"ping")])
        self.outbox.held = False
        self.assertEqual([payload for _, payload in self.pump()], [b"a", b"b"])

    def test_nothing_leaves_before_the_connection_is_open(self) -> None:
        """Rule 47: what is queued early waits for `attach`, and goes then."""
        early = Outbox(self.mutex, self.strand, self.clock.now, self.closing)
        early.append(Message(Opcode.TEXT, b"early", Waiter()))
        early.pump(PLENTY)
        self.assertFalse(early.has_rest)
        early.attach(self.stream, Encoder(Role.CLIENT), self.fail)
        early.pump(PLENTY)
        self.assertEqual(self.sent(), [(Opcode.TEXT, b"early")])


class PartialTests(OutboxTestCase):
    def test_one_byte_at_a_time(self) -> None:
        """A kernel that takes one byte a call gets every byte, in order; the message is complete with the last."""
        message = self.append(b"hello")
        self.outbox.close(1000, None, urgent=False)
        self.stream.takes = 1
        done: List[int] = []
        self.stream.before_send = lambda: done.append(self.stream.total) if message.completion.done else None
        self.assertEqual(self.pump(), [(Opcode.BINARY, b"hello"), (Opcode.CLOSE, close_body(1000))])
        self.assertEqual(done[0], 11, "six bytes of header, five of the message")

    def test_a_message_is_complete_with_its_own_last_byte(self) -> None:
        """Rule 109: not before, and not only with those joined to it."""
        first, second = self.append(b"12345"), self.append(b"12345")
        self.stream.takes = self.stream.room = 10
        self.outbox.pump(PLENTY)
        self.assertFalse(first.completion.done)
        self.stream.takes = self.stream.room = 1
        self.outbox.stalled = False
        self.outbox.pump(PLENTY)
        self.assertEqual((first.completion.done, second.completion.done), (True, False))

    def test_a_full_kernel_stalls_the_outbox(self) -> None:
        """Nobody tries again before the engine thread has seen the socket writable."""
        self.append(b"a")
        self.stream.takes = 0
        self.assertEqual(self.pump(), [])
        self.assertEqual((self.outbox.stalled, self.outbox.has_work, self.outbox.has_rest), (True, False, True))
        self.stream.take()
        self.assertEqual(self.pump(), [])
        self.assertEqual(self.sends(), 1)
        self.outbox.stalled = False
        self.assertEqual(len(self.pump()), 1)
        self.assertFalse(self.outbox.has_rest)

    def test_a_partial_write_goes_on_at_once(self) -> None:
        """The kernel took some: it may take more, and says itself when it is full."""
        self.append(b"x" * 50)
        self.stream.takes = 20
        self.assertEqual(len(self.pump()), 1)
        self.assertEqual(self.sends(), 3)

    def test_nothing_overtakes_a_frame_that_was_begun(self) -> None:
        """Rule 119, invariant 6: an urgent Close and pongs wait for the end of the frame."""
        self.append(b"x" * 50)
        self.stream.takes = self.stream.room = 20
        self.pump()
        self.outbox.pong(b"pong")
        self.outbox.close(1002, None, urgent=True)
        self.unstall()
        self.assertEqual(self.pump(), [(Opcode.BINARY, b"x" * 50), (Opcode.CLOSE, close_body(1002))])

    def test_a_long_frame_leaves_in_pieces(self) -> None:
        """Pings wait for its end, then go before the next message."""
        message = self.append(b"x" * (3 * PIECE))
        self.append(b"next")
        self.stream.room = 10
        self.outbox.pump(PLENTY)
        self.ping(b"ping")
        self.assertFalse(self.outbox.is_clean)
        self.assertTrue(message.begun)
        self.unstall()
        sent = self.pump()
        self.assertEqual([opcode for opcode, _ in sent], [Opcode.BINARY, Opcode.PING, Opcode.BINARY])
        self.assertTrue(sent[0][1] == b"x" * (3 * PIECE))
        self.assertTrue(self.outbox.is_clean and message.completion.done)

    def test_between_two_pieces_it_is_not_clean(self) -> None:
        """All that was taken has left, and still the frame is half written."""
        self.append(b"x" * (3 * PIECE))
        self.outbox.pump(1)
        self.assertEqual(self.sends(), 1)
        self.assertFalse(self.outbox.is_clean)

    def test_every_length_near_the_edges_is_whole(self) -> None:
        """No byte is lost where a frame just fits, or just does not fit, into its first piece."""
        for edge in (WHOLE, JOIN, PIECE, 2 * PIECE):
            for size in range(edge - 16, edge + 17):
                message = self.append(b"x" * size)
                self.append(b"behind")
                sent = [len(payload) for _, payload in self.pump()]
                self.assertEqual(sent, [size, 6])
                self.assertTrue(message.completion.done)

    def test_a_compressed_frame_is_whole_when_its_pieces_are(self) -> None:
        """Short or long after compression, the message is complete with the last byte and counts as it was given."""
        parameters = DeflateParameters(False, False, 15, 15)
        compressor = Compressor(parameters, Role.CLIENT, DeflateOptions())
        inflater = Inflater(parameters, Role.SERVER)
        self.outbox.attach(self.stream, Encoder(Role.CLIENT, compressor), self.fail)
        noise = b"".join(number.to_bytes(4, "big") for number in range(0, 1 << 32, 65521 * 2))[:200_000]
        for payload in (b"x" * 300_000, noise):
            message = self.append(payload)
            self.outbox.pump(PLENTY)
            data = bytes(self.stream.outgoing)
            self.stream.outgoing.clear()
            header = read_header(data)
            assert header is not None and header.key is not None
            self.assertEqual(len(data), header.end + header.length)
            body = mask(data[header.end :], header.key)
            self.assertTrue(inflater.inflate(body, None) + inflater.finish(None) == payload)
            self.assertTrue(message.completion.done)
        self.assertEqual(self.outbox.counts.sent, 300_000 + len(noise))
        self.assertEqual(self.outbox.queued, 0)

    def test_what_tls_holds_is_not_sent_yet(self) -> None:
        """Rule 109: complete means that the kernel has it; until then the outbox is stalled."""
        message = self.append(b"a")
        self.stream.holds = True
        self.pump()
        self.assertEqual((message.completion.done, self.outbox.stalled), (False, True))
        self.stream.holds = False
        self.outbox.stalled = False
        self.assertTrue(self.outbox.has_work)
        self.outbox.pump(PLENTY)
        self.assertTrue(message.completion.done)
        self.assertEqual(self.sends(), 1)

    def test_what_tls_has_to_say_is_work(self) -> None:
        """A key update's answer leaves though nothing is queued."""
        self.assertFalse(self.outbox.has_rest)
        self.stream.holds = True
        self.assertTrue(self.outbox.has_work)
        self.outbox.pump(PLENTY)
        self.assertEqual(self.stream.calls, ["flush"])
        self.assertTrue(self.outbox.stalled and self.outbox.has_rest)

    def test_a_pump_has_a_budget(self) -> None:
        """A caller stops after about so many bytes and leaves work behind."""
        for _ in range(10):
            self.append(b"x" * JOIN)
        self.assertEqual(len(self.pump(2 * JOIN)), 2)
        self.assertTrue(self.outbox.has_work)
        self.assertEqual(len(self.pump()), 8)

    def turns(self) -> mock._patch[Any]:
        """Counts how often the write role is taken."""
        return mock.patch.object(self.outbox.role, "attempt", side_effect=self.outbox.role.attempt)

    def test_a_long_message_is_one_turn(self) -> None:
        """While the kernel takes its pieces whole, the role is not let go between them; nor is it beyond the budget."""
        self.append(b"x" * (4 * PIECE))
        message = self.append(b"behind it")
        with self.turns() as attempt:
            self.outbox.pump(2 * PIECE)
            self.assertEqual((attempt.call_count, self.stream.total // PIECE), (1, 2))
            self.outbox.pump(PLENTY)
            self.assertEqual(attempt.call_count, 3)
        self.assertEqual([len(payload) for payload in self.payloads()], [4 * PIECE, 9])
        self.assertTrue(message.completion.done)

    def test_what_left_with_a_long_message_is_told_first(self) -> None:
        """A short one before it has left whole with its first piece, whatever becomes of the next."""
        short = self.append(b"short")
        self.append(b"x" * (3 * PIECE))
        self.stream.fails_at = self.stream.total + PIECE + 100
        self.outbox.pump(PLENTY)
        self.assertIsNotNone(self.outbox.broken)
        self.assertEqual((short.completion.done, short.completion.error), (True, None))
        self.assertEqual((self.outbox.counts.sent, self.outbox.counts.messages_sent), (5, 1))

    def test_several_on_their_way(self) -> None:
        """Each counts for what it has, until the kernel has told of all."""
        for _ in range(5):
            self.append(b"x" * 1000)
        self.stream.holds = True
        self.outbox.pump(PLENTY)
        self.assertEqual((self.outbox.leaving, self.outbox.counts.sent), (5000, 0))

    def test_a_piece_that_is_not_taken_whole_ends_the_turn(self) -> None:
        """What is left of it is the tail; TLS, too, must have handed down one piece before it gets the next."""
        self.append(b"x" * (3 * PIECE))
        self.stream.room = PIECE + PIECE // 2
        self.outbox.pump(PLENTY)
        self.assertEqual(self.sends(), 3, "the last of them took nothing, and the outbox is stalled")
        self.unstall()
        self.assertEqual(len(self.pump()), 1)
        self.append(b"x" * (3 * PIECE))
        self.stream.holds = True
        before = self.sends()
        self.outbox.pump(PLENTY)
        self.assertEqual(self.sends(), before + 1)
        self.stream.holds = False
        self.unstall()
        self.assertEqual(len(self.pump()), 1)

    def test_the_last_pump_holds_the_role_and_has_a_budget_too(self) -> None:
        """Within the role nobody else writes, and what the budget leaves is left."""
        for _ in range(3):
            self.append(b"x" * JOIN)
        self.outbox.role.occupy(lambda: self.outbox.pump_alone(2 * JOIN))
        self.assertEqual(len(self.sent()), 2)
        self.outbox.role.occupy(lambda: self.outbox.pump_alone(PLENTY))
        self.assertEqual((len(self.sent()), self.outbox.has_work), (1, False))


class AmountTests(OutboxTestCase):
    def test_the_amount_sinks_as_the_kernel_takes(self) -> None:
        """Rule 120: bytes of messages that the kernel has not taken; frames' own bytes do not count."""
        self.append(b"a" * 10)
        self.append(b"b" * (4 * PIECE))
        self.assertEqual(self.outbox.buffered_amount, 4 * PIECE + 10)
        self.stream.takes = self.stream.room = 2 * PIECE
        self.outbox.pump(PLENTY)
        left = self.outbox.buffered_amount
        self.assertTrue(2 * PIECE <= left <= 2 * PIECE + 64, left)
        self.unstall()
        self.outbox.pump(PLENTY)
        self.assertEqual(self.outbox.buffered_amount, 0)

    def test_the_amount_is_nothing_after_the_end(self) -> None:
        """Neither before nor after the rest of a frame that was begun has left."""
        self.append(b"a")
        self.append(b"b" * (4 * PIECE))
        self.stream.room = 3
        self.outbox.pump(PLENTY)
        self.end()
        self.assertEqual(self.outbox.buffered_amount, 0)
        self.unstall()
        self.outbox.pump(PLENTY)
        self.assertEqual((self.outbox.buffered_amount, self.outbox.counts.sent), (0, 0))

    def end(self) -> List[Completion[None]]:
        completions = self.outbox.fail()
        for completion in completions:
            completion.resolve(self.strand, error=Cancelled("x"))
        return completions


class WithdrawalTests(OutboxTestCase):
    def test_a_message_that_was_not_begun(self) -> None:
        """Nothing of it is sent, the others go, and the amount is right."""
        self.append(b"a")
        message = self.append(b"b")
        self.append(b"c")
        self.assertTrue(self.outbox.withdraw(message))
        self.assertEqual(self.outbox.buffered_amount, 2)
        self.assertFalse(self.outbox.withdraw(message))
        self.assertEqual([payload for _, payload in self.pump()], [b"a", b"c"])

    def test_a_message_that_was_begun_goes_out_whole(self) -> None:
        """One byte has left, or is about to: it cannot be taken back."""
        message = self.append(b"hello")
        self.stream.takes = 0
        self.outbox.pump(PLENTY)
        self.assertFalse(self.outbox.withdraw(message))
        self.unstall()
        self.assertEqual(self.pump(), [(Opcode.BINARY, b"hello")])
        self.assertIsNone(message.completion.error)

    def test_a_message_that_came_too_late(self) -> None:
        """Between the cause and the end: it is never sent, fails as the last, and can be taken back."""
        late, other = Message(Opcode.TEXT, b"a", Waiter()), Message(Opcode.TEXT, b"b", Waiter())
        self.outbox.append_too_late(late)
        self.outbox.append_too_late(other)
        first = self.append(b"queued")
        self.stream.takes = 0
        self.outbox.pump(PLENTY)
        self.assertEqual(self.outbox.buffered_amount, 6)
        self.assertTrue(self.outbox.withdraw(late))
        self.assertFalse(self.outbox.withdraw(late))
        self.assertEqual(self.outbox.fail(), [first.completion, other.completion])
        self.assertEqual(self.outbox.fail(), [first.completion])

    def test_a_message_whose_outcome_is_known(self) -> None:
        """It was refused, or sent."""
        message = Message(Opcode.TEXT, b"a", Waiter())
        message.completion.resolve(self.strand, error=Cancelled("x"))
        self.assertFalse(self.outbox.withdraw(message))
        self.assertIsInstance(message.completion.error, Cancelled)


class FailureTests(OutboxTestCase):
    def test_every_message_that_did_not_go_out_is_left(self) -> None:
        """Rule 175: sent but not confirmed, begun, and queued ones, each once, in order; control frames are dropped."""
        messages = [self.append(b"a"), self.append(b"b" * (2 * PIECE)), self.append(b"c"), self.append(b"d")]
        self.stream.takes = 0
        self.outbox.pump(PLENTY)
        self.outbox.withdraw(messages[2])
        self.ping(b"ping")
        self.outbox.pong(b"pong")
        self.assertEqual(self.outbox.fail(), [messages[0].completion, messages[1].completion, messages[3].completion])
        self.unstall()
        self.assertEqual([len(payload) for _, payload in self.pump()], [1, 2 * PIECE])

    def test_one_that_was_answered_is_not_left(self) -> None:
        """An interrupt can come between its answer and its removal."""
        message = self.append(b"a")
        self.stream.takes = 0
        self.outbox.pump(PLENTY)
        message.completion.resolve(self.strand)
        self.assertEqual(self.outbox.fail(), [])

    def test_a_close_stays(self) -> None:
        """What was asked for may still go out, behind the rest of the frame that was begun."""
        self.append(b"x" * 20)
        self.append(b"dropped")
        self.stream.takes = self.stream.room = 30
        self.outbox.pump(PLENTY)
        self.outbox.close(1001, None, urgent=True)
        self.outbox.fail()
        self.unstall()
        self.assertEqual([opcode for opcode, _ in self.pump()], [Opcode.BINARY, Opcode.BINARY, Opcode.CLOSE])

    def test_a_write_error_breaks_it(self) -> None:
        """Nothing is tried again; the error is kept for the engine thread; what was sent before is complete."""
        first = self.append(b"a" * JOIN)
        second = self.append(b"b" * JOIN)
        self.stream.fails_at = JOIN + 100
        self.assertEqual(len(self.pump()), 1)
        self.assertEqual((first.completion.done, second.completion.done), (True, False))
        self.assertIsInstance(self.outbox.broken, ConnectionClosed)
        self.assertEqual((self.outbox.has_rest, self.outbox.has_work), (False, False))
        self.stream.fails_at = None
        self.assertEqual(self.pump(), [])
        self.assertEqual(self.outbox.fail(), [second.completion])

    def test_an_interrupt_breaks_it(self) -> None:
        """Ctrl-C in the middle of a write: how much was taken is unknown, so nothing may follow."""
        message = self.append(b"hello")

        def interrupt() -> None:
            raise KeyboardInterrupt

        for hook in ("before_send", "after_send"):
            self.setUp()
            message = self.append(b"hello")
            setattr(self.stream, hook, interrupt)
            with self.assertRaises(KeyboardInterrupt):
                self.outbox.pump(PLENTY)
            broken = self.outbox.broken
            assert broken is not None
            self.assertIn("interrupted", str(broken))
            self.assertIsInstance(broken.__cause__, KeyboardInterrupt)
            self.assertEqual(self.outbox.fail(), [message.completion])
            self.assertTrue(Running(lambda: self.outbox.role.attempt(lambda: None)).result())

    def test_an_interrupt_that_the_stream_remembers_does_not(self) -> None:
        """The next write offers the same bytes, hears how many of them had been taken, and goes on behind them."""
        message = self.append(b"hello")
        taken: List[int] = []

        def remember(data: bytes) -> int:
            self.assertEqual(data, self.outbox._tail)
            if taken:
                return taken.pop()
            self.stream.outgoing += data[:4]
            taken.append(4)
            raise KeyboardInterrupt

        with mock.patch.object(MemoryStream, "remembers", True):
            with mock.patch.object(self.stream, "send", remember), self.assertRaises(KeyboardInterrupt):
                self.outbox.pump(PLENTY)
            self.assertIsNone(self.outbox.broken)
            with mock.patch.object(self.stream, "send", remember):
                self.outbox.role.attempt(lambda: self.outbox._write(PLENTY))
        self.assertEqual(self.pump(), [(Opcode.BINARY, b"hello")])
        self.assertTrue(message.completion.done)

    def test_an_interrupt_while_encoding_loses_no_message(self) -> None:
        """The one that was taken from the queue is on record until it is in another place."""
        message = self.append(b"hello")
        failing: Any = mock.patch.object(self.outbox._encoder, "pieces", side_effect=KeyboardInterrupt)
        with failing, self.assertRaises(KeyboardInterrupt):
            self.outbox.pump(PLENTY)
        self.assertIsNotNone(self.outbox.broken)
        self.assertEqual(self.outbox.fail(), [message.completion])

    def test_an_interrupt_while_confirming_loses_no_answer(self) -> None:
        """The message is answered by the next one who writes."""
        message = self.append(b"hello")
        failing: Any = mock.patch.object(Waiter, "resolve", side_effect=KeyboardInterrupt)
        with failing, self.assertRaises(KeyboardInterrupt):
            self.outbox.pump(PLENTY)
        self.assertEqual((message.completion.done, self.outbox.broken, self.outbox.has_work), (False, None, True))
        self.outbox.pump(PLENTY)
        self.assertTrue(message.completion.done)
        self.assertEqual(len(self.sent()), 1)

    def test_at_the_end_of_a_long_frame_it_is_never_nowhere(self) -> None:
        """Between its last piece and its confirmation a message is in one place at least."""
        message = self.append(b"x" * (2 * PIECE))
        places: List[Optional[int]] = []
        appended = self.outbox._in_flight

        class Watched(type(appended)):  # type: ignore[misc]
            def append(self, entry: object) -> None:
                places.append(1 if outbox._current is not None else None)
                super().append(entry)

        outbox = self.outbox
        outbox._in_flight = Watched()
        outbox.pump(PLENTY)
        self.assertEqual(places, [1])
        self.assertTrue(message.completion.done)


class SharingTests(OutboxTestCase):
    def test_handlers_are_only_queued(self) -> None:
        """Invariant 9: writing completes a handler without calling it."""
        got: List[Completion[None]] = []
        self.outbox.append(Message(Opcode.TEXT, b"a", Handler(got.append)))
        self.outbox.pump(PLENTY)
        self.assertEqual((got, len(self.executor)), ([], 0))
        self.strand.kick()
        self.executor.run_pending()
        self.assertEqual(len(got), 1)

    def test_who_does_not_get_the_role_leaves(self) -> None:
        """While one writes, another appends and goes; the holder looks again and takes it along (invariant 5)."""
        self.append(b"first")

        def append_meanwhile() -> None:
            self.stream.after_send = lambda: None

            def other() -> None:
                with self.mutex:
                    self.append(b"second")
                self.outbox.pump(PLENTY)

            Running(other).result()

        self.stream.after_send = append_meanwhile
        self.assertEqual([payload for _, payload in self.pump()], [b"first", b"second"])
        self.assertEqual(self.sends(), 2)

    def test_who_gets_the_role_looks_again(self) -> None:
        """It broke, or is closed, while the role was being won: nothing is written."""
        self.append(b"a")
        self.outbox.broken = ConnectionClosed("x")
        self.outbox.role.attempt(lambda: self.outbox._write(PLENTY))
        self.outbox.broken = None
        self.outbox.detach()
        self.outbox.role.attempt(lambda: self.outbox._write(PLENTY))
        self.assertEqual(self.stream.calls, [])

    def test_no_lock_is_held_while_writing(self) -> None:
        """The mutex is free during a `send` and while a frame is made."""
        locked: List[bool] = []
        self.stream.before_send = lambda: locked.append(is_held(self.mutex))
        self.append(b"a")
        self.outbox.pump(PLENTY)
        self.assertEqual(locked, [False])

    def test_a_child_process_sends_nothing(self) -> None:
        """After a fork: other locks, no stream, and no key that the parent uses too."""
        self.append(b"a")
        self.pump()
        encoder = self.outbox._encoder
        assert encoder is not None
        self.assertTrue(encoder.keys)
        role = self.outbox.role
        self.append(b"b")
        self.outbox.abandon(Mutex())
        self.assertIsNot(self.outbox.role, role)
        self.assertFalse(encoder.keys)
        self.assertEqual(self.pump(), [])
        Outbox(self.mutex, self.strand, self.clock.now, self.closing).abandon(Mutex())

    def test_after_the_stream_is_closed_nobody_touches_it(self) -> None:
        """Invariant 10: a rest that could not leave stays."""
        self.append(b"x" * 20)
        self.stream.takes = self.stream.room = 3
        self.outbox.pump(PLENTY)
        self.outbox.detach()
        self.outbox.stalled = False
        self.stream.close()
        self.assertFalse(self.outbox.has_rest)
        self.outbox.pump(PLENTY)
        self.assertEqual(self.stream.calls[-1], "close")
