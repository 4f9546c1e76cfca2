"""Time in the hand: nothing happens before it is moved, and everything when it is."""

from __future__ import annotations

import gc
import threading
import types
import unittest
import weakref
from typing import Any, Callable, List
from unittest import mock

import wssync
from tests.threads import PATIENCE, Running
from wssync.engine import surroundings
from wssync.testing import ServerConnection, expect, script, silent
from wssync.testing import clock as module
from wssync.testing.case import WebSocketTestCase
from wssync.testing.clock import START, FakeClock
from wssync.transport.clock import Deadline
from wssync.transport.waiting import Waker, wait_for


class RealTime:
    """Stands in for the module `time`: real time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def never(seconds: float) -> bool:
    """An answer that does not come."""
    return threading.Event().wait(seconds)


def hold(connection: ServerConnection) -> None:
    """Neither read nor write."""
    connection.wait_until_closed(None)


class TimeTests(unittest.TestCase):
    """What time it is."""

    def setUp(self) -> None:
        self.clock = FakeClock()

    def test_it_stands_still(self) -> None:
        """Two looks show the same, the fixed start."""
        self.assertEqual([self.clock.now(), self.clock.now()], [START, START])

    def test_it_advances(self) -> None:
        """By what it is told; nothing is a time too."""
        self.clock.advance(2.5)
        self.clock.advance(0)
        self.assertEqual(self.clock.now(), START + 2.5)

    def test_it_never_goes_back(self) -> None:
        """Negative times, and what is no time at all, are refused with ValueError and change nothing."""
        for bad in (-1.0, -0.001, float("nan"), float("inf")):
            for move in (self.clock.advance, self.clock.advance_on_wait):
                with self.subTest(bad, move=move.__name__), self.assertRaises(ValueError):
                    move(bad)
        with self.assertRaises(ValueError):
            self.clock.advance_on_wait(0)
        self.assertEqual(self.clock.now(), START)

    def test_the_parts_make_the_whole(self) -> None:
        """Ten times a tenth of a second is one second, three times 0.1 are 0.3: a deadline does not miss by an ulp."""
        for part, times, whole in ((0.1, 10, 1.0), (0.1, 3, 0.3), (0.3, 10, 3.0), (0.9, 10, 9.0), (0.01, 100, 1.0)):
            with self.subTest(part):
                clock = FakeClock()
                deadline = Deadline(clock, whole)
                for _ in range(times):
                    self.assertFalse(deadline.expired())
                    clock.advance(part)
                self.assertTrue(deadline.expired())
                self.assertAlmostEqual(clock.now() - START, whole, delta=0.000001)

    def test_an_advance_by_the_deadline_reaches_it(self) -> None:
        """At whatever odd time it was set."""
        for number in range(200):
            deadline = Deadline(self.clock, number / 7)
            self.clock.advance(number / 7)
            self.assertTrue(deadline.expired(), number)

    def test_what_it_shows(self) -> None:
        """The time that has passed."""
        self.clock.advance(12.25)
        self.assertEqual(repr(self.clock), "<FakeClock 12.25 seconds after its start>")


class PlaceTests(unittest.TestCase):
    """Whose time it is."""

    def test_in_its_block_it_is_the_time_of_new_tasks(self) -> None:
        """On every thread; before and after, it is not."""
        before = surroundings.current().clock
        with FakeClock() as clock:
            self.assertIs(surroundings.current().clock, clock)
            self.assertIs(Running(lambda: surroundings.current().clock).result(), clock)
        self.assertIs(surroundings.current().clock, before)

    def test_it_is_used_once(self) -> None:
        """A second `install` raises RuntimeError, also after the end; a second `uninstall` does nothing."""
        before = surroundings.current().clock
        clock = FakeClock()
        clock.uninstall()
        clock.install()
        with self.assertRaises(RuntimeError):
            clock.install()
        clock.uninstall()
        clock.uninstall()
        with self.assertRaises(RuntimeError):
            clock.install()
        self.assertIs(surroundings.current().clock, before)

    def test_after_its_block_time_goes_on(self) -> None:
        """From where it stood, at the speed of real time; it can still be advanced."""
        real = RealTime()
        with mock.patch.object(module, "time", real):
            with FakeClock() as clock:
                clock.advance(5)
                real.now += 100
            self.assertEqual(clock.now(), START + 5)
            real.now += 2
            self.assertEqual(clock.now(), START + 7)
            clock.advance(10)
            self.assertEqual(clock.now(), START + 17)


class WaitingTests(unittest.TestCase):
    """Callers who are blocked with a timeout."""

    def setUp(self) -> None:
        self.clock = FakeClock()

    def sleep(self, seconds: float) -> Running[bool]:
        """A caller in a thread of its own."""
        return Running(lambda: self.clock.wait(never, seconds))

    def test_time_that_passes_ends_the_wait(self) -> None:
        """At 4.999 seconds of 5 the caller still sleeps, at 5.000 it has waited in vain."""
        caller = self.sleep(5)
        self.clock.wait_for_sleepers()
        self.clock.advance(4.999)
        self.clock.wait_for_sleepers()
        self.clock.advance(0.001)
        self.assertFalse(caller.result())

    def test_an_answer_ends_the_wait(self) -> None:
        """Without any time passing."""
        answer = threading.Event()
        caller = Running(lambda: self.clock.wait(answer.wait, 5))
        self.clock.wait_for_sleepers()
        answer.set()
        self.assertTrue(caller.result())
        self.assertEqual(self.clock.now(), START)

    def test_an_answer_at_the_last_moment_counts(self) -> None:
        """Time is up, and the answer is there: it is taken."""
        self.clock.advance_on_wait(5)
        self.assertTrue(self.clock.wait(lambda seconds: self.clock.now() > START, 5))

    def test_no_time_at_all(self) -> None:
        """A timeout of 0 looks once, and does not count as blocking."""
        self.clock.advance_on_wait(1)
        self.assertFalse(self.clock.wait(never, 0))
        self.assertTrue(self.clock.wait(lambda seconds: True, 0))
        self.assertEqual(self.clock.now(), START)

    def test_time_advances_when_a_call_blocks(self) -> None:
        """By each of the times once, in their order, when the deadline is set; a call that has its answer, or waits in
        real time, is passed over.
        """
        self.clock.advance_on_wait(5)
        self.clock.advance_on_wait(2)
        self.assertTrue(self.clock.wait(lambda seconds: True, 5))
        self.assertEqual(self.clock.now(), START)
        self.assertFalse(self.clock.wait(never, 5))
        self.assertEqual(self.clock.now(), START + 5)
        with self.clock.real_time():
            self.assertFalse(self.clock.wait(never, 0.001))
        self.assertEqual(self.clock.now(), START + 5)
        self.assertFalse(self.clock.wait(never, 2))
        self.assertEqual(self.clock.now(), START + 7)
        caller = self.sleep(3)
        self.clock.wait_for_sleepers()
        self.assertEqual(self.clock.now(), START + 7)
        self.clock.advance(3)
        self.assertFalse(caller.result())

    def test_a_call_that_has_its_answer_soon(self) -> None:
        """Is not the one that time passes for: it does not wait in vain."""
        answer = threading.Event()
        timer = threading.Timer(module.GRACE / 10, answer.set)
        self.clock.advance_on_wait(5)
        timer.start()
        self.assertTrue(self.clock.wait(answer.wait, 5))
        self.assertEqual(self.clock.now(), START)
        self.assertFalse(self.clock.wait(never, 5))
        self.assertEqual(self.clock.now(), START + 5)
        timer.join()

    def test_a_call_takes_one_step(self) -> None:
        """Asked for before it began; what is left is for other calls, however long this one waits."""
        real = RealTime()

        def wait(seconds: float) -> bool:
            real.now += 1
            if seconds and real.now < 5:
                clock.advance_on_wait(3)
            return False

        with mock.patch.object(module, "time", real):
            clock = FakeClock(patience=30)
            with self.assertRaises(AssertionError):
                clock.wait(wait, 5)
            self.assertEqual(clock.now(), START)
            for number in (1, 2):
                with self.assertRaises(AssertionError):
                    clock.wait(wait, 5)
                self.assertEqual(clock.now(), START + 3 * number)

    def test_little_patience(self) -> None:
        """Time that was asked for passes before patience ends, however short that is."""
        clock = FakeClock(patience=0.01)
        clock.advance_on_wait(5)
        self.assertFalse(clock.wait(never, 5))
        self.assertEqual(clock.now(), START + 5)

    def test_nobody_waits_for_ever(self) -> None:
        """After `patience` real seconds in which nobody moved the time, AssertionError says so."""
        clock = FakeClock(patience=0.01)
        with self.assertRaisesRegex(AssertionError, r"5 seconds .* nobody has moved the clock for 0\.01 real seconds"):
            clock.wait(never, 5)
        with self.assertRaisesRegex(AssertionError, "^0 instead of 1"):
            clock.wait_for_sleepers(timeout=0)

    def test_patience_begins_anew_when_time_moves(self) -> None:
        """Real seconds count from the last advance, or from the beginning of the wait."""
        real = RealTime()
        slices: List[float] = []

        def wait(seconds: float) -> bool:
            slices.append(seconds)
            if seconds:
                real.now += 20
            if len(slices) == 3:
                clock.advance(1)
            return False

        with mock.patch.object(module, "time", real):
            clock = FakeClock(patience=30)
            real.now = 1000
            with self.assertRaises(AssertionError):
                clock.wait(wait, 5)
        self.assertEqual(len(slices), 5)
        self.assertEqual(real.now, 1080)

    def test_sleepers_are_waited_for(self) -> None:
        """Who waits for them goes on as soon as they are there."""
        waiting = Running(lambda: self.clock.wait_for_sleepers(2, timeout=10 * PATIENCE))
        callers = [self.sleep(5), self.sleep(5)]
        waiting.result()
        self.clock.advance(5)
        for caller in callers:
            self.assertFalse(caller.result())

    def test_who_sleeps_is_counted(self) -> None:
        """Callers with time left; neither those whose time is up nor those who have their answer."""
        first, second = self.sleep(5), self.sleep(10)
        self.clock.wait_for_sleepers(2)
        with self.assertRaisesRegex(AssertionError, "^2 instead of 3 callers .* after 0 real seconds"):
            self.clock.wait_for_sleepers(3, timeout=0)
        with self.clock._changed:  # the first cannot leave, and counts no more
            self.clock._time += 5
            self.assertEqual(self.clock._count_sleepers(), 1)
        self.assertFalse(first.result())
        self.clock.advance(5)
        self.assertFalse(second.result())
        with self.assertRaisesRegex(AssertionError, "^0 instead of 1"):
            self.clock.wait_for_sleepers(timeout=0)

    def test_real_time(self) -> None:
        """In the block the calling thread waits as long as is asked; another thread does not, nor the same one behind
        it, and a block in the block changes nothing.
        """
        waited: List[float] = []

        def wait(seconds: float) -> bool:
            waited.append(seconds)
            return seconds == 7

        with self.clock.real_time():
            with self.clock.real_time():
                self.assertTrue(self.clock.wait(wait, 7))
            self.assertTrue(self.clock.wait(wait, 7))
            other = self.sleep(5)
            self.clock.wait_for_sleepers()
            self.clock.advance(5)
            self.assertFalse(other.result())
        self.assertEqual(waited, [7, 7])
        self.clock.advance_on_wait(7)
        self.assertFalse(self.clock.wait(wait, 7))

    def test_a_caller_who_is_blocked_at_the_end_of_the_block(self) -> None:
        """Waits for the rest of its time really, however long that is, as does every later call."""
        real = RealTime()
        waited: List[float] = []

        def wait(seconds: float) -> bool:
            waited.append(seconds)
            if seconds == module.SLICE:
                clock.advance(5)
                clock.uninstall()
                real.now += 1
            return False

        with mock.patch.object(module, "time", real), FakeClock(patience=30) as clock:
            self.assertFalse(clock.wait(wait, 105))
            self.assertFalse(clock.wait(wait, 3))
        self.assertEqual(waited, [0, module.SLICE, 99, 3])


class WakingTests(unittest.TestCase):
    """The threads that sleep for a socket."""

    def setUp(self) -> None:
        self.clock = FakeClock()

    def test_every_waker_is_woken(self) -> None:
        """Also one that is no descriptor; one that was closed is none of its business any more."""
        plain = types.SimpleNamespace(wake=mock.Mock())
        hashable: Any = type("Plain", (), {"wake": plain.wake})()
        closed = Waker()
        self.clock.attend(hashable)
        self.clock.attend(closed)
        closed.close()
        self.clock.advance(1)
        self.assertEqual(plain.wake.call_count, module.TURNS)

    def test_a_thread_that_does_not_look_up_is_not_waited_for_long(self) -> None:
        """Time has passed all the same, and the wake stays."""
        waker = Waker()
        self.addCleanup(waker.close)
        self.clock.attend(waker)
        with mock.patch.object(module, "SETTLING", 0.01):
            self.clock.advance(1)
        self.assertEqual(self.clock.now(), START + 1)
        self.assertTrue(module._sleeps_on(waker))

    def test_a_thread_is_done_when_time_has_advanced(self) -> None:
        """What it does after it was woken is over when `advance` returns, not just begun."""
        waker, stop = Waker(), threading.Event()
        seen: List[float] = []

        def look() -> None:
            while not stop.is_set():
                wait_for([waker], (), None)
                waker.clear()
                never(0.01)
                seen.append(self.clock.now())

        self.clock.attend(waker)
        thread = Running(look)
        for number in range(1, 4):
            self.clock.advance(1)
            self.assertEqual(seen[-1], START + number)
        stop.set()
        waker.wake()
        thread.result()
        waker.close()

    def test_wakers_are_kept_weakly(self) -> None:
        """A clock keeps nobody alive."""
        waker = Waker()
        kept = weakref.ref(waker)
        self.clock.attend(waker)
        del waker
        gc.collect()
        self.assertIsNone(kept())
        self.clock.advance(1)


class TaskTests(WebSocketTestCase):
    """The deadlines of tasks. Nothing here waits for any of them."""

    def test_a_silent_server_is_given_up(self) -> None:
        """A ping after the interval, 1006 after the timeout, and each not a moment earlier; seen at once after it."""
        for _ in range(5):
            clock = self.use_fake_clock()
            task = self.connect(self.serve(hold).url, ping_interval=20, ping_timeout=10)
            connection = task._connection
            clock.advance(19.999)
            self.assertIsNotNone(connection.heartbeat.heard_at)
            clock.advance(0.001)
            self.assertIsNone(connection.heartbeat.heard_at)
            self.assertEqual(connection.heartbeat._asked_at, clock.now())
            clock.advance(9.999)
            self.assertIs(task.state, wssync.TaskState.RUNNING)
            clock.advance(0.001)
            self.assertIs(task.state, wssync.TaskState.COMPLETED)
            self.assertEqual(task.close_code, 1006)

    def test_a_server_that_answers_is_kept(self) -> None:
        """The pong comes over the real network, and the next ping is asked an interval later."""
        clock = self.use_fake_clock()
        recorder = wssync.WebSocketDelegate()
        task = self.connect(ping_interval=20, ping_timeout=10, delegate=recorder)
        connection = self.server.wait_for_connection()
        for number in range(1, 4):
            clock.advance(20)
            task.send("x")
            self.assertReceives(task, "x")
            self.assertEqual(len(connection.pings), number)

    def test_one_long_advance_is_a_computer_that_slept(self) -> None:
        """What should have happened on the way happens once: the server is asked, and has its time to answer."""
        clock = self.use_fake_clock()
        self.serve(hold)
        task = self.connect(ping_interval=20, ping_timeout=10)
        clock.advance(1000)
        self.assertIs(task.state, wssync.TaskState.RUNNING)
        clock.advance(10)
        self.assertClosed(task, 1006)

    def test_an_opening_that_takes_too_long(self) -> None:
        """Its timeout is the clock's."""
        clock = self.use_fake_clock()
        asked = threading.Event()

        def opening(connection: ServerConnection) -> None:
            asked.set()
            connection.receive_raw(1)
            connection.drop()

        self.serve(opening=opening)
        task = self.session(timeout_interval_for_request=60).websocket_task(self.server.url)
        task.resume()
        self.assertTrue(asked.wait(PATIENCE))
        clock.advance(59.999)
        self.assertIs(task.state, wssync.TaskState.RUNNING)
        clock.advance(0.001)
        self.assertIsInstance(task.error, wssync.TimedOut)

    def test_blocking_calls_with_one_thread(self) -> None:
        """Receiving, pinging and waiting for the end: each sees its own timeout at once."""
        clock = self.use_fake_clock()
        self.serve(hold)
        task = self.connect(ping_interval=None)
        calls: List[Callable[..., object]] = [task.receive, task.send_ping, task.wait_until_closed]
        for number, call in enumerate(calls, 1):
            clock.advance_on_wait(3600)
            with self.assertRaises(TimeoutError):
                call(timeout=3600)
            self.assertEqual(clock.now(), START + 3600 * number)

    def test_a_question_without_an_answer(self) -> None:
        """Three calls that block: the one that waits in vain sees the time pass, and no other."""

        def ask(url: str) -> str:
            task = wssync.connect(url, timeout=10)
            self.addCleanup(task.cancel)
            task.send("q", timeout=10)
            return str(task.receive(timeout=10))

        patch = mock.patch.object(module, "GRACE", 0.5)  # a busy machine may take a while to answer the other two
        patch.start()
        self.addCleanup(patch.stop)
        server = self.serve(script([expect("q"), silent]))
        for _ in range(3):
            clock = self.use_fake_clock()
            clock.advance_on_wait(10)
            with self.assertRaisesRegex(TimeoutError, "no message came"):
                ask(server.url)
            self.assertEqual(clock.now(), START + 10)
            clock.uninstall()

    def test_blocking_calls_with_two_threads(self) -> None:
        """The caller sleeps until time is moved."""
        clock = self.use_fake_clock()
        self.serve(hold)
        task = self.connect(ping_interval=None)
        receiver = Running(lambda: task.receive(timeout=30))
        clock.wait_for_sleepers()
        clock.advance(30)
        self.assertIsInstance(receiver.error(), TimeoutError)

    def test_a_message_is_no_matter_of_time(self) -> None:
        """It comes while the clock stands still."""
        clock = self.use_fake_clock()
        task = self.connect()
        task.send("hello")
        self.assertEqual(task.receive(timeout=5), "hello")
        self.assertEqual(clock.now(), START)

    def test_nobody_moves_the_clock(self) -> None:
        """The call fails with AssertionError, and has consumed nothing."""
        self.use_fake_clock(patience=0.01)
        self.serve(lambda connection: connection.send(connection.receive()))
        task = self.connect()
        with self.assertRaises(AssertionError):
            task.receive(timeout=5)
        task.send("hello")
        self.assertReceives(task, "hello")

    def test_a_close_that_is_not_answered(self) -> None:
        """The connection is cut when the closing handshake has had its time."""
        clock = self.use_fake_clock()
        self.serve(hold)
        task = self.connect(ping_interval=None, close_timeout=10)
        task.cancel(1000)
        clock.advance(9.999)
        self.assertIs(task.state, wssync.TaskState.CANCELING)
        clock.advance(0.001)
        self.assertIs(task.state, wssync.TaskState.COMPLETED)
        self.assertEqual(task.close_code, 1006)

    def test_a_blocking_close_is_no_trap(self) -> None:
        """`close()` waits by the clock too: time that passes ends it, and time that never does is an error."""
        self.serve(hold)
        clock = self.use_fake_clock()
        task = self.connect(close_timeout=10)
        clock.advance_on_wait(10)
        task.close()
        self.assertClosed(task, 1006)
        with FakeClock(patience=0.01):
            forgotten = self.connect(close_timeout=10)
            self.assertRaisesRegex(AssertionError, "10 seconds", forgotten.close)

    def test_a_task_outlives_the_clock(self) -> None:
        """Its time goes on really then: a close that is not answered ends by itself."""
        clock = self.use_fake_clock()
        self.serve(hold)
        task = self.connect(ping_interval=None)
        task.cancel(1000)
        clock.advance(9.99)
        clock.uninstall()
        task.close()
        self.assertIs(task.state, wssync.TaskState.COMPLETED)


if __name__ == "__main__":
    unittest.main()
