"""What the tests of tasks and sessions share: servers and sessions that are cleaned up, handlers and delegates that
remember, executors of every kind, a clock in the hand, and a check for leaks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import threading
import unittest
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import wssync
from tests.threads import Running as Running
from wssync.engine import surroundings
from wssync.protocol.frames import Opcode, encode_header
from wssync.testing import Handler, Server, ServerConnection
from wssync.transport.clock import Clock

PATIENCE = 10.0
"""Seconds after which a test gives up on something that should come at once."""

HAS_TRUSTME = importlib.util.find_spec("trustme") is not None

needs_trustme = unittest.skipUnless(HAS_TRUSTME, "trustme is not installed")

BAD_FRAME = b"\xf1\x00"
"""A text frame with all reserved bits set."""


def frame(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A whole frame as a server sends it."""
    return encode_header(True, False, opcode, len(payload), None) + payload


class Box:
    """A handler that keeps what it is called with, and on which threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.values: List[Any] = []
        self.threads: List[str] = []

    def __call__(self, value: Any) -> None:
        with self._changed:
            self.values.append(value)
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> List[Any]:
        """The values, once there are `count` of them."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.values) >= count, PATIENCE):
                raise AssertionError(f"only {len(self.values)} of {count} calls came: {self.values}")
            return list(self.values)

    def one(self) -> Any:
        """The first value."""
        return self.wait()[0]


class Recorder(wssync.WebSocketDelegate):
    """A delegate that remembers every call but `did_create_task`, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.calls: List[Tuple[Any, ...]] = []
        self.created: List[Any] = []
        self.threads: List[str] = []

    def _note(self, *call: Any) -> None:
        with self._changed:
            self.calls.append(call)
            self.threads.append(threading.current_thread().name)
            self._changed.notify_all()

    @property
    def names(self) -> List[str]:
        """The names of the methods that were called."""
        return [call[0] for call in list(self.calls)]

    def wait_for(self, name: str, count: int = 1) -> List[Tuple[Any, ...]]:
        """The calls of that method without its name, once there are `count`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.names.count(name) >= count, PATIENCE):
                raise AssertionError(f"{name} did not come {count} times, but {self.names}")
            return [call[1:] for call in self.calls if call[0] == name]

    def did_create_task(self, session: Any, task: Any) -> None:
        self.created.append((session, task, threading.current_thread()))

    def did_open(self, session: Any, task: Any, protocol: Optional[str]) -> None:
        self._note("did_open", task, protocol)

    def did_receive_informational_response(self, session: Any, task: Any, response: Any) -> None:
        self._note("did_receive_informational_response", task, response)

    def did_close(self, session: Any, task: Any, close_code: int, reason: Optional[str]) -> None:
        self._note("did_close", task, close_code, reason)

    def did_complete(self, session: Any, task: Any, error: Optional[wssync.WebSocketError]) -> None:
        self._note("did_complete", task, error)

    def session_did_become_invalid(self, session: Any, error: Optional[wssync.WebSocketError]) -> None:
        self._note("session_did_become_invalid", session, error)


class InlineExecutor:
    """Runs everything at once, inside `submit`."""

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Call it."""
        fn(*args)


class RefusingExecutor:
    """Takes so many pieces of work, which it runs at once, and refuses all later ones."""

    def __init__(self, accepted: int = 0) -> None:
        self.left = accepted
        self.refused = 0

    def submit(self, fn: Callable[..., object], /, *args: Any) -> None:
        """Call it, or raise."""
        if not self.left:
            self.refused += 1
            raise RuntimeError("no more work, please")
        self.left -= 1
        fn(*args)


class ManualClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        """The time it was set to."""
        return self.time

    def advance(self, seconds: float, *tasks: wssync.WebSocketTask) -> None:
        """Let time pass for `tasks`."""
        self.time += seconds
        for task in tasks:
            task._connection.wake()


def send_all(connection: ServerConnection, messages: Iterable[Union[str, bytes]]) -> None:
    """Send one message after the other."""
    for message in messages:
        connection.send(message)


def library_threads() -> List[threading.Thread]:
    """The threads of wssync that run now, those of the test server too."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("wssync-")]


def open_descriptors() -> Optional[int]:
    """How many there are, or `None` where that cannot be asked."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return None


class OnlineTestCase(unittest.TestCase):
    """Servers, sessions and tasks that end with the test; fails when a thread or a descriptor is left then."""

    def setUp(self) -> None:
        before = open_descriptors()
        old = set(library_threads())
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors left open"))
        self.addCleanup(self._check_threads, old)

    def _check_threads(self, old: Any) -> None:
        for thread in library_threads():
            if thread not in old:
                thread.join(PATIENCE)
                self.assertFalse(thread.is_alive(), f"{thread.name} is left running")

    def serve(self, handler: Optional[Handler] = None, **options: Any) -> Server:
        """A server for the time of the test; what its handlers raise fails the test."""
        server = Server(handler, **options) if handler is not None else Server(**options)
        server.start()
        self.addCleanup(self._check_server, server)
        self.addCleanup(server.close)
        return server

    def _check_server(self, server: Server) -> None:
        self.assertEqual([repr(error) for error in server.errors], [], "the server noticed faults")

    def hold(self, **options: Any) -> Server:
        """A server whose connections do nothing by themselves until the test ends: they do not even read."""
        done = threading.Event()

        def wait(connection: ServerConnection) -> None:
            done.wait(PATIENCE)

        server = self.serve(wait, **options)
        self.addCleanup(done.set)
        return server

    def configuration(self, **changes: Any) -> wssync.SessionConfiguration:
        """An ephemeral configuration that closes soon."""
        return wssync.SessionConfiguration.ephemeral().replace(**{"close_timeout": PATIENCE, **changes})

    def session(
        self,
        configuration: Optional[wssync.SessionConfiguration] = None,
        *,
        delegate: object = None,
        executor: Any = None,
    ) -> wssync.Session:
        """A session for the time of the test."""
        session = wssync.Session(configuration or self.configuration(), delegate=delegate, executor=executor)
        self.addCleanup(session.__exit__, None, None, None)
        return session

    def connect(
        self,
        server: Server,
        protocols: Sequence[str] = (),
        *,
        delegate: object = None,
        executor: Any = None,
        **changes: Any,
    ) -> wssync.WebSocketTask:
        """An open task, cancelled at the end of the test if it still is."""
        task = wssync.connect(
            server.url,
            protocols,
            configuration=self.configuration(**changes),
            delegate=delegate,
            executor=executor,
            timeout=PATIENCE,
        )
        self.addCleanup(self.end, task)
        return task

    def pair(self, **changes: Any) -> Tuple[wssync.WebSocketTask, ServerConnection]:
        """An open task and the other end, which does nothing by itself."""
        server = self.hold(compression=None)
        task = self.connect(server, **changes)
        return task, server.wait_for_connection(PATIENCE)

    def end(self, task: wssync.WebSocketTask) -> None:
        """Cancel the task and wait until its thread is gone."""
        task.cancel()
        task._join()

    @contextlib.contextmanager
    def manual_clock(self) -> Iterator[ManualClock]:
        """Sessions made in here live by this clock."""
        clock = ManualClock()
        with surroundings.replaced(clock=clock):
            yield clock

    def quiet(self) -> None:
        """Keep what the library logs out of the test's output."""
        logger = logging.getLogger("wssync")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)

    def assertEnded(self, task: wssync.WebSocketTask, **expected: Any) -> None:
        """The task has ended, or does so now, and shows these attributes."""
        task.wait_until_closed(PATIENCE)
        shown: Dict[str, Any] = {name: getattr(task, name) for name in expected}
        self.assertEqual(shown, expected)
        self.assertIs(task.state, wssync.TaskState.COMPLETED)
