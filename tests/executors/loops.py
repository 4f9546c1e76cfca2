"""A loop that stands for that of a toolkit, and what holds for the executors of all toolkits."""

from __future__ import annotations

import functools
import select
import sys
import threading
import time
import unittest
import unittest.mock
from collections import deque
from types import ModuleType
from typing import Any, Callable, Deque, Dict, List, Tuple

from tests.tasks import PATIENCE, Box
from tests.threads import Running
from wssync.executors.looping import LoopExecutor
from wssync.strand import Series, Strand

__all__ = ["FakeLoop", "LoopCases", "fake_module"]


class FakeLoop:
    """Calls in the order in which they came, from any thread; `files` are watched, and a timer's call comes next."""

    def __init__(self) -> None:
        self._calls: Deque[Callable[[], object]] = deque()
        self.files: Dict[Any, Callable[[], object]] = {}
        self.posted = 0

    def post(self, fn: Callable[[], object]) -> None:
        """Call it on the loop's thread. Any thread."""
        self.posted += 1
        self._calls.append(fn)

    def step(self) -> bool:
        """What there is to do now; whether that was something."""
        before = len(self._calls)
        for _ in range(before):
            self._calls.popleft()()
        readable = select.select(list(self.files), [], [], 0)[0] if self.files else []
        for file in readable:
            self.files[file]()
        return bool(before or readable)

    def run(self, done: Callable[[], object]) -> None:
        """Turn until `done()`."""
        until = time.monotonic() + PATIENCE
        while not done():
            self.step()
            if time.monotonic() > until:
                raise AssertionError("the loop has waited in vain")


def fake_module(case: unittest.TestCase, name: str, **names: Any) -> Any:
    """A module of that name that can be imported while the test runs, with these names in it."""
    module = ModuleType(name)
    vars(module).update(names)
    patch = unittest.mock.patch.dict(sys.modules, {name: module})
    patch.start()
    case.addCleanup(patch.stop)
    return module


class LoopCases:
    """A mixture for `unittest.TestCase`: an executor, in a loop that is a stand-in."""

    def make(self) -> Tuple[LoopExecutor, Any]:
        """The executor, and its loop with the methods `run` and `end`."""
        raise NotImplementedError

    def setUp(self: Any) -> None:
        self.executor, self.loop = self.make()

    def test_every_thread_has_its_order(self: Any) -> None:
        """Four threads at once: all runs once, on the loop's thread, what one of them has queued in its order."""
        ran: List[Tuple[int, int]] = []
        threads = set()

        def callback(thread: int, number: int) -> None:
            threads.add((threading.get_ident(), self.executor.is_current()))
            ran.append((thread, number))

        def flood(thread: int) -> bool:
            for number in range(500):
                self.executor.submit(callback, thread, number)
            return bool(self.executor.is_current())

        floods = [Running(functools.partial(flood, thread)) for thread in range(4)]
        self.loop.run(lambda: len(ran) == 2_000)
        self.assertEqual(threads, {(threading.get_ident(), True)})
        self.assertEqual([flood.result() for flood in floods], [False] * 4)
        for thread in range(4):
            self.assertEqual([number for which, number in ran if which == thread], list(range(500)))

    def test_strands_keep_order_and_exclusion(self: Any) -> None:
        """Promise 3: of two tasks whose callbacks come from two threads, each has its own in order, one at a time."""
        inside: List[Any] = []
        ran: Dict[Any, List[int]] = {}

        def callback(strand: Any, number: int) -> None:
            self.assertNotIn(strand, inside)
            inside.append(strand)
            if number == 100:
                self.loop.step()  # as a dialog does: others run in there, and not the same task
            ran[strand].append(number)
            inside.remove(strand)

        def flood(strand: Any) -> None:
            for number in range(1_000):
                strand.put(callback, strand, number)
                strand.kick()

        strands = [Strand(self.executor, Box()) for _ in range(2)]
        ran.update((strand, []) for strand in strands)
        floods = [Running(functools.partial(flood, strand)) for strand in strands]
        self.loop.run(lambda: all(len(ran[strand]) == 1_000 for strand in strands))
        for strand, running in zip(strands, floods):
            running.result()
            self.assertEqual(ran[strand], list(range(1_000)))

    def test_the_end_of_the_loop(self: Any) -> None:
        """What was accepted is cancelled, later work refused, and who hears of it is the strand."""
        refused, never = Box(), Box()
        strand = Strand(self.executor, refused)
        strand.put(never, 1)
        strand.kick()
        future = self.executor.submit(never, 2)
        self.loop.end()
        self.assertTrue(future.cancelled())
        with self.assertRaises(RuntimeError) as caught:
            self.executor.submit(never, 3)
        self.assertEqual(str(caught.exception), str(refused.wait()[0]))
        self.assertIn(str(caught.exception), repr(self.executor))
        self.assertEqual(never.values, [])
        with self.assertLogs("wssync", "INFO") as logs:
            strand.finish(lambda: None)
        self.assertEqual([record.levelname for record in logs.records], ["INFO"])

    def test_a_strand_that_waits_hears_of_the_end(self: Any) -> None:
        """Without a callback under way; one that comes later is refused, one that is gone does no harm."""
        refused = [Box(), Box()]
        strands = [Strand(self.executor, box) for box in (*refused, Box())]
        strands[0].expect()
        strands.pop().expect()
        self.loop.end()
        self.assertEqual([str(error) for error in refused[0].values], [str(self.executor.ended)])
        strands[1].expect()
        self.assertEqual(refused[1].values, [])
        strands[1].put(print)
        strands[1].kick()
        strands[1].hear_end(refused[0].values[0])
        self.assertEqual([str(error) for error in refused[1].values], [str(self.executor.ended)])

    def test_a_callback_may_end_the_loop(self: Any) -> None:
        """Its own future has a result, those behind it are cancelled."""
        first, second = self.executor.submit(self.loop.end), self.executor.submit(print)
        self.loop.run(first.done)
        self.assertEqual((first.exception(), second.cancelled()), (None, True))

    def test_nothing_runs_behind_the_callback_that_ended_the_loop(self: Any) -> None:
        """What it would touch is gone: neither more of the same messages, nor what comes after them."""
        for many in (False, True):
            executor, loop = self.make()
            box, refused = Box(), Box()
            strand = Strand(executor, refused)

            def close(value: int, box: Box = box, loop: Any = loop) -> None:
                box(value)
                loop.end()

            strand.expect()
            if many:
                strand.put_entry(Series(close, deque(range(3)), 0, print))
            else:
                strand.put(close, 0)
            strand.put(box, "later")
            strand.kick()
            loop.run(lambda refused=refused: refused.values)
            self.assertEqual(box.values, [0])
            with self.assertLogs("wssync", "INFO") as logs:
                strand.finish(lambda: None)
            self.assertIn("3 callbacks" if many else "1 callbacks", logs.output[0])

    def test_a_flood_leaves_the_loop_its_time(self: Any) -> None:
        """A turn ends when it has lasted 5 ms, and what is left comes later."""
        box = Box()
        with unittest.mock.patch("time.monotonic", side_effect=lambda: 0.003 * len(box.values)):
            for number in range(5):
                self.executor.submit(box, number)
            while not box.values:
                self.loop.step()
        self.assertEqual(box.values, [0, 1])
        self.executor.submit(box, 5)
        self.loop.run(lambda: len(box.values) == 6)
        self.assertEqual(box.values, list(range(6)))
