"""What the executors of all toolkits share: the queue, one wake for many, the end."""

from __future__ import annotations

import gc
import threading
import unittest
import unittest.mock
import weakref
from concurrent.futures import Executor, Future
from typing import Any, Callable, Deque, Dict, List, Tuple

import wssync
from tests.executors.loops import FakeLoop, LoopCases
from tests.tasks import PATIENCE, Box
from tests.threads import Running
from wssync.executors.looping import LoopExecutor, import_toolkit
from wssync.strand import Strand
from wssync.testing import WebSocketTestCase, silent


class Posting(LoopExecutor):
    """In a loop that is only a queue; it has the hooks that a test may put something into."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.before_wake: Callable[[], object] = lambda: None

    def _wake(self) -> None:
        self.before_wake()
        self.loop.post(self._turn)


class Ending(FakeLoop):
    """A loop that can be ended."""

    executor: Posting

    def end(self) -> None:
        """It is over."""
        self.executor._end("the test is over")


class PostingTests(LoopCases, unittest.TestCase):
    """The base class by itself, in a loop that is fair."""

    def make(self) -> Tuple[LoopExecutor, Any]:
        executor, loop = Posting(), Ending()
        executor.loop, loop.executor = loop, executor
        return executor, loop


class LoopExecutorTests(unittest.TestCase):
    def setUp(self) -> None:
        self.executor = Posting()
        self.loop = self.executor.loop

    def test_it_is_an_executor_like_others(self) -> None:
        """Results, keyword arguments and errors are in the futures."""
        self.assertIsInstance(self.executor, Executor)
        futures: List[Future[Any]] = [
            self.executor.submit(divmod, 7, 2),
            self.executor.submit(dict, a=1),
            self.executor.submit(lambda: 1 // 0),
        ]
        self.assertTrue(futures[0].cancel() is False or futures[0].cancelled())
        self.loop.run(futures[2].done)
        self.assertEqual(futures[1].result(), {"a": 1})
        self.assertIsInstance(futures[2].exception(), ZeroDivisionError)
        self.assertEqual(repr(self.executor), "<Posting>")

    def test_many_callbacks_cost_one_wake(self) -> None:
        """And a second one when they run, for a loop inside of the first; never one for each."""
        box = Box()
        # Whatever a busy machine makes of 5 ms.
        patient = unittest.mock.patch.object(self.executor, "TURN_SECONDS", PATIENCE)
        patient.start()
        self.addCleanup(patient.stop)
        for number in range(100):
            self.executor.submit(box, number)
        self.assertEqual(self.loop.posted, 1)
        self.loop.run(lambda: len(box.values) == 100)
        while self.loop.step():
            pass
        self.assertEqual((box.values, self.loop.posted), (list(range(100)), 2))
        self.executor.submit(box, 100)
        self.assertEqual(self.loop.posted, 3)

    def test_one_callback_costs_one_wake(self) -> None:
        """The loop is not woken again for nothing."""
        self.executor.submit(print, end="")
        while self.loop.step():
            pass
        self.assertEqual(self.loop.posted, 1)

    def test_the_loop_gets_its_time(self) -> None:
        """After a turn of 5 ms nothing runs until the rest is over, however often the loop comes by."""
        box, rests = Box(), Box()

        def rest() -> bool:
            rests(None)
            return True

        with (
            unittest.mock.patch.object(self.executor, "_rest", rest),
            unittest.mock.patch("time.monotonic", side_effect=lambda: 0.003 * len(box.values)),
        ):
            for number in range(4):
                self.executor.submit(box, number)
            while self.loop.step():
                pass
            self.assertEqual((box.values, rests.values), ([0, 1], [None]))
            self.executor.submit(box, 4)
            self.loop.step()
            self.assertEqual(box.values, [0, 1])
            self.executor._go_on()
            self.assertEqual((box.values, rests.values), ([0, 1, 2, 3], [None, None]))
            self.executor._go_on()
        self.assertEqual((box.values, rests.values), ([0, 1, 2, 3, 4], [None, None]))

    def test_a_dialog_in_a_callback(self) -> None:
        """It turns the loop itself: what was queued before it and what comes meanwhile runs in there, once."""
        box = Box()

        def dialog() -> None:
            self.executor.submit(box, "later")
            self.loop.run(lambda: len(box.values) == 2)
            box("closed")

        self.executor.submit(dialog)
        self.executor.submit(box, "before")
        self.loop.run(lambda: len(box.values) == 3)
        self.assertEqual(box.values, ["before", "later", "closed"])

    def test_work_that_was_taken_away_meanwhile(self) -> None:
        """Another thread ends it between the look and the taking: nothing is run, nothing raised."""

        class Emptied(Deque[Any]):
            """A queue that another thread empties after each look."""

            def popleft(self) -> Any:
                self.clear()
                raise IndexError

        for step in (self.executor._turn, self.executor._drop):
            self.executor._work = Emptied([1, 2])
            step()
            self.assertEqual(list(self.executor._work), [])

        class Told(Dict[Any, Any]):
            """The same with the strands."""

            def popitem(self) -> Any:
                self.clear()
                raise KeyError

        self.executor._strands = Told({1: None})
        self.executor._end("over")
        self.assertEqual(self.executor._strands, {})
        self.executor._strands = {1: weakref.ref(Strand(self.executor, Box()))}
        self.executor._end("again")

    def test_an_exit_goes_through_the_loop(self) -> None:
        """`sys.exit()` in a callback is for the program; what is behind it is not lost."""
        box = Box()
        for rest in ([], [1]):
            future = self.executor.submit(exit, 3)
            for value in rest:
                self.executor.submit(box, value)
            with self.assertRaises(SystemExit):
                self.loop.step()
            self.assertIsInstance(future.exception(), SystemExit)
        self.loop.run(lambda: box.values)

    def test_shutdown(self) -> None:
        """Nothing more is taken; what was queued runs, and with `cancel_futures` it is cancelled; it never waits."""
        box = Box()
        self.executor.submit(box, 1)
        self.executor.shutdown()
        with self.assertRaisesRegex(RuntimeError, "was shut down"):
            self.executor.submit(box, 2)
        self.loop.run(lambda: box.values)
        self.executor.shutdown()
        other = Posting()
        future = other.submit(box, 3)
        other.shutdown(cancel_futures=True)
        self.assertTrue(future.cancelled())
        self.assertEqual(box.values, [1])

    def test_a_shutdown_in_the_middle_of_submit(self) -> None:
        """The work is refused, or it was run already and then is not."""
        box = Box()
        self.executor.before_wake = self.executor.shutdown
        with self.assertRaisesRegex(RuntimeError, "was shut down"):
            self.executor.submit(box, 1)
        while self.loop.step():
            pass
        self.assertEqual(box.values, [])
        quick = Posting()

        def at_once() -> None:
            quick._turn()
            quick.shutdown()

        quick.before_wake = at_once
        quick.submit(box, 2)
        self.assertEqual(box.values, [2])

    def test_an_end_in_the_middle_of_submit(self) -> None:
        """What another thread has cancelled is refused."""
        self.executor.before_wake = lambda: self.executor._end("over")
        with self.assertRaisesRegex(RuntimeError, "over"):
            self.executor.submit(print)
        self.executor._end("again")
        self.assertEqual(str(self.executor.ended), "over")

    def test_a_loop_that_takes_no_calls(self) -> None:
        """It has ended, then, and what it said is the cause."""
        with unittest.mock.patch.object(self.executor, "_wake", side_effect=OSError("gone")):
            with self.assertRaisesRegex(RuntimeError, "takes no calls any more: gone") as caught:
                self.executor.submit(print)
            self.assertIsInstance(caught.exception.__cause__, OSError)

    def test_whose_thread_it_is(self) -> None:
        """The one that ran callbacks last; before that, the one that made it."""
        self.assertTrue(self.executor.is_current())
        thread = threading.Thread(target=self.executor._turn)
        thread.start()
        thread.join()
        self.assertFalse(self.executor.is_current())

    def test_the_last_callbacks_objects_are_let_go(self) -> None:
        """The executor keeps nothing of what it has run."""

        class Thing:
            """Something to be collected."""

        thing = Thing()
        gone = weakref.ref(thing)
        self.executor.submit(lambda thing: None, thing)
        del thing
        self.loop.step()
        gc.collect()
        self.assertIsNone(gone())


class TaskTests(WebSocketTestCase):
    """What the end of a loop does to tasks, which have nothing to say at that moment."""

    def setUp(self) -> None:
        super().setUp()
        self.executor = Posting()
        server = self.serve(silent)
        self.task = self.session(executor=self.executor).websocket_task(server.url)

    def test_who_waits_is_released(self) -> None:
        """The task is cancelled at once, also if nothing ever comes for its handlers."""
        self.task.resume()
        self.task.send("hello", Box())
        waiting = Running(self.task.wait_until_closed)
        self.server.wait_for_connection(PATIENCE)
        self.executor._end("the window was closed")
        waiting.result()
        self.assertIsInstance(self.task.error, wssync.Cancelled)
        self.assertIn("the window was closed", str(self.task.error))

    def test_a_task_that_was_not_resumed(self) -> None:
        """It is cancelled when it is."""
        self.task.send("hello", Box())
        self.executor._end("the window was closed")
        self.assertIs(self.task.state, wssync.TaskState.SUSPENDED)
        self.task.resume()
        self.task.wait_until_closed(PATIENCE)
        self.assertIsInstance(self.task.error, wssync.Cancelled)


class ImportTests(unittest.TestCase):
    def test_a_toolkit_that_is_missing(self) -> None:
        """One sentence that says what to do."""
        with self.assertRaises(ImportError) as caught:
            import_toolkit("no_such_toolkit", "TheExecutor", "install it")
        self.assertEqual(
            str(caught.exception),
            "TheExecutor needs no_such_toolkit, which cannot be imported (No module named 'no_such_toolkit'): "
            "install it",
        )
        self.assertEqual(caught.exception.name, "no_such_toolkit")
        self.assertIs(import_toolkit("threading", "TheExecutor", "install it"), threading)
