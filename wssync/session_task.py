"""What every task has, whatever it transfers: Apple's `URLSessionTask`.

The states and the life of a task are described where its one kind is, in `task`; this base stands apart because it has
a reason of its own to change, Apple's base class.
"""

from __future__ import annotations

import enum
import functools
import threading

from .delegate import method_of
from .engine.connection import Connection
from .engine.loop import Engine
from .engine.plan import Plan
from .engine.state import Phase
from .engine.tracing import make_tracer
from .errors import WebSocketError
from .hints import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Protocol, Tuple
from .protocol.http1 import Request, Response

if TYPE_CHECKING:
    import datetime

    from .metrics import Progress

    class Owner(Protocol):
        """What a task needs of its session."""

        @property
        def delegate(self) -> object: ...

        @property
        def _is_held(self) -> bool: ...

        def _adopt(self, task: Any) -> None: ...

        def _let_go(self, task: Any) -> None: ...


__all__ = ["SessionTask", "TaskState"]

_CALLBACKS = (
    "will_perform_http_redirection",
    "did_receive_challenge",
    "is_waiting_for_connectivity",
    "did_receive_informational_response",
    "did_open",
    "did_close",
    "did_finish_collecting_metrics",
    "did_complete",
)
_SESSION_CALLBACKS = ("session_did_receive_challenge",)


class TaskState(enum.Enum):
    """Where a task stands (Apple: `URLSessionTask.State`)."""

    RUNNING = 0
    SUSPENDED = 1
    CANCELING = 2
    COMPLETED = 3


class SessionTask:
    """What all tasks have (Apple: `URLSessionTask`). Made by a session; everything may be read from any thread.

    `task_identifier` is unique within the session; `original_request` is what the task was made with;
    `task_description` and `priority` (0.0 to 1.0) are the user's own and change nothing; so do
    `count_of_bytes_client_expects_to_send` and `count_of_bytes_client_expects_to_receive` (-1: unknown).
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_connection",
        "_plan",
        "_prepared",
        "_session",
        "_starting",
        "original_request",
        "task_identifier",
    )

    # What is seldom set: the dictionary is made when it is.
    task_description: Optional[str] = None
    priority: float = 0.5
    count_of_bytes_client_expects_to_send: int = -1
    count_of_bytes_client_expects_to_receive: int = -1
    _delegate: object = None
    _earliest_begin_date: Any = None

    def __init__(self, session: Owner, identifier: int, plan: Plan, connection: Connection) -> None:
        self.task_identifier = identifier
        self.original_request: Request = plan.request
        self._session = session
        self._plan = plan
        self._connection = connection
        self._prepared = False
        self._starting: Optional[threading.RLock] = threading.RLock()

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def current_request(self) -> Request:
        """The request that is, or was last, on its way: after redirects, where the last one led."""
        return self._connection.request or self.original_request

    @property
    def response(self) -> Optional[Response]:
        """The server's response head, set before `did_open`; the refusing one, with its body, when the opening
        failed.
        """
        return self._connection.response

    @property
    def state(self) -> TaskState:
        """SUSPENDED, RUNNING, CANCELING or COMPLETED; it becomes COMPLETED before `did_complete` is queued."""
        connection = self._connection
        if connection.phase >= Phase.ENDED:
            return TaskState.COMPLETED
        if connection.cause is not None or connection.closing_asked:
            return TaskState.CANCELING
        return TaskState.SUSPENDED if connection.suspended else TaskState.RUNNING

    @property
    def error(self) -> Optional[WebSocketError]:
        """Why the task ended, the object that `did_complete` gets: `None` before, and after a closing handshake."""
        return self._connection.error

    @property
    def progress(self) -> Progress:
        """Bytes of messages in both directions, and another way to `cancel()`."""
        from .metrics import Progress

        connection = self._connection
        return Progress(
            connection.count_progress,
            lambda: connection.phase >= Phase.ENDED,
            connection.cancel,
        )

    @property
    def count_of_bytes_sent(self) -> int:
        """Bytes of messages handed to the operating system, before compression."""
        return self._connection.outbox.counts.sent

    @property
    def count_of_bytes_received(self) -> int:
        """Bytes of messages received, after decompression; also of messages nobody has taken yet."""
        return self._connection.tally.received

    @property
    def count_of_bytes_expected_to_send(self) -> int:
        """-1: a WebSocket does not know."""
        return -1

    @property
    def count_of_bytes_expected_to_receive(self) -> int:
        """-1: a WebSocket does not know."""
        return -1

    @property
    def delegate(self) -> object:
        """The task's own delegate, asked before the session's; `RuntimeError` when set after `resume()`.

        It is let go when the task has completed.
        """
        return self._delegate

    @delegate.setter
    def delegate(self, delegate: object) -> None:
        starting = self._starting
        if starting is not None:
            with starting:
                if not self._prepared:
                    self._delegate = delegate
                    return
        raise RuntimeError("the delegate of a task cannot be changed once it was resumed")

    @property
    def earliest_begin_date(self) -> Optional[datetime.datetime]:
        """An aware `datetime` before which the task does not begin, though it was resumed; `None`: at once."""
        date: Optional[datetime.datetime] = self._earliest_begin_date
        return date

    @earliest_begin_date.setter
    def earliest_begin_date(self, date: Optional[datetime.datetime]) -> None:
        if date is not None:
            _check_date(date)
        self._earliest_begin_date = date

    # -- what it does --------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Start the task, or undo one `suspend()`. More of them, and one after the end, do nothing.

        `RuntimeError` in a signal handler that struck a task in the middle of a change, before it was started.
        """
        self._prepare()
        connection = self._connection
        if connection.resume():
            try:
                engine = Engine(connection, self._plan, self._earliest_begin_date)
            except BaseException:
                if not connection.unstart():
                    connection.complete()
                raise
            try:
                engine.start()
            finally:
                connection.starter = None

    def suspend(self) -> None:
        """Stop transmitting until as many `resume()` calls; timers stand still.

        On an open connection nothing is read or written and no receive is answered. A suspended task can be closed or
        cancelled: then it moves again.
        """
        self._connection.suspend()

    def cancel(self) -> None:
        """Abandon the task at once: what was not sent or not read is dropped, pending work fails with `Cancelled`."""
        self._prepare()
        self._connection.cancel()

    def _prepare(self) -> None:
        """Look up the delegates' methods, once: from here on they are fixed, and the session holds the task."""
        starting = self._starting
        if starting is None:
            return
        with starting:
            if self._prepared:
                return
            self._prepared = True
            connection = self._connection
            listener = connection.listener = _Listener(self, self._session)
            connection.tracer = make_tracer(
                self,
                connection.clock,
                hook=self._plan.configuration.trace,
                wants_metrics="did_finish_collecting_metrics" in listener.callbacks,
                created=connection.created,
            )
            if listener.callbacks:
                self._connection.strand.expect()
            self._session._adopt(self)
            self._starting = None  # last: whoever finds none may rely on all that

    def _finished(self) -> None:
        """Every callback of this task has run."""
        self._delegate = None
        self._session._let_go(self)

    def __copy__(self) -> SessionTask:
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> SessionTask:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.task_identifier} {self._connection.url} {self.state.name}>"


def _check_date(date: object) -> None:
    import datetime

    if not (isinstance(date, datetime.datetime) and date.tzinfo is not None):
        raise ValueError(f"earliest_begin_date must be a datetime with a time zone, not {date!r}")


_NO_CALLBACKS: Mapping[str, Callable[..., Any]] = {}


class _Listener:
    """What the connection knows of its task: the delegates' methods, looked up before anything can happen."""

    __slots__ = ("_task", "callbacks")

    def __init__(self, task: SessionTask, session: Owner) -> None:
        self._task = task
        self.callbacks = _NO_CALLBACKS
        for delegate in (task.delegate, session.delegate):
            if delegate is not None:
                self.callbacks = callbacks = dict(self.callbacks)
                _look_up(callbacks, delegate, _SESSION_CALLBACKS, session)
                _look_up(callbacks, delegate, _CALLBACKS, session, task)

    def callback(self, name: str) -> Optional[Callable[..., Any]]:
        """The delegate's method of that name, bound to session and task."""
        return self.callbacks.get(name)

    def finished(self) -> None:
        """The last callback has run."""
        self._task._finished()


def _look_up(
    callbacks: Dict[str, Callable[..., Any]], delegate: object, names: Tuple[str, ...], *arguments: object
) -> None:
    for name in names:
        method = None if name in callbacks else method_of(delegate, name)
        if method is not None:
            callbacks[name] = functools.partial(method, *arguments)
