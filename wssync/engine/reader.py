"""Who reads, and when: the engine thread when nobody else does, or a caller who borrows the role.

A borrower waits for its message by itself, which saves the hand-over from thread to thread that costs more than all the
rest.

**Leader and follower.** A borrower may wait for the network as long as it takes, and only the end of the connection
disturbs it. Meanwhile the engine thread stands aside (`stands_aside`): it does not wait for the socket, but keeps its
deadlines and writes. It reads again when there is demand that no borrower serves, or when no borrower has come for
`GRACE`. A borrower that leaves looks at `asleep` after it has let go; the engine thread sets `asleep` before it looks
whether the role is lent. So one of the two always sees the other.
"""

from __future__ import annotations

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, List, Optional, Union
from ..transport.clock import real_now
from .accelerated import CompiledBorrower
from .borrowed import BorrowedReader
from .completions import Message, Waiter
from .connection import Connection
from .heartbeat import Heartbeat
from .inbox import Inbox
from .receiver import Receiver
from .state import Phase, State

if TYPE_CHECKING:
    from .._speedups import Borrower
    from ..protocol.messages import Decoder
    from ..transport.stream import Stream

__all__ = ["Reader"]

GRACE = 0.05
"""Seconds for which the engine thread leaves reading to borrowers once one has come: a program that receives in a loop
is back in a thousandth of that."""


class Reader(BorrowedReader):
    """The receiving half of one open connection."""

    __slots__ = (
        "_aside_until",
        "_descriptor",
        "_lock",
        "_seen_turn",
        "_unsealing",
        "asleep",
        "lent",
    )

    def __init__(self, connection: Connection, stream: Stream, decoder: Decoder) -> None:
        super().__init__(connection, stream, decoder)
        direct, self._unsealing = self._direct, None
        if direct is None:
            self._unsealing = unsealing = stream.unsealing
            direct = None if unsealing is None else unsealing.direct
        self._descriptor = -1 if direct is None else direct.descriptor
        self._borrower = None if direct is None or self._patient is None else _BORROWER
        self._lock = self.role.lock
        self.lent = False
        self.asleep = False
        self._seen_turn = 0
        self._aside_until = 0.0

    # -- the engine thread ---------------------------------------------------------------------------------------------

    def may_read(self) -> bool:
        """Whether bytes are welcome now; if not for want of room, notes that reading is paused. Mutex.

        Once our Close is asked for, reading goes on whatever the buffer holds: the peer's Close is behind those bytes.
        """
        connection = self._connection
        if self.at_end or connection.suspended or connection.inbox.fault is not None:
            return False
        inbox = connection.inbox
        inbox.paused = not connection.closing_asked and inbox.is_full()
        if inbox.paused and not inbox.is_full():  # who has made room meanwhile may not have seen that this waits
            inbox.paused = False
        return not inbox.paused

    def stands_aside(self) -> Optional[float]:
        """Whether reading is left to borrowers: for so many seconds, 0 if it is not. `None`: until woken. Mutex.

        The seconds are real ones whatever clock the connection has: this is about threads, not about the protocol.
        """
        self.asleep = False
        if not self._connection.awaits_reading:
            now, turn = real_now(), self._connection.tally.turns
            if turn != self._seen_turn:
                self._seen_turn, self._aside_until = turn, now + GRACE
            if now < self._aside_until:
                return self._aside_until - now
        if self.lent:
            self.asleep = True
            if self.lent:  # looked at again: it may have left before it could see that somebody sleeps
                return None
        return 0.0

    def read(self) -> None:
        """One read, decoded and published. Read role; nobody flushes here."""
        connection = self._connection
        if connection.phase is not Phase.OPEN or connection.suspended:
            return  # it ended, or was suspended, while the role was being won
        connection.refuse_inside("receive")
        try:
            if self.interrupted:
                self.interrupted = False
                with connection.mutex:
                    self._inbox.match(connection.strand)  # which may have been struck
            decoded = self._decode_next(self._stream.recv)
            while decoded is not None:
                with connection.mutex:
                    self._publish(decoded)
                decoded = self._decode_left()
        except ConnectionClosed as error:
            self._lost(error)
        except BaseException:
            self._note_interrupt()
            raise

    def take_in(self, data: bytes) -> None:
        """Act on bytes that came with the response. Read role."""
        self._box = [data]
        self.read()

    def read_now(self) -> None:
        """One non-blocking read by a caller, if reading is allowed and nobody else is at it."""
        connection = self._connection
        connection.refuse_inside("receive")
        with connection.mutex:
            allowed = connection.phase is Phase.OPEN and connection.cause is None and self.may_read()
        if allowed:
            self.role.attempt(self.read)
            connection.flush()

    # -- a borrower ----------------------------------------------------------------------------------------------------

    def borrow(
        self, seconds: Optional[float], *, has_role: bool = False, error: Optional[BaseException] = None
    ) -> Union[Message, Waiter[Message], None]:
        """Wait for the next message in the caller's own thread, for `seconds` at most, if nobody is before it.

        `None` if somebody is, if the time is over, or if the connection is about to end: the caller then queues up. A
        `Waiter`, if the task was suspended meanwhile: it stands in the row already, as the first. `RuntimeError` in a
        signal handler that has interrupted a borrower: nobody else reads, so it would wait for ever.

        Without a limit the accelerator does this, and comes back with what is not a message alone: see `go_on`.
        """
        lock, taken = self._lock, has_role
        if not taken:
            if lock._is_owned():
                raise RuntimeError("receive() in a signal handler that interrupted a receive() of this task")
            if seconds is None and self._borrower is not None:
                return self._borrow_compiled(self._borrower)
        got: Union[Message, Waiter[Message], None] = None
        slot: Union[Message, Waiter[Message], None] = None
        try:
            try:
                if has_role:
                    got = self._read_on(error)
                elif lock.acquire(False):
                    taken = self.lent = True
                    self._connection.tally.turns += 1
                    express = self._inbox.express
                    if express is not None and not express:
                        if self._is_fresh and seconds is None and self._patient is not None:
                            got = self._read_one()
                        if got is None:
                            got = self._read_for_caller(seconds)
                if self._direct is None and taken and self._stream.has_output:
                    self._unsettled = True
            except BaseException:
                if taken:
                    # Before another has the role: it must look at what is left, here or where only the stream knows it.
                    self._is_fresh, self.interrupted = False, True
                raise
            finally:
                if taken:
                    slot, self._slot = self._slot, None
                    self.lent = False
                try:
                    lock.release()
                except RuntimeError:
                    pass  # another thread's: see `Role.attempt`
                if self.asleep:
                    self._connection.wake()
            if self._unsettled:
                self._unsettled = False
                self._connection.flush()
        except BaseException:
            self._note_interrupt()
            self._hand_back(slot, got)
            raise
        return got

    def _borrow_compiled(self, borrower: Borrower) -> Union[Message, Waiter[Message], None]:
        got: List[Union[Message, Waiter[Message]]] = []
        try:
            borrower.receive(self, got)
        except BaseException:
            if got:
                self.give_back(got[0])
            raise
        return got[0] if got else None  # no call from the `try` to the caller: see `_read_one`

    def go_on(self, error: Optional[BaseException]) -> Union[Message, Waiter[Message], None]:
        """The compiled form has the role, and leaves the rest to this one: bytes in the box, or an earlier read's, or
        the `error` with which the connection broke. Read role, which is let go at the end.
        """
        return Reader.borrow(self, None, has_role=True, error=error)

    def give_back(self, got: Union[Message, Waiter[Message], None]) -> None:
        """An interrupt came when the compiled form had let the role go: see `_hand_back`."""
        self._note_interrupt()
        self._hand_back(got, None)

    def be_struck(self) -> None:
        """Called by the compiled form where an exception from outside is due: it is raised as this begins."""

    def abandon(self) -> None:
        """After a fork: the descriptor's number may soon be another file's, and a signal handler that has forked may
        have interrupted a borrower.
        """
        self._descriptor = -1

    def _read_on(self, error: Optional[BaseException]) -> Union[Message, Waiter[Message], None]:
        """See `go_on`."""
        if isinstance(error, MemoryError):  # what was read is lost
            closed = ConnectionClosed("memory ran out for what was received")
            closed.__cause__ = error
            self._lost(closed)
        elif isinstance(error, OSError):
            self._lost(error)
        else:
            left = self._decoded[0]
            is_first = self._box and left.is_between and not (left.events or self.interrupted)
            return (self._read_long() if is_first else None) or self._read_for_caller(None)
        return None

    def _hand_back(
        self, slot: Union[Message, Waiter[Message], None], got: Union[Message, Waiter[Message], None]
    ) -> None:
        """An interrupt came: what the borrower would have got is for the next receive."""
        if self.role.is_mine:  # it struck on the way to the release, where 3.9 looks for interrupts too
            slot, self._slot = slot if self._slot is None else self._slot, None
            self.lent = False
            self._lock.release()
        if not isinstance(slot, Waiter):
            got = got if slot is None else slot
        elif not self._connection.withdraw_receive(slot):
            got = slot.value
        if isinstance(got, (str, bytes)):
            self._connection.put_back(got)


_SLOTS = (
    (Reader, ("asleep", "_descriptor", "lent", "_lock", "_unsealing")),
    (BorrowedReader, ("_unsettled",)),
    (
        Receiver,
        ("_box", "_connection", "_heartbeat", "_inbox", "_is_admitted", "_is_fresh", "_most", "_now", "_stream"),
    ),
    (State, ("closing_asked", "size_limit", "tally", "unfinished")),
    (Inbox, ("express", "has_had_messages")),
    (Heartbeat, ("heard_at",)),
)
"""Where the compiled form finds what it needs of a connection."""

_BORROWER: Optional[Borrower] = (
    None
    if CompiledBorrower is None
    else CompiledBorrower(*(vars(owner)[name] for owner, names in _SLOTS for name in names))
)
