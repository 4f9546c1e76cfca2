"""Answers that were promised: to a blocked caller, or to a handler on the executor.

Every send, receive and ping has one of these. It is resolved exactly once, under the connection's mutex, by whoever
brings the outcome; who finds it `done` does nothing. Resolving makes no call out: a blocked caller is let through its
gate, a handler is only appended to the task's strand.
"""

from __future__ import annotations

import sys
import threading
from typing import Callable, Generic, Optional, TypeVar, Union

from ..errors import WebSocketError
from ..strand import Strand

__all__ = ["Completion", "Handler", "Message", "Result", "Waiter", "wait_within"]

Message = Union[str, bytes]
T = TypeVar("T")

SLICE = 0.25
"""Seconds: on Windows neither a lock nor `select` is interrupted by Ctrl-C, so the main thread waits in slices
there.
"""


class Result:
    """What a receive handler gets: a message, or the error that there is instead (Apple: `Result<Message, Error>`)."""

    __slots__ = ("error", "message")

    def __init__(self, message: Optional[Message] = None, error: Optional[WebSocketError] = None) -> None:
        self.message = message
        self.error = error

    def get(self) -> Message:
        """The message (`str` or `bytes`), or raises the error."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        assert self.message is not None
        return self.message

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Result {self.error!r}>"
        return f"<Result {type(self.message).__name__} of {len(self.message or '')}>"


class Completion(Generic[T]):
    """One promised answer: a value, or the error that came instead."""

    __slots__ = ("done", "error", "value")

    blocking = False

    def __init__(self) -> None:
        self.done = False
        self.value: Optional[T] = None
        self.error: Optional[WebSocketError] = None

    def resolve(self, strand: Strand, value: Optional[T] = None, error: Optional[WebSocketError] = None) -> None:
        """Give the answer; once, under the mutex."""
        self.value, self.error, self.done = value, error, True
        self._deliver(strand)

    def _deliver(self, strand: Strand) -> None:
        raise NotImplementedError  # pragma: no cover - the two kinds below are all there are


class Waiter(Completion[T]):
    """The answer to a blocked caller, who waits on a lock of its own: the cheapest hand-over there is."""

    __slots__ = ("_gate",)

    blocking = True

    def __init__(self) -> None:
        super().__init__()
        self._gate = threading.Lock()
        self._gate.acquire()

    def _deliver(self, strand: Strand) -> None:
        self._gate.release()

    def wait(self, timeout: Optional[float]) -> bool:
        """Block until the answer is there, or `timeout` seconds have passed; whether this wait was let through."""
        return acquire_within(self._gate, timeout)


class Handler(Completion[T]):
    """The answer to a completion handler: `call` runs on the executor, in the task's order."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[Completion[T]], object]) -> None:
        super().__init__()
        self._call = call

    def _deliver(self, strand: Strand) -> None:
        strand.put(self._call, self)


def wait_within(event: threading.Event, timeout: Optional[float]) -> bool:
    """Wait for `event` at most `timeout` seconds (`None`: however long it takes); whether it is set."""
    seconds = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
    if sys.platform != "win32" or threading.current_thread() is not threading.main_thread():
        return event.wait(seconds)
    return _wait_in_slices(event, seconds)


def _wait_in_slices(event: threading.Event, seconds: Optional[float]) -> bool:
    while not event.wait(SLICE if seconds is None else min(seconds, SLICE)):
        if seconds is not None:
            seconds -= SLICE
            if seconds <= 0:
                return False
    return True


def acquire_within(lock: threading.Lock, timeout: Optional[float]) -> bool:
    """Acquire `lock` within `timeout` seconds (`None`: however long it takes)."""
    seconds = -1.0 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
    if sys.platform != "win32" or threading.current_thread() is not threading.main_thread():
        return lock.acquire(timeout=seconds)
    return _acquire_in_slices(lock, seconds)


def _acquire_in_slices(lock: threading.Lock, seconds: float) -> bool:
    while not lock.acquire(timeout=SLICE if seconds < 0 else min(seconds, SLICE)):
        if seconds >= 0:
            seconds -= SLICE
            if seconds <= 0:
                return False
    return True
