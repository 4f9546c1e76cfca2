"""Two threads at the places where they could miss each other, in both orders.

Stress finds few of these, so they are forced: a `Point` parks the thread that comes to it until the test lets it go on.
The points are hung in from the outside, on the stream's methods, on a role, on a method of the connection. Nothing here
sleeps; each test either comes to its end or fails after `PATIENCE`.
"""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, Deque, List, Optional
from unittest import mock

from tests.threads import is_held
from wssync.engine.completions import Message, Waiter
from wssync.engine.queues import Ready
from wssync.engine.reader import Reader
from wssync.engine.roles import Role
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed
from wssync.protocol.frames import Opcode

from ..protocol.wire import CLOSE, PING, TEXT, frame
from .borrowing import FORMS, SocketRig
from .support import PATIENCE, Rig, Running, close_body

BYE = frame(CLOSE, close_body(1000))


class Point:
    """A place where one thread is parked, the first time it comes there."""

    def __init__(self, thread: Optional[threading.Thread] = None) -> None:
        self._thread = thread
        self._reached = threading.Event()
        self._go = threading.Event()
        self.times = 0

    def __call__(self) -> None:
        if self._thread in (None, threading.current_thread()) and not self._reached.is_set():
            self._reached.set()
            assert self._go.wait(PATIENCE), "nobody let it go on"

    def wait(self) -> None:
        """Wait until a thread is parked here."""
        assert self._reached.wait(PATIENCE), "nobody came here"

    def go(self) -> None:
        """Let it go on."""
        self._go.set()


def before(owner: Any, name: str, point: Point) -> None:
    """Park who calls this method before it does anything."""
    method = getattr(owner, name)

    def parked(*args: Any, **details: Any) -> Any:
        point()
        return method(*args, **details)

    setattr(owner, name, parked)


def after(owner: Any, name: str, point: Point) -> None:
    """Park who calls this method when it has done its work; not one who has looked whether there is some, in vain."""
    method = getattr(owner, name)

    def parked(*args: Any, **details: Any) -> Any:
        result = method(*args, **details)
        if name != "_share" or result is not None:
            point()
        return result

    setattr(owner, name, parked)


class ScheduleTestCase(unittest.TestCase):
    def is_waiting(self, running: Running[Any]) -> None:
        """It has not come to its end (and cannot: what it waits for is in our hands)."""
        running.thread.join(0.02)
        self.assertTrue(running.thread.is_alive())

    def ended(self, rig: Rig) -> None:
        rig.wait(rig.connection.gone)


class WritingTests(ScheduleTestCase):
    """After the append, before the look; after letting go, before the second look."""

    def test_appended_but_not_yet_pumped_another_takes_it_along(self) -> None:
        """A appends and is held up; B sends: both leave, in order; A then finds nothing to do."""
        rig = Rig(self)
        point = Point()
        before(rig.connection.outbox, "pump", point)
        first = Running(lambda: rig.send("first"))
        point.wait()
        rig.send("second")
        self.assertEqual(rig.texts(), ["first", "second"])
        point.go()
        self.assertTrue(first.result().completion.done)
        self.assertEqual(rig.texts(), [])

    def test_appended_while_the_other_writes(self) -> None:
        """B appends while A is in its `send`, does not get the role and goes; A looks again."""
        rig = Rig(self)
        point = Point()
        rig.stream.before_send = point
        first = Running(lambda: rig.send("first"))
        point.wait()
        second = Running(lambda: rig.send("second")).result()
        self.assertFalse(second.completion.done)
        point.go()
        first.result()
        self.assertTrue(second.completion.done)
        self.assertEqual(rig.texts(), ["first", "second"])

    def test_appended_after_the_role_was_let_go(self) -> None:
        """B appends between A's release and A's second look: B writes itself, A finds nothing."""
        rig = Rig(self)
        point = Point()
        after(rig.connection.outbox.role, "attempt", point)
        first = Running(lambda: rig.send("first"))
        point.wait()
        second = Running(lambda: rig.send("second")).result()
        self.assertTrue(second.completion.done)
        point.go()
        first.result()
        self.assertEqual(rig.texts(), ["first", "second"])

    def test_the_engine_writes_while_a_caller_appends(self) -> None:
        """The engine is in its `send`, its caller's message is left behind for it: no wake is needed."""
        rig = Rig(self, threaded=True)
        point = Point(rig.connection.thread)
        rig.stream.before_send = point
        rig.stream.give(frame(PING, b"p"))
        point.wait()
        send = Running(lambda: rig.send("a")).result()
        self.assertFalse(send.completion.done)
        point.go()
        rig.stream.wait_until(lambda: send.completion.done, "the engine looked again")
        self.assertEqual(rig.sent(), [(Opcode.PONG, b"p"), (Opcode.TEXT, b"a")])

    def test_a_caller_writes_while_the_engine_appends(self) -> None:
        """A pong is asked for while a caller is in its `send`: the caller takes it along."""
        rig = Rig(self, threaded=True)
        point = Point()
        rig.stream.before_send = point
        first = Running(lambda: rig.send("a"))
        point.wait()
        rig.stream.give(frame(PING, b"p"))
        rig.stream.wait_until(lambda: bool(rig.connection.outbox._pongs), "the ping was read")
        point.go()
        first.result()
        rig.stream.wait_until(lambda: len(rig.stream.outgoing) >= 14, "both left")
        self.assertEqual(rig.sent(), [(Opcode.TEXT, b"a"), (Opcode.PONG, b"p")])

    def test_a_stall_before_the_engine_sleeps(self) -> None:
        """The engine has looked and is about to sleep; then a caller stalls: its wake is not lost."""
        rig = Rig(self, threaded=True)
        point = Point(rig.connection.thread)
        rig.stream.before_wait = point
        rig.connection.wake()
        point.wait()
        rig.stream.takes = 0
        send = rig.send("a")
        point.go()
        rig.stream.wait_until(lambda: rig.stream.waits[-1][1], "it watches for writing")
        rig.stream.take()
        rig.stream.wait_until(lambda: send.completion.done, "it was sent")


class EndingTests(ScheduleTestCase):
    """Between the test of the state and the append; a write, a read, a registration against the end."""

    def test_a_send_between_the_test_and_the_append(self) -> None:
        """The end waits for it, and fails it: nothing is appended to what has ended (invariant 8)."""
        rig = Rig(self)
        point = Point()
        rig.stream.takes = 0
        after(rig.connection, "refusal", point)
        sending = Running(lambda: rig.send("a", blocking=True))
        point.wait()
        ending = Running(lambda: (rig.connection.end(Cancelled("x")), rig.connection.complete()))  # type: ignore[func-returns-value]
        self.is_waiting(ending)
        point.go()
        ending.result()
        message = sending.result()
        self.assertIs(message.completion.error, rig.verdict)

    def test_a_send_after_the_end(self) -> None:
        """The other order: it is refused with the same error."""
        rig = Rig(self)
        point = Point()
        before(rig.connection, "send", point)
        sending = Running(lambda: rig.send("a", blocking=True))
        point.wait()
        rig.connection.end(Cancelled("x"))
        rig.connection.complete()
        point.go()
        self.assertIs(sending.result().completion.error, rig.verdict)

    def test_the_end_waits_for_a_writer(self) -> None:
        """A message that was taken and is in no queue is not forgotten (engine 12, third row)."""
        for fails in (False, True):
            rig = Rig(self, threaded=True)
            point = Point()
            rig.stream.before_send = point
            sending = Running(lambda rig=rig: rig.send("a", blocking=True))  # type: ignore[misc]
            point.wait()
            rig.connection.cancel()
            ended = Running(lambda rig=rig: rig.connection.ended.wait(PATIENCE))  # type: ignore[misc]
            self.is_waiting(ended)
            if fails:
                rig.stream.fails_at = 0
            point.go()
            message = sending.result()
            self.assertTrue(ended.result())
            self.assertTrue(message.completion.done)
            self.assertEqual(message.completion.error, rig.verdict if fails else None)
            self.ended(rig)

    def test_the_end_waits_for_a_reader(self) -> None:
        """A caller that has fetched bytes publishes them before: the message arrived whole, so it can be received."""
        rig = Rig(self, threaded=True)
        point, engine = Point(), Point(rig.connection.thread)
        rig.stream.before_wait = engine
        rig.connection.wake()
        engine.wait()
        rig.stream.give(frame(TEXT, b"a"))
        rig.stream.after_recv = point
        reading = Running(rig.engine.reader.read_now)
        point.wait()
        rig.connection.end(ConnectionClosed("lost"))
        engine.go()
        ended = Running(lambda: rig.connection.ended.wait(PATIENCE))
        self.is_waiting(ended)
        point.go()
        reading.result()
        self.assertTrue(ended.result())
        self.assertEqual(rig.take_all_before_the_end(), ["a"])
        self.ended(rig)

    def test_a_reader_that_comes_after_the_end(self) -> None:
        """It was allowed to read, was held up, and the connection ended: it touches nothing (invariant 10)."""
        rig = Rig(self)
        point = Point()
        before(rig.engine.reader.role, "attempt", point)
        reading = Running(rig.engine.reader.read_now)
        point.wait()
        rig.connection.cancel()
        rig.finish()
        rig.stream.give(frame(TEXT, b"late"))
        point.go()
        reading.result()
        self.assertEqual(rig.take_all_before_the_end(), [])

    def test_a_reader_that_comes_after_a_suspension(self) -> None:
        """It was allowed to read, was held up, and the task was suspended: nothing is read."""
        rig = Rig(self)
        point = Point()
        before(rig.engine.reader.role, "attempt", point)
        rig.stream.give(frame(TEXT, b"later"))
        reading = Running(rig.engine.reader.read_now)
        point.wait()
        rig.connection.suspend()
        point.go()
        reading.result()
        self.assertEqual(rig.stream.unread, 1)

    def test_a_writer_that_comes_after_the_end(self) -> None:
        """It found work, was held up, and the connection is gone: nothing is written to what is closed."""
        rig = Rig(self)
        rig.stream.takes = 0
        rig.send("x")
        rig.stream.take()
        rig.connection.outbox.stalled = False
        point = Point()
        before(rig.connection.outbox.role, "attempt", point)
        writing = Running(rig.connection.flush)
        point.wait()
        rig.connection.cancel()
        rig.finish()
        point.go()
        writing.result()
        self.assertEqual(rig.stream.calls[-1], "close")

    def test_a_writer_that_comes_after_a_failed_write(self) -> None:
        """It found work, was held up, and the other's write failed half way: nothing may follow."""
        rig = Rig(self)
        rig.connection.suspend()
        rig.send("a")
        rig.connection.outbox.held = False
        point = Point()
        before(rig.connection.outbox.role, "attempt", point)
        writing = Running(rig.connection.flush)
        point.wait()
        rig.stream.fails_at = 0
        rig.connection.flush()
        sends = rig.stream.total
        rig.stream.fails_at = None
        point.go()
        writing.result()
        self.assertIsNotNone(rig.connection.outbox.broken)
        self.assertEqual(rig.stream.total, sends)

    def test_a_receive_against_the_end(self) -> None:
        """Promise 1: registered before it fails with the others, after it at once, with the same object."""
        for first in ("receive", "end"):
            rig = Rig(self)
            point = Point()
            rig.connection.end(Cancelled("x"))
            if first == "receive":
                before(rig.connection.inbox, "receive", point)  # with the mutex
                one = Running(lambda rig=rig: rig.receive(blocking=True))  # type: ignore[misc]
                point.wait()
                other = Running(rig.connection.complete)
                self.is_waiting(other)
            else:
                before(rig.connection, "receive", point)
                one = Running(lambda rig=rig: rig.receive(blocking=True))  # type: ignore[misc]
                point.wait()
                other = Running(rig.connection.complete)
                other.result()
            point.go()
            other.result()
            self.assertIs(one.result().error, rig.verdict)

    def test_a_handler_against_the_end(self) -> None:
        """Promise 5: one that was registered in time is called before `did_complete`."""
        rig = Rig(self)
        rig.run_callbacks()
        order: List[str] = []
        rig.listener.callback = lambda name: lambda *details: order.append(name)  # type: ignore[method-assign]
        point = Point()
        rig.connection.end(Cancelled("x"))
        before(rig.connection.inbox, "receive_each", point)
        one = Running(lambda: rig.connection.receive_each(lambda result: order.append("handler")))
        point.wait()
        other = Running(rig.connection.complete)
        self.is_waiting(other)
        point.go()
        one.result()
        other.result()
        rig.run_callbacks()
        self.assertEqual(order, ["handler", "did_complete"])


class ReceivingTests(ScheduleTestCase):
    def receive(self, rig: Rig, waiter: Waiter[Message], point: Optional[Point] = None) -> bool:
        """What a blocking `receive(timeout)` does when its time is up; whether it was withdrawn."""
        rig.connection.receive(waiter)
        waiter.wait(0)
        if point is not None:
            point()
        return rig.connection.withdraw_receive(waiter)

    def test_a_message_between_the_timeout_and_the_withdrawal(self) -> None:
        """Rule 133: the message wins, and is this caller's."""
        rig = Rig(self)
        point, waiter = Point(), Waiter[Message]()
        receiving = Running(lambda: self.receive(rig, waiter, point))
        point.wait()
        rig.give(frame(TEXT, b"a"))
        point.go()
        self.assertFalse(receiving.result())
        self.assertEqual((waiter.value, rig.connection.inbox.unread), ("a", 0))

    def test_a_message_after_the_withdrawal(self) -> None:
        """Rule 133: it is the next receive's."""
        rig = Rig(self)
        waiter = Waiter[Message]()
        self.assertTrue(self.receive(rig, waiter))
        rig.give(frame(TEXT, b"a"))
        self.assertEqual((waiter.value, rig.connection.take()), (None, "a"))

    def test_a_take_while_the_engine_goes_to_sleep_over_a_full_buffer(self) -> None:
        """It has found the buffer full and is about to sleep: whoever makes room wakes it."""
        rig = Rig(self, threaded=True, max_queue=(1, None))
        rig.stream.give(frame(TEXT, b"a"))
        point = Point(rig.connection.thread)
        rig.stream.wait_until(lambda: rig.stream.waits[-1][:2] == (False, False), "it paused")
        rig.stream.before_wait = point
        rig.connection.wake()
        point.wait()
        rig.stream.give(frame(TEXT, b"b"))
        self.assertEqual(rig.connection.take(), "a")
        point.go()
        rig.stream.wait_until(lambda: rig.connection.inbox.unread == 1, "it read on")
        self.assertEqual(rig.connection.take(), "b")

    def test_a_resume_while_the_engine_goes_to_sleep(self) -> None:
        """The same for a task that is suspended."""
        rig = Rig(self, threaded=True)
        rig.connection.suspend()
        rig.stream.wait_until(lambda: not rig.stream.waits[-1][0], "it rests")
        point = Point(rig.connection.thread)
        rig.stream.before_wait = point
        rig.connection.wake()
        point.wait()
        rig.connection.resume()
        point.go()
        rig.stream.wait_until(lambda: rig.stream.waits[-1][0], "it reads again")


class BorrowingTests(ScheduleTestCase):
    """A borrower against the engine thread, another receive, and the end."""

    def rig(self) -> SocketRig:
        return SocketRig(self, "staged", threaded=True)

    def arriving(self, rig: SocketRig, name: str) -> Point:
        """Park a borrower, or who else comes, before that method of the reader."""
        point = Point()
        before(rig.reader, name, point)
        return point

    def test_the_borrower_leaves_before_the_engine_says_that_it_sleeps(self) -> None:
        """The engine looks at `lent` again after it has said so: nobody would wake it."""
        rig = SocketRig(self, "staged")
        reader = rig.reader
        looks: List[bool] = []

        def look(reader: Reader) -> bool:
            looks.append(reader.asleep)
            return len(looks) == 1  # it leaves right after the first look

        with mock.patch.object(Reader, "lent", property(look)), rig.connection.mutex:
            aside = reader.stands_aside()
        self.assertEqual((aside, looks), (0.0, [False, True]))

    def test_the_borrower_leaves_after_the_engine_has_said_that_it_sleeps(self) -> None:
        """It looks after it has let go, and wakes it, whether the engine sleeps already or is about to."""
        for sleeps in (True, False):
            rig = self.rig()
            receiving = rig.receiving()
            point = Point(rig.connection.thread)
            if sleeps:
                rig.put_to_sleep()
            else:
                rig.stream.before_wait = point
                rig.connection.wake()
                point.wait()
                self.assertTrue(rig.reader.asleep)
            rig.say(frame(TEXT, b"a"))
            self.assertEqual(receiving.result(), "a")
            point.go()
            rig.stream.wait_until(lambda rig=rig: rig.stream.waits[-1][0], "it reads")  # type: ignore[misc]

    def test_the_borrower_leaves_while_the_engine_awaits_nothing(self) -> None:
        """It does not sleep yet: no wake is spent on it."""
        rig = SocketRig(self, "staged", threaded=True, grace=PATIENCE)
        rig.say(frame(TEXT, b"a"))
        rig.stream.wait_until(lambda: bool(rig.connection.inbox.unread), "it was read")
        self.assertEqual(rig.receive_blocking(), "a")
        receiving = rig.receiving()
        rig.connection.wake()
        rig.stream.wait_until(lambda: not rig.stream.waits[-1][0], "it stands aside")
        waits = len(rig.stream.waits)
        rig.say(frame(TEXT, b"b"))
        self.assertEqual(receiving.result(), "b")
        self.assertEqual(len(rig.stream.waits), waits)

    def test_a_waiter_before_the_borrower_publishes(self) -> None:
        """It came while the borrower had the bytes in its hands: the borrower is served first all the same."""
        rig = self.rig()
        point = self.arriving(rig, "_publish_for_caller")
        receiving = rig.receiving()
        rig.say(frame(TEXT, b"a") + frame(TEXT, b"b"))
        waiting = self.appended_behind(rig, point)
        self.assertEqual(receiving.result(), "a")
        self.assertTrue(waiting.wait(PATIENCE))
        self.assertEqual(waiting.value, "b")

    def appended_behind(self, rig: SocketRig, point: Point) -> Waiter[Message]:
        """The parked one holds the mutex: what is appended meanwhile waits for it, so it is appended before."""
        lock = rig.connection.mutex
        waiter = Waiter[Message]()
        point.wait()
        self.assertTrue(is_held(lock))
        appending = Running(lambda: rig.connection.receive(waiter))
        self.is_waiting(appending)
        point.go()
        appending.result()
        return waiter

    def test_a_waiter_between_the_read_and_the_publishing(self) -> None:
        """The other order: appended first, with the bytes fetched and not published."""
        rig = self.rig()
        point = Point()
        receiving = rig.receiving()
        after(rig.reader, "_decode_next", point)
        rig.say(frame(TEXT, b"a") + frame(TEXT, b"b"))
        point.wait()
        waiting = Waiter[Message]()
        Running(lambda: rig.connection.receive(waiting)).result()
        point.go()
        self.assertEqual(receiving.result(), "a")
        self.assertTrue(waiting.wait(PATIENCE))
        self.assertEqual(waiting.value, "b")

    def test_a_waiter_after_the_borrower_has_published(self) -> None:
        """It finds the second message there."""
        rig = self.rig()
        point = Point()
        receiving = rig.receiving()
        after(rig.reader, "_share", point)
        rig.say(frame(TEXT, b"a") + frame(TEXT, b"b"))
        point.wait()
        waiting = Waiter[Message]()
        Running(lambda: rig.connection.receive(waiting)).result()
        self.assertEqual(waiting.value, "b")
        point.go()
        self.assertEqual(receiving.result(), "a")

    def test_a_waiter_while_the_role_is_won(self) -> None:
        """The way was open, the role is had, and somebody stands in the row by then: the borrower queues up behind."""
        rig = self.rig()
        rig.connection.wake()
        reader, point = rig.reader, Point()
        before(reader, "borrow", point)
        receiving = Running(rig.receive_blocking)
        point.wait()
        waiting = Waiter[Message]()
        rig.connection.receive(waiting)
        point.go()
        rig.say(frame(TEXT, b"a") + frame(TEXT, b"b"))
        self.assertEqual(receiving.result(), "b")
        self.assertEqual(waiting.value, "a")

    def test_the_end_before_a_borrower_has_the_role(self) -> None:
        """The way was open, and it ends before the borrower looks: it reads nothing, and gets the error."""
        rig = self.rig()
        point = Point()
        before(rig.reader, "borrow", point)
        receiving = Running(rig.receive_blocking)
        point.wait()
        rig.connection.cancel()
        rig.wait(rig.connection.gone)
        point.go()
        self.assertIs(receiving.error(), rig.verdict)
        self.assertEqual(rig.stream.borrowed_waits, [])

    def test_the_end_after_a_borrower_has_the_role(self) -> None:
        """It has looked and is about to wait for the network: it is roused from that wait, or never begins it."""
        rig = self.rig()
        point = Point()
        rig.before_read = point
        receiving = Running(rig.receive_blocking)
        point.wait()
        rig.connection.cancel()
        rig.stream.wait_until(lambda: "shutdown_read" in rig.stream.calls, "it was roused")
        self.assertFalse(rig.connection.ended.is_set(), "it waits for the borrower")
        point.go()
        self.assertIs(receiving.error(), rig.verdict)
        self.ended(rig)

    def test_a_borrower_that_is_roused_too_early(self) -> None:
        """It begins to wait only after the first call: it is roused until it leaves."""
        rig = self.rig()
        point = Point()
        rig.before_read = point
        calls: List[str] = []
        rouse = rig.stream.shutdown_read
        rig.stream.shutdown_read = lambda: calls.append("x") if len(calls) < 2 else rouse()  # type: ignore[method-assign]
        receiving = Running(rig.receive_blocking)
        point.wait()
        rig.connection.cancel()
        point.go()
        self.assertIs(receiving.error(), rig.verdict)
        self.assertEqual(len(calls), 2)

    def test_an_interrupted_borrower_against_another(self) -> None:
        """Struck when it had not got the role, or after it had let it go: the other's message is not handed back."""
        for lets_go in (False, True):
            rig = self.rig()
            point, struck = Point(), Point()
            before(rig.reader, "_note_interrupt", struck)
            if lets_go:
                rig.before_read = self.strike
                first = Running(rig.receive_blocking)
                struck.wait()
                rig.wait_for_borrower()
                rig.before_read = lambda: None
                after(rig.reader, "_share", point)
                second = rig.receiving()
                rig.say(frame(TEXT, b"a"))
                point.wait()
            else:
                after(rig.reader, "_share", point)
                second = rig.receiving()
                rig.say(frame(TEXT, b"a"))
                point.wait()
                acquire = rig.reader._lock
                rig.reader._lock = _Striking(acquire)  # type: ignore[assignment]
                first = Running(rig.receive_blocking)
                struck.wait()
                rig.reader._lock = acquire
            struck.go()
            self.assertIsInstance(first.error(), KeyboardInterrupt)
            point.go()
            self.assertEqual(second.result(), "a")
            self.assertIsNone(rig.connection.take())

    def strike(self) -> None:
        raise KeyboardInterrupt

    def test_an_interrupt_is_seen_before_the_role_is_free(self) -> None:
        """Bytes that the one has fetched are what the next one begins with, however early it comes."""
        for form in FORMS:
            rig = SocketRig(self, form)
            rig.say(frame(TEXT, b"a"))
            struck = Point()
            before(rig.reader, "_note_interrupt", struck)
            now = rig.reader._now
            rig.reader._now = self.strike  # type: ignore[assignment]
            first = Running(rig.receive_blocking)
            struck.wait()
            rig.reader._now = now
            second = Running(rig.receive_blocking)
            self.assertEqual(second.result(), "a")
            struck.go()
            self.assertIsInstance(first.error(), KeyboardInterrupt)
            rig.say(frame(TEXT, b"b"))
            self.assertEqual(rig.receive_blocking(), "b")

    def test_a_timeout_against_delivery(self) -> None:
        """Rule 133: the time is over and the message comes, before or after the caller has left the row."""
        for late in (False, True):
            rig = self.rig()
            first = rig.receiving()
            point = Point()
            (after if late else before)(rig.connection, "withdraw_receive", point)
            second = Running(lambda rig=rig: rig.receive_blocking(0.001))  # type: ignore[misc]
            point.wait()
            rig.say(frame(TEXT, b"a") + frame(TEXT, b"b"))
            self.assertEqual(first.result(), "a")
            point.go()
            if late:
                self.assertIsInstance(second.error(), TimeoutError)
            else:
                self.assertEqual(second.result(), "b")
            self.assertEqual(rig.connection.take(), "b" if late else None)


class _Striking:
    """A lock of which one hears by an interrupt that it could not be had."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def _is_owned(self) -> bool:
        return bool(self._lock._is_owned())

    def acquire(self, blocking: bool) -> bool:
        assert not self._lock.acquire(blocking)
        raise KeyboardInterrupt

    def release(self) -> None:
        self._lock.release()


class ShortWayTests(ScheduleTestCase):
    """A send that writes at once against what others leave, in both orders."""

    def sent_at_once(self, rig: Rig, point: Point) -> Running[Any]:
        rig.stream.before_send = point
        running = Running(lambda: rig.send_at_once(0x81, b"a"))
        point.wait()
        return running

    def test_a_pong_while_a_send_is_under_way(self) -> None:
        """Rule 137: it was left because the role was taken; whoever has it looks again."""
        rig, point = Rig(self), Point()
        sending = self.sent_at_once(rig, point)
        rig.connection.pong(b"p")
        self.assertEqual(rig.sent(), [])
        point.go()
        self.assertIs(sending.result(), True)
        self.assertEqual(rig.sent(), [(Opcode.TEXT, b"a"), (Opcode.PONG, b"p")])

    def test_a_pong_before_a_send(self) -> None:
        """It has closed the short way: the message goes the long way, behind it."""
        rig = Rig(self)
        rig.connection.suspend()
        rig.connection.resume()
        rig.stream.takes = 0
        rig.connection.pong(b"p")
        self.assertIs(rig.send_at_once(0x81, b"a"), False)

    def test_a_message_while_a_send_is_under_way(self) -> None:
        """Another thread appends and finds the role taken: the sender takes it along when it looks again."""
        rig, point = Rig(self), Point()
        sending = self.sent_at_once(rig, point)
        other = rig.send("b")
        self.assertFalse(other.completion.done)
        point.go()
        sending.result()
        self.assertTrue(other.completion.done)
        self.assertEqual(rig.texts(), ["a", "b"])

    def test_a_message_after_a_send_was_let_go(self) -> None:
        """The other order: appended between the release and the second look, by one who then writes itself."""
        rig, point = Rig(self), Point()
        before(rig.connection.outbox.express, "_flush", point)
        rig.stream.after_send = lambda: setattr(rig.connection.outbox, "express", None)
        sending = Running(lambda: rig.send_at_once(0x81, b"a"))
        point.wait()
        rig.stream.after_send = lambda: None
        other = Running(lambda: rig.send("b")).result()
        self.assertTrue(other.completion.done)
        point.go()
        sending.result()
        self.assertEqual(rig.texts(), ["a", "b"])

    def test_the_end_before_a_send(self) -> None:
        """It has a cause, and its end is near: the message is not written, so that it fails with all others."""
        rig = Rig(self)
        rig.connection.end(Cancelled("x"))
        self.assertIs(rig.send_at_once(0x81, b"a"), False)
        self.assertEqual(rig.sent(), [])

    def test_the_way_closes_before_the_role_is_had(self) -> None:
        """It was open at the first look; at the second, with the role, a message is before this one."""
        rig, point = Rig(self), Point()
        short: Any = rig.connection.outbox.express
        short._lock = _Parking(short._lock, point)
        sending = Running(lambda: rig.send_at_once(0x81, b"a"))
        point.wait()
        rig.stream.takes = 0
        rig.send("b")
        point.go()
        self.assertIs(sending.result(), False)


class _Parking:
    """A lock before which one is parked."""

    def __init__(self, lock: Any, point: Point) -> None:
        self._lock, self._point = lock, point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def acquire(self, *arguments: Any, **details: Any) -> bool:
        self._point()
        return bool(self._lock.acquire(*arguments, **details))


class ShortReceiveTests(ScheduleTestCase):
    """A receive that found the short way open, and is held up before it takes its message without the mutex."""

    def open_way(self, rig: Rig) -> Ready:
        """What such a receive has in its hands."""
        rig.give(frame(TEXT, b"a") + frame(TEXT, b"b"))
        way = rig.connection.inbox.express
        assert way is not None
        return way

    def test_it_is_quicker(self) -> None:
        """It has taken its message, and others come to the next: by `timeout=0`, in the row, one by one."""
        others: List[Callable[[Rig], object]] = [
            lambda rig: rig.connection.take(),
            lambda rig: rig.receive(blocking=True).value,
            _first_of_each,
        ]
        for other in others:
            rig = Rig(self)
            self.assertEqual(self.open_way(rig).popleft(), "a")
            self.assertEqual(other(rig), "b")

    def test_it_is_slower(self) -> None:
        """The way was closed by one who has got the message: what it has in its hands is empty by then."""
        others: List[Callable[[Rig], object]] = [
            lambda rig: (rig.receive(blocking=True).value, rig.receive(blocking=True).value)[0],
            _first_of_each,
        ]
        for other in others:
            rig = Rig(self)
            way = self.open_way(rig)
            self.assertEqual(other(rig), "a")
            self.assertFalse(way)

    def test_nothing_is_there_when_it_takes(self) -> None:
        """`timeout=0` finds the last message gone between its look and its taking: there is none, which is no error."""
        rig = Rig(self)
        rig.connection.inbox._ready = _Emptied(["a"])
        self.assertIn(rig.connection.take(), ("a", None))

    def test_two_on_the_short_way(self) -> None:
        """The quicker one has it; the other reads for itself, or queues up."""
        rig = Rig(self)
        rig.connection.inbox.express = _Emptied(["a"])
        self.assertIsNone(rig.connection.receive_at_once(0.0))


class _Emptied(Deque[Message]):
    """Messages that another takes as soon as somebody has looked whether there are any."""

    def __len__(self) -> int:
        size = super().__len__()
        if size:
            self.clear()
        return size

    def __bool__(self) -> bool:
        return len(self) > 0  # 3.9 has a way of its own otherwise


class StartingTests(ScheduleTestCase):
    """`resume()` against `cancel()` of a fresh task."""

    def start(self, rig: Rig) -> None:
        if rig.connection.resume():
            rig.engine.start()

    def check(self, rig: Rig, waiter: Waiter[Message]) -> None:
        waiter.wait(PATIENCE)
        self.assertIs(waiter.error, rig.verdict)
        self.assertIsInstance(waiter.error, Cancelled)
        rig.run_callbacks()
        rig.wait(rig.listener.is_finished)
        self.assertEqual(rig.listener.names, ["did_complete"])
        self.assertEqual(rig.stream.calls, [])

    def fresh(self) -> Rig:
        return Rig(self, opened=False)

    def test_a_resume_between_the_cause_and_the_end(self) -> None:
        """The task is not started; everything is answered once."""
        rig = self.fresh()
        waiter = Waiter[Message]()
        rig.connection.receive(waiter)
        point = Point()
        before(rig.connection, "complete", point)
        cancelling = Running(rig.connection.cancel)
        point.wait()
        self.start(rig)
        point.go()
        cancelling.result()
        self.assertIsNone(rig.connection.thread)
        self.check(rig, waiter)
        self.assertIs(rig.connection.phase, Phase.ENDED)

    def test_a_cancel_between_the_resume_and_the_thread(self) -> None:
        """The thread finds the cause, opens nothing, and ends the task."""
        rig = self.fresh()
        waiter = Waiter[Message]()
        rig.connection.receive(waiter)
        point = Point()
        after(rig.connection, "resume", point)
        starting = Running(lambda: self.start(rig))
        point.wait()
        rig.connection.cancel()
        self.assertFalse(waiter.done, "the thread that is about to start answers")
        rig.stream.takes = 0
        point.go()
        starting.result()
        self.check_thread(rig, waiter)

    def check_thread(self, rig: Rig, waiter: Waiter[Message]) -> None:
        rig.wait(rig.connection.gone)
        self.assertIsInstance(waiter.error, Cancelled)
        self.assertEqual(bytes(rig.stream.outgoing), b"")
        rig.run_callbacks()
        self.assertEqual(rig.listener.names, ["did_complete"])
        thread = rig.connection.thread
        assert thread is not None
        thread.join(PATIENCE)


class RoleTests(ScheduleTestCase):
    def test_two_of_one_role(self) -> None:
        """However they come, one has it at a time, and the second look of the first finds what the other left."""
        work: List[str] = []
        left: List[str] = []
        role, point = Role(), Point()

        def pump(name: str, park: Callable[[], None]) -> None:
            left.append(name)
            while left:

                def step() -> None:
                    park()
                    work.append(left.pop(0))

                if not role.attempt(step):
                    return

        first = Running(lambda: pump("a", point))
        point.wait()
        Running(lambda: pump("b", lambda: None)).result()
        self.assertEqual(work, [])
        point.go()
        first.result()
        self.assertEqual(work, ["a", "b"])


def _first_of_each(rig: Rig) -> object:
    rig.connection.receive_each(rig.results.append)
    rig.run_callbacks()
    return rig.results[0].message
