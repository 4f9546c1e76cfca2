"""`AsyncioExecutor`, in asyncio itself."""

from __future__ import annotations

import asyncio
import gc
import time
import unittest
from concurrent.futures import Future
from typing import Any, Callable, Tuple

import wssync
from tests.executors.loops import LoopCases
from tests.tasks import PATIENCE, Box
from wssync.executors import AsyncioExecutor
from wssync.executors.aio import _Guard
from wssync.executors.looping import LoopExecutor
from wssync.testing import WebSocketTestCase


class RealLoop:
    """A loop of asyncio that the tests turn."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def step(self) -> bool:
        """Once around; inside of a callback asyncio has no loop to turn."""
        if not self.loop.is_running():
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        return False

    def run(self, done: Callable[[], object]) -> None:
        """Turn until `done()`."""
        until = time.monotonic() + PATIENCE
        while not done():
            self.step()
            assert time.monotonic() < until

    def end(self) -> None:
        """Close the loop; from within it can only be stopped, and its executor told."""
        if self.loop.is_running():
            self.executor._end("stopped")
        else:
            self.loop.close()

    executor: AsyncioExecutor


class AsyncioTests(LoopCases, unittest.TestCase):
    def make(self) -> Tuple[LoopExecutor, Any]:
        loop = RealLoop()
        self.addCleanup(loop.loop.close)
        loop.executor = AsyncioExecutor(loop.loop)
        return loop.executor, loop

    def test_a_loop_that_was_closed_before(self) -> None:
        """It takes nothing, and can have no executor."""
        self.loop.end()
        with self.assertRaisesRegex(RuntimeError, "closed"):
            self.executor.submit(print)
        with self.assertRaisesRegex(RuntimeError, "closed"):
            AsyncioExecutor(self.loop.loop)

    def test_whose_loop_it_is(self) -> None:
        """That of the caller, or not; without one it cannot be made."""
        self.assertFalse(self.executor.is_current())
        with self.assertRaises(RuntimeError):
            AsyncioExecutor()

        async def look() -> Tuple[bool, bool]:
            return AsyncioExecutor().is_current(), self.executor.is_current()

        self.assertEqual(asyncio.run(look()), (True, False))

    def test_a_loop_that_is_forgotten_but_not_closed(self) -> None:
        """That proves nothing; nor does one that is closed tell an executor that nobody has any more."""
        guard = _Guard(self.executor, self.loop.loop)
        del guard
        self.assertIsNone(self.executor.ended)
        other = RealLoop()
        AsyncioExecutor(other.loop)
        gc.collect()
        other.step()
        other.loop.close()

    def test_a_loop_that_has_turned(self) -> None:
        """Its end is seen all the same."""
        self.loop.step()
        self.loop.end()
        self.assertEqual(str(self.executor.ended), "the asyncio loop was closed")


class BridgeTests(WebSocketTestCase):
    def test_a_task_in_asyncio_run(self) -> None:
        """Handlers run in the loop, `asyncio.wrap_future` waits for futures, and the loop's end is the task's."""
        server = self.serve()

        async def main() -> Tuple[Any, wssync.WebSocketTask]:
            executor = AsyncioExecutor()
            session = wssync.Session(executor=executor)
            self.addCleanup(session.invalidate_and_cancel)
            task = session.websocket_task(server.url)
            answer: Future[Any] = Future()
            task.send("hello", lambda error: None)
            task.receive(lambda result: answer.set_result((result.get(), executor.is_current())))
            task.resume()
            message = await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE)
            task.receive(Box())
            task.send("and the loop is closed", lambda error: None)
            return message, task

        message, task = asyncio.run(main())
        self.assertEqual(message, ("hello", True))
        task.wait_until_closed(PATIENCE)
        self.assertIsInstance(task.error, wssync.Cancelled)
        server.take_errors()
