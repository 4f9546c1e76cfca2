"""Errors that are kept, without the frames that they passed through."""

from __future__ import annotations

import unittest

from wssync.engine.tracebacks import drop_frames


class DropTests(unittest.TestCase):
    def test_all_behind_an_error(self) -> None:
        """Its cause and what was handled when it was raised are two; neither keeps a frame, even in a circle."""
        first, second, third = KeyError(1), KeyError(2), KeyError(3)
        try:
            try:
                raise first
            except KeyError:
                try:
                    raise second
                except KeyError:
                    raise third from first
        except KeyError:
            pass
        first.__cause__ = third
        self.assertEqual((third.__cause__, third.__context__), (first, second))
        drop_frames(third)
        self.assertEqual([error.__traceback__ for error in (first, second, third)], [None] * 3)


if __name__ == "__main__":
    unittest.main()
