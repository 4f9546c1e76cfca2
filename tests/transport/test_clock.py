"""Tests of `wssync.transport.clock`."""

from __future__ import annotations

import time
import unittest
from unittest import mock

from tests.clock import StillClock
from wssync.transport.clock import Clock, Deadline


class ClockTests(unittest.TestCase):
    """The clock that is used outside of tests."""

    def test_it_is_the_monotonic_clock(self) -> None:
        """Setting the system's time moves no deadline: `now` is `time.monotonic`."""
        with mock.patch.object(time, "monotonic", return_value=12.5):
            self.assertEqual(Clock().now(), 12.5)


class DeadlineTests(unittest.TestCase):
    """A limit in time, with a clock in the hand."""

    def setUp(self) -> None:
        self.clock = StillClock()
        self.deadline = Deadline(self.clock, 10.0)

    def test_it_comes_nearer_as_time_passes(self) -> None:
        """Rule 204: what remains is the limit less the time since the creation, and no event restarts it."""
        self.assertEqual(self.deadline.remaining(), 10.0)
        self.clock.advance(4.0)
        self.assertEqual(self.deadline.remaining(), 6.0)
        self.assertFalse(self.deadline.expired())

    def test_it_expires_on_the_moment(self) -> None:
        """When the limit is reached it has expired, and nothing remains."""
        self.clock.advance(10.0)
        self.assertTrue(self.deadline.expired())
        self.assertEqual(self.deadline.remaining(), 0.0)

    def test_what_remains_is_never_negative(self) -> None:
        """Long after the limit the remaining time is 0, which can be given to a wait as it is."""
        self.clock.advance(1e6)
        self.assertEqual(self.deadline.remaining(), 0.0)
        self.assertTrue(self.deadline.expired())

    def test_without_a_limit_it_never_expires(self) -> None:
        """`None` seconds: nothing remains to be counted, and no time is too long."""
        endless = Deadline(self.clock, None)
        self.clock.advance(1e9)
        self.assertIsNone(endless.remaining())
        self.assertFalse(endless.expired())

    def test_time_stands_still_while_it_is_paused(self) -> None:
        """Between `pause` and `resume` nothing is used up; afterwards it goes on from there."""
        self.clock.advance(3.0)
        self.deadline.pause()
        self.clock.advance(100.0)
        self.assertEqual(self.deadline.remaining(), 7.0)
        self.deadline.resume()
        self.assertEqual(self.deadline.remaining(), 7.0)
        self.clock.advance(2.0)
        self.assertEqual(self.deadline.remaining(), 5.0)

    def test_pauses_nest(self) -> None:
        """Only the last `resume` lets time go on, and the whole of the pause counts once."""
        self.deadline.pause()
        self.clock.advance(1.0)
        self.deadline.pause()
        self.clock.advance(1.0)
        self.deadline.resume()
        self.clock.advance(1.0)
        self.assertEqual(self.deadline.remaining(), 10.0)
        self.deadline.resume()
        self.assertEqual(self.deadline.remaining(), 10.0)
        self.clock.advance(10.0)
        self.assertTrue(self.deadline.expired())

    def test_a_resume_without_a_pause_is_a_mistake(self) -> None:
        """An unmatched `resume` raises RuntimeError and changes nothing."""
        with self.assertRaises(RuntimeError):
            self.deadline.resume()
        self.assertEqual(self.deadline.remaining(), 10.0)


class WithinTests(unittest.TestCase):
    """A limit that is part of a larger one."""

    def setUp(self) -> None:
        self.clock = StillClock()
        self.larger = Deadline(self.clock, 25.0)
        self.deadline = Deadline(self.clock, 10.0, within=self.larger)

    def test_the_nearer_one_counts(self) -> None:
        """And that is the one whose seconds are told."""
        self.assertEqual((self.deadline.remaining(), self.deadline.seconds), (10, 10))
        self.clock.advance(20)
        self.assertEqual(self.deadline.remaining(), 0)
        self.deadline.restart()
        self.assertEqual((self.deadline.remaining(), self.deadline.seconds), (5, 25))

    def test_without_a_limit_of_its_own(self) -> None:
        """The larger one counts; and a limit within nothing is its own."""
        self.assertEqual(Deadline(self.clock, None, within=self.larger).remaining(), 25)
        endless = Deadline(self.clock, None)
        self.assertEqual(Deadline(self.clock, 5.0, within=endless).remaining(), 5)
        self.assertEqual(Deadline(self.clock, 5.0, within=endless).seconds, 5)
        self.assertIsNone(Deadline(self.clock, None, within=endless).remaining())

    def test_a_pause_is_for_both(self) -> None:
        """While the task is suspended nothing comes nearer."""
        self.deadline.pause()
        self.clock.advance(100)
        self.deadline.resume()
        self.assertEqual((self.deadline.remaining(), self.larger.remaining()), (10, 25))

    def test_a_pause_alone(self) -> None:
        """Rule 79: while a user thinks, the larger one goes on."""
        self.deadline.pause(alone=True)
        self.clock.advance(20)
        self.assertEqual((self.deadline.remaining(), self.larger.remaining()), (5, 5))
        self.deadline.resume(alone=True)
        self.assertEqual(self.deadline.seconds, 25)

    def test_another_limit(self) -> None:
        """It counts from where the time began, and may be none."""
        deadline = Deadline(self.clock, 10.0)
        self.clock.advance(4.0)
        deadline.limit(5.0)
        self.assertEqual((deadline.remaining(), deadline.seconds), (1.0, 5.0))
        deadline.limit(None)
        self.assertIsNone(deadline.remaining())

    def test_a_restart_within_a_pause(self) -> None:
        """The pause goes on: time begins to count when it ends."""
        self.deadline.pause(alone=True)
        self.clock.advance(4)
        self.deadline.restart()
        self.clock.advance(4)
        self.assertEqual(self.deadline.remaining(), 10)
        self.deadline.resume(alone=True)
        self.assertEqual(self.deadline.remaining(), 10)


if __name__ == "__main__":
    unittest.main()
