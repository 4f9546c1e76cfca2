"""Messages out: one message, one frame, masked if we are the client (RFC 6455 sections 5.2 to 5.6).

A message is never fragmented: its length is known, so a frame of any size can say it, and a receiver that counts
fragments has nothing to count. What is long leaves in pieces all the same, made as they are asked for: the pieces of a
16 MiB message never stand beside it as a second 16 MiB, and the first is on its way while the last is not masked yet.

Compression happens when the first piece is asked for, not before: the two sides' windows must see the messages in the
order in which they go on the wire, and a message that is withdrawn in time must not have been seen at all.

Every frame has a masking key of its own, from the operating system (section 5.3 and 10.3). A system call for four bytes
is most of the cost of a small frame, so they are fetched a block at a time; each is used once. A forked child would
hold the same block, hence `drop_keys`.
"""

from __future__ import annotations

import os
from io import BytesIO
from itertools import repeat

from wssync.hints import Callable, Iterator, List, Optional, Union
from wssync.protocol.deflate import Compressor
from wssync.protocol.frames import MAX_CONTROL_PAYLOAD, Opcode, Role, encode_header
from wssync.protocol.speed import encode_frame, mask_into

__all__ = ["PIECE", "WHOLE", "Encoder", "Piece"]

WHOLE = 64 * 1024
"""Bytes of payload up to which a frame is one piece: as much as one system call is likely to take."""

PIECE = 1024 * 1024
"""Bytes of payload in a piece of a longer frame: as much as the kernel likes to take at a time, and too little to count
as memory. A multiple of 4, so that every piece begins with the first byte of the key."""

MAX_HEADER = 14
"""Bytes of the longest header: two, eight of length, four of key."""

Piece = Union[bytes, memoryview]

_MOST_KEYS = 1024  # fetched at once

_spare: List[bytearray] = []
"""Memory for pieces, kept for the next long message of whatever connection: to get it fresh from the system costs up to
ten times what masking costs."""

_MOST_SPARE = 2


def _cut(header: bytes, body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield header + body[start : start + PIECE]
        header = b""


class Encoder:
    """Makes the frames that one side sends. Not thread-safe; only whoever may write uses it.

    With a `compressor` messages are compressed as far as it wants to; `random` gives that many unpredictable bytes.
    """

    def __init__(
        self, role: Role, compressor: Optional[Compressor] = None, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._masks = role is Role.CLIENT
        self.compressor = compressor
        self._random = random
        self._stock = 1
        self.keys: List[bytes] = []
        """Those that nobody has used yet, for who takes one from here to save the call of `key`."""

    def pieces(self, opcode: Opcode, payload: bytes) -> Iterator[Piece]:
        """Give the frame of one message: one piece up to `WHOLE` bytes, else the header with the first of several.

        A piece may stand in memory that the next one takes over: it must have been sent by then, or copied.

        Nothing is done before the first piece is asked for; from then on all of them must be sent, in order and with
        nothing between them. `opcode` is `TEXT` (with valid UTF-8) or `BINARY`.
        """
        compressed = None if self.compressor is None else self.compressor.compress(payload)
        body = payload if compressed is None else compressed
        key = self.key()
        if len(body) <= WHOLE:
            yield encode_frame(0x80 | opcode if compressed is None else 0xC0 | opcode, body, key)
            return
        header = encode_header(True, compressed is not None, opcode, len(body), key)
        yield from self._masked(header, body, key) if key is not None else _cut(header, body)

    def _masked(self, header: bytes, body: bytes, key: bytes) -> Iterator[memoryview]:
        """Give header and body masked, each piece in the place of the one before."""
        try:
            memory = _spare.pop()
        except IndexError:
            memory = bytearray(MAX_HEADER + PIECE)
        begin = len(header)
        memory[:begin] = header
        view = memoryview(body)  # whose slices are no copies
        for start in range(0, len(body), PIECE):
            piece = view[start : start + PIECE]
            mask_into(memory, begin, piece, key)
            yield memoryview(memory)[: begin + len(piece)]
            begin = 0
        if len(_spare) < _MOST_SPARE:
            _spare.append(memory)

    def control(self, opcode: Opcode, payload: bytes = b"") -> bytes:
        """Make a Close, Ping or Pong frame. Never compressed (RFC 7692 section 6.1).

        Raises `ValueError` for a payload over 125 bytes (RFC 6455 section 5.5) or an opcode that is none of the three.
        """
        if opcode < Opcode.CLOSE:
            raise ValueError(f"{Opcode(opcode).name} is not a control frame")
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"a control frame carries at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
        return encode_frame(0x80 | opcode, payload, self._lone_key())

    def _lone_key(self) -> Optional[bytes]:
        """The same as `key`, for a frame of a kind that is rare: it does not fill the stock, which a connection that
        only pings now and then would keep.
        """
        if not self._masks:
            return None
        return self.keys.pop() if self.keys else self._random(4)

    def key(self) -> Optional[bytes]:
        """Take a key for one frame more: a fresh one for a client, `None` for a server.

        `pieces` and `control` do so themselves. This is for whoever makes a frame by `encode_frame`.
        """
        return self.fresh_key() if self._masks else None

    def fresh_key(self) -> bytes:
        """Take a key from the stock, which is filled up when it is empty."""
        if not self.keys:
            block = self.fresh_keys()
            self.keys = list(map(BytesIO(block).read, repeat(4, len(block) // 4)))  # half the cost of as many slices
        return self.keys.pop()

    def fresh_keys(self) -> bytes:
        """Fetch keys, four bytes each, which are nowhere else: for who sees to it that each is used once.

        Few at first: many a connection sends little, and a thousand keys cost more to make than to open it.
        """
        self._stock = min(4 * self._stock, _MOST_KEYS)
        return self._random(4 * self._stock)

    def drop_keys(self) -> None:
        """Forget the keys that are left: after a fork parent and child hold the same ones."""
        self.keys.clear()
