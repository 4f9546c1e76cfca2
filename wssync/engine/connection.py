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
is taken, never the other way round. It is an `RLock` only so that `changes` can see whose it is.
"""

from __future__ import annotations

import functools
import threading

from ..errors import Cancelled, ConnectionClosed, WebSocketError
from ..hints import TYPE_CHECKING, Any, Callable, Optional
from ..protocol.closing import CloseCode, close_code
from ..strand import Strand
from .accelerated import Mutex
from .blocking import Blocking
from .completions import Latch
from .state import Phase
from .tracebacks import drop_frames

if TYPE_CHECKING:
    from ..metrics.collector import Collector

__all__ = ["Connection"]


class Connection(Blocking):
    """One connection: suspending, closing, ending.

    The calls on it are in `Calls` and `Blocking`, its fields in `State`.
    """

    __slots__ = ()

    # -- suspending ----------------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Stop reading and writing, until as many `resume` calls."""
        self.change(self._suspend)
        self.wake()

    def _suspend(self) -> None:
        if self.cause is None and not self.closing_asked and self.phase < Phase.ENDED:
            self.suspensions += 1
            self.inbox.held = self.outbox.held = True

    def resume(self) -> bool:
        """Undo one `suspend`; true if the connection is to be started now."""
        if self.phase is Phase.NEW:
            self.refuse_inside("resume")  # who asks later would start no thread
        starting = self.change(self._resume)
        if not starting:  # else nothing can be written, and nobody has an answer
            self.flush()
        return bool(starting)

    def _resume(self) -> bool:
        if self.cause is not None or self.phase >= Phase.ENDED or not self.suspensions:
            return False
        self.suspensions -= 1
        if self.suspensions:
            return False
        if self.phase is not Phase.NEW:
            self.release()
            return False
        self.phase, self.starter = Phase.OPENING, threading.get_ident()
        self.inbox.held = self.outbox.held = False
        self.inbox.match(self.strand)
        return True

    def unstart(self) -> bool:
        """No thread came of the start, for an interrupt: it is as it was before, to be resumed or cancelled. False if
        it has a cause to end: then it has to.
        """
        return bool(self.change(self._unstart))

    def _unstart(self) -> bool:
        if self.cause is not None:
            return False
        self.phase, self.suspensions = Phase.NEW, 1
        self.inbox.held = self.outbox.held = True
        self.thread = self.waker = self.starter = None
        return True

    # -- ending --------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Abandon the connection at once."""
        if self.change(self._cancel):
            self.complete()

    def _cancel(self) -> bool:
        """Whether nobody else will complete it: no thread was ever started."""
        self.cut = True
        self.end_locked(Cancelled("the task was cancelled"))
        return self.phase is Phase.NEW

    def close(
        self, code: Optional[int], reason: Optional[str], timeout: Optional[float], *, awaited: bool = False
    ) -> None:
        """Begin the closing handshake behind what is queued; while opening, cancel. The first code stands.

        A caller by whom the end is `awaited` wakes the engine thread when the time for that is over.
        """
        seconds = self.configuration.close_timeout if timeout is None else timeout
        if self.change(functools.partial(self._close, code, reason, seconds, awaited)):
            self.complete()
        else:
            self.flush()

    def _close(self, code: Optional[int], reason: Optional[str], timeout: float, awaited: bool) -> bool:
        """Whether it is now to be completed, as for `_cancel`."""
        if self.phase < Phase.OPEN:
            return self._cancel()
        if self.phase is Phase.OPEN:
            self._ask_to_close(code, reason, timeout)
            if not (awaited and self.listens) or self.fault_due is not None:
                self.wake()
        return False

    def _ask_to_close(self, code: Optional[int], reason: Optional[str], timeout: float) -> None:
        if not self.closing_asked:
            self.closing_asked = True
            if self.inbox.fault is not None:  # who closes will not receive up to it, so it is the end
                code, reason, self.fault_due = self.inbox.fault.code, None, self.clock.now()
            self.outbox.close(code, reason, urgent=False)
            if self.suspensions:
                self.suspensions = 0
                self.release()
        due = self.clock.now() + timeout
        if self.close_due is None or due < self.close_due:
            self.close_due = due

    def complete(self) -> None:
        """Answer everything that is pending and tell the delegate: once, by the engine thread (or, if none was ever
        started, by whoever cancelled)."""
        try:
            self.occupy_roles(self._complete)
        finally:
            self.opened.set()
            self.ended.set()
            self.let_through()
        with self.mutex:
            listener, self.listener = self.listener, None
        if listener is not None:
            self.tracer.emit("end", error=self.error)
        self.strand.kick()
        if listener is not None:
            self.strand.finish(listener.finished)
        if self.late:
            self.make_late_changes()

    def occupy_roles(self, work: Callable[[], None]) -> None:
        """Do what needs that nobody is between fetching bytes and publishing them, or between taking a message and
        having it on record.
        """
        reader, stream = self.reader, self.stream
        if reader is None or stream is None:
            self.outbox.role.occupy(work)
        else:
            reader.role.occupy(lambda: self.outbox.role.occupy(work), stream.shutdown_read)

    def _complete(self) -> None:
        with self.mutex:
            if self.late:
                self.catch_up()
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
            self._tell_metrics()
            self.tell("did_complete", self.error)

    def _tell_metrics(self) -> None:
        """Let the delegate have the metrics (rules 184, 185): they are put together where it is called. Mutex."""
        collector, listener = self.tracer.collector, self.listener
        if collector is None or listener is None:
            return
        callback = listener.callback("did_finish_collecting_metrics")
        if callback is not None:
            collector.finish(self.clock.now(), self.count_traffic())
            self.strand.put(_deliver, callback, collector)

    def _judge(self) -> WebSocketError:
        """Set what the task shows of its end, and return what pending and later calls get. Mutex."""
        verdict = self.cause
        assert verdict is not None
        drop_frames(verdict)
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

    def abandon(self) -> None:
        """This is a child process after a fork: the connection is the parent's, and the locks may be held by nobody."""
        self.mutex = Mutex()
        self.outbox.abandon(self.mutex)
        self.strand = Strand(_Nowhere(), lambda error: None)
        self.error = self.verdict = ConnectionClosed("the connection belongs to the parent process", url=self.url)
        self.phase = Phase.GONE
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.abandon()
        self.inbox.readiness = None  # nothing may be written to it: the parent would read that
        self.inbox.end(self.verdict, self.strand, drop=True)
        self.listener = self.thread = self.waker = None
        if self.stream is not None:
            self.stream.abandon()
        self.opened, self.ended, self.gone = Latch(), Latch(), Latch()
        for event in (self.opened, self.ended, self.gone):
            event.set()


def _deliver(callback: Callable[..., None], collector: Collector) -> None:
    callback(collector.metrics())


class _Nowhere:
    """The executor of a connection that belongs to another process."""

    def submit(self, fn: Callable[..., object], /, *args: Any) -> object:
        raise RuntimeError("the connection belongs to the parent process")
