"""The strand, which keeps the callbacks of one task in order."""

from __future__ import annotations

import itertools
import threading
import time
import unittest
import unittest.mock
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Deque, List, Optional

from tests.interrupts import interrupted_at
from tests.tasks import PATIENCE, Box, InlineExecutor, RefusingExecutor
from tests.threads import Running
from wssync.executors import QueueExecutor, SerialExecutor
from wssync.strand import Preparable, Series, Strand, call


class Deferring:
    """Keeps the runners of a strand until the test runs them."""

    def __init__(self) -> None:
        self.runners: List[Callable[[], object]] = []

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Keep it."""
        self.runners.append(lambda: fn(*args))

    def run(self) -> int:
        """Run what there is now."""
        runners, self.runners = self.runners, []
        for runner in runners:
            runner()
        return len(runners)


class StandingTestCase(unittest.TestCase):
    """No time passes, else a busy machine would end a batch early."""

    def setUp(self) -> None:
        standing = unittest.mock.patch("time.monotonic", return_value=0.0)
        standing.start()
        self.addCleanup(standing.stop)


class StrandTests(StandingTestCase):
    def test_an_expected_callback_has_its_thread(self) -> None:
        """That of a session's own executor is started, once; a user's executor is the user's affair."""
        executor = SerialExecutor()
        strand = Strand(executor, Box())
        self.assertIsInstance(executor, Preparable)
        with unittest.mock.patch.object(executor, "prepare") as prepare:
            strand.expect()
            strand.expect()
        prepare.assert_called_once_with()
        Strand(RefusingExecutor(), Box()).expect()

    def test_which_thread_is_in_its_way(self) -> None:
        """The one that runs a callback of its own, or of an executor that has no other; not an idle one."""

        class Pool(Deferring):
            current = False

            def is_current(self) -> bool:
                return self.current

        for executor in (Deferring(), Pool()):
            strand, found = Strand(executor, lambda error: None), Box()
            strand.put(lambda strand=strand, found=found: found(strand.is_current()))
            self.assertFalse(strand.is_current())
            strand.kick()
            executor.run()
            self.assertEqual((found.values, strand.is_current()), ([True], False))
        Pool.current = True
        self.assertTrue(strand.is_current())

    def test_one_submit_serves_what_was_put(self) -> None:
        """Nothing runs before `kick`; a second kick submits nothing while a runner is under way."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        strand.kick()
        for number in range(3):
            strand.put(box, number)
        self.assertEqual(executor.runners, [])
        strand.kick()
        strand.kick()
        self.assertEqual((len(executor.runners), box.values), (1, []))
        executor.run()
        self.assertEqual((box.values, executor.runners), ([0, 1, 2], []))
        strand.put(box, 3)
        strand.kick()
        executor.run()
        self.assertEqual(box.values, [0, 1, 2, 3])

    def test_the_first_entries_of_two_threads(self) -> None:
        """Each finds that there is no queue yet; one is made, and holds both. Other strands have nothing of it."""
        executor, box = Deferring(), Box()
        strand, other = Strand(executor, box), Strand(executor, box)

        def deque_meanwhile() -> Deque[Any]:
            made.stop()
            strand.put(box, 1)
            return deque()

        made = unittest.mock.patch("wssync.strand.deque", deque_meanwhile)
        made.start()
        strand.put(box, 2)
        other.kick()
        strand.kick()
        self.assertEqual((executor.run(), box.values), (1, [1, 2]))

    def test_what_is_put_while_it_runs(self) -> None:
        """The runner takes it too, kicked or not yet."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)

        def more() -> None:
            strand.put(box, "more")
            strand.kick()

        strand.put(more)
        strand.kick()
        self.assertEqual(executor.run(), 1)
        self.assertEqual((box.values, executor.runners), (["more"], []))

    def test_a_flood_gives_the_executor_back(self) -> None:
        """After 256 callbacks the rest waits for another submit, in order, and nobody else comes between."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        for number in range(600):
            strand.put(box, number)
        strand.kick()
        counts = []
        while executor.run():
            counts.append(len(box.values))
            strand.kick()
        self.assertEqual(counts, [256, 512, 600])
        self.assertEqual(box.values, list(range(600)))

    def test_slow_callbacks_give_it_back_too(self) -> None:
        """After 5 ms."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        for number in range(3):
            strand.put(box, number)
        with unittest.mock.patch("time.monotonic", side_effect=iter(range(100))):
            strand.kick()
            self.assertEqual(executor.run(), 1)
            self.assertEqual((box.values, len(executor.runners)), ([], 1))
        executor.run()
        self.assertEqual(box.values, [0, 1, 2])

    def test_an_inline_executor_does_not_nest(self) -> None:
        """A flood of thousands through an executor that runs at once: one runner, no recursion."""
        box = Box()
        strand = Strand(InlineExecutor(), box)
        for number in range(3000):
            strand.put(box, number)
        strand.kick()
        self.assertEqual(box.values, list(range(3000)))

    def test_nor_does_it_nest_when_every_callback_is_a_batch(self) -> None:
        """The runner that gives the executor back is the one that goes on."""
        box = Box()
        strand = Strand(InlineExecutor(), box)
        for number in range(3000):
            strand.put(box, number)
        with unittest.mock.patch.object(strand, "BATCH", 1):
            strand.kick()
        self.assertEqual(box.values, list(range(3000)))

    def test_what_the_final_function_puts(self) -> None:
        """Whoever lets go looks at the entries again: nothing is left behind."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)

        def final() -> None:
            strand.put(box, "more")
            strand.kick()  # nothing: the caller of this very function is at it

        strand.finish(final)
        self.assertEqual(executor.run(), 1)
        self.assertEqual(box.values, ["more"])

    def test_exceptions_of_callbacks_are_logged(self) -> None:
        """Promise 6, rule 178: with the traceback, and the next ones run."""
        box = Box()
        strand = Strand(InlineExecutor(), box)
        strand.put(lambda: 1 // 0)
        strand.put(box, "next")
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.kick()
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assertEqual(box.values, ["next"])

    def test_a_system_exit_passes(self) -> None:
        """It is the callback's own, but the next ones run all the same."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        strand.put(exit)
        strand.put(box, "next")
        strand.kick()
        with self.assertRaises(SystemExit):
            executor.run()
        executor.run()
        self.assertEqual(box.values, ["next"])

    def test_finish_at_once(self) -> None:
        """With nothing outstanding the final function is called here and now, once."""
        box = Box()
        strand = Strand(Deferring(), box)
        strand.finish(lambda: box("final"))
        strand.kick()
        self.assertEqual(box.values, ["final"])

    def test_finish_after_what_was_put(self) -> None:
        """Everything put so far runs first; what is put later still runs."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        strand.put(box, 1)
        strand.kick()
        strand.finish(lambda: box("final"))
        self.assertEqual(box.values, [])
        executor.run()
        self.assertEqual(box.values, [1, "final"])
        strand.put(box, 2)
        strand.kick()
        executor.run()
        self.assertEqual(box.values, [1, "final", 2])

    def test_entries_that_come_while_it_concludes(self) -> None:
        """They run before the final function."""
        executor, box = Deferring(), Box()
        strand = Strand(executor, box)
        strand.put(box, 1)
        strand.kick()
        run_batch = strand._run_batch

        def late() -> bool:
            more = run_batch()
            if len(box.values) == 1:
                strand.put(box, 2)
                strand.finish(lambda: box("final"))
            return more

        with unittest.mock.patch.object(strand, "_run_batch", late):
            while executor.run():
                pass
        self.assertEqual(box.values, [1, 2, "final"])

    def test_a_refusal(self) -> None:
        """`refused` hears of it once; what is lost is logged once, with its number, when the task has ended."""
        box = Box()
        executor = RefusingExecutor(1)
        strand = Strand(executor, box)
        strand.put(box, "fine")
        strand.kick()
        for number in range(5):
            strand.put(box, number)
            strand.kick()
        self.assertEqual(box.values[0], "fine")
        self.assertIsInstance(box.values[1], RuntimeError)
        self.assertEqual((len(box.values), executor.refused), (2, 1))
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.finish(lambda: box("final"))
        self.assertEqual(len(logs.records), 1)
        self.assertIn("5 callbacks could not be delivered", logs.output[0])
        self.assertEqual(box.values[2:], ["final"])

    def test_nothing_is_taken_after_a_refusal_and_the_end(self) -> None:
        """Later callbacks are counted too, though nobody is told again."""
        box = Box()
        strand = Strand(RefusingExecutor(), box)
        strand.put(box, 1)
        with self.assertLogs("wssync", "ERROR"):
            strand.kick()
            strand.finish(lambda: box("final"))
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.put(box, 2)
            strand.kick()
        self.assertIn("1 callbacks", logs.output[0])
        self.assertEqual(box.values[1:], ["final"])

    def test_a_refusal_in_the_middle_of_a_flood(self) -> None:
        """The rest of a batch can be refused too."""
        box = Box()
        executor = QueueExecutor()
        strand = Strand(executor, box)
        for number in range(300):
            strand.put(box, number)
        strand.kick()
        with unittest.mock.patch.object(executor, "submit", side_effect=RuntimeError("full")):
            executor.run_pending()
        self.assertIsInstance(box.values[-1], RuntimeError)
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.finish(lambda: None)
        self.assertRegex(logs.output[0], r"\d+ callbacks could not")

    def test_a_refusal_with_nothing_lost(self) -> None:
        """Nothing is logged."""
        box = Box()
        strand = Strand(RefusingExecutor(), box)
        strand._dead = RuntimeError("before")
        strand.finish(lambda: box("final"))
        self.assertEqual(box.values, ["final"])

    def test_a_refusal_after_the_end(self) -> None:
        """Nobody is told any more: the task has ended."""
        box = Box()
        strand = Strand(RefusingExecutor(), box)
        strand.finish(lambda: box("final"))
        strand.put(box, 1)
        with self.assertLogs("wssync", "ERROR"):
            strand.kick()
            strand.kick()
        self.assertEqual(box.values, ["final"])

    def test_a_runner_that_the_pool_cancelled(self) -> None:
        """The same as a refusal."""
        release = threading.Event()
        pool = ThreadPoolExecutor(1)
        pool.submit(release.wait, PATIENCE)
        box = Box()
        strand = Strand(pool, box)
        strand.put(box, "never")
        strand.kick()
        pool.shutdown(wait=False, cancel_futures=True)
        release.set()
        self.assertIsInstance(box.wait()[0], RuntimeError)
        pool.shutdown()

    def test_a_runner_that_has_run_was_not_cancelled(self) -> None:
        """Its future is done, and that is all."""
        box = Box()
        with ThreadPoolExecutor(1) as pool:
            strand = Strand(pool, box)
            strand.put(box, 1)
            strand.kick()
            box.wait()
        self.assertEqual(box.values, [1])


class SharedStrandTests(unittest.TestCase):
    def test_no_entry_is_lost_between_many_threads(self) -> None:
        """Put and kicked by four threads, run by a pool of eight: each once, never two at a time."""
        busy, overlaps, done = threading.Lock(), Box(), Box()

        def callback(value: object) -> None:
            if not busy.acquire(False):
                overlaps(value)
                return
            done(value)
            busy.release()

        with ThreadPoolExecutor(8) as pool:
            strand = Strand(pool, overlaps)

            def put(name: str) -> None:
                for number in range(500):
                    strand.put(callback, (name, number))
                    strand.kick()

            threads = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
            for thread in threads:
                thread.start()
            values = done.wait(2000)
        self.assertEqual(overlaps.values, [])
        for name in "abcd":
            self.assertEqual([number for found, number in values if found == name], list(range(500)))


class SeriesTests(StandingTestCase):
    """One callback for many values."""

    def setUp(self) -> None:
        super().setUp()
        self.executor, self.box = Deferring(), Box()
        self.strand = Strand(self.executor, self.box)

    def series(self, *values: object, fn: Optional[Callable[[Any], object]] = None, low: int = 0) -> Series:
        return Series(fn or self.box, deque(values), low, lambda: self.box("low"))

    def test_each_value_in_order(self) -> None:
        """Promise 5: one after the other, between what was put before and what was put after."""
        self.strand.put(self.box, "before")
        self.strand.put_entry(self.series(1, 2, 3))
        self.strand.put(self.box, "after")
        self.strand.put_entry(self.series())
        self.strand.put_entry(self.series(4))
        self.assertEqual(self.executor.runners, [])
        self.strand.kick()
        self.assertEqual(self.executor.run(), 1)
        self.assertEqual(self.box.values, ["before", 1, 2, 3, "after", 4])
        self.strand.finish(lambda: self.box("final"))
        self.assertEqual(self.box.values[-1], "final")

    def test_a_value_stays_until_its_callback_has_returned(self) -> None:
        """So it can be counted meanwhile, whatever the callback does."""
        seen: List[List[object]] = []

        def look(value: object) -> None:
            seen.append(list(series.values))
            if value == 2:
                raise ValueError

        series = self.series(1, 2, 3, fn=look)
        with self.assertLogs("wssync", "ERROR"):
            self.assertEqual(series.run(10, time.monotonic() + 1000), 3)
        self.assertEqual(seen, [[1, 2, 3], [2, 3], [3]])
        self.assertFalse(series.values)

    def test_exceptions_are_logged(self) -> None:
        """Promise 6, rule 178: with the traceback, and the next values come."""

        def fail(value: object) -> None:
            self.box(value)
            if value != 2:
                raise ZeroDivisionError

        self.strand.put_entry(self.series(1, 2, 3, fn=fail))
        self.strand.kick()
        with self.assertLogs("wssync", "ERROR") as logs:
            self.executor.run()
        self.assertEqual(len(logs.records), 2)
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assertEqual(self.box.values, [1, 2, 3])

    def test_a_system_exit_passes(self) -> None:
        """It is the callback's own; the values behind it, and what is behind the series, come all the same."""

        def leave(value: object) -> None:
            self.box(value)
            if value in (1, 3):
                raise SystemExit

        self.strand.put_entry(self.series(1, 2, 3, fn=leave))
        self.strand.put(self.box, "after")
        self.strand.kick()
        for _ in range(2):
            with self.assertRaises(SystemExit):
                self.executor.run()
        self.executor.run()
        self.assertEqual(self.box.values, [1, 2, 3, "after"])
        self.assertEqual(self.executor.run(), 0)

    def test_a_flood_gives_the_executor_back(self) -> None:
        """After 256 callbacks of series and others together; in order, and no value twice."""
        self.strand.put(self.box, -1)
        self.strand.put_entry(self.series(*range(300)))
        self.strand.put_entry(self.series(*range(300, 600)))
        self.strand.put(self.box, 600)
        self.strand.kick()
        counts = []
        while self.executor.run():
            counts.append(len(self.box.values))
            self.strand.kick()
        self.assertEqual(counts, [256, 512, 602])
        self.assertEqual(self.box.values, list(range(-1, 601)))

    def test_a_batch_that_ends_with_a_series(self) -> None:
        """Nothing is left, so nothing more is submitted."""
        self.strand.put_entry(self.series(*range(256)))
        self.strand.kick()
        self.assertEqual(self.executor.run(), 1)
        self.assertEqual((len(self.box.values), self.executor.runners), (256, []))

    def test_slow_callbacks_give_it_back_too(self) -> None:
        """After 5 ms, with one value served at least."""
        self.strand.put_entry(self.series(1, 2, 3))
        with unittest.mock.patch("time.monotonic", side_effect=itertools.count()):
            self.strand.kick()
            self.assertEqual(self.executor.run(), 1)
        self.assertEqual((self.box.values, len(self.executor.runners)), ([], 1))
        self.executor.run()
        self.assertEqual(self.box.values, [1, 2, 3])
        late = self.series(4, 5)
        self.assertEqual(late.run(10, time.monotonic() - 1), 1)
        self.assertEqual(list(late.values), [5])

    def test_an_inline_executor(self) -> None:
        """A flood in series: no recursion."""
        box = Box()
        strand = Strand(InlineExecutor(), box)
        strand.put_entry(Series(box, deque(range(3000)), 0, lambda: None))
        strand.kick()
        self.assertEqual(box.values, list(range(3000)))

    def test_few_are_left(self) -> None:
        """Whoever filled the series hears of it after each of the last callbacks."""
        series = self.series(1, 2, 3, 4, low=2)
        series.run(10, time.monotonic() + 1000)
        self.assertEqual(self.box.values, [1, 2, 3, "low", 4, "low"])

    def test_few_are_left_after_a_system_exit(self) -> None:
        """Else whoever waits for that would wait for ever."""

        def leave(value: object) -> None:
            raise SystemExit

        with self.assertRaises(SystemExit):
            self.series(1, fn=leave, low=1).run(10, time.monotonic() + 1000)
        self.assertEqual(self.box.values, ["low"])

    def test_what_is_put_when_few_are_left(self) -> None:
        """It comes behind the rest of the series."""
        values = deque([1, 2])
        series = Series(self.box, values, 1, lambda: self.strand.put_entry(self.series("more")))
        self.strand.put_entry(series)
        self.strand.kick()
        self.executor.run()
        self.assertEqual(self.box.values, [1, 2, "more"])

    def test_what_is_lost_is_counted(self) -> None:
        """A refused strand says how many callbacks those were, one for each value."""
        strand = Strand(RefusingExecutor(), self.box)
        strand.put_entry(self.series(1, 2, 3))
        strand.put(self.box, 4)
        strand.kick()
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.finish(lambda: self.box("final"))
        self.assertIn("4 callbacks could not be delivered", logs.output[0])
        self.assertEqual(self.box.values[1:], ["final"])

    def test_a_refusal_in_the_middle_of_a_series(self) -> None:
        """Those that were served are not lost."""
        executor = QueueExecutor()
        strand = Strand(executor, Box())
        strand.put_entry(self.series(*range(300)))
        strand.kick()
        with unittest.mock.patch.object(executor, "submit", side_effect=RuntimeError("full")):
            executor.run_pending()
        self.assertEqual(self.box.values, list(range(256)))
        with self.assertLogs("wssync", "ERROR") as logs:
            strand.finish(lambda: None)
        self.assertIn("44 callbacks", logs.output[0])


class Elsewhere:
    """Runs everything at once, but on another thread."""

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """It has run when this returns."""
        Running(lambda: fn(*args)).result()


class StruckTests(StandingTestCase):
    """An interrupt may come after any call that a caller's thread makes: the strand goes on."""

    def setUp(self) -> None:
        super().setUp()
        batch = unittest.mock.patch.object(Strand, "BATCH", 1)
        batch.start()
        self.addCleanup(batch.stop)
        self.box = Box()

    def settle(self, strand: Strand, deferring: Optional[Deferring]) -> None:
        """The next who comes, and the executor with all that it has; then nobody holds anything."""
        strand.kick()
        while deferring is not None and deferring.run():
            pass
        self.assertFalse(strand._busy.locked(), "a runner is awaited that never comes")
        self.assertFalse(strand._entries)

    def test_while_it_kicks(self) -> None:
        """Each callback runs once, whether the executor had got the runner, or has run it, or neither."""
        for elsewhere in (False, True):
            number, hit = 0, True
            while hit:
                deferring = None if elsewhere else Deferring()
                strand = Strand(deferring or Elsewhere(), self.box)
                for value in range(3):
                    strand.put(self.box, value)
                hit = interrupted_at(number, strand.kick)
                number += 1
                self.settle(strand, deferring)
                self.assertEqual(self.box.values, [0, 1, 2], f"struck at {number}, {elsewhere=}")
                self.box.values.clear()
            self.assertGreater(number, 5)

    def test_while_it_runs(self) -> None:
        """What an interrupted runner was about to call may be lost; the rest runs, once and in its order."""
        number, hit = 0, True
        while hit:
            deferring = Deferring()
            strand = Strand(deferring, self.box)
            for value in range(4):
                strand.put(self.box, value)
            strand.kick()
            hit = interrupted_at(number, deferring.run)
            number += 1
            self.settle(strand, deferring)
            values = self.box.values
            self.assertEqual(values, sorted(set(values)))
            self.assertGreaterEqual(len(values), 3 if hit else 4, f"struck at {number}")
            values.clear()
        self.assertGreater(number, 5)

    def test_a_signal_handler_that_raises_an_exception(self) -> None:
        """It is no refusal of the executor where that has run everything."""

        class Struck(Elsewhere):
            def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
                super().submit(fn, *args)
                raise TimeoutError("from a signal handler")

        strand = Strand(Struck(), self.box)
        strand.put(self.box, 1)
        with self.assertRaisesRegex(TimeoutError, "signal"):
            strand.kick()
        self.settle(strand, None)
        self.assertEqual(self.box.values, [1])


class CallTests(unittest.TestCase):
    def test_it_calls(self) -> None:
        """With the arguments."""
        box = Box()
        call(box, 5)
        self.assertEqual(box.values, [5])

    def test_exceptions_stay_inside(self) -> None:
        """All but those that stop the program."""
        with self.assertLogs("wssync", "ERROR"):
            call(lambda: 1 // 0)
        with self.assertRaises(KeyboardInterrupt):
            call(self._interrupt)

    @staticmethod
    def _interrupt() -> None:
        raise KeyboardInterrupt
