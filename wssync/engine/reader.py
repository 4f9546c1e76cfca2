"""What came from the peer: one non-blocking read, decoded whole, and every event in it acted upon.

Whoever holds the read role runs this: the engine thread, or a caller who asks with `timeout=0`. The decoder is touched
by the holder alone; what it decoded is published under the mutex in one step.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Type

from ..errors import ConnectionClosed
from ..protocol.closing import CloseCode
from ..protocol.messages import Close, Event, Fault, Ping, Pong
from .completions import Message
from .connection import Connection
from .roles import Role
from .state import Phase

__all__ = ["Reader"]

READ = 65_536
"""Bytes in one read. More at a time is slower on plain TCP, not faster; a TLS stream takes two of its records at
once.
"""


class Reader:
    """The receiving half of one open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.role = Role()
        self.at_end = False

    def may_read(self) -> bool:
        """Whether bytes are welcome now; if not for want of room, notes that reading is paused. Mutex.

        Once our Close is asked for, reading goes on whatever the buffer holds: the peer's Close is behind those bytes.
        """
        connection = self._connection
        if self.at_end or connection.suspended or connection.inbox.fault is not None:
            return False
        connection.reading_paused = not connection.closing_asked and connection.inbox.is_full()
        return not connection.reading_paused

    def read_now(self) -> None:
        """One non-blocking read by a caller, if reading is allowed and nobody else is at it."""
        connection = self._connection
        with connection.mutex:
            allowed = connection.phase is Phase.OPEN and connection.cause is None and self.may_read()
        if allowed:
            self.role.attempt(self.read)
            connection.flush()

    def read(self) -> None:
        """One read, decoded and published. Read role; nobody flushes here."""
        connection = self._connection
        stream = connection.stream
        if stream is None or connection.phase is not Phase.OPEN or connection.suspended:
            return  # it ended, or was suspended, while the role was being won
        try:
            data = stream.recv(READ)
            if data is None:
                return
            connection.heartbeat.heard(connection.clock.now())
            self.decode(data)
        except ConnectionClosed as error:
            self._lost(error)
        except BaseException as error:  # interrupted between the bytes and the messages: what is missing is unknown
            lost = ConnectionClosed("receiving was interrupted")
            lost.__cause__ = error
            self._lost(lost)
            raise

    def decode(self, data: bytes) -> None:
        """Act on the bytes of one read; none are the end of the stream. Read role."""
        connection = self._connection
        decoder = connection.decoder
        assert decoder is not None
        if not data:
            self._lost(ConnectionClosed("the connection was lost: it ended without a Close frame"))
            return
        decoder.maximum_message_size = connection.maximum_message_size
        events = decoder.feed(data)
        with connection.mutex:
            self._publish(events)

    def _publish(self, events: List[Event]) -> None:
        connection = self._connection
        for event in events:
            _ACTS[type(event)](self, event)
        connection.inbox.match(connection.strand)
        if connection.inbox.fault_is_next and connection.inbox.has_demand:
            connection.fail(connection.inbox.fault)

    def _lost(self, error: ConnectionClosed) -> None:
        """The stream is at its end, or broke. A broken write that was noticed before it explains it better."""
        self.at_end = True
        self._connection.end(self._connection.outbox.broken or error)

    # -- events: mutex -------------------------------------------------------------------------------------------------

    def _message(self, event: Event) -> None:
        assert isinstance(event, (str, bytes))
        connection = self._connection
        connection.received += _size(event)
        if connection.closing_asked and connection.inbox.is_full():
            return  # nobody takes messages any more, and the peer's Close is behind them
        connection.inbox.publish(event)

    def _ping(self, event: Event) -> None:
        assert isinstance(event, Ping)
        self._connection.outbox.pong(event.payload)

    def _pong(self, event: Event) -> None:
        assert isinstance(event, Pong)
        connection = self._connection
        connection.inbox.match(connection.strand)  # the messages before it are the earlier events
        connection.heartbeat.pong(event.payload, connection.clock.now(), connection.strand)

    def _close(self, event: Event) -> None:
        """The peer's Close: answer it, before what is queued, and end (RFC 6455 section 5.5.1; rule 161)."""
        assert isinstance(event, Close)
        connection = self._connection
        connection.closing.receive(event.code, event.reason)
        code: Optional[int] = None if event.code == CloseCode.NO_STATUS_RECEIVED else event.code
        connection.outbox.close(code, None, urgent=True)
        self.at_end = True
        connection.end_locked(ConnectionClosed(_describe(event), code=event.code, reason=event.reason, clean=True))

    def _fault(self, event: Event) -> None:
        """The peer broke the protocol. Behind good messages that waits until a receive comes to it; else it is now.

        That a message was taken does not mean that its reader is done with it: who answers each message must be able to
        answer the last good one. So the next receive brings the fault into effect, not the taking of that message.
        """
        assert isinstance(event, Fault)
        connection = self._connection
        if event.in_message or connection.closing_asked or not connection.inbox.has_had_messages:
            connection.fail(event.error)
            return
        connection.inbox.fault = event.error
        connection.fault_due = connection.clock.now() + connection.configuration.close_timeout


_ACTS: Dict[Type[object], Callable[[Reader, Event], None]] = {
    str: Reader._message,
    bytes: Reader._message,
    Ping: Reader._ping,
    Pong: Reader._pong,
    Close: Reader._close,
    Fault: Reader._fault,
}


def _size(message: Message) -> int:
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode())


def _describe(close: Close) -> str:
    reason = f": {close.reason}" if close.reason else ""
    return f"the connection was closed with code {int(close.code)}{reason}"
