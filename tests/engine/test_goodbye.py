"""The end of the process, and a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import unittest
import warnings
import weakref
from typing import Any, List
from unittest import mock

from wssync.engine import goodbye
from wssync.engine.completions import Waiter
from wssync.engine.state import Phase
from wssync.errors import Cancelled
from wssync.protocol.frames import Opcode

from ..protocol.wire import CLOSE, frame
from .support import PATIENCE, Rig, Running, close_body

AT_EXIT = """
import threading
from wssync.engine import goodbye

class Fake:
    gone = threading.Event()
    def close(self, *arguments):
        print("closed", *arguments)
        self.gone.set()
    def cancel(self):
        print("cancelled")

goodbye._connections = [Fake()]
"""


class GoodbyeTestCase(unittest.TestCase):
    def setUp(self) -> None:
        for name, empty in (("_connections", set()), ("_forkable", weakref.WeakSet())):
            patch: Any = mock.patch.object(goodbye, name, empty)
            patch.start()
            self.addCleanup(patch.stop)


class ExitTests(GoodbyeTestCase):
    def test_every_open_connection_gets_a_close(self) -> None:
        """1001, to all of them; what was queued goes before; who answers is waited for."""
        rigs = [Rig(self, threaded=True) for _ in range(3)]
        for rig in rigs:
            goodbye.remember_connection(rig.connection)

        def answer(rig: Rig) -> None:
            rig.stream.wait_until(lambda: len(rig.stream.outgoing) >= 8, "the Close")
            rig.stream.give(frame(CLOSE, close_body(1001)))
            rig.stream.give_end()

        answers = [Running(lambda rig=rig: answer(rig)) for rig in rigs]  # type: ignore[misc]
        goodbye.say_goodbye()
        for rig, running in zip(rigs, answers):
            running.result()
            rig.wait(rig.connection.gone)
            self.assertEqual(rig.sent(), [(Opcode.CLOSE, close_body(1001))])
            self.assertEqual(rig.connection.close_code, 1001)

    def test_who_does_not_answer_is_cut(self) -> None:
        """One second for all together, then `cancel()`."""
        rigs = [Rig(self, threaded=True) for _ in range(2)]
        for rig in rigs:
            goodbye.remember_connection(rig.connection)
        with mock.patch.object(goodbye, "PATIENCE", 0.01):
            goodbye.say_goodbye()
        for rig in rigs:
            rig.wait(rig.connection.gone)
            self.assertIsInstance(rig.verdict, Cancelled)

    def test_one_that_is_opening_is_cancelled(self) -> None:
        """It is known since its thread was started, and not waited for until it is open."""
        rig = Rig(self, threaded=True, opened=False, answer=lambda head: [])
        rig.connection.resume()
        rig.engine.start()
        goodbye.say_goodbye()
        rig.wait(rig.connection.gone)
        self.assertIsInstance(rig.verdict, Cancelled)

    def test_what_is_gone_is_left_alone(self) -> None:
        """A connection that has ended is forgotten with its thread, and is not said goodbye to while it goes."""
        rig = Rig(self)
        goodbye.remember_connection(rig.connection)
        rig.connection.cancel()
        rig.finish()
        self.assertEqual(goodbye._connections, set())
        goodbye.remember_connection(rig.connection)
        with mock.patch.object(rig.connection, "close", side_effect=AssertionError):
            goodbye.say_goodbye()

    def test_it_is_asked_for_at_exit(self) -> None:
        """Python runs it before the interpreter goes."""
        program = subprocess.run(
            [sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        self.assertEqual(program.stdout.splitlines(), ["closed 1001 None 1.0", "cancelled"])


class ForkTests(GoodbyeTestCase):
    def test_everything_that_asked_is_abandoned(self) -> None:
        """Connections, and whatever else has locks."""
        rig = Rig(self)
        goodbye.remember_connection(rig.connection)
        abandoned: List[Any] = []

        class Thing:
            def abandon(self) -> None:
                abandoned.append(self)

        thing = Thing()
        goodbye.remember_fork(thing)
        rig.clock.wakers.clear()
        goodbye._after_fork()
        self.assertEqual(abandoned, [thing])
        self.assertEqual(goodbye._connections, set())
        self.assertIs(rig.connection.phase, Phase.GONE)

    @unittest.skipUnless(hasattr(os, "fork") and sys.platform != "win32", "there is no fork here")
    def test_a_fork_with_a_connection_in_use(self) -> None:
        """In the child every call fails at once; the parent's connection goes on."""
        rig = Rig(self, threaded=True)
        goodbye.remember_connection(rig.connection)
        waiter: Waiter[Any] = Waiter()
        rig.connection.receive(waiter)
        reader, writer = os.pipe()
        with rig.connection.mutex:  # as if another thread held it
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, which is the point
                child = os.fork()
            if not child:  # pragma: no cover (coverage does not see this process)
                report = b"nothing"
                try:
                    report = _in_child(rig)
                finally:
                    os.write(writer, report)
                    os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            self.assertEqual(pipe.read(), b"the connection belongs to the parent process")
        os.waitpid(child, 0)
        rig.stream.give(frame(1, b"a"))
        waiter.wait(PATIENCE)
        self.assertEqual(waiter.value, "a")


def _in_child(rig: Rig) -> bytes:  # pragma: no cover (runs in a child process)
    done = threading.Event()
    waiter: Waiter[Any] = Waiter()
    rig.connection.receive(waiter)
    rig.connection.close(1000, None, None)
    done.set()
    return str(waiter.error).encode()
