"""What a session tells its user: Apple's delegate protocols as base classes with do-nothing methods.

Any object that has some of these methods will do; the base classes exist to be read, to be subclassed and to be checked
by a type checker. Every method but `did_create_task` is called on the session's executor: for one task one after the
other, in the order of the events, never with a lock held, and never after that task's `did_complete`.

A task's own delegate (`task.delegate`) hears first; what it lacks goes to the session's. A method that a class merely
inherits from the base classes here counts as lacking.

    did_create_task -> {questions, informational responses}* -> did_open -> handlers ... -> did_close
        -> did_finish_collecting_metrics -> did_complete
    did_create_task -> {questions, informational responses}* -> (pending handlers fail)
        -> did_finish_collecting_metrics -> did_complete(error)

The questions of an opening (`session_did_receive_challenge`, `did_receive_challenge`, `will_perform_http_redirection`)
are answered by what the method returns: the answer, or a `concurrent.futures.Future` of it, so that a user may be asked
and take a minute. The opening waits meanwhile with its timer paused. A method or future that raises is logged, and then
it is as if nobody had been asked; a future that is cancelled is the user's "no".
"""

from __future__ import annotations

from .hints import TYPE_CHECKING, Any, Callable, Optional, Tuple, Union

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .auth import AuthChallengeDisposition, AuthenticationChallenge, Credential
    from .errors import WebSocketError
    from .metrics.values import TaskMetrics
    from .protocol.http1 import Request, Response

    Decision = Tuple[AuthChallengeDisposition, Optional[Credential]]
    Answer = Union[Decision, Future[Decision]]

__all__ = ["SessionDelegate", "TaskDelegate", "WebSocketDelegate", "method_of"]


class SessionDelegate:
    """What concerns a session as a whole (Apple: `URLSessionDelegate`)."""

    def session_did_receive_challenge(self, session: Any, challenge: AuthenticationChallenge) -> Answer:
        """TLS asks: about the server's certificate (`AuthenticationMethod.SERVER_TRUST`, in every `wss:` opening, good
        or bad as `challenge.error` says), or for a client certificate (`CLIENT_CERTIFICATE`, before connecting).

        Returns a disposition and a credential or `None`. Accept a certificate with `USE_CREDENTIAL` and
        `Credential.for_trust(challenge.protection_space.server_trust)`.
        """
        return _by_default()

    def session_did_become_invalid(self, session: Any, error: Optional[WebSocketError]) -> None:
        """The session's last message, after every task's `did_complete`; `error` is `None` when it was asked for."""


class TaskDelegate(SessionDelegate):
    """What concerns any task (Apple: `URLSessionTaskDelegate`)."""

    def did_create_task(self, session: Any, task: Any) -> None:
        """First of all, inside `websocket_task()`, on the thread that calls it; `task.delegate` may be set here."""

    def will_perform_http_redirection(
        self, session: Any, task: Any, response: Response, new_request: Request
    ) -> Union[Request, Future[Optional[Request]], None]:
        """The server redirects; returns the request to follow, changed or not, or `None` to stop there.

        A request that is returned is made, also one that leads from `wss:` to `ws:`, which is refused otherwise.
        """
        return new_request

    def did_receive_challenge(self, session: Any, task: Any, challenge: AuthenticationChallenge) -> Answer:
        """The server (401) or a proxy (407) asks for a credential: Basic, Digest, and schemes that only
        `Credential.token` answers. Also what TLS asks about a certificate, if nobody has the session's method.

        Returns a disposition and a credential or `None`.
        """
        return _by_default()

    def is_waiting_for_connectivity(self, session: Any, task: Any) -> None:
        """There is no network; the task tries again now and then (`waits_for_connectivity`). Once for a task."""

    def did_receive_informational_response(self, session: Any, task: Any, response: Response) -> None:
        """A 1xx response other than 101 came before the final one (RFC 9110 section 15.2)."""

    def did_finish_collecting_metrics(self, session: Any, task: Any, metrics: TaskMetrics) -> None:
        """How the task went, once, just before `did_complete`. Metrics are collected for who has this method."""

    def did_complete(self, session: Any, task: Any, error: Optional[WebSocketError]) -> None:
        """Always last, once for every task that was resumed or cancelled. `None` after a closing handshake."""


class WebSocketDelegate(TaskDelegate):
    """What concerns a WebSocket task (Apple: `URLSessionWebSocketDelegate`)."""

    def did_open(self, session: Any, task: Any, protocol: Optional[str]) -> None:
        """The opening handshake is done; `protocol` is the subprotocol the server chose, or `None`."""

    def did_close(self, session: Any, task: Any, close_code: int, reason: Optional[str]) -> None:
        """The peer's Close frame was received: its code (1005 if it had none) and its reason."""


def _by_default() -> Answer:
    from .auth import AuthChallengeDisposition

    return AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None


def method_of(delegate: object, name: str) -> Optional[Callable[..., Any]]:
    """The delegate's own method of that name, or `None` if it has none or only inherits the one that does nothing."""
    method: Optional[Callable[..., Any]] = getattr(delegate, name, None)
    nothing = getattr(WebSocketDelegate, name)
    if method is None or getattr(method, "__func__", None) is nothing:
        return None
    return method
