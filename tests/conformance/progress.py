"""Signs of life from runs that take minutes."""

from __future__ import annotations

import itertools
import time
from typing import Optional

__all__ = ["Progress"]

STRIDE = 50


class Progress:
    """Prints a line at every fiftieth step, and at the last of `count` (`None`: nobody knows how many there are).

    `step` may be called from any thread.
    """

    def __init__(self, count: Optional[int] = None) -> None:
        self._count = count
        self._numbers = itertools.count(1)
        self._began = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        number = next(self._numbers)
        if number % STRIDE == 0 or number == self._count:
            total = f" of {self._count}" if self._count is not None else ""
            print(f"{number}{total} after {time.monotonic() - self._began:.0f} s", flush=True)
