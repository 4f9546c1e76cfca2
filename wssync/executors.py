"""Where callbacks run.

Apple hands every completion handler and delegate call to the session's `delegateQueue`; here that queue is an executor:
anything with `submit(fn, *args)`. `SerialExecutor` is the default, `QueueExecutor` serves loops of one's own (tests,
games, toolkits without an adapter), and every `concurrent.futures.Executor` will do.

An executor may run what it is given in any order and on many threads at once. A `Strand` stands between a task and the
executor and restores what the task promises: its callbacks never overlap and come in the order of the events.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures import Future
from typing import Any, Callable, Deque, Optional, Protocol, Tuple, TypeVar

__all__ = ["QueueExecutor", "SerialExecutor"]

T = TypeVar("T")
Work = Tuple["Future[Any]", Callable[..., Any], Tuple[Any, ...], Any]

_log = logging.getLogger("wssync")
_numbers = itertools.count(1)
_serving = threading.local()


class Executor(Protocol):
    """Anything that can be given work: every `concurrent.futures.Executor`, or a class of one's own.

    `submit` is called from any thread and never with a lock held; what it is given never raises an `Exception`.
    """

    def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
        """Run `fn(*args)` some time later, on whatever thread; may raise if it takes no more work."""


class SerialExecutor(FutureExecutor):
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
        _run_work(entry)
        del entry  # a waiting thread must not keep the last callback's objects alive


def _run_work(entry: Work) -> None:
    future, fn, args, kwargs = entry
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # kept for whoever holds the future, as every executor does
        future.set_exception(error)
    else:
        future.set_result(result)


class QueueExecutor:
    """Keeps callbacks until `run_pending` is called, and runs them there: for tests, games and loops of one's own.

    Every callback runs on the thread that calls `run_pending`, so a program may own that thread completely.
    """

    def __init__(self) -> None:
        self._pending: queue.SimpleQueue[Tuple[Callable[..., object], Tuple[Any, ...]]] = queue.SimpleQueue()

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Queue `fn(*args)`; any thread may call it, it never blocks."""
        self._pending.put((fn, args))

    def run_pending(self, timeout: Optional[float] = 0) -> int:
        """Run what is queued at this moment and return how many pieces of work that were.

        With nothing queued it waits up to `timeout` seconds (`None`: for ever) for the first. What the callbacks queue
        themselves is left for the next call, so a loop that draws frames in between stays alive.
        """
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


class Strand:
    """The callbacks of one task: in order and never two at once, whatever the executor is.

    `put` only appends and may be called with a lock held; `kick` submits a runner when there is something to run and
    none is under way, and is never called with a lock held. One submit serves a whole batch. A runner gives the
    executor back after 256 callbacks or 5 ms, so that a flood for one task starves neither the others nor the loop of a
    GUI.

    `_busy` is held from a submit until its runner has let go. Whoever lets go looks at the entries again, and whoever
    appends looks at `_busy` afterwards: nothing is left behind.

    A strand whose executor refused work is dead: it runs nothing any more, tells `refused` once, and says in the log
    how many callbacks were lost when the task has ended.
    """

    BATCH = 256  # one submit per 250 callbacks costs next to nothing per callback
    BATCH_SECONDS = 0.005  # a GUI that draws 60 frames a second has 16 ms for each; a third of that is ours at most

    def __init__(self, executor: Executor, refused: Callable[[BaseException], None]) -> None:
        self._executor = executor
        self._refused: Optional[Callable[[BaseException], None]] = refused
        self._entries: Deque[Tuple[Callable[..., object], Tuple[Any, ...]]] = deque()
        self._busy = threading.Lock()
        self._final: Optional[Callable[[], None]] = None
        self._concluded = False
        self._expected = False
        self._dead: Optional[BaseException] = None

    def put(self, fn: Callable[..., object], *args: Any) -> None:
        """Append a callback. Any thread, also with a lock held; nothing runs before `kick`."""
        self._entries.append((fn, args))

    def expect(self) -> None:
        """A callback will come, some time: the session's own thread shall be there for it. No lock held."""
        if not self._expected:
            self._expected = True
            if isinstance(self._executor, SerialExecutor):
                self._executor.prepare()

    def kick(self) -> None:
        """See to it that what was put will run. Any thread, never with a lock held."""
        while self._has_work() and self._busy.acquire(False):
            if self._dead is None and self._entries:
                self._submit()
                return
            self._conclude()
            self._busy.release()

    def finish(self, fn: Callable[[], None]) -> None:
        """Call `fn` (the library's own) once everything put so far has run: at once, here, if nothing is
        outstanding.
        """
        self._final = fn
        self.kick()

    def _has_work(self) -> bool:
        if self._dead is not None and not self._concluded:
            return self._final is not None
        return bool(self._entries) or self._final is not None

    def _submit(self, again: bool = False) -> bool:
        """Hand a runner to the executor, with `_busy` held. True if that runner wants the caller to go on in its
        stead.
        """
        handover = _Handover(again)
        try:
            future = self._executor.submit(self._run, handover)
        except Exception as error:
            self._refuse(error)
            return False
        handover.done = True
        watch = getattr(future, "add_done_callback", None)
        if watch is not None:
            watch(self._if_cancelled)
        return handover.declined

    def _if_cancelled(self, future: Future[Any]) -> None:
        """A pool that is shut down with `cancel_futures` accepts a runner and never calls it."""
        if future.cancelled():
            self._refuse(RuntimeError("the executor cancelled the callbacks it had accepted"))

    def _refuse(self, error: BaseException) -> None:
        self._dead = error
        refused, self._refused = self._refused, None
        self._busy.release()
        if refused is not None:
            refused(error)
        self.kick()

    def _run(self, handover: _Handover) -> None:
        """The runner, on the executor."""
        if handover.is_nested():
            handover.declined = True
            return
        try:
            keep = self._run_batches()
        except BaseException:  # SystemExit or KeyboardInterrupt of a callback: theirs, but the next ones must run
            self._let_go()
            raise
        if not keep:
            self._let_go()

    def _let_go(self) -> None:
        self._busy.release()
        self.kick()

    def _run_batches(self) -> bool:
        """Run what there is; True if `_busy` went on to another runner."""
        while self._run_batch():
            if not self._submit(again=True):
                return True
        self._conclude()
        return False

    def _run_batch(self) -> bool:
        """Run callbacks; True if some are left when the batch is over."""
        entries = self._entries
        left, end = self.BATCH, time.monotonic() + self.BATCH_SECONDS
        while entries:
            if not left or time.monotonic() > end:
                return True
            fn, args = entries.popleft()
            call(fn, *args)
            del fn, args
            left -= 1
        return False

    def _conclude(self) -> None:
        """The task has ended and nothing is outstanding: call the final function. `_busy` is held."""
        final = self._final  # looked at before the entries: what was put before `finish` is seen then
        if self._dead is not None:
            self._bury()
        elif self._entries:
            return
        if final is not None:
            self._final, self._refused, self._concluded = None, None, True
            final()

    def _bury(self) -> None:
        lost = len(self._entries)
        self._entries.clear()
        if lost:
            _log.error("%d callbacks could not be delivered, the executor refused them: %r", lost, self._dead)


class _Handover:
    """One submit of a runner.

    An executor that runs what it is given at once, inside `submit`, would nest one runner in the other without an end;
    the nested one declines, and the runner that submitted it goes on by itself.
    """

    def __init__(self, again: bool) -> None:
        self._runner = threading.get_ident() if again else None
        self.done = False
        self.declined = False

    def is_nested(self) -> bool:
        return not self.done and self._runner == threading.get_ident()


def call(fn: Callable[..., object], *args: Any) -> None:
    """Run a user's callback: its exception is logged with its traceback and harms nothing else (promise 6)."""
    try:
        fn(*args)
    except Exception:
        _log.exception("wssync: a callback raised: %r", fn)
