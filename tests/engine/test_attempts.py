"""The time limits of one opening."""

from __future__ import annotations

import unittest
from typing import List

from wssync.engine.attempts import Attempts
from wssync.errors import TimedOut
from wssync.transport.clock import Deadline
from wssync.transport.waiting import Waker

from ..clock import StillClock


class AttemptsTests(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = StillClock()
        self.waker = Waker()
        self.addCleanup(self.waker.close)
        self.checked: List[Deadline] = []
        self.attempts = Attempts(self.waker, self.clock, self.checked.append, request=10.0, resource=25.0)

    def test_each_exchange_has_the_request_s(self) -> None:
        """Rule 208: a redirect or a challenge restarts it, and the resource's goes on."""
        whole = self.attempts.whole.deadline
        self.clock.advance(9)
        whole.restart()
        self.clock.advance(9)
        self.assertEqual((whole.remaining(), self.attempts.between.deadline.remaining()), (1, 7))
        whole.restart()
        self.assertEqual((whole.remaining(), whole.seconds), (7, 25))

    def test_the_message_tells_the_limit_that_was_reached(self) -> None:
        """Rules 204 and 207: the request's or the resource's."""
        self.clock.advance(10)
        with self.assertRaisesRegex(TimedOut, "after 10 seconds"):
            self.attempts.whole.wait()
        self.clock.advance(15)
        self.attempts.whole.deadline.restart()
        for attempt in (self.attempts.whole, self.attempts.between):
            with self.assertRaisesRegex(TimedOut, "after 25 seconds"):
                attempt.wait()

    def test_a_part(self) -> None:
        """A smaller limit, which does not make the whole larger."""
        part = self.attempts.part(5.0)
        self.assertEqual(part.deadline.remaining(), 5)
        self.clock.advance(4)
        self.assertEqual(self.attempts.part(50.0).deadline.remaining(), 6)
        self.clock.advance(1)
        with self.assertRaisesRegex(TimedOut, "after 5 seconds"):
            part.wait()

    def test_each_is_checked_with_its_own_deadline(self) -> None:
        """So that whoever holds it pauses the right one."""
        attempts = self.attempts.whole, self.attempts.between, self.attempts.part(5.0)
        for attempt in attempts:
            attempt.check()
        self.assertEqual(self.checked, [attempt.deadline for attempt in attempts])


if __name__ == "__main__":
    unittest.main()
