"""Messages in: bytes from the peer become messages, control frames, and at last a Close or a fault.

`Decoder.feed` takes whatever the network gave and returns what it completed; it never fetches, waits or calls back. How
the bytes were cut makes no difference to what comes out, nor does the way it was decoded: there are two.

**Whole frames.** Nearly all traffic is unmasked, unfragmented, uncompressed messages that lie in the bytes from end to
end. `frames.cut_messages` cuts them out in one loop, with no object per frame but the message. It knows no rule:
whatever it does not like, it leaves where it is. A control frame behind them that is whole, and the last, is taken too.

**Everything else** goes frame by frame: rules first, as soon as the bits that break them are there, then the payload,
as much as has come (`unfinished`). The start of a long message of one frame, about which there is nothing to be said,
goes the same way without a look at each rule; what follows of it may be put straight to its place (`room`, `fill`).

**Limits.** `maximum_message_size` counts the payload of a message, all fragments, after decompression; uncompressed it
is judged by the announced length, compressed while inflating. Bytes bound the fragments too, but for empty ones: an
honest sender has few, and too many end the connection. A compressed message may moreover arrive in at most so many
times the limit as the worst of senders needs.

**Interrupts.** A `KeyboardInterrupt` may pass through at any point. Decoding changes nothing: it makes a new `Decoded`
out of the last one and the bytes, in objects of its own, and the buffer of a message is written at places, not appended
to. What counts is the assignment by which a `Decoded` becomes the last one, in `feed` or by whoever calls `decode`. So
an interrupted `feed` has not happened: feed the same bytes again.
"""

from __future__ import annotations

from wssync.errors import ConnectionClosed, ProtocolError
from wssync.hints import List, NamedTuple, Optional, Union
from wssync.protocol.closing import decode_close
from wssync.protocol.deflate import Inflater
from wssync.protocol.frames import MAX_CONTROL_PAYLOAD, Header, Opcode, Role, read_header
from wssync.protocol.speed import Row, cut_messages, mask
from wssync.protocol.unfinished import ROOM_FROM, UnfinishedMessage
from wssync.protocol.violations import check_length, violation

__all__ = ["Close", "Decoded", "Decoder", "Event", "Events", "Fault", "Ping", "Pong", "begun"]

_SHORT = 2048
"""Bytes of a binary message that waits for its end as it is; joining it anew with each piece must not cost much."""


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

Events = Union[List[Event], Row]
"""Several of them; in a row, messages that are not made objects yet."""


class Decoded(NamedTuple):
    """What the bytes so far have come to: the events of the last of them, and what is known for the next."""

    events: Events
    is_plain: bool = True
    """Whether all events are messages."""
    size: int = 0
    """Bytes of payload, after decompression, in the messages among the events."""
    tail: bytes = b""
    """The start of a frame that cannot be handled yet."""
    message: Optional[UnfinishedMessage] = None
    """The message that has begun and is not complete."""
    inflater: Optional[Inflater] = None
    over: bool = False
    failed: bool = False
    lacks: int = 0
    """Bytes that will complete the short message of which the tail is the start; 0 if it is something else."""
    others: int = 0
    """Frames among those bytes that ended no message: fragments before the last, and control frames."""

    @property
    def unfinished(self) -> int:
        """Bytes of payload, after decompression, that are stored of the message that has begun."""
        return 0 if self.message is None else self.message.stored

    @property
    def lacking(self) -> int:
        """Bytes that will complete the message that has begun; 0 where none has, or that is not known."""
        message = self.message
        return self.lacks if message is None else message.left if message.fin else 0

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins a message, or a frame between messages."""
        return not (self.tail or self.over) and self.message is None


class Decoder:
    """Decodes what one side receives. Not thread-safe; only whoever may read uses it.

    `maximum_message_size` (bytes, `None` for no limit) may be set by anybody at any time; it holds for messages that
    begin afterwards. With an `inflater` messages may be compressed.
    """

    __slots__ = ("__dict__", "_is_client", "_role", "last", "maximum_message_size")

    def __init__(self, role: Role, *, maximum_message_size: Optional[int], inflater: Optional[Inflater] = None) -> None:
        self.maximum_message_size = maximum_message_size
        self._role = role
        self._is_client = role is Role.CLIENT
        self.last = Decoded([], inflater=inflater)

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        last = self.last
        return last.message is not None or (bool(last.tail) and _lacking(last.tail, 0, None) > 0)

    @property
    def failed(self) -> bool:
        """Whether the last event was a `Fault`."""
        return self.last.failed

    def feed(self, data: bytes) -> List[Event]:
        """Decode these bytes and return all that is complete now, in order. Raises nothing.

        A `Close` or a `Fault` is the last event ever; what the peer sends after it is ignored (section 1.4).
        """
        events: List[Event] = []
        self.last = self.decode(self.last, data, events)
        return events  # straight after the assignment: nothing can interrupt between the two

    def decode(self, last: Decoded, data: bytes, events: Events) -> Decoded:
        """Decode the bytes that follow those of `last` into `events`, which are none yet, and change nothing else; for
        a caller that keeps `last` itself. Raises nothing.
        """
        if last.over:
            return last._replace(events=events, is_plain=True, size=0)
        position = size = begin = 0
        limit = self.maximum_message_size
        if last.tail:
            if 0 < last.lacks <= len(data):  # what is long is not copied to complete what is short
                size = cut_messages(last.tail + data[: last.lacks], 0, limit, events)[1]
                begin = last.lacks if events else 0
            data = data if begin else last.tail + data
        if self._is_client and last.message is None:
            position, more = cut_messages(data, begin, limit, events)
            size += more
            if position == len(data):
                return Decoded(events, True, size, inflater=last.inflater)
            start = self._decode_start(last, data, position, events, size)
            if start is not None:
                return start
        return _Pass(self._role, limit, last, data, events).run(position, size)

    def _decode_start(self, last: Decoded, data: bytes, position: int, events: Events, size: int) -> Optional[Decoded]:
        """Decode what comes after whole messages most often: the start of one more, or a control frame. `None`: it is
        something else.
        """
        limit = self.maximum_message_size
        lacks = _lacking(data, position, limit)
        if lacks:
            return Decoded(events, True, size, data[position:], inflater=last.inflater, lacks=lacks)
        message = begun(data, position, limit)
        if message is not None:
            return Decoded(events, True, size, message=message, inflater=last.inflater)
        control = _lone_control(data, position)
        if control is None:
            return None
        events.append(control)
        over = isinstance(control, Close)
        return Decoded(events, False, size, inflater=None if over else last.inflater, over=over, others=1)

    def room(self, last: Decoded) -> Optional[memoryview]:
        """Where the bytes that follow those of `last` may be put instead of being fed; `None` where they must be fed.

        There is room inside a long frame whose payload is the message's own text. Whoever has filled some of it
        releases it, and calls `fill`; who was interrupted may ask again and put the same bytes there again.
        """
        message = last.message
        if message is None or message.needs_work or (message.left < ROOM_FROM and not message.had_room_to_end):
            return None
        return message.room(0)

    def fill(self, last: Decoded, count: int) -> Decoded:
        """Decode `count` bytes (> 0) that were put into the room. Otherwise as `decode`."""
        message = last.message
        assert message is not None
        message = message.copy()
        try:
            message.filled(count)
            if message.left or not message.fin:
                return Decoded([], message=message, inflater=last.inflater)
            return Decoded([message.complete(b"")], size=message.size, inflater=last.inflater)
        except ConnectionClosed as error:
            return _failed(error, [], 0, True)


class _Pass:
    """One call of `feed` at work, frame by frame. Nothing it does counts before `run` has returned the new state."""

    def __init__(self, role: Role, limit: Optional[int], last: Decoded, data: bytes, events: Events) -> None:
        self._position = self._size = self._others = 0
        self._is_plain = True
        self._events = events
        self._role = role
        self._limit = limit
        self._data = data
        self._message = None if last.message is None else last.message.copy()
        self._inflater = last.inflater
        self._owns_inflater = False
        self._over = False

    def run(self, position: int, size: int) -> Decoded:
        """Work through the data from there, behind messages of so many bytes. Raises nothing of its own."""
        self._position, self._size = position, size
        try:
            while self._take_payload() if self._message is not None and self._message.left else self._take_frame():
                pass
        except ConnectionClosed as error:
            failed = _failed(error, self._events, self._size, self._message is not None)
            return failed._replace(others=self._others)
        if self._over:
            return Decoded(self._events, False, self._size, over=True, others=self._others)
        rest = self._data[self._position :]
        message, inflater, others = self._message, self._inflater, self._others
        return Decoded(self._events, self._is_plain, self._size, rest, message, inflater, others=others)

    def _cut(self) -> None:
        """Take the short way as far as it goes."""
        if self._message is None and self._role is Role.CLIENT:
            self._position, size = cut_messages(self._data, self._position, self._limit, self._events)
            self._size += size

    def _take_frame(self) -> bool:
        """Begin the next frame. False: it needs more bytes, or it was the last one that counts."""
        data, position = self._data, self._position
        if len(data) < position + 2:
            return False
        problem = violation(
            data[position], data[position + 1], self._role, self._message is not None, self._inflater is not None
        )
        if problem is not None:
            raise ProtocolError(problem)
        header = read_header(data, position)
        if header is None:
            return False
        check_length(header)
        if header.opcode >= Opcode.CLOSE:
            return self._take_control(header)
        if self._message is None:
            self._message = UnfinishedMessage(header, self._limit)
        self._message.begin_frame(header)
        self._position = header.end
        self._others += not header.fin
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
            self._size += message.size
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
        self._is_plain = False
        self._others += 1
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


def _failed(error: ConnectionClosed, events: Events, size: int, in_message: bool) -> Decoded:
    error.with_traceback(None)  # the frames would keep the data alive
    events.append(Fault(error, in_message))
    return Decoded(events, False, size, over=True, failed=True)


def _lacking(data: bytes, position: int, limit: Optional[int]) -> int:
    """How many bytes lack if a short binary message begins there, about which nothing can be said before it is whole;
    else 0.
    """
    here = len(data) - position
    if here < 2 or data[position] != 0x82:
        return 0
    length, least, header = data[position + 1], 0, 2
    if length == 126 and here >= 4:
        length, least, header = data[position + 2] << 8 | data[position + 3], 126, 4
    elif length > 125:  # it is not all there, or longer, or masked
        return 0
    return header + length - here if least <= length <= (_SHORT if limit is None else min(_SHORT, limit)) else 0


def begun(data: bytes, position: int, limit: Optional[int]) -> Optional[UnfinishedMessage]:
    """The message that begins there, if it is a long one in one frame, all that is left of the data, and no rule is
    broken.
    """
    payload = position + 10
    if len(data) < payload or data[position] not in (0x81, 0x82) or data[position + 1] != 127:
        return None
    length = int.from_bytes(data[position + 2 : payload], "big")
    if length < 1 << 16 or length >> 63 or length <= len(data) - payload:
        return None
    header = Header(True, 0, data[position] & 0x0F, None, length, True, payload)
    message = UnfinishedMessage(header, limit)
    try:
        message.begin_frame(header)
        message.store_start(data, payload)
    except ConnectionClosed:
        return None
    return message


def _lone_control(data: bytes, position: int) -> Union[Ping, Pong, Close, None]:
    """The control frame that begins there, if it is whole and all that is left, and no rule is broken."""
    length = len(data) - position - 2
    if not 0 <= length <= MAX_CONTROL_PAYLOAD or data[position + 1] != length:
        return None
    first, payload = data[position], data[position + 2 :]
    if first == _CLOSE:
        try:
            return Close(*decode_close(payload))
        except ProtocolError:
            return None
    return Ping(payload) if first == _PING else Pong(payload) if first == _PONG else None


_CLOSE, _PING, _PONG = (0x80 | opcode for opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
