"""Queues that are made when something is put in: a deque is heavy, empty too, and most connections are idle."""

from __future__ import annotations

from collections import deque

from ..hints import Any, Deque, TypeVar

__all__ = ["EMPTY", "own"]

T = TypeVar("T")

EMPTY: Deque[Any] = deque()
"""What stands for a queue in which nothing was yet. Nothing is ever put in it; all connections have the same."""


def own(queue: Deque[T]) -> Deque[T]:
    """The queue to put something in: this one, or a new one where there is none yet."""
    return deque() if queue is EMPTY else queue
