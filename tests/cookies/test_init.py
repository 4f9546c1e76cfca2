"""`wssync.cookies`: which cookies are stored."""

from __future__ import annotations

import unittest

from wssync.cookies import CookieAcceptPolicy


class PolicyTests(unittest.TestCase):
    """`CookieAcceptPolicy`."""

    def test_apples_numbers(self) -> None:
        """The policies have the numbers that Apple's have."""
        self.assertEqual([int(policy) for policy in CookieAcceptPolicy], [0, 1, 2])
        self.assertEqual([policy.name for policy in CookieAcceptPolicy][:2], ["ALWAYS", "NEVER"])


if __name__ == "__main__":
    unittest.main()
