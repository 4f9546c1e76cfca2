"""Two threads at the places where they could miss each other, in both orders.

Stress finds few of these, so they are forced: a `Point` parks the thread that comes to it until the test lets it go on.
The points are hung in from the outside, on the stream's methods, on a role, on a method of the connection. Nothing here
sleeps; each test either comes to its end or fails after `PATIENCE`.
"""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, List, Optional

from wssync.engine.completions import Message, Waiter
from wssync.engine.roles import Role
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed
from wssync.protocol.frames import Opcode

from ..protocol.wire import CLOSE, PING, TEXT, frame
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
    """Park who calls this method when it has done its work."""
    method = getattr(owner, name)

    def parked(*args: Any, **details: Any) -> Any:
        result = method(*args, **details)
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
