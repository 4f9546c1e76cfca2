"""The thread of a connection: light, and started without waiting."""

from __future__ import annotations

import threading
import unittest
from typing import Callable
from unittest import mock

from tests.engine.support import PATIENCE, Rig
from wssync.engine import goodbye, threads
from wssync.engine.loop import Engine
from wssync.engine.state import Phase
from wssync.engine.threads import make_thread


class Runner:
    """Runs this in a thread."""

    def __init__(self, work: Callable[[], object] = int) -> None:
        self._work = work

    def run(self) -> None:
        self._work()


class ThreadTests(unittest.TestCase):
    """`make_thread`."""

    def test_it_runs(self) -> None:
        """A daemon with a name of its own, alive from its beginning to its end, which can be waited for."""
        begun, end = threading.Event(), threading.Event()

        def run() -> None:
            begun.set()
            end.wait(PATIENCE)

        thread, other = make_thread(Runner(run)), make_thread(Runner())
        self.assertTrue(thread.daemon)
        self.assertRegex(thread.name, r"\Awssync-read-\d+\Z")
        self.assertNotEqual(thread.name, other.name)
        self.assertFalse(thread.is_alive())
        thread.start()
        self.assertTrue(begun.wait(PATIENCE))
        self.assertTrue(thread.is_alive())
        end.set()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())

    def test_nobody_waits_for_its_beginning(self) -> None:
        """`start` is over when the system has the thread, which may begin later."""
        go_on = threading.Event()

        def wait_first(thread: threading.Thread) -> None:
            go_on.wait(PATIENCE)
            bootstrap(thread)

        bootstrap = threading.Thread._bootstrap  # type: ignore[attr-defined] # the first that runs in a thread
        done = threading.Event()
        with mock.patch.object(threading.Thread, "_bootstrap", wait_first):
            thread = make_thread(Runner(done.set))
            thread.start()
            self.assertFalse(thread.is_alive())
            go_on.set()
            self.assertTrue(done.wait(PATIENCE))
        thread.join(PATIENCE)

    def test_a_version_that_is_not_known(self) -> None:
        """It gets a thread like any other, which runs as well."""
        done = threading.Event()
        with mock.patch.object(threads, "_UNREAD", (3, 0)):
            thread = make_thread(Runner(done.set))
        self.assertIs(type(thread), threading.Thread)
        self.assertRegex(thread.name, r"\Awssync-read-\d+\Z")
        thread.start()
        thread.join(PATIENCE)
        self.assertTrue(done.is_set())

    def test_the_beginning_is_an_event_as_far_as_threading_asks(self) -> None:
        """Set by the thread itself, before anything is traced in it; waiting for it is over at once."""
        beginning = threads._Beginning()
        self.assertFalse(beginning.is_set())
        self.assertFalse(beginning.wait(PATIENCE))
        beginning.set()
        self.assertTrue(beginning.is_set() and beginning.wait())

    def test_a_fork_finds_nothing_to_repair(self) -> None:
        """The interpreter asks each thread's beginning for it."""
        thread = make_thread(Runner())
        thread._started._at_fork_reinit()  # type: ignore[attr-defined] # what `threading` calls in a child
        self.assertFalse(thread.is_alive())

    def test_what_nobody_catches_is_told_as_ever(self) -> None:
        """`threading.excepthook` hears of it, that of the moment."""
        for _ in range(2):
            begun = threading.Event()
            with mock.patch.object(threading, "excepthook") as hook:
                thread = make_thread(Runner(lambda begun=begun: [begun.set()].pop(1)))  # type: ignore[misc] # IndexError
                thread.start()
                self.assertTrue(begun.wait(PATIENCE))
                thread.join(PATIENCE)
            self.assertIs(hook.call_args[0][0].exc_type, IndexError)
            self.assertIs(hook.call_args[0][0].thread, thread)


class EngineTests(unittest.TestCase):
    def test_an_interrupt_before_it_has_begun(self) -> None:
        """The system has made the thread, and Ctrl-C comes first: the task is as it was, the thread does nothing."""
        rig = Rig(self, threaded=True, opened=False)
        rig.connection.resume()
        wait = mock.patch.object(threads._Beginning, "wait", side_effect=KeyboardInterrupt)
        bootstrap = threading.Thread._bootstrap  # type: ignore[attr-defined] # as above
        go_on, over = threading.Event(), threading.Event()

        def wait_first(thread: threading.Thread) -> None:
            go_on.wait(PATIENCE)
            bootstrap(thread)
            over.set()

        with mock.patch.object(threading.Thread, "_bootstrap", wait_first):
            with wait, self.assertRaises(KeyboardInterrupt):
                rig.engine.start()
            self.assertIs(rig.connection.phase, Phase.NEW)
            self.assertIsNone(rig.connection.thread)
            self.assertNotIn(rig.connection, goodbye._connections)
            go_on.set()
            self.assertTrue(over.wait(PATIENCE))
        self.assertEqual(rig.stream.calls, [])
        rig.engine = Engine(rig.connection, rig.plan)
        rig.clock.attend(rig.engine._waker)
        rig.open()


if __name__ == "__main__":
    unittest.main()
