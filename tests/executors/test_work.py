"""One piece of work."""

from __future__ import annotations

import unittest
from concurrent.futures import Future
from typing import Any

from wssync.executors.work import run_work


class WorkTests(unittest.TestCase):
    def test_its_result_its_error_and_its_cancellation(self) -> None:
        """All in its future; what it raises is returned as well."""
        future: Future[Any] = Future()
        self.assertIsNone(run_work((future, divmod, (7, 2), {})))
        self.assertEqual(future.result(), (3, 1))
        future = Future()
        error = run_work((future, int, ("x",), {"base": 10}))
        self.assertIs(future.exception(), error)
        self.assertIsInstance(error, ValueError)
        future = Future()
        future.cancel()
        self.assertIsNone(run_work((future, self.fail, (), {})))
