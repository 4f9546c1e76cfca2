"""What is to be sent, and the one place that writes it.

Any thread may append; whoever wins the write role takes what is queued, encodes and masks it, joins it up to 64 KiB and
makes one non-blocking `send`. What the kernel does not take is the `tail`, which nothing overtakes. Then the outbox is
stalled, and only the engine thread, which waits until the socket is writable again, sets it going.

Encoding happens when a message's turn comes, under the write role: compressing at the call would corrupt the shared
context if the message was withdrawn afterwards.

Order on the wire: an urgent Close (a reply, a failure), the pong, pings, messages in the order of the calls, and the
Close of a graceful end behind them. Of pongs only the newest is kept (RFC 6455 section 5.5.3), or a peer that pings and
does not read would fill the memory.

Invariants: bytes leave in the order they were taken; after a Close nothing is taken any more; an item that was begun
goes out whole; whoever lets the role go looks at the queue again, whoever appends tries the role afterwards.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, Iterator, List, Optional, Tuple, Union

from ..errors import ConnectionClosed
from ..protocol.closing import ClosingHandshake
from ..protocol.encoder import WHOLE, Encoder
from ..protocol.frames import Opcode
from ..strand import Strand
from ..transport.stream import Stream
from .completions import Completion
from .heartbeat import Ping
from .roles import Role

__all__ = ["Message", "Outbox"]

JOIN = 65_536
"""Bytes: small frames are joined up to here into one system call; more per call is no faster."""


MOST_PONGS = 16
"""One would be enough for the RFC, but a peer that sends ten pings at once likes to have ten answers."""


class Message:
    """A message on its way out."""

    __slots__ = ("begun", "completion", "opcode", "payload", "size")

    def __init__(self, opcode: Opcode, payload: bytes, completion: Completion[None]) -> None:
        self.opcode = opcode
        self.payload = payload
        self.size = len(payload)
        self.completion = completion
        self.begun = False


Farewell = Tuple[Optional[int], Optional[str]]
Unit = Union[Message, Tuple[Opcode, bytes]]


class Outbox:
    """The sending side of one connection. "Mutex" and "write role" say what a method needs."""

    def __init__(
        self, mutex: threading.Lock, strand: Strand, now: Callable[[], float], closing: ClosingHandshake
    ) -> None:
        self._mutex = mutex
        self._strand = strand
        self._now = now
        self._closing = closing
        self.role = Role()
        # mutex
        self._messages: Deque[Message] = deque()
        self._too_late: List[Message] = []
        self._pings: Deque[Ping] = deque()
        self._pongs: Deque[bytes] = deque(maxlen=MOST_PONGS)
        self._close: Optional[Farewell] = None
        self._close_is_urgent = False
        self._closed = False
        self.queued = 0
        self.sent = 0
        self.held = False
        self.broken: Optional[ConnectionClosed] = None
        # write role
        self._stream: Optional[Stream] = None
        self._encoder: Optional[Encoder] = None
        self._tail = memoryview(b"")
        self._current: Optional[Tuple[Message, Iterator[bytes]]] = None
        self._current_start = 0
        self._begun: Optional[Message] = None
        self._in_flight: Deque[Tuple[Message, int]] = deque()
        self._taken_total = 0
        self._sent_total = 0
        self.stalled = False

    def attach(self, stream: Stream, encoder: Encoder) -> None:
        """The connection is open: what was queued may go. Mutex."""
        self._stream, self._encoder = stream, encoder

    def detach(self) -> None:
        """The stream is closed: nobody may touch it any more. Write role."""
        self._stream = None

    def abandon(self, mutex: threading.Lock) -> None:
        """After a fork: the child shares nothing with the parent that it could send with."""
        self._mutex, self.role = mutex, Role()
        self.detach()
        if self._encoder is not None:
            self._encoder.drop_keys()

    # -- appending: mutex ----------------------------------------------------------------------------------------------

    def append(self, message: Message) -> None:
        """Queue a message behind the earlier ones."""
        self._messages.append(message)
        self.queued += message.size

    def append_too_late(self, message: Message) -> None:
        """The connection is about to end: this message is never sent and fails with the others, as the last."""
        self._too_late.append(message)

    def withdraw(self, message: Message) -> bool:
        """Take a message back whose sender gave up; `False` if its first byte has left, or its outcome is known."""
        if message.begun or message.completion.done:
            return False
        if message in self._too_late:
            self._too_late.remove(message)
        else:
            self._messages.remove(message)
            self.queued -= message.size
        message.completion.done = True
        return True

    def ping(self, ping: Ping) -> None:
        """Queue a ping before the messages."""
        self._pings.append(ping)

    def pong(self, payload: bytes) -> None:
        """Answer a ping; when too many answers wait, the oldest is given up for it."""
        self._pongs.append(payload)

    def close(self, code: Optional[int], reason: Optional[str], *, urgent: bool) -> None:
        """Send a Close: behind what is queued, or (`urgent`) before everything but a frame that was begun."""
        if self._closed:
            return
        if self._close is None or urgent:
            self._close, self._close_is_urgent = (code, reason), urgent

    def fail(self) -> List[Completion[None]]:
        """The connection has ended: every message that did not go out, in order. Mutex and write role.

        The bytes of a begun frame stay, and so does a Close that was asked for: they may still go out.
        """
        messages = [message for message, _ in self._in_flight]
        messages.extend(message for message in (self._current and self._current[0], self._begun) if message is not None)
        messages.extend(self._messages)
        messages.extend(self._too_late)
        self._messages.clear()
        self._too_late.clear()
        self._pings.clear()
        self._pongs.clear()
        self.queued = 0
        return [message.completion for message in dict.fromkeys(messages) if not message.completion.done]

    # -- looking: mutex ------------------------------------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """Whether a write would make sense now."""
        return not self.stalled and self.has_rest

    @property
    def wants_writable(self) -> bool:
        """Whether the engine thread has to wait until the socket takes more."""
        return self.stalled and self.has_rest

    @property
    def has_rest(self) -> bool:
        """Whether anything is left that may go out."""
        if self._stream is None or self.broken is not None or self.held:
            return False
        if len(self._tail) or self._current is not None or self._stream.has_output or self._in_flight:
            return True
        if self._closed:
            return False
        return bool(self._messages or self._pings or self._pongs or self._close is not None)

    @property
    def is_clean(self) -> bool:
        """Whether no frame is half written, so that another may follow at once."""
        return not len(self._tail) and self._current is None

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that the kernel has not taken yet."""
        current = self._current
        if current is None or current[0].completion.done:
            return self.queued
        return self.queued - min(max(self._sent_total - self._current_start, 0), current[0].size)

    # -- writing -------------------------------------------------------------------------------------------------------

    def pump(self, budget: int) -> None:
        """Write what is queued as long as the kernel takes it, at most about `budget` bytes. Any thread, no lock
        held.
        """
        end = self._sent_total + budget
        while self._sent_total < end:
            with self._mutex:
                if not self.has_work:
                    return
            if not self.role.attempt(self._write):
                return  # the holder looks again when it has let go

    def pump_alone(self, budget: int) -> None:
        """The same at the end of the connection. Write role: what was said decides what the end is called, so nobody
        else is trusted to look again.
        """
        end = self._sent_total + budget
        while self._sent_total < end:
            with self._mutex:
                if not self.has_work:
                    return
            self._write()

    def _write(self) -> None:
        """One joined write. Write role.

        An interrupt (Ctrl-C in the thread that writes) may leave unknown how much the kernel took: nothing that follows
        could be understood by the peer, so the connection counts as broken. Where the stream remembers it, the next
        write asks for it with the same bytes.
        """
        stream = self._stream
        if stream is None or self.broken is not None:  # it ended while the role was being won
            return
        try:
            if not len(self._tail):
                self._tail = memoryview(self._refill())
            accepted = stream.send(self._tail) if len(self._tail) else 0
            self._tail = self._tail[accepted:]
            self._sent_total += accepted
            flushed = stream.flush()
        except ConnectionClosed as error:
            self.broken = error
            return
        except BaseException as error:
            if not stream.remembers:
                self.broken = ConnectionClosed("sending was interrupted")
                self.broken.__cause__ = error
            raise
        self.stalled = not flushed or (not accepted and bool(len(self._tail)))
        if flushed:
            self._confirm()

    def _confirm(self) -> None:
        """The kernel has everything up to here: those messages are sent. Write role."""
        flight = self._in_flight
        while flight and flight[0][1] <= self._sent_total:
            with self._mutex:
                message, _ = flight[0]
                if not message.completion.done:  # else the connection has ended meanwhile
                    self.queued -= message.size
                    self.sent += message.size
                    message.completion.resolve(self._strand)
                flight.popleft()  # last: an interrupt must find it again

    def _refill(self) -> bytes:
        """What goes out next: the next piece of a long frame, or whole frames joined. Write role."""
        if self._current is not None:
            message, pieces = self._current
            piece = next(pieces, None)
            if piece is not None:
                self._taken_total += len(piece)
                return piece
            self._in_flight.append((message, self._taken_total))
            self._current = None  # last: an interrupt must find the message in one place at least
            return b""
        chunks: List[bytes] = []
        size = 0
        while size < JOIN and self._current is None:
            with self._mutex:
                unit = self._take()
            if unit is None:
                break
            chunk = self._encode(unit)
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)

    def _encode(self, unit: Unit) -> bytes:
        """The first bytes of a unit: the whole frame, unless it is a long one. Write role."""
        encoder = self._encoder
        assert encoder is not None
        if not isinstance(unit, Message):
            chunk = encoder.control(*unit)
            self._taken_total += len(chunk)
            return chunk
        self._current_start = self._taken_total
        pieces = encoder.pieces(unit.opcode, unit.payload)
        chunk = next(pieces)
        self._taken_total += len(chunk)
        if len(chunk) > WHOLE:  # there may be more of it; a frame that is one piece is hardly longer
            self._current = (unit, pieces)
        else:
            self._in_flight.append((unit, self._taken_total))
        self._begun = None
        return chunk

    def _take(self) -> Optional[Unit]:
        """The next unit by its rank. Mutex and write role."""
        if self._closed or self.held:
            return None
        if self._close is not None and (self._close_is_urgent or self._nothing_else):
            self._closed = True
            return Opcode.CLOSE, self._closing.send(*self._close)
        if self._pongs:
            return Opcode.PONG, self._pongs.popleft()
        if self._pings:
            ping = self._pings.popleft()
            ping.sent_at = self._now()
            return Opcode.PING, ping.payload
        if self._messages:
            message = self._messages.popleft()
            message.begun = True
            self._begun = message
            return message
        return None

    @property
    def _nothing_else(self) -> bool:
        return not (self._messages or self._pings or self._pongs)
