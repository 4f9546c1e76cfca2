"""`AsyncioExecutor`: callbacks in a loop of asyncio."""

from __future__ import annotations

import asyncio
import weakref

from ..hints import Optional
from .looping import LoopExecutor

__all__ = ["AsyncioExecutor"]

YEAR = 365 * 86_400


class AsyncioExecutor(LoopExecutor):
    """Runs callbacks in an asyncio loop: in `loop`, or in the one that runs where this is made.

    They are plain functions and must not block. When the loop is closed, as at the end of `asyncio.run`, `submit`
    raises. A loop that was closed before, or none that runs, is a `RuntimeError` at once.
    """

    def __init__(self, loop: Optional[asyncio.AbstractEventLoop] = None) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop() if loop is None else loop
        self._loop.call_soon_threadsafe(_Guard(self, self._loop))

    def is_current(self) -> bool:
        """Whether the caller runs in that loop."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._turn)

    def _closed(self) -> None:
        self._end("the asyncio loop was closed")


class _Guard:
    """A call that the loop always has before it, in a year: when the loop is closed it lets go of it.

    Nothing else tells that a loop was closed. The executor is not kept.
    """

    def __init__(self, executor: AsyncioExecutor, loop: asyncio.AbstractEventLoop) -> None:
        self._executor = weakref.ref(executor)
        self._loop = loop

    def __call__(self) -> None:
        self._loop.call_later(YEAR, self)

    def __del__(self) -> None:
        executor = self._executor()
        if executor is not None and self._loop.is_closed():
            executor._closed()
