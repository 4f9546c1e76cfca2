"""`SerialExecutor`: a thread of its own for the callbacks, which is what a session makes for itself."""

from __future__ import annotations

import itertools
import os
import queue
import threading
import weakref
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures import Future

from ..hints import Any, Callable, Optional, TypeVar
from ..strand import Preparable
from .work import Work, run_work

__all__ = ["SerialExecutor"]

T = TypeVar("T")

_numbers = itertools.count(1)
_serving = threading.local()


class SerialExecutor(Preparable, FutureExecutor):
    """Runs everything it is given one after the other on one daemon thread of its own, `wssync-session-N`.

    The thread starts with the first piece of work, or `prepare`, and ends with `shutdown`, or when nobody holds the
    executor any more. A session without an `executor` makes one for itself.
    """

    def __init__(self) -> None:
        self._name = f"wssync-session-{next(_numbers)}"
        self._lock = threading.RLock()  # a finalizer that runs in the middle of `submit` may submit
        self._renew()

    def _renew(self) -> None:
        self._process = os.getpid()
        self._work: queue.SimpleQueue[Optional[Work]] = queue.SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._shut = self._retired = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue `fn(*args, **kwargs)`; the answer is a `Future` of its result. `RuntimeError` after `shutdown`."""
        future: Future[T] = Future()
        if self._process != os.getpid():  # the parent's thread did not come along in a fork, its lock may be held
            self._lock = threading.RLock()
            self._renew()
        with self._lock:
            if self._shut:
                raise RuntimeError("this executor was shut down")
            if self._retired:
                self._start_late((future, fn, args, kwargs))
                return future
            if self._thread is None:
                self._start()
            self._work.put((future, fn, args, kwargs))
        return future

    def prepare(self) -> None:
        """Start the thread before there is work: when the interpreter exits, no thread can be started any more."""
        with self._lock:
            if self._thread is None and not self._shut and not self._retired:
                try:
                    self._start()
                except RuntimeError:
                    pass  # then the first piece of work says so

    def _start(self) -> None:
        work = self._work
        self._thread = self._make_thread(work, None)
        try:
            self._thread.start()
        except BaseException:
            self._thread = None
            raise
        weakref.finalize(self, work.put, None).atexit = False

    def _start_late(self, entry: Work) -> None:
        work: queue.SimpleQueue[Optional[Work]] = queue.SimpleQueue()
        work.put(entry)
        work.put(None)
        thread = self._make_thread(work, self._thread)
        thread.start()
        self._thread = thread

    def _make_thread(
        self, work: queue.SimpleQueue[Optional[Work]], before: Optional[threading.Thread]
    ) -> threading.Thread:
        return threading.Thread(target=_serve, args=(work, self._name, before), name=self._name, daemon=True)

    def retire(self) -> None:
        """Let the thread end once what is queued has run; later work, if any comes, gets a thread of its own each time.

        A session that has ended does this, because its tasks can still be called and their handlers still have to run.
        """
        with self._lock:
            self._retired = True
            self._work.put(None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; what was queued still runs, unless `cancel_futures`.

        `wait` waits until the thread is gone, except on that very thread, which cannot wait for itself.
        """
        with self._lock:
            self._shut = True
            if cancel_futures:
                self._cancel_queued()
            self._work.put(None)
        if wait:
            self.join()

    def _cancel_queued(self) -> None:
        while True:
            try:
                entry = self._work.get_nowait()
            except queue.Empty:
                return
            if entry is not None:
                entry[0].cancel()

    @property
    def is_held(self) -> bool:
        """Whether this very thread is in the middle of a call here: in a signal handler that interrupted it."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined] # there is no public name for it

    def join(self, timeout: Optional[float] = None) -> bool:
        """Wait until the thread is gone after a `shutdown`; `False` after `timeout` seconds, or on that very thread."""
        thread = self._thread
        if thread is None:
            return True
        if self.is_current():
            return False
        thread.join(timeout)
        return not thread.is_alive()

    def is_current(self) -> bool:
        """Whether the caller runs on this executor."""
        return getattr(_serving, "name", None) == self._name

    def __repr__(self) -> str:
        return f"<SerialExecutor {self._name}{' shut down' if self._shut else ''}>"


def _serve(work: queue.SimpleQueue[Optional[Work]], name: str, before: Optional[threading.Thread]) -> None:
    """The thread of a `SerialExecutor`; it holds the queue alone, so that the executor itself can be collected."""
    _serving.name = name
    if before is not None:
        before.join()
    del before
    while True:
        entry = work.get()
        if entry is None:
            return
        run_work(entry)
        del entry  # a waiting thread must not keep the last callback's objects alive
