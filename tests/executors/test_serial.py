"""`SerialExecutor`: a thread for the callbacks."""

from __future__ import annotations

import gc
import os
import threading
import unittest
import unittest.mock
import weakref
from concurrent.futures import Future
from typing import Any, List

from tests.tasks import PATIENCE, Box
from wssync.executors import SerialExecutor


class SerialExecutorTests(unittest.TestCase):
    def executor(self) -> SerialExecutor:
        executor = SerialExecutor()
        self.addCleanup(executor.shutdown)
        return executor

    def test_everything_runs_in_order_on_one_thread_of_its_own(self) -> None:
        """A daemon named wssync-session-N, which the first piece of work starts."""
        executor = self.executor()
        self.assertIsNone(executor._thread)
        names: List[Any] = []
        futures = [
            executor.submit(lambda number: names.append((number, threading.current_thread())), number)
            for number in range(100)
        ]
        futures[-1].result(PATIENCE)
        self.assertEqual([number for number, _ in names], list(range(100)))
        [thread] = {thread for _, thread in names}
        self.assertTrue(thread.daemon)
        self.assertRegex(thread.name, r"^wssync-session-\d+$")

    def test_results_and_errors(self) -> None:
        """As every executor: the future has them, the thread goes on."""
        executor = self.executor()
        self.assertEqual(executor.submit(divmod, 7, 2).result(PATIENCE), (3, 1))
        self.assertEqual(executor.submit(dict, a=1).result(PATIENCE), {"a": 1})
        with self.assertRaises(ZeroDivisionError):
            executor.submit(lambda: 1 // 0).result(PATIENCE)
        with self.assertRaises(SystemExit):
            executor.submit(exit).result(PATIENCE)
        self.assertEqual(list(executor.map(abs, [-1, -2])), [1, 2])

    def test_futures_are_those_of_the_standard_library(self) -> None:
        """So `concurrent.futures.wait` takes them."""
        executor = SerialExecutor()
        self.addCleanup(executor.shutdown)
        self.assertIsInstance(executor.submit(abs, 1), Future)

    def test_a_cancelled_future_is_not_run(self) -> None:
        """Cancelled while it waits."""
        executor = self.executor()
        release, ran = threading.Event(), Box()
        executor.submit(release.wait, PATIENCE)
        waiting = executor.submit(ran, 1)
        self.assertTrue(waiting.cancel())
        release.set()
        executor.submit(ran, 2).result(PATIENCE)
        self.assertEqual(ran.values, [2])

    def test_shutdown(self) -> None:
        """What was queued still runs, then the thread is gone; nothing more is taken."""
        executor = SerialExecutor()
        box = Box()
        for number in range(3):
            executor.submit(box, number)
        self.assertNotIn("shut down", repr(executor))
        executor.shutdown()
        self.assertEqual(box.values, [0, 1, 2])
        self.assertTrue(executor.join(0))
        self.assertRegex(repr(executor), r"^<SerialExecutor wssync-session-\d+ shut down>$")
        with self.assertRaises(RuntimeError):
            executor.submit(print)

    def test_shutdown_with_cancelled_futures(self) -> None:
        """What was queued is cancelled; so it is after a shutdown before."""
        executor = SerialExecutor()
        started, release = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            release.wait(PATIENCE)

        executor.submit(work)
        self.assertTrue(started.wait(PATIENCE), "else it would be cancelled as well")
        future = executor.submit(print)
        executor.shutdown(wait=False)
        executor.shutdown(wait=False, cancel_futures=True)
        self.assertTrue(future.cancelled())
        self.assertFalse(executor.join(0.001))
        release.set()
        self.assertTrue(executor.join(PATIENCE))

    def test_it_can_be_prepared(self) -> None:
        """The thread is there before the first work; once is enough, and after the end nothing is started."""
        executor = SerialExecutor()
        executor.prepare()
        thread = executor._thread
        self.assertIsNotNone(thread)
        executor.prepare()
        self.assertIs(executor._thread, thread)
        executor.shutdown()
        for end in (SerialExecutor.shutdown, SerialExecutor.retire):
            ended = SerialExecutor()
            end(ended)
            ended.prepare()
            self.assertIsNone(ended._thread)

    def test_a_thread_that_cannot_be_prepared(self) -> None:
        """The interpreter exits, or the process has no threads to give: the first work will say so."""
        executor = SerialExecutor()
        with unittest.mock.patch("threading.Thread.start", side_effect=RuntimeError("no more threads")):
            executor.prepare()
        self.assertIsNone(executor._thread)
        executor.submit(print, end="")
        executor.shutdown()

    def test_shutdown_before_any_work(self) -> None:
        """There is no thread to wait for."""
        executor = SerialExecutor()
        executor.shutdown()
        self.assertTrue(executor.join())

    def test_shutdown_on_its_own_thread(self) -> None:
        """It does not wait for itself."""
        executor = SerialExecutor()

        def stop() -> Any:
            executor.shutdown()
            return executor.join(), executor.is_current()

        self.assertEqual(executor.submit(stop).result(PATIENCE), (False, True))
        self.assertTrue(executor.join(PATIENCE))
        self.assertFalse(executor.is_current())

    def test_a_retired_one_takes_late_work(self) -> None:
        """In order, after what was queued before; no thread stays."""
        executor = SerialExecutor()
        box, release = Box(), threading.Event()
        executor.submit(release.wait, PATIENCE)
        executor.submit(box, 0)
        executor.retire()
        for number in range(1, 4):
            executor.submit(box, number)
        self.assertEqual(box.values, [])
        release.set()
        self.assertEqual(box.wait(4), [0, 1, 2, 3])
        self.assertTrue(executor.join(PATIENCE))
        self.assertTrue(executor.submit(executor.is_current).result(PATIENCE))
        executor.shutdown()
        with self.assertRaises(RuntimeError):
            executor.submit(print)

    def test_a_process_without_threads_to_give(self) -> None:
        """`submit` raises, and tries again the next time."""
        executor = self.executor()
        with (
            unittest.mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("no more threads")),
            self.assertRaises(RuntimeError),
        ):
            executor.submit(print)
        self.assertEqual(executor.submit(abs, -1).result(PATIENCE), 1)

    def test_nobody_holds_it_any_more(self) -> None:
        """The thread ends with the executor."""
        executor = SerialExecutor()
        executor.submit(abs, -1).result(PATIENCE)
        thread = executor._thread
        assert thread is not None
        gone = weakref.ref(executor)
        del executor
        gc.collect()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
        self.assertIsNone(gone())

    def test_the_last_callbacks_objects_are_let_go(self) -> None:
        """A waiting thread keeps nothing alive."""

        class Thing:
            """Something to be collected."""

        executor = self.executor()
        thing = Thing()
        gone = threading.Event()
        weakref.finalize(thing, gone.set)
        executor.submit(lambda thing: None, thing).result(PATIENCE)
        del thing
        self.assertTrue(gone.wait(PATIENCE))

    def test_in_a_child_process_it_has_a_thread_of_its_own(self) -> None:
        """The parent's did not come along in the fork, and its lock may be held."""
        executor = self.executor()
        first = executor.submit(threading.current_thread).result(PATIENCE)
        lock = executor._lock
        with unittest.mock.patch.object(os, "getpid", return_value=-1):
            second = executor.submit(threading.current_thread).result(PATIENCE)
            self.assertIsNot(first, second)
            self.assertIsNot(executor._lock, lock)
            executor.shutdown()
        self.assertTrue(first.is_alive())
