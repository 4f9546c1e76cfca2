"""The calls that wait: until a message is sent, until one has come, or until the caller's time is over."""

from __future__ import annotations

import contextlib
import functools
import itertools
import socket
import sys
import threading
import traceback
import unittest
from typing import Callable, Deque, List, Optional
from unittest import mock

from tests.clock import StillClock
from tests.interrupts import Interrupt
from tests.protocol.wire import CLOSE, TEXT, frame
from wssync.engine import blocking
from wssync.engine.blocking import answer, wait_or_withdraw
from wssync.engine.completions import Latch, Message, Waiter
from wssync.engine.inbox import Inbox
from wssync.engine.reader import Reader
from wssync.engine.state import Phase
from wssync.errors import Cancelled, ConnectionClosed
from wssync.executors import QueueExecutor
from wssync.protocol.frames import Opcode
from wssync.strand import Strand
from wssync.transport.clock import Clock

from .borrowing import SocketRig, in_each_form
from .support import PATIENCE, Rig, Running, close_body


class PassingClock(StillClock):
    """Time passes as a caller waits by it: `during` happens, then the wait ends without having waited."""

    def __init__(self) -> None:
        super().__init__()
        self.during: Callable[[], None] = lambda: None
        self.waited: List[float] = []

    def wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
        self.waited.append(seconds)
        self.during()
        self.time += seconds
        return wait(0.0)


def strand() -> Strand:
    return Strand(QueueExecutor(), lambda error: None)


class WaitingTests(unittest.TestCase):
    """`wait_or_withdraw` and `answer`."""

    def setUp(self) -> None:
        self.clock = PassingClock()
        self.waiter: Waiter[int] = Waiter()
        self.withdraw = mock.Mock(return_value=True)

    def wait(self, timeout: Optional[float]) -> bool:
        return wait_or_withdraw(self.clock, self.waiter, timeout, self.withdraw)

    def test_an_answer_that_is_there(self) -> None:
        """With a timeout or without one: nothing is withdrawn."""
        for timeout in (None, 5.0, 0.0):
            self.waiter = Waiter()
            self.waiter.resolve(strand(), 5)
            self.assertFalse(self.wait(timeout))
            self.assertEqual(answer(self.waiter), 5)
        self.withdraw.assert_not_called()

    def test_an_answer_that_comes(self) -> None:
        """The caller is let through."""
        waiting = Running(lambda: wait_or_withdraw(Clock(), self.waiter, PATIENCE, self.withdraw))
        self.waiter.resolve(strand(), 5)
        self.assertFalse(waiting.result())

    def test_none_within_the_time(self) -> None:
        """The request is withdrawn; if that cannot be, its answer is there or on its way."""
        self.assertTrue(self.wait(5.0))
        self.assertEqual(self.clock.waited, [5.0])
        self.withdraw.assert_called_once_with()
        self.withdraw.return_value = False
        self.assertFalse(self.wait(5.0))

    def test_an_answer_at_the_last_moment(self) -> None:
        """It counts, though the wait itself was not let through."""
        self.waiter.done = True
        self.assertFalse(self.wait(5.0))
        self.withdraw.assert_not_called()

    def test_an_interrupt_withdraws(self) -> None:
        """With a timeout or without one: nobody will ask for the answer."""
        for timeout in (None, 5.0):
            with mock.patch.object(Waiter, "wait", side_effect=Interrupt), self.assertRaises(Interrupt):
                self.wait(timeout)
        self.assertEqual(self.withdraw.call_count, 2)

    def test_an_error_is_raised(self) -> None:
        """Without the traceback of whoever had it before."""
        error = Cancelled("x")
        with contextlib.suppress(Cancelled):
            raise error
        self.waiter.resolve(strand(), error=error)
        try:
            answer(self.waiter)
        except Cancelled as caught:
            self.assertIs(caught, error)
            names = [entry.name for entry in traceback.extract_tb(caught.__traceback__)]
        self.assertEqual(names, ["test_an_error_is_raised", "answer"])


class BlockingCase(unittest.TestCase):
    def setUp(self) -> None:
        self.rig = Rig(self)
        self.connection = self.rig.connection
        self.clock = PassingClock()
        self.connection.clock = self.clock


class SendingTests(BlockingCase):
    def test_until_the_kernel_has_it(self) -> None:
        """Rule 109: sent at once, or while the caller waits."""
        self.connection.wait_until_sent(self.rig.send(b"a", blocking=True), None)
        self.rig.stream.takes = 0
        message = self.rig.send(b"b", blocking=True)

        def later() -> None:
            self.rig.stream.take()
            self.rig.settle()

        self.clock.during = later
        self.connection.wait_until_sent(message, 5.0)
        self.assertEqual([payload for _, payload in self.rig.sent()], [b"a", b"b"])

    def test_a_timeout_before_it_has_begun(self) -> None:
        """It is withdrawn, and says so; nothing of it is ever sent, and the connection goes on."""
        self.rig.stream.takes = 0
        first = self.rig.send(b"first")
        message = self.rig.send(b"second", blocking=True)
        with self.assertRaisesRegex(TimeoutError, "within 5 seconds; it was withdrawn"):
            self.connection.wait_until_sent(message, 5)
        self.rig.stream.take()
        self.rig.settle()
        self.assertEqual([payload for _, payload in self.rig.sent()], [b"first"])
        self.assertTrue(first.completion.done)
        self.assertIsNone(self.connection.cause)

    def test_a_timeout_once_it_has_begun(self) -> None:
        """It cannot be taken back: it goes out whole, and the error says so."""
        self.rig.stream.takes = self.rig.stream.room = 3
        message = self.rig.send_at_once(0x80 | Opcode.BINARY, b"begun")
        assert not isinstance(message, bool)
        with self.assertRaisesRegex(TimeoutError, "has begun and still goes out"):
            self.connection.wait_until_sent(message, 5)
        self.rig.stream.take()
        self.rig.settle()
        self.assertEqual([payload for _, payload in self.rig.sent()], [b"begun"])

    def test_one_that_fails(self) -> None:
        """Rule 117: the connection's error."""
        self.rig.stream.takes = 0
        message = self.rig.send(b"first", blocking=True)
        self.connection.cancel()
        self.rig.finish()
        with self.assertRaises(Cancelled):
            self.connection.wait_until_sent(message, None)


class ReceivingTests(BlockingCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        patch = mock.patch.object(blocking, "real_now", self.real_now)
        patch.start()
        self.addCleanup(patch.stop)

    def real_now(self) -> float:
        self.now += 1.0
        return self.now

    def test_what_is_here_is_received_now(self) -> None:
        """Rule 133: without waiting, a message that was read before, or that one read brings."""
        self.rig.give(frame(TEXT, b"here"))
        self.assertEqual(self.connection.receive_now(), "here")
        self.rig.stream.give(frame(TEXT, b"there"))
        self.assertEqual(self.connection.receive_now(), "there")

    def test_what_is_here_is_received_now_without_the_mutex(self) -> None:
        """Where nobody has closed the short way; who was quicker on it leaves nothing, which is no error."""
        self.rig.give(frame(TEXT, b"here"))
        with self.connection.mutex:
            self.assertEqual(self.connection.receive_now(), "here")

        class Emptied(Deque[Message]):
            def __bool__(self) -> bool:
                return True

        self.connection.inbox.express = Emptied()
        self.assertRaises(TimeoutError, self.connection.receive_now)

    def test_what_waits_while_reading_does(self) -> None:
        """It is taken at once, with a time and without, and nobody looks at the clock."""
        self.rig.give(b"".join(frame(TEXT, b"%d" % number) for number in range(20)))
        self.assertTrue(self.connection.inbox.paused)
        dear = AssertionError("the dear way")
        row = mock.patch.object(type(self.connection), "receive", side_effect=dear)
        with row, mock.patch.object(Inbox, "take", side_effect=dear):
            self.assertEqual([self.connection.receive_within(5.0) for _ in range(2)], ["0", "1"])
            self.assertEqual([self.connection.receive_now() for _ in range(2)], ["2", "3"])
        self.assertEqual(self.clock.waited, [])
        self.assertEqual(self.rig.take_all(), [str(number) for number in range(4, 20)])

    def test_nothing_is_here(self) -> None:
        """Rule 133: also before the connection is open."""
        for rig in (self.rig, Rig(self, opened=False)):
            with self.assertRaisesRegex(TimeoutError, "no message is there now"):
                rig.connection.receive_now()

    def test_a_message_within_the_time(self) -> None:
        """Rule 133: taken at once, or read by the caller."""
        self.rig.give(frame(TEXT, b"one"))
        self.assertEqual(self.connection.receive_within(5.0), "one")
        with mock.patch.object(Reader, "borrow", return_value="two"):
            self.assertEqual(self.connection.receive_within(5.0), "two")

    def test_no_message_within_the_time(self) -> None:
        """Rule 133: `TimeoutError`; nothing is lost, and the next receive gets the message."""
        nothing = mock.patch.object(Reader, "borrow", return_value=None)
        with nothing, self.assertRaisesRegex(TimeoutError, "within 5.0 seconds"):
            self.connection.receive_within(5.0)
        self.assertFalse(self.connection.inbox.has_demand)
        self.rig.give(frame(TEXT, b"late"))
        self.assertEqual(self.rig.take_all(), ["late"])

    def test_behind_others_it_waits_in_the_row(self) -> None:
        """Rules 124 and 135: for what is left of its time."""
        first = self.rig.receive()

        def deliver() -> None:
            if self.connection.inbox.has_demand and len(self.clock.waited) == 2:
                self.rig.give(frame(TEXT, b"one") + frame(TEXT, b"two"))

        self.clock.during = deliver
        with mock.patch.object(self.clock, "now", lambda: 1000.0 + len(self.clock.waited)):
            self.assertEqual(self.connection.receive_within(5.0), "two")
        self.assertEqual(self.clock.waited, [5.0, 4.0])
        self.assertEqual(first.value, "one")

    def test_a_place_in_the_row_that_it_has_already(self) -> None:
        """A borrower whose task was suspended is the first of all when it goes on."""
        slot: Waiter[Message] = Waiter()
        with self.connection.mutex:
            self.connection.inbox.receive_first(slot)

        def deliver() -> None:
            if len(self.clock.waited) == 2:
                self.rig.give(frame(TEXT, b"one"))

        self.clock.during = deliver
        with mock.patch.object(type(self.connection), "receive_at_once", return_value=slot):
            self.assertEqual(self.connection.receive_within(5.0), "one")

    def test_whether_the_time_was_used_up(self) -> None:
        """An attempt that ended early was not the wait that the caller wanted: somebody was before it."""
        outcomes: List[bool] = []
        ends = {"early": 0.5, "late": 100.0}

        class Asking(PassingClock):
            def wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
                outcomes.append(wait(10.0))
                return outcomes[-1]

        for took in ends.values():
            self.connection.clock = Asking()

            def borrow(seconds: Optional[float], took: float = took) -> None:
                self.assertEqual(seconds, 10.0)
                self.now += took

            turn = mock.patch.object(self.connection, "receive_in_turn", return_value="turn")
            with mock.patch.object(self.connection.reader, "borrow", borrow), turn:
                self.connection.receive_within(10.0)
        self.assertEqual(outcomes, [True, False])


class RowTests(BlockingCase):
    def test_a_message_for_it(self) -> None:
        """Rule 123: one that is here already, or one that comes."""
        self.rig.give(frame(TEXT, b"one"))
        self.assertEqual(self.connection.receive_in_turn(None, None, None), "one")
        self.clock.during = lambda: self.rig.give(frame(TEXT, b"two"))
        self.assertEqual(self.connection.receive_in_turn(None, 3.0, 3.0), "two")

    def test_its_time_is_over(self) -> None:
        """Rule 133: it names the whole time, and leaves the row."""
        with self.assertRaisesRegex(TimeoutError, "within 8 seconds"):
            self.connection.receive_in_turn(None, 3.0, 8)
        self.assertFalse(self.connection.inbox.has_demand)

    def test_the_end(self) -> None:
        """Rule 132: its error, at once or while it waits."""
        self.clock.during = self.end
        for _ in range(2):
            with self.assertRaises(Cancelled):
                self.connection.receive_in_turn(None, 3.0, 3.0)

    def end(self) -> None:
        self.connection.cancel()
        if self.connection.verdict is None:
            self.rig.finish()

    def test_an_interrupt_while_it_waits(self) -> None:
        """It leaves the row, and the message is for the next."""

        def interrupt() -> None:
            raise Interrupt

        self.clock.during = interrupt
        with self.assertRaises(Interrupt):
            self.connection.receive_in_turn(None, 3.0, 3.0)
        self.rig.give(frame(TEXT, b"one"))
        self.assertEqual(self.rig.take_all(), ["one"])

    def test_an_interrupt_once_its_message_has_come(self) -> None:
        """The message is the next one again, before those that came after it."""

        def interrupt() -> None:
            self.rig.give(frame(TEXT, b"one") + frame(TEXT, b"two"))
            raise Interrupt

        self.clock.during = interrupt
        with self.assertRaises(Interrupt):
            self.connection.receive_in_turn(None, 3.0, 3.0)
        self.assertEqual(self.rig.take_all(), ["one", "two"])

    def test_an_interrupt_before_it_was_in_the_row(self) -> None:
        """Nobody stands there afterwards."""
        with mock.patch.object(self.connection.inbox, "receive", side_effect=Interrupt), self.assertRaises(Interrupt):
            self.connection.receive_in_turn(None, 3.0, 3.0)
        self.assertFalse(self.connection.inbox.has_demand)

    def test_an_interrupt_once_its_error_has_come(self) -> None:
        """There is no message to give back."""

        def interrupt() -> None:
            self.end()
            raise Interrupt

        self.clock.during = interrupt
        with self.assertRaises(Interrupt):
            self.connection.receive_in_turn(None, 3.0, 3.0)
        with self.assertRaises(Cancelled):
            self.connection.take()


class SlowConsumerTests(unittest.TestCase):
    """Messages come in bursts, far more at a time than there is room for, and threads change at every step."""

    BURSTS, BURST = 30, 50

    def setUp(self) -> None:
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)

    def speak(self, rig: SocketRig) -> None:
        """Numbered messages; then the end."""
        for start in range(0, self.BURSTS * self.BURST, self.BURST):
            rig.say(*(frame(TEXT, b"%d" % number) for number in range(start, start + self.BURST)))
        rig.say(frame(CLOSE, close_body(1000)))
        rig.peer.shutdown(socket.SHUT_WR)
        while rig.peer.recv(65_536):
            pass

    def consume(self, rig: SocketRig, timeout: Optional[float], got: List[Message]) -> None:
        while True:
            try:
                got.append(rig.receive_blocking(timeout))
            except TimeoutError:
                pass
            except ConnectionClosed:
                return

    @in_each_form
    def test_several_consumers(self, form: str) -> None:
        """Rules 122, 123 and 135: each message comes once, to each of them in order, through all suspensions."""
        for limits in ((2, None), (None, 200)):
            rig = SocketRig(self, form, threaded=True, max_queue=limits)
            got: List[List[Message]] = [[], [], []]
            consumers = [
                Running(functools.partial(self.consume, rig, timeout, mine))
                for timeout, mine in zip((None, None, 0.001), got)
            ]
            speaking = Running(functools.partial(self.speak, rig))
            while rig.connection.cause is None:
                rig.connection.suspend()
                rig.connection.resume()
                rig.receive()
                rig.run_callbacks()
            for running in (*consumers, speaking):
                running.result()
            rig.wait(rig.connection.gone)
            rig.run_callbacks()
            numbers = [[int(message) for message in mine] for mine in got]
            numbers.append([int(result.message) for result in rig.results if result.message is not None])
            self.assertEqual(numbers, [sorted(mine) for mine in numbers])
            self.assertEqual(
                sorted(itertools.chain(*numbers)), list(range(self.BURSTS * self.BURST)), "lost or doubled"
            )


class OwnThreadTests(unittest.TestCase):
    """Promise 7: a blocking call on the executor's own thread, while the connection is opening."""

    def setUp(self) -> None:
        self.rig = Rig(self, opened=False)
        self.connection = self.rig.connection
        self.connection.phase = Phase.OPENING

    def calling(self, timeout: Optional[float] = None) -> Running[Optional[float]]:
        """A call on that thread, which waits by now."""

        stands_by = threading.Event()
        stand_by = blocking.Blocking._stand_by

        def noticed(connection: blocking.Blocking, call: str) -> Optional[Latch]:
            latch = stand_by(connection, call)
            stands_by.set()
            return latch

        def call() -> Optional[float]:
            self.rig.run_callbacks()  # that makes it the executor's
            with mock.patch.object(blocking.Blocking, "_stand_by", noticed):
                return self.connection.await_opening("receive", timeout)

        running = Running(call)
        self.assertTrue(stands_by.wait(PATIENCE))
        return running

    def test_on_another_thread(self) -> None:
        """It is not held up here: whatever it waits for, its wait is its own."""
        self.connection.begin_question()
        self.assertEqual(self.connection.await_opening("receive", 3.0), 3.0)

    def test_once_it_is_open(self) -> None:
        """It goes on, with what is left of its time."""
        for timeout, left in ((None, None), (5.0, 3.0)):
            self.setUp()
            running = self.calling(timeout)
            self.rig.clock.advance(2)
            self.connection.phase = Phase.OPEN
            self.connection.let_through()
            self.assertEqual(running.result(), left)
            self.assertEqual(self.connection.impatient, ())

    def test_a_question_that_comes(self) -> None:
        """Its answer would wait for this very thread: RuntimeError, at once."""
        for timeout in (None, 5.0):
            self.setUp()
            running = self.calling(timeout)
            self.connection.begin_question()
            with self.assertRaisesRegex(RuntimeError, r"receive\(\) would wait for itself"):
                running.result()

    def test_a_question_that_is_there(self) -> None:
        """The same, without waiting; and when it has been answered, the call waits again."""
        self.rig.run_callbacks()
        self.connection.begin_question()
        with self.assertRaisesRegex(RuntimeError, "would wait for itself"):
            self.connection.await_opening("receive", None)
        self.connection.end_question()
        self.assertEqual(self.connection.await_opening("receive", 0.0), 0.0)

    def in_the_row(self, call: Callable[[], object]) -> Running[object]:
        """That call on that thread, which stands in the row and waits for the opening by now."""
        waits = threading.Event()
        stand_by = blocking.Blocking._stand_by

        def noticed(connection: blocking.Blocking, name: str) -> Optional[Latch]:
            waits.set()
            return stand_by(connection, name)

        def run() -> object:
            self.rig.run_callbacks()
            with mock.patch.object(blocking.Blocking, "_stand_by", noticed):
                return call()

        running = Running(run)
        self.assertTrue(waits.wait(PATIENCE))
        return running

    def test_first_come_first_served(self) -> None:
        """Promise 4: a receive or a send has its place in the row from the beginning, and gives it back when it is
        refused.
        """
        inbox, outbox = self.connection.inbox, self.connection.outbox
        for call in (
            lambda: self.connection.receive_in_turn(None, None, None),
            lambda: self.connection.receive_within(5.0),
        ):
            running = self.in_the_row(call)
            self.assertEqual([waiter.blocking for waiter in inbox._waiters], [True])
            self.connection.begin_question()
            self.assertIsInstance(running.error(), RuntimeError)
            self.assertEqual(list(inbox._waiters), [])
            self.connection.end_question()

        def send() -> None:
            message = self.connection.send(Opcode.TEXT, b"hello", Waiter())
            self.connection.wait_until_sent(message, None)

        running = self.in_the_row(send)
        self.assertEqual(outbox.buffered_amount, 5)
        self.connection.begin_question()
        self.assertIsInstance(running.error(), RuntimeError)
        self.assertEqual(outbox.buffered_amount, 0)

    def test_what_cannot_be_taken_back(self) -> None:
        """If the opening is over by then, the refused one has gone, and that is what is told."""
        message = self.connection.send(Opcode.TEXT, b"hello", Waiter())
        self.rig.run_callbacks()
        self.connection.begin_question()
        assert isinstance(message.completion, Waiter)
        message.completion.resolve(self.connection.strand)
        self.connection.wait_until_sent(message, None)

    def test_no_time_is_left(self) -> None:
        """Then the call itself tells its timeout."""
        running = self.calling(5.0)
        self.rig.clock.advance(5)
        self.assertEqual(running.result(), 0.0)
        self.assertEqual(self.connection.impatient, ())

    def test_a_call_that_does_not_wait(self) -> None:
        """A loop that looks for messages between its callbacks may do so while the user is asked, and leaves nothing
        behind.
        """
        self.rig.run_callbacks()
        self.connection.begin_question()
        self.assertEqual(self.connection.await_opening("receive", 0.0), 0.0)
        self.connection.end_question()
        self.assertEqual(self.connection.await_opening("receive", 0), 0)
        self.assertEqual(self.connection.impatient, ())


if __name__ == "__main__":
    unittest.main()
