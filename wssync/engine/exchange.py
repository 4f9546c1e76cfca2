"""One request and its response on a stream, for the opening handshake and for a proxy's CONNECT (RFC 9112).

It runs on the engine thread and blocks in the waits of its `Attempt` alone, so that one deadline stands over all bytes,
however slowly they trickle in.
"""

from __future__ import annotations

from ..errors import ConnectionClosed, HandshakeError, TimedOut
from ..frozen import replace
from ..hints import TYPE_CHECKING, Callable, Optional, Tuple
from ..protocol.http1 import HeadReader, Response, find_head, parse_response_head

if TYPE_CHECKING:
    from ..transport.stream import Stream
    from ..transport.waiting import Attempt
    from .attempts import Attempts

    Trace = Callable[..., None]

__all__ = ["Exchange"]

READ = 16_384
"""Bytes: heads are far smaller, and what follows a 101 in the same packet is only the beginning."""

MOST_INFORMATIONAL = 16
"""1xx responses before the final one. Real servers send one or two; an endless row of them is an attack."""

_BEGINNING = b"HTTP/"
_BLANK_LINE = len("\r\n\r\n")
"""Bytes of a head that are not given with it: the end of its last line, and a blank one."""

BODY_PATIENCE = 5.0
"""Seconds for the body of a refusal. The verdict is known by then, so the user is not kept waiting for prose."""


class Exchange:
    """An exchange with `peer` ("server" or "proxy"), which is what the errors call it. `url` must hold no secret."""

    def __init__(
        self, stream: Stream, attempts: Attempts, trace: Trace, url: str, peer: str, inform: Callable[[Response], None]
    ) -> None:
        self._stream = stream
        self._attempt = attempts.whole
        self._part = attempts.part
        self._trace = trace
        self._url = url
        self._peer = peer
        self._inform = inform
        self._began = False
        self._size = 0
        self.head = b""
        """Of the response that was read last."""

    def send(self, head: bytes, method: str, target: str) -> None:
        """Write the request; it has left when the kernel has all of it."""
        stream = self._stream
        self._trace("request_start", method=method, target=target)
        data = head
        while data or not stream.flush():
            accepted = stream.send(data) if data else 0
            data = data[accepted:]
            if not accepted:
                self._attempt.wait_stream(stream, False, True)
        self._trace("request_end", size=len(head))

    def read_response(self) -> Tuple[Response, bytes]:
        """The final response's head, and what came behind it; informational ones are reported on the way.

        HandshakeError for what is no HTTP, breaks a limit, or ends too early.
        """
        rest = b""
        for _ in range(MOST_INFORMATIONAL + 1):
            response, rest, size = self._read_head(rest)
            if response.status_code == 101 or response.status_code >= 200:
                self._size = size
                return response, rest
            self._trace("informational", status=response.status_code)
            self._inform(response)
        raise HandshakeError(
            f"the {self._peer} sent more than {MOST_INFORMATIONAL} informational responses", url=self._url
        )

    def _read_head(self, data: bytes) -> Tuple[Response, bytes, int]:
        data = data or self._receive_more(0)
        found = find_head(data, prefix=_BEGINNING)
        if found is None:
            reader = HeadReader(prefix=_BEGINNING)
            found = reader.feed(data)
            while found is None:
                found = reader.feed(self._receive_more(reader.received))
        self.head, rest = found
        return parse_response_head(self.head, self._url), rest, len(self.head) + _BLANK_LINE

    def _receive_more(self, received: int) -> bytes:
        """Bytes of the head, of which so many are here."""
        data = self._receive(self._attempt)
        if not data:
            raise self._cut_short(received)
        if not self._began:
            self._began = True
            self._trace("response_start")
        return data

    def _receive(self, attempt: Attempt) -> bytes:
        """What has come, waiting for it; b"" at the end of the stream."""
        stream = self._stream
        data: Optional[bytes] = None
        while data is None:
            stream.flush()  # TLS may have something to say of its own
            attempt.wait_stream(stream, True, stream.has_output)
            data = stream.recv(READ)
        return data

    def _cut_short(self, received: int) -> HandshakeError:
        if received:
            message, code = "the connection ended in the middle of the response head", -1005
        else:
            message, code = f"the {self._peer} closed the connection without an answer", -1011
        return HandshakeError(message, url=self._url, url_error_code=code)

    def with_body(self, response: Response, rest: bytes) -> Response:
        """The refusal with as much of its body as comes within its limits; that it breaks off is not another error."""
        from ..protocol.bodies import BodyReader  # a connection that opens needs none

        reader = BodyReader(response)
        patience = self._part(BODY_PATIENCE)
        try:
            done = reader.feed(rest)
            while not done:
                data = self._receive(patience)
                if not data:
                    reader.at_eof()
                    break
                done = reader.feed(data)
        except (TimedOut, ConnectionClosed):
            pass
        return self.end(replace(response, body=reader.body))

    def end(self, response: Response) -> Response:
        """That was all of it."""
        self._trace(
            "response_end",
            status=response.status_code,
            reason=response.reason,
            size=self._size,
            body_size=len(response.body),
            response=response,
        )
        return response
