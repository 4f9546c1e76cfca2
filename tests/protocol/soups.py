"""Random bytes that look like frames, good and bad, for whoever cuts them up.

Half of what makes a decoder stumble is at an edge: of a length's form, of the data, of a character. So sizes are drawn
from the edges, texts from all kinds of UTF-8, and then something is broken now and then. All of it comes out of the
generator that is handed in, so a seed gives the same bytes again.
"""

from __future__ import annotations

import random
from typing import List, Optional, Tuple, Union

from tests.protocol.utf8_vectors import INVALID
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, header

__all__ = ["cut_as_said", "noise", "payload", "soup"]

SMALL = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 124, 125)
EDGES = (126, 127, 128, 255, 256, 300)
ANNOUNCED = (1, 125, 126, 65_535, 65_536, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1)
LONG = (65_534, 65_535, 65_536, 65_537, 70_001)

ALPHABETS = (
    "abc XYZ019~\x00\x7f",
    "a\x80\xe9\u07ff",
    "a\u0800\u20ac\ud7ff\ue000\uffff",
    "a\U00010000\U0001f600\U0010ffff",
    "a\xe9\u20ac\U0001f600",
)
"""Characters of one byte; of one and two; of one and three; of one and four; of all kinds."""


def noise(draw: random.Random, size: int) -> bytes:
    """So many random bytes."""
    return draw.getrandbits(8 * size).to_bytes(size, "little") if size else b""


def text(draw: random.Random, size: int) -> bytes:
    """UTF-8 of about that many bytes, now and then of no more than ASCII but for its last character."""
    characters = ALPHABETS[0] if draw.random() < 0.4 else draw.choice(ALPHABETS)
    made = "".join(draw.choices(characters, k=size)).encode()[:size].decode(errors="ignore").encode()
    if draw.random() < 0.1:
        made += "é".encode()
    return made


def payload(draw: random.Random, *, longest: int) -> bytes:
    """A payload for a frame of any kind: text, bytes, or what is nearly text."""
    size = draw.choice(SMALL if draw.random() < 0.7 else EDGES)
    if longest > LONG[-1] and draw.random() < 0.05:
        size = draw.choice(LONG)
    kind = draw.random()
    if kind < 0.6:
        return text(draw, size)
    if kind < 0.75:
        bad: bytes = draw.choice(list(INVALID.values()))[0]
        return text(draw, size) + bad + text(draw, draw.choice(SMALL))
    return noise(draw, size)


def frame(draw: random.Random, *, longest: int) -> bytes:
    """A frame, in most cases one that a client can cut out as it is."""
    body = payload(draw, longest=longest)
    if draw.random() < 0.85:
        opcode = draw.choice((TEXT, BINARY))
        form = draw.choice((16, 64)) if draw.random() < 0.03 and len(body) < 65_536 else 0
        return header(opcode, len(body), form=form) + body
    opcode = draw.choice((TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, 3, 11))
    fin, rsv, masked = draw.random() < 0.7, draw.choice((0, 0, 1, 2, 4)), draw.random() < 0.3
    return header(opcode, len(body), fin=fin, rsv=rsv, masked=masked) + body


def run(draw: random.Random) -> bytes:
    """Many messages of one kind and size; now and then one is another, or none."""
    opcode, size = draw.choice((TEXT, BINARY)), draw.choice((*SMALL, *EDGES))
    bodies = [text(draw, size).ljust(size) if draw.random() < 0.99 else noise(draw, size) for _ in range(30)]
    if draw.random() < 0.3:
        bodies[draw.randrange(30)] += b"!"
    return b"".join(header(opcode, len(body)) + body for body in bodies)


def soup(draw: random.Random, *, longest: int = 300) -> bytes:
    """Some frames one after the other; often the last is not all there, and now and then a byte is another."""
    made = bytearray(run(draw)) if draw.random() < 0.1 else bytearray()
    made += b"".join(frame(draw, longest=longest) for _ in range(draw.randrange(1, 12)))
    if draw.random() < 0.3:
        made[draw.randrange(len(made))] = draw.randrange(256)
    if draw.random() < 0.3:
        made += header(draw.choice((TEXT, BINARY)), draw.choice(ANNOUNCED))
    if draw.random() < 0.5:
        del made[len(made) - draw.randrange(len(made)) :]
    return bytes(made)


Message = Union[str, bytes]


def cut_as_said(data: bytes, position: int, limit: Optional[int]) -> Tuple[int, int, List[Message]]:
    """What cutting messages out of `data` should give: the position reached, the payload's bytes, the messages.

    As the docstring of `cut_messages` says it, in the plainest way.
    """
    messages: List[Message] = []
    total = 0
    while True:
        found = _whole_frame(data[position:])
        if found is None or (limit is not None and len(found[1]) > limit):
            return position, total, messages
        opcode, body, size = found
        try:
            messages.append(body.decode() if opcode == TEXT else body)
        except UnicodeDecodeError:
            return position, total, messages
        total += len(body)
        position += size


def _whole_frame(data: bytes) -> Optional[Tuple[int, bytes, int]]:
    """(opcode, payload, size) of the frame at the front, if it is an unmasked, unfragmented message, and all there."""
    for opcode in (TEXT, BINARY):
        for end, field in ((2, data[1:2]), (4, data[2:4]), (10, data[2:10])):
            length = int.from_bytes(field, "big")
            # A header in the shortest form that says this length, or the field was none.
            if data[:end] == header(opcode, length) and len(data) >= end + length:
                return opcode, data[end : end + length], end + length
    return None
