"""What the tests of tasks and sessions share beyond `wssync.testing`: the other end of a task in the test's hand, and
executors of every kind.

What a task tells goes to a `wssync.testing.Recorder`, a `Box` is for executors, which know nothing of tasks.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import types
import unittest
from typing import Any, Callable, List, Tuple

import wssync
from tests.protocol.wire import TEXT, frame
from tests.threads import PATIENCE as PATIENCE
from tests.threads import Running as Running
from wssync.engine import accelerated
from wssync.testing import Recorder, ServerConnection, WebSocketTestCase, stop_reading

HAS_TRUSTME = importlib.util.find_spec("trustme") is not None

needs_trustme = unittest.skipUnless(HAS_TRUSTME, "trustme is not installed")

BAD_FRAME = frame(TEXT, rsv=7)
"""A text frame with all reserved bits set."""


def texts(*messages: bytes) -> bytes:
    """Text messages as they come in one packet."""
    return b"".join(frame(TEXT, message) for message in messages)


def names(recorder: Recorder) -> List[str]:
    """What was called so far, but for the making of tasks."""
    return [event.name for event in recorder.events if event.name != "did_create_task"]


needs_shortening = unittest.skipIf(accelerated.shorten is accelerated._nothing, "functions are not shortened here")


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which the accelerator does not go past."""
    code: Any = function
    copy = types.FunctionType(code.__code__, code.__globals__, code.__name__, code.__defaults__, code.__closure__)
    copy.__kwdefaults__ = code.__kwdefaults__
    return copy


def times_begun(function: Callable[..., Any], call: Callable[[], object]) -> int:
    """How often `call` begins the function's own code, and does not go past it. Needs Python 3.12."""
    if sys.gettrace() is not None:
        raise unittest.SkipTest("nothing is gone past under a tracer")
    monitoring: Any = getattr(sys, "monitoring", None)
    code, begun, tool = getattr(function, "__code__", None), [], monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "tests")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, lambda *where: begun.append(where))
        monitoring.set_local_events(tool, code, monitoring.events.PY_START)
        call()
        monitoring.set_local_events(tool, code, 0)
    finally:
        monitoring.free_tool_id(tool)
    return len(begun)


class Box:
    """A function that keeps what it is called with."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.values: List[Any] = []

    def __call__(self, value: Any) -> None:
        with self._changed:
            self.values.append(value)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> List[Any]:
        """The values, once there are `count` of them."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.values) >= count, PATIENCE):
                raise AssertionError(f"only {len(self.values)} of {count} calls came: {self.values}")
            return list(self.values)


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


class OnlineTestCase(WebSocketTestCase):
    """A test that is both ends of a connection."""

    def pair(self, **changes: Any) -> Tuple[wssync.WebSocketTask, ServerConnection]:
        """An open task, made with these options of `connect`, and the other end, which does nothing by itself."""
        server = self.serve(stop_reading, compression=None)
        return self.connect(server.url, **changes), server.wait_for_connection(PATIENCE)

    def quiet(self) -> None:
        """Keep what the library logs out of the test's output."""
        logger = logging.getLogger("wssync")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
