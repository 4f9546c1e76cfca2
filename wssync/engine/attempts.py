"""The time limits of one opening: the request's for each exchange, the resource's for all (rules 204 to 208)."""

from __future__ import annotations

import functools

from ..hints import Callable, Optional
from ..transport.clock import Clock, Deadline
from ..transport.waiting import Attempt, Waker

__all__ = ["Attempts"]


class Attempts:
    """The attempts whose waits are all that an opening blocks in.

    `check` comes by at each wait: it raises when the opening is to end, and may hold it with the deadline paused.
    """

    def __init__(
        self,
        waker: Waker,
        clock: Clock,
        check: Callable[[Deadline], None],
        *,
        request: Optional[float],
        resource: Optional[float],
    ) -> None:
        self._waker = waker
        self._clock = clock
        self._check = check
        self._resource = Deadline(clock, resource)
        self.whole = self._attempt(request, self._resource)
        """Everything that counts for the exchange under way."""

    @property
    def between(self) -> Attempt:
        """Waiting that is nobody's slowness: for one's turn, or for a network."""
        return self._attempt(None, self._resource)

    def part(self, seconds: float) -> Attempt:
        """A smaller limit within the exchange."""
        return self._attempt(seconds, self.whole.deadline)

    def _attempt(self, seconds: Optional[float], within: Deadline) -> Attempt:
        deadline = Deadline(self._clock, seconds, within)
        return Attempt(self._waker, deadline, functools.partial(self._check, deadline))
