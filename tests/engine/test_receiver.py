"""What came from the peer: decoded and acted upon, whoever read it."""

from __future__ import annotations

import unittest
from typing import Any, List, Optional
from unittest import mock

from wssync.engine.completions import Message, Waiter
from wssync.engine.reader import Reader
from wssync.errors import Cancelled, ConnectionClosed, MessageTooBig, ProtocolError
from wssync.protocol.closing import CloseCode
from wssync.protocol.frames import Opcode

from ..protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from .borrowing import SocketRig
from .support import EPSILON, PATIENCE, Rig, Running, close_body, lost

BAD = frame(3)
"""A reserved opcode."""


def reader_of(rig: Rig) -> Reader:
    """The receiving half."""
    assert rig.engine.reader is not None
    return rig.engine.reader


class MessageTests(unittest.TestCase):
    def test_messages_arrive_in_order_and_are_counted(self) -> None:
        """Rule 122; `count_of_bytes_received` is their payload in bytes, of text in UTF-8."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"abc") + frame(BINARY, b"\x00\x01"), frame(TEXT, "äö€".encode()))
        self.assertEqual(rig.take_all(), ["abc", b"\x00\x01", "äö€"])
        self.assertEqual(rig.connection.tally.received, 3 + 2 + 7)

    def test_one_byte_at_a_time(self) -> None:
        """However the bytes are cut, the same messages come out."""
        rig = Rig(self)
        rig.stream.gives = 1
        rig.give(frame(TEXT, b"ab", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"c") + frame(TEXT, b""))
        self.assertEqual(rig.take_all(), ["abc", ""])
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"p")])

    def test_a_limit_holds_for_messages_that_begin_later(self) -> None:
        """Rule 129: `maximum_message_size` is looked at before each read."""
        rig = Rig(self)
        rig.connection.maximum_message_size = 3
        rig.give(frame(TEXT, b"abc"))
        self.assertEqual(rig.take_all(), ["abc"])
        rig.connection.maximum_message_size = 2
        rig.receive(blocking=True)
        rig.give(frame(TEXT, b"abc"))
        rig.finish()
        self.assertIsInstance(rig.verdict, MessageTooBig)
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1009))])

    def test_pings_are_answered(self) -> None:
        """Rule 137: with the same payload, though nobody receives; several in one read too."""
        rig = Rig(self)
        rig.give(frame(PING, b"a") + frame(PING, b"b"))
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"a"), (Opcode.PONG, b"b")])

    def test_a_pong_is_handed_on(self) -> None:
        """Rules 139, 140, 143: the ping is answered with its round trip, an unsolicited pong does nothing."""
        rig = Rig(self)
        rig.give(frame(PONG, b"nobody asked"))
        _ping, completion = rig.ping(b"mine")
        rig.clock.advance(0.5)
        rig.give(frame(PONG, b"mine"))
        self.assertEqual((completion.value, rig.connection.heartbeat.latency), (0.5, 0.5))
        self.assertIsNone(rig.connection.cause)

    def test_nothing_now_is_nothing(self) -> None:
        """A readable socket that then has nothing is no sign of life, and no end."""
        rig = Rig(self, ping_interval=20)
        rig.clock.advance(5)
        reader_of(rig).role.attempt(reader_of(rig).read)
        self.assertEqual(rig.connection.heartbeat.due(), rig.clock.now() + 15)
        rig.stream.give(frame(TEXT, b"a"))
        reader_of(rig).role.attempt(reader_of(rig).read)
        self.assertEqual(rig.connection.heartbeat.due(), rig.clock.now() + 20)


class Struck(Waiter[Message]):
    """A receive of which the first answer is struck before it is given."""

    answers = 0

    def resolve(self, *arguments: Any, **details: Any) -> None:
        self.answers += 1
        if self.answers == 1:
            raise KeyboardInterrupt
        super().resolve(*arguments, **details)


class LeftTests(unittest.TestCase):
    """An interrupt came within a read: what was decoded is gone on with, what was done is not done again."""

    def struck(self, rig: Rig, owner: object, name: str) -> None:
        """One read, struck where that method is called."""
        reader = reader_of(rig)
        with mock.patch.object(owner, name, side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            reader.role.attempt(reader.read)

    def test_events_that_were_not_acted_upon(self) -> None:
        """The messages before them are not published twice, and those behind them not left out."""
        rig = Rig(self)
        rig.stream.give(frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"b"))
        self.struck(rig, rig.connection.outbox, "pong")
        rig.settle()
        self.assertEqual((rig.take_all(), rig.sent()), (["a", "b"], [(Opcode.PONG, b"p")]))

    def test_a_close_that_was_not_recorded(self) -> None:
        """Rule 161: the next look records it; it is no second Close."""
        rig = Rig(self)
        rig.stream.give(frame(CLOSE, close_body(1000)))
        self.struck(rig, rig.connection, "end_locked")
        rig.settle()
        rig.finish()
        self.assertEqual(rig.connection.close_code, 1000)
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1000))])

    def test_an_answer_that_was_not_given(self) -> None:
        """The receive stays in the row and its message in the buffer, until who reads next brings them together."""
        rig = Rig(self)
        waiter = Struck()
        rig.connection.receive(waiter)
        rig.stream.give(frame(TEXT, b"a"))
        reader = reader_of(rig)
        with self.assertRaises(KeyboardInterrupt):
            reader.role.attempt(reader.read)
        self.assertEqual((waiter.done, rig.connection.inbox.unread), (False, 1))
        rig.settle()
        self.assertEqual((waiter.value, rig.connection.inbox.unread), ("a", 0))

    def test_an_error_that_was_not_given(self) -> None:
        """At the end too."""
        rig = Rig(self)
        waiter = Struck()
        rig.connection.receive(waiter)
        rig.connection.cancel()
        inbox, error = rig.connection.inbox, Cancelled("x")
        with self.assertRaises(KeyboardInterrupt):
            inbox.end(error, rig.connection.strand, drop=True)
        inbox.match(rig.connection.strand)
        self.assertIs(waiter.error, error)

    def test_a_fetch_that_was_decoded_and_not_forgotten(self) -> None:
        """Struck behind the last event: its bytes are not decoded a second time."""
        rig = Rig(self)
        rig.stream.give(frame(TEXT, b"a"))
        self.struck(rig, rig.connection.inbox, "match")
        rig.settle()
        rig.give(frame(TEXT, b"b"))
        self.assertEqual(rig.take_all(), ["a", "b"])


class LongTests(unittest.TestCase):
    """The rest of a long message goes straight where it belongs."""

    data = frame(BINARY, b"x" * 1_000_000)

    def begun(self) -> SocketRig:
        """The first of it has come, and the engine thread has read that."""
        rig = SocketRig(self, "pure")
        rig.say(self.data[:70_000])
        for _ in range(4):
            rig.reader.role.attempt(rig.reader.read)
        self.assertIsNone(rig.connection.cause)
        return rig

    def finished(self, rig: SocketRig) -> None:
        """The rest comes."""
        saying = Running(lambda: rig.say(self.data[70_000:]))
        while not rig.connection.inbox.unread:
            rig.stream.wait(True, False, PATIENCE)
            rig.reader.role.attempt(rig.reader.read)
        saying.result()
        self.assertEqual(rig.take_all(), [b"x" * 1_000_000])

    def test_nothing_now(self) -> None:
        """Nothing now is nothing; then the rest comes."""
        rig = self.begun()
        rig.reader.role.attempt(rig.reader.read)
        self.finished(rig)

    def test_a_reset_meanwhile(self) -> None:
        """Rule 176: 1006, with the cause kept."""
        rig = self.begun()
        rig.send("never read")
        rig.peer.close()
        rig.reader.role.attempt(rig.reader.read)
        assert isinstance(rig.connection.cause, ConnectionClosed)
        self.assertIsInstance(rig.connection.cause.__cause__, ConnectionResetError)

    def test_an_alarm_meanwhile(self) -> None:
        """What a signal's handler raises may be an OSError: it is the caller's, and says nothing of the connection."""
        rig = self.begun()

        def alarm(*arguments: object) -> int:
            raise TimeoutError("an alarm")

        direct = rig.reader._direct
        assert direct is not None
        rig.reader._direct = direct._replace(recv_into=alarm)
        with self.assertRaises(TimeoutError):
            rig.reader.role.attempt(rig.reader.read)
        rig.reader._direct = direct
        self.assertIsNone(rig.connection.cause)
        self.finished(rig)


class SuspendedTests(unittest.TestCase):
    def test_suspended_while_it_was_read(self) -> None:
        """The bytes were fetched by then: they are looked at when the task is resumed, though no more come."""
        rig = Rig(self)
        rig.stream.after_recv = rig.connection.suspend
        rig.stream.give(frame(TEXT, b"a"))
        rig.engine._turn()
        rig.stream.after_recv = lambda: None
        self.assertEqual(rig.connection.inbox.unread, 0)
        rig.connection.resume()
        rig.settle()
        self.assertEqual(rig.take_all(), ["a"])


class PressureTests(unittest.TestCase):
    def test_reading_stops_when_the_buffer_is_full(self) -> None:
        """Rule 123: with 16 unread messages nothing is read; when one is taken reading goes on."""
        rig = Rig(self)
        rig.give(*[frame(TEXT, b"%d" % number) for number in range(20)])
        self.assertEqual((rig.connection.inbox.unread, rig.stream.unread), (16, 4))
        self.assertEqual(rig.stream.waits[-1][:2], (False, False))
        self.assertTrue(rig.connection.inbox.paused)
        self.assertEqual(rig.connection.take(), "0")
        self.assertFalse(rig.connection.inbox.paused)
        rig.settle()
        self.assertEqual((rig.connection.inbox.unread, rig.stream.unread), (16, 3))

    def test_room_that_is_made_while_it_is_looked(self) -> None:
        """A caller on the short way takes a message between the look and the note, and sees no note: it reads on."""
        rig = Rig(self)
        with mock.patch.object(rig.connection.inbox, "is_full", side_effect=[True, False]), rig.connection.mutex:
            self.assertTrue(reader_of(rig).may_read())
        self.assertFalse(rig.connection.inbox.paused)

    def test_a_batch_is_never_cut(self) -> None:
        """The limit stops reads; what one read brought is all kept."""
        rig = Rig(self, max_queue=(2, None))
        rig.give(b"".join(frame(TEXT, b"%d" % number) for number in range(50)), frame(TEXT, b"later"))
        self.assertEqual((rig.connection.inbox.unread, rig.stream.unread), (50, 1))
        self.assertEqual(len(rig.take_all()), 50)
        rig.settle()
        self.assertEqual(rig.take_all(), ["later"])

    def test_by_bytes(self) -> None:
        """4 MiB by default, however few messages that are."""
        rig = Rig(self, maximum_message_size=None)
        message = b"x" * 3_000_000
        rig.give(frame(BINARY, message), frame(BINARY, message), frame(BINARY, message))
        self.assertEqual(rig.connection.inbox.unread, 2)
        rig.connection.take()
        rig.settle()
        self.assertEqual(rig.connection.inbox.unread, 2)

    def test_without_a_limit_all_is_read(self) -> None:
        """`max_queue=None`."""
        rig = Rig(self, max_queue=None)
        rig.give(*[frame(TEXT, b"x")] * 500)
        self.assertEqual(rig.connection.inbox.unread, 500)

    def test_handlers_count_until_they_have_returned(self) -> None:
        """Promise of `max_queue`: a slow executor stops the peer."""
        rig = Rig(self, max_queue=(2, None))
        rig.connection.receive_each(rig.results.append)
        rig.give(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(TEXT, b"c"))
        self.assertEqual(rig.stream.unread, 1)
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["a", "b"])
        rig.settle()
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["a", "b", "c"])

    def test_pings_wait_while_reading_is_paused(self) -> None:
        """They are behind the messages that nobody takes; later they are answered."""
        rig = Rig(self, max_queue=(1, None))
        rig.give(frame(TEXT, b"a"), frame(PING, b"p"))
        self.assertEqual(rig.sent(), [])
        rig.connection.take()
        rig.settle()
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"p")])

    def test_once_our_close_is_sent_reading_goes_on(self) -> None:
        """What fits is kept, what does not is discarded, and the peer's Close behind it is found."""
        rig = Rig(self, max_queue=(2, None))
        rig.give(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(TEXT, b"c"), frame(CLOSE, close_body(1000)))
        rig.connection.close(1000, None, None)
        rig.settle()
        rig.finish()
        self.assertEqual(rig.take_all_before_the_end(), ["a", "b"])
        self.assertTrue(rig.verdict.clean)  # type: ignore[attr-defined]

    def test_after_our_close_messages_are_still_received(self) -> None:
        """Rules 149, 160: a receive that waits gets what arrives until the peer's Close."""
        rig = Rig(self)
        waiting = rig.receive()
        rig.connection.close(1000, None, None)
        rig.give(frame(TEXT, b"late"))
        self.assertEqual(waiting.value, "late")


class EndTests(unittest.TestCase):
    def close(self, code: Optional[int], reason: bytes = b"") -> Rig:
        rig = Rig(self)
        rig.give(frame(CLOSE, close_body(code) + reason))
        return rig

    def test_a_close_is_answered_with_its_code(self) -> None:
        """Rule 161: the same code, no reason; close code and reason are the peer's."""
        rig = self.close(3000, "schön".encode())
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(3000))])
        self.assertEqual((rig.connection.close_code, rig.connection.close_reason), (3000, "schön"))
        self.assertEqual(str(rig.verdict), "the connection was closed with code 3000: schön")
        self.assertIsNone(rig.connection.error)

    def test_an_empty_close(self) -> None:
        """Rule 163: answered by an empty one; 1005 and no reason."""
        rig = self.close(None)
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, b"")])
        self.assertEqual((rig.connection.close_code, rig.connection.close_reason), (1005, None))
        self.assertEqual(str(rig.verdict), "the connection was closed with code 1005")

    def test_the_answer_goes_before_what_is_queued(self) -> None:
        """Rule 161 (b): messages that have not begun are dropped, and fail."""
        rig = Rig(self)
        rig.stream.room = 10
        first, second = rig.send("x" * 50), rig.send("second")
        rig.give(frame(CLOSE, close_body(1000)))
        rig.stream.take()
        rig.finish()
        self.assertEqual([opcode for opcode, _ in rig.sent()], [Opcode.TEXT, Opcode.CLOSE])
        self.assertIs(second.completion.error, rig.verdict)
        self.assertIsNotNone(first.completion.done)

    def test_the_answer_overtakes_what_the_same_turn_would_send(self) -> None:
        """The kernel has room and a message waits for the engine: the Close goes first, the message never."""
        rig = Rig(self)
        rig.settle()
        send = rig.send(b"x" * 100_000)
        rig.give(frame(CLOSE, close_body(1000)))
        rig.finish()
        self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1000))])
        self.assertIs(send.completion.error, rig.verdict)

    def test_there_is_nothing_to_linger_for_when_the_peer_has_hung_up(self) -> None:
        """It ended the stream after our Close, without one of its own: no second is waited."""
        for break_it in ("give_end", "give_error"):
            rig = Rig(self)
            rig.connection.close(1000, None, None)
            getattr(rig.stream, break_it)()
            rig.settle()
            began = rig.clock.now()
            rig.finish()
            self.assertEqual((rig.clock.now(), rig.connection.close_code), (began, 1006))

    def test_messages_before_a_close_can_be_received(self) -> None:
        """Rule 131: those in the same read too; bytes behind the Close are ignored (rule 169)."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(CLOSE, close_body(1000)) + frame(TEXT, b"c"))
        rig.finish()
        self.assertEqual(rig.take_all_before_the_end(), ["a", "b"])

    def test_nothing_is_read_behind_a_close(self) -> None:
        """The reader is at its end."""
        rig = self.close(1000)
        self.assertTrue(reader_of(rig).at_end)
        self.assertFalse(reader_of(rig).may_read())

    def test_the_end_without_a_close(self) -> None:
        """Rule 172: 1006, -1005, not clean; whole messages stay, a half one does not count."""
        rig = Rig(self)
        waiting = rig.receive()
        rig.stream.give(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"half")[:4])
        rig.stream.give_end()
        rig.settle()
        rig.finish()
        self.assertEqual(waiting.value, "a")
        self.assertEqual(rig.take_all_before_the_end(), ["b"])
        verdict = rig.verdict
        assert isinstance(verdict, ConnectionClosed)
        self.assertEqual((verdict.code, verdict.url_error_code, verdict.clean), (1006, -1005, False))
        self.assertIs(rig.connection.error, verdict)
        self.assertEqual(rig.connection.close_code, CloseCode.ABNORMAL_CLOSURE)

    def test_a_reset(self) -> None:
        """Rule 176: the same, with the cause kept."""
        rig = Rig(self)
        rig.stream.give_error()
        rig.settle()
        rig.finish()
        self.assertIsInstance(rig.verdict.__cause__, ConnectionResetError)

    def test_a_broken_write_explains_the_end_better(self) -> None:
        """Rule 180: of a write error and the end that follows from it, the first is told."""
        rig = Rig(self)
        broken = lost("broken pipe")
        rig.connection.outbox.broken = broken
        rig.stream.give_end()
        rig.settle()
        rig.finish()
        self.assertIs(rig.verdict, broken)

    def test_a_close_explains_a_broken_write_better_still(self) -> None:
        """Rule 180: what the peer said before it hung up is the reason."""
        rig = Rig(self)
        rig.connection.outbox.broken = lost("broken pipe")
        rig.give(frame(TEXT, b"a") + frame(CLOSE, close_body(1008) + b"go away"))
        rig.finish()
        self.assertEqual((rig.connection.close_code, rig.connection.close_reason), (1008, "go away"))


class FaultTests(unittest.TestCase):
    def failed(self, rig: Rig, code: int = 1002) -> None:
        rig.finish()
        self.assertIsInstance(rig.verdict, ProtocolError)
        self.assertEqual(rig.connection.close_code, code)
        self.assertEqual(rig.sent()[-1], (Opcode.CLOSE, close_body(code)))

    def test_a_fault_behind_nothing_is_now(self) -> None:
        """Rule 130: before any message there is nothing to wait for."""
        rig = Rig(self)
        rig.give(BAD)
        self.failed(rig)

    def test_behind_good_messages_it_waits_for_a_receive(self) -> None:
        """How a task ends: sends go out until a receive comes to the fault; then everything fails."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b") + BAD)
        self.assertEqual([rig.connection.take(), rig.connection.take()], ["a", "b"])
        rig.send("echo a")
        rig.send("echo b")
        self.assertEqual(rig.texts(), ["echo a", "echo b"])
        self.assertIsNone(rig.connection.cause)
        waiting = rig.receive(blocking=True)
        self.failed(rig)
        self.assertIs(waiting.error, rig.verdict)

    def test_a_receive_that_finds_nothing_comes_to_it_too(self) -> None:
        """`timeout=0` behind the last good message."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + BAD)
        self.assertEqual(rig.connection.take(), "a")
        self.assertIsNone(rig.connection.cause)
        self.assertIsNone(rig.connection.take())
        self.failed(rig)

    def test_behind_messages_that_were_taken_it_waits_too(self) -> None:
        """Whoever took the last one may still be at its answer; the next receive brings the fault."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a"))
        rig.connection.take()
        rig.give(BAD)
        self.assertIsNone(rig.connection.cause)
        rig.receive(blocking=True)
        self.failed(rig)

    def test_a_receive_that_waits_comes_to_it_at_once(self) -> None:
        """One more receive than messages."""
        rig = Rig(self)
        receives = [rig.receive(blocking=True) for _ in range(2)]
        rig.give(frame(TEXT, b"a") + BAD)
        self.failed(rig)
        self.assertEqual((receives[0].value, receives[1].error), ("a", rig.verdict))

    def test_it_waits_for_the_handlers_of_the_messages_before_it(self) -> None:
        """A handler that answers the last good message can do so."""
        rig = Rig(self)
        rig.connection.receive_each(lambda result: result.message and rig.send("echo"))
        rig.give(frame(TEXT, b"a") + BAD)
        self.assertIsNone(rig.connection.cause)
        rig.run_callbacks()
        self.assertEqual(rig.texts(), ["echo"])
        self.failed(rig)

    def test_at_the_latest_after_the_close_timeout(self) -> None:
        """Though nobody receives: not a moment before, but then; the messages stay."""
        rig = Rig(self, close_timeout=10)
        rig.give(frame(TEXT, b"a") + BAD)
        rig.advance(10 - EPSILON)
        self.assertIsNone(rig.connection.cause)
        rig.advance(EPSILON)
        self.failed(rig)
        self.assertEqual(rig.take_all_before_the_end(), ["a"])

    def test_in_the_middle_of_a_message_it_is_now(self) -> None:
        """Behind good messages too: an unfinished one is never answered."""
        pieces: List[bytes] = [frame(TEXT, b"x", fin=False) + BAD, frame(TEXT, b"\xff\xff")]
        for bad in pieces:
            rig = Rig(self)
            rig.give(frame(TEXT, b"a") + bad)
            self.assertIsNotNone(rig.connection.cause)
            self.failed(rig, 1002 if bad.endswith(BAD) else 1007)

    def test_nothing_is_read_behind_a_fault(self) -> None:
        """While it waits reading rests, and the heartbeat with it."""
        rig = Rig(self, ping_interval=1)
        rig.give(frame(TEXT, b"a") + BAD, frame(TEXT, b"c"))
        self.assertEqual(rig.stream.unread, 1)
        rig.advance(5)
        self.assertEqual(rig.sent(), [])
