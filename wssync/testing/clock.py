"""A clock that stands still, so that a test of minutes takes no time and fails at no busy moment.

    with wssync.testing.FakeClock() as clock:
        task = wssync.connect(server.url, timeout=5)
        clock.advance(20)                     # the keepalive's interval is over, here and now
        clock.advance_on_wait(5)
        task.receive(timeout=5)               # TimeoutError, at once

Every deadline of a task made in the block is counted by the clock: those of its opening, its keepalive, its closing,
and the `timeout` of every blocking call. The network is the real one, and so is the time of the server.

Two kinds of sleepers have to notice that time was moved. A task's thread sleeps until its socket is ready or its waker
is woken, and `advance` wakes it; it also stays until that thread has kept the deadlines that have come, so that the
next line of the test finds them kept. A blocked caller waits for its answer in the operating system, which knows
nothing of this clock. Python can wait for one thing only, so such a caller waits in short slices of real time and
compares.

Time jumps. What would have happened on the way happens now, and once: a keepalive that should ask after 20 seconds and
give up 20 seconds later is asked by `advance(20)` and gives up at the second `advance(20)`. One `advance(40)` is what a
computer sees that was asleep for so long: it asks.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import weakref
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterator, List, Optional, Tuple, Type

from ..engine import surroundings
from ..transport.clock import Clock
from ..transport.waiting import Waker, wait_for

if TYPE_CHECKING:
    from ..transport.clock import Wakes

__all__ = ["FakeClock"]

START = 1000.0
"""What `now()` is at first. Not zero, so that nothing passes for true or false by its time alone."""

TICKS = 2**30
"""Parts of a second, to which every advance is rounded up. Sums of them are exact for 97 days: ten times 0.1 are not
less than 1.0, and after `advance(x)` a deadline of `x` seconds has passed whatever the time was."""

SLICE = 0.002
"""Real seconds until a blocked caller looks at the clock again. It delays a TimeoutError by as much at most, and costs
a thread that waits less than one percent of a processor; an answer is not delayed at all."""

GLANCE = 0.0002
"""Real seconds until `advance` looks again whether a task's thread has woken up, which takes it about as long."""

SETTLING = 1.0
"""Real seconds that `advance` stays for the tasks. A thread that is still busy then runs a handler, by an executor that
runs it at once, and that may take as long as it likes; the deadlines are kept afterwards."""

TURNS = 2
"""Wakes of a task's thread in one `advance`: when it takes notice of the second, it is done with all of the first."""

GRACE = 0.1
"""Real seconds in which a blocked call may still get its answer: time is not moved for it before. An answer that comes
over the loopback takes a thousandth of that, an opening with TLS a tenth, so that a call that waits longer waits in
vain; and a test that waits for nothing is no slower than one that asserts that nothing comes."""

PATIENCE = 5.0
"""Real seconds for what is about to happen."""


class FakeClock(Clock):
    """Time that moves when a test says so. In a `with` block, or from `install()` to `uninstall()`, it is the time of
    all tasks that are made meanwhile, by any thread of the process.

    A blocking call with a timeout that nobody's `advance` ends within `patience` real seconds raises AssertionError:
    no test hangs because it forgot to. After the end of the block, time goes on by itself from where it stood, for the
    tasks that are left. All methods may be called from any thread.
    """

    def __init__(self, *, patience: float = 30.0) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._time = START
        self._moved_at = time.monotonic()
        self._running_since: Optional[float] = None
        self._wakers: weakref.WeakSet[Wakes] = weakref.WeakSet()
        self._sleepers: Dict[object, float] = {}
        self._calls = 0
        self._steps: Deque[Tuple[int, float]] = deque()
        self._real = threading.local()
        self._installed: Optional[contextlib.ExitStack] = None

    def __repr__(self) -> str:
        return f"<FakeClock {self.now() - START:g} seconds after its start>"

    # -- its place -----------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """From now on tasks are made with this clock. RuntimeError when that was done before: a clock is used once."""
        with self._changed:
            if self._installed is not None:
                raise RuntimeError("a FakeClock is installed once; make another one")
            self._installed = contextlib.ExitStack()
            self._installed.enter_context(surroundings.replaced(clock=self))

    def uninstall(self) -> None:
        """Tasks are made with the clock that was there before, and this one's time goes on. Again does nothing."""
        with self._changed:
            if self._installed is None or self._running_since is not None:
                return
            self._installed.close()
            self._running_since = time.monotonic()

    def __enter__(self) -> FakeClock:
        self.install()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.uninstall()

    # -- what tasks ask of it ------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds, from a fixed start."""
        with self._changed:
            if self._running_since is None:
                return self._time
            return self._time + time.monotonic() - self._running_since

    def attend(self, waker: Wakes) -> None:
        """See `Clock.attend`."""
        with self._changed:
            self._wakers.add(waker)

    def wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
        """See `Clock.wait`. AssertionError when nobody moves the time for `patience` real seconds."""
        if self._waits_really():
            return super().wait(wait, seconds)
        if wait(0.0):
            return True
        if seconds <= 0:
            return False
        sleeper = object()
        with self._changed:
            deadline = self._sleepers[sleeper] = self.now() + seconds
            self._calls += 1
            number = self._calls
            self._changed.notify_all()
        try:
            return self._sleep(wait, deadline, seconds, number)
        finally:
            with self._changed:
                del self._sleepers[sleeper]

    def _sleep(self, wait: Callable[[float], bool], deadline: float, seconds: float, number: int) -> bool:
        began = time.monotonic()
        stepped = False
        while True:
            left = deadline - self.now()
            if left <= 0:
                return wait(0.0)
            if self._running_since is not None:
                return wait(left)
            if wait(min(left, SLICE)):
                return True
            if not stepped and time.monotonic() - began > min(GRACE, self._patience):
                stepped = self._take_step(number)
            if time.monotonic() - max(began, self._moved_at) > self._patience:
                raise AssertionError(
                    f"a call that waits for {seconds:g} seconds of a FakeClock would wait for ever: nobody has moved "
                    f"the clock for {self._patience:g} real seconds (advance, advance_on_wait)"
                )

    def _take_step(self, number: int) -> bool:
        """Let the time pass that was asked for before the call with this number; whether there was any."""
        with self._changed:
            if not self._steps or self._steps[0][0] >= number:
                return False
            seconds = self._steps.popleft()[1]
        self.advance(seconds)
        return True

    def _waits_really(self) -> bool:
        return self._running_since is not None or getattr(self._real, "depth", 0) > 0

    # -- what a test does with it --------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass, at once. ValueError if that is less than none.

        When it returns, the tasks have kept the deadlines that have come; blocked callers whose time is up are about
        to raise their TimeoutError.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"time passes by a number of seconds, and never goes back: {seconds!r}")
        with self._changed:
            self._time += math.ceil(seconds * TICKS) / TICKS
            self._moved_at = time.monotonic()
        self._settle()

    def advance_on_wait(self, seconds: float) -> None:
        """Let so many seconds pass for the next call with a timeout that waits in vain, when its deadline is set.

        So a test with one thread sees a TimeoutError without waiting for it. In vain is what has lasted for a tenth of
        a real second: a call that gets its answer meanwhile is passed over. Asked for several times, each is for one
        call. Calls that are blocked already are not meant; they see the time pass like everybody.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"time passes by a number of seconds, and never goes back: {seconds!r}")
        with self._changed:
            self._steps.append((self._calls, seconds))

    def wait_for_sleepers(self, count: int = 1, timeout: float = PATIENCE) -> None:
        """Block until `count` callers (or more) are blocked with a timeout that is not over yet.

        AssertionError after `timeout` real seconds. A task's own thread is not counted.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count_sleepers() >= count, timeout):
                raise AssertionError(
                    f"{self._count_sleepers()} instead of {count} callers are blocked with a timeout by this FakeClock"
                    f" after {timeout:g} real seconds"
                )

    def _count_sleepers(self) -> int:
        now = self.now()
        return sum(deadline > now for deadline in self._sleepers.values())

    @contextlib.contextmanager
    def real_time(self) -> Iterator[None]:
        """In this block the calling thread's own waits last as long as they would by the wall clock.

        Assertions need that: how long to wait for something that should come is not part of the story they are about.
        The tasks still live by this clock.
        """
        self._real.depth = getattr(self._real, "depth", 0) + 1
        try:
            yield
        finally:
            self._real.depth -= 1

    # -- waking --------------------------------------------------------------------------------------------------------

    def _attended(self) -> List[Wakes]:
        with self._changed:
            return list(self._wakers)

    def _settle(self) -> None:
        """Wake the tasks' threads until they have done what is due."""
        wakers = self._attended()
        end = time.monotonic() + SETTLING
        for _ in range(TURNS):
            for waker in wakers:
                waker.wake()
            while any(map(_sleeps_on, wakers)) and time.monotonic() < end:
                time.sleep(GLANCE)


def _sleeps_on(waker: Wakes) -> bool:
    """Whether a wake has not been noticed yet."""
    try:
        return isinstance(waker, Waker) and bool(wait_for([waker], (), 0)[0])
    except OSError:
        return False  # it was closed, so nobody sleeps by it
