"""The bytes of one client's connection: in both directions, divided and cut as a test wants it, and every way to end.

What is said and when it is over is decided under one lock, `_state`, which is never held while anything waits: the
order of bytes on the wire is the order in which that lock was taken, and a fact (the end of the connection, say) is
recorded before the client can learn of it. A test that has heard from the server may look at the record at once.
"""

from __future__ import annotations

import contextlib
import http
import threading
from typing import Iterator, List, Optional, Tuple

from ..errors import ConnectionClosed
from ..protocol.headers import Headers, HeadersLike
from ..protocol.http1 import RequestHead, format_response
from ..transport.clock import Clock, Deadline
from .outgoing import CutReached
from .wire import Ending, Wire

__all__ = ["CLOSE_TIMEOUT", "LINGER", "RawConnection", "check_unopened"]

CLOSE_TIMEOUT = 5.0
"""Seconds that `close` waits for the client's part, and a test for what is about to happen."""

LINGER = 2.0
"""Seconds in which a client is expected to hang up after it was told off."""


class RawConnection:
    """A client that has sent its request: bytes in both directions, and every way to end.

    All methods may be called from any thread; of those that read, one at a time has its turn. `ConnectionClosed` (1006)
    tells that the connection is over, whoever ended it.
    """

    def __init__(self, wire: Wire, request: RequestHead, unread: bytes = b"") -> None:
        self.request = request
        """The client's request: `method`, `target` and `headers`."""
        self._wire = wire
        self._unread = bytearray(unread)
        self._reading = threading.Lock()
        self._state = threading.Condition(threading.Lock())
        self._end: Optional[ConnectionClosed] = None
        self._answered = False
        self._accepted = False
        self._more_fields: List[Tuple[str, str]] = []
        self._raised: List[ConnectionClosed] = []
        self._ended = threading.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.target}{' ended' if self._end else ''}>"

    @property
    def answered(self) -> bool:
        """Whether the request has got its answer: a final response, raw bytes, or the end of the connection."""
        return self._answered or self._end is not None

    def add_headers(self, headers: HeadersLike) -> None:
        """Let the answer that is still to come, whoever gives it, have these header fields besides its own.

        RuntimeError once the connection is accepted.
        """
        check_unopened(self._accepted)
        self._more_fields += Headers(headers).fields

    def respond(
        self, status: int, reason: Optional[str] = None, headers: HeadersLike = None, body: bytes = b""
    ) -> None:
        """Send an HTTP response that is not the regular 101: a refusal, a redirect, or one of the 1xx before it.

        `reason` is by default the usual phrase. `Content-Length` is added where it belongs, unless it (or
        `Transfer-Encoding`) is given. ValueError for header fields that cannot be; RuntimeError once the connection is
        accepted, where HTTP has no place any more.
        """
        check_unopened(self._accepted)
        fields = Headers(headers)
        tunnel = self.request.method == "CONNECT" and 200 <= status < 300  # it has no body (RFC 9110 section 9.3.6)
        has_body = status >= 200 and status not in (204, 304) and not tunnel
        if has_body and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
            fields = fields.replace({"Content-Length": str(len(body))})
        if reason is None:
            reason = http.HTTPStatus(status).phrase
        if status < 200:
            self._send_bytes(format_response(status, reason, fields, body))
        else:
            self.send_raw(format_response(status, reason, [*fields.fields, *self._more_fields], body))

    def send_raw(self, data: bytes) -> None:
        """Send these bytes as they are (over TLS: as TLS data), behind all that was sent before.

        Waits until the kernel has taken them.
        """
        self._answered = True
        self._send_bytes(data)

    def _send_bytes(self, data: bytes) -> None:
        with self._state:
            self._refuse_ended()
            self._wire.queue(bytes(memoryview(data)))
        self._flush()

    def receive_raw(self, n: int, timeout: Optional[float] = None) -> bytes:
        """Exactly `n` bytes as the client sent them, fewer only if it has finished sending.

        TimeoutError after `timeout` seconds, and then nothing is lost: what came is given to the next call. Bytes that
        `receive` has read behind its message (a read takes what is there) do not come back here.
        """
        deadline = Deadline(Clock(), timeout)
        with self._turn(deadline):
            while len(self._unread) < n:
                data = self._read(deadline.remaining())
                if not data:
                    break
                self._unread += data
            taken = bytes(self._unread[:n])
            del self._unread[:n]
            return taken

    def in_pieces(self, size: Optional[int] = 1, pause: float = 0.0) -> None:
        """From now on, let everything go out in pieces of `size` bytes, `pause` seconds apart.

        Each piece is a system call of its own (over TLS it is also a record of its own, and its bytes are counted
        before they are encrypted). All that this connection sends is divided so, pongs and other threads' messages too.
        The end of the connection waits for no pause. `None` ends it. ValueError for less than one byte or no time.
        """
        self._wire.shape(lambda outgoing: outgoing.in_pieces(size, pause))

    def split_at(self, *positions: int) -> None:
        """Divide what is sent from now on at these positions, each counted from now: `split_at(1, 4)` makes pieces of
        one byte, of three, and the rest. Pieces are what they are for `in_pieces`. ValueError below 1.
        """
        self._wire.shape(lambda outgoing: outgoing.split_at(positions))

    def cut_after(self, count: int, *, reset: bool = False) -> None:
        """Let `count` more bytes go out, then drop the connection, in the midst of whatever it was that was sent.

        The cut comes when the kernel has taken exactly so many bytes of what is sent from now on (over TLS counted
        before they are encrypted; there is no close_notify). It is a FIN without a Close frame, or RST, by which the
        client may lose what it has not read yet. Whoever is sending then, and whoever sends or receives later, gets
        ConnectionClosed. 0 cuts at once. ValueError below 0.
        """
        self._wire.shape(lambda outgoing: outgoing.cut_after(count, reset))
        if not count:
            with contextlib.suppress(ConnectionClosed):
                self._flush()

    def abort(self) -> None:
        """Reset the connection (RST): the client loses even what it has not read yet."""
        self._finish(ConnectionClosed("this server reset the connection"), Ending.RST)

    def drop(self) -> None:
        """Close the TCP connection and say nothing: no Close frame, no TLS close_notify."""
        self._finish(ConnectionClosed("this server dropped the connection"), Ending.FIN)

    def hang_up(self) -> None:
        """End in good order after an HTTP response: FIN, and two seconds for the client to read and hang up as well."""
        self._wire.linger(LINGER)
        self._finish(ConnectionClosed("this server hung up"), Ending.CLEAN)

    def wait_until_closed(self, timeout: Optional[float] = CLOSE_TIMEOUT) -> None:
        """Wait until the connection is over and its socket closed. TimeoutError after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the connection was still there after {timeout:g} seconds")

    @property
    def end(self) -> Optional[ConnectionClosed]:
        """Why the connection is over, as `receive` tells it; `None` before that."""
        return self._end

    def is_end(self, error: BaseException) -> bool:
        """Whether `error` is what a method of this connection raised because it is over, and not some other one's."""
        return error is self._end or any(error is raised for raised in self._raised)

    def _refuse_ended(self) -> None:
        if self._end is not None:
            raise self._end

    @contextlib.contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        remaining = deadline.remaining()
        if not self._reading.acquire(timeout=-1 if remaining is None else remaining):
            raise TimeoutError("another thread was receiving all the time")
        try:
            yield
        finally:
            self._reading.release()

    def _read(self, timeout: Optional[float]) -> bytes:
        try:
            return self._wire.read(timeout)
        except TimeoutError:
            raise
        except CutReached:
            raise self._cut() from None
        except OSError as error:
            raise self._lose() from error

    def _flush(self) -> None:
        try:
            self._wire.flush()
        except CutReached:
            raise self._cut() from None
        except OSError as error:
            # Not the end yet: what the client said before it went can still be read.
            raise self._end or self._stop_writing("the client takes no more data") from error

    def _stop_writing(self, why: str) -> ConnectionClosed:
        error = ConnectionClosed(why)
        self._raised.append(error)
        return error

    def _lose(self) -> ConnectionClosed:
        return self._finish(ConnectionClosed("the client was lost without a Close frame"), Ending.FIN)

    def _cut(self) -> ConnectionClosed:
        return self._finish(ConnectionClosed("this server cut the connection"), Ending.FIN)

    def _finish(self, error: ConnectionClosed, how: Optional[Ending]) -> ConnectionClosed:
        """Make this the end, unless there was one before; return the error of the end that counts.

        `None` as the manner is the end of the conversation alone: TCP stays.
        """
        with self._state:
            end = self._end = self._end or error
            self._state.notify_all()
        if how is not None:
            self._wire.end(how)
            self._ended.set()
        return end


def check_unopened(accepted: bool) -> None:
    """Raise RuntimeError for what belongs before the 101, when the connection is `accepted`."""
    if accepted:
        raise RuntimeError("the connection is accepted already; this is an opening: Server(opening=...)")
