"""A question to a delegate: put on the executor, waited for by the engine thread, answered whenever.

A delegate's method returns its answer, or a future of it: then the user may be asked, and take a minute, while the
executor runs other callbacks. Until the answer is there the opening waits with its timer paused; only the resource
timeout goes on (rule 79), and a cancel ends the wait like any other.

A method that raises, a future that fails and an answer that makes no sense are logged, and count as no answer: what the
library does by itself is the safe thing. A future that is cancelled is the user's "no".
"""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Any, Callable, Optional
from ..logs import log

if TYPE_CHECKING:
    from ..protocol.http1 import Request
    from ..transport.waiting import Attempt
    from .state import State

__all__ = ["NO_ANSWER", "WITHDRAWN", "Questions"]


class _Mark:
    """An outcome that is no answer."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NO_ANSWER: Any = _Mark("NO_ANSWER")
"""Nobody was there to be asked, or whoever was failed to answer."""

WITHDRAWN: Any = _Mark("WITHDRAWN")
"""The future was cancelled."""


class Questions:
    """What the opening of one connection asks and tells; on the engine thread alone."""

    def __init__(self, connection: State) -> None:
        self._connection = connection

    def has(self, name: str) -> bool:
        """Whether a delegate has that method."""
        return self._method(name) is not None

    def follow(self, request: Request) -> None:
        """The opening goes on with another request (rule 58)."""
        self._connection.request = request

    def tell(self, name: str, *details: object) -> None:
        """Let the delegate hear of something, without waiting for it."""
        with self._connection.mutex:
            self._connection.tell(name, *details)
        self._connection.strand.kick()

    def ask(self, name: str, attempt: Attempt, *details: object) -> Any:
        """What the delegate's method of that name answers, `NO_ANSWER` or `WITHDRAWN`. Blocks, by the attempt's waits.

        TimedOut when a limit passes that is not paused by questions, and whatever the attempt's `check` raises; what
        has not been asked by then is not asked any more.
        """
        method = self._method(name)
        if method is None:
            return NO_ANSWER
        connection = self._connection
        question = _Question(method, attempt.waker.wake)
        connection.strand.put(question.put, *details)
        attempt.deadline.pause(alone=True)
        connection.begin_question()
        try:
            connection.strand.kick()
            while not question.done:
                attempt.wait()
        finally:
            question.forget()
            connection.end_question()
            attempt.deadline.resume(alone=True)
        return question.answer

    def _method(self, name: str) -> Optional[Callable[..., Any]]:
        listener = self._connection.listener
        return None if listener is None else listener.callback(name)


class _Question:
    """One question. Its answer is set before `done`, and then the engine thread is woken."""

    def __init__(self, method: Callable[..., Any], wake: Callable[[], None]) -> None:
        self._method: Optional[Callable[..., Any]] = method
        self._wake = wake
        self.answer: Any = NO_ANSWER
        self.done = False

    def put(self, *details: object) -> None:
        """Ask; on the executor."""
        method, waits = self._method, False
        if method is None:
            return
        try:
            answer = method(*details)
            watch = getattr(answer, "add_done_callback", None)
            if watch is None:
                self.answer = answer
            else:
                loop = getattr(answer, "get_loop", None)
                if loop is None:
                    watch(self._take)
                else:  # asyncio's futures may be touched on their loop's thread alone
                    loop().call_soon_threadsafe(watch, self._take)
                waits = True
        except Exception:  # logged before the opening goes on
            log().exception("wssync: a delegate's method raised: %r", method)
        finally:
            if not waits:
                self._settle()

    def forget(self) -> None:
        """It is over. Whoever asked for a future may keep that, and this with it, but not the task."""
        self._method = None
        self.done = True

    def _take(self, future: Any) -> None:
        """The future is done; on whatever thread did it."""
        try:
            self.answer = WITHDRAWN if future.cancelled() else future.result()
        except BaseException as error:
            log().error("wssync: the future of a delegate's answer failed: %r", error, exc_info=error)
        finally:
            self._settle()

    def _settle(self) -> None:
        self.done = True
        self._wake()
