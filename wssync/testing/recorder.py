"""What a task tells its user, kept in order: every delegate call, and every handler it was asked to listen for.

    recorder = wssync.testing.Recorder()
    with wssync.connect(server.url, delegate=recorder) as task:
        task.send("hello", recorder.handler("sent"))
        task.receive(recorder.handler("received"))
    recorder.assert_next("did_create_task")
    recorder.assert_next("did_open", None)
    recorder.assert_next("sent", None)
    recorder.assert_next("received", "hello")
    recorder.assert_next("did_close", 1000, None)
    recorder.assert_next("did_complete", None)
    recorder.assert_next("session_did_become_invalid", None)
    recorder.assert_exhausted()

That the right calls came is half of a promise; that no other came is the rest, and what `assert_exhausted` is for.
Callbacks come on another thread, so whatever looks for one waits for it, in real time, and fails when it does not come.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Tuple

from ..delegate import WebSocketDelegate, method_of
from ..engine.completions import Result
from ..errors import WebSocketError
from ..protocol.http1 import Response

if TYPE_CHECKING:
    from ..auth import AuthenticationChallenge
    from ..metrics.values import TaskMetrics
    from ..protocol.http1 import Request

__all__ = ["Event", "Recorder"]

PATIENCE = 5.0
"""Seconds until what should come counts as not coming: callbacks take microseconds, busy machines seconds."""


class Event(NamedTuple):
    """One call: the delegate method's name or the handler's, whose task it was (`None` for handlers and the session's
    own calls), its arguments behind session and task, and the name of the thread it came on."""

    name: str
    task: Any
    arguments: Tuple[Any, ...]
    thread: str

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


class Recorder(WebSocketDelegate):
    """A delegate that keeps every call it gets, for a session or a task.

    With another `delegate`, each call is recorded first and then passed on, if that has such a method; its answer is
    the recorder's. So what has to be answered can be answered.

    `did_finish_collecting_metrics` is passed on like the others, and recorded if `metrics` asks for it: it comes before
    every `did_complete`, and most tests are not about it.

    Questions are recorded and answered as the other delegate does; without one a redirect is followed. Challenges are
    put to a recorder only if its delegate answers them: to be asked changes what a task does.

    `did_create_task` is kept like the others. It is the one call that comes at once, inside `websocket_task()`, so it
    is always the first event of its task.

    All methods may be called from any thread. Timeouts are in seconds of real time.
    """

    def __init__(self, delegate: object = None, *, metrics: bool = False) -> None:
        self._delegate = delegate
        self._records_metrics = metrics
        self._changed = threading.Condition()
        self._events: List[Event] = []
        self._taken = 0

    def __repr__(self) -> str:
        with self._changed:
            return f"<Recorder {len(self._events)} events, {self._taken} of them taken>"

    # -- what is called ------------------------------------------------------------------------------------------------

    def session_did_become_invalid(self, session: Any, error: Optional[WebSocketError]) -> Any:
        """Recorded; its task is `None`."""
        self._add("session_did_become_invalid", None, error)
        return self._pass_on("session_did_become_invalid", session, error)

    def did_create_task(self, session: Any, task: Any) -> Any:
        """Recorded."""
        return self._note("did_create_task", session, task)

    def will_perform_http_redirection(self, session: Any, task: Any, response: Response, new_request: Request) -> Any:
        """Recorded; the answer is the other delegate's, or the request."""
        name = "will_perform_http_redirection"
        self._add(name, task, response, new_request)
        if method_of(self._delegate, name) is None:
            return new_request
        return self._pass_on(name, session, task, response, new_request)

    @property
    def session_did_receive_challenge(self) -> Callable[..., Any]:
        """Recorded; its task is `None`."""
        answer = self._answerer("session_did_receive_challenge")

        def ask(session: Any, challenge: AuthenticationChallenge) -> Any:
            self._add("session_did_receive_challenge", None, challenge)
            return answer(session, challenge)

        return ask

    @property
    def did_receive_challenge(self) -> Callable[..., Any]:
        """Recorded."""
        answer = self._answerer("did_receive_challenge")

        def ask(session: Any, task: Any, challenge: AuthenticationChallenge) -> Any:
            self._add("did_receive_challenge", task, challenge)
            return answer(session, task, challenge)

        return ask

    def _answerer(self, name: str) -> Callable[..., Any]:
        method = method_of(self._delegate, name)
        if method is None:
            raise AttributeError(name)
        return method

    def is_waiting_for_connectivity(self, session: Any, task: Any) -> Any:
        """Recorded."""
        return self._note("is_waiting_for_connectivity", session, task)

    def did_receive_informational_response(self, session: Any, task: Any, response: Response) -> Any:
        """Recorded."""
        return self._note("did_receive_informational_response", session, task, response)

    def did_open(self, session: Any, task: Any, protocol: Optional[str]) -> Any:
        """Recorded."""
        return self._note("did_open", session, task, protocol)

    def did_close(self, session: Any, task: Any, close_code: int, reason: Optional[str]) -> Any:
        """Recorded."""
        return self._note("did_close", session, task, close_code, reason)

    def did_finish_collecting_metrics(self, session: Any, task: Any, metrics: TaskMetrics) -> Any:
        """Recorded, if the recorder was made with `metrics`."""
        if self._records_metrics:
            return self._note("did_finish_collecting_metrics", session, task, metrics)
        return self._pass_on("did_finish_collecting_metrics", session, task, metrics)

    def did_complete(self, session: Any, task: Any, error: Optional[WebSocketError]) -> Any:
        """Recorded."""
        return self._note("did_complete", session, task, error)

    def handler(self, name: str) -> Callable[..., None]:
        """A handler for `receive`, `receive_each`, `send` or `send_ping`, whose calls are recorded under that name.

        A `Result` is recorded as what is in it, the message or the error; both compare by themselves, it does not.
        """

        def handle(*arguments: object) -> None:
            self._add(name, None, *map(_open, arguments))

        return handle

    def _note(self, name: str, session: Any, task: Any, *arguments: object) -> Any:
        self._add(name, task, *arguments)
        return self._pass_on(name, session, task, *arguments)

    def _add(self, name: str, task: Any, *arguments: object) -> None:
        event = Event(name, task, arguments, threading.current_thread().name)
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def _pass_on(self, name: str, *arguments: object) -> Any:
        method: Optional[Callable[..., Any]] = method_of(self._delegate, name)
        return None if method is None else method(*arguments)

    # -- what is asked -------------------------------------------------------------------------------------------------

    @property
    def events(self) -> List[Event]:
        """All events so far, the taken ones too; a new list."""
        with self._changed:
            return list(self._events)

    def next(self, timeout: float = PATIENCE) -> Event:
        """Take the first event that was not taken yet, and wait for it if need be. AssertionError if none comes."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._events) > self._taken, timeout):
                raise AssertionError(f"no further event came within {timeout:g} seconds{_list(self._events)}")
            self._taken += 1
            return self._events[self._taken - 1]

    def assert_next(self, name: str, *arguments: object, timeout: float = PATIENCE) -> Event:
        """Take the next event, which must have this name and arguments equal to these (`unittest.mock.ANY` equals all).

        The event is returned, for closer looks. AssertionError if it is another, or none comes within `timeout`.
        """
        try:
            event = self.next(timeout)
        except AssertionError as error:
            raise AssertionError(f"{Event(name, None, arguments, '')} was expected, but {error}") from None
        if event.name != name or arguments != event.arguments:
            expected = Event(name, None, arguments, "")
            raise AssertionError(f"{expected} was expected, but {event} came{_list(self.events)}")
        return event

    def wait_for(self, name: str, count: int = 1, timeout: float = PATIENCE) -> List[Event]:
        """Wait until `count` events of that name have come, and return all there are; none is taken.

        AssertionError when there are fewer after `timeout` seconds.
        """

        def found() -> List[Event]:
            return [event for event in self._events if event.name == name]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout):
                raise AssertionError(
                    f"{len(found())} instead of {count} times {name} within {timeout:g} seconds{_list(self._events)}"
                )
            return found()

    def assert_exhausted(self) -> None:
        """Every event was taken. AssertionError if not, with those that are left.

        It waits for nothing: call it when nothing can come any more, for a session after `session_did_become_invalid`.
        """
        with self._changed:
            left = self._events[self._taken :]
        if left:
            raise AssertionError(f"{len(left)} events were not expected:{_lines(left)}")


def _open(argument: object) -> object:
    if isinstance(argument, Result):
        return argument.message if argument.error is None else argument.error
    return argument


def _list(events: List[Event]) -> str:
    return f"; the events so far:{_lines(events)}" if events else "; there was no event at all"


def _lines(events: List[Event]) -> str:
    return "".join(f"\n  {event}" for event in events)
