"""Time, in one place, so that a test can hold it in its hand.

Everything that waits while a connection is opened (the resolver, each connect, the TLS handshake, redirects) shares one
`Deadline`: a limit on the whole, which bytes that trickle in do not restart. While a question waits for its answer
from the user, the deadline is paused: the user's thinking is not the network's slowness.

Both classes belong to the one thread that opens the connection; nothing here is locked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from typing import Protocol

    class Wakes(Protocol):
        """Somebody who sleeps."""

        def wake(self) -> None: ...


__all__ = ["Clock", "Deadline", "reading", "real_now"]

real_now = time.monotonic
"""Real seconds, whatever clock a connection has: for what is about threads, and not about the protocol."""


class Clock:
    """The monotonic clock; a test passes a kind of its own.

    Whoever moves such a clock must also wake those who wait by it: they sleep in real time. A connection's thread can
    be woken by the waker that it was announced with (`attend`), a caller waits through `wait`.
    """

    def now(self) -> float:
        """Seconds since some fixed moment, never going back."""
        return time.monotonic()

    def attend(self, waker: Wakes) -> None:
        """From now on somebody sleeps by this clock, and looks at it again when `waker` is woken; it is kept weakly."""

    def wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
        """Whether `wait`, which is given a time to wait really, was successful within `seconds` of this clock."""
        return wait(seconds)


def reading(clock: Clock) -> Callable[[], float]:
    """`clock.now`, for somebody who asks with every message: by one call less where it is the system's clock."""
    return time.monotonic if type(clock).now is Clock.now else clock.now


class Deadline:
    """A time limit of `seconds` from its creation, or none at all (`None`).

    It can be paused, also several times within each other; while it is paused it does not come nearer.
    """

    def __init__(self, clock: Clock, seconds: Optional[float]) -> None:
        self.clock = clock
        self.seconds = seconds
        self._started = clock.now()
        self._paused_at = 0.0
        self._pauses = 0

    def remaining(self) -> Optional[float]:
        """Seconds left, 0.0 when it has passed, `None` when there is no limit."""
        if self.seconds is None:
            return None
        now = self._paused_at if self._pauses else self.clock.now()
        return max(0.0, self._started + self.seconds - now)

    def expired(self) -> bool:
        """Whether the time is up."""
        return self.remaining() == 0.0

    def pause(self) -> None:
        """Let time stand still until the matching `resume()`."""
        if not self._pauses:
            self._paused_at = self.clock.now()
        self._pauses += 1

    def resume(self) -> None:
        """Undo one `pause()`; RuntimeError if there is none to undo."""
        if not self._pauses:
            raise RuntimeError("this deadline is not paused")
        self._pauses -= 1
        if not self._pauses:
            self._started += self.clock.now() - self._paused_at
