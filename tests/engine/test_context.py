"""What all parts of one opening share."""

from __future__ import annotations

import unittest
from typing import Any

from wssync.engine.context import Context


class ContextTests(unittest.TestCase):
    def test_functions_stay_functions(self) -> None:
        """What is called through it gets what it is given, and not the context as well."""
        heard = []
        any_part: Any = None
        context = Context(
            any_part, any_part, any_part, lambda *event: heard.append(event), self.fail, self.fail, self.fail
        )
        context.trace("event")
        self.assertEqual(heard, [("event",)])


if __name__ == "__main__":
    unittest.main()
