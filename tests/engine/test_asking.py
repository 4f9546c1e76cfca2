"""Questions to a delegate, and whatever comes of them."""

from __future__ import annotations

import asyncio
import functools
import threading
import unittest
import weakref
from concurrent.futures import Future
from typing import Any, Callable, Dict, List, Optional

from wssync.configuration import SessionConfiguration
from wssync.engine.asking import NO_ANSWER, WITHDRAWN, Questions
from wssync.engine.attempts import Attempts
from wssync.engine.connection import Connection
from wssync.errors import Cancelled, TimedOut
from wssync.executors import QueueExecutor
from wssync.protocol.http1 import Request
from wssync.transport.clock import Deadline
from wssync.transport.waiting import Waker

from ..clock import StillClock
from .support import PATIENCE, URL, Running


class Delegate:
    """A listener with the methods of a test."""

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self.methods: Dict[str, Callable[..., Any]] = methods

    def callback(self, name: str) -> Optional[Callable[..., Any]]:
        return self.methods.get(name)

    def finished(self) -> None:
        """Not of interest."""


def _same(future: Future[str]) -> Future[str]:
    return future


class AskingTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = StillClock()
        self.waker = Waker()
        self.addCleanup(self.waker.close)
        self.clock.attend(self.waker)
        self.executor = QueueExecutor()
        self.connection = Connection(URL, SessionConfiguration(), self.executor, self.clock)
        self.cancelled = False
        self.waiting = threading.Event()
        self.attempts = Attempts(self.waker, self.clock, self.check, request=10.0, resource=100.0)
        self.questions = Questions(self.connection)

    def check(self, deadline: Deadline) -> None:
        self.waiting.set()
        if self.cancelled:
            raise Cancelled("the task was cancelled")

    def asking(self, method: Callable[..., Any], *details: object) -> Running[Any]:
        """A question that waits for its answer by now."""
        self.connection.listener = Delegate(question=method)
        running = Running(lambda: self.questions.ask("question", self.attempts.whole, *details))
        self.assertTrue(self.waiting.wait(PATIENCE))
        return running

    def answer(self, method: Callable[..., Any], *details: object) -> Any:
        running = self.asking(method, *details)
        self.assertEqual(self.executor.run_pending(), 1)
        return running.result()


class AnswerTests(AskingTestCase):
    def test_nobody_is_there(self) -> None:
        """Without a delegate, or without the method, there is no answer, and nothing is waited for."""
        self.assertIs(self.questions.ask("question", self.attempts.whole), NO_ANSWER)
        self.connection.listener = Delegate()
        self.assertFalse(self.questions.has("question"))
        self.assertIs(self.questions.ask("question", self.attempts.whole), NO_ANSWER)
        self.assertEqual(repr(NO_ANSWER), "NO_ANSWER")

    def test_an_answer(self) -> None:
        """It is given on the executor, by the method, which gets the details; `None` is an answer too."""
        self.assertEqual(self.answer(lambda *details: details, 1, 2), (1, 2))
        self.assertIsNone(self.answer(lambda: None))
        self.assertTrue(self.questions.has("question"))

    def test_a_future(self) -> None:
        """The executor is free while it is outstanding; whoever fulfils it lets the opening go on."""
        future: Future[str] = Future()
        running = self.asking(lambda: future)
        self.executor.run_pending()
        self.assertTrue(running.thread.is_alive())
        future.set_result("later")
        self.assertEqual(running.result(), "later")

    def test_a_future_that_is_done(self) -> None:
        """It is as good as the answer itself."""
        future: Future[str] = Future()
        future.set_result("at once")
        self.assertEqual(self.answer(lambda: future), "at once")

    def test_a_future_that_is_cancelled(self) -> None:
        """That is the user's "no"."""
        future: Future[str] = Future()
        future.cancel()
        self.assertIs(self.answer(lambda: future), WITHDRAWN)

    def test_a_future_that_fails(self) -> None:
        """It is logged, and counts as no answer."""
        future: Future[str] = Future()
        future.set_exception(KeyError("lost"))
        with self.assertLogs("wssync", "ERROR") as logged:
            self.assertIs(self.answer(lambda: future), NO_ANSWER)
        self.assertIn("KeyError", logged.output[0])

    def test_a_future_that_cannot_be_waited_for(self) -> None:
        """Such as one of a loop that belongs to another thread: it is logged, and counts as no answer."""

        class Strange:
            def add_done_callback(self, fn: Callable[..., object]) -> None:
                raise RuntimeError("this is not the loop's thread")

        with self.assertLogs("wssync", "ERROR") as logged:
            self.assertIs(self.answer(Strange), NO_ANSWER)
        self.assertIn("not the loop's thread", logged.output[0])

    def test_a_future_of_asyncio(self) -> None:
        """It is watched on its loop's thread, where its callbacks run: this one is not, and it may be asleep."""
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future = loop.create_future()
        running = self.asking(lambda: future)
        self.executor.run_pending()
        future.set_result("on the loop")
        self.assertTrue(running.thread.is_alive())
        for _ in range(2):  # it is watched in the first turn, and told in the second
            loop.call_soon(loop.stop)
            loop.run_forever()
        self.assertEqual(running.result(), "on the loop")

    def test_a_future_of_a_loop_that_is_closed(self) -> None:
        """It is logged, and counts as no answer."""
        loop = asyncio.new_event_loop()
        future = loop.create_future()
        loop.close()
        with self.assertLogs("wssync", "ERROR"):
            self.assertIs(self.answer(lambda: future), NO_ANSWER)

    def test_a_method_that_raises(self) -> None:
        """Promise 6: it is logged with its traceback, and counts as no answer."""

        def fail() -> None:
            raise KeyError("lost")

        with self.assertLogs("wssync", "ERROR") as logged:
            self.assertIs(self.answer(fail), NO_ANSWER)
        self.assertIn("Traceback", logged.output[0])

    def test_following(self) -> None:
        """Rule 58: the task's current request is the one that is made."""
        request = Request("ws://other.test/")
        self.questions.follow(request)
        self.assertIs(self.connection.request, request)

    def test_telling(self) -> None:
        """What needs no answer is not waited for."""
        heard: List[object] = []
        self.connection.listener = Delegate(news=heard.append)
        self.questions.tell("news", 1)
        self.assertEqual(heard, [])
        self.executor.run_pending()
        self.assertEqual(heard, [1])


class TimeTests(AskingTestCase):
    def test_the_request_s_time_stands_still(self) -> None:
        """Rule 79: the user's thinking is not the network's slowness."""
        running = self.asking(lambda: "yes")
        self.clock.advance(50)
        self.executor.run_pending()
        self.assertEqual(running.result(), "yes")
        self.assertEqual(self.attempts.whole.deadline.remaining(), 10)

    def test_the_resource_s_does_not(self) -> None:
        """Rule 79: it bounds the waiting; what comes later changes nothing."""
        future: Future[str] = Future()
        running = self.asking(lambda: future)
        self.executor.run_pending()
        self.clock.advance(100)
        with self.assertRaisesRegex(TimedOut, "after 100 seconds"):
            running.result()
        self.assertFalse(self.connection.asking)
        future.set_result("too late")

    def test_a_question_that_is_given_up(self) -> None:
        """A future that its maker keeps, unanswered, keeps nothing of the task; nor does one that was answered."""
        for gives_up in (True, False):
            self.setUp()
            future: Future[str] = Future()

            method = functools.partial(_same, future)
            gone = weakref.ref(method)
            running = self.asking(method)
            del method
            self.executor.run_pending()
            if gives_up:
                self.cancelled = True
                self.waker.wake()
                running.error().__traceback__ = None
            else:
                future.set_result("yes")
                self.assertEqual(running.result(), "yes")
            self.connection.listener = None
            del running
            self.assertIsNone(gone())

    def test_a_cancel(self) -> None:
        """It ends the waiting, and a question that was not put by then is not put any more."""
        asked: List[int] = []
        running = self.asking(lambda: asked.append(1))
        self.assertTrue(self.connection.asking)
        self.cancelled = True
        self.waker.wake()
        with self.assertRaises(Cancelled):
            running.result()
        self.executor.run_pending()
        self.assertEqual(asked, [])
        self.assertFalse(self.connection.asking)


if __name__ == "__main__":
    unittest.main()
