"""The body of a refusal (RFC 9112 section 6), for people to read: bounded, and never a reason to fail.

Whoever is refused wants to know why, and servers say so in the body. What counts by then is the status, which is known;
so a body that breaks its own framing is cut where it breaks, and nothing here raises. How much is kept, and how much
framing is read on the way (chunk sizes, extensions, trailers), both have the same limit: a server can not make a client
read for ever what it does not keep.
"""

from __future__ import annotations

import enum
import re

from wssync.hints import Iterator, Optional
from wssync.protocol.headers import split_list
from wssync.protocol.http1 import Response

__all__ = ["BodyReader"]

_DIGITS = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class BodyReader:
    """Collects the body of one response, at most `limit` bytes of it.

    The length follows RFC 9112 section 6.3: 1xx, 204 and 304 have no body; `Transfer-Encoding: chunked` is decoded;
    else one valid Content-Length counts; else the body lasts until the end of the stream. `done` tells whether
    everything wanted is there. `truncated` tells that it is not the whole body: it was longer than `limit`, was broken,
    or the stream ended too early.
    """

    def __init__(self, response: Response, limit: int = 65536) -> None:
        self._limit = limit
        self._body = bytearray()
        self._chunks: Optional[_Chunks] = None
        self._missing: Optional[int] = None
        self.truncated = False
        self.done = False
        self._choose_length(response)

    @property
    def body(self) -> bytes:
        """What has been read of the body, without its framing."""
        return bytes(self._body)

    def feed(self, data: bytes) -> bool:
        """Take `data`; whether the body is done. Bytes behind the end of the body are ignored."""
        if not self.done:
            if self._chunks is not None:
                self._feed_chunks(self._chunks, data)
            else:
                self._feed_plain(data)
        return self.done

    def at_eof(self) -> None:
        """Tell the reader that the stream has ended."""
        if not self.done:
            self._finish(truncated=self._chunks is not None or self._missing is not None)

    def _choose_length(self, response: Response) -> None:
        codings = split_list(response.headers.get_all("Transfer-Encoding"))
        lengths = set(split_list(response.headers.get_all("Content-Length")))
        if response.status_code < 200 or response.status_code in (204, 304):
            self.done = True
        elif [coding.lower() for coding in codings] == ["chunked"]:
            self._chunks = _Chunks(self._limit)
        elif not codings and len(lengths) == 1 and _DIGITS.fullmatch(text := lengths.pop()):
            self._missing = int(text)
            self.done = self._missing == 0

    def _feed_plain(self, data: bytes) -> None:
        if self._missing is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        self._keep(data)
        if self._missing == 0 and not self.done:
            self._finish(truncated=False)

    def _feed_chunks(self, chunks: _Chunks, data: bytes) -> None:
        try:
            for piece in chunks.feed(data):
                self._keep(piece)
                if self.done:
                    return
        except ValueError:
            self._finish(truncated=True)
            return
        if chunks.done:
            self._finish(truncated=False)

    def _keep(self, data: bytes) -> None:
        room = self._limit - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self._finish(truncated=True)

    def _finish(self, *, truncated: bool) -> None:
        self.truncated = truncated
        self.done = True


class _Part(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILER = enum.auto()


class _Chunks:
    """Takes the framing of chunks off (RFC 9112 section 7.1).

    Raises ValueError where it is broken or more than `limit` bytes.
    """

    def __init__(self, limit: int) -> None:
        self.done = False
        self._part = _Part.SIZE
        self._line = bytearray()
        self._framing = limit
        self._left = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take `data`; yield the pieces of the body in it."""
        position = 0
        while position < len(data) and not self.done:
            if self._part is _Part.DATA:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = _Part.DATA_END
                yield piece
            else:
                end = data.find(b"\n", position) + 1 or len(data)
                self._take_line(data[position:end])
                position = end

    def _take_line(self, piece: bytes) -> None:
        self._framing -= len(piece)
        if self._framing < 0:
            raise ValueError("too much framing")
        self._line += piece
        if self._line.endswith(b"\n"):
            line = bytes(self._line)
            self._line.clear()
            self._end_line(line)

    def _end_line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            found = _CHUNK_SIZE.fullmatch(line)
            if found is None:
                raise ValueError("a chunk without a size")
            self._left = int(found[1], 16)
            self._part = _Part.DATA if self._left else _Part.TRAILER
        elif self._part is _Part.DATA_END:
            if line != b"\r\n":
                raise ValueError("a chunk longer than its size")
            self._part = _Part.SIZE
        else:
            self.done = line == b"\r\n"
