"""From a URL to an open connection, and every way in which that fails."""

from __future__ import annotations

import datetime
import threading
import unittest
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Type

from wssync.configuration import SessionConfiguration
from wssync.engine.gate import Gate
from wssync.engine.opening import BODY_PATIENCE, MOST_INFORMATIONAL, Opened, Opening, Plan
from wssync.errors import Cancelled, ConnectionRefused, HandshakeError, TimedOut, WebSocketError
from wssync.protocol.http1 import Request, Response
from wssync.transport.clock import Deadline
from wssync.transport.stream import Stream
from wssync.transport.waiting import Attempt, Waker

from ..clock import StillClock
from ..protocol.wire import TEXT, frame
from .support import EPSILON, PATIENCE, URL, MemoryStream, Running, accepting, lost

REFUSAL = b"HTTP/1.1 404 Not Found\r\n"


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
        self.informed: List[Response] = []
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
        return Opening(plan, self.waker, self.clock, self.check, self.informed.append)

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


class SuccessTests(OpeningTestCase):
    def test_an_upgrade(self) -> None:
        """The request is sent whole, the answer judged; the stream stays open, the place in the row is given back."""
        self.stream.takes = 7
        opened = self.open()
        self.assertIs(opened.stream, self.stream)
        self.assertTrue(self.stream.request.startswith(b"GET /chat HTTP/1.1\r\nHost: example.test\r\n"))
        self.assertEqual((opened.response.status_code, opened.rest, opened.verdict.protocol), (101, b"", None))
        self.assertNotIn("close", self.stream.calls)
        self.assertEqual(self.gate._rows, {})
        self.assertEqual(self.dialled, [("example.test", 80, {"tls": None, "server_hostname": None, "url": URL})])

    def test_over_tls(self) -> None:
        """The context is made on this thread, and only then; the name to be checked is the URL's."""
        self.request = Request("wss://example.test/")
        self.open()
        _, port, details = self.dialled[0]
        self.assertEqual((port, details["tls"], details["server_hostname"]), (443, "context", "example.test"))

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

    def test_plan(self) -> None:
        """Rules 204, 205: the request's own limit goes before the configuration's; the resource limit bounds both."""
        for own, request, resource, expected in (
            (None, 60.0, 1000.0, 60.0),
            (5.0, 60.0, 1000.0, 5.0),
            (100.0, 60.0, 1000.0, 100.0),
            (100.0, 60.0, 50.0, 50.0),
            (None, None, 50.0, 50.0),
            (None, None, None, None),
        ):
            configuration = SessionConfiguration(
                timeout_interval_for_request=request, timeout_interval_for_resource=resource
            )
            plan = Plan(Request(URL, timeout_interval=own), (), configuration, lambda: self.fail(), self.gate)
            self.assertEqual(plan.patience, expected)
            self.assertEqual(str(plan.url), URL)


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
        tickets = [self.gate.enter(("example.test", 80), lambda: None) for _ in range(6)]
        running = self.waiting()
        tickets[3].release()
        self.assertIs(running.result().stream, self.stream)
        self.assertEqual(len(self.gate._rows), 1)

    def test_waiting_for_ones_turn_is_no_slowness(self) -> None:
        """The request's limit does not run yet; the resource's does."""
        self.configuration = self.configuration.replace(timeout_interval_for_resource=1000)
        ticket = Gate.enter
        self.gate = Gate(1)
        first = ticket(self.gate, ("example.test", 80), lambda: None)
        running = self.waiting()
        self.clock.advance(999)
        first.release()
        self.assertIs(running.result().stream, self.stream)

    def test_a_turn_that_never_comes(self) -> None:
        """The resource limit ends it, and its place is given back."""
        self.configuration = self.configuration.replace(timeout_interval_for_resource=1000)
        self.gate = Gate(1)
        self.gate.enter(("example.test", 80), lambda: None)
        running = self.waiting()
        self.clock.advance(1000)
        with self.assertRaisesRegex(TimedOut, r"\(while waiting for its turn\)"):
            running.result()
        self.assertEqual(len(self.gate._rows["example.test", 80]), 1)

    def test_a_cancel_while_waiting_for_ones_turn(self) -> None:
        """The place in the row is given back."""
        self.gate = Gate(1)
        self.gate.enter(("example.test", 80), lambda: None)
        running = self.waiting()
        self.cancel()
        with self.assertRaises(Cancelled):
            running.result()
        self.assertEqual(len(self.gate._rows["example.test", 80]), 1)

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
