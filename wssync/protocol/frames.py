"""Frames as bytes: the header codec, masking, and whole frames in and out (RFC 6455 section 5.2 and 5.3).

Syntax only. `read_header` reads whatever the bits say and judges nothing: which header is allowed depends on the role,
on the extension and on what came before, and those rules live in `messages`. `encode_header` writes lengths in their
shortest form, as section 5.2 demands of a sender.

Masking is the one computation that touches every byte a client sends, so it has two forms. Up to `_STRIDED_FROM` bytes
the whole payload is one big integer, XORed with the repeated key; above it four passes, each translating every fourth
byte through a table of 256, take a third of what the integer takes for 64 KiB. They do it in place: a `bytearray` puts
nothing but another `bytearray` into its slices without a copy, and those are what its own slices and their translations
are.

**Three functions have a compiled form**, in `wssync/_speedups.c`: `mask`, `encode_frame` and `cut_messages`. What is
said here holds for both, and so does every error; `speed` has the form to use. Those here are whole by themselves.
"""

from __future__ import annotations

import enum
import functools
from operator import index

from ..hints import Any, Dict, List, NamedTuple, Optional, Tuple, Union

__all__ = [
    "Buffer",
    "Header",
    "MAX_CONTROL_PAYLOAD",
    "Opcode",
    "Role",
    "cut_messages",
    "encode_frame",
    "encode_header",
    "mask",
    "mask_into",
    "read_header",
]

Buffer = Union[bytes, bytearray, memoryview]
"""A payload to send: whatever lies in memory from end to end."""

MAX_CONTROL_PAYLOAD = 125
"""Bytes in a control frame (RFC 6455 section 5.5): what fits the short form of the length."""

_STRIDED_FROM = 1024  # bytes; the two forms of masking cost the same here, 2.7 microseconds
_BLOCK = 64 * 1024
"""Bytes that are masked at a time. Each pass makes two copies of a fourth of them; for copies of 128 KiB the C library
would fetch fresh memory from the system each time, which took as long as masking."""

_RUN_FROM, _RUN = 512, 8  # bytes, and messages of one size, from which on it pays to look for such
_number = int.from_bytes
_MAX_LENGTH = 1 << 63  # the top bit of a 64-bit length must be clear (section 5.2)


class Role(enum.Enum):
    """Which side we are. The client masks what it sends, the server does not; all else is the same (section 5.1)."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> Role:
        """The other side."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class Opcode(enum.IntEnum):
    """What a frame carries (section 5.2). From 8 on it is a control frame; the values that are missing are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class Header(NamedTuple):
    """A frame header as it stands on the wire, lawful or not."""

    fin: bool
    rsv: int
    """The three reserved bits, RSV1 the highest (value 4)."""
    opcode: int
    key: Optional[bytes]
    """The masking key, or `None` for an unmasked frame."""
    length: int
    """Bytes of payload, up to 2**64 - 1."""
    is_shortest: bool
    """Whether the length has its shortest form."""
    end: int
    """Where the payload begins in the bytes that were read."""


def read_header(data: bytes, position: int = 0) -> Optional[Header]:
    """Read the header that begins at `position`, or return `None` while it is not all there. Judges nothing."""
    if len(data) < position + 2:
        return None
    first, second = data[position], data[position + 1]
    length = second & 0x7F
    start = position + 2
    size = 0 if length < 126 else 2 if length == 126 else 8
    end = start + size + (4 if second & 0x80 else 0)
    if len(data) < end:
        return None
    is_shortest = True
    if size:
        length = int.from_bytes(data[start : start + size], "big")
        is_shortest = length >= (126 if size == 2 else 1 << 16)
    key = data[end - 4 : end] if second & 0x80 else None
    return Header(bool(first & 0x80), first >> 4 & 7, first & 0x0F, key, length, is_shortest, end)


def encode_header(fin: bool, rsv1: bool, opcode: int, length: int, key: Optional[bytes] = None) -> bytes:
    """Write a frame header; with a `key` the frame is a masked one and the header ends with the key.

    Raises `ValueError` for a length that no frame can have.
    """
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    if not 0 <= length < _MAX_LENGTH:
        raise ValueError(f"a frame carries less than 2**63 bytes, not {length}")
    return _header(first, 0, length) if key is None else _header(first, 0x80, length) + key


def encode_frame(first: int, payload: Buffer, key: Optional[bytes], /) -> bytes:
    """Write a whole frame: header and payload, masked if there is a `key`.

    `first` is the first byte as it goes on the wire: FIN, the reserved bits and the opcode. Raises `ValueError` if it
    is no byte or the key has not 4 of them.
    """
    if first >> 8:
        raise ValueError("the first byte of a frame is 0 to 255")
    if type(payload) is not bytes:
        payload = _bytes_of(payload)
    size = len(payload)
    if type(key) is not bytes or len(key) != 4:
        if key is None:
            return _header(first, 0, size) + payload
        _check_key(key)
    if size < 126:
        header = _SHORT_HEADERS[first][size]
    else:
        header = _header(first, 0x80, size)
        if size > _STRIDED_FROM:
            return header + key + _mask_strided(payload, key)  # bytes, as the header is
    # As in `mask`, whose call would be a fifth of the cost of a short frame.
    pattern = (key * ((size >> 2) + 1))[:size]
    return header + key + (_number(payload, "little") ^ _number(pattern, "little")).to_bytes(size, "little")


class _ShortHeaders(Dict[int, List[bytes]]):
    """[first][size]: what a short masked frame begins with. To put it together was a quarter of the work on a message.

    The headers of a kind of frame are made for the first one of it.
    """

    def __missing__(self, first: int) -> List[bytes]:
        headers = self[first] = [_header(first, 0x80, size) for size in range(126)]
        return headers


_SHORT_HEADERS = _ShortHeaders()


def _header(first: int, masked: int, size: int) -> bytes:
    """The header of a frame but for the key; `masked` is 0x80 if there is one."""
    if size < 126:
        return (first << 8 | masked | size).to_bytes(2, "big")
    if size < 1 << 16:
        return (first << 24 | (masked | 126) << 16 | size).to_bytes(4, "big")
    return (first << 72 | (masked | 127) << 64 | size).to_bytes(10, "big")


def mask(data: Buffer, key: bytes, offset: int = 0, /) -> bytes:
    """Mask or unmask: XOR with the four bytes of `key`, over and over (section 5.3).

    `offset` says how many bytes of the same frame came before `data`, for a payload that is masked in pieces. Raises
    `ValueError` if the key has not 4 bytes.
    """
    if type(key) is not bytes or len(key) != 4:
        _check_key(key)
    if type(data) is not bytes:
        data = _bytes_of(data)
    turn = offset & 3
    if turn:
        key = key[turn:] + key[:turn]
    size = len(data)
    if size > _STRIDED_FROM:
        return bytes(_mask_strided(data, key))
    pattern = (key * ((size >> 2) + 1))[:size]
    return (_number(data, "little") ^ _number(pattern, "little")).to_bytes(size, "little")


def mask_into(target: bytearray, start: int, data: Buffer, key: bytes, /) -> None:
    """Mask into memory that is there already, from `start` on: fresh memory for long data costs more than masking it.

    Raises `IndexError` if the target has no room, `TypeError` if it is no `bytearray`, and what `mask` does.
    """
    if type(target) is not bytearray:
        raise TypeError(f"data is masked into a bytearray, not {type(target).__name__}")
    start = index(start)
    if type(key) is not bytes or len(key) != 4:
        _check_key(key)
    data = _view_of(data)
    end = start + len(data)
    if start < 0 or end > len(target):
        raise IndexError("the target has no room for the data")
    for position in range(0, len(data), _BLOCK):
        block = _mask_strided(data[position : position + _BLOCK], key)
        target[start + position : start + position + len(block)] = block


def _mask_strided(data: Buffer, key: bytes) -> bytearray:
    masked = bytearray(data)  # and no loop, which would be an eighth of the work on 2 KiB
    masked[0::4] = masked[0::4].translate(_xor_table(key[0]))
    masked[1::4] = masked[1::4].translate(_xor_table(key[1]))
    masked[2::4] = masked[2::4].translate(_xor_table(key[2]))
    masked[3::4] = masked[3::4].translate(_xor_table(key[3]))
    return masked


_ALL_BYTES, _ONES = (int.from_bytes(values, "little") for values in (bytes(range(256)), b"\1" * 256))


@functools.cache
def _xor_table(byte: int) -> bytes:
    """The 256 bytes, each XORed with this one; made when first needed, 64 KiB for all of them. One number for all 256
    makes that a thirtieth of the work.
    """
    return (_ALL_BYTES ^ byte * _ONES).to_bytes(256, "little")


def cut_messages(data: bytes, position: int, limit: Optional[int], messages: List[Any], /) -> Tuple[int, int]:
    """Cut out the unmasked, uncompressed messages of one frame that begin at `position`, and append them to
    `messages`; return where the first other thing is, and how many bytes of payload the messages had.

    Judges nothing: whatever is incomplete, unusual, longer than `limit` (`None` for no limit) or wrong is left for the
    rules to see. Raises `ValueError` for a position outside the data, and `TypeError` for anything but `bytes` and a
    `list` themselves.
    """
    # All of it is written out here because a call per frame would double the cost. For the same reason the payload is
    # not counted but what stands around it: two bytes each time, and in `extra` the long forms of the length.
    end = len(data)
    if type(data) is not bytes or type(messages) is not list or type(position) is not int or not 0 <= position <= end:
        _check_cut(data, position, messages)
    if limit is None:
        limit = end
    elif type(limit) is not int:
        _check_integer(limit)
    begin = start = position
    append = messages.append
    before = len(messages)
    extra = 0
    if end - position > _RUN_FROM:
        position, extra = _cut_run(data, position, limit, messages)
        start = position
    last = end - 2
    short = min(limit, 125)
    try:
        while position <= last:
            start = position + 2
            if (length := data[position + 1]) > short:
                if length == 126:
                    length = data[start] << 8 | data[start + 1]
                    start += 2
                    extra += 2
                else:
                    length = _length_in_64_bits(data, start, length)
                    start += 8
                    extra += 8
                if length < 126 or length > limit or start + length > end:
                    break
            stop = start + length  # of a short one it is seen at the end of all whether it was there
            if (first := data[position]) == 0x82:
                append(data[start:stop])
            elif first == 0x81:
                append(data[start:stop].decode())
            else:
                break
            position = stop
    except (IndexError, UnicodeDecodeError):  # the length is not all there, or it is no text
        pass
    if position > end:
        messages.pop()
        position = start - 2
    elif start > position:  # its header was looked at, and it was not cut
        extra -= start - position - 2
    return position, position - begin - 2 * (len(messages) - before) - extra


def _cut_run(data: bytes, position: int, limit: int, messages: List[Any]) -> Tuple[int, int]:
    """Cut out messages of one kind and size that begin at `position`, one behind the other; return where the first
    other thing is, and how many bytes of their headers are beyond two each.

    What is sent without a pause is often so: prices, samples of sound. A third of the work is enough for that.
    """
    first, length, size = data[position], data[position + 1], 2
    if length == 126:
        length, size = data[position + 2] << 8 | data[position + 3], 4
    least, longest = (0, 125) if size == 2 else (126, limit)
    step = size + length
    count = (len(data) - position) // step
    if count < _RUN or first not in (0x81, 0x82) or not least <= length <= min(longest, limit):
        return position, 0
    for place in range(position, position + size):  # the same byte of all headers: how many are like the first
        column = data[place : position + count * step : step]
        count -= len(column.lstrip(column[:1]))
    end = position + count * step
    try:
        starts = range(position + size, end + 1, step)
        if first == 0x82:
            messages += [data[start : start + length] for start in starts]
        else:
            messages += [data[start : start + length].decode() for start in starts]
    except UnicodeDecodeError:
        return position, 0  # those before it are cut out one by one
    return end, count * (size - 2)


def _length_in_64_bits(data: bytes, position: int, form: int) -> int:
    """Read the length there, or return 0: it is not all there, not the shortest form, or `form` is not for 64 bits."""
    if form != 127 or position + 8 > len(data):
        return 0
    length = _number(data[position : position + 8], "big")
    return length if length >> 16 else 0


# What is no bytes, no list, no key


def _bytes_of(buffer: Buffer) -> bytes:
    """Give what lies in a buffer, as the compiled forms see it: nothing but C-contiguous memory."""
    return bytes(_view_of(buffer))


def _view_of(buffer: Buffer) -> memoryview:
    """The same without a copy, unless it is one of anything but bytes."""
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise BufferError("the payload does not lie in memory from end to end")
    return view if view.format == "B" and view.ndim == 1 else memoryview(bytes(view))


def _check_key(key: bytes) -> None:
    """For a key that is not just four bytes: a subclass may still be good."""
    if not isinstance(key, bytes):
        raise TypeError(f"a masking key is bytes, not {type(key).__name__}")
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {len(key)}")


def _check_cut(data: object, position: int, messages: object) -> None:
    if type(data) is not bytes or type(messages) is not list:
        raise TypeError("messages are cut out of bytes and put in a list")
    _check_integer(position)
    if not 0 <= position <= len(data):
        raise ValueError("the position is not in the data")


def _check_integer(number: object) -> None:
    if not isinstance(number, int):
        raise TypeError(f"a position and a limit are integers, not {type(number).__name__}")
