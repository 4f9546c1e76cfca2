"""What a message costs is bounded, and the counting sees what it is meant to see.

The bounds are what was measured with a fifth on top, for the versions of Python differ a little and so does the moment
at which a thread is overtaken. Whoever makes a message cheaper lowers them; whoever makes it dearer says why.
"""

from __future__ import annotations

import select
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Dict, List

import wssync
from tests.bench import work
from tests.bench.work import Work, counted_calls, counted_inside, excess
from tests.threads import Running
from wssync.engine.accelerated import CompiledExpress

ECHO: Dict[str, float] = {
    "Python calls": 8.5,
    "C calls": 27,
    "lock acquisitions": 2.4,
    "system calls": 2.4 if sys.platform == "linux" else 3.6,
    "socket.send": 1,
    "allocated blocks": 0.5,
}
"""For one message of 16 bytes, sent and received."""

ACCELERATED_ECHO: Dict[str, float] = {"Python calls": 5, "C calls": 9.5, "lock acquisitions": 2.4}
"""The same with the accelerator; before Python 3.12 one call more, and what the accelerator calls does not count."""

BATCH: Dict[str, float] = {
    "Python calls": 1_250,
    "C calls": 2_500,
    "lock acquisitions": 6,
    "system calls": 3,
    "socket.send": 2,
    "allocated blocks": 50,
}
"""For one message sent and 1,000 received, each by a call."""

CONNECTION: Dict[str, float] = {
    "Python calls": 610,
    "C calls": 450,
    "bytes": 9_000 if sys.version_info >= (3, 13) else 14_000,  # older instances have heavier dictionaries
}
"""For one connection, opened and closed; and its bytes while it is open. A tenth on top: it is many small things."""

TRACED: Dict[str, float] = {"sendto": 1.2, "all": 3}
"""System calls for one message sent and received, as strace sees them: those for locks are among them all."""


class WorkTests(unittest.TestCase):
    """The work of the client."""

    url: str

    @classmethod
    def setUpClass(cls) -> None:
        peer = work.peer()
        cls.url = peer.__enter__()
        cls.addClassCleanup(peer.__exit__, None, None, None)

    def test_an_echo(self) -> None:
        """One message there and back costs no more than it is allowed."""
        counts = Work.echo(self.url).count()
        self.assertEqual(excess(counts, ECHO), [], counts)
        if CompiledExpress is not None:
            self.assertEqual(excess(counts, ACCELERATED_ECHO), [], counts)

    def test_a_batch(self) -> None:
        """1,000 messages that arrive together cost no more than they are allowed."""
        counts = Work.batch(self.url).count()
        self.assertEqual(excess(counts, BATCH), [], counts)

    def test_a_connection(self) -> None:
        """To open and to close one costs no more than it is allowed, in both threads, and neither does an idle one."""
        counts = work.connection_work(self.url)
        if "coverage" in sys.modules:
            del counts["bytes"]  # some of them are those of its own records
        self.assertEqual(excess(counts, CONNECTION), [], counts)

    def test_an_echo_under_strace(self) -> None:
        """Where strace is installed: it sees no more system calls than are allowed."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                calls = work.traced_system_calls(self.url, Path(folder) / "trace")
            except OSError as error:
                self.skipTest(f"no strace: {error}")
        counts = {name: number / work.TIMES for name, number in calls.items()}
        counts["all"] = sum(counts.values())
        self.assertEqual(excess(counts, TRACED), [], counts)

    def test_more_work_is_seen(self) -> None:
        """A client that does everything twice is over every bound but that of memory; else a bound is too high."""
        if "wssync._speedups" in sys.modules:
            self.skipTest("the bounds are for pure Python")

        def twice(task: wssync.WebSocketTask) -> None:
            for _ in range(2):
                task.send(work.PAYLOAD)
                task.receive()

        counts = Work(self.url, twice, work.WARM_UP, 20).count()
        self.assertEqual(len(excess(counts, ECHO)), len(ECHO) - 1, counts)

    def test_memory_that_stays_is_seen(self) -> None:
        """So is one that keeps each message, though nothing else is dearer."""
        kept = []

        def keep(task: wssync.WebSocketTask) -> None:
            task.send(work.PAYLOAD)
            kept.append([task.receive()])

        self.assertGreater(Work(self.url, keep, 5, 100).count()["allocated blocks"], 1)


class CountingTests(unittest.TestCase):
    """The counters."""

    def test_calls(self) -> None:
        """Python functions, functions in C under their names; not the step itself nor the end of the counting."""

        def inner() -> int:
            return len("x")

        def step() -> None:
            inner()
            inner()
            found: List[int] = []
            found.append(0)
            sys.getrecursionlimit()

        expected = {"Python calls": 2, "C calls": 4, "builtins.len": 2, "list.append": 1, "sys.getrecursionlimit": 1}
        self.assertEqual({name: count for name, count in counted_calls(step).items() if count}, expected)

    def test_a_class_of_python_is_named_by_its_base_in_c(self) -> None:
        """What a subclass inherits counts as what it is."""

        class Ours(list):  # type: ignore[type-arg]
            pass

        ours = Ours()
        self.assertEqual(counted_calls(lambda: ours.append(1))["list.append"], 1)

    def test_the_profile_is_put_back(self) -> None:
        """Also when the step fails."""
        before = sys.getprofile()
        with self.assertRaises(ZeroDivisionError):
            counted_calls(lambda: 1 // 0)
        self.assertIs(sys.getprofile(), before)

    def test_locks(self) -> None:
        """Each way to take a lock counts once, those inside Condition and Event too, and what it answers is true."""
        with counted_inside() as counts:
            lock, recursive = threading.Lock(), threading.RLock()
            counts.clear()
            with lock:
                self.assertFalse(lock.acquire(False))
                self.assertTrue(lock.locked())
            with recursive, recursive:
                pass
            self.assertEqual(counts[work.LOCKS], 4)
            event = threading.Event()
            counts.clear()
            event.set()
            self.assertGreaterEqual(counts[work.LOCKS], 1)

    def test_a_condition_works_with_counted_locks(self) -> None:
        """A thread is waited for as ever; what it takes itself is not counted."""
        with counted_inside() as counts:
            condition, arrived = threading.Condition(), []

            def arrive() -> None:
                for _ in range(1000):
                    with condition:
                        arrived.append(True)
                        condition.notify()

            with condition:
                running = Running(arrive)
                self.assertTrue(condition.wait_for(lambda: len(arrived) == 1000, 10))
            running.result()
        self.assertLess(counts[work.LOCKS], 1000 * 3)

    def test_system_calls(self) -> None:
        """Those of sockets and pollers count by name, also where C makes the call."""
        left, right = socket.socketpair()
        with left, right, counted_inside() as counts:
            poller = select.poll()
            poller.register(right, select.POLLIN)
            counts.clear()
            list(map(left.send, [b"1", b"2"]))
            poller.poll(0)
            select.select([right], [], [], 0)
            right.recv(10)
            expected = {"socket.send": 2, "poll.poll": 1, "select.select": 1, "socket.recv": 1}
            self.assertEqual(counts, expected)
            Running(lambda: left.send(b"3")).result()
            self.assertEqual(counts["socket.send"], 2, "another thread's")

    def test_everything_is_put_back(self) -> None:
        """Locks, sockets and pollers are the old ones afterwards."""
        before = threading.Lock, threading.RLock, select.poll, select.select, "send" in vars(socket.socket)
        with counted_inside():
            self.assertIsNot(threading.Lock, before[0])
        after = threading.Lock, threading.RLock, select.poll, select.select, "send" in vars(socket.socket)
        self.assertEqual(before, after)

    def test_the_part_of_a_trace_between_the_marks(self) -> None:
        """Only the thread that made the marks, and a call that was interrupted once."""
        trace = (
            "7 read(0) = 0\n7 getpgrp() = 1\n7 sendto(3) = 2\n8 recvfrom(3) = 2\n7 futex(1 <unfinished ...>\n"
            "8 futex(1) = 1\n7 <... futex resumed>) = 0\n7 getpgrp() = 1\n7 close(3) = 0\n"
        )
        self.assertEqual(work._between_marks(trace), {"sendto": 1, "futex": 1})

    def test_excess(self) -> None:
        """A number over its bound is named; one that is at it, or was never counted, is not."""
        bounds: Dict[str, float] = {"send": 1, "recv": 1, "poll": 0}
        self.assertEqual(excess({"send": 1, "recv": 2, "other": 9}, bounds), ["2 recv, at most 1"])


if __name__ == "__main__":
    unittest.main()
