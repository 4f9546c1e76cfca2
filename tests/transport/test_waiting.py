"""Tests of `wssync.transport.waiting`. Those that wait for sockets run twice: with `poll` and with `select`."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import threading
import unittest
import warnings
from typing import TYPE_CHECKING, List, Set, Tuple
from unittest import mock

from tests.clock import StillClock
from tests.transport.support import PATIENCE, Running, TransportTestCase, reset
from wssync.errors import Cancelled, TimedOut
from wssync.transport import waiting
from wssync.transport.waiting import Attempt, Waker, Watch, wait_for

if TYPE_CHECKING:
    from wssync.transport.waiting import HasFileno


def is_set(waker: Waker) -> bool:
    return waker in wait_for([waker], [], 0.0)[0]


class WakerTests(TransportTestCase):
    """A descriptor that any thread can make readable."""

    def test_a_wake_before_the_wait_is_not_lost(self) -> None:
        """It is sticky: the wait that begins after the wake ends at once, also the next one, until it is cleared."""
        waker = self.waker()
        self.assertFalse(is_set(waker))
        waker.wake()
        self.assertTrue(is_set(waker))
        self.assertTrue(is_set(waker))
        waker.clear()
        self.assertFalse(is_set(waker))

    def test_a_wake_ends_a_wait_in_another_thread(self) -> None:
        """A thread that waits without a limit comes back when it is woken."""
        waker = self.waker()
        waiter = Running(lambda: wait_for([waker], [], None))
        waker.wake()
        self.assertEqual(waiter.result(), ({waker}, set()))

    def test_no_number_of_wakes_blocks(self) -> None:
        """When the kernel's buffer is full one more wake returns at once; `clear` forgets tens of thousands."""
        waker = self.waker()
        for _ in range(100_000):
            waker.wake()
        self.assertTrue(is_set(waker))
        for _ in range(100_000 // 65536 + 1):
            waker.clear()
        self.assertFalse(is_set(waker))

    def test_many_wakes_are_cleared_at_once(self) -> None:
        """One `clear` takes all the wakes of a busy moment."""
        waker = self.waker()
        for _ in range(200):
            waker.wake()
        waker.clear()
        self.assertFalse(is_set(waker))

    def test_clearing_what_is_not_set_does_nothing(self) -> None:
        """`clear` never waits."""
        waker = self.waker()
        waker.clear()
        self.assertFalse(is_set(waker))

    def test_after_close_everything_is_quiet(self) -> None:
        """A late wake (a resolver's, a finalizer's) is no error; nothing of it can be waited for."""
        waker = Waker()
        waker.close()
        waker.close()
        waker.wake()
        waker.clear()
        self.assertEqual(waker.fileno(), -1)

    def test_closing_warns_of_nothing(self) -> None:
        """Both descriptors are given back without a ResourceWarning."""
        waker = Waker()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            waker.close()
        self.assertEqual(caught, [])

    def test_a_thread_inside_wake_keeps_the_descriptor_from_being_reused(self) -> None:
        """While one thread is within `wake`, `close` in another leaves the number taken until that thread has left."""
        waker = Waker()
        numbers: List[int] = []
        assert waker._writer is not None

        class Halted:
            """The writing end, seen by a thread that has just loaded it."""

            def __init__(self, writer: HasFileno) -> None:
                self.writer = writer

            def send(self, data: bytes) -> None:
                waker.close()
                numbers.append(self.writer.fileno())

        waker._writer = Halted(waker._writer)  # type: ignore[assignment]  # stands in for a thread switch
        waker.wake()
        self.assertGreaterEqual(numbers[0], 0)

    def test_a_wake_without_a_reading_end_is_no_error(self) -> None:
        """Between the closing of the two ends a wake meets a broken pipe: nobody waits any more."""
        waker = self.waker()
        waker._reader = None
        waker.wake()
        self.assertEqual(waker.fileno(), -1)

    @unittest.skipUnless(hasattr(signal, "SIGUSR1"), "needs a signal to spare")
    def test_it_may_be_called_in_a_signal_handler(self) -> None:
        """A handler that runs in the middle of the waiting thread's own `wake` and `clear` leaves it usable."""
        waker = self.waker()
        previous = signal.signal(signal.SIGUSR1, lambda *_: waker.wake())
        self.addCleanup(signal.signal, signal.SIGUSR1, previous)
        signal.raise_signal(signal.SIGUSR1)
        self.assertTrue(is_set(waker))


class SocketWakerTests(WakerTests):
    """The same with a pair of sockets, as where there is no eventfd."""

    def setUp(self) -> None:
        patch = mock.patch.object(waiting, "_new_eventfd", None)
        patch.start()
        self.addCleanup(patch.stop)
        self.assertIsInstance(self.waker()._reader, socket.socket)


class WaitForTests(TransportTestCase):
    """Waiting for several sockets with `poll`, where the system has it."""

    def test_what_is_readable_is_found(self) -> None:
        """The socket with data is returned, the one without is not."""
        left, right = self.sockets()
        right.send(b"x")
        self.assertEqual(wait_for([left, right], [], PATIENCE), ({left}, set()))

    def test_what_is_writable_is_found(self) -> None:
        """The fresh socket takes data; asked for both, it is not readable."""
        left, _ = self.sockets()
        self.assertEqual(wait_for([left], [left], PATIENCE), (set(), {left}))

    def test_readable_and_writable_at_once(self) -> None:
        """One socket can be in both results."""
        left, right = self.sockets()
        right.send(b"x")
        wait_for([left], [], PATIENCE)
        self.assertEqual(wait_for([left], [left], PATIENCE), ({left}, {left}))

    def test_only_what_was_asked_is_returned(self) -> None:
        """A socket that is also readable, but asked for writing alone, is returned as writable alone."""
        left, right = self.sockets()
        right.send(b"x")
        wait_for([left], [], PATIENCE)
        self.assertEqual(wait_for([], [left], PATIENCE), (set(), {left}))

    def test_nothing_in_time_is_two_empty_sets(self) -> None:
        """After the time-out, and for a limit in the past, nothing is ready and nothing raises."""
        left, _ = self.sockets()
        for timeout in (0.001, 0.0, -5.0):
            self.assertEqual(wait_for([left], [], timeout), (set(), set()))

    def test_a_limit_of_years_is_taken(self) -> None:
        """A limit that no system call can count to is no error."""
        left, right = self.sockets()
        right.send(b"x")
        self.assertEqual(wait_for([left], [], 1e12)[0], {left})

    def test_a_hang_up_counts_as_readable_and_writable(self) -> None:
        """A reset connection ends the wait for either: the next call tells what it is."""
        left, right = self.sockets()
        reset(right)
        self.assertEqual(wait_for([left], [], PATIENCE)[0], {left})
        self.assertEqual(wait_for([left], [left], PATIENCE), ({left}, {left}))

    def test_a_closed_socket_is_an_error(self) -> None:
        """A descriptor of -1 is a clear OSError, not a wait without an end."""
        left, _ = self.sockets()
        left.close()
        for read, write in (([left], []), ([], [left])):
            with self.assertRaises(OSError) as caught:
                wait_for(read, write, None)
            self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_a_closed_number_is_an_error(self) -> None:
        """So is a number that belongs to no file any more."""
        with self.assertRaises(OSError) as caught:
            wait_for([Number(unused_number())], [], None)
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_waiting_for_nothing_is_a_mistake(self) -> None:
        """Without any socket there is nothing that could end the wait: ValueError."""
        with self.assertRaises(ValueError):
            wait_for([], [], 0.0)


class WaitForBySelectTests(WaitForTests):
    """The same with `select`, and what only that has."""

    def setUp(self) -> None:
        super().setUp()
        self.by_select()

    def test_too_many_descriptors_are_a_clear_error(self) -> None:
        """What `select` cannot watch (a number too high, too many of them) is an OSError that says so."""
        left, _ = self.sockets()
        complaint = ValueError("filedescriptor out of range in select()")
        with mock.patch.object(select, "select", side_effect=complaint), self.assertRaises(OSError) as caught:
            wait_for([left], [], None)
        self.assertIn("too many open descriptors", str(caught.exception))
        self.assertIs(caught.exception.__cause__, complaint)

    def test_a_failed_connect_is_told_as_ready(self) -> None:
        """Windows reports it in the third list of `select`: the socket counts as ready for what was asked."""
        left, right = self.sockets()
        with mock.patch.object(select, "select", return_value=([], [], [left.fileno()])):
            self.assertEqual(wait_for([left], [left], None), ({left}, {left}))
            self.assertEqual(wait_for([right], [left], None), (set(), {left}))

    def test_the_main_thread_comes_up_for_ctrl_c_on_windows(self) -> None:
        """There no wait of the main thread is longer than a slice; it ends with nothing, which its callers expect."""
        left, _ = self.sockets()
        self.assertEqual(self.timeouts(left, None, 9.0, 0.1), [0.25, 0.25, 0.1])

    def test_other_threads_wait_in_one_piece(self) -> None:
        """Ctrl-C concerns the main thread alone."""
        left, _ = self.sockets()
        self.assertEqual(Running(lambda: self.timeouts(left, None, 9.0)).result(), [None, 9.0])

    def timeouts(self, sock: socket.socket, *asked: object) -> List[object]:
        with (
            mock.patch.object(select, "select", return_value=([], [], [])) as called,
            mock.patch.object(waiting, "_SLICE", 0.25),
        ):
            for timeout in asked:
                wait_for([sock], [], timeout)  # type: ignore[arg-type]  # numbers all
        return [call[0][3] for call in called.call_args_list]


class Number:
    """A descriptor with no object behind it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number


def unused_number() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    return reader


class WatchTests(TransportTestCase):
    """One socket, waited for again and again."""

    def setUp(self) -> None:
        super().setUp()
        self.left, self.right = self.sockets()
        self.wake = self.waker()
        self.watch = Watch(self.left, self.wake)

    def test_it_tells_what_the_socket_is_ready_for(self) -> None:
        """Only what was asked comes back as true, the first time and every time after."""
        for _ in range(2):
            self.assertEqual(self.watch.wait(True, True, PATIENCE), (False, True))
            self.assertEqual(self.watch.wait(False, True, PATIENCE), (False, True))
            self.assertEqual(self.watch.wait(True, False, 0.0), (False, False))
        self.right.send(b"x")
        for _ in range(2):
            self.assertEqual(self.watch.wait(True, False, PATIENCE), (True, False))
            self.assertEqual(self.watch.wait(True, True, PATIENCE), (True, True))
            self.assertEqual(self.watch.wait(False, True, PATIENCE), (False, True))

    def test_a_hang_up_is_told_to_who_reads_and_to_who_writes(self) -> None:
        """A reset connection ends both kinds of wait."""
        reset(self.right)
        self.assertEqual(self.watch.wait(True, False, PATIENCE), (True, False))
        self.assertEqual(self.watch.wait(True, True, PATIENCE), (True, True))

    def test_a_wake_ends_the_owners_wait_once(self) -> None:
        """The wait comes back with nothing ready, and has taken the wake away."""
        self.wake.wake()
        self.assertEqual(self.watch.wait(True, False, None), (False, False))
        self.assertFalse(is_set(self.wake))
        self.assertEqual(self.watch.wait(True, False, 0.0), (False, False))

    def test_a_wake_alone_can_be_waited_for(self) -> None:
        """Asked for neither reading nor writing, the owner sleeps until it is woken, whatever the socket does."""
        self.right.send(b"x")
        waiter = Running(lambda: self.watch.wait(False, False, None))
        self.wake.wake()
        self.assertEqual(waiter.result(), (False, False))

    def test_another_thread_than_the_owner_leaves_the_wake_alone(self) -> None:
        """A borrower waits for the socket; the wake is still there for the owner."""
        self.wake.wake()
        self.right.send(b"x")
        wait_for([self.left], [], PATIENCE)
        self.assertEqual(self.watch.wait(True, False, None, owner=False), (True, False))
        self.assertTrue(is_set(self.wake))

    def test_a_shutdown_ends_the_wait_of_another_thread(self) -> None:
        """The borrower's wait, which no wake concerns, ends when the socket is shut down."""
        waiter = Running(lambda: self.watch.wait(True, False, None, owner=False))
        self.left.shutdown(socket.SHUT_RDWR)
        self.assertEqual(waiter.result(), (True, False))

    def test_a_closed_socket_is_an_error(self) -> None:
        """Also after waits that worked, a closed socket is a clear OSError, not a wait without an end."""
        self.watch.wait(True, True, PATIENCE)
        self.left.close()
        with self.assertRaises(OSError) as caught:
            self.watch.wait(True, True, None)
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_a_closed_waker_is_an_error(self) -> None:
        """Its owner cannot wait with it any more."""
        self.wake.close()
        with self.assertRaisesRegex(OSError, "closed"):
            self.watch.wait(True, False, 0.0)

    def test_a_descriptor_closed_under_it_is_an_error(self) -> None:
        """So is a number that no longer belongs to a file."""
        watch = Watch(Number(unused_number()), self.wake)
        with self.assertRaises(OSError) as caught:
            watch.wait(True, False, None)
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_two_threads_wait_at_once(self) -> None:
        """The owner and a borrower in the same kind of wait do not disturb each other."""
        both = threading.Barrier(3)

        def wait(owner: bool) -> Tuple[bool, bool]:
            both.wait(PATIENCE)
            return self.watch.wait(True, False, None, owner=owner)

        for _ in range(20):
            waiters = [Running(lambda owner=owner: wait(owner)) for owner in (False, False)]  # type: ignore[misc]
            both.wait(PATIENCE)
            self.right.send(b"x")
            self.assertEqual([waiter.result() for waiter in waiters], [(True, False)] * 2)
            self.left.recv(1)


class WatchByPollTests(TransportTestCase):
    """What only the `poll` of a watch has."""

    @unittest.skipUnless(hasattr(select, "poll"), "no poll here")
    def test_waiting_for_nothing_is_a_mistake(self) -> None:
        """A borrower that asks for nothing could be ended by nothing: ValueError."""
        left, _ = self.sockets()
        with self.assertRaises(ValueError):
            Watch(left, self.waker()).wait(False, False, 0.0, owner=False)


class WatchBySelectTests(WatchTests):
    """The same with `select`."""

    def setUp(self) -> None:
        super().setUp()
        self.by_select()

    def test_a_wake_ends_another_threads_wait_too(self) -> None:
        """A shutdown may not end a `select` on Windows, so all are woken; the wake stays until its owner takes it."""
        self.wake.wake()
        self.assertEqual(self.watch.wait(True, False, None, owner=False), (False, False))
        self.assertTrue(is_set(self.wake))


class AttemptTests(TransportTestCase):
    """The waits of one attempt to open something."""

    def setUp(self) -> None:
        super().setUp()
        self.left, self.right = self.sockets()
        self.clock = StillClock()
        self.checks = 0

    def check(self) -> None:
        self.checks += 1

    def test_it_waits_for_sockets(self) -> None:
        """What is ready is returned, without the waker among it, and what was asked may be a one-time iterator."""
        attempt = self.attempt(check=self.check)
        attempt.waker.wake()
        self.right.send(b"x")
        wait_for([self.left], [], PATIENCE)
        found: Tuple[Set[socket.socket], Set[socket.socket]] = attempt.wait(iter([self.left]), iter([self.right]))
        self.assertEqual(found, ({self.left}, {self.right}))
        self.assertEqual(self.checks, 2)

    def test_a_wake_ends_the_wait_and_is_taken_away(self) -> None:
        """Woken, the wait returns with nothing ready; the next one sleeps again."""
        attempt = self.attempt()
        attempt.waker.wake()
        self.assertEqual(attempt.wait([self.left]), (set(), set()))
        self.assertFalse(is_set(attempt.waker))

    def test_a_cancel_before_the_wait_is_seen_at_once(self) -> None:
        """`check` comes before the wait: nothing is waited for after a cancellation."""
        attempt = self.attempt(check=mock.Mock(side_effect=Cancelled("before")))
        with mock.patch.object(waiting, "wait_for") as waited, self.assertRaises(Cancelled):
            attempt.wait([self.left])
        waited.assert_not_called()

    def test_a_cancel_during_the_wait_ends_it(self) -> None:
        """Another thread publishes the cancellation and wakes: `check` is asked again after the wait, and raises."""
        cancelled = threading.Event()
        asked = threading.Event()

        def check() -> None:
            asked.set()
            if cancelled.is_set():
                raise Cancelled("during")

        attempt = self.attempt(check=check, seconds=None)
        waiter = Running(lambda: attempt.wait([self.left]))
        self.assertTrue(asked.wait(PATIENCE))
        cancelled.set()
        attempt.waker.wake()
        with self.assertRaises(Cancelled):
            waiter.result()

    def test_past_the_deadline_nothing_is_waited_for(self) -> None:
        """Rule 204: once the time is up the next wait raises TimedOut, even when a socket is ready."""
        attempt = self.attempt(seconds=5.0, clock=self.clock)
        self.clock.advance(5.0)
        with self.assertRaises(TimedOut) as caught:
            attempt.wait([], [self.left])
        self.assertEqual(caught.exception.url_error_code, -1001)
        self.assertIn("5 seconds", str(caught.exception))

    def test_the_deadline_ends_the_wait(self) -> None:
        """A wait that nothing else ends raises TimedOut when the time is up, by itself."""
        with self.assertRaises(TimedOut):
            self.attempt(seconds=0.01).wait([self.left])

    def test_a_wake_when_time_is_up_raises(self) -> None:
        """Whoever moves the clock by hand wakes: the wait sees that its time is up."""
        attempt = self.attempt(seconds=5.0, clock=self.clock)
        waiter = Running(lambda: attempt.wait([self.left]))
        self.clock.advance(6.0)
        attempt.waker.wake()
        with self.assertRaises(TimedOut):
            waiter.result()

    def test_what_is_ready_at_the_last_moment_is_returned(self) -> None:
        """What came in time is not taken away by the deadline that passes during the wait."""
        attempt = self.attempt(seconds=5.0, clock=self.clock, check=lambda: self.clock.advance(3.0))
        self.assertEqual(attempt.wait([], [self.left]), (set(), {self.left}))

    def test_the_shorter_limit_counts(self) -> None:
        """A wait lasts as long as its own limit or what remains of the deadline, whichever is less."""
        attempt = self.attempt(seconds=5.0, clock=self.clock)
        self.assertEqual(self.limits(attempt, None, 2.0, 9.0), [5.0, 2.0, 5.0])

    def test_without_a_deadline_the_own_limit_counts(self) -> None:
        """An attempt without a deadline waits as long as it is told, or without a limit."""
        attempt = self.attempt(seconds=None, clock=self.clock)
        self.assertEqual(self.limits(attempt, None, 2.0), [None, 2.0])

    def limits(self, attempt: Attempt, *asked: object) -> List[object]:
        seen: List[object] = []

        def record(
            read: List[HasFileno], write: List[HasFileno], timeout: object
        ) -> Tuple[Set[HasFileno], Set[HasFileno]]:
            seen.append(timeout)
            return set(), set()

        with mock.patch.object(waiting, "wait_for", record):
            for timeout in asked:
                attempt.wait([self.left], (), timeout)  # type: ignore[arg-type]  # numbers all
        return seen

    def test_a_question_to_the_user_costs_no_time(self) -> None:
        """`check` may take its time with the deadline paused: the wait still has all that remained."""
        attempt = self.attempt(seconds=5.0, clock=self.clock)

        def check() -> None:
            attempt.deadline.pause()
            self.clock.advance(60.0)
            attempt.deadline.resume()

        attempt.check = check
        self.assertEqual(self.limits(attempt, None), [5.0])

    def test_it_waits_for_a_stream(self) -> None:
        """A stream's own `wait` gets what was asked and what remains of the deadline, between the same checks."""
        attempt = self.attempt(seconds=5.0, clock=self.clock, check=self.check)
        stream = mock.Mock()
        stream.wait.return_value = (True, False)
        self.assertEqual(attempt.wait_stream(stream, True, False), (True, False))
        stream.wait.assert_called_once_with(True, False, 5.0)
        self.assertEqual(self.checks, 2)

    def test_a_late_stream_times_out(self) -> None:
        """When a stream's wait comes back with nothing and the time is up, that is TimedOut."""
        attempt = self.attempt(seconds=5.0, clock=self.clock)
        stream = mock.Mock()

        def wait(read: bool, write: bool, timeout: float) -> Tuple[bool, bool]:
            self.clock.advance(timeout)
            return False, False

        stream.wait.side_effect = wait
        with self.assertRaises(TimedOut):
            attempt.wait_stream(stream, True, True)


if __name__ == "__main__":
    unittest.main()
