"""From a URL to an open connection: wait for one's turn, dial, ask for the upgrade, judge the answer (RFC 6455 section
4.1).

It runs on the engine thread and blocks in one kind of place only, the waits of an `Attempt`. So one deadline covers all
of it, however slowly the bytes trickle in, and a cancel ends it wherever it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, Optional, Sequence, Tuple

from ..configuration import SessionConfiguration
from ..errors import ConnectionClosed, HandshakeError, TimedOut, WebSocketError
from ..frozen import Frozen, replace
from ..protocol.handshake import Accepted, Upgrade, judge, make_upgrade
from ..protocol.http1 import HeadReader, Request, Response, parse_response_head
from ..protocol.urls import WebSocketURL
from ..transport.clock import Clock, Deadline
from ..transport.stream import Stream
from ..transport.waiting import Attempt, Waker
from .gate import Gate, Ticket
from .surroundings import dial

if TYPE_CHECKING:
    import datetime
    import ssl

__all__ = ["Opened", "Opening", "Plan"]

READ = 16_384
"""Bytes: heads are far smaller, and what follows a 101 in the same packet is only the beginning."""

MOST_INFORMATIONAL = 16
"""1xx responses before the final one. Real servers send one or two; an endless row of them is an attack."""

BODY_PATIENCE = 5.0
"""Seconds for the body of a refusal. The verdict is known by then, so the user is not kept waiting for prose."""


class Plan(Frozen):
    """What is to be opened, and with what."""

    request: Request
    protocols: Sequence[str]
    configuration: SessionConfiguration
    tls: Callable[[], ssl.SSLContext]
    gate: Gate
    dial: Callable[..., Stream] = staticmethod(dial)  # else it would be a method

    @property
    def url(self) -> WebSocketURL:
        """The request's URL, parsed."""
        return self.request.parsed_url

    @property
    def patience(self) -> Optional[float]:
        """Seconds that the whole opening may take: the request's own limit or the configuration's (rules 204, 205)."""
        own = self.request.timeout_interval
        limits = (
            own if own is not None else self.configuration.timeout_interval_for_request,
            self.configuration.timeout_interval_for_resource,
        )
        return min((limit for limit in limits if limit is not None), default=None)


class Opened(Frozen):
    """An open connection, and what came behind the response head: the first frames (rule 47)."""

    stream: Stream
    verdict: Accepted
    response: Response
    rest: bytes


class Opening:
    """One opening. `check` raises `Cancelled` when it is to end, and may pause the deadline while the task is
    suspended.
    """

    def __init__(
        self,
        plan: Plan,
        waker: Waker,
        clock: Clock,
        check: Callable[[Deadline], None],
        inform: Callable[[Response], None],
    ) -> None:
        self._plan = plan
        self._url = plan.url
        self._name = str(plan.url)
        self._waker = waker
        self._clock = clock
        self._check = check
        self._inform = inform
        self._phase = "waiting for its turn"

    def run(self, begin: Optional[datetime.datetime] = None) -> Opened:
        """Open. Raises `Cancelled`, `TimedOut`, `ConnectionFailed` or `HandshakeError`; no descriptor is left then."""
        self._wait_until(begin)
        ticket = self._plan.gate.enter((self._url.host, self._url.port), self._waker.wake)
        try:
            if not ticket.granted:
                self._wait_for_turn(ticket)
            return self._open(self._attempt(self._plan.patience))
        except TimedOut as error:
            raise TimedOut(f"{error} (while {self._phase})", url=self._name) from error
        except WebSocketError as error:
            error.url = self._name
            raise
        finally:
            ticket.release()

    def _attempt(self, seconds: Optional[float]) -> Attempt:
        deadline = Deadline(self._clock, seconds)
        return Attempt(self._waker, deadline, lambda: self._check(deadline))

    def _wait_until(self, begin: Optional[datetime.datetime]) -> None:
        """Honour `earliest_begin_date`: a moment of the calendar, waited for by the monotonic clock."""
        if begin is None:
            return
        import datetime

        deadline = Deadline(self._clock, (begin - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
        attempt = self._attempt(None)
        while not deadline.expired():
            attempt.wait(timeout=deadline.remaining())

    def _wait_for_turn(self, ticket: Ticket) -> None:
        """The request's timer does not run yet: waiting for others is not the server's slowness."""
        attempt = self._attempt(self._plan.configuration.timeout_interval_for_resource)
        while not ticket.granted:
            attempt.wait()

    def _open(self, attempt: Attempt) -> Opened:
        self._phase = "connecting"
        url = self._url
        tls = self._plan.tls() if url.secure else None
        stream = self._plan.dial(
            url.host, url.port, attempt, tls=tls, server_hostname=url.server_name if tls else None, url=self._name
        )
        try:
            return self._upgrade(stream, attempt)
        except ConnectionClosed as error:
            stream.close()
            raise HandshakeError(
                f"the connection was lost while {self._phase}", url=self._name, url_error_code=-1005
            ) from (error.__cause__ or error)
        except BaseException:
            stream.close()
            raise

    def _upgrade(self, stream: Stream, attempt: Attempt) -> Opened:
        upgrade = self._make_upgrade()
        self._phase = "sending the upgrade request"
        self._send(stream, attempt, upgrade.to_bytes())
        self._phase = "waiting for the response to the upgrade request"
        response, rest = self._read_response(stream, attempt)
        verdict = judge(upgrade, response)
        if isinstance(verdict, Accepted):
            return Opened(stream, verdict, response, rest)
        response = self._with_body(response, rest, stream, attempt)
        raise HandshakeError(verdict.reason, url=self._name, url_error_code=verdict.url_error_code, response=response)

    def _make_upgrade(self) -> Upgrade:
        configuration = self._plan.configuration
        return make_upgrade(
            self._url,
            headers=self._plan.request.headers,
            additional=configuration.request_headers,
            protocols=self._plan.protocols,
            deflate=configuration.deflate,
            nonce=os.urandom(16),
        )

    def _send(self, stream: Stream, attempt: Attempt, data: bytes) -> None:
        while data or not stream.flush():
            accepted = stream.send(data) if data else 0
            data = data[accepted:]
            if not accepted:
                attempt.wait_stream(stream, False, True)

    def _receive(self, stream: Stream, attempt: Attempt) -> bytes:
        """What has come, waiting for it; b"" at the end of the stream."""
        data: Optional[bytes] = None
        while data is None:
            stream.flush()  # TLS may have something to say of its own
            attempt.wait_stream(stream, True, stream.has_output)
            data = stream.recv(READ)
        return data

    def _read_response(self, stream: Stream, attempt: Attempt) -> Tuple[Response, bytes]:
        """The final response's head, and what came behind it; informational ones are reported on the way."""
        rest = b""
        for _ in range(MOST_INFORMATIONAL + 1):
            response, rest = self._read_head(stream, attempt, rest)
            if response.status_code == 101 or response.status_code >= 200:
                return response, rest
            self._inform(response)
        raise HandshakeError(f"the server sent more than {MOST_INFORMATIONAL} informational responses", url=self._name)

    def _read_head(self, stream: Stream, attempt: Attempt, data: bytes) -> Tuple[Response, bytes]:
        reader = HeadReader(prefix=b"HTTP/")
        found = reader.feed(data) if data else None
        while found is None:
            data = self._receive(stream, attempt)
            if not data:
                raise self._cut_short(reader.received)
            found = reader.feed(data)
        head, rest = found
        return parse_response_head(head, self._name), rest

    def _cut_short(self, received: int) -> HandshakeError:
        if received:
            message, code = "the connection ended in the middle of the response head", -1005
        else:
            message, code = "the server closed the connection without an answer", -1011
        return HandshakeError(message, url=self._name, url_error_code=code)

    def _with_body(self, response: Response, rest: bytes, stream: Stream, attempt: Attempt) -> Response:
        """The refusal with as much of its body as comes within its limits; that it breaks off is not another error."""
        from ..protocol.bodies import BodyReader  # a connection that opens needs none

        reader = BodyReader(response)
        remaining = attempt.deadline.remaining()
        patience = self._attempt(BODY_PATIENCE if remaining is None else min(remaining, BODY_PATIENCE))
        try:
            done = reader.feed(rest)
            while not done:
                data = self._receive(stream, patience)
                if not data:
                    reader.at_eof()
                    break
                done = reader.feed(data)
        except (TimedOut, ConnectionClosed):
            pass
        return replace(response, body=reader.body)
