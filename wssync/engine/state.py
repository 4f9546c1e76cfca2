"""The state of one connection, which every thread shares, and the few steps that all chapters of it need.

A connection is one object in five chapters: its state (here), how that is changed (`changes`), the calls that a task
makes on it (`calls`, and those that wait, `blocking`), and how it begins and ends (`connection`, where phases and locks
are described). "Mutex" says that a method needs it held.
"""

from __future__ import annotations

import enum
from _weakref import ref  # what `weakref` has it from, without the classes of that

from ..errors import Cancelled, ConnectionClosed, WebSocketError
from ..hints import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Protocol, Tuple, Union
from ..protocol.closing import CloseCode, ClosingHandshake
from ..protocol.frames import MAX_CONTROL_PAYLOAD
from ..protocol.http1 import parse_response_head
from ..strand import Strand
from .accelerated import Mutex, make_tally
from .completions import Latch
from .heartbeat import Heartbeat
from .inbox import Inbox
from .outbox import Outbox
from .roles import Role
from .tracing import Tracer

if TYPE_CHECKING:
    import threading

    from ..configuration import SessionConfiguration
    from ..protocol.http1 import Request, Response
    from ..strand import Executor
    from ..transport.clock import Clock
    from ..transport.stream import Stream
    from ..transport.waiting import Waker
    from .completions import Message, Waiter

    class Reader(Protocol):
        """What calls need of the receiving half."""

        role: Role
        lent: bool

        def read_now(self) -> None: ...

        def borrow(self, seconds: Optional[float]) -> Union[Message, Waiter[Message], None]: ...

        def abandon(self) -> None: ...

    class Listener(Protocol):
        """What the connection tells its task. `callback` looks up the delegate's method by name, without calling it."""

        def callback(self, name: str) -> Optional[Callable[..., Any]]: ...

        def finished(self) -> None: ...


__all__ = ["Phase", "State"]


_UNHEARD = Tracer()
"""Until a task has its own."""


Head = Tuple[bytes, str]
"""The head of a response, which has been read before and is well-formed, and the URL that was asked. Few ever look at
it, and as `Response` it weighs a kilobyte: a twentieth of an idle connection.
"""


class Phase(enum.IntEnum):
    """How far a connection has come."""

    NEW = 0
    OPENING = 1
    OPEN = 2
    ENDED = 3
    GONE = 4


class State:
    """What is known of one connection, and what is queued each way."""

    # For so many names an instance's dictionary would weigh a kilobyte more, and there are connections by the thousand.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_response",
        "attentive",
        "cause",
        "clock",
        "close_code",
        "closing",
        "closing_asked",
        "configuration",
        "created",
        "ended",
        "extensions",
        "gone",
        "heartbeat",
        "impatient",
        "inbox",
        "listener",
        "listens",
        "mutex",
        "opened",
        "others_received",
        "outbox",
        "phase",
        "protocol",
        "reader",
        "short_limit",
        "size_limit",
        "stands_aside",
        "starter",
        "strand",
        "stream",
        "suspensions",
        "tally",
        "thread",
        "tracer",
        "unfinished",
        "url",
        "waker",
        "was_open",
    )

    # What most connections never set, or at their end alone, is here; the dictionary is made when it is set.
    asking = False
    """Whether the opening waits for a delegate's answer."""
    close_due: Optional[float] = None
    close_reason: Optional[str] = None
    cut = False
    error: Optional[WebSocketError] = None
    fault_due: Optional[float] = None
    late: Union[Tuple[()], List[Callable[[], object]]] = ()
    """Changes that a signal handler asked for in the middle of another: see `changes`. Mutex."""
    request: Optional[Request] = None
    """What was asked last, once that is not what the task was made with."""
    verdict: Optional[WebSocketError] = None

    def __init__(self, url: str, configuration: SessionConfiguration, executor: Executor, clock: Clock) -> None:
        self.url = url
        self.configuration = configuration
        self.clock = clock
        self.created = clock.now()
        self.tracer = _UNHEARD
        self.mutex = Mutex()
        self.strand = Strand(executor, _Refusal(self))
        self.closing = ClosingHandshake()
        self.outbox = Outbox(self.mutex, self.strand, clock.now, self.closing)
        self.inbox = Inbox(configuration.queue_limits)
        self.heartbeat = Heartbeat(configuration.ping_interval, configuration.ping_timeout)
        self.phase = Phase.NEW
        self.was_open = False
        self.cause: Optional[WebSocketError] = None
        self.close_code: int = CloseCode.INVALID
        self.closing_asked = False
        self.stands_aside = False
        """Whether the engine thread leaves reading to callers just now."""
        self.listens = False
        """Whether the engine thread waits for the peer, whose next word brings it round to the facts."""
        self.attentive = False
        """Whether the engine thread will look at the facts before it waits again, so that it needs no wake."""
        self.impatient: Tuple[Latch, ...] = ()
        self.suspensions = 1
        self.tally = make_tally()
        """Of what was received. Read role."""
        self.others_received = 0
        """Frames that ended no message. Read role."""
        self.unfinished = 0
        """Bytes of a message that is still coming: the tally has them when it is whole. Read role."""
        self.maximum_message_size = configuration.maximum_message_size
        self._response: Union[Response, Head, None] = None
        self.stream: Optional[Stream] = None
        self.protocol: Optional[str] = None
        self.extensions: Tuple[str, ...] = ()
        self.reader: Optional[Reader] = None
        self.listener: Optional[Listener] = None
        self.waker: Optional[Waker] = None
        self.thread: Optional[threading.Thread] = None
        self.starter: Optional[int] = None
        """Which thread is about to start that."""
        self.opened, self.ended, self.gone = Latch(), Latch(), Latch()

    @property
    def maximum_message_size(self) -> Optional[int]:
        """Bytes of one received message; `None` is no limit. Any thread may set it."""
        return self.size_limit

    @maximum_message_size.setter
    def maximum_message_size(self, size: Optional[int]) -> None:
        self.size_limit = size
        self.short_limit = MAX_CONTROL_PAYLOAD if size is None else min(size, MAX_CONTROL_PAYLOAD)

    @property
    def response(self) -> Optional[Response]:
        """The last response of the opening."""
        response = self._response
        if isinstance(response, tuple):
            response = self._response = parse_response_head(*response)
        return response

    @response.setter
    def response(self, response: Union[Response, Head, None]) -> None:
        self._response = response

    @property
    def suspended(self) -> bool:
        """Whether nothing may be read or written now."""
        return self.suspensions > 0

    def count_progress(self) -> int:
        """Bytes of messages in both directions, those of messages on their way included. Any thread, no lock held."""
        with self.mutex:  # what is counted in one place is not yet in the other, and never in both
            return self.outbox.counts.sent + self.outbox.leaving + self.tally.received + self.unfinished

    def count_traffic(self) -> Dict[str, Any]:
        """What has gone over the open connection, as fields of `TaskMetrics`. Mutex."""
        sent, tally = self.outbox.counts, self.tally
        return {
            "count_of_messages_sent": sent.messages_sent,
            "count_of_messages_received": tally.messages,
            "count_of_frames_sent": sent.messages_sent + self.outbox.others_sent,
            "count_of_frames_received": tally.messages + self.others_received,
            "count_of_payload_bytes_sent": sent.sent,
            "count_of_payload_bytes_received": tally.received,
            "count_of_wire_bytes_sent": sent.wire_sent,
            "count_of_wire_bytes_received": tally.wire,
            "latency": self.heartbeat.latency,
            "sent_close": self.closing.sent,
            "received_close": self.closing.received,
        }

    def refusal(self) -> Optional[WebSocketError]:
        """The error for a send now, or `None` if it is welcome. Mutex.

        Between a cause and the end that follows from it a send waits for its error with all others: so the errors come
        in order, and whoever gets one finds `close_code` set (rules 161 and 175).
        """
        if self.verdict is not None:
            return self.verdict
        if self.closing_asked and self.cause is None:
            return ConnectionClosed(
                "the task is closing: nothing more can be sent", sent_close=self.closing.sent, url=self.url
            )
        return None

    def after_demand(self, taken: Optional[Message] = None) -> None:
        """Somebody has asked for a message, taken one (`taken`, by `Inbox.guarded`) or finished with one. Mutex."""
        if self.inbox.fault_is_next and self.inbox.has_demand:
            self.fail(self.inbox.fault)
        if self.inbox.paused and not self.inbox.is_full(taken):
            self.wake()  # first: an interrupt between the two must leave the flag, so that the next call comes here
            self.inbox.paused = False
        elif self.stands_aside and self.awaits_reading:
            self.wake()

    def release(self) -> None:
        """What was suspended goes on. Mutex."""
        self.inbox.held = self.outbox.held = False
        self.inbox.match(self.strand)
        self.after_demand()
        self.wake()

    def fail(self, error: Optional[ConnectionClosed]) -> None:
        """The peer broke the protocol: a Close with the error's code goes out first of all (RFC 6455 7.1.7). Mutex."""
        if self.cause is None and error is not None:
            self.outbox.close(error.code, None, urgent=True)
            self.end_locked(error)

    def end(self, cause: WebSocketError) -> None:
        """Record why the connection ends; the first cause stays. Never blocks, completes nothing."""
        with self.mutex:
            self.end_locked(cause)

    def end_locked(self, cause: WebSocketError) -> None:
        """The same, with the mutex held."""
        if self.cause is None:
            self.cause = cause
            self.inbox.bar()
            self.outbox.bar()
        self.wake()

    @property
    def awaits_reading(self) -> bool:
        """Whether somebody waits for what the peer says, so that somebody must read. Mutex."""
        inbox = self.inbox
        watched = inbox.readiness is not None
        return inbox.has_demand or watched or self.closing_asked or self.heartbeat.awaits_pong

    def tell(self, name: str, *details: Any) -> None:
        """Let the delegate hear of something, in the order of the events. Mutex, or before anything else can happen."""
        callback = None if self.listener is None else self.listener.callback(name)
        if callback is not None:
            self.strand.put(callback, *details)

    def begin_question(self) -> None:
        """From now on the opening waits for a delegate, so that nobody may wait for the opening who keeps the delegate
        from answering.
        """
        with self.mutex:
            self.asking = True
        self.let_through()

    def let_through(self) -> None:
        """Whoever waits on the executor's own thread for the opening looks at it again. What there is to see is there
        already, so nobody comes into this row any more who was not there before.
        """
        if not self.impatient:
            return
        with self.mutex:
            impatient, self.impatient = self.impatient, ()
        for latch in impatient:
            latch.set()

    def end_question(self) -> None:
        """The answer is there, or is not waited for any more."""
        with self.mutex:
            self.asking = False

    def wake(self) -> None:
        """Let the engine thread look at the facts again. Any thread, with or without the mutex; never blocks."""
        waker = self.waker
        if waker is not None and not self.attentive:
            waker.wake()


class _Refusal(ref[State]):
    """What the strand calls when the executor takes no more work: the task is cancelled."""

    __slots__ = ()

    def __call__(self, error: BaseException) -> None:  # type: ignore[override] # not the state: what it says to that
        target = super().__call__()
        if target is not None and target.phase is not Phase.NEW:  # else nothing waits, and it says so when it does
            cause = Cancelled(f"the executor takes no more callbacks: {error}")
            cause.__cause__ = error
            target.end(cause)
