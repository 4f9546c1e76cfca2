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


if __name__ == "__main__":
    unittest.main()
