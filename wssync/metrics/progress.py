"""What a task can be asked about its progress."""

from __future__ import annotations

from ..hints import Callable

__all__ = ["Progress"]


class Progress:
    """How far a task has come (Apple: `Progress`). A WebSocket has no natural end, so the total is unknown until it
    ends.

    All values may be read from any thread at any time.
    """

    def __init__(self, count: Callable[[], int], is_finished: Callable[[], bool], cancel: Callable[[], None]) -> None:
        self._count = count
        self._is_finished = is_finished
        self._cancel = cancel

    @property
    def total_unit_count(self) -> int:
        """Bytes of messages in all, both directions; -1 as long as that is unknown."""
        return self._count() if self._is_finished() else -1

    @property
    def completed_unit_count(self) -> int:
        """Bytes of messages sent and received so far, before compression. Of a message that is still on its way, those
        that have come, and about those that have left, count too.
        """
        return self._count()

    @property
    def fraction_completed(self) -> float:
        """1.0 when the task has ended, 0.0 before."""
        return 1.0 if self._is_finished() else 0.0

    def cancel(self) -> None:
        """Cancel the task."""
        self._cancel()

    def __repr__(self) -> str:
        return f"<Progress {self.completed_unit_count} of {self.total_unit_count}>"
