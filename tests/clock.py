"""A clock that stands still, for scripts that play the part of a connection's thread themselves.

The shipped `wssync.testing.FakeClock` stays in `advance` until the threads that sleep by it have seen what time it is.
A test below the tasks has no such thread, and would wait for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from wssync.transport.clock import Clock

if TYPE_CHECKING:
    from wssync.transport.clock import Wakes

__all__ = ["StillClock"]


class StillClock(Clock):
    """Goes on when it is told to, and wakes who sleeps by it."""

    def __init__(self) -> None:
        self.time = self.start = 1000.0
        self.wakers: List[Wakes] = []

    def now(self) -> float:
        """The time it was set to."""
        return self.time

    def attend(self, waker: Wakes) -> None:
        """See `Clock.attend`."""
        self.wakers.append(waker)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        for waker in list(self.wakers):
            waker.wake()
