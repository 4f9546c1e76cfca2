"""Frames as bytes: the header codec and masking (RFC 6455 section 5.2 and 5.3).

Syntax only. `read_header` reads whatever the bits say and judges nothing: which header is allowed depends on the role,
on the extension and on what came before, and those rules live in `messages`. `encode_header` writes lengths in their
shortest form, as section 5.2 demands of a sender.

Masking is the one computation that touches every byte a client sends, so it has two forms. Up to `_STRIDED_FROM` bytes
the whole payload is one big integer, XORed with the repeated key; above it four passes, each translating every fourth
byte through a table of 256, reach 1 GB/s where the integer falls below 0.4. A compiled form may stand in for `mask`
later; these stay whole.
"""

from __future__ import annotations

import enum
import functools
from typing import NamedTuple, Optional

__all__ = ["Header", "MAX_CONTROL_PAYLOAD", "Opcode", "Role", "encode_header", "mask", "read_header"]

MAX_CONTROL_PAYLOAD = 125
"""Bytes in a control frame (RFC 6455 section 5.5): what fits the short form of the length."""

_STRIDED_FROM = 1024  # bytes; the two forms of masking cost the same here, 2.7 microseconds
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
    second = 0 if key is None else 0x80
    if length < 126:
        header = bytes((first, second | length))
    elif length < 1 << 16:
        header = bytes((first, second | 126, length >> 8, length & 0xFF))
    elif length < _MAX_LENGTH:
        header = bytes((first, second | 127)) + length.to_bytes(8, "big")
    else:
        raise ValueError(f"a frame carries less than 2**63 bytes, not {length}")
    return header if key is None else header + key


def mask(data: bytes, key: bytes, offset: int = 0) -> bytes:
    """Mask or unmask: XOR with the four bytes of `key`, over and over (section 5.3).

    `offset` says how many bytes of the same frame came before `data`, for a payload that is masked in pieces.
    """
    turn = offset & 3
    if turn:
        key = key[turn:] + key[:turn]
    size = len(data)
    if size > _STRIDED_FROM:
        return _mask_strided(data, key)
    pattern = (key * ((size >> 2) + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


def _mask_strided(data: bytes, key: bytes) -> bytes:
    masked = bytearray(len(data))
    for lane in range(4):
        masked[lane::4] = data[lane::4].translate(_xor_table(key[lane]))
    return bytes(masked)


@functools.cache
def _xor_table(byte: int) -> bytes:
    """The 256 bytes, each XORed with this one; made when first needed, 64 KiB for all of them."""
    return bytes(value ^ byte for value in range(256))
