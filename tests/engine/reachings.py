"""What the tests of the ways to a server have in common: a network from a script."""

from __future__ import annotations

import unittest
from collections import deque
from typing import Any, Deque, Dict, List, Tuple
from unittest import mock

from wssync.configuration import SessionConfiguration
from wssync.engine import reaching
from wssync.engine.attempts import Attempts
from wssync.engine.context import Context
from wssync.engine.gate import Gate
from wssync.engine.plan import Plan
from wssync.engine.reaching import Reaching
from wssync.errors import (
    WebSocketError,
)
from wssync.protocol.http1 import Request
from wssync.protocol.urls import parse_url
from wssync.transport.clock import Deadline
from wssync.transport.stream import Stream
from wssync.transport.waiting import Waker

from ..clock import StillClock
from .support import MemoryStream, Questions

URL = "ws://example.test:8080/path"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


def challenged(*challenges: str) -> bytes:
    fields = "".join(f"Proxy-Authenticate: {one}\r\n" for one in challenges)
    return f"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n{fields}\r\nno".encode()


class ReachingTestCase(unittest.TestCase):
    proxy: Any = None

    def setUp(self) -> None:
        self.clock = StillClock()
        self.waker = Waker()
        self.addCleanup(self.waker.close)
        self.clock.attend(self.waker)
        self.outcomes: Deque[Any] = deque()
        self.dialled: List[Tuple[str, int]] = []
        self.options: List[Any] = []
        self.heads: List[str] = []
        self.streams: List[MemoryStream] = []
        self.traced: List[Tuple[str, Dict[str, Any]]] = []
        self.aside = 0
        self.delegate = Questions()
        self.configuration = SessionConfiguration.ephemeral().replace(proxy=self.proxy)
        patched = mock.patch.object(reaching, "dial", self.dial)
        patched.start()
        self.addCleanup(patched.stop)

    def dial(self, host: str, port: int, attempt: Any, *, url: str, options: Any) -> Stream:
        """The next outcome: an error, or a stream whose other end gives that answer."""
        self.dialled.append((host, port))
        self.options.append(options)
        outcome = self.outcomes.popleft()
        if isinstance(outcome, WebSocketError):
            raise outcome
        stream = MemoryStream(self.clock)
        stream.waker = self.waker
        stream.idle = lambda timeout: self.clock.advance(timeout or 0)

        def answer(head: bytes) -> Any:
            self.heads.append(head.decode())
            return outcome

        stream.answer = answer
        self.streams.append(stream)
        return stream

    def check(self, deadline: Deadline) -> None:
        """Nobody cancels."""

    def trace(self, event: str, **fields: Any) -> None:
        self.traced.append((event, fields))

    def step_aside(self) -> None:
        self.aside += 1

    def reaching(self, url: str = URL) -> Reaching:
        plan = Plan(Request(url), (), self.configuration, lambda: self.fail(), Gate(6))
        self.attempts = Attempts(self.waker, self.clock, self.check, request=10.0, resource=1000.0)
        asks: Any = self.delegate
        return Reaching(Context(plan, self.attempts, asks, self.trace, self.step_aside, self.take_turn, self.begin))

    def take_turn(self) -> None:
        self.attempts.whole.deadline.restart()

    def begin(self) -> None:
        self.traced.append(("begin", {}))
        self.attempts.whole.deadline.restart()

    def reach(self, *outcomes: Any, url: str = URL) -> Stream:
        self.outcomes.extend(outcomes)
        return self.reaching(url).reach(parse_url(url))

    def fails(self, kind: Any, text: str, *outcomes: Any) -> Any:
        """It fails like this, and every stream is closed."""
        with self.assertRaisesRegex(kind, text) as caught:
            self.reach(*outcomes)
        self.assertEqual([stream.calls.count("close") for stream in self.streams], [1] * len(self.streams))
        return caught.exception
