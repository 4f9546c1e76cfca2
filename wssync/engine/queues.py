"""Queues that are made when something is put in: a deque is heavy, empty too, and most connections are idle.

Those of received messages are rows where there is the accelerator (see `protocol.speed`): what lies in them is made an
object when it is taken.
"""

from __future__ import annotations

from collections import deque

from ..hints import Any, Deque, List, TypeVar, Union
from ..protocol.speed import ROW, Row

__all__ = ["EMPTY", "EMPTY_LIST", "Ready", "basket", "own", "own_list", "own_row"]

T = TypeVar("T")

Ready = Union[Deque[Union[str, bytes]], Row]
"""A queue of received messages."""

MANY = 512
"""Bytes from which on there may well be more than one message in them; for one a list costs less than a row."""

EMPTY: Deque[Any] = deque()
"""What stands for a queue in which nothing was yet. Nothing is ever put in it; all connections have the same."""

EMPTY_LIST: List[Any] = []
"""The same for a short queue that is a list."""


def own(queue: Deque[T]) -> Deque[T]:
    """The queue to put something in: this one, or a new one where there is none yet."""
    return deque() if queue is EMPTY else queue


def own_list(items: List[T]) -> List[T]:
    """The list to put something in, in the same way."""
    return [] if items is EMPTY_LIST else items


def own_row(queue: Ready) -> Ready:
    """The queue to put messages in, in the same way."""
    if queue is not EMPTY:
        return queue
    return deque() if ROW is None else ROW()


def basket(size: int) -> Union[List[Any], Row]:
    """What to decode so many bytes into."""
    return [] if ROW is None or size < MANY else ROW()
