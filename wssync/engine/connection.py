"""One connection, as every thread sees it: what is queued each way, how it stands, why it ended.

A `Connection` exists before anything is on the wire: sends, receives and pings asked for early wait in its queues. Its
phase goes forwards only:

    NEW --start()--> OPENING --the engine thread--> OPEN --> ENDED --> GONE
     |                  |                             |
     +------------------+---- `end(cause)`, first cause wins

Whoever notices an end (a caller's `cancel`, the reader's EOF, a deadline) only records the cause and wakes the engine
thread; `complete` then answers everything that is pending, once, in one step: sends, receives, pings, each in order,
then the delegate. GONE means that the descriptor is closed and the thread is at its end.

Locks: `mutex` guards all fields below unless they say otherwise, is held for microseconds and never during a system
call but a wake, and never while user code, an executor or the log is called. The write role may be held when the mutex
is taken, never the other way round.
"""

from __future__ import annotations

import enum
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from ..errors import Cancelled, ConnectionClosed, SendQueueFull, WebSocketError
from ..executors import Strand, call
from ..protocol.closing import CloseCode, ClosingHandshake, close_code
from ..transport.clock import Clock
from ..transport.waiting import Waker
from .completions import Completion, Message, Result
from .heartbeat import Heartbeat, Ping
from .inbox import Inbox
from .outbox import Message as Outgoing
from .outbox import Outbox
from .roles import Role

if TYPE_CHECKING:
    from typing import Protocol

    from ..configuration import SessionConfiguration
    from ..executors import Executor
    from ..protocol.frames import Opcode
    from ..protocol.http1 import Response
    from ..protocol.messages import Decoder
    from ..transport.stream import Address, Stream

    class Reader(Protocol):
        """What calls need of the receiving half."""

        role: Role

        def read_now(self) -> None: ...

    class Listener(Protocol):
        """What the connection tells its task. `callback` looks up the delegate's method by name, without calling it."""

        def callback(self, name: str) -> Optional[Callable[..., None]]: ...

        def finished(self) -> None: ...


__all__ = ["Connection", "Phase"]

CALLER_BUDGET = 262_144
"""Bytes a caller writes before it leaves the rest to the engine thread: a GUI thread must not serve others for ever."""


PROMPT = 65_536
"""Bytes of a message that a caller with a handler writes itself: a GUI thread must not compress megabytes."""


class Phase(enum.IntEnum):
    """How far a connection has come."""

    NEW = 0
    OPENING = 1
    OPEN = 2
    ENDED = 3
    GONE = 4


class Connection:
    """The shared state of one connection and every call that may be made on it from any thread."""

    def __init__(self, url: str, configuration: SessionConfiguration, executor: Executor, clock: Clock) -> None:
        self.url = url
        self.configuration = configuration
        self.clock = clock
        self.mutex = threading.Lock()
        self.strand = Strand(executor, _refusal(weakref.ref(self)))
        self.closing = ClosingHandshake()
        self.outbox = Outbox(self.mutex, self.strand, clock.now, self.closing)
        self.inbox = Inbox(configuration.queue_limits)
        self.heartbeat = Heartbeat(configuration.ping_interval, configuration.ping_timeout)
        self.phase = Phase.NEW
        self.was_open = False
        self.cause: Optional[WebSocketError] = None
        self.error: Optional[WebSocketError] = None
        self.verdict: Optional[WebSocketError] = None
        self.close_code: int = CloseCode.INVALID
        self.close_reason: Optional[str] = None
        self.closing_asked = False
        self.close_due: Optional[float] = None
        self.fault_due: Optional[float] = None
        self.suspensions = 1
        self.reading_paused = False
        self.cut = False
        self.received = 0
        self.maximum_message_size = configuration.maximum_message_size
        self.response: Optional[Response] = None
        self.stream: Optional[Stream] = None
        self.protocol: Optional[str] = None
        self.extensions: Tuple[str, ...] = ()
        self.decoder: Optional[Decoder] = None
        self.reader: Optional[Reader] = None
        self.listener: Optional[Listener] = None
        self.waker: Optional[Waker] = None
        self.thread: Optional[threading.Thread] = None
        self.local_address: Optional[Address] = None
        self.remote_address: Optional[Address] = None
        self.opened = threading.Event()
        self.ended = threading.Event()
        self.gone = threading.Event()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, opcode: Opcode, payload: bytes, completion: Completion[None]) -> Outgoing:
        """Queue a message and write what the kernel takes at once."""
        message = Outgoing(opcode, payload, completion)
        with self.mutex:
            error = self.refusal()
            if error is None and self._is_over_limit(completion):
                error = SendQueueFull(f"{self.outbox.queued} bytes wait to be sent (write_limit)", url=self.url)
            if error is not None:
                completion.resolve(self.strand, error=error)
            elif self.cause is not None:
                self.outbox.append_too_late(message)
            else:
                self.outbox.append(message)
        if completion.blocking or message.size <= PROMPT:
            self.flush()
        else:
            self.wake()
            self.strand.kick()
        return message

    def _is_over_limit(self, completion: Completion[None]) -> bool:
        full = self.outbox.queued >= self.configuration.write_limit
        return full and not completion.blocking and self.cause is None

    def withdraw_send(self, message: Outgoing) -> bool:
        """Take a message back that has not begun to leave."""
        with self.mutex:
            return self.outbox.withdraw(message)

    def ping(self, payload: Optional[bytes], completion: Completion[float]) -> Ping:
        """Send a ping; its completion gets the round trip in seconds."""
        with self.mutex:
            error = self.refusal()
            if error is not None:
                completion.resolve(self.strand, error=error)
                ping = Ping(payload or b"", completion)
            else:
                ping = self.heartbeat.ping(payload, completion)
                if self.cause is None:
                    self.outbox.ping(ping)
        self.flush()
        return ping

    def withdraw_ping(self, ping: Ping) -> bool:
        """Stop waiting for a pong."""
        with self.mutex:
            return self.heartbeat.withdraw(ping)

    def pong(self, payload: bytes) -> None:
        """Send a pong that nobody asked for; raises when nothing can be sent any more."""
        with self.mutex:
            error = self.refusal() or self.cause
            if error is None:
                self.outbox.pong(payload)
        if error is not None:
            raise error.with_traceback(None)
        self.flush()

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

    def flush(self) -> None:
        """Write what can be written now, leave the rest to the engine thread, start the handlers. No lock held."""
        try:
            self.outbox.pump(CALLER_BUDGET)
        finally:  # an interrupt of this thread leaves a broken connection, which the engine thread has to end
            with self.mutex:
                left = self.outbox.has_rest or self.outbox.broken is not None
            if left:
                self.wake()
        self.strand.kick()

    # -- receiving -----------------------------------------------------------------------------------------------------

    def receive(self, completion: Completion[Message]) -> None:
        """Ask for the next message."""
        with self.mutex:
            self.inbox.receive(completion, self.strand)
            self._after_demand()
        self.strand.kick()

    def receive_each(self, handler: Callable[[Result], object]) -> None:
        """Ask for every message, and for the error at the end."""

        def deliver(result: Result) -> None:
            self._run(handler, result)

        with self.mutex:
            self.inbox.receive_each(deliver, self.strand)
            self._after_demand()
        self.strand.kick()

    def deliver(self, handler: Callable[[Result], object]) -> Callable[[Completion[Message]], None]:
        """Wrap the handler of one receive: what runs on the executor when it is answered."""
        return lambda completion: self._run(handler, Result(completion.value, completion.error))

    def _run(self, handler: Callable[[Result], object], result: Result) -> None:
        try:
            call(handler, result)
        finally:
            if result.message is not None:
                self._returned()

    def _returned(self) -> None:
        """A handler has returned from a message, which makes room for another."""
        with self.mutex:
            self.inbox.returned()
            self._after_demand()

    def take(self) -> Optional[Message]:
        """The next unread message, or `None` if there is none now; raises the error once the messages are over."""
        with self.mutex:
            self.inbox.refuse_beside_each()
            message = self.inbox.take()
            if message is None and self.inbox.fault_is_next:
                self.fail(self.inbox.fault)
            self._after_demand()
            error = self.verdict
        if message is None and error is not None:
            raise error.with_traceback(None)
        return message

    def withdraw_receive(self, completion: Completion[Message]) -> bool:
        """A blocked caller gave up; `False` if its message has come meanwhile."""
        with self.mutex:
            return self.inbox.withdraw(completion)

    def put_back(self, message: Message) -> None:
        """A blocked caller was interrupted after its message had come: it is the next one again."""
        with self.mutex:
            self.inbox.put_back(message, self.strand)
        self.strand.kick()

    def _after_demand(self) -> None:
        """Somebody has asked for a message, taken one or finished with one. Mutex."""
        if self.inbox.fault_is_next and self.inbox.has_demand:
            self.fail(self.inbox.fault)
        if self.reading_paused and not self.inbox.is_full():
            self.reading_paused = False
            self.wake()

    # -- ending --------------------------------------------------------------------------------------------------------

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
        self.wake()

    def cancel(self) -> None:
        """Abandon the connection at once."""
        with self.mutex:
            self.cut = True
            self.end_locked(Cancelled("the task was cancelled"))
            unstarted = self.phase is Phase.NEW
        if unstarted:
            self.complete()

    def close(self, code: Optional[int], reason: Optional[str], timeout: Optional[float]) -> None:
        """Begin the closing handshake behind what is queued; while opening, cancel. The first code stands."""
        with self.mutex:
            if self.phase is not Phase.OPEN:
                early = self.phase < Phase.OPEN
            else:
                early = False
                self._ask_to_close(code, reason, self.configuration.close_timeout if timeout is None else timeout)
        if early:
            self.cancel()
        else:
            self.flush()

    def _ask_to_close(self, code: Optional[int], reason: Optional[str], timeout: float) -> None:
        if not self.closing_asked:
            self.closing_asked = True
            self.outbox.close(code, reason, urgent=False)
            self.suspensions = 0
            self._release()
        due = self.clock.now() + timeout
        if self.close_due is None or due < self.close_due:
            self.close_due = due
        self.wake()

    def complete(self) -> None:
        """Answer everything that is pending and tell the delegate: once, by the engine thread (or, if none was ever
        started, by whoever cancelled)."""
        reading = Role() if self.reader is None else self.reader.role
        # Nobody is between fetching bytes and publishing them, or between taking a message and having it on record.
        try:
            reading.occupy(lambda: self.outbox.role.occupy(self._complete))
        finally:
            self.opened.set()
            self.ended.set()
        self.strand.kick()
        with self.mutex:
            listener, self.listener = self.listener, None
        if listener is not None:
            self.strand.finish(listener.finished)

    def _complete(self) -> None:
        with self.mutex:
            if self.phase >= Phase.ENDED:
                return
            self.phase = Phase.ENDED
            verdict = self._judge()
            self.verdict = verdict
            for send in self.outbox.fail():
                send.resolve(self.strand, error=verdict)
            self.inbox.held = False
            self.inbox.end(verdict, self.strand, drop=isinstance(verdict, Cancelled))
            for ping in self.heartbeat.fail():
                ping.resolve(self.strand, error=verdict)
            if self.error is None:
                self.tell("did_close", self.close_code, self.close_reason)
            self.tell("did_complete", self.error)

    def _judge(self) -> WebSocketError:
        """Set what the task shows of its end, and return what pending and later calls get. Mutex."""
        verdict = self.cause
        assert verdict is not None
        _drop_frames(verdict)
        verdict.url = verdict.url or self.url
        if isinstance(verdict, ConnectionClosed):
            verdict.sent_close = self.closing.sent
            verdict.received_close = self.closing.received
            self.error = None if verdict.clean else verdict
            self.close_code, self.close_reason = close_code(verdict.code), verdict.reason
        else:
            self.error = verdict
            if self.was_open:
                self.close_code = CloseCode.ABNORMAL_CLOSURE
        return verdict

    def tell(self, name: str, *details: Any) -> None:
        """Let the delegate hear of something, in the order of the events. Mutex, or before anything else can happen."""
        callback = None if self.listener is None else self.listener.callback(name)
        if callback is not None:
            self.strand.put(callback, *details)

    # -- suspending ----------------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Stop reading and writing, until as many `resume` calls."""
        with self.mutex:
            if self.cause is None and not self.closing_asked and self.phase < Phase.ENDED:
                self.suspensions += 1
                self.inbox.held = self.outbox.held = True
        self.wake()

    def resume(self) -> bool:
        """Undo one `suspend`; true if the connection is to be started now."""
        with self.mutex:
            if self.cause is not None or self.phase >= Phase.ENDED or not self.suspensions:
                return False
            self.suspensions -= 1
            if self.suspensions:
                return False
            self._release()
            starting = self.phase is Phase.NEW
            if starting:
                self.phase = Phase.OPENING
        self.flush()
        return starting

    def _release(self) -> None:
        self.inbox.held = self.outbox.held = False
        self.inbox.match(self.strand)
        self._after_demand()
        self.wake()

    @property
    def suspended(self) -> bool:
        """Whether nothing may be read or written now."""
        return self.suspensions > 0

    # -- threads -------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let the engine thread look at the facts again. Any thread, with or without the mutex; never blocks."""
        waker = self.waker
        if waker is not None:
            waker.wake()

    def abandon(self) -> None:
        """This is a child process after a fork: the connection is the parent's, and the locks may be held by nobody."""
        self.mutex = threading.Lock()
        self.outbox.abandon(self.mutex)
        self.strand = Strand(_Nowhere(), lambda error: None)
        self.error = self.verdict = ConnectionClosed("the connection belongs to the parent process", url=self.url)
        self.phase = Phase.GONE
        self.inbox.end(self.verdict, self.strand, drop=True)
        self.listener = self.thread = self.waker = None
        if self.stream is not None:
            self.stream.abandon()
        self.opened, self.ended, self.gone = threading.Event(), threading.Event(), threading.Event()
        for event in (self.opened, self.ended, self.gone):
            event.set()


def _drop_frames(error: Optional[BaseException]) -> None:
    """An error that is kept must not keep the frames it passed through: they know this connection, which knows it."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class _Nowhere:
    """The executor of a connection that belongs to another process."""

    def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
        raise RuntimeError("the connection belongs to the parent process")


def _refusal(connection: weakref.ref[Connection]) -> Callable[[BaseException], None]:
    """What the strand calls when the executor takes no more work: the task is cancelled."""

    def refused(error: BaseException) -> None:
        target = connection()
        if target is not None:
            cause = Cancelled(f"the executor takes no more callbacks: {error}")
            cause.__cause__ = error
            target.end(cause)

    return refused
