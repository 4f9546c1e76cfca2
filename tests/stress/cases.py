"""The stress cases: schedules by the thousand, a cancel at every line of the library, exceptions out of nowhere, and
floods in both directions.

Threads change every microsecond while they run (`sys.setswitchinterval`), which finds more than waiting for the
operating system would.
"""

from __future__ import annotations

import os
import random
import signal
import ssl
import sys
import threading
import time
import types
import unittest
from typing import Any, Callable, ClassVar, List, Optional

import wssync
from tests.stress.borrowers import Round
from tests.stress.schedules import run_schedules
from tests.tasks import PATIENCE, OnlineTestCase, Running, needs_trustme
from tests.test_task_send import FloodTests as Floods
from wssync.testing import Recorder, Server, ServerConnection

__all__ = ["BorrowerCases", "CancelEverywhere", "FloodCases", "InterruptCases", "ScheduleCases"]

SIZE = 64 * 2**20


class StressCase(OnlineTestCase):
    """With threads that change as often as they can."""

    def setUp(self) -> None:
        super().setUp()
        self.quiet()
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)


class ScheduleCases(StressCase):
    """Random schedules, a tenth of them over TLS."""

    schedules: ClassVar[int] = 10_000
    until: ClassVar[Optional[float]] = None
    seed: ClassVar[int] = 10_000_000

    def _run(self, count: int, *, tls: bool) -> None:
        first = self.seed + (500_000_000 if tls else 0)
        results = run_schedules(iter(range(first, first + count)), tls=tls, until=self.until)
        found = {seed: findings for seed, findings in results.items() if findings}
        print(f"{len(results)} of {count} random schedules{' over TLS' if tls else ''}, from {first}", flush=True)
        self.assertEqual(found, {}, "seeds and what they found")
        self.assertTrue(results or not count)

    @needs_trustme
    def test_over_wss(self) -> None:
        """Every promise holds over TLS."""
        self._run(self.schedules // 10, tls=True)

    def test_over_ws(self) -> None:
        """Every promise holds."""
        self._run(self.schedules - self.schedules // 10, tls=False)


class FloodCases(Floods):
    """Two well-behaved peers that both send 64 MiB before they read."""

    def test_both_send_at_once(self) -> None:
        """Rule 118: both finish, over ws."""
        self.flood(SIZE, tls=False)

    @needs_trustme
    def test_both_send_at_once_over_tls(self) -> None:
        """Rule 118: both finish, over wss."""
        self.flood(SIZE, tls=True)


class Tripwire:
    """Traces the engine threads and calls `act` on a thread of its own when the given line of the library is reached.

    The traced thread goes on after a moment whether or not `act` has returned: it may hold what `act` needs.
    """

    def __init__(self, line: int, act: Callable[[], object]) -> None:
        self._left = line
        self._act = act
        self._reached = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self.lines = 0

    @property
    def was_reached(self) -> bool:
        """Whether there were so many lines."""
        return self._left <= 0

    def __enter__(self) -> Tripwire:
        self._thread.start()
        threading.settrace(self._trace)
        return self

    def __exit__(self, *error: object) -> None:
        threading.settrace(None)
        self._reached.set()
        self._thread.join(PATIENCE)

    def _wait(self) -> None:
        self._reached.wait(PATIENCE)
        if self.was_reached:
            self._act()
        self._done.set()

    def _trace(self, frame: types.FrameType, event: str, argument: object) -> Any:
        if not threading.current_thread().name.startswith("wssync-read-"):
            return None
        if os.sep + "wssync" + os.sep not in frame.f_code.co_filename:
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                self._reached.set()
                self._done.wait(0.001)
        return self._trace


class CancelEverywhere(OnlineTestCase):
    """A task that is cancelled at each line that its thread runs, from the first of the opening to the last of all."""

    step: ClassVar[int] = 2

    def _play(self, server: Server, line: int) -> bool:
        """Whether that line was reached."""
        told = Recorder()
        session = wssync.Session()
        task = session.websocket_task(server.url)
        with Tripwire(line, task.cancel) as wire:
            task.send("one", told.handler("sent"))
            task.receive(told.handler("first"))
            task.send_ping(told.handler("ponged"))
            task.receive(told.handler("second"))
            task.resume()
            for call in (lambda: task.send("two"), lambda: task.send("three"), task.receive, task.close):
                try:
                    call()
                except wssync.WebSocketError:
                    pass
            for name in ("sent", "first", "ponged", "second"):
                self.assertEqual(len(told.wait_for(name)), 1, f"line {line}")
        session.invalidate_and_cancel()
        task._join()
        self.assertIs(task.state, wssync.TaskState.COMPLETED, f"line {line}")
        self.assertEqual(len(told.events), 4, f"line {line}")
        return wire.was_reached

    def test_cancelled_at_every_line(self) -> None:
        """Each handler is called once, no call hangs, nothing is left."""
        self.quiet()
        line = 1
        while self._play(self.server, line):
            line += self.step
        print(f"cancelled at {line // self.step} lines", flush=True)
        self.assertGreater(line, 500)


class Hit(Exception):
    """What a signal raises in the middle of anything, as Ctrl-C raises KeyboardInterrupt."""


@unittest.skipUnless(hasattr(signal, "setitimer"), "no timer signals here")
class InterruptCases(StressCase):
    """A thread that sends and receives is hit by exceptions out of nowhere."""

    seconds: ClassVar[float] = 10.0

    def _hit(self, *_: object) -> None:
        raise Hit

    def _arm(self) -> None:
        """Strike soon; and later again, should it come where nobody hears of it: in a finalizer."""
        signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 1e-3), 5.0)

    def test_hit_while_receiving(self) -> None:
        """No message is doubled or out of order, few are lost (the one just handed over), the connection lives."""
        stop = threading.Event()

        def pour(connection: ServerConnection) -> None:
            number = 0
            while not stop.is_set():
                connection.send(str(number))
                number += 1
            connection.send(f"end {number}")
            connection.receive()

        self.serve(pour)
        task = self.connect()
        previous = signal.signal(signal.SIGALRM, self._hit)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        received: List[int] = []
        hits = 0
        ends = time.monotonic() + self.seconds
        try:
            while time.monotonic() < ends:
                try:
                    self._arm()
                    while True:
                        received.extend(map(int, (task.receive(timeout=0.001),)))
                except TimeoutError:
                    continue
                except Hit:
                    hits += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            stop.set()
        while True:
            message = str(task.receive(timeout=PATIENCE))
            if message.startswith("end"):
                break
            received.append(int(message))
        self.assertEqual(received, sorted(set(received)))
        lost = int(message.split()[1]) - len(received)
        print(f"{hits} hits, {len(received)} messages received, {lost} lost in their delivery", flush=True)
        self.assertGreater(hits, 100)
        self.assertLessEqual(lost, hits // 2)
        task.close()
        self.assertIsNone(task.error)

    def test_hit_while_sending(self) -> None:
        """The connection goes on or ends with an error that says so; no caller hangs and no thread stays."""
        previous = signal.signal(signal.SIGALRM, self._hit)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        ends = time.monotonic() + self.seconds
        rounds = hits = 0
        while time.monotonic() < ends:
            rounds += 1
            task = self.connect()
            drain = Running(lambda task=task: sum(1 for _ in task))  # type: ignore[misc]
            try:
                while task.error is None and hits < rounds * 20:
                    try:
                        self._arm()
                        while True:
                            task.send(b"x" * 5000)
                    except Hit:
                        hits += 1
            except wssync.ConnectionClosed:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            task.close(timeout=1)
            drain.thread.join(PATIENCE)
            self.assertFalse(drain.thread.is_alive())
        print(f"{hits} hits in {rounds} connections", flush=True)
        self.assertFalse([thread for thread in threading.enumerate() if thread.name.startswith("wssync-read-")])


@unittest.skipUnless(sys.implementation.name == "cpython", "no exception can be set in another thread")
class BorrowerCases(StressCase):
    """Threads that receive by themselves are hit by exceptions that come straight after their bytes."""

    seconds: ClassVar[float] = 10.0
    seed: ClassVar[int] = 1
    # A hit inside `concurrent.futures`, while it starts its thread or hands it work, leaves that thread without an end.
    leak_timeout = None

    def _play(self, *, tls: bool) -> None:
        choose = random.Random(self.seed)
        current: List[Round] = []
        totals = [0, 0, 0, 0]
        server = self.serve(lambda connection: current[-1].pour(connection), tls=tls)
        context = ssl.create_default_context(cafile=server.ca_file) if tls else None
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends:
            current.append(Round(choose.randrange(2**32), tls=tls, seconds=choose.choice((0.05, 0.3, 1.0))))
            one = current[-1]
            one.run(server, context)
            self.assertEqual(one.findings, [], f"round {len(current)}")
            totals = [total + more for total, more in zip(totals, (1, one.received, one.hits, one.lost))]
        print("{} rounds, {} messages received, {} hits, {} lost in their delivery".format(*totals), flush=True)
        self.assertGreater(totals[1], 100)
        self.assertFalse([thread for thread in threading.enumerate() if thread.name.startswith("wssync-read-")])

    def test_over_ws(self) -> None:
        """None is doubled, few are lost (the one just handed over), no role stays held, every receive ends."""
        self._play(tls=False)

    @needs_trustme
    def test_over_wss(self) -> None:
        """The same over TLS, where a hit may end the connection, which every receive then hears."""
        self._play(tls=True)
