"""Answers: given once, to a blocked caller or to a handler."""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, List, Optional
from unittest import mock

from wssync.engine import completions
from wssync.engine.completions import Completion, Handler, Latch, Result, Waiter, wait_within
from wssync.errors import Cancelled
from wssync.executors import QueueExecutor
from wssync.strand import Strand

from .support import PATIENCE, Running


class ResultTests(unittest.TestCase):
    def test_a_message(self) -> None:
        """`get` returns it, the empty one too."""
        self.assertEqual(Result("hello").get(), "hello")
        self.assertEqual(Result("").get(), "")
        self.assertEqual(Result(b"").get(), b"")
        self.assertEqual((Result("hello").message, Result("hello").error), ("hello", None))

    def test_an_error(self) -> None:
        """`get` raises it: the same object, without the traceback of an earlier time."""
        error = Cancelled("x")
        result = Result(error=error)
        depths = []
        for _ in range(3):
            try:  # assertRaises would take the traceback away
                result.get()
            except Cancelled as caught:
                self.assertIs(caught, error)
            traceback, depth = error.__traceback__, 0
            while traceback is not None:
                traceback, depth = traceback.tb_next, depth + 1
            depths.append(depth)
        self.assertEqual(depths, [2, 2, 2], "tracebacks pile up")

    def test_its_text_is_short(self) -> None:
        """It tells kind and size, never the message."""
        self.assertEqual(repr(Result("secret")), "<Result str of 6>")
        self.assertEqual(repr(Result(b"")), "<Result bytes of 0>")
        self.assertEqual(repr(Result(error=Cancelled("x"))), "<Result Cancelled('x')>")


class CompletionTests(unittest.TestCase):
    def setUp(self) -> None:
        self.executor = QueueExecutor()
        self.strand = Strand(self.executor, lambda error: None)

    def test_a_waiter_is_let_through(self) -> None:
        """`wait` returns once the answer is there, from another thread or before."""
        waiter: Waiter[str] = Waiter()
        self.assertTrue(waiter.blocking)
        waiting = Running(lambda: waiter.wait(None))
        waiter.resolve(self.strand, "hello")
        waiting.result()
        self.assertEqual((waiter.done, waiter.value, waiter.error), (True, "hello", None))

    def test_a_waiter_gives_up_in_time(self) -> None:
        """After the timeout it returns and is not done; a timeout that no clock can count is none."""
        waiter: Waiter[str] = Waiter()
        for timeout in (0, -1, 0.001):
            waiter.wait(timeout)
            self.assertFalse(waiter.done)
        waiter.resolve(self.strand, error=Cancelled("x"))
        waiter.wait(1e30)
        self.assertIsInstance(waiter.error, Cancelled)

    def test_a_handler_is_only_queued(self) -> None:
        """Promise 2: resolving calls nothing; the handler runs on the executor, with the completion."""
        got: List[Completion[str]] = []
        handler: Handler[str] = Handler(got.append)
        self.assertFalse(handler.blocking)
        handler.resolve(self.strand, "hello")
        self.assertEqual((handler.done, got, len(self.executor)), (True, [], 0))
        self.strand.kick()
        self.executor.run_pending()
        self.assertEqual(got, [handler])

    def test_a_handler_that_is_answered_again(self) -> None:
        """An interrupt came before it was known that it had been: it is called once, with the first answer or the last,
        and whatever belongs to an answer is done each time.
        """
        got: List[Optional[str]] = []
        handler: Handler[str] = Handler(lambda completion: got.append(completion.value))
        done: List[str] = []
        handler.resolve(self.strand, "hello", then=map(done.append, ("first",)))
        self.assertEqual(done, ["first"])
        handler.resolve(self.strand, "hello", then=map(done.append, ("second",)))
        self.strand.kick()
        self.executor.run_pending()
        self.assertEqual((got, done), (["hello"], ["first", "second"]))


class LatchTests(unittest.TestCase):
    def test_all_waiters_are_let_through(self) -> None:
        """Those who wait already, however many, and those who come later; setting it again does nothing."""
        latch = Latch()
        waiting = [Running(lambda: latch.wait(PATIENCE)) for _ in range(3)] + [Running(latch.wait)]
        while len(latch._row) < 4:
            latch.wait(0.001)
        self.assertFalse(latch.is_set())
        latch.set()
        latch.set()
        self.assertEqual([each.result() for each in waiting], [True] * 4)
        self.assertTrue(latch.is_set() and latch.wait() and latch.wait(0))

    def test_a_waiter_gives_up(self) -> None:
        """It is told that nothing has happened, and leaves nothing behind."""
        latch = Latch()
        for timeout in (0, -1, 0.001):
            self.assertFalse(latch.wait(timeout))
        self.assertEqual(latch._row, [])

    def test_it_happens_while_somebody_joins_the_row(self) -> None:
        """Who stands in the row looks once more: `set` may have gone along it before."""
        latch = Latch()

        class Row(List[threading.Lock]):
            def append(self, gate: threading.Lock) -> None:
                latch.set()
                super().append(gate)

        latch._row = Row()
        self.assertTrue(latch.wait())
        self.assertEqual(latch._row, [])

    def test_the_last_waiter_gives_up_while_it_happens(self) -> None:
        """The row is empty when `set` comes to it: nobody is left to be let through."""

        class Row(List[threading.Lock]):
            def __bool__(self) -> bool:
                return True

        latch = Latch()
        latch._row = Row()
        latch.set()
        self.assertTrue(latch.is_set())


class WaitingTests(unittest.TestCase):
    """The two waits, and their Windows form, where the main thread comes up for Ctrl-C."""

    def slow(self, results: List[bool]) -> Any:
        """Something to wait for whose waits give these results; what it was asked is in its calls."""
        return mock.Mock(wait=mock.Mock(side_effect=results), acquire=mock.Mock(side_effect=results))

    def test_an_event_is_waited_for(self) -> None:
        """True when it is set, False after the timeout; a timeout beyond what can be counted is cut."""
        event = threading.Event()
        self.assertFalse(wait_within(event, 0.001))
        event.set()
        for timeout in (None, 0, 1e30):
            self.assertTrue(wait_within(event, timeout))

    def asks(self, waiting: Callable[[], bool], asked: Any, *expected: Any) -> bool:
        result = waiting()
        self.assertEqual([call.args or tuple(call.kwargs.values()) for call in asked.call_args_list], list(expected))
        return result

    def test_an_event_in_slices(self) -> None:
        """Slices of a quarter of a second until it is set or the time is up; the last one is shorter."""
        event = self.slow([False, False, True])
        self.assertTrue(
            self.asks(lambda: completions._wait_in_slices(event, None), event.wait, (0.25,), (0.25,), (0.25,))
        )
        event = self.slow([False, False])
        self.assertFalse(self.asks(lambda: completions._wait_in_slices(event, 0.375), event.wait, (0.25,), (0.125,)))
        event = self.slow([False, True])
        self.assertTrue(self.asks(lambda: completions._wait_in_slices(event, 0.375), event.wait, (0.25,), (0.125,)))

    def test_a_lock_in_slices(self) -> None:
        """The same for the lock of a waiter; a negative time is no limit."""
        lock = self.slow([False, False, True])
        self.assertTrue(self.asks(lambda: completions._acquire_in_slices(lock, -1.0), lock.acquire, *[(0.25,)] * 3))
        lock = self.slow([False, False])
        self.assertFalse(
            self.asks(lambda: completions._acquire_in_slices(lock, 0.375), lock.acquire, (0.25,), (0.125,))
        )
        lock = self.slow([True])
        self.assertTrue(self.asks(lambda: completions._acquire_in_slices(lock, 0.0), lock.acquire, (0.0,)))

    def test_the_main_thread_of_windows_waits_in_slices(self) -> None:
        """There, and nowhere else; the other threads wait in one piece."""
        sliced = mock.Mock(return_value=True)
        event, lock = threading.Event(), threading.Lock()
        event.set()
        with (
            mock.patch("sys.platform", "win32"),
            mock.patch.multiple(completions, _wait_in_slices=sliced, _acquire_in_slices=sliced),
        ):
            wait_within(event, 3)
            completions.acquire_within(lock, 3)
            self.assertEqual(sliced.call_args_list, [mock.call(event, 3), mock.call(lock, 3)])
            Running(lambda: (wait_within(event, 3), completions.acquire_within(lock, PATIENCE))).result()
            self.assertEqual(sliced.call_count, 2)
