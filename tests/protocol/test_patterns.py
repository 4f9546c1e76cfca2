"""Patterns that are compiled by the first text: wssync/protocol/patterns.py."""

from __future__ import annotations

import re
import unittest

from wssync.protocol.patterns import pattern


class PatternTests(unittest.TestCase):
    def test_it_has_the_methods_of_a_compiled_one(self) -> None:
        """With their arguments, again and again."""
        digits = pattern("[0-9]+")
        for _ in range(2):
            self.assertEqual(digits.sub("#", "a1b22"), "a#b#")
            found = digits.match("a1b22", 3)
            self.assertEqual(found and found.span(), (3, 5))
            self.assertIsNone(digits.fullmatch("1b"))
        self.assertEqual(digits.pattern, "[0-9]+")

    def test_it_is_compiled_when_it_is_used(self) -> None:
        """Until then even a bad one is fine."""
        bad = pattern("(")
        with self.assertRaises(re.error):
            bad.match("(")


if __name__ == "__main__":
    unittest.main()
