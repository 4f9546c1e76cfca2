"""Everything a server can do wrong, each by one call.

    Server(opening=in_pieces(1))                                    # the 101 comes byte by byte
    Server(opening=cut_after(60))                                   # ... and ends in the midst of it
    Server(script([expect("hi"), split_at(1, 4), "ho"]))            # a frame in three pieces
    Server(script([cut_after(3), "never whole"]))                   # a frame that ends after three bytes
    Server(script([garbage(100)]))                                  # no frame at all

A fault is a function of the connection, as openings, handlers and the steps of a script are. Some only change what
happens from then on and return (`in_pieces`, `split_at`, `cut_after`, `delay_pongs`, `hold_pongs`, `ignore_close`): put
them before whatever they are to spoil. As an opening they come before the regular answer, as a step before the next
step; as a handler alone they are followed by the closing handshake, which a test may want to spoil too. The others do
something and are told below.

Where bytes are counted, they are what the server has to say, before TLS encrypts it. Faults of the port itself
(connections refused or ignored) are methods of `Server`.
"""

from __future__ import annotations

import math
import random
import re
from typing import Optional, Union

from .connection import ServerConnection
from .handlers import Handler
from .outgoing import Outgoing
from .sending import check_delay

__all__ = [
    "byte_by_byte",
    "cut_after",
    "delay_pongs",
    "drop",
    "garbage",
    "half_a_head",
    "hold_pongs",
    "ignore_close",
    "in_pieces",
    "raw",
    "reset",
    "silent",
    "split_at",
    "stop_reading",
    "wrong_accept_key",
]

NO_ACCEPT_KEY = b"A" * 27 + b"="
"""Twenty bytes in base64, as an accept key is, but nobody knows a key that has them as its hash."""


def silent(connection: ServerConnection) -> None:
    """Read and forget everything, answer nothing, until the client is gone; then drop the connection.

    As an opening: the request gets no answer. As a handler or a step: no message, pong or Close any more.
    """
    while connection.receive_raw(65536):
        pass
    connection.drop()


def stop_reading(connection: ServerConnection) -> None:
    """Do nothing at all, not even read, until the connection is over: the client can send what the kernels keep.

    Nobody notices then that the client has gone, so it is over when somebody else ends it, at last the server. As an
    opening, a handler or a step.
    """
    connection.wait_until_closed(None)


def in_pieces(size: Optional[int] = 1, pause: float = 0.0) -> Handler:
    """Make a fault: from here on everything goes out in pieces of `size` bytes, `pause` seconds apart.

    Each piece is a system call, and over TLS a record, of its own, whoever sends it. `None` stops dividing. As an
    opening (the answer comes in pieces too) or a step. ValueError for less than one byte or no time.
    """
    Outgoing().in_pieces(size, pause)  # raises here what would else be raised in the handler's thread
    return lambda connection: connection.in_pieces(size, pause)


byte_by_byte = in_pieces(1)
"""From here on every byte comes alone; as an opening or a step."""


def split_at(*positions: int) -> Handler:
    """Make a fault: the bytes sent from here on are split at these positions, and each piece is sent alone.

    The positions are all counted from here. As an opening (the answer is counted too) or a step. ValueError below 1.
    """
    Outgoing().split_at(positions)
    return lambda connection: connection.split_at(*positions)


def cut_after(count: int, *, reset: bool = False) -> Handler:
    """Make a fault: after `count` more bytes have gone out, the connection is dropped (FIN), or reset (RST).

    No Close frame precedes that, and no close_notify over TLS. As an opening (the answer is counted) or a step. For the
    handler it is the end of its connection, no error. ValueError below 0.
    """
    Outgoing().cut_after(count, reset)
    return lambda connection: connection.cut_after(count, reset=reset)


def half_a_head(connection: ServerConnection) -> None:
    """Send the first half of the regular answer to the request and drop the connection. As an opening."""
    answer = connection.regular_answer()
    connection.send_raw(answer[: len(answer) // 2])
    connection.drop()


def wrong_accept_key(connection: ServerConnection) -> None:
    """Send the regular answer, but with a Sec-WebSocket-Accept that belongs to no key. As an opening.

    The connection does not count as open, and no handler follows.
    """
    answer = connection.regular_answer()
    connection.send_raw(re.sub(rb"(?i)(\r\nSec-WebSocket-Accept: )[^\r]*", rb"\g<1>" + NO_ACCEPT_KEY, answer))


def garbage(size: int = 256, seed: int = 0) -> Handler:
    """Make a fault: `size` bytes that are neither HTTP nor frames, the same ones every time for the same `seed`.

    As an opening it is the whole answer, and the server hangs up; as a handler or a step it stands where frames should.
    ValueError below 1.
    """
    if size < 1:
        raise ValueError(f"garbage has at least one byte, not {size}")
    # A line end could end a head; the first byte is a frame with every reserved bit, of a kind that does not exist.
    noise = random.Random(seed).randbytes(size - 1).replace(b"\n", b"\xff")
    return raw(b"\xff" + noise)


def raw(data: Union[bytes, bytearray, memoryview]) -> Handler:
    """Make a fault: these bytes, just as they are. TypeError for text.

    As an opening it is the whole answer; as a handler or a step, bytes among the frames, to which they may belong.
    """
    content = bytes(memoryview(data))
    return lambda connection: connection.send_raw(content)


def drop(connection: ServerConnection) -> None:
    """Close the TCP connection and say nothing: no Close, no close_notify. As an opening, a handler or a step."""
    connection.drop()


def reset(connection: ServerConnection) -> None:
    """Reset the connection (RST): even what the client has not read yet may be lost. As an opening, handler or step."""
    connection.abort()


def delay_pongs(seconds: float) -> Handler:
    """Make a fault: from here on every ping is answered `seconds` after it was received, by the real time.

    The pongs keep their order, and go out while some thread is receiving. As an opening or a step. ValueError below 0.
    """
    check_delay(seconds)
    return lambda connection: connection.delay_pongs(seconds)


def hold_pongs(connection: ServerConnection) -> None:
    """From here on no ping is answered, until `connection.release_pongs()`. As an opening or a step."""
    connection.delay_pongs(math.inf)


def ignore_close(connection: ServerConnection) -> None:
    """From here on no Close frame is sent, neither in answer to the client's nor at the handler's end.

    The TCP connection stays until the client hangs up or the server is closed. As an opening, a handler or a step.
    """
    connection.ignore_close()
