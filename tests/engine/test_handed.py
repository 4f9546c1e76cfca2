"""Messages on the executor, which count as unread."""

from __future__ import annotations

import codecs
import contextlib
import sys
import time
import unittest
from collections import deque
from typing import Deque, List

from wssync.engine.completions import Message, Result
from wssync.engine.handed import Handed, series_of
from wssync.strand import Series


class HandedTests(unittest.TestCase):
    def setUp(self) -> None:
        self.handed = Handed()
        self.got: List[Result] = []

    def series(self, *messages: Message, low: int = 0) -> Series:
        series = series_of(messages, self.got.append, low, lambda: self.got.append(Result()))
        list(self.handed.counting_series(series))
        return series

    def hand(self, message: Message) -> None:
        list(self.handed.counting(message))

    def run_one(self, series: Series) -> None:
        self.assertEqual(series.run(1, time.monotonic() + 1000), 1)

    def test_one_by_one(self) -> None:
        """Rule 123: each counts, with the memory it takes, until its handler has returned."""
        self.assertEqual((len(self.handed), self.handed.size), (0, 0))
        sizes = [sys.getsizeof("text"), sys.getsizeof(bytes(1000))]
        self.hand("text")
        self.hand(bytes(1000))
        self.assertEqual((len(self.handed), self.handed.size), (2, sum(sizes)))
        self.handed.returned()
        self.assertEqual((len(self.handed), self.handed.size), (1, sizes[1]))
        self.handed.returned()
        self.assertEqual((len(self.handed), self.handed.size), (0, 0))

    def test_a_count_that_is_prepared(self) -> None:
        """It counts once it is made."""
        counting = self.handed.counting("text")
        series = self.handed.counting_series(series_of(["a"], self.got.append, 0, lambda: None))
        self.assertEqual((len(self.handed), self.handed.size), (0, 0))
        self.assertEqual([*counting, *series], [None, None])
        self.assertEqual(len(self.handed), 2)

    def test_a_text_that_grows(self) -> None:
        """What is taken off is what was put on: a `str` keeps its UTF-8 form once somebody has asked for that."""
        text = "\u00e4" * 100
        self.hand(text)
        grown = self.handed.size
        with contextlib.suppress(LookupError):
            codecs.lookup(text)
        self.assertGreater(sys.getsizeof(text), grown)
        self.handed.returned()
        self.assertEqual(self.handed.size, 0)

    def test_series(self) -> None:
        """The messages of several series count until their handlers have returned, those of single receives too."""
        one, other = self.series("a", b"b"), self.series("c")
        self.hand("d")
        size = sum(map(sys.getsizeof, ("a", b"b", "c", "d")))
        self.assertEqual((len(self.handed), self.handed.size), (4, size))
        self.run_one(one)
        self.assertEqual((len(self.handed), self.handed.size), (3, size - sys.getsizeof("a")))
        self.run_one(one)
        self.assertEqual(len(self.handed), 2)
        self.run_one(other)
        self.assertEqual(len(self.handed), 1)
        self.handed.returned()
        self.assertEqual((len(self.handed), self.handed.size), (0, 0))
        self.assertFalse(self.handed._series, "those that are over are kept")

    def test_a_message_counts_while_its_handler_runs(self) -> None:
        """Else a slow handler's message would be nowhere."""
        counts: List[int] = []
        values: Deque[Message] = deque(["a", "b"])
        series = series_of(values, lambda result: counts.append(len(self.handed)), 0, lambda: None)
        list(self.handed.counting_series(series))
        series.run(2, time.monotonic() + 1000)
        self.assertEqual(counts, [2, 1])
        self.assertEqual(list(values), ["a", "b"], "the caller's own")

    def test_what_the_handler_gets(self) -> None:
        """A `Result` for each, as from a single receive; and a call when few are left."""
        series = self.series("a", b"b", low=2)
        self.run_one(series)
        self.run_one(series)
        self.assertEqual(self.got, [Result("a"), Result(), Result(b"b"), Result()])
        for result in self.got:
            self.assertIs(type(result), Result)
        self.assertEqual((self.got[0].get(), self.got[0].error), ("a", None))


if __name__ == "__main__":
    unittest.main()
