"""Time, in one place, so that a test can hold it in its hand.

Everything that waits while a connection is opened (the resolver, each connect, the TLS handshake, redirects) shares one
`Deadline`: a limit on the whole, which bytes that trickle in do not restart. While a question waits for its answer
from the user, the deadline is paused: the user's thinking is not the network's slowness.

Both classes belong to the one thread that opens the connection; nothing here is locked.
"""

from __future__ import annotations

import time

from ..hints import TYPE_CHECKING, Callable, Optional, Protocol

if TYPE_CHECKING:

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

    It can be paused, also several times within each other; while it is paused it does not come nearer. `within` is the
    limit of something larger that this is a part of, with pauses of its own: whichever of the two is nearer counts.
    """

    def __init__(self, clock: Clock, seconds: Optional[float], within: Optional[Deadline] = None) -> None:
        self.clock = clock
        self._seconds = seconds
        self._within = within
        self._started = clock.now()
        self._paused_at = 0.0
        self._pauses = 0

    @property
    def seconds(self) -> Optional[float]:
        """The limit that is nearer, as a whole."""
        now, within = self.clock.now(), self._within
        own, left = self._own_left(now), None if within is None else within._left(now)
        if within is not None and left is not None and (own is None or left < own):
            return within.seconds
        return self._seconds

    def remaining(self) -> Optional[float]:
        """Seconds left, 0.0 when it has passed, `None` when there is no limit."""
        return self._left(self.clock.now())

    def _left(self, now: float) -> Optional[float]:
        own, within = self._own_left(now), self._within
        left = None if within is None else within._left(now)
        return own if left is None else left if own is None else min(own, left)

    def _own_left(self, now: float) -> Optional[float]:
        if self._seconds is None:
            return None
        return max(0.0, self._started + self._seconds - (self._paused_at if self._pauses else now))

    def expired(self) -> bool:
        """Whether the time is up."""
        return self.remaining() == 0.0

    def limit(self, seconds: Optional[float]) -> None:
        """Make its own time that long, counted from where it began."""
        self._seconds = seconds

    def restart(self) -> None:
        """Begin afresh with the whole of its own time; a pause goes on."""
        self._started = self._paused_at = self.clock.now()

    def pause(self, *, alone: bool = False) -> None:
        """Let time stand still until the matching `resume()`, also for what this is `within`, unless `alone`."""
        if not self._pauses:
            self._paused_at = self.clock.now()
        self._pauses += 1
        if self._within is not None and not alone:
            self._within.pause()

    def resume(self, *, alone: bool = False) -> None:
        """Undo one `pause()`; RuntimeError if there is none to undo."""
        if not self._pauses:
            raise RuntimeError("this deadline is not paused")
        self._pauses -= 1
        if not self._pauses:
            self._started += self.clock.now() - self._paused_at
        if self._within is not None and not alone:
            self._within.resume()
