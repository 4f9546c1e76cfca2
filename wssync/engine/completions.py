"""Answers that were promised: to a blocked caller, or to a handler on the executor.

Every send, receive and ping has one of these. It is resolved exactly once, under the connection's mutex, by whoever
brings the outcome; who finds it `done` does nothing. Resolving makes no call out: a blocked caller is let through its
gate, a handler is only appended to the task's strand.
"""

from __future__ import annotations

import sys
import threading

from ..errors import WebSocketError
from ..hints import TYPE_CHECKING, Callable, Generic, Iterable, List, NamedTuple, Optional, Protocol, TypeVar, Union
from ..strand import Strand

if TYPE_CHECKING:

    class Event(Protocol):
        """What happens once, or has happened."""

        def wait(self, timeout: Optional[float]) -> bool: ...


__all__ = ["Completion", "Handler", "Latch", "Message", "Result", "ThreadEnd", "Waiter", "wait_within"]

Message = Union[str, bytes]
T = TypeVar("T")

SLICE = 0.25
"""Seconds: on Windows neither a lock nor `select` is interrupted by Ctrl-C, so the main thread waits in slices
there.
"""


class Result(NamedTuple):
    """What a receive handler gets: a message, or the error that there is instead (Apple: `Result<Message, Error>`)."""

    message: Optional[Message] = None
    error: Optional[WebSocketError] = None

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
        """Give the answer; once, under the mutex. If an interrupt strikes and it is not `done`, again."""
        raise NotImplementedError  # pragma: no cover - the two kinds below are all there are


class Waiter(Completion[T]):
    """The answer to a blocked caller, who waits on a lock of its own: the cheapest hand-over there is."""

    __slots__ = ("_gate",)

    blocking = True

    def __init__(self) -> None:
        super().__init__()
        self._gate = threading.Lock()
        self._gate.acquire()

    def resolve(self, strand: Strand, value: Optional[T] = None, error: Optional[WebSocketError] = None) -> None:
        """See `Completion.resolve`."""
        self.value, self.error, self.done = value, error, True
        self._gate.release()  # with no other call between the two

    def wait(self, timeout: Optional[float]) -> bool:
        """Block until the answer is there, or `timeout` seconds have passed; whether this wait was let through."""
        return acquire_within(self._gate, timeout)


class Handler(Completion[T]):
    """The answer to a completion handler: `call` runs on the executor, in the task's order."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[Completion[T]], object]) -> None:
        super().__init__()
        self._call: Optional[Callable[[Completion[T]], object]] = call

    def resolve(
        self,
        strand: Strand,
        value: Optional[T] = None,
        error: Optional[WebSocketError] = None,
        *,
        then: Iterable[None] = (),
    ) -> None:
        """See `Completion.resolve`. Twice on the strand is not called twice. For `then` see `Strand.put_entry`."""
        self.value, self.error = value, error
        strand.put_entry((self._run, ()), then)
        self.done = True

    def _run(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call(self)


class Latch:
    """Something that happens once, for whoever waits for it: `threading.Event` without its lock and its queue, which
    every connection would have three of, at ten times the cost.

    Each waiter brings a lock of its own. It stands in the row before it looks whether that has happened already, and
    `set` says so before it goes along the row: so one of the two sees the other.
    """

    __slots__ = ("_happened", "_row")

    def __init__(self) -> None:
        self._happened = False
        self._row: List[threading.Lock] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._happened

    def set(self) -> None:
        """It happens. Again does nothing."""
        self._happened = True
        while self._row:
            try:
                self._row.pop().release()
            except IndexError:
                return  # the last one gave up meanwhile

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Block until it has happened, or `timeout` seconds have passed; whether it has."""
        if self._happened:
            return True
        gate = threading.Lock()
        gate.acquire()
        try:
            self._row.append(gate)
            if not self._happened:
                gate.acquire(timeout=-1.0 if timeout is None else max(timeout, 0.0))
        finally:
            try:
                self._row.remove(gate)
            except ValueError:
                pass  # `set` was here
        return self._happened


class ThreadEnd:
    """The end of a thread that was started, for `wait_within`."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Block until the thread is gone, or `timeout` seconds have passed; whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()


def wait_within(event: Event, timeout: Optional[float]) -> bool:
    """Wait for `event` at most `timeout` seconds (`None`: however long it takes); whether it is set."""
    seconds = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
    if sys.platform != "win32" or threading.current_thread() is not threading.main_thread():
        return event.wait(seconds)
    return _wait_in_slices(event, seconds)


def _wait_in_slices(event: Event, seconds: Optional[float]) -> bool:
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
