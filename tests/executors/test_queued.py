"""`QueueExecutor`: callbacks in a loop of one's own."""

from __future__ import annotations

import threading
import unittest
import unittest.mock

from tests.tasks import PATIENCE, Box
from wssync.executors import QueueExecutor


class QueueExecutorTests(unittest.TestCase):
    def test_work_is_kept_until_it_is_run(self) -> None:
        """On the thread that calls `run_pending`, in order; the answer is how many pieces that were."""
        executor, box = QueueExecutor(), Box()
        for number in range(3):
            executor.submit(lambda number=number: box((number, threading.current_thread())))
        self.assertEqual((len(executor), bool(executor), box.values), (3, True, []))
        self.assertEqual(executor.run_pending(), 3)
        self.assertEqual(box.values, [(number, threading.current_thread()) for number in range(3)])
        self.assertEqual((executor.run_pending(), executor.run_pending(0.001), len(executor)), (0, 0, 0))

    def test_whose_thread_it_is(self) -> None:
        """The one that ran it last."""
        executor = QueueExecutor()
        self.assertFalse(executor.is_current())
        executor.run_pending()
        self.assertTrue(executor.is_current())
        other = threading.Thread(target=executor.run_pending)
        other.start()
        other.join(PATIENCE)
        self.assertFalse(executor.is_current())

    def test_it_waits_for_the_first(self) -> None:
        """With a timeout, or for ever."""
        executor, box = QueueExecutor(), Box()
        pending = executor._pending

        def size() -> int:
            timer.start()  # it comes after the look whether something is there
            return 0

        for timeout in (PATIENCE, None):
            timer = threading.Thread(target=executor.submit, args=(box, timeout))
            executor._pending = unittest.mock.Mock(qsize=size, get=pending.get, put=pending.put)
            self.assertEqual(executor.run_pending(timeout), 1)
            timer.join(PATIENCE)
        self.assertEqual(box.values, [PATIENCE, None])

    def test_what_callbacks_queue_is_left_for_the_next_call(self) -> None:
        """A loop that draws in between stays alive."""
        executor, box = QueueExecutor(), Box()

        def again() -> None:
            box(None)
            executor.submit(again)

        executor.submit(again)
        self.assertEqual([executor.run_pending() for _ in range(3)], [1, 1, 1])
        self.assertEqual(len(box.values), 3)

    def test_two_threads_may_run_it(self) -> None:
        """Each piece of work runs once, and each call tells what it has run itself."""
        executor, box = QueueExecutor(), Box()
        executor.submit(lambda: box(executor.run_pending()))
        executor.submit(box, 1)
        executor.submit(box, 2)
        self.assertEqual(executor.run_pending(), 1)
        self.assertEqual(box.values, [1, 2, 2])
