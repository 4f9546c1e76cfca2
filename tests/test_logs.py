"""The library's log."""

from __future__ import annotations

import logging
import unittest

from wssync.logs import log


class LogTests(unittest.TestCase):
    def test_it_is_the_logger_of_that_name(self) -> None:
        """So whoever configures `wssync` configures what is written; a record names the place it was written at."""
        self.assertIs(log(), logging.getLogger("wssync"))
        with self.assertLogs("wssync", "WARNING") as caught:
            log().warning("odd")
        self.assertEqual(caught.records[0].funcName, "test_it_is_the_logger_of_that_name")
