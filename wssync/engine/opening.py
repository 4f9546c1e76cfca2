"""From a URL to an open connection: exchange by exchange, until one opens it (RFC 6455 section 4.1).

    wait for one's turn -> reach the server -> ask for the upgrade -> judge the answer -> open, or
          ^                                                            |
          +--- another request: where a redirect leads, or with the answer to a challenge

It runs on the engine thread and blocks in one kind of place only, the waits of an `Attempt`. So one deadline covers
each exchange and another one all of them, however slowly the bytes trickle in, and a cancel ends it wherever it is.
Each exchange has a connection of its own.
"""

from __future__ import annotations

import os

from ..errors import ConnectionClosed, HandshakeError, TimedOut, WebSocketError
from ..hints import TYPE_CHECKING, Callable, Optional, Tuple, Union
from ..protocol.handshake import Accepted, Refused, Upgrade, judge, make_upgrade
from ..protocol.headers import Headers
from ..protocol.http1 import Response
from ..protocol.urls import mask_secrets
from ..transport.clock import Clock, Deadline
from ..transport.waiting import Attempt, Waker
from .attempts import Attempts
from .context import Context
from .exchange import Exchange
from .gate import Ticket
from .plan import Opened, Plan
from .reaching import Reaching

if TYPE_CHECKING:
    import datetime

    from ..cookies.exchange import Cookies
    from ..transport.stream import Stream
    from .asking import Questions
    from .sequel import Sequel

__all__ = ["Opening"]

Outcome = Union[Opened, Tuple[Response, Refused]]


class Opening:
    """One opening.

    `check` raises `Cancelled` when it is to end, and may pause the deadline while the task is suspended. `questions`
    are put to the delegates, and `trace` hears of every step.
    """

    def __init__(
        self,
        plan: Plan,
        waker: Waker,
        clock: Clock,
        check: Callable[[Deadline], None],
        questions: Questions,
        trace: Callable[..., None],
    ) -> None:
        self._plan = plan
        self._waker = waker
        self._clock = clock
        self._check = check
        self._questions = questions
        self._trace = trace
        self._request = plan.request
        self._exchanges = 0
        self._sequel: Optional[Sequel] = None
        self._ticket: Optional[Ticket] = None
        self._is_in_row = False
        self._phase = "waiting for its turn"

    @property
    def _cookies(self) -> Cookies:
        from ..cookies.exchange import Cookies

        configuration, request = self._plan.configuration, self._request
        return Cookies(
            configuration.cookie_jar,
            configuration.http_cookie_accept_policy,
            configuration.http_should_set_cookies,
            request.main_document_url,
            request.http_should_handle_cookies,
        )

    def run(self, begin: Optional[datetime.datetime] = None) -> Opened:
        """Open. Raises `Cancelled`, `TimedOut`, `ConnectionFailed` or `HandshakeError`; no descriptor is left then."""
        self._wait_until(begin)
        resource = self._plan.configuration.timeout_interval_for_resource
        self._attempts = Attempts(self._waker, self._clock, self._check, request=self._plan.patience, resource=resource)
        self._context = Context(
            self._plan,
            self._attempts,
            self._questions,
            self._trace,
            self.step_aside,
            self._take_turn,
            self._begin,
        )
        self._reaching = Reaching(self._context)
        try:
            return self._run()
        except TimedOut as error:
            raise TimedOut(f"{error} (while {self._phase})", url=mask_secrets(self._name)) from error
        except WebSocketError as error:
            error.url = mask_secrets(error.url or self._name)
            raise
        finally:
            del self._context, self._reaching  # they know this opening, and the session behind it
            self._sequel = None

    def _wait_until(self, begin: Optional[datetime.datetime]) -> None:
        """Honour `earliest_begin_date`: a moment of the calendar, waited for by the monotonic clock."""
        if begin is None:
            return
        import datetime

        self._trace("waiting", reason="begin_date")
        seconds = (begin - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        deadline, endless = Deadline(self._clock, seconds), Deadline(self._clock, None)
        attempt = Attempt(self._waker, endless, lambda: self._check(endless))
        while not deadline.expired():
            attempt.wait(timeout=deadline.remaining())

    def _run(self) -> Opened:
        while True:
            try:
                self._begin()
                opened = self._exchange()
            finally:
                self.step_aside()
            if isinstance(opened, Opened):
                return opened
            self._phase = "deciding what follows from the response"
            self._request = self._follow_up.after(self._request, *opened)
            self._attempts.whole.deadline.limit(self._plan.patience_for(self._request))

    def _begin(self) -> None:
        """An exchange begins, when it is its turn, and has the request's time for itself (rules 80 and 208)."""
        self._exchanges += 1
        self._name = str(self._request.parsed_url)
        self._trace("transaction_start", url=self._name, number=self._exchanges, request=self._request)
        self._take_turn()

    # -- one's turn ----------------------------------------------------------------------------------------------------

    def line_up(self) -> None:
        """Take a place in the row. For the first exchange that is done by who starts the task, on whatever thread, so
        that tasks have their turns in that order; it must then `run`, or `step_aside`.
        """
        self.step_aside()
        url, gate = self._request.parsed_url, self._plan.gate
        self._ticket = ticket = Ticket(gate, (url.host, url.port), self._waker.wake)
        gate.line_up(ticket)
        self._is_in_row = True

    def _take_turn(self) -> None:
        """The request's timer does not run before: waiting for others is not the server's slowness."""
        self._phase = "waiting for its turn"
        if not self._is_in_row:
            self.line_up()
        self._is_in_row = False
        ticket = self._ticket
        assert ticket is not None
        if not ticket.granted:
            self._trace("waiting", reason="turn")
        while not ticket.granted:
            self._attempts.between.wait()
        self._phase = "connecting"
        self._attempts.whole.deadline.restart()

    def step_aside(self) -> None:
        """Others may open: this one is done, or waits for its user."""
        self._is_in_row = False
        if self._ticket is not None:
            self._ticket.release()
            self._ticket = None

    # -- one exchange --------------------------------------------------------------------------------------------------

    def _exchange(self) -> Outcome:
        """Ask once: an `Opened`, or the refusing response and the reason that the handshake's rules have for it."""
        url = self._request.parsed_url
        stream = self._plan.dial(
            url.host, url.port, self._attempts.whole, url=self._name, reach=lambda: self._reaching.reach(url)
        )
        keeps = False
        try:
            found = self._upgrade(stream)
            keeps = isinstance(found, Opened)
            return found
        except ConnectionClosed as error:
            raise self._explain_loss(error, secure=url.secure) from (error.__cause__ or error)
        finally:
            if not keeps:
                stream.close()

    def _explain_loss(self, error: ConnectionClosed, *, secure: bool) -> WebSocketError:
        if secure:
            from ..transport.tls import client_refusal

            refusal = client_refusal(error, self._name)  # in TLS 1.3 that comes in the place of an answer
            if refusal is not None:
                return refusal
        return HandshakeError(f"the connection was lost while {self._phase}", url=self._name, url_error_code=-1005)

    def _upgrade(self, stream: Stream) -> Outcome:
        upgrade = self._make_upgrade()
        exchange = Exchange(
            stream,
            self._attempts,
            self._trace,
            self._name,
            "server",
            lambda response: self._questions.tell("did_receive_informational_response", response),
        )
        self._phase = "sending the upgrade request"
        exchange.send(upgrade.to_bytes(), "GET", upgrade.url.target)
        self._phase = "waiting for the response to the upgrade request"
        response, rest = exchange.read_response()
        if "set-cookie" in response.headers:  # stored before any delegate hears of it (rule 82)
            self._cookies.store(self._request.parsed_url, response.headers)
        verdict = judge(upgrade, response)
        if isinstance(verdict, Accepted):
            if self._sequel is not None:
                self._sequel.note(response)
            exchange.end(response)
            return Opened(stream, verdict, (exchange.head, self._name), rest)
        return exchange.with_body(response, rest), verdict

    @property
    def _follow_up(self) -> Sequel:
        if self._sequel is None:
            from .sequel import Sequel  # most openings are over with the first exchange

            self._sequel = Sequel(self._context)
        return self._sequel

    def _make_upgrade(self) -> Upgrade:
        configuration = self._plan.configuration
        additional = configuration.request_headers
        if self._sequel is not None:
            additional = self._sequel.additional(additional)
        return make_upgrade(
            self._request.parsed_url,
            headers=self._with_secrets(self._request.headers, additional),
            additional=additional,
            protocols=self._plan.protocols,
            deflate=configuration.deflate,
            nonce=os.urandom(16),
        )

    # -- secrets -------------------------------------------------------------------------------------------------------

    def _with_secrets(self, headers: Headers, additional: Headers) -> Headers:
        """The request's own fields, with the cookies and the password for this very URL. A caller's own Cookie stands
        (rule 85); a caller's Authorization stands until it was refused.
        """
        url = self._request.parsed_url
        might = self._plan.configuration.may_have_cookies
        if might and "Cookie" not in headers and "Cookie" not in additional:
            cookie = self._cookies.header(url, self._plan.url)
            if cookie is not None:
                headers = headers.replace({"Cookie": cookie})
        if self._sequel is not None:
            value = self._sequel.authorization(url)
            if value is not None:
                headers = headers.replace({"Authorization": value})
        return headers
