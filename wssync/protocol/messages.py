"""Messages in: bytes from the peer become messages, control frames, and at last a Close or a fault.

`Decoder.feed` takes whatever the network gave and returns what it completed; it never fetches, waits or calls back. How
the bytes were cut makes no difference to what comes out, nor does the way it was decoded: there are two.

**Whole frames.** Nearly all traffic is unmasked, unfragmented, uncompressed messages that lie in the bytes from end to
end. `frames.cut_messages` cuts them out in one loop, with no object per frame but the message. It knows no rule:
whatever it does not like, it leaves where it is.

**Everything else** goes frame by frame: rules first, as soon as the bits that break them are there, then the payload,
as much as has come. The part of an unfinished message is stored in one growing buffer and its text checked (`utf8`), so
a fault shows at the byte that makes it, and fragments leave nothing behind but their bytes: a message costs what it
weighs, in 1 fragment or in 65,536. Nothing is ever allocated because a header announced it.

**Limits.** `maximum_message_size` counts the payload of a message, all fragments, after decompression; uncompressed it
is judged by the announced length, compressed while inflating. Bytes bound the fragments too, but for empty ones: an
honest sender has few, and `MAX_EMPTY_FRAGMENTS` end the connection. A compressed message may moreover arrive in at most
`_WORST_DEFLATE` times the limit.

**Interrupts.** A `KeyboardInterrupt` may pass through `feed` at any point. All it has done until then is in objects of
its own (`_Pass`), and becomes the decoder's state by one assignment at the end; the buffer of a message is written at
places, not appended to. So an interrupted `feed` has not happened: feed the same bytes again.
"""

from __future__ import annotations

import io
from typing import List, NamedTuple, NoReturn, Optional, Union

from wssync.errors import ConnectionClosed, MessageTooBig, ProtocolError
from wssync.protocol.closing import decode_close
from wssync.protocol.deflate import Inflater
from wssync.protocol.frames import MAX_CONTROL_PAYLOAD, Header, Opcode, Role, read_header
from wssync.protocol.speed import cut_messages, mask
from wssync.protocol.utf8 import check_text, decode_text

__all__ = ["MAX_EMPTY_FRAGMENTS", "Close", "Decoder", "Event", "Fault", "Ping", "Pong"]

MAX_EMPTY_FRAGMENTS = 65_536
"""Frames of one message that may be empty. They cost nothing but time, yet without an end to them the message has none
either; a sender that keeps a slow message alive with one a second gets through eighteen hours."""

_WORST_DEFLATE = 16
"""Bytes on the wire for one byte of text, at the very worst: a sender that flushes after each byte spends about 8."""

_WORST_EMPTY = 1024  # and this much for nothing at all


class Ping(NamedTuple):
    """A Ping frame, to be answered with a Pong of the same payload (RFC 6455 section 5.5.2)."""

    payload: bytes


class Pong(NamedTuple):
    """A Pong frame, asked for or not (section 5.5.3)."""

    payload: bytes


class Close(NamedTuple):
    """The peer's Close frame. Code 1005 if it was empty, reason `None` if there was none (section 7.1.5 and 7.1.6)."""

    code: int
    reason: Optional[str]


class Fault(NamedTuple):
    """The peer broke a rule; nothing comes after this. `error.code` is what to close with: 1002, 1007 or 1009."""

    error: ConnectionClosed
    in_message: bool = False
    """Whether that was in the middle of a message."""


Event = Union[str, bytes, Ping, Pong, Close, Fault]
"""What `feed` returns: a text message, a binary message, or one of the four above."""


class Decoder:
    """Decodes what one side receives. Not thread-safe; only whoever may read uses it.

    `maximum_message_size` (bytes, `None` for no limit) may be set by anybody at any time; it holds for messages that
    begin afterwards. With an `inflater` messages may be compressed.
    """

    def __init__(self, role: Role, *, maximum_message_size: Optional[int], inflater: Optional[Inflater] = None) -> None:
        self.maximum_message_size = maximum_message_size
        self._role = role
        self._state = _State(inflater=inflater)

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._state.message is not None

    @property
    def failed(self) -> bool:
        """Whether the last event was a `Fault`."""
        return self._state.failed

    def feed(self, data: bytes) -> List[Event]:
        """Decode these bytes and return all that is complete now, in order. Raises nothing.

        A `Close` or a `Fault` is the last event ever; what the peer sends after it is ignored (section 1.4).
        """
        state = self._state
        if state.over:
            return []
        if state.tail:
            data = state.tail + data
        events: List[Event] = []
        position = 0
        limit = self.maximum_message_size
        if state.message is None and self._role is Role.CLIENT:
            position, _ = cut_messages(data, 0, limit, events)
        if position < len(data) or state.tail:
            self._state = _Pass(self._role, limit, state, data, events).run(position)
        return events  # straight after the assignment: nothing can interrupt between the two


class _State(NamedTuple):
    """What a decoder knows between two feeds."""

    tail: bytes = b""
    """The start of a frame that cannot be handled yet: part of a header, or of a control frame."""
    message: Optional[_Message] = None
    inflater: Optional[Inflater] = None
    over: bool = False
    failed: bool = False


class _Message:
    """A message that has begun, and the frame of it that is arriving. Each pass works on a copy of its own."""

    def __init__(self, header: Header, limit: Optional[int]) -> None:
        self.is_text = header.opcode == Opcode.TEXT
        self.is_compressed = bool(header.rsv)
        self._limit = limit
        self._buffer: Optional[io.BytesIO] = None
        self._stored = 0
        self._unfinished = b""  # the bytes of a character that the next piece may complete
        self._announced = 0  # bytes of payload in all frames so far, as they are on the wire
        self._empty = 0

    def copy(self) -> _Message:
        """Give one that goes on from here; both write to the same buffer, at the places where their bytes belong."""
        twin: _Message = _Message.__new__(_Message)
        twin.__dict__.update(self.__dict__)
        return twin

    def begin_frame(self, header: Header) -> None:
        """Take in a header. Raises `MessageTooBig` if this frame passes a limit, before any of it is read."""
        self.fin = header.fin
        self.left = header.length
        self._key = header.key
        self._taken = 0
        self._announced += header.length
        limit = self._limit
        if not header.length:
            self._empty += 1
            if self._empty > MAX_EMPTY_FRAGMENTS:
                self._fail(f"a message of more than {MAX_EMPTY_FRAGMENTS} empty fragments")
        elif limit is None:
            return
        elif not self.is_compressed and self._announced > limit:
            self._fail(f"a message of {self._announced} bytes or more, where {limit} are allowed")
        elif self._announced > limit * _WORST_DEFLATE + _WORST_EMPTY:
            self._fail(f"a message of {self._announced} compressed bytes or more, where {limit} are allowed inflated")

    def take(self, data: bytes, position: int) -> bytes:
        """Give what `data` holds of this frame's payload from `position` on, unmasked."""
        piece = data[position : position + self.left]
        self.left -= len(piece)
        if self._key is None:
            return piece
        offset, self._taken = self._taken, self._taken + len(piece)
        return mask(piece, self._key, offset)

    def inflate(self, inflater: Inflater, piece: bytes, is_last: bool) -> bytes:
        """Decompress a piece. Raises what `Inflater.inflate` raises."""
        made = inflater.inflate(piece, self._limit)
        return made + inflater.finish(self._limit) if is_last else made

    def store(self, piece: bytes) -> None:
        """Keep a piece that is not the last. Raises `ProtocolError` if it makes the text impossible."""
        if self.is_text:
            self._unfinished = check_text(self._unfinished + piece)
        self._write(piece)

    def complete(self, piece: bytes) -> Union[str, bytes]:
        """Give the whole message, which ends with this piece. Raises `ProtocolError` if it should be text and is
        not."""
        if self._buffer is not None:
            piece = self._write(piece).getvalue()  # no copy: the buffer gives away what it holds
        return decode_text(piece) if self.is_text else piece

    def _write(self, piece: bytes) -> io.BytesIO:
        if self._buffer is None:
            self._buffer = io.BytesIO()
        self._buffer.seek(self._stored)
        self._buffer.write(piece)
        self._stored += len(piece)
        return self._buffer

    def _fail(self, problem: str) -> NoReturn:
        raise MessageTooBig(f"{problem} (RFC 6455 section 7.4.1)", size=self._announced, limit=self._limit or 0)


class _Pass:
    """One call of `feed` at work, frame by frame. Nothing it does counts before `run` has returned the new state."""

    def __init__(self, role: Role, limit: Optional[int], state: _State, data: bytes, events: List[Event]) -> None:
        self._position = 0
        self._events = events
        self._role = role
        self._limit = limit
        self._data = data
        self._message = None if state.message is None else state.message.copy()
        self._inflater = state.inflater
        self._owns_inflater = False
        self._over = False

    def run(self, position: int) -> _State:
        """Work through the data from there and return what the decoder knows then. Raises nothing of its own."""
        self._position = position
        try:
            while self._take_payload() if self._message is not None and self._message.left else self._take_frame():
                pass
        except ConnectionClosed as error:
            error.with_traceback(None)  # the frames would keep the data alive
            self._events.append(Fault(error, self._message is not None))
            return _State(over=True, failed=True)
        if self._over:
            return _State(over=True)
        return _State(self._data[self._position :], self._message, self._inflater)

    def _cut(self) -> None:
        """Take the short way as far as it goes."""
        if self._message is None and self._role is Role.CLIENT:
            self._position, _ = cut_messages(self._data, self._position, self._limit, self._events)

    def _take_frame(self) -> bool:
        """Begin the next frame. False: it needs more bytes, or it was the last one that counts."""
        data, position = self._data, self._position
        if len(data) < position + 2:
            return False
        problem = _violation(data[position], data[position + 1], self._role, self._message, self._inflater)
        if problem is not None:
            raise ProtocolError(problem)
        header = read_header(data, position)
        if header is None:
            return False
        _check_length(header)
        if header.opcode >= Opcode.CLOSE:
            return self._take_control(header)
        if self._message is None:
            self._message = _Message(header, self._limit)
        self._message.begin_frame(header)
        self._position = header.end
        return self._take_payload()

    def _take_payload(self) -> bool:
        """Take what is there of the present frame. False: there must come more of it."""
        message = self._message
        assert message is not None
        left = message.left
        piece = message.take(self._data, self._position)
        self._position += left - message.left
        is_last = message.fin and not message.left
        if message.is_compressed:
            piece = message.inflate(self._own_inflater(), piece, is_last)
        if is_last:
            self._events.append(message.complete(piece))
            self._message = None
            self._cut()
        else:
            message.store(piece)
        return not message.left

    def _take_control(self, header: Header) -> bool:
        end = header.end + header.length
        if end > len(self._data):
            return False
        payload = self._data[header.end : end]
        if header.key is not None:
            payload = mask(payload, header.key)
        self._position = end
        if header.opcode == Opcode.CLOSE:
            self._events.append(Close(*decode_close(payload)))
            self._over = True
            return False
        self._events.append(Ping(payload) if header.opcode == Opcode.PING else Pong(payload))
        self._cut()
        return True

    def _own_inflater(self) -> Inflater:
        """Give an inflater that may be spoilt: an interrupted pass must leave the decoder's where it was."""
        assert self._inflater is not None
        if not self._owns_inflater:
            self._inflater = self._inflater.copy()
            self._owns_inflater = True
        return self._inflater


_OPCODES = frozenset(Opcode)


def _violation(
    first: int, second: int, role: Role, message: Optional[_Message], inflater: Optional[Inflater]
) -> Optional[str]:
    """Name the rule that a frame with these first two bytes breaks, whatever the rest of it may be."""
    opcode = first & 0x0F
    if opcode not in _OPCODES:
        return f"opcode {opcode:#x} is reserved (RFC 6455 section 5.2)"
    if first & 0x70 and (first & 0x30 or inflater is None):
        return "a reserved bit is set and no extension uses it (RFC 6455 section 5.2)"
    if first & 0x40 and opcode not in (Opcode.TEXT, Opcode.BINARY):
        return "RSV1 is set on a frame that does not begin a message (RFC 7692 section 6.1)"
    if bool(second & 0x80) is not (role is Role.SERVER):
        kind = "a masked" if second & 0x80 else "an unmasked"
        return f"the {role.peer.value} sent {kind} frame (RFC 6455 section 5.1)"
    if opcode >= Opcode.CLOSE:
        return _control_violation(first, second)
    return _order_violation(opcode, message)


def _control_violation(first: int, second: int) -> Optional[str]:
    if not first & 0x80:
        return "a control frame is fragmented (RFC 6455 section 5.5)"
    if second & 0x7F > MAX_CONTROL_PAYLOAD:
        return f"a control frame is longer than {MAX_CONTROL_PAYLOAD} bytes (RFC 6455 section 5.5)"
    return None


def _order_violation(opcode: int, message: Optional[_Message]) -> Optional[str]:
    if opcode == Opcode.CONTINUATION and message is None:
        return "a continuation frame continues no message (RFC 6455 section 5.4)"
    if opcode != Opcode.CONTINUATION and message is not None:
        return "a new message begins inside a fragmented one (RFC 6455 section 5.4)"
    return None


def _check_length(header: Header) -> None:
    if not header.is_shortest:
        raise ProtocolError("a frame's length does not have its shortest form (RFC 6455 section 5.2)")
    if header.length >> 63:
        raise ProtocolError("a frame's length has its top bit set (RFC 6455 section 5.2)")
