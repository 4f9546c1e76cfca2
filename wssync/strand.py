"""A strand: the callbacks of one task, in order and never two at once, whatever the executor is.

An executor (see `executors`) may run what it is given in any order and on many threads at once. A `Strand` stands
between a task and the executor and restores what the task promises: its callbacks never overlap and come in the order
of the events.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import chain, islice
from operator import methodcaller

from .hints import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, Optional, Protocol, Tuple, Union
from .logs import log

if TYPE_CHECKING:
    from concurrent.futures import Future

    class Executor(Protocol):
        """Anything that can be given work: every `concurrent.futures.Executor`, or a class of one's own.

        `submit` is called from any thread and never with a lock held; what it is given never raises an `Exception`.
        """

        def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
            """Run `fn(*args)` some time later, on whatever thread; may raise if it takes no more work."""


__all__ = ["Endable", "LoopEnded", "Preparable", "Series", "Strand", "call"]


class LoopEnded(RuntimeError):
    """An executor takes no more work because the loop that it served is over: a window was closed, no fault."""


class Endable:
    """An executor of the library's own that can tell when its loop ends.

    `ended` says why, once it has; what it had accepted is cancelled then.
    """

    ended: Optional[LoopEnded]

    def watch(self, strand: Strand) -> None:
        """Call `strand.hear_end` at that end; the strand is not kept. Any thread."""
        raise NotImplementedError  # pragma: no cover - there is one, and it does


class Preparable:
    """An executor of the library's own, whose thread can be started before there is work."""

    __slots__ = ()

    def prepare(self) -> None:
        """Start the thread: when the interpreter exits, no thread can be started any more."""
        raise NotImplementedError  # pragma: no cover - there are two, and both do

    @property
    def is_held(self) -> bool:
        """Whether this very thread has its lock: in a signal handler that interrupted a call of it. Nobody else can
        give it work as long.
        """
        raise NotImplementedError  # pragma: no cover - there are two, and both do


class Series:
    """One callback for many values, one after the other: a flood of messages costs one entry of the strand.

    A value stays in `values` until its callback has returned. With fewer than `low` left, `ran_low()` is called after
    each callback, however that ended.
    """

    __slots__ = ("_fn", "_low", "_ran_low", "_until", "values")

    def __init__(self, fn: Callable[[Any], object], values: Deque[Any], low: int, ran_low: Callable[[], None]) -> None:
        self._fn = fn
        self._low = low
        self._ran_low = ran_low
        self._until = 0.0
        self.values = values

    def run(self, most: int, until: float) -> int:
        """Run at most so many callbacks, not longer than `until`, and return how many that were."""
        fn, values, low = self._fn, self.values, self._low
        take, now = values.popleft, time.monotonic
        self._until = until
        ran = 0
        while values:
            ran += 1
            try:
                fn(values[0])
            except Exception:
                log().exception("wssync: a callback raised: %r", fn)
            finally:
                take()
                if len(values) < low:
                    self._ran_low()
            if ran >= most or now() > self._until:
                break
        return ran

    def halt(self) -> None:
        """From within a callback: no other is to begin in this `run`."""
        self._until = float("-inf")


Entry = Union[Series, Tuple[Callable[..., object], Tuple[Any, ...]]]
"""Many callbacks, or one and its arguments."""


_call = methodcaller("__call__")

_NONE: Deque[Entry] = deque()
"""What stands for the entries of a strand that has had none: a deque is heavy, empty too, and most tasks have no
callbacks. Nothing is ever put in it; all strands have the same."""


class Strand:
    """The callbacks of one task: in order and never two at once, whatever the executor is.

    `put` only appends and may be called with a lock held; `kick` submits a runner when there is something to run and
    none is under way, and is never called with a lock held. One submit serves a whole batch. A runner gives the
    executor back after 256 callbacks or 5 ms, so that a flood for one task starves neither the others nor the loop of a
    GUI.

    `_busy` is held from a submit until its runner has let go. Whoever lets go looks at the entries again, and whoever
    appends looks at `_busy` afterwards: nothing is left behind.

    A strand whose executor refused work is dead: it runs nothing any more, tells `refused`, and says in the log
    how many callbacks were lost when the task has ended.
    """

    BATCH = 256  # one submit per 250 callbacks costs next to nothing per callback
    BATCH_SECONDS = 0.005  # a GUI that draws 60 frames a second has 16 ms for each; a third of that is ours at most

    _entries = _NONE
    _halted = False

    def __init__(self, executor: Executor, refused: Callable[[BaseException], None]) -> None:
        self._executor = executor
        self._refused: Optional[Callable[[BaseException], None]] = refused
        self._busy = threading.Lock()
        self._final: Optional[Callable[[], None]] = None
        self._concluded = False
        self._expected = False
        self._dead: Optional[BaseException] = None
        self._runner: Optional[int] = None

    def is_current(self) -> bool:
        """Whether no callback can begin before this thread is done with what it does: it runs one of this strand, or
        is the only one that the executor has.
        """
        is_current = getattr(self._executor, "is_current", None)
        return self._runner == threading.get_ident() or (is_current is not None and bool(is_current()))

    @property
    def is_held(self) -> bool:
        """Whether other threads cannot hand over callbacks before this one is done with what it does: see
        `Preparable`.
        """
        return isinstance(self._executor, Preparable) and self._executor.is_held

    def put(self, fn: Callable[..., object], *args: Any) -> None:
        """Append a callback. Any thread, also with a lock held; nothing runs before `kick`."""
        self._row().append((fn, args))

    def put_entry(self, entry: Entry, then: Iterable[None] = ()) -> None:
        """Append a callback with its arguments, or many, and do what the iterator `then` does: both in one call.

        So an interrupt comes before all that, or after it. Any thread, also with a lock held.
        """
        self._row().extend(chain((entry,), filter(None, then)))

    def _row(self) -> Deque[Entry]:
        """The entries, to put one in. Of two queues that are made at once, one stays."""
        entries = self._entries
        return self.__dict__.setdefault("_entries", deque()) if entries is _NONE else entries

    def expect(self) -> None:
        """A callback will come, some time: the session's own thread shall be there for it. No lock held."""
        if not self._expected:
            self._expected = True
            if isinstance(self._executor, Preparable):
                self._executor.prepare()
            elif isinstance(self._executor, Endable):
                self._executor.watch(self)

    def hear_end(self, error: BaseException) -> None:
        """The loop of the executor has ended: no callback begins any more, in the one that has closed the window
        neither, and whoever waits for the task is not to wait until it has a callback again.

        What has a callback then is refused, and `refused` hears of it once more.
        """
        self._halted = True
        try:
            under_way = self._entries[0]
        except IndexError:
            pass
        else:
            if isinstance(under_way, Series):
                under_way.halt()
        refused = self._refused
        if refused is not None:
            refused(error)

    def kick(self) -> None:
        """See to it that what was put will run. Any thread, never with a lock held."""
        if not self._entries and self._final is None:
            return
        while self._has_work():
            held: List[bool] = []
            try:
                held.extend(filter(None, map(self._busy.acquire, (False,))))
                if not held:
                    return
                if self._dead is None and self._entries:
                    self._submit(_Handover(held))
                    return
                self._conclude()
                self._release(held)
            except BaseException:
                self._take_back(held)
                raise

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

    def _submit(self, handover: _Handover) -> bool:
        """Hand a runner to the executor, with `_busy` held. True if that runner wants the caller to go on in its
        stead.
        """
        try:
            future = self._executor.submit(self._run, handover)
        except Exception as error:
            if not handover.held:
                raise  # an interrupt: the executor has not refused, for the runner is there
            handover.held.clear()
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
            ended = self._executor.ended if isinstance(self._executor, Endable) else None
            self._refuse(ended or RuntimeError("the executor cancelled the callbacks it had accepted"))

    def _refuse(self, error: BaseException) -> None:
        self._dead = error
        refused, self._refused = self._refused, None
        self._busy.release()
        if refused is not None:
            refused(error)
        self.kick()

    def _run(self, handover: _Handover) -> None:
        """The runner, on the executor."""
        held: List[bool] = []
        try:
            if handover.is_nested():
                handover.declined = True
                return
            handover.give(held)
            if not held:
                return
            while self._run_batch():
                if not self._submit(_Handover(held, threading.get_ident())):
                    return
            self._conclude()
            self._release(held)
        except (
            BaseException
        ):  # also a SystemExit or KeyboardInterrupt of a callback: theirs, but the next ones must run
            self._take_back(held)
            self._take_back(handover.held)
            raise
        self.kick()

    def _release(self, held: List[bool]) -> None:
        """Let go of `_busy`; in one call, so that an interrupt comes before it or after it."""
        any(map(_call, (held.clear, self._busy.release)))

    def _take_back(self, held: List[bool]) -> None:
        """An interrupt came: what was handed over and not begun will do nothing, and another may begin."""
        try:
            held.pop()
        except IndexError:
            return  # it has begun, or somebody else has let go
        self._busy.release()
        self.kick()

    def _run_batch(self) -> bool:
        """Run callbacks; True if some are left when the batch is over."""
        self._runner = threading.get_ident()
        try:
            return self._run_callbacks()
        finally:
            self._runner = None

    def _run_callbacks(self) -> bool:
        entries = self._entries
        left, end = self.BATCH, time.monotonic() + self.BATCH_SECONDS
        while entries:
            if not left or self._halted or time.monotonic() > end:
                return True
            entry = entries[0]  # only the runner takes entries away
            if isinstance(entry, Series):
                try:
                    left -= entry.run(left, end)
                finally:
                    if not entry.values:
                        entries.popleft()
            else:
                entries.popleft()
                call(entry[0], *entry[1])
                left -= 1
            del entry
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
        lost = sum(len(entry.values) if isinstance(entry, Series) else 1 for entry in self._entries)
        self._entries.clear()
        if lost:  # at the end of a loop that is as it should be, and not for the standard error output
            write = log().info if isinstance(self._dead, LoopEnded) else log().error
            write("%d callbacks could not be delivered, the executor refused them: %r", lost, self._dead)


class _Handover:
    """One submit of a runner.

    An executor that runs what it is given at once, inside `submit`, would nest one runner in the other without an end;
    the nested one declines, and the runner that submitted it goes on by itself.

    `held` has one entry as long as `_busy` is held for this submit. An interrupt may come when the executor has got the
    runner, or has run it, or neither: so the runner begins by taking the entry, and who is struck takes it back, if it
    is still there. Whoever has it lets go.
    """

    def __init__(self, held: List[bool], runner: Optional[int] = None) -> None:
        """`runner`: the thread of the runner that hands over."""
        self._runner = runner
        self.held = held
        self.done = False
        self.declined = False

    def give(self, to: List[bool]) -> None:
        """Put the entry there, within one call, if it is still here."""
        try:
            to.extend(islice(iter(self.held.pop, None), 1))
        except IndexError:
            pass

    def is_nested(self) -> bool:
        return not self.done and self._runner == threading.get_ident()


def call(fn: Callable[..., object], *args: Any) -> None:
    """Run a user's callback: its exception is logged with its traceback and harms nothing else (promise 6)."""
    try:
        fn(*args)
    except Exception:
        log().exception("wssync: a callback raised: %r", fn)
