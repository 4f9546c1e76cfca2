"""What the tests of an opening's parts have in common: streams in memory, scripted delegates, a clock in the hand."""

from __future__ import annotations

import datetime
import functools
import threading
import unittest
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Type

from wssync.configuration import SessionConfiguration
from wssync.engine.gate import Gate
from wssync.engine.opening import Opening
from wssync.engine.plan import Opened, Plan
from wssync.errors import (
    Cancelled,
    WebSocketError,
)
from wssync.protocol.http1 import Request, Response
from wssync.transport.clock import Deadline
from wssync.transport.stream import Stream
from wssync.transport.waiting import Attempt, Waker

from ..clock import StillClock
from .support import URL, MemoryStream, Questions, accepting


class OpeningTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = StillClock()
        self.waker = Waker()
        self.addCleanup(self.waker.close)
        self.clock.attend(self.waker)
        self.stream = MemoryStream(self.clock)
        self.stream.answer = accepting()
        self.stream.idle = self.go_on
        self.script: Deque[Callable[[], None]] = deque()
        self.gate = Gate(6)
        self.delegate = Questions()
        self.traced: List[str] = []
        self.cancelled = False
        self.checked = threading.Event()
        self.dialled: List[Any] = []
        self.configuration = SessionConfiguration(compression=None)
        self.request = Request(URL)

    def go_on(self, timeout: Optional[float]) -> None:
        if self.script:
            self.script.popleft()()
            return
        assert timeout is not None, "that would wait for ever"
        self.clock.advance(timeout)

    def check(self, deadline: Deadline) -> None:
        self.checked.set()
        if self.cancelled:
            raise Cancelled("the task was cancelled")

    def cancel(self) -> None:
        self.cancelled = True
        self.waker.wake()

    def dial(self, host: str, port: int, attempt: Attempt, **details: Any) -> Stream:
        self.dialled.append((host, port, details))
        self.stream.waker = attempt.waker
        return self.stream

    def opening(self, dial: Optional[Callable[..., Stream]] = None) -> Opening:
        tls: Any = lambda: "context"  # noqa: E731
        plan = Plan(self.request, (), self.configuration, tls, self.gate, dial or self.dial)
        asks: Any = self.delegate
        return Opening(plan, self.waker, self.clock, self.check, asks, self.trace)

    def trace(self, event: str, **fields: Any) -> None:
        self.traced.append(event)

    @property
    def informed(self) -> List[Response]:
        return [details[0] for name, *details in self.delegate.told if name == "did_receive_informational_response"]

    def open(self, begin: Optional[datetime.datetime] = None) -> Opened:
        return self.opening().run(begin)

    def answers(self, *pieces: bytes) -> None:
        self.stream.answer = lambda head: pieces

    def fails(self, kind: Type[WebSocketError], text: str, code: Optional[int] = None) -> WebSocketError:
        """It fails like this; the stream is closed, the place in the row given back, the URL told."""
        with self.assertRaisesRegex(kind, text) as caught:
            self.open()
        error = caught.exception
        self.assertEqual(error.url, URL)
        if code is not None:
            self.assertEqual(error.url_error_code, code)
        self.assertEqual(self.stream.calls.count("close"), 1)
        self.assertEqual(self.gate._rows, {})
        return error


class SequenceTests(OpeningTestCase):
    """Openings of more than one exchange. Each has a stream of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.answers_left: Deque[Callable[[bytes], Any]] = deque()
        self.heads: List[str] = []
        self.streams: List[MemoryStream] = []

    def dial(self, host: str, port: int, attempt: Attempt, **details: Any) -> Stream:
        self.dialled.append(details["url"])
        stream = MemoryStream(self.clock)
        stream.waker = attempt.waker
        stream.idle = self.go_on
        reply = self.answers_left.popleft()

        def answer(head: bytes) -> Any:
            self.heads.append(head.decode("latin-1"))
            return reply(head)

        stream.answer = answer
        self.streams.append(stream)
        return stream

    def goes(self, *answers: Any) -> Opened:
        """Open, with these answers: an own one for each exchange, bytes or a function from the head."""
        for one in answers:
            self.answers_left.append(one if callable(one) else functools.partial(lambda one, head: [one], one))
        return self.opening().run()

    def closed(self) -> List[bool]:
        return ["close" in stream.calls for stream in self.streams]


def moved(location: str, *fields: str) -> bytes:
    lines = ["HTTP/1.1 302 Found", f"Location: {location}", "Content-Length: 0", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def wants(*challenges: str) -> bytes:
    lines = ["HTTP/1.1 401 Unauthorized", "Content-Length: 5", *[f"WWW-Authenticate: {one}" for one in challenges]]
    return "\r\n".join([*lines, "", "sorry"]).encode()
