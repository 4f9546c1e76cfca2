"""The lock of a role in its compiled form, held against `threading.RLock`: they behave alike in all that roles use."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import threading
import time
import types
import unittest
import warnings
from typing import Any, Callable, List, Optional
from unittest import mock

from tests.support import cases, with_cases
from tests.threads import PATIENCE, Running
from wssync.engine.accelerated import CompiledExpress, RoleLock

FORMS = {"of threading": threading.RLock, "compiled": RoleLock}
"""The same twice where there is no accelerator."""

needs_compiled = unittest.skipIf(CompiledExpress is None, "wssync._speedups was not built, or has no sockets")
needs_alarm = unittest.skipUnless(hasattr(signal, "setitimer"), "no alarm here")


class Alarm(Exception):
    """What a signal handler raises."""


class Holder:
    """A thread that has a lock until it is told to leave."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._holds, self._leave = threading.Event(), threading.Event()
        self._running = Running(self._hold)
        assert self._holds.wait(PATIENCE)

    def _hold(self) -> None:
        assert self._lock.acquire()
        self._holds.set()
        self._leave.wait(PATIENCE)
        self._lock.release()

    def leave(self) -> None:
        """Let it go; nobody has it when this returns."""
        self.tell()
        self._running.result()

    def tell(self) -> None:
        """Let it go soon."""
        self._leave.set()


class LockCase(unittest.TestCase):
    def is_free(self, lock: Any) -> bool:
        """Whether another thread can have it."""

        def attempt() -> bool:
            taken: bool = lock.acquire(False)
            if taken:
                lock.release()
            return taken

        return Running(attempt).result()

    def had(self, lock: Any, *limit: Any) -> List[bool]:
        """Take it and leave it; what it answers."""
        answers = [lock.acquire(*limit), lock._is_owned()]
        lock.release()
        return answers


@with_cases
class LockTests(LockCase):
    @cases(FORMS)
    def test_taken_and_left(self, make: Callable[[], Any]) -> None:
        """It is its holder's alone meanwhile, in whatever way it was asked for."""
        for arguments, named in (((), {}), ((False,), {}), ((True, 1), {}), ((), {"blocking": False, "timeout": -1})):
            lock = make()
            self.assertIs(lock._is_owned(), False)
            self.assertIs(lock.acquire(*arguments, **named), True)
            self.assertIs(lock._is_owned(), True)
            self.assertIs(Running(lock._is_owned).result(), False)
            self.assertFalse(self.is_free(lock))
            self.assertIsNone(lock.release())
            self.assertIs(lock._is_owned(), False)
            self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_taken_more_than_once(self, make: Callable[[], Any]) -> None:
        """By the same thread: it is free when it was left as often."""
        lock = make()
        for arguments in ((), (False,), (True, 0.5)):
            self.assertIs(lock.acquire(*arguments), True)
        for _ in range(3):
            self.assertTrue(lock._is_owned())
            self.assertFalse(self.is_free(lock))
            lock.release()
        self.assertFalse(lock._is_owned())
        self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_in_a_block(self, make: Callable[[], Any]) -> None:
        """Left at its end, also by an exception."""
        lock = make()
        with lock as taken, lock:
            self.assertIs(taken, True)
            self.assertFalse(self.is_free(lock))
        self.assertTrue(self.is_free(lock))
        with self.assertRaises(Alarm), lock:
            raise Alarm
        self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_left_by_who_does_not_have_it(self, make: Callable[[], Any]) -> None:
        """RuntimeError, and it stays whose it is."""
        lock = make()
        with self.assertRaisesRegex(RuntimeError, "cannot release un-acquired lock"):
            lock.release()
        holder = Holder(lock)
        with self.assertRaisesRegex(RuntimeError, "cannot release un-acquired lock"):
            lock.release()
        self.assertFalse(lock.acquire(False))
        holder.leave()
        self.assertTrue(lock.acquire(False))
        lock.release()
        with self.assertRaises(RuntimeError):
            lock.release()

    @cases(FORMS)
    def test_had_by_another(self, make: Callable[[], Any]) -> None:
        """It is not waited for, or for so long; it is taken as soon as it is left, in time and without a limit."""
        for limit in ((), (True, PATIENCE), (True, -1)):
            lock = make()
            holder = Holder(lock)
            self.assertIs(lock._is_owned(), False)
            self.assertIs(lock.acquire(False), False)
            self.assertIs(lock.acquire(True, 0), False)
            begun = time.monotonic()
            self.assertIs(lock.acquire(timeout=0.02), False)
            self.assertGreaterEqual(time.monotonic() - begun, 0.019)
            self.assertIs(lock._is_owned(), False)
            waiting = Running(functools.partial(self.had, lock, *limit))
            holder.leave()
            self.assertEqual(waiting.result(), [True, True])
            self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_refusals(self, make: Callable[[], Any]) -> None:
        """What cannot be waited for, and what is no argument: it stays free."""
        lock = make()
        wrong: List[Any] = [
            (ValueError, (False, 1), {}),
            (ValueError, (False, 0), {}),
            (ValueError, (True, -2), {}),
            (ValueError, (True, -0.5), {}),
            (ValueError, (), {"timeout": float("nan")}),
            (OverflowError, (True, 1e100), {}),
            (OverflowError, (True, float("inf")), {}),
            (TypeError, (True, "1"), {}),
            (TypeError, (True, None), {}),
            (TypeError, (True, 1, 2), {}),
            (TypeError, (True,), {"blocking": True}),
            (TypeError, (), {"patience": 1}),
        ]
        for kind, arguments, named in wrong:
            with self.assertRaises(kind, msg=(arguments, named)):
                lock.acquire(*arguments, **named)
        for method in (lock.release, lock._is_owned):
            with self.assertRaises(TypeError):
                method(1)
        self.assertFalse(lock._is_owned())
        self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_the_longest_time(self, make: Callable[[], Any]) -> None:
        """It is not too long to be reckoned with."""
        lock = make()
        holder = Holder(lock)
        waiting = Running(lambda: lock.acquire(timeout=threading.TIMEOUT_MAX))
        holder.leave()
        self.assertTrue(waiting.result())

    @cases(FORMS)
    def test_many_threads(self, make: Callable[[], Any]) -> None:
        """One at a time, whatever way they come."""
        lock = make()
        inside: List[int] = []
        most = [0]
        total = [0]
        ways: List[Any] = [(), (False,), (True, 0.001), (True, PATIENCE)]

        def work(way: Any) -> int:
            done = 0
            for _ in range(300):
                try:
                    if lock.acquire(*way):
                        with lock:
                            inside.append(1)
                            most[0] = max(most[0], len(inside))
                            total[0] += 1
                            done += 1
                            inside.pop()
                finally:
                    try:
                        lock.release()
                    except RuntimeError:
                        pass
            return done

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            workers = [Running(functools.partial(work, way)) for way in ways * 2]
            done = [worker.result() for worker in workers]
        finally:
            sys.setswitchinterval(interval)
        self.assertEqual((most, total), ([1], [sum(done)]))
        self.assertEqual([done[0], done[4]], [300, 300])
        self.assertTrue(self.is_free(lock))

    @cases(FORMS)
    def test_gone_while_it_is_held(self, make: Callable[[], Any]) -> None:
        """Nobody minds."""
        for count in range(3):
            lock = make()
            for _ in range(count):
                lock.acquire()
            del lock
            gc.collect()

    @cases(FORMS)
    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_in_a_child_process(self, make: Callable[[], Any]) -> None:
        """Whose thread had it when it forked has it there too, and can leave it."""
        lock = make()
        lock.acquire()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tried here
            child = os.fork()
        if not child:  # pragma: no cover (in another process)
            status = 1
            try:
                if lock._is_owned() and not lock.release() and lock.acquire(False) and lock._is_owned():
                    status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertTrue(lock._is_owned())
        lock.release()


@needs_alarm
@with_cases
class SignalTests(LockCase):
    """The main thread waits, and signals come."""

    def alarm(self, handler: Callable[[], object]) -> None:
        """Let a timer signal come again and again, until the end of the test."""

        def handle(number: int, stack: Optional[types.FrameType]) -> None:
            handler()

        previous = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)

    @cases(FORMS)
    def test_a_handler_runs_while_it_waits(self, make: Callable[[], Any]) -> None:
        """And then it waits on, for as long as is left."""
        for limit in (-1, PATIENCE):
            lock, calls = make(), 0
            holder = Holder(lock)

            def handler(holder: Holder = holder) -> None:
                nonlocal calls
                calls += 1
                if calls == 3:
                    holder.tell()

            self.alarm(handler)
            self.assertIs(lock.acquire(True, limit), True)
            self.doCleanups()
            self.assertGreaterEqual(calls, 3)
            self.assertTrue(lock._is_owned())
            lock.release()

    @cases(FORMS)
    def test_the_time_goes_on_meanwhile(self, make: Callable[[], Any]) -> None:
        """However many handlers run, it is over when it is over, and not before."""
        lock, calls = make(), []
        holder = Holder(lock)
        self.alarm(lambda: calls.append(1))
        begun = time.monotonic()
        self.assertIs(lock.acquire(True, 0.05), False)
        took = time.monotonic() - begun
        self.doCleanups()
        self.assertGreaterEqual(took, 0.049)
        self.assertLess(took, PATIENCE)
        self.assertGreaterEqual(len(calls), 3)
        holder.leave()

    @cases(FORMS)
    def test_what_a_handler_raises(self, make: Callable[[], Any]) -> None:
        """It ends the wait at once, and the lock is whose it was."""

        live: List[bool] = []

        def handler() -> None:
            if live:
                live.clear()  # so it strikes once
                raise Alarm

        for limit in (-1, PATIENCE):
            lock = make()
            holder = Holder(lock)
            begun = time.monotonic()
            with self.assertRaises(Alarm):
                self.alarm(handler)
                live.append(True)
                lock.acquire(True, limit)
            self.doCleanups()
            self.assertLess(time.monotonic() - begun, PATIENCE / 2)
            self.assertFalse(lock._is_owned())
            holder.leave()
            self.assertTrue(self.is_free(lock))


@needs_compiled
class CompiledTests(LockCase):
    """What is said of the compiled form alone."""

    kind: Any = RoleLock

    def test_it_is_not_to_be_changed(self) -> None:
        """Who takes it without calling its methods must know what it is: it has no subclasses and no attributes."""
        with self.assertRaises(TypeError):
            type("Sub", (self.kind,), {})
        lock = self.kind()
        with self.assertRaises(AttributeError):
            lock.other = 1
        with self.assertRaises(AttributeError):
            lock.release = mock.Mock()
        for arguments, named in (((1,), {}), ((), {"count": 1})):
            with self.assertRaisesRegex(TypeError, "no arguments"):
                self.kind(*arguments, **named)

    def test_it_is_as_light(self) -> None:
        """Each idle connection has two of them."""
        self.assertLessEqual(sys.getsizeof(self.kind()), sys.getsizeof(threading.RLock()))
        self.assertFalse(gc.is_tracked(self.kind()))

    def test_it_keeps_nothing(self) -> None:
        """However many are made and used, their type has one reference more for each that is left."""
        locks = [self.kind() for _ in range(100)]
        before = sys.getrefcount(self.kind)
        for _ in range(100):
            lock = self.kind()
            lock.acquire()
            lock.acquire(True, 1)
            with self.assertRaises(ValueError):
                lock.acquire(False, 1)
            lock.release()
        del lock
        self.assertEqual(sys.getrefcount(self.kind), before)
        locks.clear()
        self.assertEqual(sys.getrefcount(self.kind), before - 100)


if __name__ == "__main__":
    unittest.main()
