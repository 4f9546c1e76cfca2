"""Progress."""

from __future__ import annotations

import unittest
from typing import List

from wssync.metrics import Progress


class ProgressTests(unittest.TestCase):
    def test_while_it_runs_the_total_is_unknown(self) -> None:
        """-1, and a fraction of 0."""
        progress = Progress(lambda: 7, lambda: False, lambda: None)
        self.assertEqual(
            (progress.completed_unit_count, progress.total_unit_count, progress.fraction_completed), (7, -1, 0.0)
        )
        self.assertEqual(repr(progress), "<Progress 7 of -1>")

    def test_at_the_end_it_is_what_was_done(self) -> None:
        """The total is the count, the fraction 1."""
        progress = Progress(lambda: 7, lambda: True, lambda: None)
        self.assertEqual(
            (progress.completed_unit_count, progress.total_unit_count, progress.fraction_completed), (7, 7, 1.0)
        )
        self.assertEqual(repr(progress), "<Progress 7 of 7>")

    def test_cancel(self) -> None:
        """It cancels the task."""
        cancelled: List[bool] = []
        Progress(lambda: 0, lambda: False, lambda: cancelled.append(True)).cancel()
        self.assertEqual(cancelled, [True])
