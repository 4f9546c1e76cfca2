"""What is counted of what comes, in both forms."""

from __future__ import annotations

import unittest
from typing import Any, Callable

from tests.support import cases, with_cases
from wssync.engine.accelerated import make_tally
from wssync.engine.tally import Tally

FORMS = {"in Python": Tally, "chosen": make_tally}


@with_cases
class TallyTests(unittest.TestCase):
    @cases(FORMS)
    def test_it_counts_from_nothing(self, make: Callable[[], Any]) -> None:
        """Each count by itself, beyond what 32 bits hold; there are no others."""
        tally = make()
        names = ("messages", "received", "turns", "wire")
        self.assertEqual([getattr(tally, name) for name in names], [0] * 4)
        tally.received += 5
        tally.received += 1 << 40
        tally.messages += 1
        tally.wire += 7
        tally.turns += 2
        self.assertEqual([getattr(tally, name) for name in names], [1, (1 << 40) + 5, 2, 7])
        with self.assertRaises(AttributeError):
            tally.other = 1


if __name__ == "__main__":
    unittest.main()
