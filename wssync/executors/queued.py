"""`QueueExecutor`: callbacks wait until a loop of one's own comes to them."""

from __future__ import annotations

import queue
import threading

from ..hints import Any, Callable, Optional, Tuple

__all__ = ["QueueExecutor"]


class QueueExecutor:
    """Keeps callbacks until `run_pending` is called, and runs them there: for tests, games and loops of one's own.

    Every callback runs on the thread that calls `run_pending`, so a program may own that thread completely.
    """

    def __init__(self) -> None:
        self._pending: queue.SimpleQueue[Tuple[Callable[..., object], Tuple[Any, ...]]] = queue.SimpleQueue()
        self._runner: Optional[int] = None

    def is_current(self) -> bool:
        """Whether the caller is on the thread that ran the queue last."""
        return self._runner == threading.get_ident()

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Queue `fn(*args)`; any thread may call it, it never blocks."""
        self._pending.put((fn, args))

    def run_pending(self, timeout: Optional[float] = 0) -> int:
        """Run what is queued at this moment and return how many pieces of work that were.

        With nothing queued it waits up to `timeout` seconds (`None`: for ever) for the first. What the callbacks queue
        themselves is left for the next call, so a loop that draws frames in between stays alive.
        """
        self._runner = threading.get_ident()
        waiting = self._pending.qsize()
        if not waiting:
            try:
                fn, args = self._pending.get(timeout != 0, timeout or None)
            except queue.Empty:
                return 0
            fn(*args)
            return 1
        for done in range(waiting):
            try:
                fn, args = self._pending.get_nowait()
            except queue.Empty:  # another thread runs the queue as well
                return done
            fn(*args)
        return waiting

    def __len__(self) -> int:
        return self._pending.qsize()

    def __bool__(self) -> bool:
        return True
