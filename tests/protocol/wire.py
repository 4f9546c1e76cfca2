"""Frames built by hand, from the picture in RFC 6455 section 5.2: nothing of the code under test makes them.

Here a frame may break any rule; the length may have any form, a payload need not match it.
"""

from __future__ import annotations

import itertools
import operator
from typing import List

from wssync.protocol.frames import Role
from wssync.protocol.messages import Decoder, Event, Fault

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"  # that of the RFC's examples


def xor(data: bytes, key: bytes) -> bytes:
    """Mask byte by byte, as section 5.3 says it."""
    return bytes(map(operator.xor, data, itertools.cycle(key)))


def header(opcode: int, length: int, *, fin: bool = True, rsv: int = 0, masked: bool = False, form: int = 0) -> bytes:
    """A header without a key; `form` 16 or 64 forces that form of the length."""
    bit = 0x80 if masked else 0
    start = bytes((fin << 7 | rsv << 4 | opcode,))
    if form == 64 or (not form and length > 0xFFFF):
        return start + bytes((bit | 127,)) + length.to_bytes(8, "big")
    if form == 16 or (not form and length > 125):
        return start + bytes((bit | 126,)) + length.to_bytes(2, "big")
    return start + bytes((bit | length,))


def frame(
    opcode: int, payload: bytes = b"", *, to: Role = Role.CLIENT, fin: bool = True, rsv: int = 0, form: int = 0
) -> bytes:
    """A whole frame as `to` should receive it: unmasked for a client, masked for a server."""
    if to is Role.CLIENT:
        return header(opcode, len(payload), fin=fin, rsv=rsv, form=form) + payload
    return header(opcode, len(payload), fin=fin, rsv=rsv, form=form, masked=True) + KEY + xor(payload, KEY)


def shown(events: List[Event]) -> List[object]:
    """Events that can be compared: errors have no equality, and a Ping, being a tuple, equals a Pong."""
    return [_shown(event) for event in events]


def _shown(event: Event) -> object:
    if isinstance(event, Fault):
        return type(event.error).__name__, event.error.code, str(event.error)
    return event if isinstance(event, (str, bytes)) else (type(event).__name__, *event)


def fed(decoder: Decoder, *pieces: bytes) -> List[object]:
    """Everything that comes of feeding these pieces one after the other."""
    events: List[Event] = []
    for piece in pieces:
        events += decoder.feed(piece)
    return shown(events)


def cuts(data: bytes, *, most: int = 300) -> List[List[bytes]]:
    """Ways to cut `data`: not at all, into bytes, and in two at each place (at most so many places)."""
    step = max(1, len(data) // most)
    halves = [[data[:place], data[place:]] for place in range(1, len(data), step)]
    single = [[data[place : place + step] for place in range(0, len(data), step)]]
    return [[data], *single, *halves]
