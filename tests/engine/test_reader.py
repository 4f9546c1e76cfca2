"""Who reads: a caller once without waiting, a borrower as long as it takes, or the engine thread."""

from __future__ import annotations

import itertools
import unittest
from typing import Any, Callable, List, Optional
from unittest import mock

from wssync.engine.completions import Message, Waiter
from wssync.engine.inbox import Events, Inbox
from wssync.engine.reader import GRACE, Reader
from wssync.engine.receiver import LITTLE, READ
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed, MessageTooBig, ProtocolError
from wssync.protocol.frames import Opcode

from ..protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from .borrowing import SocketRig, in_each_form
from .support import PATIENCE, Rig, Running, close_body
from .test_schedules import Point, after, before

BAD = frame(3)
"""A reserved opcode."""

LONG = "long" * 100


def reader_of(rig: Rig) -> Reader:
    """The receiving half."""
    assert rig.engine.reader is not None
    return rig.engine.reader


class CallerTests(unittest.TestCase):
    """`read_now`: what `timeout=0` does."""

    def test_one_read_brings_a_message(self) -> None:
        """The caller reads itself, and what has to be answered is answered."""
        rig = Rig(self)
        rig.stream.give(frame(PING, b"p") + frame(TEXT, b"a"))
        reader_of(rig).read_now()
        self.assertEqual(rig.connection.take(), "a")
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"p")])
        self.assertEqual(rig.stream.calls.count("recv"), 2, "one for the response head")

    def test_it_keeps_off_where_reading_is_not_allowed(self) -> None:
        """Full, suspended, ended or about to: no byte is fetched."""
        rig = Rig(self, max_queue=(1, None))
        rig.give(frame(TEXT, b"a"), frame(TEXT, b"b"))
        reads = rig.stream.calls.count("recv")
        reader_of(rig).read_now()
        rig.connection.take()
        rig.connection.suspend()
        reader_of(rig).read_now()
        rig.connection.resume()
        rig.connection.end(Cancelled("x"))
        reader_of(rig).read_now()
        rig.finish()
        reader_of(rig).read_now()
        self.assertEqual(rig.stream.calls.count("recv"), reads)

    def test_it_keeps_off_when_the_end_came_first(self) -> None:
        """Invariant 10: the state is looked at again once the role is had."""
        rig = Rig(self)
        reads = rig.stream.calls.count("recv")
        rig.connection.phase = Phase.ENDED
        reader_of(rig).role.attempt(reader_of(rig).read)
        rig.connection.phase = Phase.OPEN
        self.assertEqual(rig.stream.calls.count("recv"), reads)

    def test_a_child_process_does_not_even_try(self) -> None:
        """After a fork the role may be held by a thread that is not there."""
        rig = Rig(self)
        rig.clock.wakers.clear()
        reader_of(rig)._descriptor = 1
        rig.connection.abandon()
        self.assertEqual(reader_of(rig)._descriptor, -1, "a borrower whose signal handler has forked must not ask it")
        role: Any = mock.patch.object(reader_of(rig).role, "attempt", side_effect=AssertionError)
        with role:
            reader_of(rig).read_now()

    def test_an_interrupt_loses_nothing(self) -> None:
        """Ctrl-C before the bytes are on record: it goes through to the caller, and the thread reads them."""
        rig = Rig(self)
        rig.stream.give(frame(TEXT, b"a"))

        def interrupt() -> None:
            raise KeyboardInterrupt

        rig.stream.before_recv = interrupt
        with self.assertRaises(KeyboardInterrupt):
            reader_of(rig).read_now()
        rig.stream.before_recv = lambda: None
        self.assertTrue(rig.woken())
        rig.settle()
        self.assertEqual(rig.take_all(), ["a"])


class BorrowTestCase(unittest.TestCase):
    def queued(self, rig: SocketRig) -> Running[Message]:
        """A blocking receive that stands in the row."""
        point = Point()
        after(rig.connection, "receive", point)
        running = Running(rig.receive_blocking)
        point.wait()
        point.go()
        return running

    def ended(self, rig: SocketRig, *runnings: Running[Message]) -> None:
        """Each of them gets the error with which it ended, and finds `close_code` set (rule 161)."""
        for running in runnings:
            self.assertIs(running.error(), rig.connection.verdict)
        self.assertNotEqual(rig.connection.close_code, 0)
        rig.wait(rig.connection.gone)
        rig.free()


class MessageTests(BorrowTestCase):
    """What a borrower gets, and what it leaves to others."""

    @in_each_form
    def test_a_message_alone(self, form: str) -> None:
        """Rule 122: text and binary, empty, short and long; all are counted, and each is a sign of life."""
        rig = SocketRig(self, form)
        messages: List[Message] = ["a", b"b", "", b"", "\u00e4" * 62, b"x" * 125, b"y" * 126, LONG, b"z" * 70_000]
        for message in messages:
            data = message.encode() if isinstance(message, str) else message
            rig.clock.advance(1)
            rig.say(frame(TEXT if isinstance(message, str) else BINARY, data))
            self.assertEqual(rig.receive_blocking(), message)
            self.assertEqual(rig.connection.heartbeat.heard_at, rig.clock.now())
        self.assertEqual(rig.connection.tally.received, 2 + 124 + 125 + 126 + 400 + 70_000)
        rig.free()

    @in_each_form
    def test_many_in_one_read(self, form: str) -> None:
        """Rule 124: the first is the borrower's, the others are the next receives', which read nothing."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"), frame(BINARY, b"b"), frame(TEXT, LONG.encode()))
        rig.clock.advance(1)
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual(rig.connection.heartbeat.heard_at, rig.clock.now())
        rig.wait_for_borrower()
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], [b"b", LONG])
        self.assertFalse(rig.borrowed.acquire(False))

    @in_each_form
    def test_an_interrupt_within_a_batch(self, form: str) -> None:
        """Ctrl-C before the others are published, and after: the first, which was on its way, is the first again."""
        for is_published in (False, True):
            rig = SocketRig(self, form)
            rig.say(frame(TEXT, b""), frame(BINARY, b"b"), frame(TEXT, b"c"))
            inbox = rig.connection.inbox

            def strike(events: Events, count: int, inbox: Inbox = inbox, is_published: bool = is_published) -> None:
                if is_published:
                    Inbox.publish(inbox, events, count)
                raise KeyboardInterrupt

            with mock.patch.object(inbox, "publish", strike), self.assertRaises(KeyboardInterrupt):
                rig.receive_blocking()
            self.assertEqual([rig.receive_blocking() for _ in range(3)], ["", b"b", "c"])
            rig.free()

    @in_each_form
    def test_in_pieces(self, form: str) -> None:
        """Rule 125: half a frame, half a message; afterwards the quick way is open again."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        for piece in (b"\x01", b"\x02a", b"b" + frame(CONTINUATION, b"c")[:2]):
            rig.say(piece)
            rig.wait_for_borrower()
        rig.say(b"c")
        self.assertEqual(receiving.result(), "abc")
        self.assertTrue(rig.reader._is_fresh)

    @in_each_form
    def test_a_rest_that_looks_like_a_message(self, form: str) -> None:
        """The first of it was read by another call: what follows is not the beginning of anything."""
        rig = SocketRig(self, form)
        rig.say(frame(BINARY, b"\x81\x01x")[:2])
        with self.assertRaises(TimeoutError):
            rig.receive_blocking(0.0)
        rig.say(b"\x81\x01x")
        self.assertEqual(rig.receive_blocking(), b"\x81\x01x")

    @in_each_form
    def test_those_who_came_meanwhile(self, form: str) -> None:
        """Rule 135: who read first is served first, then the others as they came, blocking and handlers together."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        handled, waiting = rig.receive(), rig.receive(blocking=True)
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(TEXT, b"c"), frame(TEXT, b"d"))
        self.assertEqual(receiving.result(), "a")
        assert isinstance(waiting, Waiter)
        self.assertTrue(waiting.wait(PATIENCE))
        self.assertEqual((handled.value, waiting.value, rig.connection.take()), ("b", "c", "d"))
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["b"])

    @in_each_form
    def test_handlers_that_came_meanwhile_are_started(self, form: str) -> None:
        """By the borrower that has read for them, whatever the engine thread does."""
        rig = SocketRig(self, form)
        rig.run_callbacks()
        rig.before_read = rig.receive
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.assertEqual(rig.receive_blocking(), "a")
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["b"])

    @in_each_form
    def test_what_is_to_be_started_is_not_forgotten(self, form: str) -> None:
        """An earlier read of the same borrower, or of one before it, has left something for the others."""
        rig = SocketRig(self, form)
        rig.reader._unsettled = True
        flushed: List[None] = []
        rig.say(frame(TEXT, LONG.encode()))
        with (
            mock.patch.object(rig.reader, "_call_for_help"),
            mock.patch.object(rig.connection, "flush", lambda: flushed.append(None)),
        ):
            self.assertEqual(rig.receive_blocking(), LONG)
        self.assertEqual((flushed, rig.reader._unsettled), ([None], False))

    @in_each_form
    def test_a_message_that_comes_while_another_queues_up(self, form: str) -> None:
        """Whether it is seen at once must not depend on what comes after it: the peer says nothing more."""
        for data in (frame(TEXT, LONG.encode()), frame(TEXT, b"l", fin=False) + frame(CONTINUATION, LONG[1:].encode())):
            rig = SocketRig(self, form, threaded=True)
            receiving = rig.receiving()
            rig.receive(blocking=True)
            rig.say(data)
            self.assertEqual(receiving.result(), LONG)

    @in_each_form
    def test_nothing_whole_while_another_queues_up(self, form: str) -> None:
        """The borrower leaves with empty hands, to the end of the row; the engine thread reads on."""
        rig = SocketRig(self, form, threaded=True)
        point = Point()
        after(rig.reader, "borrow", point)
        receiving = rig.receiving()
        waiting = rig.receive(blocking=True)
        rig.say(b"\x81\x02a")
        point.wait()
        point.go()
        rig.say(b"b", frame(TEXT, b"c"))
        self.assertEqual(receiving.result(), "c")
        self.assertEqual(waiting.value, "ab")

    @in_each_form
    def test_how_much_is_asked_for(self, form: str) -> None:
        """Little, until much comes; then as much as one call gives, until little comes. What is read to its end all the
        same is asked for with its head alone.
        """
        rig = SocketRig(self, form)
        asked = []
        for size in (10, 30_000, 10, 100_000, 10):
            rig.say(frame(BINARY, b"x" * size))
            rig.receive_blocking()
            asked.append(rig.most)
        self.assertEqual(asked, [LITTLE, READ, LITTLE, READ if form == "staged" else LITTLE, LITTLE])

    @in_each_form
    def test_where_the_compiled_form_goes_on(self, form: str) -> None:
        """Behind a message that Python has begun to decode: it is read to its end, and no further."""
        for opcode, message in ((BINARY, b"x" * 300), (TEXT, "x" * 300)):
            rig = SocketRig(self, form)
            data = frame(opcode, b"x" * 300)
            rig.say(frame(TEXT, b"a"), frame(PING), data[:100])
            self.assertEqual(rig.receive_blocking(), "a")
            rig.say(data[100:], frame(TEXT, b"c"))
            self.assertEqual(rig.receive_blocking(), message)
            self.assertEqual(rig.connection.inbox.unread, 0 if form == "compiled" else 1)
            self.assertEqual(rig.receive_blocking(), "c")

    @in_each_form
    def test_each_message_has_its_handler(self, form: str) -> None:
        """`receive_each` is asked for while a borrower reads: the borrower was before it."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.connection.receive_each(rig.results.append)
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(TEXT, b"c"))
        self.assertEqual(receiving.result(), "a")
        rig.run_callbacks()
        self.assertEqual([result.message for result in rig.results], ["b", "c"])
        with self.assertRaises(RuntimeError):
            rig.receive_blocking()

    @in_each_form
    def test_two_borrowers(self, form: str) -> None:
        """Rule 124: the second queues up, and is served when the first has left, by the engine thread."""
        rig = SocketRig(self, form, threaded=True)
        first = rig.receiving()
        rig.put_to_sleep()
        second = self.queued(rig)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(first.result(), "a")
        rig.stream.wait_until(lambda: rig.stream.waits[-1][0], "the engine reads")
        rig.say(frame(TEXT, b"b"))
        self.assertEqual(second.result(), "b")
        rig.free()

    @in_each_form
    def test_no_more_is_read_than_there_is_room_for(self, form: str) -> None:
        """`max_queue`: with a handler that has not returned the buffer is full, and a borrower reads nothing."""
        rig = SocketRig(self, form, threaded=True, max_queue=(1, None))
        rig.receive()
        rig.say(frame(TEXT, b"a"))
        rig.stream.wait_until(lambda: rig.connection.inbox.paused, "it paused")
        rig.say(frame(TEXT, b"b"))
        self.assertIsNone(rig.connection.receive_at_once(None))
        waiting = self.queued(rig)
        rig.run_callbacks()
        self.assertEqual(waiting.result(), "b")


class ControlTests(BorrowTestCase):
    @in_each_form
    def test_a_ping_is_answered_while_a_borrower_reads(self, form: str) -> None:
        """Rule 137: by the engine thread, which slept; the borrower waits on."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        rig.say(frame(PING, b"p"))
        self.assertEqual(rig.hear(), [(Opcode.PONG, b"p")])
        rig.wait_for_borrower()
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")

    @in_each_form
    def test_control_frames_between(self, form: str) -> None:
        """Rule 126: before, behind and within messages, in one read; the pongs leave with the borrower."""
        rig = SocketRig(self, form)
        fragments = frame(TEXT, b"b", fin=False) + frame(PING, b"3") + frame(CONTINUATION, b"c")
        messages = frame(PING, b"1") + frame(TEXT, b"a") + frame(PING, b"2") + frame(PONG, b"?") + fragments
        rig.say(messages, frame(PING, b"4"))
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual(rig.hear(4), [(Opcode.PONG, b"%d" % number) for number in (1, 2, 3, 4)])
        self.assertEqual(rig.receive_blocking(), "bc")

    @in_each_form
    def test_a_borrower_hears_the_pong_of_another(self, form: str) -> None:
        """Rules 138 to 141: its handler runs though no message comes, and the round trip is told."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        _ping, completion = rig.ping(b"mine")
        ran = Running(lambda: rig.callbacks.run_pending(timeout=PATIENCE))
        self.assertEqual(rig.hear(), [(Opcode.PING, b"mine")])
        rig.put_to_sleep()
        rig.run_callbacks()
        ran.result()
        submitted = Point()
        before(rig.callbacks, "submit", submitted)
        rig.say(frame(PONG, b"mine"))
        submitted.wait()
        submitted.go()
        self.assertEqual(completion.value, 0.0)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")

    @in_each_form
    def test_what_a_borrower_reads_is_a_sign_of_life(self, form: str) -> None:
        """Rule 145: no ping goes out as long as it reads something; then one does, and it reads its pong."""
        rig = SocketRig(self, form, threaded=True, ping_interval=10, ping_timeout=10)
        for _ in range(4):
            receiving = rig.receiving()
            rig.put_to_sleep()
            self.advance(rig, 6)
            rig.say(frame(TEXT, b"a"))
            self.assertEqual(receiving.result(), "a")
        receiving = rig.receiving()
        rig.put_to_sleep()
        self.advance(rig, 10)
        [(opcode, payload)] = rig.hear()
        self.assertIs(opcode, Opcode.PING)
        rig.say(frame(PONG, payload))
        rig.wait_for_borrower()
        self.advance(rig, 9)
        self.assertIsNone(rig.connection.cause)
        self.advance(rig, 1)
        rig.hear()
        self.advance(rig, 10)
        self.ended(rig, receiving)
        self.assertEqual(rig.connection.close_code, 1006)

    def advance(self, rig: SocketRig, seconds: float) -> None:
        """Let time pass, and the engine thread see it."""
        turns = len(rig.stream.waits)
        rig.clock.advance(seconds)
        rig.stream.wait_until(lambda: len(rig.stream.waits) > turns or rig.connection.cause is not None, "it looked")

    @in_each_form
    def test_a_suspended_task_is_not_given_up(self, form: str) -> None:
        """Nothing may be read or written: that nothing is heard proves nothing, though a borrower is in its read."""
        rig = SocketRig(self, form, threaded=True, ping_interval=10, ping_timeout=10)
        receiving = rig.receiving()
        rig.connection.suspend()
        rig.put_to_sleep()
        for _ in range(3):
            self.advance(rig, 10)
        self.assertIsNone(rig.connection.cause)
        rig.connection.resume()
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")

    def test_what_tls_has_to_say_is_sent(self) -> None:
        """The answer to a key update was made by a read, and leaves with the borrower."""
        rig = SocketRig(self, "staged")
        rig.say(frame(TEXT, b"a"))
        flushed: List[None] = []
        with (
            mock.patch.object(type(rig.stream), "has_output", True),
            mock.patch.object(rig.connection, "flush", lambda: flushed.append(None)),
        ):
            self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual(flushed, [None])


class EndTests(BorrowTestCase):
    @in_each_form
    def test_a_close(self, form: str) -> None:
        """Rule 161: it is answered, and the borrower finds code and reason set."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.say(frame(CLOSE, close_body(3000) + b"bye"))
        self.assertEqual(rig.hear(), [(Opcode.CLOSE, close_body(3000))])
        rig.peer.close()
        self.ended(rig, receiving)
        self.assertEqual((rig.connection.close_code, rig.connection.close_reason), (3000, "bye"))

    @in_each_form
    def test_messages_before_a_close(self, form: str) -> None:
        """Rule 131: in one read, the first for the borrower, the second for the next; then comes the error."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(CLOSE, close_body(1000)), frame(TEXT, b"c"))
        self.assertEqual(receiving.result(), "a")
        rig.peer.close()
        self.assertEqual(rig.receive_blocking(), "b")
        self.ended(rig, Running(rig.receive_blocking))

    @in_each_form
    def test_the_end_of_the_stream(self, form: str) -> None:
        """Rule 172: 1006; a whole message before it is received, a half one is not."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"half")[:4])
        self.assertEqual(receiving.result(), "a")
        rig.peer.close()
        self.ended(rig, Running(rig.receive_blocking))
        self.assertEqual(rig.connection.close_code, 1006)

    @in_each_form
    def test_the_end_of_the_stream_while_it_waits(self, form: str) -> None:
        """Rules 134, 172: the borrower itself sees it."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        rig.peer.close()
        self.ended(rig, receiving)
        self.assertEqual(rig.connection.close_code, 1006)

    @in_each_form
    def test_a_reset(self, form: str) -> None:
        """Rule 176: the same, with the cause kept."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        rig.send("never read")
        rig.peer.close()
        self.ended(rig, receiving)

    @in_each_form
    def test_a_fault(self, form: str) -> None:
        """Rules 127, 130: a borrower comes to it at once, whatever it is; 1002 or 1007 is sent."""
        for data, code in ((BAD, 1002), (frame(TEXT, b"\xff"), 1007), (frame(TEXT, b"\xff" * 200), 1007)):
            rig = SocketRig(self, form, threaded=True)
            receiving = rig.receiving()
            rig.say(data)
            self.assertEqual(rig.hear(), [(Opcode.CLOSE, close_body(code))])
            rig.peer.close()
            self.ended(rig, receiving)
            self.assertIsInstance(rig.verdict, ProtocolError)

    @in_each_form
    def test_a_fault_behind_good_messages(self, form: str) -> None:
        """How a task ends: both are received, what is sent meanwhile goes out, and the next receive comes to it."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"), BAD)
        self.assertEqual((receiving.result(), rig.receive_blocking()), ("a", "b"))
        rig.send("echo")
        self.assertIsNone(rig.connection.cause)
        last = Running(rig.receive_blocking)
        self.assertEqual(rig.hear(2), [(Opcode.TEXT, b"echo"), (Opcode.CLOSE, close_body(1002))])
        rig.peer.close()
        self.ended(rig, last)

    @in_each_form
    def test_a_fault_behind_the_one_message(self, form: str) -> None:
        """The borrower has its message; the fault waits for another receive."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"), BAD)
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertIsNone(rig.connection.cause)
        self.assertIsNone(rig.connection.receive_at_once(None))

    @in_each_form
    def test_a_fault_behind_a_message_that_was_received(self, form: str) -> None:
        """However it was received: who has it may be at its answer, so the fault waits for the next receive."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(rig.receive_blocking(), "a")
        rig.say(BAD)
        rig.engine._turn()
        self.assertIsNone(rig.connection.cause)
        rig.receive()
        self.assertIsInstance(rig.connection.cause, ProtocolError)

    def test_memory_runs_out(self) -> None:
        """What the compiled form had read is lost, so the connection is: with 1006, and the cause kept."""
        rig = SocketRig(self, "pure", threaded=True)
        reader = rig.reader

        def fail() -> Message:
            assert reader._lock.acquire(False)
            self.assertIsNone(reader.go_on(MemoryError()))
            return rig.receive_blocking()

        self.ended(rig, Running(fail))
        self.assertEqual(rig.connection.close_code, 1006)
        self.assertIsInstance(rig.verdict.__cause__, MemoryError)

    @in_each_form
    def test_a_message_too_big(self, form: str) -> None:
        """Rules 128, 129: the limit of the moment of the read; the very limit passes."""
        for limit, size in ((3, 4), (125, 126), (200, 201)):
            rig = SocketRig(self, form, threaded=True)
            receiving = rig.receiving()
            rig.say(frame(BINARY, b"x" * 100))
            self.assertEqual(receiving.result(), b"x" * 100)
            rig.connection.maximum_message_size = limit
            rig.say(frame(BINARY, b"x" * limit))
            self.assertEqual(rig.receive_blocking(), b"x" * limit)
            rig.say(frame(BINARY, b"x" * size))
            last = Running(rig.receive_blocking)
            self.assertEqual(rig.hear(), [(Opcode.CLOSE, close_body(1009))])
            rig.peer.close()
            self.ended(rig, last)
            self.assertIsInstance(rig.verdict, MessageTooBig)

    @in_each_form
    def test_cancelled_while_it_waits(self, form: str) -> None:
        """Rule 134: it is roused in the kernel, and so is whoever stands behind it."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        second = self.queued(rig)
        rig.connection.cancel()
        self.ended(rig, receiving, second)
        self.assertIsInstance(rig.verdict, Cancelled)
        self.assertEqual(rig.connection.close_code, 1006)
        self.assertIn("shutdown_read", rig.stream.calls)

    @in_each_form
    def test_closed_while_it_waits(self, form: str) -> None:
        """Rule 149: it receives what still comes, then the error of a clean end."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        rig.connection.close(1000, None, None)
        self.assertEqual(rig.hear(), [(Opcode.CLOSE, close_body(1000))])
        rig.say(frame(TEXT, b"late"))
        self.assertEqual(receiving.result(), "late")
        last = Running(rig.receive_blocking)
        rig.say(frame(CLOSE, close_body(1000)))
        rig.peer.close()
        self.ended(rig, last)
        self.assertEqual(rig.connection.close_code, 1000)

    @in_each_form
    def test_a_close_that_nobody_answers(self, form: str) -> None:
        """Rule 210: after `close_timeout` the borrower is roused, with 1006."""
        rig = SocketRig(self, form, threaded=True, close_timeout=10)
        receiving = rig.receiving()
        rig.put_to_sleep()
        rig.connection.close(1000, None, None)
        rig.hear()
        rig.clock.advance(10)
        self.ended(rig, receiving)
        self.assertEqual(rig.connection.close_code, 1006)

    @in_each_form
    def test_a_borrower_that_comes_too_late(self, form: str) -> None:
        """It had found the way open, and the connection ended: nothing is read (invariant 10)."""
        rig = SocketRig(self, form, threaded=True)
        reader = rig.reader
        rig.connection.cancel()
        rig.wait(rig.connection.gone)
        self.assertIsNone(reader.borrow(None))
        self.assertFalse(rig.borrowed.acquire(False))
        self.assertIsNone(rig.connection.receive_at_once(None))


class TimeoutTests(BorrowTestCase):
    @in_each_form
    def test_nothing_is_consumed(self, form: str) -> None:
        """Rule 133: half a message has come by then; the next receive gets the whole of it."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"ab")[:3])
        for _ in range(2):
            with self.assertRaises(TimeoutError):
                rig.receive_blocking(0.001)
        rig.say(b"b")
        self.assertEqual(rig.receive_blocking(0.001), "ab")
        rig.free()

    @in_each_form
    def test_a_message_in_time(self, form: str) -> None:
        """It waits for the network with a limit, which others see as well."""
        rig = SocketRig(self, form, threaded=True)
        point = Point()
        rig.stream.before_borrowed = point
        receiving = Running(lambda: rig.receive_blocking(PATIENCE))
        point.wait()
        point.go()
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")
        [seconds] = rig.stream.borrowed_waits
        assert seconds is not None
        self.assertLessEqual(seconds, PATIENCE)

    @in_each_form
    def test_no_time_at_all(self, form: str) -> None:
        """What is there is taken, and more is not waited for."""
        rig = SocketRig(self, form)
        self.assertIsNone(rig.connection.receive_at_once(0.0))
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.assertEqual([rig.connection.receive_at_once(0.0) for _ in range(3)], ["a", "b", None])

    @in_each_form
    def test_a_wait_that_ends_early(self, form: str) -> None:
        """A stream may come back with nothing before the time is up; it is asked again."""
        rig = SocketRig(self, form)
        answers = [(False, False), (False, False)]
        wait = rig.stream.wait

        def early(*arguments: Any, **details: Any) -> Any:
            return answers.pop() if answers else wait(*arguments, **details)

        rig.stream.wait = early  # type: ignore[method-assign]
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(rig.connection.receive_at_once(PATIENCE), "a")

    @in_each_form
    def test_the_rest_of_the_time_is_spent_in_the_row(self, form: str) -> None:
        """Another reads: the call queues up at once, and gives up when its own time is over."""
        rig = SocketRig(self, form, threaded=True)
        first = rig.receiving()
        with self.assertRaises(TimeoutError):
            rig.receive_blocking(0.001)
        self.assertFalse(rig.connection.inbox.has_demand)
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(first.result(), "a")


class SuspendTests(BorrowTestCase):
    @in_each_form
    def test_given_up_while_suspended(self, form: str) -> None:
        """Its receive has left the row; the next one, quicker than the engine thread, begins with what was fetched."""
        rig = SocketRig(self, form)
        rig.before_read = rig.connection.suspend
        rig.say(frame(TEXT, b"a"))
        slot = rig.connection.receive_at_once(None)
        assert isinstance(slot, Waiter)
        self.assertTrue(rig.connection.withdraw_receive(slot))
        rig.before_read = lambda: None
        rig.connection.resume()
        rig.say(frame(TEXT, b"b"))
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual(rig.receive_blocking(1.0), "b")

    @in_each_form
    def test_suspended_between_decoding_and_publishing(self, form: str) -> None:
        """What was decoded by then is published, and kept; the borrower stands before all others."""
        rig = SocketRig(self, form)
        decode = rig.reader._decode_next

        def then_suspend(*arguments: Any) -> Any:
            decoded = decode(*arguments)
            rig.connection.suspend()
            return decoded

        rig.reader._decode_next = then_suspend  # type: ignore[method-assign,assignment]
        rig.say(frame(TEXT, LONG.encode()) + frame(TEXT, b"b"))
        slot = rig.connection.receive_at_once(None)
        assert isinstance(slot, Waiter)
        self.assertFalse(slot.done)
        second = rig.receive(blocking=True)
        for _ in range(rig.connection.suspensions):
            rig.connection.resume()
        self.assertEqual((slot.value, second.value), (LONG, "b"))

    @in_each_form
    def test_suspended_while_the_engine_thread_reads(self, form: str) -> None:
        """What it has fetched stays in the box; a borrower that is quicker after the resume begins with that."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"))
        rig.stream.after_recv = rig.connection.suspend
        rig.reader.role.attempt(rig.reader.read)
        rig.stream.after_recv = lambda: None
        rig.connection.resume()
        rig.say(frame(TEXT, b"b"))
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], ["a", "b"])

    @in_each_form
    def test_the_message_stays(self, form: str) -> None:
        """Suspended while a borrower reads: what comes is kept as it is, and the borrower stands before all others."""
        for timeout, first in itertools.product((None, PATIENCE), ("short", LONG)):
            rig = SocketRig(self, form, threaded=True)
            rig.stream.before_borrowed = rig.borrowed.release
            receiving = rig.receiving(timeout)
            second = rig.receive(blocking=True)
            rig.connection.suspend()
            point = Point()
            before(rig.connection, "receive_in_turn", point)
            rig.say(frame(TEXT, first.encode()))
            point.wait()
            self.assertEqual(rig.connection.inbox.unread, 0)
            point.go()
            self.assertTrue(receiving.thread.is_alive())
            rig.connection.resume()
            self.assertEqual(receiving.result(), first)
            rig.say(frame(TEXT, b"b"))
            assert isinstance(second, Waiter)
            second.wait(PATIENCE)
            self.assertEqual(second.value, "b")

    @in_each_form
    def test_it_ends_while_it_is_suspended(self, form: str) -> None:
        """Promise 8: what was fetched by then is received, and what the kernel has is not; then comes the error."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.connection.suspend()
        point = Point()
        before(rig.connection, "receive_in_turn", point)
        rig.say(frame(TEXT, LONG.encode()))
        point.wait()
        point.go()
        rig.connection.end(ConnectionClosed("lost"))
        if form != "staged":  # which waits and fetches in two steps
            self.assertEqual(receiving.result(), LONG)
            receiving = Running(rig.receive_blocking)
        self.ended(rig, receiving)


class StandingAsideTests(BorrowTestCase):
    """Whether the engine thread reads, as its facts are; `real_now` is in our hands."""

    def setUp(self) -> None:
        self.time = 5.0
        patch = mock.patch("wssync.engine.reader.real_now", lambda: self.time)
        patch.start()
        self.addCleanup(patch.stop)

    def rig(self, *, turn: bool = True) -> SocketRig:
        rig = SocketRig(self, "staged", grace=GRACE)
        if turn:
            rig.say(frame(TEXT, b"a"))
            self.assertEqual(rig.receive_blocking(), "a")
        return rig

    def aside(self, rig: SocketRig) -> Optional[float]:
        with rig.connection.mutex:
            return rig.reader.stands_aside()

    def test_nobody_has_borrowed(self) -> None:
        """It reads."""
        self.assertEqual(self.aside(self.rig(turn=False)), 0)

    def test_for_a_while_after_a_borrower(self) -> None:
        """It leaves reading to the next one for `GRACE`, from the moment when it sees that one has come; then it
        reads.
        """
        rig = self.rig()
        self.time = 7.0
        self.assertAlmostEqual(self.aside(rig) or 0, GRACE)
        self.time += GRACE - 0.01
        self.assertAlmostEqual(self.aside(rig) or 0, 0.01)
        self.time += 0.01
        self.assertEqual(self.aside(rig), 0)
        self.assertFalse(rig.reader.asleep)
        rig.say(frame(TEXT, b"b"))
        rig.receive_blocking()
        self.assertAlmostEqual(self.aside(rig) or 0, GRACE)

    def test_while_a_borrower_reads(self) -> None:
        """After `GRACE` it sleeps until it is woken, and says so; when the borrower has left it reads."""
        rig = self.rig()
        rig.reader.lent = True
        self.assertAlmostEqual(self.aside(rig) or 0, GRACE)
        self.assertFalse(rig.reader.asleep)
        self.time += GRACE
        self.assertIsNone(self.aside(rig))
        self.assertTrue(rig.reader.asleep)
        rig.reader.lent = False
        self.assertEqual(self.aside(rig), 0)
        self.assertFalse(rig.reader.asleep)

    def test_demand_is_not_kept_waiting(self) -> None:
        """A receive in the row, a ping without its pong, a Close awaited: it reads at once, or as soon as it can."""
        demands: List[Callable[[SocketRig], object]] = [
            lambda rig: rig.receive(),
            lambda rig: rig.connection.receive_each(rig.results.append),
            lambda rig: rig.ping(),
            lambda rig: rig.connection.close(1000, None, None),
            lambda rig: setattr(rig.connection.heartbeat, "heard_at", None),
        ]
        for demand in demands:
            rig = self.rig()
            self.assertAlmostEqual(self.aside(rig) or 0, GRACE)
            demand(rig)
            self.assertEqual(self.aside(rig), 0)
            rig.reader.lent = True
            self.assertIsNone(self.aside(rig))
            self.assertTrue(rig.reader.asleep)

    def test_demand_wakes_it(self) -> None:
        """Whoever asks while it stands aside, in whatever way, ends its sleep; else nobody does."""
        demands: List[Callable[[SocketRig], object]] = [
            lambda rig: rig.receive(),
            lambda rig: rig.receive(blocking=True),
            lambda rig: rig.connection.receive_each(rig.results.append),
            lambda rig: rig.ping(),
            lambda rig: rig.connection.close(1000, None, None),
        ]
        for demand in demands:
            rig = self.rig()
            rig.connection.stands_aside = True
            rig.engine._waker.clear()
            self.assertFalse(rig.woken())
            demand(rig)
            self.assertTrue(rig.woken())

    def test_what_needs_no_reading_does_not_wake_it(self) -> None:
        """A message that is there already, a send, a read that is not left to others."""
        rig = self.rig()
        rig.say(frame(TEXT, b"b"), frame(TEXT, b"c"))
        rig.receive_blocking()
        rig.connection.stands_aside = True
        rig.engine._waker.clear()
        rig.receive()
        rig.send("x")
        self.assertFalse(rig.woken())
        rig.connection.stands_aside = False
        rig.receive()
        self.assertFalse(rig.woken())


class SleepTests(BorrowTestCase):
    """The engine thread at rest: its waits are counted."""

    @in_each_form
    def test_one_long_read(self, form: str) -> None:
        """While a borrower waits it does not tick; it wakes once when the borrower leaves, to no more than that."""
        rig = SocketRig(self, form, threaded=True)
        receiving = rig.receiving()
        rig.put_to_sleep()
        waits = len(rig.stream.waits)
        receiving.thread.join(0.05)
        self.assertEqual(len(rig.stream.waits), waits)
        self.assertIsNone(rig.stream.waits[-1][2])
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(receiving.result(), "a")
        rig.stream.wait_until(lambda: rig.stream.waits[-1][0], "it reads again")
        self.assertEqual(len(rig.stream.waits), waits + 1)

    @in_each_form
    def test_one_long_read_after_a_grace(self, form: str) -> None:
        """It looks once more when the grace is over, and then it sleeps."""
        rig = SocketRig(self, form, threaded=True, grace=0.01)
        receiving = rig.receiving()
        rig.put_to_sleep()
        waits = len(rig.stream.waits)
        receiving.thread.join(0.05)
        self.assertEqual(len(rig.stream.waits), waits)

    def test_bytes_that_the_borrower_has_not_fetched(self) -> None:
        """Both were waiting for them: the engine thread finds the role taken, and sleeps instead of asking again."""
        rig = SocketRig(self, "staged", threaded=True)
        point = Point()
        receiving = rig.receiving()
        waits = len(rig.stream.waits)
        self.assertTrue(rig.stream.waits[-1][0])
        before(rig.reader, "_share", point)
        rig.say(frame(TEXT, b"a"))
        point.wait()
        rig.stream.wait_until(lambda: rig.reader.asleep and not rig.stream.waits[-1][0], "it slept")
        self.assertLessEqual(len(rig.stream.waits), waits + 2)
        point.go()
        self.assertEqual(receiving.result(), "a")

    def test_an_interrupt_in_a_suspended_task(self) -> None:
        """What it left is for later; until then the engine thread sleeps as always."""
        rig = SocketRig(self, "pure", threaded=True)
        rig.connection.suspend()
        rig.stream.wait_until(lambda: not rig.stream.waits[-1][0], "it rests")
        rig.reader._note_interrupt()
        rig.stream.wait_until(lambda: rig.stream.waits[-1][2] is None, "it rests")
        rig.say(frame(TEXT, b"a"))
        waiting = rig.receive(blocking=True)
        rig.connection.resume()
        assert isinstance(waiting, Waiter)
        self.assertTrue(waiting.wait(PATIENCE))
        self.assertEqual(waiting.value, "a")


class BusyTests(unittest.TestCase):
    """How long the engine thread would sleep with an interrupt on record, of which it was not told."""

    def timeout(self, prepare: Callable[[Rig], object]) -> Optional[float]:
        rig = Rig(self)
        rig.settle()
        reader_of(rig).interrupted = True
        prepare(rig)
        rig.engine._waker.clear()
        rig.engine._turn()
        return rig.stream.waits[-1][2]

    def test_it_looks_at_once(self) -> None:
        """Who noted it saw the thread at work, and did not wake it."""
        self.assertEqual(self.timeout(lambda rig: None), 0)

    def test_not_while_somebody_else_reads(self) -> None:
        """A borrower finds what is left, and wakes the thread when it leaves."""
        self.assertIsNone(self.timeout(lambda rig: setattr(reader_of(rig), "lent", True)))

    def test_not_while_the_task_is_suspended(self) -> None:
        """Nothing may be done about it."""
        self.assertIsNone(self.timeout(lambda rig: rig.connection.suspend()))


class InterruptTests(BorrowTestCase):
    """Ctrl-C at the places that one can name (`test_interrupts` has all the others)."""

    @in_each_form
    def test_while_it_waits(self, form: str) -> None:
        """It passes through; the role is free, the engine thread looks, the next receive gets the message."""
        rig = SocketRig(self, form)
        rig.before_read = interrupt
        with self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        self.assertTrue(rig.woken())
        rig.free()
        rig.before_read = lambda: None
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], ["a", "b"])

    @in_each_form
    def test_when_the_bytes_have_just_come(self, form: str) -> None:
        """The socket knows nothing of them any more: the next borrower finds them without it."""
        for data, expected in ((frame(TEXT, b"a"), ["a"]), (frame(TEXT, b"b") + frame(BINARY, b"c"), ["b", b"c"])):
            rig = SocketRig(self, form)
            rig.say(data)
            with mock.patch.object(rig.reader, "_now", interrupt), self.assertRaises(KeyboardInterrupt):
                rig.receive_blocking()
            rig.free()
            self.assertEqual([rig.receive_blocking() for _ in expected], expected)
            rig.say(frame(TEXT, b"next"))
            self.assertEqual(rig.receive_blocking(), "next")

    def test_in_the_row_when_its_message_has_come(self) -> None:
        """It is the next one's again."""
        rig = Rig(self)
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        with mock.patch.object(Waiter, "wait", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            rig.connection.receive_in_turn(None, None, None)
        self.assertEqual(rig.take_all(), ["a", "b"])

    @in_each_form
    def test_in_a_read_without_waiting(self, form: str) -> None:
        """What `timeout=0` has fetched and not decoded: the next borrower begins with it, and not with the socket."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"))
        with mock.patch.object(rig.reader, "_now", interrupt), self.assertRaises(KeyboardInterrupt):
            rig.reader.read_now()
        rig.say(frame(TEXT, b"b"))
        self.assertEqual([rig.receive_blocking(), rig.receive_blocking()], ["a", "b"])

    @in_each_form
    def test_the_engine_thread_finds_what_is_left(self, form: str) -> None:
        """Nobody receives any more, and the peer sends no more: what came is published all the same, and counted."""
        for data in (frame(TEXT, b"a"), frame(TEXT, b"a") + frame(PING, b"p"), frame(TEXT, b"a", form=16)[:3]):
            rig = SocketRig(self, form)
            rig.say(data)
            with mock.patch.object(rig.reader, "_now", interrupt), self.assertRaises(KeyboardInterrupt):
                rig.receive_blocking()
            rig.engine._turn()
            self.assertEqual(rig.reader._box, [])
            if len(data) > 3 or data == frame(TEXT, b"a"):
                self.assertEqual(rig.connection.take(), "a")

    @in_each_form
    def test_after_its_message_was_published(self, form: str) -> None:
        """It is put back, before those that came with it."""
        rig = SocketRig(self, form)
        rig.say(frame(TEXT, b"a"), frame(TEXT, b"b"), frame(PING, b"p"))
        with mock.patch.object(rig.connection, "flush", interrupt), self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        self.assertEqual(rig.take_all(), ["a", "b"])
        rig.connection.flush()
        self.assertEqual(rig.hear(), [(Opcode.PONG, b"p")])

    @in_each_form
    def test_while_suspended_it_leaves_the_row(self, form: str) -> None:
        """Its receive would otherwise take a message that nobody gets."""
        rig = SocketRig(self, form)
        rig.before_read = rig.connection.suspend
        rig.say(frame(TEXT, LONG.encode()))
        queue = rig.connection.inbox.receive_first

        def struck(completion: Any) -> None:
            queue(completion)
            interrupt()

        with mock.patch.object(rig.connection.inbox, "receive_first", struck), self.assertRaises(KeyboardInterrupt):
            rig.receive_blocking()
        self.assertFalse(rig.connection.inbox.has_demand)
        rig.connection.resume()
        rig.before_read = lambda: None
        self.assertEqual(rig.receive_blocking(), LONG)

    @in_each_form
    def test_on_the_way_to_the_release(self, form: str) -> None:
        """Some interpreters have a place there: the role is let go all the same, and the message comes next."""
        for data in (frame(TEXT, b"a"), frame(TEXT, b"a") + frame(PING, b"p")):
            rig = SocketRig(self, form)
            rig.say(data)
            lock, rig.reader._borrower = rig.reader._lock, None  # whose release is no call, and has no such place
            rig.reader._lock = StruckLock(lock)
            with self.assertRaises(KeyboardInterrupt):
                rig.receive_blocking()
            rig.reader._lock = lock
            rig.free()
            self.assertEqual(rig.receive_blocking(), "a")

    @in_each_form
    def test_when_it_has_got_it(self, form: str) -> None:
        """A call that gives the message is struck when it returns: the message, or its place in the row, is given back.

        Only in the compiled form is that one call.
        """
        if form != "compiled":
            return
        for is_suspended in (False, True):
            rig = SocketRig(self, form)
            borrower = rig.reader._borrower
            assert borrower is not None

            def receive(reader: Reader, got: List[Any], borrower: Any = borrower) -> None:
                borrower.receive(reader, got)
                interrupt()

            if is_suspended:
                rig.before_read = rig.connection.suspend
            rig.reader._borrower = mock.Mock(receive=receive)
            rig.say(frame(TEXT, b"a"))
            with self.assertRaises(KeyboardInterrupt):
                rig.receive_blocking()
            rig.free()
            self.assertTrue(rig.woken())
            self.assertFalse(rig.connection.inbox.has_demand)
            rig.reader._borrower = borrower
            rig.before_read = lambda: None
            if is_suspended:
                rig.connection.resume()
            self.assertEqual(rig.receive_blocking(), "a")

    @in_each_form
    def test_a_receive_in_a_signal_handler(self, form: str) -> None:
        """It has interrupted a borrower, whose role it would borrow again: it is told so, and the borrower goes on."""
        rig = SocketRig(self, form)
        told: List[BaseException] = []

        def handler() -> None:
            rig.before_read = lambda: None
            for timeout in (None, 1.0):
                with self.assertRaises(RuntimeError) as caught:
                    rig.receive_blocking(timeout)
                told.append(caught.exception)

        rig.before_read = handler
        rig.say(frame(TEXT, b"a"))
        self.assertEqual(rig.receive_blocking(), "a")
        self.assertEqual([str(error)[:32] for error in told], ["receive() in a signal handler th"] * 2)
        rig.free()


class StruckLock:
    """A lock whose first release is struck before it happens."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._releases = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def release(self) -> None:
        self._releases += 1
        if self._releases == 1:
            raise KeyboardInterrupt
        self._lock.release()


def interrupt() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt
