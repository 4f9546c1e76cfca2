"""A message that has begun and is not complete: what is stored of it, and what the frame that is arriving still owes.

What has come is stored in one growing buffer and its text checked (`utf8`), so a fault shows at the byte that makes it,
and fragments leave nothing behind but their bytes: a message costs what it weighs, in 1 fragment or in 65,536. A long
frame without work to do has its bytes put straight into that buffer (`room`, `filled`), so that a message is moved
once, by the kernel. An announcement alone brings hardly any memory: only what has come is good for some more.

Nothing that is done to a message counts before the copy on which it was done becomes the last one (see `messages`): the
buffer is written at places, not appended to.
"""

from __future__ import annotations

import io

from wssync.errors import MessageTooBig
from wssync.hints import NoReturn, Optional, Union
from wssync.protocol.deflate import Inflater
from wssync.protocol.frames import Header, Opcode
from wssync.protocol.memory import expect_blocks
from wssync.protocol.speed import mask
from wssync.protocol.utf8 import check_text, decode_text

__all__ = ["MAX_EMPTY_FRAGMENTS", "ROOM_FROM", "UnfinishedMessage"]

MAX_EMPTY_FRAGMENTS = 65_536
"""Frames of one message that may be empty. They cost nothing but time, yet without an end to them the message has none
either; a sender that keeps a slow message alive with one a second gets through eighteen hours."""

ROOM_FROM = 32 * 1024
"""Bytes of a frame still to come from which on they go straight to their place in the message."""

_CREDIT, _CREDIT_FACTOR = 256 * 1024, 4
"""What an announcement is good for: memory for so many bytes, or for so many times those that have come already."""

_WORST_DEFLATE = 16
"""Bytes on the wire for one byte of text, at the very worst: a sender that flushes after each byte spends about 8."""

_WORST_EMPTY = 1024  # and this much for nothing at all


class UnfinishedMessage:
    """A message that has begun, and the frame of it that is arriving. Each pass works on a copy of its own."""

    def __init__(self, header: Header, limit: Optional[int]) -> None:
        self.is_text = header.opcode == Opcode.TEXT
        self.is_compressed = bool(header.rsv)
        self._limit = limit
        self._buffer: Optional[io.BytesIO] = None
        self.stored = 0
        self._reserved = 0  # bytes of the buffer, some of them still without meaning
        self._unfinished = b""  # the bytes of a character that the next piece may complete
        self._announced = 0  # bytes of payload in all frames so far, as they are on the wire
        self._empty = 0
        self.had_room_to_end = False
        """Whether somebody had the room for its last bytes. Whoever has begun to fill that must have it again."""

    def copy(self) -> UnfinishedMessage:
        """Give one that goes on from here; both write to the same buffer, at the places where their bytes belong."""
        twin: UnfinishedMessage = UnfinishedMessage.__new__(UnfinishedMessage)
        twin.__dict__.update(self.__dict__)
        return twin

    def begin_frame(self, header: Header) -> None:
        """Take in a header. Raises `MessageTooBig` if this frame passes a limit, before any of it is read."""
        self.fin = header.fin
        self.left = header.length
        self._key = header.key
        self.needs_work = header.key is not None or self.is_compressed
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

    def store_start(self, data: bytes, position: int) -> None:
        """Keep all that there is from `position` on, less than is left of this frame, which needs no work. It may be
        long, and is not copied on the way. Raises what `store` does.
        """
        if self.is_text:
            self.store(self.take(data, position))
            return
        piece = memoryview(data)[position:]
        self.left -= len(piece)
        self._write(piece)

    def room(self, arrived: int) -> memoryview:
        """Give the place in the buffer for the next bytes of this frame, which need no work.

        So many bytes, less than are left, have `arrived` in the rooms that were given since the last `filled`.
        """
        left, start = self.left - arrived, self.stored + arrived
        self.had_room_to_end = left < ROOM_FROM
        if self._reserved - start < min(left, ROOM_FROM):
            self._reserve(start + _worth(left, start), start)
        assert self._buffer is not None
        return self._buffer.getbuffer()[start : self._reserved]

    def filled(self, count: int) -> None:
        """Take over what was put there. Raises `ProtocolError` if it makes the text impossible."""
        buffer = self._buffer
        assert buffer is not None
        if self.is_text:
            buffer.seek(self.stored)
            self._unfinished = check_text(self._unfinished + buffer.read(count))
        self.left -= count
        self.stored += count

    def complete(self, piece: bytes) -> Union[str, bytes]:
        """Give the whole message, which ends with this piece. Raises `ProtocolError` if it should be text and is
        not."""
        if piece and self._buffer is not None:
            self._write(piece)
        if self._buffer is not None:
            piece = self._buffer.getvalue()  # no copy: the buffer gives away what it holds
        self.size = len(piece)
        return decode_text(piece) if self.is_text else piece

    def _write(self, piece: Union[bytes, memoryview]) -> None:
        start, end = self.stored, self.stored + len(piece)
        if self._buffer is None or end > self._reserved:
            self._reserve(end, start)
        assert self._buffer is not None
        self._buffer.seek(start)
        self._buffer.write(piece)
        self.stored = end

    def _reserve(self, size: int, stored: int) -> None:
        """Let the buffer have so many bytes, of which so many are `stored`: never more than this frame has, so that a
        complete message fills it to the last byte.
        """
        if size >= ROOM_FROM:
            expect_blocks(size)
        self._buffer = io.BytesIO(bytes(size)) if self._buffer is None else self._grown(self._buffer, size, stored)
        self._reserved = size

    def _grown(self, buffer: io.BytesIO, size: int, stored: int) -> io.BytesIO:
        try:
            buffer.seek(size - 1)
            buffer.write(b"\0")
        except BufferError:  # an interrupt has left somebody with the room, who keeps the old memory
            return io.BytesIO(buffer.getvalue()[:stored] + bytes(size - stored))
        return buffer

    def _fail(self, problem: str) -> NoReturn:
        raise MessageTooBig(f"{problem} (RFC 6455 section 7.4.1)", size=self._announced, limit=self._limit or 0)


def _worth(left: int, stored: int) -> int:
    """How much memory what is `stored` is worth, for the `left` bytes of this frame.

    The buffer grows when it is full, not with each read, and then to the end of the message or a power of a fourth of
    that: all steps are long ones, and what was too short adds up to a third of the message. Else more memory would be
    asked for than was ever given back at once, which the C library fetches from the system, for each message anew; that
    costs several times what filling it costs.
    """
    end, most = stored + left, stored + max(_CREDIT, _CREDIT_FACTOR * stored)
    while end > most:
        end = -(-end // _CREDIT_FACTOR)
    return max(min(left, _CREDIT), end - stored)
