"""What a server's connection says once it is open: messages, pings, pongs, and one Close.

The order of frames on the wire is the order in which the lock `_state` was taken, and nothing follows a Close. Pongs
may be told to wait. They are sent by whoever receives, as nothing here has a thread of its own: a pong that is due goes
out while some thread is in `receive` or `close`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Iterable, List, Optional, Sequence, Tuple, Union

from ..errors import ConnectionClosed
from ..protocol.closing import encode_close
from ..protocol.encoder import Encoder, Piece
from ..protocol.frames import Opcode, encode_header
from ..protocol.http1 import RequestHead
from .unframed import CLOSE_TIMEOUT, RawConnection
from .wire import Wire

if TYPE_CHECKING:
    from ..errors import CloseStatus

__all__ = ["Message", "SendingConnection", "check_delay"]

Message = Union[str, bytes, bytearray, memoryview]
"""What can be sent; `str` is a text message, everything else a binary one."""


class SendingConnection(RawConnection):
    """The half of `ServerConnection` that speaks. All methods may be called from any thread."""

    def __init__(self, wire: Wire, request: RequestHead, unread: bytes = b"") -> None:
        super().__init__(wire, request, unread)
        self._encoder: Optional[Encoder] = None
        self._sent_close: CloseStatus = None
        self._ignores_close = False
        self._pings: List[bytes] = []
        self._pongs: List[bytes] = []
        self._late_pongs: Deque[Tuple[float, bytes]] = deque()
        self._pong_delay = 0.0

    @property
    def accepted(self) -> bool:
        """Whether `accept` has answered with 101."""
        return self._accepted

    @property
    def pings(self) -> List[bytes]:
        """The payloads of the pings received so far, a new list."""
        return list(self._pings)

    @property
    def pongs(self) -> List[bytes]:
        """The payloads of the pongs received so far, a new list."""
        return list(self._pongs)

    def send(self, message: Message) -> None:
        """Send a message and wait until the kernel has taken it, however long that takes.

        ConnectionClosed if it is over, TypeError for what is no message.
        """
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        payload = _to_bytes(message)
        self._send(lambda encoder: encoder.pieces(opcode, payload))

    def send_fragments(self, parts: Sequence[Message], *, text: bool = False) -> None:
        """Send one message in as many frames as there are parts, uncompressed and with nothing in between.

        It is a text message if the first part is a `str`, or if `text` is true: then the parts may be bytes that break
        in the middle of a character. ValueError for no parts.
        """
        if not parts:
            raise ValueError("a message has at least one frame")
        opcode = Opcode.TEXT if text or isinstance(parts[0], str) else Opcode.BINARY
        frames: List[bytes] = []
        for number, part in enumerate(parts):
            payload = _to_bytes(part)
            kind = Opcode.CONTINUATION if number else opcode
            frames.append(encode_header(number == len(parts) - 1, False, kind, len(payload), None) + payload)
        self._send(lambda encoder: frames)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping and wait for nothing; the answer will be in `pongs` when it was received. At most 125 bytes."""
        self._send(lambda encoder: [encoder.control(Opcode.PING, payload)])

    def pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for. At most 125 bytes."""
        self._send(lambda encoder: [encoder.control(Opcode.PONG, payload)])

    def wait_for_ping(self, count: int = 1, timeout: Optional[float] = CLOSE_TIMEOUT) -> bytes:
        """Wait until so many pings were received since the beginning, and return the payload of the last of these.

        Another thread must be receiving, as the handler `echo` is all the time. TimeoutError after `timeout` seconds,
        ConnectionClosed if the connection ends before.
        """
        with self._state:
            self._state.wait_for(lambda: len(self._pings) >= count or self._end is not None, timeout)
            if len(self._pings) >= count:
                return self._pings[count - 1]
            self._refuse_ended()
        raise TimeoutError(f"{len(self._pings)} of {count} pings were received within {timeout:g} seconds")

    def delay_pongs(self, seconds: float) -> None:
        """From now on, answer each ping `seconds` after it was received; `math.inf` waits for `release_pongs`.

        The answers go out in the order of the pings, when they are due and while some thread is receiving. Seconds are
        the real ones. ValueError below 0.
        """
        self._pong_delay = check_delay(seconds)

    def release_pongs(self) -> None:
        """Send every pong that is kept back, now and in this thread, and answer at once from now on.

        After the end it does nothing.
        """
        with self._state:
            self._pong_delay = 0.0
            self._late_pongs = deque((0.0, payload) for _, payload in self._late_pongs)
        self._send_due_pongs()
        with contextlib.suppress(ConnectionClosed):
            self._flush()

    def ignore_close(self) -> None:
        """From now on, send no Close frame: not in answer to the client's, and not at the handler's end.

        The client's Close is recorded, and `receive` raises ConnectionClosed as ever, but the TCP connection stays
        until the client hangs up or the server is closed; the handler's end, or `close`, waits for that as long as it
        takes.
        """
        self._ignores_close = True

    def _send(self, encode: Callable[[Encoder], Iterable[Piece]]) -> None:
        with self._state:
            self._refuse_ended()
            if self._encoder is None:
                raise RuntimeError("this connection is not accepted yet")
            if self._sent_close is not None:
                raise self._stop_writing("nothing may follow this server's Close frame")
            self._wire.queue(
                b"".join(map(bytes, encode(self._encoder)))
            )  # what a test counts and divides begins and ends here
        self._flush()

    def _say_close(self, code: Optional[int], reason: Optional[str] = None) -> None:
        """Queue a Close frame, unless one was sent or there is no way to."""
        body = encode_close(code, reason)
        with self._state:
            encoder = self._free_encoder()
            if encoder is not None and not self._ignores_close:
                self._sent_close = (1005 if code is None else code, reason)
                self._wire.queue(encoder.control(Opcode.CLOSE, body))

    def _free_encoder(self) -> Optional[Encoder]:
        """The encoder if a frame may be sent, else `None`."""
        return self._encoder if self._sent_close is None and self._end is None else None

    def _note_ping(self, payload: bytes) -> None:
        with self._state:
            self._pings.append(payload)
            self._late_pongs.append((time.monotonic() + self._pong_delay, payload))
            self._state.notify_all()
        self._send_due_pongs()

    def _send_due_pongs(self) -> Optional[float]:
        """Send the answers whose time has come; return the seconds until the next one's, `None` if that is open."""
        with self._state:
            while self._late_pongs:
                due, payload = self._late_pongs[0]
                pause = due - time.monotonic()
                if pause > 0:
                    return None if pause == math.inf else pause
                self._late_pongs.popleft()
                encoder = self._free_encoder()
                if encoder is not None:
                    self._wire.post(encoder.control(Opcode.PONG, payload))
            return None


def check_delay(seconds: float) -> float:
    """`seconds` if a pong can come so late. ValueError if it is negative, or no number."""
    if not seconds >= 0:
        raise ValueError(f"an answer cannot be given {seconds} seconds after its question")
    return seconds


def _to_bytes(message: Message) -> bytes:
    if isinstance(message, str):
        return message.encode()
    return message if isinstance(message, bytes) else bytes(memoryview(message))
