"""`GLibExecutor` in a GLib that is a stand-in."""

from __future__ import annotations

import unittest
from typing import Any, Callable, Tuple

from tests.executors.loops import FakeLoop, LoopCases, fake_module
from wssync.executors import GLibExecutor
from wssync.executors.looping import LoopExecutor

DEFAULT = 0


class FakeContext(FakeLoop):
    """GLib's main context: a source is called until it says that it is done."""

    executor: LoopExecutor

    def idle_add(self, function: Callable[..., object], *data: Any, priority: int) -> None:
        """A source that comes next, with the priority of events."""
        assert priority == DEFAULT
        self.add(function, data)

    def timeout_add(self, milliseconds: int, function: Callable[..., object], *data: Any) -> None:
        """A source that comes later."""
        assert milliseconds == 1
        self.add(function, data)

    def add(self, function: Callable[..., object], data: Tuple[Any, ...]) -> None:
        """Call it again and again."""

        def dispatch() -> None:
            if function(*data):
                self.post(dispatch)

        self.post(dispatch)

    def end(self) -> None:
        """What a program does behind its loop."""
        self.executor.shutdown(cancel_futures=True)


class GLibTests(LoopCases, unittest.TestCase):
    def make(self) -> Tuple[LoopExecutor, Any]:
        context = FakeContext()
        fake_module(self, "gi")
        fake_module(self, "gi.repository")
        fake_module(
            self,
            "gi.repository.GLib",
            idle_add=context.idle_add,
            timeout_add=context.timeout_add,
            PRIORITY_DEFAULT=DEFAULT,
        )
        context.executor = executor = GLibExecutor()
        return executor, context

    def test_a_source_is_called_once(self) -> None:
        """Else the loop would never be idle again."""
        future = self.executor.submit(print, end="")
        self.loop.run(future.done)
        self.assertFalse(self.loop.step())
        self.assertEqual(self.loop.posted, 1)
