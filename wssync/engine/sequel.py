"""What follows from a response that did not open the connection: another request, or the end (rules 51 to 72)."""

from __future__ import annotations

from ..auth import Credential
from ..errors import AuthenticationFailed, HandshakeError, TooManyRedirects
from ..hints import TYPE_CHECKING, Any, Optional
from ..logs import log
from ..protocol.handshake import check_headers
from ..protocol.http1 import Request
from ..protocol.redirects import crossing, is_redirect, keep, propose, refuse_downgrade
from .answering import answer
from .asking import NO_ANSWER, WITHDRAWN
from .passwords import make_authenticator

if TYPE_CHECKING:
    from ..auth.authenticator import Authenticator
    from ..protocol.handshake import Refused
    from ..protocol.headers import Headers
    from ..protocol.http1 import Response
    from ..protocol.urls import WebSocketURL
    from .answering import Place
    from .context import Context

__all__ = ["Sequel"]


class Sequel:
    """The second and all later exchanges of one opening: what is asked next, and with what."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._crossing = crossing(context.plan.configuration.redirect_headers)
        self._redirects = 0
        self._has_crossed = False
        self._passwords: Optional[Authenticator] = None

    def after(self, request: Request, response: Response, verdict: Refused) -> Request:
        """The request that is made next. HandshakeError or one of its kinds when there is none, Cancelled when the
        delegate says so.
        """
        if response.status_code != 101:  # a 101 that breaks the rules proves nothing
            self.note(response)
        if is_redirect(response):
            return self._redirect(request, response)
        if response.status_code == 401:
            self._authenticate(request, response)
            return request
        raise HandshakeError(verdict.reason, url_error_code=verdict.url_error_code, response=response)

    def note(self, response: Response) -> None:
        """An answer to a request with a password, which may announce the next nonce (rule 74) or prove it right."""
        if self._passwords is not None and response.status_code != 401:
            self._passwords.succeeded(response)

    # -- what goes along -----------------------------------------------------------------------------------------------

    def additional(self, headers: Headers) -> Headers:
        """Of the configuration's header fields those that go along: once another origin was asked, few (rule 60)."""
        return keep(headers, self._crossing) if self._has_crossed else headers

    def authorization(self, url: WebSocketURL) -> Optional[str]:
        """The value of Authorization for this very URL, `None` where none was asked for."""
        return None if self._passwords is None else self._passwords.authorization("GET", url.target, *_place(url))

    # -- redirects and challenges --------------------------------------------------------------------------------------

    def _authenticate(self, request: Request, response: Response) -> None:
        plan, place = self._context.plan, _place(request.parsed_url)
        if self._passwords is None:
            self._passwords = make_authenticator(plan, Credential.from_url(plan.url), _place(plan.url))
        # A redirect's own request has no userinfo: this is the caller's, or in a request that the delegate returned.
        self._passwords.give(Credential.from_url(request.parsed_url), *place)
        if not answer(self._passwords, self._context, response, place):
            raise AuthenticationFailed(
                "the server asks for a credential, and there is none to offer", response=response
            )

    def _redirect(self, request: Request, response: Response) -> Request:
        context = self._context
        proposed = propose(request, response, self._crossing)
        context.trace("redirect", status=response.status_code, url=proposed.url)
        self._redirects += 1
        most = context.plan.configuration.max_redirects
        if self._redirects > most:
            raise TooManyRedirects(f"there were more than {most} redirects", url=proposed.url, response=response)
        chosen = self._ask(response, proposed)
        if chosen is None:
            chosen = proposed
            refused = refuse_downgrade(request.parsed_url, proposed.parsed_url, response)
            if refused is not None:
                raise refused
        self._check_reach(chosen, response)
        self._has_crossed = self._has_crossed or chosen.parsed_url.origin != request.parsed_url.origin
        context.questions.follow(chosen)
        return chosen

    def _check_reach(self, chosen: Request, response: Response) -> None:
        """The Unix socket is that of one server: it is not given what is kept for another one, cookies above all."""
        plan = self._context.plan
        if plan.configuration.unix_path is not None and chosen.parsed_url.origin != plan.url.origin:
            raise HandshakeError(
                "the server redirects to another one, which is not behind the Unix socket (unix_path)",
                response=response,
            )

    def _ask(self, response: Response, proposed: Request) -> Optional[Request]:
        """The delegate's request (rule 52), `None` to do what is done without one."""
        context, name = self._context, "will_perform_http_redirection"
        if context.questions.has(name):
            context.trace("waiting", reason="delegate")
        answered: Any = context.questions.ask(name, context.attempts.whole, response, proposed)
        if answered is None or answered is WITHDRAWN:
            raise HandshakeError(
                f"the server answered {response.status_code}, and the delegate did not follow", response=response
            )
        if isinstance(answered, Request):
            try:
                check_headers(answered.headers, context.plan.protocols)
            except ValueError as error:
                raise HandshakeError(f"the delegate's request cannot be sent: {error}", response=response) from error
            return answered
        if answered is not NO_ANSWER:
            log().error("wssync: a delegate answered a redirect with %s", type(answered).__name__)
        return None


def _place(url: WebSocketURL) -> Place:
    """The protection space's host, port and protocol (rule 64)."""
    return url.host, url.port, "https" if url.secure else "http"
