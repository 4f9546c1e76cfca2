"""The one place that writes what is to be sent.

Any thread may append; whoever wins the write role takes what is queued, encodes and masks it, joins it up to 64 KiB and
makes one non-blocking `send`. What the kernel does not take is the `tail`, which nothing overtakes. Then the outbox is
stalled, and only the engine thread, which waits until the socket is writable again, sets it going.

Encoding happens when a message's turn comes, under the write role: compressing at the call would corrupt the shared
context if the message was withdrawn afterwards.

Invariants: bytes leave in the order they were taken; after a Close nothing is taken any more; an item that was begun
goes out whole; whoever lets the role go looks at the queue again, whoever appends tries the role afterwards.
"""

from __future__ import annotations

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, Callable, Deque, Iterator, List, NamedTuple, Optional, Tuple, Union
from ..protocol.closing import ClosingHandshake
from ..protocol.encoder import WHOLE, Encoder, Piece
from ..protocol.frames import Opcode
from ..strand import Strand
from ..transport.stream import Stream, connection_lost, is_of_socket
from .completions import Completion, Waiter
from .express import make_express
from .outgoing import Message, Outgoing, ShortWay, Unit
from .queues import EMPTY, own
from .roles import Role
from .tracing import FrameWatch, frame_fields

if TYPE_CHECKING:
    from ..protocol.frames import Header
    from .accelerated import Lock
    from .tracing import Tracer
    from .ways import Begun

__all__ = ["Message", "Outbox"]

JOIN = 65_536
"""Bytes: small frames are joined up to here into one system call; more per call is no faster."""


class Counts(NamedTuple):
    """Bytes of messages, messages, and bytes of all frames."""

    sent: int = 0
    messages_sent: int = 0
    wire_sent: int = 0


_NO_COUNTS = Counts()
"""For the short way of every connection that has none yet."""


_NOTHING = memoryview(b"")
"""The tail when all has left: one for all, which keeps no frame alive."""


class Outbox(Outgoing):
    """The sending side of one connection. "Mutex" and "write role" say what a method needs."""

    # With so many names an instance's dictionary would be the heaviest part of an idle connection.
    __slots__ = (
        "_at_once",
        "_current",
        "_current_start",
        "_encoder",
        "_in_flight",
        "_messages_sent",
        "_mutex",
        "_sent",
        "_sent_total",
        "_strand",
        "_stream",
        "_tail",
        "_taken_total",
        "_tracer",
        "_watch",
        "_way",
        "_wire_sent",
        "broken",
        "is_awaited",
        "others_sent",
        "role",
        "stalled",
        "struck",
    )

    def __init__(self, mutex: Lock, strand: Strand, now: Callable[[], float], closing: ClosingHandshake) -> None:
        self._mutex = mutex
        super().__init__(now, closing)
        self._strand = strand
        self.role = Role()
        self._sent = self._messages_sent = self._wire_sent = 0
        """The `counts` of what left the queue. Write role."""
        self._at_once: Union[ShortWay, Counts] = _NO_COUNTS
        """What counts what goes past it."""
        self.others_sent = 0
        """Frames that are no message. Write role."""
        self.broken: Optional[ConnectionClosed] = None  # mutex; all below: write role
        self.struck: Optional[Begun] = None
        """Who may have a frame that has begun to leave, while an exception keeps that from being looked after."""
        self._stream: Optional[Stream] = None
        self._encoder: Optional[Encoder] = None
        self._tail = _NOTHING
        self._current: Optional[Tuple[Message, Iterator[Piece]]] = None
        self._current_start = 0
        self._in_flight: Deque[Tuple[Message, int]] = EMPTY
        self._taken_total = 0
        self._sent_total = 0
        self._way: Optional[ShortWay] = None
        self._tracer: Optional[Tracer] = None
        self._watch: Optional[FrameWatch] = None
        self.stalled = False
        self.is_awaited = False
        """Whether messages are about to be queued that nobody may go past. Mutex."""

    def attach(
        self, stream: Stream, encoder: Encoder, flush: Callable[[], None], tracer: Optional[Tracer] = None
    ) -> None:
        """The connection is open: what was queued may go. Mutex.

        Whoever goes the short way calls `flush` if others have left work meanwhile. If somebody listens to the tracer,
        each frame is told, and none goes that way.
        """
        self._stream, self._encoder = stream, encoder
        if tracer is not None and tracer.is_heard:
            self._tracer, self._watch = tracer, FrameWatch()
        else:
            self._way = self._at_once = make_express(self, encoder, stream, flush)
        self._review()

    def detach(self) -> None:
        """The stream is closed: nobody may touch it any more. Write role."""
        if self._way is not None:
            self._way.close()
        counted = self._at_once
        self._at_once = Counts(counted.sent, counted.messages_sent, counted.wire_sent)
        self._stream = self._way = self.express = None

    def abandon(self, mutex: Lock) -> None:
        """After a fork: the child shares nothing with the parent that it could send with."""
        self._mutex, self.role = mutex, Role()
        self.detach()
        if self._encoder is not None:
            self._encoder.drop_keys()

    def _review(self) -> None:
        """Open the short way if nothing is left in it. Mutex and write role."""
        if self._current is None and not (
            self.is_barred or self.stalled or self.has_rest or self.broken or self.is_awaited
        ):
            self.express = self._way

    def fail(self) -> List[Completion[None]]:
        """The connection has ended: every message that did not go out, in order. Mutex and write role.

        The bytes of a begun frame stay, and so does a Close that was asked for: they may still go out.
        """
        messages = [message for message, _ in self._in_flight]
        messages.extend(message for message in (self._current and self._current[0], self._begun) if message is not None)
        messages.extend(self.give_up())
        return [message.completion for message in dict.fromkeys(messages) if not message.completion.done]

    @property
    def counts(self) -> Counts:
        """What was handed to the kernel, by whichever way. Any thread."""
        short = self._at_once
        return Counts(
            self._sent + short.sent, self._messages_sent + short.messages_sent, self._wire_sent + short.wire_sent
        )

    # -- looking: mutex ------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left, seen at a glance; false says nothing. The mutex is not needed."""
        return self.express is not None and self._stream is not None and not self._stream.has_output

    @property
    def has_work(self) -> bool:
        """Whether a write would make sense now."""
        return not self.stalled and self.has_rest

    @property
    def has_rest(self) -> bool:
        """Whether anything is left that may go out."""
        stream = self._stream
        if stream is None or self.broken is not None or self._held:
            return False
        if len(self._tail) or self._current is not None or self._in_flight or stream.has_output:
            return True
        return self.has_next or self.struck is not None

    @property
    def is_clean(self) -> bool:
        """Whether no frame is half written, so that another may follow at once."""
        return not len(self._tail) and self._current is None and self.struck is None

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that the kernel has not taken yet."""
        current = self._current
        if current is None or current[0].completion.done:
            return self.queued
        return self.queued - min(max(self._sent_total - self._current_start, 0), current[0].size)

    @property
    def leaving(self) -> int:
        """Bytes of messages that the kernel has, and that `sent` will have when it has the whole message. Of a
        compressed one that is an estimate.
        """
        on_wire, current, begin = self._sent_total, self._current, self._current_start  # it moves, so it is seen first
        flight = [(message, end) for message, end in self._in_flight.copy() if not message.completion.done]
        total = sum(min(message.size, max(0, message.size - (end - on_wire))) for message, end in flight)
        if current is None or current[0].completion.done or any(message is current[0] for message, _ in flight):
            return total
        return total + min(max(on_wire - begin, 0), current[0].size)

    # -- writing -------------------------------------------------------------------------------------------------------

    def pump(self, budget: int) -> bool:
        """Write what is queued as long as the kernel takes it, at most about `budget` bytes; whether that ended it. Any
        thread, no lock held.
        """
        end = self._sent_total + budget
        while self._sent_total < end:
            with self._mutex:
                if not self.has_work:
                    return False
            if not self.role.attempt(lambda: self._write(end)):
                return False  # the holder looks again when it has let go
        return True

    def pump_alone(self, budget: int) -> None:
        """The same at the end of the connection. Write role: what was said decides what the end is called, so nobody
        else is trusted to look again.
        """
        end = self._sent_total + budget
        while self._sent_total < end:
            with self._mutex:
                if not self.has_work:
                    return
            self._write(end)

    def _write(self, end: int) -> None:
        """One joined write, or as many as a long message has pieces, as long as the kernel takes them whole and less
        than `end` bytes were sent. Write role.

        An interrupt (Ctrl-C in the thread that writes) may leave unknown how much the kernel took: nothing that follows
        could be understood by the peer, so the connection counts as broken. Where the stream remembers it, the next
        write asks for it with the same bytes.
        """
        stream = self._stream
        if self.struck is not None:
            self.recover(self.struck)
        if stream is None or self.broken is not None:  # it ended while the role was being won
            return
        try:
            taken = self._hand_over(stream, end)
            flushed = stream.flush()
        except ConnectionClosed as error:
            self.broken = error
            return
        except BaseException as error:
            if not stream.remembers:
                self.broken = ConnectionClosed("sending was interrupted")
                self.broken.__cause__ = error
            raise
        self.stalled = not flushed or (not len(taken) and bool(len(self._tail)))
        if flushed:
            self._confirm()
            with self._mutex:
                self._review()
        if self._watch is not None:
            self._trace_frames(self._watch.see(bytes(taken)))

    def _hand_over(self, stream: Stream, end: int) -> memoryview:
        """See `_write`; what the stream took of the last piece. Write role."""
        while True:
            if not len(self._tail):
                self._tail = memoryview(self._refill())
            tail = self._tail
            accepted = stream.send(tail) if len(tail) else 0
            self._tail = tail[accepted:]
            self._sent_total += accepted
            self._wire_sent += accepted
            if self._current is None or len(self._tail) or self._sent_total >= end:
                return tail[:accepted]
            if self._in_flight or stream.has_output or self._watch is not None:  # to be confirmed, handed down, told
                return tail[:accepted]

    def _trace_frames(self, headers: List[Header]) -> None:
        """Told when the first bytes of the payload have left. Write role."""
        assert self._tracer is not None
        for header in headers:
            self._tracer.emit("frame_sent", **frame_fields(header))
            if header.opcode == Opcode.CLOSE and self._closing.sent is not None:
                code, reason = self._closing.sent
                self._tracer.emit("close_sent", code=code, reason=reason)

    # -- the short way: write role -------------------------------------------------------------------------------------

    def keep_rest(self, way: Begun, first: int, payload: bytes) -> Message:
        """The kernel is full: what it did not take of a message goes before everything else."""
        message = Message(Opcode(first & 0x0F), payload, Waiter())
        message.begun = True
        message.size = 0  # an interrupt must not find it counted in one place and not in the other
        self.recover(way)
        self._add_to_flight(message)
        with self._mutex:
            message.size = len(payload)
            self.queued += message.size
        return message

    def recover(self, way: Begun) -> None:
        """The short way was not gone to its end, or an interrupt came: what has begun to leave goes out whole.

        Nothing else is on its way, so the counts of what was taken and sent begin anew.
        """
        self.express = None
        try:
            rest = way.rest()
        except ConnectionClosed as error:
            self.broken, self.struck = error, None
            return
        if rest is not None:
            accepted, frame = rest
            self._tail, self.stalled = memoryview(frame)[accepted:], True
            self._taken_total, self._sent_total = len(frame), accepted
        way.forget()  # last: an interrupt must find it again
        self.struck = None
        self._wire_sent += 0 if rest is None else rest[0]

    def broke(self, way: Begun, error: BaseException) -> bool:
        """The short way ended in an exception: whether it says that the connection broke. Others come from outside."""
        self.express = None
        if isinstance(error, ConnectionClosed):
            self.broken = error
        elif is_of_socket(error):
            self.broken = connection_lost(error)
        else:
            self.recover(way)
            return False
        self.struck = None
        return True

    def _confirm(self) -> None:
        """The kernel has everything up to here: those messages are sent. Write role."""
        self._tail = self._tail or _NOTHING
        flight = self._in_flight
        while flight and flight[0][1] <= self._sent_total:
            with self._mutex:
                message, _ = flight[0]
                if not message.completion.done:  # else the connection has ended meanwhile
                    self.queued -= message.size
                    self._sent += len(message.payload)
                    self._messages_sent += 1
                    message.completion.resolve(self._strand)
                flight.popleft()  # last: an interrupt must find it again

    def _refill(self) -> Piece:
        """What goes out next: the next piece of a long frame, or whole frames joined. Write role."""
        if self._current is not None:
            message, pieces = self._current
            piece = next(pieces, None)
            if piece is not None:
                self._taken_total += len(piece)
                return piece
            self._add_to_flight(message)
            self._current = None  # last: an interrupt must find the message in one place at least
            return b""
        chunks: List[Piece] = []
        size = 0
        while size < JOIN and self._current is None:
            with self._mutex:
                unit = self.take()
            if unit is None:
                break
            chunk = self._encode(unit)
            chunks.append(chunk)
            size += len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _encode(self, unit: Unit) -> Piece:
        """The first bytes of a unit: the whole frame, unless it is a long one. Write role."""
        encoder = self._encoder
        assert encoder is not None
        if not isinstance(unit, Message):
            control = encoder.control(*unit)
            self.others_sent += 1
            self._taken_total += len(control)
            return control
        self._current_start = self._taken_total
        pieces = encoder.pieces(unit.opcode, unit.payload)
        chunk = next(pieces)
        self._taken_total += len(chunk)
        if len(chunk) > WHOLE:  # there may be more of it; a frame that is one piece is hardly longer
            self._current = (unit, pieces)
        else:
            self._add_to_flight(unit)
        self._begun = None
        return chunk

    def _add_to_flight(self, message: Message) -> None:
        """All of it was taken up to here: it is sent when the kernel has that. Write role."""
        self._in_flight = own(self._in_flight)
        self._in_flight.append((message, self._taken_total))
