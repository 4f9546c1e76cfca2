"""What a server's connection has still to send, and in which pieces it is to go.

A test decides where the bytes are divided and where they end, and it counts them in the order in which they were
queued: what another thread sends meanwhile, or a pong, is divided and cut like everything else. The bytes are those of
the application, so over TLS each piece is a record and the cut comes behind a whole one.

This is bookkeeping alone; `wssync.testing.wire` calls it under its lock and does the sending.
"""

from __future__ import annotations

import collections
import time
from typing import Deque, Iterable, List, NamedTuple, Optional, Tuple, Union

__all__ = ["CutReached", "Outgoing"]


class CutReached(OSError):
    """All bytes before the cut are sent, and none may follow: the connection is to be cut now, by RST if `reset`."""

    def __init__(self, reset: bool) -> None:
        super().__init__("this is where the connection is cut")
        self.reset = reset


class _Stretch(NamedTuple):
    """Bytes that go out in pieces of one size; `None` means as large as they come."""

    data: memoryview
    size: Optional[int]
    pause: float


class _Cut(NamedTuple):
    """Nothing follows."""

    reset: bool


class Outgoing:
    """A queue of bytes that gives them out in pieces. Not thread-safe."""

    def __init__(self) -> None:
        self._queue: Deque[Union[_Stretch, _Cut]] = collections.deque()
        self._position = 0
        self._size: Optional[int] = None
        self._pause = 0.0
        self._splits: List[int] = []
        self._cut: Optional[Tuple[int, _Cut]] = None
        self._rest: Optional[float] = None
        self._due = 0.0

    def __bool__(self) -> bool:
        """Whether something is left to do."""
        return bool(self._queue)

    def in_pieces(self, size: Optional[int], pause: float) -> None:
        """Divide what is queued from now on into pieces of `size` bytes, each `pause` seconds after the one before.

        The last piece of what was queued at once may be smaller. `None` stops dividing. ValueError below 1 and 0,
        TypeError for no number.
        """
        if size is not None:
            _check_integer("a size", size)
        if isinstance(pause, bool) or not isinstance(pause, (int, float)):
            raise TypeError(f"a pause is a number of seconds, not {pause!r}")
        if (size is not None and size < 1) or not pause >= 0:
            raise ValueError(f"pieces have at least one byte and no negative pause, not {size} and {pause}")
        self._size, self._pause = size, pause

    def split_at(self, positions: Iterable[int]) -> None:
        """Begin a new piece at each of these positions, counted from what is queued next. ValueError below 1.

        TypeError for no int.
        """
        wanted = list(positions)
        for position in wanted:
            _check_integer("a position", position)
        if any(position < 1 for position in wanted):
            raise ValueError(f"bytes can be split at positions from 1 on, not at {wanted}")
        self._splits = sorted({*self._splits, *(self._position + position for position in wanted)})

    def cut_after(self, count: int, reset: bool) -> None:
        """Let nothing but the next `count` bytes pass, unless an earlier cut leaves even fewer. ValueError below 0.

        TypeError for no int.
        """
        _check_integer("a count", count)
        if count < 0:
            raise ValueError(f"a connection can be cut after 0 bytes or more, not after {count}")
        if self._cut is None or self._position + count < self._cut[0]:
            self._cut = self._position + count, _Cut(reset)
        self._mark_cut()

    def append(self, data: bytes) -> None:
        """Queue `data`, as far as no cut lies before it."""
        start = self._position
        view = memoryview(data)
        if self._cut is not None:
            view = view[: self._cut[0] - start]
        self._position += len(view)
        inner = [split - start for split in self._splits if split < self._position]
        self._splits = [split for split in self._splits if split > self._position]
        for first, last in zip([0, *inner], [*inner, len(view)]):
            if first < last:
                self._queue.append(_Stretch(view[first:last], self._size, self._pause))
        self._mark_cut()

    def take(self, limit: Optional[int] = None) -> memoryview:
        """The next piece, which is then to be sent; no bytes if there is none, or it is not time yet.

        Where nobody has asked for pieces it has at most `limit` bytes. CutReached when nothing may follow any more.
        """
        if not self._queue:
            return memoryview(b"")
        first = self._queue[0]
        if isinstance(first, _Cut):
            raise CutReached(first.reset)
        if self.delay() > 0:
            return memoryview(b"")
        self._queue.popleft()
        size = limit if first.size is None else first.size
        piece = first.data[:size]
        if len(piece) < len(first.data):
            self._queue.appendleft(first._replace(data=first.data[len(piece) :]))
        self._rest = first.pause
        return piece

    def sent(self) -> None:
        """The kernel has all of the last piece: the pause before the next one begins. Again does nothing."""
        if self._rest is not None:
            self._due, self._rest = time.monotonic() + self._rest, None

    def delay(self) -> float:
        """Seconds until the next piece may go."""
        return max(0.0, self._due - time.monotonic())

    def clear(self) -> None:
        """Forget everything that is queued."""
        self._queue.clear()

    def _mark_cut(self) -> None:
        if self._cut is not None and self._position == self._cut[0]:
            self._queue.append(self._cut[1])


def _check_integer(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} of bytes is an int, not {value!r}")
