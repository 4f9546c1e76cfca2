"""One client's connection, as the handlers of `wssync.testing.Server` see it.

`RawConnection` has the bytes and the HTTP, `ServerConnection` the WebSocket on top. Well-formed frames come from
`wssync.protocol` in the server's role; whatever is meant to be wrong is written as bytes, by `send_raw`.

Nothing happens behind a handler's back: bytes are read while some thread is in `receive`, `receive_raw` or `close` and
at no other time, so a handler that does not receive answers neither pings nor a Close, and one that waits for something
else holds the client's data up in the kernel. That is what makes a silent or a slow server so easy to write.

What is said and when it is over is decided under one lock, `_state`, which is never held while anything waits: the
order of frames on the wire is the order in which that lock was taken, nothing follows a Close, and a fact (a received
ping, a close code, this very connection in `Server.connections`) is recorded before the bytes go out by which the
client can learn of it. A test that has heard from the server may look at the record at once.
"""

from __future__ import annotations

import contextlib
import http
import threading
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import ConnectionClosed
from ..protocol.closing import encode_close
from ..protocol.deflate import Compressor, DeflateOptions, Inflater
from ..protocol.encoder import Encoder
from ..protocol.frames import Opcode, Role, encode_header
from ..protocol.handshake import ServerAccepted, ServerRefused, answer
from ..protocol.headers import Headers, HeadersLike
from ..protocol.http1 import RequestHead, format_response
from ..protocol.messages import Close, Decoder, Event, Fault, Ping, Pong
from ..transport.clock import Clock, Deadline
from .wire import Ending, Wire

if TYPE_CHECKING:
    from ..errors import CloseStatus

__all__ = ["Message", "RawConnection", "ServerConnection", "Settings"]

Message = Union[str, bytes, bytearray, memoryview]
"""What can be sent; `str` is a text message, everything else a binary one."""

CLOSE_TIMEOUT = 5.0
"""Seconds that `close` waits for the client's part, and a test for what is about to happen."""

LINGER = 2.0
"""Seconds in which a client is expected to hang up after it was told off."""


class Settings(NamedTuple):
    """What all connections of one server have in common."""

    protocols: Tuple[str, ...] = ()
    deflate: Optional[DeflateOptions] = None
    maximum_message_size: Optional[int] = None


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
        self._state = threading.Lock()
        self._end: Optional[ConnectionClosed] = None
        self._answered = False
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
        """Let the answer that is still to come, whoever gives it, have these header fields besides its own."""
        self._more_fields += Headers(headers).fields

    def respond(
        self, status: int, reason: Optional[str] = None, headers: HeadersLike = None, body: bytes = b""
    ) -> None:
        """Send an HTTP response that is not the regular 101: a refusal, a redirect, or one of the 1xx before it.

        `reason` is by default the usual phrase. `Content-Length` is added where it belongs, unless it (or
        `Transfer-Encoding`) is given. ValueError for header fields that cannot be.
        """
        fields = Headers(headers)
        has_body = status >= 200 and status not in (204, 304)
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
                data = self._read(deadline)
                if not data:
                    break
                self._unread += data
            taken = bytes(self._unread[:n])
            del self._unread[:n]
            return taken

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

    def _read(self, deadline: Deadline) -> bytes:
        try:
            return self._wire.read(deadline.remaining())
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lose() from error

    def _flush(self) -> None:
        try:
            self._wire.flush()
        except OSError as error:
            # Not the end yet: what the client said before it went can still be read.
            raise self._end or self._stop_writing("the client takes no more data") from error

    def _stop_writing(self, why: str) -> ConnectionClosed:
        error = ConnectionClosed(why)
        self._raised.append(error)
        return error

    def _lose(self) -> ConnectionClosed:
        return self._finish(ConnectionClosed("the client was lost without a Close frame"), Ending.FIN)

    def _finish(self, error: ConnectionClosed, how: Ending) -> ConnectionClosed:
        """Make this the end, unless there was one before; return the error of the end that counts."""
        with self._state:
            end = self._end = self._end or error
        self._wire.end(how)
        self._ended.set()
        return end


class ServerConnection(RawConnection):
    """A WebSocket connection from the server's side.

    In an `opening` function it is still to be accepted, in a handler it is open. `protocol` is the subprotocol that was
    agreed on, or `None`.
    """

    def __init__(
        self,
        wire: Wire,
        request: RequestHead,
        unread: bytes = b"",
        *,
        settings: Settings,
        opened: Callable[[ServerConnection], None],
    ) -> None:
        super().__init__(wire, request, unread)
        self.protocol: Optional[str] = None
        self._settings = settings
        self._opened = opened
        self._encoder: Optional[Encoder] = None
        self._decoder: Optional[Decoder] = None
        self._events: Deque[Event] = deque()
        self._sent_close: CloseStatus = None
        self._received_close: CloseStatus = None
        self._pings: List[bytes] = []
        self._pongs: List[bytes] = []

    @property
    def accepted(self) -> bool:
        """Whether `accept` has answered with 101."""
        return self._encoder is not None

    @property
    def close_code(self) -> Optional[int]:
        """The code of the client's Close frame, 1005 if that was empty, `None` as long as none was received."""
        return self._received_close and self._received_close[0]

    @property
    def close_reason(self) -> Optional[str]:
        """The reason in the client's Close frame, or `None`."""
        return self._received_close and self._received_close[1]

    @property
    def pings(self) -> List[bytes]:
        """The payloads of the pings received so far, a new list."""
        return list(self._pings)

    @property
    def pongs(self) -> List[bytes]:
        """The payloads of the pongs received so far, a new list."""
        return list(self._pongs)

    def accept(self, headers: HeadersLike = None) -> bool:
        """Answer the request by the rules, with these header fields besides: 101, and the connection is open.

        A request that is no proper upgrade is refused with 400 or 426, and the result is False. RuntimeError when it is
        open already.
        """
        if self.accepted:
            raise RuntimeError("this connection is accepted already")
        settings = self._settings
        verdict = answer(
            self.request,
            protocols=settings.protocols,
            deflate=settings.deflate,
            headers=[*Headers(headers).fields, *self._more_fields],
        )
        self._answered = True
        if isinstance(verdict, ServerRefused):
            self.send_raw(verdict.response)
            return False
        self._open(verdict)
        return True

    def receive(self, timeout: Optional[float] = None) -> Union[str, bytes]:
        """The next message: text as `str`, binary as `bytes`. Answers pings and the client's Close meanwhile.

        TimeoutError after `timeout` seconds. ConnectionClosed when there will be no more messages: with the code and
        reason of the client's Close and `clean` where there was one, 1006 where not; a ProtocolError or MessageTooBig,
        after a Close that says so, where the client broke the protocol or passed `maximum_message_size`.
        """
        deadline = Deadline(Clock(), timeout)
        with self._turn(deadline):
            return self._next_message(deadline)

    def send(self, message: Message) -> None:
        """Send a message and wait until the kernel has taken it, however long that takes.

        ConnectionClosed if it is over, TypeError for what is no message.
        """
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        payload = _to_bytes(message)
        with self._state:
            for piece in self._sender().pieces(opcode, payload):
                self._wire.queue(piece)
        self._flush()

    def send_fragments(self, parts: Sequence[Message], *, text: bool = False) -> None:
        """Send one message in as many frames as there are parts, uncompressed and with nothing in between.

        It is a text message if the first part is a `str`, or if `text` is true: then the parts may be bytes that break
        in the middle of a character. ValueError for no parts.
        """
        if not parts:
            raise ValueError("a message has at least one frame")
        opcode = Opcode.TEXT if text or isinstance(parts[0], str) else Opcode.BINARY
        payloads = [_to_bytes(part) for part in parts]
        with self._state:
            self._sender()
            for number, payload in enumerate(payloads):
                last = number == len(payloads) - 1
                kind = Opcode.CONTINUATION if number else opcode
                self._wire.queue(encode_header(last, False, kind, len(payload), None) + payload)
        self._flush()

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping and wait for nothing; the answer will be in `pongs` when it was received. At most 125 bytes."""
        self._send_control(Opcode.PING, payload)

    def pong(self, payload: bytes = b"") -> None:
        """Send a pong that nobody asked for. At most 125 bytes."""
        self._send_control(Opcode.PONG, payload)

    def close(
        self, code: Optional[int] = 1000, reason: Optional[str] = None, *, timeout: float = CLOSE_TIMEOUT
    ) -> None:
        """Close in good order: send a Close, wait at most `timeout` seconds for the client's, close the TCP connection.

        Messages that still come are dropped. `None` as the code sends an empty Close. Whatever the client does, this
        does not raise; ValueError is for a code or reason that cannot be sent. After the end it does nothing, and a
        connection that was not accepted hangs up.
        """
        body = encode_close(code, reason)
        if not self.accepted:
            self.hang_up()
            return
        deadline = Deadline(Clock(), timeout)
        self._say_close(code, reason, body)
        with contextlib.suppress(OSError):
            self._wire.flush(deadline.remaining())
        with contextlib.suppress(ConnectionClosed, TimeoutError), self._turn(deadline):
            while True:
                self._next_message(deadline)
        self._finish(ConnectionClosed("this server closed the connection", sent_close=self._sent_close), Ending.CLEAN)

    def go_away(self) -> None:
        """End without waiting for anything, with a Close 1001 if it can be said at once; `Server.close` does so."""
        self._say_close(1001, None, encode_close(1001, None))
        self._finish(ConnectionClosed("the server was stopped", sent_close=self._sent_close), Ending.CLEAN)

    def _open(self, verdict: ServerAccepted) -> None:
        options, parameters = self._settings.deflate, verdict.deflate
        compressor = inflater = None
        if options is not None and parameters is not None:
            compressor = Compressor(parameters, Role.SERVER, options)
            inflater = Inflater(parameters, Role.SERVER)
        self.protocol = verdict.protocol
        self._decoder = Decoder(
            Role.SERVER, maximum_message_size=self._settings.maximum_message_size, inflater=inflater
        )
        with self._state:
            self._refuse_ended()
            self._wire.queue(verdict.response)
            self._encoder = Encoder(Role.SERVER, compressor)
        self._opened(self)
        self._flush()

    def _sender(self) -> Encoder:
        self._refuse_ended()
        if self._encoder is None:
            raise RuntimeError("this connection is not accepted yet")
        if self._sent_close is not None:
            raise self._stop_writing("nothing may follow this server's Close frame")
        return self._encoder

    def _send_control(self, opcode: Opcode, payload: bytes) -> None:
        with self._state:
            self._wire.queue(self._sender().control(opcode, payload))
        self._flush()

    def _say_close(self, code: Optional[int], reason: Optional[str], body: bytes) -> None:
        """Queue a Close frame, unless one was sent or there is no way to."""
        with self._state:
            if self._encoder is not None and self._sent_close is None and self._end is None:
                self._sent_close = (1005 if code is None else code, reason)
                self._wire.queue(self._encoder.control(Opcode.CLOSE, body))

    def _next_message(self, deadline: Deadline) -> Union[str, bytes]:
        """For the thread whose turn it is to read."""
        if self._decoder is None:
            raise RuntimeError("this connection is not accepted yet")
        while True:
            self._refuse_ended()
            while self._events:
                event = self._events.popleft()
                if isinstance(event, (str, bytes)):
                    return event
                self._obey(event)
            if not self._unread:
                data = self._read(deadline)
                if not data:
                    raise self._lose()
                self._unread += data
            self._events.extend(self._decoder.feed(bytes(self._unread)))
            self._unread.clear()

    def _obey(self, event: Union[Ping, Pong, Close, Fault]) -> None:
        if isinstance(event, Ping):
            self._pings.append(event.payload)
            with self._state:
                if self._encoder is not None and self._sent_close is None and self._end is None:
                    self._wire.post(self._encoder.control(Opcode.PONG, event.payload))
        elif isinstance(event, Pong):
            self._pongs.append(event.payload)
        elif isinstance(event, Close):
            raise self._answer_close(event)
        else:
            raise self._fail(event.error)

    def _answer_close(self, close: Close) -> ConnectionClosed:
        self._received_close = (close.code, close.reason)
        code = None if close.code == 1005 else close.code
        self._say_close(code, None, encode_close(code, None))
        with contextlib.suppress(OSError):
            self._wire.flush(CLOSE_TIMEOUT)
        error = ConnectionClosed(
            f"the client closed the connection with code {int(close.code)}",
            code=close.code,
            reason=close.reason,
            clean=True,
            received_close=self._received_close,
            sent_close=self._sent_close,
        )
        return self._finish(error, Ending.CLEAN)

    def _fail(self, error: ConnectionClosed) -> ConnectionClosed:
        self._say_close(error.code, None, encode_close(error.code, None))
        with contextlib.suppress(OSError):
            self._wire.flush(CLOSE_TIMEOUT)
        self._wire.linger(LINGER)
        error.sent_close = self._sent_close
        return self._finish(error, Ending.CLEAN)


def _to_bytes(message: Message) -> bytes:
    if isinstance(message, str):
        return message.encode()
    return message if isinstance(message, bytes) else bytes(memoryview(message))
