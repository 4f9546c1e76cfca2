"""Queues that are made when something is put in: a deque is heavy, empty too, and most connections are idle."""

from __future__ import annotations

from collections import deque

from ..hints import Any, Deque, List, TypeVar

__all__ = ["EMPTY", "EMPTY_LIST", "own", "own_list"]

T = TypeVar("T")

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
