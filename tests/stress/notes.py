"""What happened in one schedule, and what must not have: the promises of the library about handlers, as a judge of
records.

Everything is noted by the threads to which it happens. Nothing is judged before the task has ended and every thread is
done, so that a finding is a sentence about a whole story.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import wssync
from tests.threads import PATIENCE
from wssync.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from wssync.engine.accelerated import Lock

__all__ = ["Call", "Notes", "is_free"]

_registering = threading.local()


class Call:
    """One call that was made on a task: who made it, and what became of it."""

    def __init__(self, number: int, actor: str, kind: str) -> None:
        self.number = number
        self.actor = actor
        self.kind = kind
        self.blocking = False
        self.registered = False
        self.early = False
        self.outcomes: List[Tuple[int, object]] = []

    def __repr__(self) -> str:
        return f"{self.kind} {self.number} of {self.actor}: {self.outcomes}"


class Notes:
    """The record of one schedule. Any thread may note something."""

    def __init__(self, *, inline: bool) -> None:
        self.inline = inline
        self.calls: List[Call] = []
        self.findings: List[str] = []
        self.delegate: List[Tuple[int, str]] = []
        self.completed = threading.Event()
        self.outstanding = 0
        self.idle = threading.Condition()
        self._numbers = itertools.count(1)
        self._running = threading.Lock()

    def begin(self, actor: str, kind: str) -> Call:
        """A call is about to be made."""
        call = Call(next(self._numbers), actor, kind)
        self.calls.append(call)
        return call

    def find(self, text: str) -> None:
        """Something is wrong."""
        self.findings.append(text)

    # -- handlers ------------------------------------------------------------------------------------------------------

    def register(self, call: Call, make: Callable[[Callable[[object], None]], object], task: Any) -> None:
        """Make a call that takes a handler, which notes that it ran; an exception means that it was not taken."""

        def handler(result: object) -> None:
            self.run(lambda: call.outcomes.append((next(self._numbers), result)), repr(call))
            if call.kind != "each" or getattr(result, "error", None) is not None:
                self._settled()

        depth = getattr(_registering, "depth", 0)
        _registering.depth = depth + 1
        with self.idle:
            self.outstanding += 1
        try:
            make(handler)
            call.registered = True
        except BaseException:
            self._settled()
            raise
        finally:
            _registering.depth = depth
        call.early = task.state is not wssync.TaskState.COMPLETED

    @contextlib.contextmanager
    def unsettled(self) -> Iterator[None]:
        """Not idle before the end of this: a handler that has run is about to make another call."""
        with self.idle:
            self.outstanding += 1
        try:
            yield
        finally:
            self._settled()

    def _settled(self) -> None:
        with self.idle:
            self.outstanding -= 1
            self.idle.notify_all()

    def run(self, work: Callable[[], None], who: str) -> None:
        """Do the work of a callback, and look where it runs."""
        name = threading.current_thread().name
        if not self.inline:
            if name.startswith("wssync-read-"):
                self.find(f"{who} runs on {name}")
            if getattr(_registering, "depth", 0):
                self.find(f"{who} runs inside a call that registers a handler")
        if not self._running.acquire(False):
            self.find(f"{who} overlaps another callback of its task")
            work()
            return
        try:
            work()
        finally:
            self._running.release()

    def method(self, name: str) -> Callable[..., None]:
        """The delegate's method of that name."""

        def note(session: Any, task: Any, *details: Any) -> None:
            self.run(lambda: self.delegate.append((next(self._numbers), name)), name)
            if name == "did_complete":
                if task.state is not wssync.TaskState.COMPLETED or task.error is not details[0]:
                    self.find("did_complete came before the task had ended, or with another error")
                self.completed.set()

        return note

    # -- the judge -----------------------------------------------------------------------------------------------------

    def judge(self, sent: List[object], delivered: List[object], *, whole: bool) -> List[str]:
        """What is wrong with this story.

        `sent` is what the peer has sent, `delivered` what the peer has received; `whole`: every message of the peer
        must have been received.
        """
        self._judge_handlers()
        self._judge_delegate()
        self._judge_receives(sent, whole)
        self._judge_sends(delivered)
        return self.findings

    def _judge_handlers(self) -> None:
        for call in self.calls:
            if call.blocking or call.kind == "each":
                continue
            expected = 1 if call.registered else 0
            if len(call.outcomes) != expected:
                self.find(f"{len(call.outcomes)} calls of the handler in place of {expected}: {call}")
        for call in self.calls:
            if call.kind == "each" and call.registered:
                errors = [result for _, result in call.outcomes if getattr(result, "error", None) is not None]
                if len(errors) != 1 or call.outcomes[-1][1] is not errors[0]:
                    self.find(f"the error must come once, as the last: {call}")

    def _judge_delegate(self) -> None:
        names = [name for _, name in self.delegate]
        if names.count("did_complete") != 1 or names[-1] != "did_complete":
            self.find(f"did_complete must come once, as the last: {names}")
            return
        if names != [name for name in ("did_open", "did_close", "did_complete") if name in names]:
            self.find(f"the delegate's methods come in a wrong order: {names}")
        end = self.delegate[-1][0]
        for call in self.calls:
            if call.early and call.registered and not call.blocking and any(at > end for at, _ in call.outcomes):
                self.find(f"a handler that was given before the end ran after did_complete: {call}")

    def _judge_receives(self, sent: List[object], whole: bool) -> None:
        received = [message for _, _, message in self._messages()]
        if len(set(map(str, received))) != len(received):
            self.find(f"a message was received twice: {received}")
        strangers = [message for message in received if message not in sent]
        if strangers:
            self.find(f"received what was never sent: {strangers}")
        if whole and len(received) != len(sent):
            self.find(f"{len(sent)} messages were sent, {len(received)} received")
        order = {str(message): place for place, message in enumerate(sent)}
        by_actor: Dict[Tuple[str, bool], List[int]] = {}
        for actor, blocking, message in self._messages():
            by_actor.setdefault((actor, blocking), []).append(order.get(str(message), -1))
        for actor_and_kind, places in by_actor.items():
            if places != sorted(places):
                self.find(f"messages came to {actor_and_kind} in a wrong order: {places}")

    def _messages(self) -> List[Tuple[str, bool, object]]:
        """(actor, blocking, message) of every receive that got one, in the order of the calls."""
        found: List[Tuple[str, bool, object]] = []
        for call in self.calls:
            if call.kind in ("receive", "each"):
                for _, result in call.outcomes:
                    message = result if call.blocking else getattr(result, "message", None)
                    if message is not None:
                        found.append((call.actor, call.blocking, message))
        return found

    def _judge_sends(self, delivered: List[object]) -> None:
        by_actor: Dict[str, List[int]] = {}
        for message in delivered:
            actor, _, number = str(message).partition(":")
            by_actor.setdefault(actor, []).append(int(number.partition(" ")[0]))
        for actor, numbers in by_actor.items():
            if numbers != sorted(set(numbers)):
                self.find(f"messages of {actor} came to the peer in a wrong order: {numbers}")
        for call in self.calls:
            withdrawn = call.kind == "send" and call.outcomes and is_withdrawn(call.outcomes[0][1])
            if withdrawn and call.number in by_actor.get(call.actor, []):
                self.find(f"a withdrawn message was sent: {call}")
        self._judge_send_handlers()

    def _judge_send_handlers(self) -> None:
        """In order, but for those that were refused at once: they overtake what still waits to be sent."""
        groups: Dict[Tuple[str, int], List[int]] = {}
        for call in self.calls:
            if call.kind == "send" and not call.blocking and call.outcomes:
                moment, error = call.outcomes[0]
                groups.setdefault((call.actor, id(error)), []).append(moment)
        for (actor, _), moments in groups.items():
            if moments != sorted(moments):
                self.find(f"the handlers of the sends of {actor} ran in a wrong order: {moments}")

    def wait_until_idle(self, seconds: float) -> Optional[str]:
        """Wait until every handler that was taken has run; what is missing if not."""
        with self.idle:
            if self.idle.wait_for(lambda: self.outstanding == 0, seconds):
                return None
        missing = [call for call in self.calls if not call.blocking and call.registered and not call.outcomes]
        return f"handlers that never ran: {missing}"


def is_free(mutex: Lock) -> bool:
    """Whether nobody keeps the mutex of a task that has ended; a handler that is just returning has it for a moment."""
    free = mutex.acquire(timeout=PATIENCE)
    if free:
        mutex.release()
    return free


def is_withdrawn(result: object) -> bool:
    """Whether a blocking send timed out before anything of its message had left."""
    return isinstance(result, TimeoutError) and "withdrawn" in str(result)
