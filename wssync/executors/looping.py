"""What the executors of all toolkits have in common: a queue, and one call into the loop for many callbacks."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures import Future

from ..hints import Any, Callable, Deque, Dict, Optional, TypeVar
from ..strand import Endable, LoopEnded, Strand
from .work import Work, run_work

__all__ = ["LoopExecutor", "import_toolkit"]

T = TypeVar("T")


class LoopExecutor(Endable, FutureExecutor):
    """Runs what it is given in somebody else's loop, in order, on the thread that runs that loop.

    `submit` may be called by any thread and never blocks. The loop is woken once for all that is queued until it comes;
    after 5 ms (`TURN_SECONDS`) of callbacks it gets 1 ms (`REST_SECONDS`) for itself, so that it draws and reacts to
    its user however much there is to do. A callback may run a loop of its own, as a modal dialog does: what is queued
    runs in there.

    When the loop has ended, `submit` raises `RuntimeError`, and what it had accepted and not run is cancelled: its
    future says so. The tasks that have their callbacks here are cancelled then.
    """

    TURN_SECONDS = 0.005  # 60 frames a second leave 16 ms for each; a third of that is ours at most
    REST_SECONDS = 0.001

    def __init__(self) -> None:
        self._work: Deque[Work] = deque()
        self._woken = False
        self._resting = False
        self._thread = threading.get_ident()
        self._strands: Dict[int, weakref.ref[Strand]] = {}
        self.ended: Optional[LoopEnded] = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue `fn(*args, **kwargs)`; the answer is a `Future` of its result. `RuntimeError` when the loop has ended.

        Any thread; never blocks.
        """
        future: Future[T] = Future()
        if self.ended is None:
            self._work.append((future, fn, args, kwargs))
            self._arm()
        # Looked at behind the append as well: whoever ends it looks at what is queued behind that.
        if self.ended is not None and (future.cancel() or future.cancelled()):
            raise LoopEnded(*self.ended.args) from self.ended.__cause__
        return future

    def is_current(self) -> bool:
        """Whether the caller is on the thread of the loop: the one that ran callbacks last, or that made this."""
        return self._thread == threading.get_ident()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work. What was queued still runs if the loop does, unless `cancel_futures`. Never waits.

        `shutdown(cancel_futures=True)` says that the loop has ended, where that cannot be seen.
        """
        if self.ended is None:
            self.ended = LoopEnded("this executor was shut down")
        if cancel_futures:
            self._end("this executor was shut down")

    def watch(self, strand: Strand) -> None:
        """See `Endable.watch`."""
        number, strands = id(strand), self._strands
        if self.ended is None:
            strands[number] = weakref.ref(strand, lambda gone: strands.pop(number, None))

    def _wake(self) -> None:
        """Let the loop call `_turn`, once; it raises if there is no loop any more. Any thread; never blocks."""
        raise NotImplementedError  # pragma: no cover - each has its own

    def _rest(self) -> bool:
        """Let the loop call `_go_on` after `REST_SECONDS`; False if it is fair by itself. On the loop's thread."""
        return False

    def _arm(self) -> None:
        """Wake the loop, unless that was done since it came last.

        The flag is down before the first piece of a turn is taken, and put up behind an append: of two threads that
        find it down both may wake the loop, which then comes once in vain, but none is forgotten.
        """
        if self._woken:
            return
        self._woken = True
        try:
            self._wake()
        except Exception as error:
            self._end(f"the loop takes no calls any more: {error}", error)

    def _turn(self) -> None:
        """Run what is queued, for a while. On the loop's thread."""
        if self._resting:
            return  # it will go on by itself
        self._woken = False
        self._thread = threading.get_ident()
        work = self._work
        if len(work) > 1:
            self._arm()  # for what is left behind this turn, or waits for a first that runs a loop of its own
        end = time.monotonic() + self.TURN_SECONDS
        while work:
            try:
                entry = work.popleft()
            except IndexError:  # cancelled meanwhile, or run in a loop inside
                break
            self._run(entry)
            del entry
            if time.monotonic() > end:
                self._resting = bool(work) and self._rest()
                break

    def _go_on(self) -> None:
        """The loop has had its time."""
        self._resting = False
        self._turn()

    def _run(self, entry: Work) -> None:
        error = run_work(entry)
        if error is not None and not isinstance(error, Exception):
            raise error  # to exit, or a Ctrl-C: meant for the program, and this is its thread

    def _end(self, reason: str, cause: Optional[BaseException] = None) -> None:
        """The loop has ended: take no more work, and cancel what was accepted. Any thread; again and again."""
        if self.ended is None:
            ended = LoopEnded(reason)
            ended.__cause__ = cause
            self.ended = ended
        self._drop()
        self._tell(self.ended)

    def _tell(self, ended: LoopEnded) -> None:
        while self._strands:
            try:
                strand = self._strands.popitem()[1]()
            except KeyError:  # another thread does the same
                return
            if strand is not None:
                strand.hear_end(ended)

    def _drop(self) -> None:
        while self._work:
            try:
                future = self._work.popleft()[0]
            except IndexError:  # another thread does the same
                return
            future.cancel()
            future.set_running_or_notify_cancel()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{'' if self.ended is None else f', {self.ended}'}>"


def import_toolkit(name: str, user: str, remedy: str) -> Any:
    """The module of that name; where it cannot be imported, an `ImportError` that says in one sentence what to do."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{user} needs {name}, which cannot be imported ({error}): {remedy}", name=name) from None
