"""One request and its response, as the trace tells it; what goes wrong in it is tested with the opening."""

from __future__ import annotations

import unittest
from typing import Any, Dict, List, Tuple

from wssync.engine.attempts import Attempts
from wssync.engine.exchange import Exchange
from wssync.errors import HandshakeError
from wssync.protocol.http1 import Response
from wssync.transport.waiting import Waker

from ..clock import StillClock
from .support import MemoryStream

HEAD = b"CONNECT a:1 HTTP/1.1\r\n\r\n"


class ExchangeTests(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = StillClock()
        waker = Waker()
        self.addCleanup(waker.close)
        self.stream = MemoryStream(self.clock)
        self.stream.waker = waker
        self.traced: List[Tuple[str, Dict[str, Any]]] = []
        self.informed: List[Response] = []
        attempts = Attempts(waker, self.clock, lambda deadline: None, request=10.0, resource=None)
        self.exchange = Exchange(self.stream, attempts, self.trace, "http://proxy.test", "proxy", self.informed.append)

    def trace(self, event: str, **fields: Any) -> None:
        fields.pop("response", None)
        self.traced.append((event, fields))

    def test_what_is_traced(self) -> None:
        """Each step once, with the bytes of heads and body."""
        informational, final = b"HTTP/1.1 103 Hints\r\n\r\n", b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\n"
        self.stream.answer = lambda head: [informational + final, b"no"]
        self.exchange.send(HEAD, "CONNECT", "a:1")
        response, rest = self.exchange.read_response()
        self.assertEqual(self.exchange.with_body(response, rest).body, b"no")
        self.assertEqual(
            self.traced,
            [
                ("request_start", {"method": "CONNECT", "target": "a:1"}),
                ("request_end", {"size": len(HEAD)}),
                ("response_start", {}),
                ("informational", {"status": 103}),
                ("response_end", {"status": 407, "reason": "No", "size": len(final), "body_size": 2}),
            ],
        )
        self.assertEqual([found.status_code for found in self.informed], [103])

    def test_the_peer_has_its_name(self) -> None:
        """So that an error tells who it was."""
        self.stream.answer = lambda head: []
        self.exchange.send(HEAD, "CONNECT", "a:1")
        self.stream.give_end()
        with self.assertRaisesRegex(HandshakeError, "the proxy closed the connection without an answer") as caught:
            self.exchange.read_response()
        self.assertEqual(caught.exception.url, "http://proxy.test")


if __name__ == "__main__":
    unittest.main()
