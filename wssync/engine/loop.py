"""The engine thread: the one lasting thread of a connection, and the only one that finishes it.

It opens the connection, reads, drains the outbox when the kernel's buffer was full, and keeps every deadline. It blocks
in one place, the wait of the stream, which any thread can end by waking it: publish the fact, then wake; after waking,
look at the facts. Whatever goes wrong in here ends the connection with that error; the thread never just dies.

| deadline | set when | then |
| --- | --- | --- |
| heartbeat | something was received | a ping; after another silence the connection is given up (1006) |
| closing | a graceful close began | the connection is cut (1006) |
| fault | the peer broke the protocol behind unread messages | the fault takes effect though nobody took them |
| broken | a write failed | reading went on, for a Close would explain it better; now it ends |
| resource | an explicit resource timeout | Close 1001, then the connection is cut |
"""

from __future__ import annotations

from ..errors import Cancelled, ConnectionClosed, ConnectionFailed, WebSocketError
from ..hints import TYPE_CHECKING, Callable, Iterable, List, Optional, Tuple
from ..logs import log
from ..protocol.closing import CloseCode
from ..protocol.deflate import Compressor, Inflater
from ..protocol.encoder import Encoder
from ..protocol.frames import Role
from ..protocol.messages import Decoder
from ..transport.clock import Deadline
from ..transport.stream import Stream
from ..transport.waiting import Waker, wait_for
from .asking import Questions
from .connection import Connection
from .goodbye import forget_connection, remember_connection
from .heartbeat import Verdict
from .opening import Opening
from .plan import Opened, Plan
from .queues import EMPTY_LIST
from .reader import Reader
from .state import Phase
from .threads import make_thread
from .tracing import unheard

if TYPE_CHECKING:
    import datetime

__all__ = ["Engine"]

BUDGET = 1_048_576
"""Bytes written in one turn, so that a flood of sends does not keep the thread from reading."""

SWEEP = 1.0
"""Seconds of reading after a failed write: what the peer sent before it hung up is there already, or nearly."""

LINGER = 1.0
"""Seconds for the peer to take our Close of a failed connection and hang up; closing at once might destroy the
frame.
"""


class Engine:
    """The thread of one connection and what only that thread does."""

    __slots__ = (
        "__dict__",
        "_begin",
        "_broken_due",
        "_connection",
        "_is_silent",
        "_opening",
        "_openings",
        "_plan",
        "_reader",
        "_resource_due",
        "_waker",
        "_warned",
        "_was_paused",
    )

    def __init__(self, connection: Connection, plan: Plan, begin: Optional[datetime.datetime] = None) -> None:
        self._connection = connection
        self._plan = plan
        self._begin = begin
        self._waker = Waker()
        self._openings: List[Optional[Opening]] = [None]
        """What the thread begins with. Who takes it out, the thread or who gave up starting it, has the connection."""
        self._opening: Optional[Opening] = None
        self._resource_due: Optional[float] = None
        self._broken_due: Optional[float] = None
        self._was_paused = False
        self._is_silent = False
        self._warned = False
        self._reader: Optional[Reader] = None

    @property
    def reader(self) -> Reader:
        """The receiving half of the open connection."""
        assert self._reader is not None, "not open yet"
        return self._reader

    def start(self) -> None:
        """Start the thread. `RuntimeError` if the process has no threads to give; the task has then ended with it.

        After an interrupt that came too early for a thread, the task is as it was before.
        """
        connection = self._connection
        try:
            connection.waker = self._waker
            connection.clock.attend(self._waker)
            remember_connection(connection)
            opening = self._openings[0] = self._make_opening()
            thread = connection.thread = make_thread(self)
            if self._begin is None:
                opening.line_up()
            thread.start()
        except BaseException as error:
            self._give_up_start(error)
            raise

    def _give_up_start(self, error: BaseException) -> None:
        """There is no thread, unless it was quicker: the system has refused, or an interrupt came."""
        connection = self._connection
        try:
            opening = self._openings.pop()
        except IndexError:
            return  # it has begun
        if opening is not None:
            opening.step_aside()
        connection.thread = None
        if isinstance(error, RuntimeError):
            _fail(connection, error)
        if connection.unstart():
            forget_connection(connection)
        else:
            self._finish()

    def run(self) -> None:
        """The life of the connection, from dialling to its closed descriptor."""
        try:
            self._opening = self._openings.pop()  # and not in a variable, which would keep it as long as this runs
        except IndexError:
            return  # an interrupt came, and who started this has given up
        self._openings = EMPTY_LIST
        try:
            self._begin_open(self._open())
            while self._connection.cause is None:
                self._turn()
        except WebSocketError as error:
            self._connection.end(error)
        except BaseException as error:
            log().exception("wssync: the engine of a connection failed")
            _fail(self._connection, error)
        finally:
            self._finish()

    # -- opening -------------------------------------------------------------------------------------------------------

    def _make_opening(self) -> Opening:
        connection = self._connection
        tracer = connection.tracer
        trace = tracer.emit if tracer.is_wanted else unheard
        return Opening(self._plan, self._waker, connection.clock, self._check, Questions(connection), trace)

    def _open(self) -> Opened:
        opening, self._opening = self._opening or self._make_opening(), None
        try:
            return opening.run(self._begin)
        except WebSocketError as error:
            self._connection.response = getattr(error, "response", None)
            raise
        finally:
            opening.step_aside()

    def _check(self, deadline: Deadline) -> None:
        """Every wait of the opening comes by here: it ends a cancelled one, and holds a suspended one with its
        timer.
        """
        connection = self._connection
        if connection.late:
            connection.make_late_changes()
        if connection.suspensions:
            deadline.pause()
            try:
                while connection.cause is None and connection.suspended:
                    wait_for((self._waker,), (), None)
                    self._waker.clear()
                    if connection.late:
                        connection.make_late_changes()
                    if not connection.suspended:
                        self._waker.wake()  # a wake that was meant for the wait that follows may have been cleared
            finally:
                deadline.resume()
        if connection.cause is not None:
            raise connection.cause

    def _begin_open(self, opened: Opened) -> None:
        """The handshake is done: from here on messages flow (rules 47 to 50)."""
        connection = self._connection
        parameters = opened.verdict.deflate
        options = self._plan.configuration.deflate
        inflater = compressor = None
        if parameters is not None and options is not None:
            inflater, compressor = Inflater(parameters, Role.CLIENT), Compressor(parameters, Role.CLIENT, options)
        now = connection.clock.now()
        limit = connection.configuration.resource_timeout_when_open
        self._resource_due = None if limit is None else now + limit
        decoder = Decoder(Role.CLIENT, maximum_message_size=connection.maximum_message_size, inflater=inflater)
        connection.tracer.emit("open", protocol=opened.verdict.protocol, extensions=opened.verdict.extensions)
        self._reader = reader = Reader(connection, opened.stream, decoder)
        # With the read role: a caller's read of later bytes must not come before what is here already.
        reader.role.occupy(lambda: self._enter(opened, now, reader, compressor))
        self._drain()

    def _enter(self, opened: Opened, now: float, reader: Reader, compressor: Optional[Compressor]) -> None:
        connection = self._connection
        with connection.mutex:
            connection.response = opened.head
            connection.protocol = opened.verdict.protocol
            connection.extensions = opened.verdict.extensions
            connection.stream = opened.stream
            encoder = Encoder(Role.CLIENT, compressor)
            connection.outbox.attach(opened.stream, encoder, connection.flush, connection.tracer)
            connection.heartbeat.heard(now)
            connection.reader = reader
            connection.was_open = True
            connection.phase = Phase.OPEN
            self._plan.request.forget_parsed()
            connection.tell("did_open", opened.verdict.protocol)
        connection.opened.set()
        connection.let_through()
        if opened.rest:
            reader.take_in(opened.rest)

    # -- open ----------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Wait for something to happen, and do it."""
        connection, reader = self._connection, self.reader
        stream, outbox = connection.stream, connection.outbox
        assert stream is not None
        with connection.mutex:
            late = connection.catch_up()
            aside = reader.stands_aside()
            connection.stands_aside = aside != 0
            connection.listens = reading = aside == 0 and reader.may_read()
            rest = not outbox.is_idle and outbox.has_rest
            writing = rest and outbox.stalled
            interrupted = reader.interrupted and not (reader.lent or connection.suspended)
            busy = late or interrupted or (rest and not writing)
        self._note_pause(reading, writing)
        due = _soonest(self._deadlines())
        patience = None if due is None else max(0.0, due - connection.clock.now())
        timeout = 0 if busy else _soonest((patience, aside)) if aside else patience
        readable, writable = stream.wait(reading, writing, timeout)
        connection.attentive = True
        try:
            self._act(readable, writable, due)
        finally:
            connection.attentive = False  # first, and then the next look at the facts

    def _act(self, readable: bool, writable: bool, due: Optional[float]) -> None:
        """Do what was waited for."""
        connection, reader = self._connection, self.reader
        if writable:
            connection.outbox.stalled = False
        if readable or reader.interrupted:
            reader.role.attempt(reader.read)
        if connection.cause is not None:
            return  # what is left to say, the end says
        self._drain()
        if due is not None and due <= connection.clock.now():
            self._keep_deadlines()

    def _drain(self) -> None:
        """Write what can be written, start the handlers; what is left is looked at in the next turn, without a wake."""
        if not self._connection.outbox.is_idle:
            self._connection.outbox.pump(BUDGET)
        self._connection.strand.kick()

    def _note_pause(self, reading: bool, writing: bool) -> None:
        """While nothing is read, the peer's silence proves nothing; and a send may wait for us to receive."""
        connection = self._connection
        reading = reading or (connection.stands_aside and not connection.suspended)
        if self._was_paused and reading:
            connection.heartbeat.heard(connection.clock.now())
        self._was_paused = not reading
        if writing and connection.inbox.paused and not self._warned:
            self._warned = True
            log().warning(
                "a send waits because the peer reads nothing, while %d received messages wait here: "
                "if the peer answers what it is sent, somebody must receive",
                connection.inbox.unread,
            )

    def _deadlines(self) -> Tuple[Optional[float], ...]:
        """When each of the table's deadlines is, in its order."""
        connection = self._connection
        heartbeat = None if self._was_paused else connection.heartbeat.due()
        if connection.outbox.broken is not None and self._broken_due is None:
            self._broken_due = connection.clock.now() + SWEEP
        return heartbeat, connection.close_due, connection.fault_due, self._broken_due, self._resource_due

    def _keep_deadlines(self) -> None:
        now = self._connection.clock.now()
        acts = self._beat, self._give_up_closing, self._enforce_fault, self._end_broken, self._end_resource
        for moment, act in zip(self._deadlines(), acts):
            if moment is not None and moment <= now:
                act()

    def _beat(self) -> None:
        connection = self._connection
        with connection.mutex:
            verdict = connection.heartbeat.check(connection.clock.now())
            if verdict is Verdict.ASK:
                connection.outbox.ping(connection.heartbeat.ping(None))
        if verdict is Verdict.DEAD:
            self._is_silent = True
            timeout = connection.configuration.ping_timeout
            self._give_up(f"nothing was received for {timeout:g} seconds after a ping", CloseCode.INTERNAL_SERVER_ERROR)

    def _give_up_closing(self) -> None:
        self._give_up("the peer did not answer our Close in time", None)

    def _end_resource(self) -> None:
        limit = self._plan.configuration.timeout_interval_for_resource
        self._give_up(f"the connection was open for {limit:g} seconds, the resource timeout", CloseCode.GOING_AWAY)

    def _give_up(self, why: str, code: Optional[CloseCode]) -> None:
        """End with 1006 and -1001; the peer is told, if one write without waiting can do it."""
        connection = self._connection
        with connection.mutex:
            if code is not None:
                connection.outbox.close(code, None, urgent=True)
            connection.end_locked(ConnectionClosed(f"the connection was lost: {why}", url_error_code=-1001))

    def _enforce_fault(self) -> None:
        connection = self._connection
        with connection.mutex:
            connection.fail(connection.inbox.fault)

    def _end_broken(self) -> None:
        broken = self._connection.outbox.broken
        assert broken is not None
        self._connection.end(broken)

    # -- ending --------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The one place where a connection ends: a last word, every pending answer, the descriptor."""
        connection = self._connection
        stream = connection.stream
        if stream is not None:
            _guard(lambda: self.reader.role.occupy(self.reader.publish_left, stream.shutdown_read))
            _guard(self._say_goodbye)
        _guard(connection.complete)
        if stream is not None:
            _guard(lambda: self._linger(stream))
            connection.occupy_roles(lambda: _close(connection, stream))
        with connection.mutex:
            connection.closing.end()
            connection.phase = Phase.GONE
            connection.waker = connection.reader = None
        self._waker.close()
        forget_connection(connection)
        connection.gone.set()

    def _say_goodbye(self) -> None:
        """What may still be said in one write without waiting: a Close that was asked for, or an empty one."""
        connection, outbox = self._connection, self._connection.outbox
        with connection.mutex:
            if connection.closing.sent is not None and not outbox.has_rest:
                return  # a Close was said, and nothing follows one

        def speak() -> None:
            with connection.mutex:
                outbox.held = False
                if isinstance(connection.cause, Cancelled):
                    if not outbox.is_clean:
                        return  # the rest of a frame, and all that waits behind it, is dropped
                    outbox.close(None, None, urgent=True)
            outbox.pump_alone(BUDGET)

        outbox.role.occupy(speak)

    def _linger(self, stream: Stream) -> None:
        """Let our Close arrive, and let the peer close first (RFC 6455 section 7.1.1); bounded, and cut by `cancel`."""
        connection = self._connection
        outbox = connection.outbox
        due = _linger_until(connection, self.reader.at_end or self._is_silent)
        try:
            while due is not None and not connection.cut:
                if stream.recv(65_536) == b"":
                    return  # most peers hang up at once: it is here by now, and there is nothing to wait for
                left = due - connection.clock.now()
                if left <= 0:
                    return
                _, writable = stream.wait(True, outbox.has_rest, left)
                if writable:
                    outbox.stalled = False
                    outbox.pump(BUDGET)
        except ConnectionClosed:
            return  # the peer hung up the hard way; everything was said


def _linger_until(connection: Connection, is_lost: bool) -> Optional[float]:
    """Until when the peer may take its time to hang up; `None` where there is nothing to wait for."""
    cause = connection.cause
    if not isinstance(cause, ConnectionClosed) or connection.outbox.broken is not None:
        return None
    due, patience = connection.close_due, connection.configuration.close_timeout
    if cause.clean:
        return connection.clock.now() + patience if due is None else due
    if is_lost or (connection.closing.sent is None and not connection.outbox.has_rest):
        return None
    end = connection.clock.now() + min(patience, LINGER)
    return end if due is None else min(due, end)


def _soonest(moments: Iterable[Optional[float]]) -> Optional[float]:
    return min([moment for moment in moments if moment is not None], default=None)


def _fail(connection: Connection, error: BaseException) -> None:
    """The engine itself failed, which must not be seen by anybody as a connection that hangs."""
    kind = ConnectionClosed if connection.was_open else ConnectionFailed
    failure = kind(f"the connection's engine failed: {error!r}")
    failure.__cause__ = error
    connection.end(failure)


def _guard(step: Callable[[], None]) -> None:
    """Whatever goes wrong in one step of the end, the next ones follow: nobody may wait for them for ever."""
    try:
        step()
    except BaseException:
        log().exception("wssync: the end of a connection failed")


def _close(connection: Connection, stream: Stream) -> None:
    connection.outbox.detach()
    stream.close()
