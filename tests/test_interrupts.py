"""The tool that strikes at a chosen moment."""

from __future__ import annotations

import gc
import unittest
from typing import Any, List

from tests.interrupts import interrupted_at
from wssync.transport.waiting import Waker


class InterruptedAtTests(unittest.TestCase):
    """`interrupted_at`."""

    def setUp(self) -> None:
        self.addCleanup(gc.collect)
        self.waker = Waker()

    def wake(self) -> int:
        """Something that makes calls in the package."""
        self.waker.wake()
        return self.waker.fileno()

    def test_each_call_is_struck(self) -> None:
        """One after the other, until there are no more; then nothing is struck."""
        struck: List[bool] = []
        while not struck or struck[-1]:
            done: List[int] = []
            struck.append(interrupted_at(len(struck), lambda done=done: done.append(self.wake())))  # type: ignore[misc]
            self.assertNotEqual(struck[-1], bool(done))
        self.assertGreater(len(struck), 1)

    def test_a_finalizer_of_what_was_lost_before_is_not_struck(self) -> None:
        """It would be struck in the place of the call."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        wakers = [Waker()]

        def call() -> None:
            gc.set_threshold(0)
            lost: List[Any] = [wakers.pop()]
            lost.append(lost)
            del lost
            gc.set_threshold(1)
            self.assertTrue([[] for _ in range(100)])

        self.assertFalse(interrupted_at(0, call))
        self.assertTrue(gc.isenabled())

    def test_collecting_stays_off_where_it_was(self) -> None:
        """As it was before."""
        self.addCleanup(gc.enable)
        gc.disable()
        interrupted_at(0, self.wake)
        self.assertFalse(gc.isenabled())


if __name__ == "__main__":
    unittest.main()
