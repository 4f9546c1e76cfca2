"""What came from the peer: one read, decoded whole, and every event in it acted upon. For the holder of the read role.

**Interrupts.** The holder may be the main thread, where Ctrl-C strikes between any two calls. Nothing is lost by it:
what the kernel gave is in `_box` before Python can raise anything, decoding commits with one assignment (`_decoded`,
which knows the box it came from), and messages go over into the inbox within one call. The next holder redoes what was
not committed and goes on with what was not published.
"""

from __future__ import annotations

from collections import deque

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple, Type, Union
from ..protocol.closing import CloseCode
from ..protocol.messages import Close, Decoded, Event, Fault, Ping, Pong
from ..transport.clock import reading
from ..transport.stream import connection_lost, is_of_socket
from .connection import Connection
from .inbox import Events
from .queues import basket
from .roles import Role
from .tracing import FrameWatch, frame_fields

if TYPE_CHECKING:
    from ..protocol.messages import Decoder
    from ..transport.stream import Stream

__all__ = ["LITTLE", "READ", "Receiver"]

READ = 65_552
"""Bytes in one read: a message of 64 KiB with its header. More at a time is slower on plain TCP, not faster."""

AT_THE_END = 16
"""Messages that are taken in at a time while nobody may come for them: they may be too many by so many less one."""

LITTLE = 4096
"""Bytes in one read as long as little comes: the memory for more costs half a microsecond to get and to give back."""

Box = List[Union[bytes, int, None]]
Fetch = Callable[[int], Optional[bytes]]


class Receiver:
    """Reads and decodes for one open connection, and publishes what that brings."""

    __slots__ = (
        "__dict__",
        "_box",
        "_connection",
        "_decoded",
        "_decoder",
        "_direct",
        "_heartbeat",
        "_inbox",
        "_is_admitted",
        "_is_fresh",
        "_most",
        "_now",
        "_patient",
        "_recv_into",
        "_stream",
        "_watch",
        "at_end",
        "interrupted",
        "role",
    )

    _much, _little = (READ,), (LITTLE,)

    def __init__(self, connection: Connection, stream: Stream, decoder: Decoder) -> None:
        self._connection = connection
        self._inbox = connection.inbox
        self._heartbeat = connection.heartbeat
        self._now = reading(connection.clock)
        self._stream = stream
        self._direct = stream.direct
        self._recv_into = stream.recv_into
        self._watch = FrameWatch() if connection.tracer.is_heard else None
        self._patient = stream.patient_recv if self._watch is None else None  # else short ways would pass it by
        self._decoder = decoder
        self.role = Role()
        self.at_end = False
        self.interrupted = False
        self._box: Box = []
        self._decoded: Tuple[Decoded, Optional[Box]] = (decoder.last, None)
        self._most = self._little
        self._is_admitted = False
        """Whether the message that begins in the box had begun to be read under the limit of that time, and kept it."""
        self._is_fresh = True
        """Whether nothing is left of what was read: the next byte begins a frame between messages."""

    # -- one read: read role -------------------------------------------------------------------------------------------

    def _decode_next(self, fetch: Fetch) -> Optional[Decoded]:
        """What is to be published: left by an interrupt, or the events of one more read; `None` if nothing came."""
        decoded, box = self._decoded
        if decoded.events:
            return decoded
        if box is self._box:
            self._box = []
        box = self._box
        if not box:
            self._fetch(box, fetch)
            if self._connection.suspended:  # while it was waited for: it stays in the box, and the socket knows nothing
                self.interrupted, self._is_fresh = True, False
                return None
        data = box[0]
        if data is None:
            self._box = []
            return None
        self._heartbeat.heard_at = self._now()
        if not data:
            raise ConnectionClosed("the connection was lost: it ended without a Close frame")
        self._is_fresh = False
        if isinstance(data, int):
            wire = sum(filter(None, box))  # type: ignore[arg-type] # there are numbers behind a number, nothing else
            decoded = self._decoder.fill(decoded, wire)
        else:
            wire = len(data)
            self._decoder.maximum_message_size = self._limit
            decoded = self._decoder.decode(decoded, data, basket(len(data)))
        messages = len(decoded.events)
        if not decoded.is_plain:
            messages = sum(isinstance(event, (str, bytes)) for event in decoded.events)
            decoded = decoded._replace(events=deque(decoded.events))  # type: ignore[arg-type] # to be taken one by one
        self._decoded = decoded, box
        self._is_admitted = False
        connection = self._connection
        tally = connection.tally
        tally.wire += wire  # behind the commit, so that nothing is counted twice
        connection.unfinished = decoded.unfinished
        tally.received += decoded.size
        tally.messages += messages
        connection.others_received += decoded.others
        if self._watch is not None:
            self._trace(self._watch, data, decoded)
        return decoded

    @property
    def _limit(self) -> Optional[int]:
        """How long the message may be that begins in the box."""
        return None if self._is_admitted else self._connection.size_limit

    def _trace(self, watch: FrameWatch, data: Union[bytes, int], decoded: Decoded) -> None:
        if isinstance(data, int):
            watch.skip(data)
        else:
            for header in watch.see(data):
                self._connection.tracer.emit("frame_received", **frame_fields(header))
        for event in decoded.events:
            if isinstance(event, Close):
                self._connection.tracer.emit("close_received", code=event.code, reason=event.reason)

    def _fetch(self, box: Box, fetch: Fetch) -> None:
        """Put into the box what one read brings: bytes, or how many went straight into a long message."""
        room = self._decoder.room(self._decoded[0]) if self._direct or self._recv_into else None
        if room is None:
            box.extend(map(fetch, self._most))
            self._ask_by(box[0])
            return
        with room:
            self._fill(box, room, fetch is self._patient)

    def _fill(self, box: Box, room: memoryview, is_patient: bool) -> None:
        direct = self._direct
        if direct is None:
            assert self._recv_into is not None
            box.extend(map(self._recv_into, (room,), (is_patient,)))
            return
        try:
            box.extend(map(direct.recv_into, (room,), (0,), (0 if is_patient else direct.recv_flags,)))
        except BlockingIOError:
            box.append(None)
        except OSError as error:
            if not is_of_socket(error):
                raise
            raise connection_lost(error) from error

    def _ask_by(self, data: Union[bytes, int, None]) -> None:
        """What one read has brought says how much the next one asks for."""
        self._most = self._much if isinstance(data, bytes) and len(data) >= LITTLE else self._little

    def _decode_left(self) -> Optional[Decoded]:
        """The same without another read: what is left of the last one, `None` if nothing is."""
        left = self._decoded[0].events or (self._box and self._box is not self._decoded[1])
        return self._decode_next(self._stream.recv) if left else None

    def publish_left(self) -> None:
        """Before the end: what was read and not looked at yet, because the task was suspended. Read role."""
        try:
            decoded = self._decode_left()
            while decoded is not None:
                with self._connection.mutex:
                    self._publish(decoded)
                decoded = self._decode_left()
        except ConnectionClosed:
            pass  # it was the end of the stream

    def _publish(self, decoded: Decoded) -> None:
        """Act on the events, in order. Mutex."""
        connection = self._connection
        events: Events = decoded.events
        while events:
            count = len(events) if decoded.is_plain else int(isinstance(events[0], (str, bytes)))
            if count:
                self._publish_messages(events, count)
            else:
                event = events[0]
                _ACTS[type(event)](self, event)
                del events[0]  # last, for each of them may come twice, and none may be left out
        connection.inbox.match(connection.strand)
        if connection.inbox.fault_is_next and connection.inbox.has_demand:
            connection.fail(connection.inbox.fault)
        self._settle()

    def _settle(self) -> None:
        """What was read is published: it may be forgotten."""
        self._box = []
        decoded, _ = self._decoded
        self._decoded = decoded, None  # the bytes are not to be kept
        self._is_fresh = decoded.is_between

    def _publish_messages(self, events: Events, count: int) -> None:
        inbox = self._inbox
        if not self._connection.closing_asked:
            inbox.publish(events, count)
        elif not inbox.is_full():
            inbox.publish(events, min(count, AT_THE_END))
        elif not isinstance(events, deque):  # nobody takes messages any more, and the peer's Close is behind them
            events.clear()
        else:
            del events[0]

    def _lost(self, error: Union[ConnectionClosed, OSError]) -> None:
        """The stream is at its end, or broke. A broken write that was noticed before it explains it better.

        What a signal handler raised in the place of a read is raised again.
        """
        if isinstance(error, OSError) and not is_of_socket(error):
            raise error
        self.at_end = True
        closed = connection_lost(error) if isinstance(error, OSError) else error
        self._connection.end(self._connection.outbox.broken or closed)

    def _note_interrupt(self) -> None:
        """What this thread has begun, the next one finishes: the engine thread, if nobody else."""
        self.interrupted, self._is_fresh = True, False
        self._connection.wake()

    # -- events: mutex -------------------------------------------------------------------------------------------------

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
        if connection.closing.received is None:  # else an interrupt has brought it here again
            connection.closing.receive(event.code, event.reason)
        code: Optional[int] = None if event.code == CloseCode.NO_STATUS_RECEIVED else event.code
        connection.outbox.close(code, None, urgent=True)
        connection.end_locked(ConnectionClosed(_describe(event), code=event.code, reason=event.reason, clean=True))
        self.at_end = True

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
        connection.inbox.defer(event.error)
        connection.fault_due = connection.clock.now() + connection.configuration.close_timeout


_ACTS: Dict[Type[object], Callable[[Receiver, Event], None]] = {
    Ping: Receiver._ping,
    Pong: Receiver._pong,
    Close: Receiver._close,
    Fault: Receiver._fault,
}


def _describe(close: Close) -> str:
    reason = f": {close.reason}" if close.reason else ""
    return f"the connection was closed with code {int(close.code)}{reason}"
