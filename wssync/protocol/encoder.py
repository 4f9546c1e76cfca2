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
from typing import Callable, Iterator, List, Optional

from wssync.protocol.deflate import Compressor
from wssync.protocol.frames import MAX_CONTROL_PAYLOAD, Opcode, Role, encode_header
from wssync.protocol.speed import encode_frame, mask

__all__ = ["PIECE", "WHOLE", "Encoder"]

WHOLE = 64 * 1024
"""Bytes of payload up to which a frame is one piece: as much as one system call is likely to take."""

PIECE = 128 * 1024
"""Bytes of payload in a piece of a longer frame: several system calls' worth, and too little to count as memory. A
multiple of 4, so that every piece begins with the first byte of the key."""

_KEYS_AT_ONCE = 1024


class Encoder:
    """Makes the frames that one side sends. Not thread-safe; only whoever may write uses it.

    With a `compressor` messages are compressed as far as it wants to; `random` gives that many unpredictable bytes.
    """

    def __init__(
        self, role: Role, compressor: Optional[Compressor] = None, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._masks = role is Role.CLIENT
        self._compressor = compressor
        self._random = random
        self._keys: List[bytes] = []

    def pieces(self, opcode: Opcode, payload: bytes) -> Iterator[bytes]:
        """Give the frame of one message: one piece up to `WHOLE` bytes, else the header with the first of several.

        Nothing is done before the first piece is asked for; from then on all of them must be sent, in order and with
        nothing between them. `opcode` is `TEXT` (with valid UTF-8) or `BINARY`.
        """
        compressed = None if self._compressor is None else self._compressor.compress(payload)
        body = payload if compressed is None else compressed
        key = self.key()
        if len(body) <= WHOLE:
            yield encode_frame(0x80 | opcode if compressed is None else 0xC0 | opcode, body, key)
            return
        header = encode_header(True, compressed is not None, opcode, len(body), key)
        view = memoryview(body)  # its slices are no copies
        for start in range(0, len(body), PIECE):
            piece = view[start : start + PIECE]
            yield header + (piece if key is None else mask(piece, key))
            header = b""

    def control(self, opcode: Opcode, payload: bytes = b"") -> bytes:
        """Make a Close, Ping or Pong frame. Never compressed (RFC 7692 section 6.1).

        Raises `ValueError` for a payload over 125 bytes (RFC 6455 section 5.5) or an opcode that is none of the three.
        """
        if opcode < Opcode.CLOSE:
            raise ValueError(f"{Opcode(opcode).name} is not a control frame")
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"a control frame carries at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
        return encode_frame(0x80 | opcode, payload, self.key())

    def key(self) -> Optional[bytes]:
        """Take a key for one frame more: a fresh one for a client, `None` for a server.

        `pieces` and `control` do so themselves. This is for whoever makes a frame by `encode_frame`.
        """
        if not self._masks:
            return None
        if not self._keys:
            block = self._random(4 * _KEYS_AT_ONCE)
            self._keys = [block[start : start + 4] for start in range(0, len(block), 4)]
        return self._keys.pop()

    def drop_keys(self) -> None:
        """Forget the keys that are left: after a fork parent and child hold the same ones."""
        self._keys.clear()
