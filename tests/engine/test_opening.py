"""From a URL to an open connection, and every way in which that fails."""

from __future__ import annotations

import datetime
from collections import deque
from typing import Any, List, Optional
from unittest import mock

from wssync.configuration import SessionConfiguration
from wssync.engine.exchange import BODY_PATIENCE, MOST_INFORMATIONAL
from wssync.engine.gate import Gate
from wssync.engine.plan import Opened
from wssync.errors import (
    Cancelled,
    ConnectionFailed,
    ConnectionRefused,
    HandshakeError,
    TimedOut,
    WebSocketError,
)
from wssync.protocol.http1 import Request, Response
from wssync.transport.stream import Stream
from wssync.transport.waiting import Attempt

from ..protocol.wire import TEXT, frame
from .openings import OpeningTestCase, SequenceTests, moved
from .support import EPSILON, PATIENCE, URL, MemoryStream, Questions, Running, accepting, line_up, lost

REFUSAL = b"HTTP/1.1 404 Not Found\r\n"


class SuccessTests(OpeningTestCase):
    def test_an_upgrade(self) -> None:
        """The request is sent whole, the answer judged; the stream stays open, the place in the row is given back."""
        self.stream.takes = 7
        opened = self.open()
        self.assertIs(opened.stream, self.stream)
        self.assertTrue(self.stream.request.startswith(b"GET /chat HTTP/1.1\r\nHost: example.test\r\n"))
        self.assertEqual((opened.rest, opened.verdict.protocol), (b"", None))
        head, url = opened.head
        self.assertEqual((head[:13], url), (b"HTTP/1.1 101 ", URL))
        self.assertNotIn("close", self.stream.calls)
        self.assertEqual(self.gate._rows, {})
        ((host, port, details),) = self.dialled
        self.assertEqual((host, port, details["url"]), ("example.test", 80, URL))
        self.assertEqual(
            self.traced,
            ["transaction_start", "request_start", "request_end", "response_start", "response_end"],
        )

    def test_every_attempt_has_a_key_of_its_own(self) -> None:
        """RFC 6455 section 4.1, item 7."""
        self.open()
        first, self.stream.request, self.stream.answer = self.stream.request, b"", accepting()
        self.open()
        self.assertNotEqual(first, self.stream.request)

    def test_bytes_behind_the_response_are_kept(self) -> None:
        """Rule 47: the first frames may come in the same packet."""
        data = frame(TEXT, b"first")
        self.stream.answer = accepting(data, b"more")
        self.assertEqual(self.open().rest, data)

    def test_one_byte_at_a_time(self) -> None:
        """However slowly the response comes."""
        self.stream.gives = 1
        self.stream.takes = 1
        self.assertEqual(self.open().rest, b"")

    def test_a_full_kernel_is_waited_for(self) -> None:
        """The rest of the request goes when there is room."""
        self.stream.room = 10
        self.script.append(self.stream.take)
        self.open()
        self.assertEqual([wait[:2] for wait in self.stream.waits], [(False, True), (True, False)])

    def test_what_tls_holds_is_flushed(self) -> None:
        """The request has left only when the kernel has it; what TLS says on its own leaves while we wait."""
        respond = accepting()
        self.answers()

        def holds(state: bool) -> None:
            self.stream.holds = state

        def hold_later() -> None:
            self.stream.holds = True
            self.stream.after_recv = lambda: None

        self.stream.holds = True
        self.script.append(lambda: holds(False))
        self.script.append(lambda: self.stream.give(b"HTTP/1.1"))
        self.stream.after_recv = hold_later
        self.script.append(lambda: holds(False))
        self.script.append(lambda: self.stream.give(*[respond(self.stream.request[:-4])[0][8:]]))
        self.open()
        self.assertEqual(
            [wait[:2] for wait in self.stream.waits], [(False, True), (True, False), (True, True), (True, False)]
        )
        self.assertEqual(
            self.stream.calls.count("flush"), 5, "before each of these waits, and when the request had left"
        )

    def test_informational_responses(self) -> None:
        """Rule 51: each is told, as many as are allowed, then the real answer counts."""
        respond = accepting()
        self.stream.answer = lambda head: [b"HTTP/1.1 103 Hints\r\n\r\n" * MOST_INFORMATIONAL, *respond(head)]
        self.open()
        self.assertEqual([response.status_code for response in self.informed], [103] * MOST_INFORMATIONAL)


class RefusalTests(OpeningTestCase):
    def refused(self, *pieces: bytes) -> Response:
        self.answers(*pieces)
        error = self.fails(HandshakeError, "the server answered 404 Not Found instead of 101", -1011)
        assert isinstance(error, HandshakeError) and error.response is not None
        response: Any = error.response
        return response  # type: ignore[no-any-return]

    def test_with_a_body_of_known_length(self) -> None:
        """In one packet or in many; nothing behind it is waited for."""
        head = REFUSAL + b"Content-Length: 5\r\n\r\n"
        self.assertEqual(self.refused(head + b"sorry").body, b"sorry")
        self.setUp()
        self.assertEqual(self.refused(head + b"so", b"rr", b"y").body, b"sorry")

    def test_with_chunks(self) -> None:
        """Their framing is taken off."""
        head = REFUSAL + b"Transfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.refused(head, b"2\r\nso\r\n3\r\nrry\r\n", b"0\r\n\r\n").body, b"sorry")

    def test_until_the_end_of_the_stream(self) -> None:
        """Without a length the end of the stream ends it."""
        self.script.append(self.stream.give_end)
        self.assertEqual(self.refused(REFUSAL + b"\r\nso", b"rry").body, b"sorry")

    def test_that_breaks_off(self) -> None:
        """A reset within the body is no other error."""
        self.script.append(self.stream.give_error)
        self.assertEqual(self.refused(REFUSAL + b"Content-Length: 5\r\n\r\nso").body, b"so")

    def test_that_trickles(self) -> None:
        """After five seconds the user is told, with what came until then."""

        def trickle() -> None:
            self.clock.advance(1)
            self.stream.give(b"x")

        self.script.extend([trickle] * 20)
        began = self.clock.now()
        body = self.refused(REFUSAL + b"Content-Length: 100\r\n\r\n").body
        self.assertEqual(self.clock.now() - began, BODY_PATIENCE)
        self.assertIn(len(body), (BODY_PATIENCE - 1, BODY_PATIENCE))

    def test_the_opening_s_own_limit_is_the_shorter(self) -> None:
        """What is left of it bounds the body too; without one it is five seconds all the same."""
        for limit, patience in ((2.0, 2.0), (None, BODY_PATIENCE)):
            self.setUp()
            self.configuration = self.configuration.replace(
                timeout_interval_for_request=limit, timeout_interval_for_resource=None
            )
            began = self.clock.now()
            self.refused(REFUSAL + b"Content-Length: 5\r\n\r\nso")
            self.assertEqual(self.clock.now() - began, patience)

    def test_that_is_too_long(self) -> None:
        """64 KiB are kept, and no more is fetched."""
        self.assertEqual(len(self.refused(REFUSAL + b"\r\n", *[b"x" * 16_384] * 6).body), 65_536)
        self.assertEqual(self.stream.unread, 1)

    def test_a_cancel_while_the_body_comes(self) -> None:
        """The user's will goes before the prose."""
        self.answers(REFUSAL + b"\r\nso")
        self.script.append(self.cancel)
        self.fails(Cancelled, "cancelled")

    def test_too_many_informational_responses(self) -> None:
        """An endless row of them is an attack."""
        self.answers(b"HTTP/1.1 100 Continue\r\n\r\n" * (MOST_INFORMATIONAL + 1))
        self.fails(HandshakeError, "more than 16 informational", -1011)
        self.assertEqual(len(self.informed), MOST_INFORMATIONAL + 1)


class LossTests(OpeningTestCase):
    def test_no_answer(self) -> None:
        """The server took the connection and closed it: -1011."""
        self.answers()
        self.script.append(self.stream.give_end)
        self.fails(HandshakeError, "closed the connection without an answer", -1011)

    def test_half_an_answer(self) -> None:
        """It ended in the middle of the head: -1005."""
        self.answers(b"HTTP/1.1 101 Swi")
        self.script.append(self.stream.give_end)
        self.fails(HandshakeError, "in the middle of the response head", -1005)

    def test_no_http(self) -> None:
        """Found out by the first byte, not by a timeout: -1017."""
        self.answers(b"S")
        began = self.clock.now()
        self.fails(HandshakeError, "does not speak HTTP", -1017)
        self.assertEqual(self.clock.now(), began)

    def test_http_that_is_none(self) -> None:
        """A status line that cannot be read: -1017."""
        self.answers(b"HTTP/1.1 abc\r\n\r\n")
        self.fails(HandshakeError, "no HTTP/1.1 status line", -1017)

    def test_a_loss_while_waiting(self) -> None:
        """A reset after the request: -1005, with the cause kept."""
        self.answers()
        self.script.append(self.stream.give_error)
        error = self.fails(HandshakeError, "lost while waiting for the response to the upgrade request", -1005)
        self.assertIsInstance(error.__cause__, ConnectionResetError)

    def test_a_loss_while_sending(self) -> None:
        """The same, and the message says where."""
        self.stream.fails_at = 0
        self.fails(HandshakeError, "lost while sending the upgrade request", -1005)

    def test_a_loss_without_a_cause_is_its_own(self) -> None:
        """Then the stream's error is the cause."""
        bare = lost()
        bare.__cause__ = None
        self.answers()
        self.script.append(lambda: self.stream.give_error(bare))
        self.assertIs(self.fails(HandshakeError, "lost", -1005).__cause__, bare)

    def test_a_host_that_is_not_reached(self) -> None:
        """What `dial` raises goes through, with the URL; there is no stream to close."""

        def refuse(*args: Any, **details: Any) -> Stream:
            raise ConnectionRefused("nobody listens")

        with self.assertRaises(ConnectionRefused) as caught:
            self.opening(refuse).run()
        self.assertEqual(caught.exception.url, URL)
        self.assertEqual(self.gate._rows, {})

    def test_an_error_that_nobody_expected(self) -> None:
        """The stream is closed all the same, and the place in the row given back."""
        self.stream.before_send = lambda: self.fail("boom")
        with self.assertRaisesRegex(AssertionError, "boom"):
            self.open()
        self.assertEqual(self.stream.calls, ["close"])
        self.assertEqual(self.gate._rows, {})


class TimeTests(OpeningTestCase):
    def test_a_request_that_cannot_leave(self) -> None:
        """Rule 204: the message tells the phase."""
        self.stream.takes = 0
        self.fails(TimedOut, r"after 60 seconds \(while sending the upgrade request\)", -1001)

    def test_no_answer_in_time(self) -> None:
        """Rule 204: 60 seconds by default, counted from the beginning."""
        self.answers()
        began = self.clock.now()
        self.fails(TimedOut, r"\(while waiting for the response to the upgrade request\)", -1001)
        self.assertEqual(self.clock.now() - began, 60)

    def test_bytes_that_trickle_do_not_restart_it(self) -> None:
        """The limit is one on the whole."""

        def trickle() -> None:
            self.clock.advance(59 - EPSILON)
            self.stream.give(b"HTTP/1.1 1")

        self.answers()
        self.script.append(trickle)
        self.stream.gives = 1
        began = self.clock.now()
        self.fails(TimedOut, "waiting for the response", -1001)
        self.assertEqual(self.clock.now() - began, 60)

    def test_a_slow_connect(self) -> None:
        """The phase is told there too."""

        def slow(host: str, port: int, attempt: Attempt, **details: Any) -> Stream:
            self.clock.advance(61)
            attempt.wait()
            raise AssertionError

        with self.assertRaisesRegex(TimedOut, r"\(while connecting\)"):
            self.opening(slow).run()

    def test_a_cancel_in_every_phase(self) -> None:
        """Rule 155: sending, waiting, and within the response: `Cancelled`, and all is given back."""

        def full() -> None:
            self.stream.takes = 0

        def silent() -> None:
            self.answers()

        def half() -> None:
            self.answers(b"HTTP/1.1 101")

        for phase in (full, silent, half):
            self.setUp()
            phase()
            self.script.append(self.cancel)
            self.fails(Cancelled, "cancelled", -999)


class TurnTests(OpeningTestCase):
    """What is waited for before the connection is begun; these waits are real, so they have a thread."""

    def waiting(self, begin: Optional[datetime.datetime] = None) -> Running[Opened]:
        running = Running(lambda: self.open(begin))
        self.assertTrue(self.checked.wait(PATIENCE))
        self.assertEqual(self.dialled, [])
        return running

    def test_the_seventh_waits_for_its_turn(self) -> None:
        """RFC 6455 section 4.1, item 2: it is woken when one of the six is done."""
        tickets = [line_up(self.gate) for _ in range(6)]
        running = self.waiting()
        tickets[3].release()
        self.assertIs(running.result().stream, self.stream)
        self.assertEqual(len(self.gate._rows), 1)

    def test_waiting_for_ones_turn_is_no_slowness(self) -> None:
        """The request's limit does not run yet; the resource's does."""
        self.configuration = self.configuration.replace(timeout_interval_for_resource=1000)
        self.gate = Gate(1)
        first = line_up(self.gate)
        running = self.waiting()
        self.clock.advance(999)
        first.release()
        self.assertIs(running.result().stream, self.stream)

    def test_who_lines_up_first_is_first(self) -> None:
        """A place may be taken before the opening runs, and is then its turn; or it is given back."""
        self.gate = Gate(1)
        first, second = self.opening(), self.opening()
        first.line_up()
        second.line_up()
        [row] = self.gate._rows.values()
        self.assertEqual([ticket.granted for ticket in row], [True, False])
        second.step_aside()
        self.assertIsInstance(first.run(), Opened)
        self.assertEqual(self.gate._rows, {})

    def test_a_turn_that_never_comes(self) -> None:
        """The resource limit ends it, and its place is given back."""
        self.configuration = self.configuration.replace(timeout_interval_for_resource=1000)
        self.gate = Gate(1)
        line_up(self.gate)
        running = self.waiting()
        self.clock.advance(1000)
        with self.assertRaisesRegex(TimedOut, r"\(while waiting for its turn\)"):
            running.result()
        self.assertEqual(len(self.gate._rows["example.test", 80]), 1)

    def test_a_cancel_while_waiting_for_ones_turn(self) -> None:
        """The place in the row is given back."""
        self.gate = Gate(1)
        line_up(self.gate)
        running = self.waiting()
        self.cancel()
        with self.assertRaises(Cancelled):
            running.result()
        self.assertEqual(len(self.gate._rows["example.test", 80]), 1)

    def reaching(self, *outcomes: Any, **changes: Any) -> List[int]:
        """Open by way of these, the answer of a stream or an error each; how many were in the row at each of them."""
        self.configuration = self.configuration.replace(**changes)
        left, rows = deque(outcomes), []

        def dial(*_: Any, **__: Any) -> Stream:
            rows.append(len(self.gate._rows.get(("example.test", 80), ())))
            outcome = left.popleft()
            if isinstance(outcome, Exception):
                raise outcome
            stream = MemoryStream(self.clock)
            stream.waker, stream.idle, stream.answer = self.waker, self.go_on, outcome
            return stream

        with mock.patch("wssync.engine.reaching.dial", dial):
            running = Running(lambda: self.opening(lambda *_, reach, **__: reach()).run())
            while running.thread.is_alive():
                self.clock.advance(0.5)
                running.thread.join(0.001)
        self.assertEqual(self.gate._rows, {})
        return rows

    def test_a_turn_for_each_connection(self) -> None:
        """Who has stepped aside, for want of a network or before a proxy's question, waits for a turn again."""
        down = ConnectionFailed("unreachable", url_error_code=-1009)
        self.assertEqual(self.reaching(down, down, accepting(), waits_for_connectivity=True), [1, 1, 1])
        refusal = b'HTTP/1.1 407 Who\r\nContent-Length: 0\r\nProxy-Authenticate: Basic realm="p"\r\n\r\n'
        proxy = "http://user:password@proxy.test:3128"
        self.assertEqual(self.reaching(*[lambda head: [refusal]] * 2, proxy=proxy), [1, 1])

    def test_an_earliest_date(self) -> None:
        """Nothing is begun before; then it opens."""
        running = self.waiting(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1))
        self.assertEqual(self.gate._rows, {}, "nobody waits behind one whose time has not come")
        self.clock.advance(3601)
        self.assertIs(running.result().stream, self.stream)

    def test_an_earliest_date_in_the_past(self) -> None:
        """It opens at once."""
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        self.assertIs(self.open(past).stream, self.stream)

    def test_a_cancel_before_the_date(self) -> None:
        """It ends at once, without having asked for a turn."""
        running = self.waiting(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1))
        self.cancel()
        with self.assertRaises(Cancelled):
            running.result()
        self.assertEqual(self.dialled, [])


class CookieTests(SequenceTests):
    def setUp(self) -> None:
        super().setUp()
        self.configuration = SessionConfiguration.ephemeral().replace(compression=None)

    def test_they_are_kept_and_sent(self) -> None:
        """Rules 59 and 82: those of a redirect are sent in the next request, before anybody is asked."""
        seen: List[int] = []

        def follow(response: Response, request: Request) -> Request:
            seen.append(len(list(self.configuration.http_cookie_storage)))  # type: ignore[arg-type]
            return request

        self.delegate = Questions(will_perform_http_redirection=follow)
        self.goes(moved("/next", "Set-Cookie: a=b"), accepting())
        self.assertIn("Cookie: a=b", self.heads[1])
        self.assertEqual(seen, [1])

    def test_a_callers_own_stands(self) -> None:
        """Rule 85: a Cookie of the request, or of the configuration, and the jar is not asked."""
        self.goes(moved("/next", "Set-Cookie: a=b"), accepting())
        self.request = Request(URL, headers={"Cookie": "c=d"})
        self.goes(accepting())
        self.assertIn("Cookie: c=d\r\n", self.heads[-1] + "\r\n")
        self.request = Request(URL)
        self.configuration = self.configuration.replace(http_additional_headers={"Cookie": "e=f"})
        self.goes(accepting())
        self.assertNotIn("a=b", self.heads[-1])


class SecretTests(OpeningTestCase):
    def test_the_url_of_an_error(self) -> None:
        """It has no token of the query, whatever the error is."""
        self.request = Request(f"{URL}?a=1&token=secret")
        for pieces in ((b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",), (b"no HTTP\r\n\r\n",), ()):
            self.stream = MemoryStream(self.clock)
            self.stream.idle = self.go_on
            self.answers(*pieces)
            with self.assertRaises(WebSocketError) as caught:
                self.open()
            self.assertEqual(caught.exception.url, f"{URL}?a=1&token=***")
