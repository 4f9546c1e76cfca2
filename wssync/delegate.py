"""What a session tells its user: Apple's delegate protocols as base classes with do-nothing methods.

Any object that has some of these methods will do; the base classes exist to be read, to be subclassed and to be checked
by a type checker. Every method but `did_create_task` is called on the session's executor: for one task one after the
other, in the order of the events, never with a lock held, and never after that task's `did_complete`.

A task's own delegate (`task.delegate`) hears first; what it lacks goes to the session's. A method that a class merely
inherits from the base classes here counts as lacking.

    did_create_task -> {did_receive_informational_response}* -> did_open -> handlers ... -> did_close
        -> did_finish_collecting_metrics -> did_complete
    did_create_task -> {did_receive_informational_response}* -> (pending handlers fail)
        -> did_finish_collecting_metrics -> did_complete(error)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from .errors import WebSocketError
    from .metrics.values import TaskMetrics
    from .protocol.http1 import Response

__all__ = ["SessionDelegate", "TaskDelegate", "WebSocketDelegate", "method_of"]


class SessionDelegate:
    """What concerns a session as a whole (Apple: `URLSessionDelegate`)."""

    def session_did_become_invalid(self, session: Any, error: Optional[WebSocketError]) -> None:
        """The session's last message, after every task's `did_complete`; `error` is `None` when it was asked for."""


class TaskDelegate(SessionDelegate):
    """What concerns any task (Apple: `URLSessionTaskDelegate`)."""

    def did_create_task(self, session: Any, task: Any) -> None:
        """First of all, inside `websocket_task()`, on the thread that calls it; `task.delegate` may be set here."""

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


def method_of(delegate: object, name: str) -> Optional[Callable[..., None]]:
    """The delegate's own method of that name, or `None` if it has none or only inherits the one that does nothing."""
    method: Optional[Callable[..., None]] = getattr(delegate, name, None)
    nothing = getattr(WebSocketDelegate, name)
    if method is None or getattr(method, "__func__", None) is nothing:
        return None
    return method
