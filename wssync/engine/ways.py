"""How a short message is written at once, by the holder of the write role: three ways, each quicker than the last.

| way        | what it does                                  | where it goes                                         |
| ---------- | --------------------------------------------- | ----------------------------------------------------- |
| `Staged`   | encodes, and sends through the stream         | everywhere: recorded conversations, TLS in TLS        |
| `Sealed`   | encodes, encrypts, and makes the system call  | TLS on a plain socket                                 |
| `Direct`   | encodes, and makes the system call itself     | a plain socket                                        |

`Compressing` stands before any of them. With the accelerator the last two are within that: see `express`.

An interrupt (Ctrl-C, in a thread that sends) may come after any call. So what the kernel took is on record before
Python can raise anything, and stays there until nothing more can be lost.
"""

from __future__ import annotations

from itertools import repeat

from ..errors import ConnectionClosed
from ..hints import TYPE_CHECKING, Any, Iterator, List, Optional, Protocol, Tuple
from ..protocol.encoder import Encoder
from ..protocol.speed import encode_frame
from ..transport.stream import Stream

if TYPE_CHECKING:
    from ..protocol.deflate import Compressor
    from ..transport import stream as streams

__all__ = ["Begun", "Rest", "Way", "choose"]

RSV1 = 0x40
"""The bit of a frame's first byte that marks a compressed message (RFC 7692 section 6)."""

Rest = Tuple[int, bytes]
"""How many bytes of a frame the kernel took, and the frame."""


class Begun(Protocol):
    """A frame that may have begun to leave."""

    def rest(self) -> Optional[Rest]:
        """The frame that has begun to leave, or has to; `None` if there is none. `ConnectionClosed` if that cannot be
        known, so that the peer could make no sense of what follows.
        """

    def forget(self) -> None:
        """The rest is in somebody else's care."""


class Way(Begun, Protocol):
    """A way to write; used by the holder of the write role alone."""

    def send(self, first: int, payload: bytes) -> int:
        """Write a message, `first` the first byte of its frame: the bytes of that frame, all handed to the kernel.

        0 if not all were. Then, and after an interrupt, `rest` tells what is left, and `forget` must follow.
        `ConnectionClosed` or `OSError` when the connection is broken.
        """


class _Recording:
    """A frame, and behind it how many bytes of it the kernel took, as soon as each is known."""

    __slots__ = ("__dict__", "_encoder", "_record")

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._record: List[Any] = []

    def rest(self) -> Optional[Rest]:
        """See `Begun.rest`."""
        if len(self._record) < 2:
            return None
        frame, accepted = self._record
        return accepted, frame

    def forget(self) -> None:
        """See `Begun.forget`."""
        self._record.clear()


class Staged(_Recording):
    """Through the encoder and the stream."""

    __slots__ = ("_stream",)

    def __init__(self, encoder: Encoder, stream: Stream) -> None:
        super().__init__(encoder)
        self._stream = stream

    def send(self, first: int, payload: bytes) -> int:
        """See `Way.send`."""
        frame = encode_frame(first, payload, self._encoder.key())
        self._record.append(frame)
        return self._send_staged(frame)

    def _send_staged(self, frame: bytes) -> int:
        record, stream, size = self._record, self._stream, len(frame)
        record.extend(map(stream.send, (frame,)))
        if record[1] != size or stream.has_output:  # no `flush`: of one that is interrupted nothing is known
            return 0
        del record[:]  # no call from here to the return
        return size

    def rest(self) -> Optional[Rest]:
        """See `Begun.rest`. Asked the same again, a stream that remembers tells what it took."""
        if len(self._record) == 1:
            if not (self._stream.remembers or self._stream.is_exact):
                raise ConnectionClosed("sending was interrupted")
            return 0, self._record[0]
        return super().rest()


class Sealed(Staged):
    """Through the encoder, the one step of TLS, and the socket. What is longer than that step takes is staged."""

    __slots__ = ("_frame", "_keep", "_seal", "_sealed", "_send_next", "_sent")

    def __init__(self, encoder: Encoder, stream: Stream, sealing: streams.Sealing) -> None:
        super().__init__(encoder, stream)
        self._seal = sealing.seal
        self._keep = sealing.keep
        self._frame: Optional[bytes] = None
        self._sealed: List[Any] = [None]
        self._sent: List[int] = []
        # Made once: each `next` sends what is sealed by then, and stores how much the kernel took, in one C call.
        direct = sealing.direct
        counts = map(direct.send, map(self._sealed.__getitem__, repeat(0)), repeat(direct.send_flags))
        self._send_next = map(self._sent.append, counts)

    def send(self, first: int, payload: bytes) -> int:
        """See `Way.send`."""
        encoder, sent = self._encoder, self._sent
        keys = encoder.keys
        self._frame = frame = encode_frame(first, payload, keys.pop() if keys else encoder.fresh_key())
        self._sealed[0] = sealed = self._seal(frame)
        if sealed is None:
            self._frame = None
            self._record.append(frame)
            return self._send_staged(frame)
        try:
            next(self._send_next)
        except BlockingIOError:
            sent[:] = (0,)
        size = len(frame)
        if sent[0] != len(sealed):
            return 0
        self._frame = self._sealed[0] = None
        del sent[:]  # no call from the line before to here
        return size

    def rest(self) -> Optional[Rest]:
        """See `Begun.rest`. The stream has taken all of a frame that was sealed, and keeps what the kernel did not."""
        frame, sealed = self._frame, self._sealed[0]
        if frame is None:
            return super().rest()
        if sealed is None:
            raise ConnectionClosed("sending was interrupted")  # within TLS, where every record counts
        self._keep(sealed[sum(self._sent) :])
        return len(frame), frame

    def forget(self) -> None:
        """See `Begun.forget`."""
        super().forget()
        self._frame = self._sealed[0] = None
        del self._sent[:]


class Direct(_Recording):
    """Through the encoder and the socket."""

    __slots__ = ("_direct", "_steps")

    def __init__(self, encoder: Encoder, direct: streams.Direct) -> None:
        super().__init__(encoder)
        self._direct = direct
        self._steps: Optional[Iterator[None]] = None

    def _make_steps(self) -> Iterator[None]:
        """An endless row of sends, of which each takes the frame from the record, has the kernel take it, and appends
        how much it took. All of that is one call in C, which nothing comes between, and nothing is made for it each
        time. Made for the first message: many a connection sends none.
        """
        record, direct = self._record, self._direct
        frames = map(record.__getitem__, repeat(0))
        self._steps = steps = map(record.append, map(direct.send, frames, repeat(direct.send_flags)))
        return steps

    def send(self, first: int, payload: bytes) -> int:
        """See `Way.send`."""
        encoder, record, steps = self._encoder, self._record, self._steps
        keys = encoder.keys
        frame = encode_frame(first, payload, keys.pop() if keys else encoder.fresh_key())
        if steps is None:
            steps = self._make_steps()
        record.append(frame)
        try:
            next(steps)
        except BlockingIOError:
            record.append(0)
        size = len(frame)
        if record[1] != size:
            return 0
        del record[:]  # no call from here to the return
        return size


class Compressing:
    """Through the compressor, as far as that wants to compress, and another way."""

    def __init__(self, compressor: Compressor, way: Way) -> None:
        self._compress = compressor.compress
        self._send = way.send
        self._way = way
        self._is_ahead = False
        """Whether the compressor may have seen what has not begun to leave."""

    def send(self, first: int, payload: bytes) -> int:
        """See `Way.send`."""
        self._is_ahead = True
        compressed = self._compress(payload)
        if compressed is None:
            self._is_ahead = False
        else:
            first, payload = first | RSV1, compressed
        sent = self._send(first, payload)
        self._is_ahead = False
        return sent

    def rest(self) -> Optional[Rest]:
        """See `Begun.rest`."""
        rest = self._way.rest()
        if rest is None and self._is_ahead:
            raise ConnectionClosed("sending was interrupted")  # the peer's inflater must see what the compressor saw
        return rest

    def forget(self) -> None:
        """See `Begun.forget`."""
        self._way.forget()
        self._is_ahead = False


def choose(encoder: Encoder, stream: Stream) -> Way:
    """The quickest way there is for this connection."""
    way = _choose_behind_compressor(encoder, stream)
    return way if encoder.compressor is None else Compressing(encoder.compressor, way)


def _choose_behind_compressor(encoder: Encoder, stream: Stream) -> Way:
    direct = stream.direct
    if direct is not None:
        return Direct(encoder, direct)
    sealing = stream.sealing
    return Staged(encoder, stream) if sealing is None else Sealed(encoder, stream, sealing)
