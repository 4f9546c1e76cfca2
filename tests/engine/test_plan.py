"""What is to be opened."""

from __future__ import annotations

import unittest

from wssync.configuration import SessionConfiguration
from wssync.engine.gate import Gate
from wssync.engine.plan import Plan
from wssync.protocol.http1 import Request

from .support import URL


class PlanTests(unittest.TestCase):
    def test_patience(self) -> None:
        """Rules 204 and 205: the request's own limit goes before the configuration's."""
        for own, request, expected in ((None, 60.0, 60.0), (5.0, 60.0, 5.0), (100.0, 60.0, 100.0), (None, None, None)):
            configuration = SessionConfiguration(timeout_interval_for_request=request)
            plan = Plan(Request(URL, timeout_interval=own), (), configuration, lambda: self.fail(), Gate(6))
            self.assertEqual(plan.patience, expected)
            self.assertEqual(str(plan.url), URL)


if __name__ == "__main__":
    unittest.main()
