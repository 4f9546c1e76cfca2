"""A function in a thread of its own, for the tests that need two of them at once."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Generic, List, Optional, TypeVar

__all__ = ["PATIENCE", "Running", "is_held"]

PATIENCE = 10.0
"""Seconds after which a thread that should have ended counts as hanging."""

T = TypeVar("T")


class Running(Generic[T]):
    """A function in a thread of its own, and its result or error."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._results: List[T] = []
        self._error: Optional[BaseException] = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        """Wait for its end."""
        self.thread.join(PATIENCE)
        if self.thread.is_alive():
            raise AssertionError("the thread hangs")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it has come so far; it must not end before."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if not self.thread.is_alive() or time.monotonic() > end:
                raise AssertionError("it did not come so far")

    def failed(self) -> bool:
        """Wait for its end, and tell whether that was an exception."""
        self.thread.join(PATIENCE)
        return self._error is not None

    def error(self) -> BaseException:
        """Wait for its end, which must be an exception."""
        try:
            result = self.result()
        except AssertionError:
            raise
        except BaseException as error:
            return error
        raise AssertionError(f"no exception, but {result!r}")


def is_held(lock: Any) -> bool:
    """Whether anybody has an `RLock`, this thread included."""
    if lock._is_owned():
        return True
    if not lock.acquire(False):
        return True
    lock.release()
    return False
