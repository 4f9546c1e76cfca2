"""Messages that were handed to the executor and whose handlers have not returned: they count as unread.

Else a flood would only move: from a buffer that has a limit to an executor that has none. Every method needs the
connection's mutex.

Counting is a step of something larger, and an interrupt may come after any call: what was counted and not handed out
would be counted for ever. So a count is prepared here, as an iterator that makes it when somebody exhausts it; whoever
hands the messages out does that in the same call (see `Strand.put_entry`).
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from itertools import repeat

from ..hints import Callable, Deque, Iterable, List, Optional
from ..strand import Series
from .completions import Message, Result
from .queues import EMPTY_LIST, own_list

__all__ = ["Handed", "series_of"]

_as_result = functools.partial(tuple.__new__, Result)
"""What `Result` does with a pair, without a call of Python's for each message."""


class Handed:
    """The messages on the executor: of single receives, and of `receive_each`."""

    __slots__ = ("__dict__", "_series", "_sizes")

    def __init__(self) -> None:
        self._sizes: Optional[Deque[int]] = None  # most connections have no handlers, and a deque is heavy, empty too
        self._series: List[Series] = EMPTY_LIST

    def counting(self, message: Message) -> Iterable[None]:
        """Counts one that goes to the handler of a receive."""
        if self._sizes is None:
            self._sizes = deque()
        return map(self._sizes.append, (sys.getsizeof(message),))

    def returned(self) -> None:
        """A handler has returned: the one whose message was handed out first, as they never overlap.

        Its size is the one from then: a `str` may have grown meanwhile, by a UTF-8 form that it keeps.
        """
        assert self._sizes is not None, "none was handed out"
        self._sizes.popleft()

    def counting_series(self, series: Series) -> Iterable[None]:
        """Counts all of these, which go to one handler, one after the other."""
        self._series = own_list(self._series)
        return map(self._series.append, (series,))

    def __len__(self) -> int:
        series = self._series
        while series and not series[0].values:
            series.pop(0)
        return len(self._sizes or ()) + sum(len(one.values) for one in series)

    @property
    def size(self) -> int:
        """Bytes of memory that they take; for few of them."""
        waiting: List[Result] = []
        for series in self._series:
            waiting.extend(tuple(series.values))  # a copy, made in one call: the executor takes them without the mutex
        return sum(self._sizes or ()) + sum(sys.getsizeof(result.message) for result in waiting)


def series_of(
    messages: Iterable[Message], handler: Callable[[Result], object], low: int, ran_low: Callable[[], None]
) -> Series:
    """A `Series` of these messages, as the handler of a receive gets them."""
    return Series(handler, deque(map(_as_result, zip(messages, repeat(None)))), low, ran_low)
