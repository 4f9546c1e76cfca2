"""A task and its process: Ctrl-C, a fork, and the end of the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import unittest
import warnings
from pathlib import Path
from typing import Callable

import wssync
from tests.tasks import PATIENCE, OnlineTestCase, Running
from wssync.testing import script, stop_reading

ROOT = Path(__file__).resolve().parents[1]


class ControlCTests(OnlineTestCase):
    @unittest.skipIf(sys.platform == "win32", "signals are sent to a thread here")
    def test_it_ends_every_blocking_call(self) -> None:
        """KeyboardInterrupt comes out of the call at once, and the task is as before."""
        task, peer = self.pair()
        calls: dict[str, Callable[[], object]] = {
            "receive": task.receive,
            "iteration": lambda: next(iter(task)),
            "send_ping": task.send_ping,
            "wait_until_closed": task.wait_until_closed,
        }
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, previous)
        for name, call in calls.items():
            with self.subTest(name):
                self._interrupt(call)
        self.assertIs(task.state, wssync.TaskState.RUNNING)
        peer.send("still here")
        self.assertReceives(task, "still here")

    @unittest.skipIf(sys.platform == "win32", "signals are sent to a thread here")
    def test_it_ends_a_send(self) -> None:
        """In the middle of writing nobody knows how much has left: then the connection ends, and nothing hangs."""
        task, _ = self.pair()
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, previous)
        self._interrupt(lambda: task.send(bytes(64 * 2**20)))
        task.close(timeout=0.01)
        self.assertIsInstance(task.error, wssync.ConnectionClosed)

    def _interrupt(self, call: Callable[[], object]) -> None:
        main = threading.main_thread()
        blocked = threading.Event()

        def strike() -> None:
            while not blocked.wait(0.02):  # as often as it takes: the first may come before the call waits
                signal.pthread_kill(main.ident or 0, signal.SIGINT)

        striker = threading.Thread(target=strike)
        striker.start()
        try:
            with self.assertRaises(KeyboardInterrupt):
                call()
        finally:
            while not blocked.is_set():
                try:
                    blocked.set()
                    striker.join(PATIENCE)
                except KeyboardInterrupt:
                    continue


@unittest.skipUnless(hasattr(os, "fork"), "no fork here")
class ForkTests(OnlineTestCase):
    def _in_child(self, check: Callable[[], None]) -> None:
        """Run `check` in a child process, which then ends without a word."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tried here
            pid = os.fork()
        if not pid:
            status = 1
            try:
                check()
                status = 0
            finally:
                os._exit(status)
        done = Running(lambda: os.waitpid(pid, 0)).result()
        self.assertEqual(done[1], 0, "the child failed")

    def test_a_child_does_not_disturb_the_parents_connection(self) -> None:
        """Rule 223: its task has ended for it, with an error that says why; the parent's goes on."""
        task = self.connect()
        session = self.session()
        running = Running(task.receive)

        def check() -> None:
            assert task.state is wssync.TaskState.COMPLETED
            for call in (lambda: task.send("x"), task.receive, task.send_ping, task.send_pong):
                try:
                    call()
                except wssync.ConnectionClosed as error:
                    assert "parent" in str(error)
                else:
                    raise AssertionError
            task.send("x", lambda error: None)
            task.cancel()
            task.close()
            assert session.tasks == []

        self._in_child(check)
        task.send("hello")
        self.assertEqual(running.result(), "hello")
        task.close()
        self.assertIsNone(task.error)

    def test_a_child_can_have_tasks_of_its_own(self) -> None:
        """Of an inherited session too, with handlers on its executor."""
        session = self.session()
        mine = session.websocket_task(self.server.url)
        mine.resume()
        mine.send("x")
        mine.receive(lambda result: None)

        def check() -> None:
            task = session.websocket_task(self.server.url)
            task.resume()
            done = threading.Event()
            task.receive(lambda result: done.set())
            task.send("from the child")
            assert done.wait(PATIENCE)
            task.close()
            assert task.error is None

        self._in_child(check)
        mine.send_ping(timeout=PATIENCE)


class ExitTests(OnlineTestCase):
    def _run(self, script: str, url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), url],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_open_connections_are_closed_with_1001(self) -> None:
        """Rule 220: the program ends by itself, the server sees the Close, nothing is on standard error."""
        done = self._run(
            """
            import sys, wssync
            task = wssync.connect(sys.argv[1])
            other = wssync.connect(sys.argv[1])
            other.receive(lambda result: None)
            task.send("x")
            print(task.receive())
            """,
            self.server.url,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "x\n", ""))
        for connection in self.server.connections:
            connection.wait_until_closed(PATIENCE)
        self.assertEqual([connection.close_code for connection in self.server.connections], [1001, 1001])

    def test_a_peer_that_never_answers_delays_the_end_only_so_long(self) -> None:
        """One second for all of them together, not ten each."""
        self.serve(stop_reading)
        done = self._run(
            """
            import sys, time, atexit, wssync
            atexit.register(lambda: print("%d" % (time.monotonic() - begin)))
            tasks = [wssync.connect(sys.argv[1]) for _ in range(5)]
            begin = time.monotonic()
            import wssync.engine.goodbye as goodbye
            atexit.unregister(goodbye.say_goodbye)
            atexit.register(goodbye.say_goodbye)  # before the line above, which then tells how long it took
            """,
            self.server.url,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLess(int(done.stdout), 5)

    def test_never_resumed_and_ended_tasks_do_no_harm(self) -> None:
        """Nor does the shared session."""
        done = self._run(
            """
            import sys, wssync
            fresh = wssync.Session().websocket_task(sys.argv[1])
            with wssync.connect(sys.argv[1]) as task:
                pass
            shared = wssync.Session.shared().websocket_task(sys.argv[1])
            shared.resume()
            shared.send("x", print)
            """,
            self.server.url,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class HandlerThreadTests(OnlineTestCase):
    def test_a_task_that_is_closed_by_the_server_leaves_no_thread(self) -> None:
        """Rule 222: the thread of the connection and that of its own session end with it."""
        self.serve(script(["x"]))
        task = self.connect()
        thread = task._connection.thread
        self.assertReceives(task, "x")
        self.assertClosed(task)
        assert thread is not None
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())
