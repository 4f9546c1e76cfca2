"""A session: what several tasks share (Apple: `URLSession`).

It makes tasks, holds the open ones until they end, and owns the place where their callbacks run: the executor it was
given, or one thread of its own. Invalidating it ends that: no more tasks, and when the last one has completed,
`session_did_become_invalid`, after which the session lets go of its delegate and of its thread.
"""

from __future__ import annotations

import functools
import threading
from _weakref import ref  # what `weakref` has it from, without the classes of that

from .configuration import SessionConfiguration
from .delegate import method_of
from .engine import surroundings
from .engine.completions import Latch, wait_within
from .engine.connection import Connection
from .engine.gate import Gate
from .engine.goodbye import remember_fork
from .engine.plan import Plan
from .errors import SessionInvalidated, TimedOut
from .hints import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Type, Union
from .protocol.handshake import check_headers, check_protocols
from .protocol.headers import HeadersLike
from .protocol.http1 import Request
from .strand import Preparable, Strand, call
from .task import WebSocketTask

if TYPE_CHECKING:
    import types

    from .executors import SerialExecutor
    from .strand import Executor
    from .transport.trust import TLSTerms

__all__ = ["Session", "connect"]


_NONE_FRESH: Dict[int, ref[WebSocketTask]] = {}
"""Those of a session whose tasks all have begun. Nothing is ever put in it."""


class Session:
    """Makes tasks that share a configuration, a delegate and an executor.

    configuration: read now, once; `SessionConfiguration.default()` if none is given.
    delegate: any object with some of the methods of `WebSocketDelegate`; held until the session is invalid.
    executor: where every handler and delegate method runs (Apple: `delegateQueue`), anything with `submit(fn, *args)`;
        by default a `SerialExecutor` of its own.

    TypeError for what cannot be, ValueError for an `ssl_context` that leaves checks out by accident.

    Leaving a `with` block calls `invalidate_and_cancel()` and waits for the connections' threads, and for the session's
    own executor (unless on it), never for one it was given.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_configuration",
        "_delegate",
        "_executor",
        "_fresh",
        "_gate",
        "_invalid",
        "_leaving",
        "_lock",
        "_made",
        "_own_executor",
        "_running",
    )

    # What most sessions never set, or at their end alone; the dictionary is made when it is set.
    session_description: Optional[str] = None
    _announced = False
    _dissolved = False
    _gone: Optional[Latch] = None
    """There once somebody waits for it."""
    _shared = False
    _tls: Any = None
    """`TLSTerms`, which few programs load: who asks for the hints of this class is not to need them."""

    def __init__(
        self,
        configuration: Optional[SessionConfiguration] = None,
        *,
        delegate: object = None,
        executor: Optional[Executor] = None,
    ) -> None:
        if configuration is not None and not isinstance(configuration, SessionConfiguration):
            raise TypeError(f"configuration must be a SessionConfiguration, not {configuration!r}")
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise TypeError(f"executor must have a method submit(fn, *args): {executor!r}")
        self._configuration = configuration or SessionConfiguration.default()
        self._delegate = delegate
        self._own_executor: Optional[_OwnExecutor] = None
        if executor is None:
            executor = self._own_executor = _OwnExecutor()
        self._executor = executor
        self._made = 0
        self._invalid = False
        self._begin_afresh()
        if self._configuration.ssl_context is not None:
            self._tls_terms()  # so that one that checks nothing by accident is refused here
        remember_fork(self)

    def _begin_afresh(self) -> None:
        self._lock = threading.RLock()
        self._gate = Gate(self._configuration.http_maximum_connections_per_host)
        self._fresh = _NONE_FRESH
        self._running: Dict[int, WebSocketTask] = {}
        self._leaving: Sequence[Any] = ()  # threads, which are made in the engine alone

    def abandon(self) -> None:
        """This is a child process after a fork: the tasks are the parent's. Not for users."""
        vars(self).pop("_tls_lock", None)
        self._begin_afresh()

    @classmethod
    def shared(cls) -> Session:
        """The process-wide session: default configuration, no delegate; invalidating it does nothing."""
        with _shared_lock:
            return _shared_session()

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def configuration(self) -> SessionConfiguration:
        """What it was made with."""
        return self._configuration

    @property
    def delegate(self) -> object:
        """What it was made with; `None` once the session has become invalid."""
        return self._delegate

    @property
    def executor(self) -> Executor:
        """Where the callbacks run."""
        return self._executor if self._own_executor is None else self._own_executor.made

    @property
    def tasks(self) -> List[WebSocketTask]:
        """The tasks that are not completed, in the order in which they were made."""
        with self._lock:
            fresh = {number: reference() for number, reference in list(self._fresh.items())}
            found = {**fresh, **self._running}
        tasks = [found[number] for number in sorted(found)]
        return [task for task in tasks if task is not None and not task._connection.ended.is_set()]

    # -- making tasks --------------------------------------------------------------------------------------------------

    def websocket_task(self, url_or_request: Union[str, Request], protocols: Sequence[str] = ()) -> WebSocketTask:
        """Make a suspended task for a `ws:` or `wss:` URL, or a `Request`; nothing is sent before its `resume()`.

        `protocols` are the subprotocols to offer, best first. The session holds the task from its `resume()` to its
        end. Raises `InvalidURL`, `SessionInvalidated`, and `TypeError` or `ValueError` for bad headers or protocols.
        """
        request = url_or_request if isinstance(url_or_request, Request) else Request(url_or_request)
        offered = check_protocols(protocols)
        check_headers(request.headers, offered)
        plan = Plan(request, offered, self._configuration, self._tls_terms, self._gate)
        shown = plan.url.shown
        connection = Connection(shown, self._configuration, self._executor, surroundings.current().clock)
        with self._lock:
            if self._invalid:
                raise SessionInvalidated("the session was invalidated: it makes no more tasks", url=shown)
            number = self._made = self._made + 1
            task = WebSocketTask(self, number, plan, connection)
            if self._fresh is _NONE_FRESH:
                self._fresh = {}
            self._fresh[number] = ref(task, functools.partial(_forget, ref(self), number))
        created = method_of(self._delegate, "did_create_task")
        if created is not None:
            call(created, self, task)
        return task

    def _tls_terms(self) -> TLSTerms:
        """One for all tasks; on a connection's thread, because loading the roots takes milliseconds."""
        lock: threading.Lock = vars(self).setdefault("_tls_lock", threading.Lock())  # one step: all get the same
        with lock:
            if self._tls is None:
                from .transport.trust import TLSTerms

                configuration = self._configuration
                self._tls = TLSTerms(
                    configuration.tls_minimum_supported_protocol_version,
                    configuration.tls_maximum_supported_protocol_version,
                    tuple(configuration.certificate_pins),
                    configuration.ssl_context,
                    configuration.truststore,
                )
            terms: TLSTerms = self._tls
            return terms

    def _adopt(self, task: WebSocketTask) -> None:
        """A task was resumed or cancelled: it lives until it has ended."""
        with self._lock:
            self._running[task.task_identifier] = task
            self._fresh.pop(task.task_identifier, None)
            if not self._fresh:
                self._fresh = _NONE_FRESH  # an emptied one keeps its table
            if task._connection.ended.is_set():  # a signal handler that came between has cancelled it
                self._running.pop(task.task_identifier, None)

    @property
    def _is_held(self) -> bool:
        """Whether this very thread is in the middle of a change here: in a signal handler that interrupted it. No task
        can come to its end as long.
        """
        return bool(self._lock._is_owned())  # type: ignore[attr-defined] # there is no public name for it

    def _let_go(self, task: WebSocketTask) -> None:
        """A task has ended and all its callbacks have run; its thread may still have the socket to close."""
        thread = task._connection.thread
        with self._lock:
            self._running.pop(task.task_identifier, None)
            left = [other for other in self._leaving if other.is_alive()] if self._leaving else []
            self._leaving = left if thread is None else [*left, thread]
        self._settle()

    # -- ending --------------------------------------------------------------------------------------------------------

    def finish_tasks_and_invalidate(self) -> None:
        """Make no more tasks; those there are go on, and may still be resumed. Returns at once."""
        self._invalidate()
        self._settle()

    def invalidate_and_cancel(self) -> None:
        """Make no more tasks and cancel those there are. Returns at once."""
        if not self._invalidate():
            return
        for task in self.tasks:
            task.cancel()
        self._settle()

    def _invalidate(self) -> bool:
        with self._lock:
            self._invalid = self._invalid or not self._shared
            return self._invalid

    def _settle(self) -> None:
        """The session's last message, when it is invalid and nothing of it is left (rules 212 to 216)."""
        with self._lock:
            if not self._invalid or self._announced or self._running:
                return
            if self._fresh and any(map(_is_there, list(self._fresh.values()))):
                return
            self._announced = True
        method = method_of(self._delegate, "session_did_become_invalid")
        if method is None:
            self._dissolve()
            return
        farewell = Strand(self._executor, lambda error: None)
        farewell.put(method, self, None)
        farewell.kick()
        farewell.finish(self._dissolve)

    def _dissolve(self) -> None:
        self._delegate = None
        if self._own_executor is not None:
            self._own_executor.retire()
        with self._lock:
            self._dissolved = True
            gone = self._gone
        if gone is not None:
            gone.set()

    def _wait_until_dissolved(self, timeout: Optional[float] = None) -> bool:
        with self._lock:
            if self._dissolved:
                return True
            gone = self._gone = self._gone or Latch()
        return wait_within(gone, timeout)

    def reset(self, completion_handler: Optional[Callable[[], object]] = None) -> None:
        """Forget what was learned from servers: the cookies and credentials of the configuration's stores are removed
        (rule 221). Open tasks are untouched. `completion_handler()` runs on the executor.
        """
        _check_handler(completion_handler)
        configuration = self._configuration
        for store in (configuration.given("http_cookie_storage"), configuration.given("url_credential_storage")):
            if store is not None:
                store.clear()
        configuration.stores.forget()
        self._report(completion_handler)

    def flush(self, completion_handler: Optional[Callable[[], object]] = None) -> None:
        """Write what is to be kept to its stores: a cookie jar that has a file (such as `MozillaCookieJar`) is saved to
        it, on the executor; an error is logged. Then `completion_handler()` runs there.
        """
        _check_handler(completion_handler)
        jar = self._configuration.given("http_cookie_storage")
        saves = getattr(jar, "filename", None) is not None
        self._report(functools.partial(_save, jar) if saves else None, completion_handler)

    def _report(self, *steps: Optional[Callable[[], object]]) -> None:
        """Run what there is of these on the executor: one piece of work, since a pool would run several at once."""
        work = [step for step in steps if step is not None]
        if work:
            self._executor.submit(_run, work)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[types.TracebackType],
    ) -> None:
        with self._lock:
            tasks = list(self._running.values())
        self.invalidate_and_cancel()
        for task in tasks:
            task._join()
        with self._lock:
            threads = list(self._leaving)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        own = self._own_executor
        if own is not None and not self._shared and not own.is_current():
            self._wait_until_dissolved()
            own.join()

    def __repr__(self) -> str:
        state = "invalid" if self._invalid else f"{len(self.tasks)} tasks"
        return f"<Session {self.session_description or ''} {state}>".replace("  ", " ")


def _save(jar: Any) -> None:
    with jar._cookies_lock:  # else a task's cookie breaks it off, with the file emptied already
        jar.save()


def _run(steps: List[Callable[[], object]]) -> None:
    for step in steps:
        call(step)


def _check_handler(completion_handler: object) -> None:
    if completion_handler is not None and not callable(completion_handler):
        raise TypeError(f"a completion handler must be callable, not {completion_handler!r}")


class _OwnExecutor(Preparable):
    """The `SerialExecutor` that a session without an executor has, made when there is work for it in sight.

    Who sends and receives in the calling thread never needs it. Any thread; there is no lock that a fork could leave
    held: of two that are made at once, one stays.
    """

    __slots__ = ("__dict__", "_retired")  # the dictionary is made for an executor, and not before

    def __init__(self) -> None:
        self._retired = False

    @property
    def _made(self) -> Optional[SerialExecutor]:
        made: Optional[SerialExecutor] = getattr(self, "executor", None)
        return made

    @property
    def made(self) -> SerialExecutor:
        """The executor itself."""
        executor = self._made
        if executor is None:
            from .executors import SerialExecutor

            executor = vars(self).setdefault("executor", SerialExecutor())
            if self._retired:
                executor.retire()
        return executor

    def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
        """See `SerialExecutor.submit`."""
        return self.made.submit(fn, *args)

    def prepare(self) -> None:
        """See `SerialExecutor.prepare`."""
        self.made.prepare()

    def retire(self) -> None:
        """See `SerialExecutor.retire`; what has no thread yet needs none to end."""
        self._retired = True
        executor = self._made
        if executor is not None:
            executor.retire()

    def is_current(self) -> bool:
        """See `SerialExecutor.is_current`."""
        executor = self._made
        return executor is not None and executor.is_current()

    @property
    def is_held(self) -> bool:
        """See `SerialExecutor.is_held`."""
        executor = self._made
        return executor is not None and executor.is_held

    def join(self) -> None:
        """See `SerialExecutor.join`."""
        executor = self._made
        if executor is not None:
            executor.join()


def _is_there(task: ref[WebSocketTask]) -> bool:
    return task() is not None


def _forget(session: ref[Session], number: int, task: ref[WebSocketTask]) -> None:
    """A task is gone that was never resumed: it may be the last that its invalidated session waited for."""
    waiting = session()
    assert waiting is not None  # the task held it until now
    waiting._fresh.pop(number, None)
    if waiting._invalid:
        waiting._settle()


_shared_lock = threading.Lock()


@functools.cache
def _shared_session() -> Session:
    session = Session()
    session._shared = True
    return session


def connect(
    url_or_request: Union[str, Request],
    protocols: Sequence[str] = (),
    *,
    headers: HeadersLike = None,
    configuration: Optional[SessionConfiguration] = None,
    delegate: object = None,
    executor: Optional[Executor] = None,
    timeout: Optional[float] = None,
) -> WebSocketTask:
    """Open a WebSocket in one call and return the open task, or raise why it did not open.

    `headers` are added to the request (and replace those of the same name in a `Request`). The task has a session of
    its own, which ends with it: an ephemeral configuration unless one is given, so nothing is shared. `timeout` counts
    wall-clock seconds and raises `TimedOut`.

        with wssync.connect("wss://example.com/chat") as task:
            task.send("hello") print(task.receive())

    Raises `InvalidURL`, `TimedOut`, `ConnectionFailed`, `HandshakeError`, and `TypeError` or `ValueError` for bad
    arguments.
    """
    request = url_or_request if isinstance(url_or_request, Request) else Request(url_or_request)
    if headers is not None:
        request = request.replace(headers=request.headers.replace(headers))
    session = Session(configuration or SessionConfiguration.ephemeral(), delegate=delegate, executor=executor)
    task = session.websocket_task(request, protocols)
    session.finish_tasks_and_invalidate()
    task.resume()
    try:
        _wait_until_open(task, timeout)
        return task
    except BaseException:
        task.cancel()
        raise
    finally:
        del session, task  # the task keeps its error, which keeps the frames it passes through


def _wait_until_open(task: WebSocketTask, timeout: Optional[float]) -> None:
    url = task._connection.url
    try:
        try:
            task.wait_until_open(timeout)
        finally:
            del task
    except TimedOut:
        raise
    except TimeoutError as error:
        raise TimedOut(f"the connection was not open after {timeout} seconds", url=url) from error
