"""One client's connection, as the handlers of `wssync.testing.Server` see it.

`RawConnection` has the bytes, `SendingConnection` what is said, `ServerConnection` the rest: the answer to the request,
what is heard, the closing handshake. Well-formed frames come from `wssync.protocol` in the server's role; whatever is
meant to be wrong is written as bytes, by `send_raw`.

Nothing happens behind a handler's back: bytes are read while some thread is in `receive`, `receive_raw` or `close` and
at no other time, so a handler that does not receive answers neither pings nor a Close, and one that waits for something
else holds the client's data up in the kernel. That is what makes a silent or a slow server so easy to write.

A fact (a received ping, a close code, this very connection in `Server.connections`) is recorded before the bytes go out
by which the client can learn of it. A test that has heard from the server may look at the record at once.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, NamedTuple, Optional, Tuple, Union

from ..errors import ConnectionClosed
from ..protocol.closing import encode_close
from ..protocol.deflate import Compressor, DeflateOptions, Inflater
from ..protocol.encoder import Encoder
from ..protocol.frames import Role
from ..protocol.handshake import ServerAccepted, ServerRefused, answer
from ..protocol.headers import Headers, HeadersLike
from ..protocol.http1 import RequestHead
from ..protocol.messages import Close, Decoder, Event, Fault, Ping, Pong
from ..transport.clock import Clock, Deadline
from .sending import SendingConnection
from .unframed import CLOSE_TIMEOUT, LINGER, check_unopened
from .wire import Ending, Wire

if TYPE_CHECKING:
    from ..errors import CloseStatus

__all__ = ["ServerConnection", "Settings"]


class Settings(NamedTuple):
    """What all connections of one server have in common."""

    protocols: Tuple[str, ...] = ()
    deflate: Optional[DeflateOptions] = None
    maximum_message_size: Optional[int] = None


class ServerConnection(SendingConnection):
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
        failed: Callable[[ConnectionClosed], None],
    ) -> None:
        super().__init__(wire, request, unread)
        self.protocol: Optional[str] = None
        self._settings = settings
        self._opened = opened
        self._failed = failed
        self._decoder: Optional[Decoder] = None
        self._events: Deque[Event] = deque()
        self._received_close: CloseStatus = None

    @property
    def close_code(self) -> Optional[int]:
        """The code of the client's Close frame, 1005 if that was empty, `None` as long as none was received."""
        return self._received_close and self._received_close[0]

    @property
    def close_reason(self) -> Optional[str]:
        """The reason in the client's Close frame, or `None`."""
        return self._received_close and self._received_close[1]

    def regular_answer(self, headers: HeadersLike = None) -> bytes:
        """The bytes that `accept` would send, with these header fields besides: for a fault to send them spoilt.

        RuntimeError once the connection is accepted.
        """
        check_unopened(self._accepted)
        return self._judge(headers).response

    def accept(self, headers: HeadersLike = None) -> bool:
        """Answer the request by the rules, with these header fields besides: 101, and the connection is open.

        A request that is no proper upgrade is refused with 400 or 426, and the result is False. RuntimeError when it is
        open already.
        """
        if self.accepted:
            raise RuntimeError("this connection is accepted already")
        verdict = self._judge(headers)
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

    def close(
        self, code: Optional[int] = 1000, reason: Optional[str] = None, *, timeout: float = CLOSE_TIMEOUT
    ) -> None:
        """Close in good order: send a Close, wait at most `timeout` seconds for the client's, close the TCP connection.

        Messages that still come are dropped. `None` as the code sends an empty Close. Whatever the client does, this
        does not raise; ValueError is for a code or reason that cannot be sent. After the end it does nothing, and a
        connection that was not accepted hangs up.
        """
        encode_close(code, reason)
        if not self.accepted:
            self.hang_up()
            return
        deadline = Deadline(Clock(), None if self._ignores_close else timeout)
        self._say_close(code, reason)
        with contextlib.suppress(OSError):
            self._wire.flush(deadline.remaining())
        with contextlib.suppress(ConnectionClosed, TimeoutError), self._turn(deadline):
            self._next_message(deadline)
            while not deadline.expired():
                self._next_message(deadline)
        with contextlib.suppress(OSError):
            while self._ignores_close and self._wire.read():
                pass
        self._finish(ConnectionClosed("this server closed the connection", sent_close=self._sent_close), Ending.CLEAN)

    def go_away(self) -> None:
        """End without waiting for anything, with a Close 1001 if it can be said at once; `Server.close` does so."""
        self._say_close(1001)
        self._finish(ConnectionClosed("the server was stopped", sent_close=self._sent_close), Ending.CLEAN)

    def _judge(self, headers: HeadersLike) -> Union[ServerAccepted, ServerRefused]:
        fields = [*Headers(headers).fields, *self._more_fields]
        protocols, deflate, _ = self._settings
        return answer(self.request, protocols=protocols, deflate=deflate, headers=fields)

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
            self._accepted = True
        self._opened(self)
        self._flush()

    def _next_message(self, deadline: Deadline) -> Union[str, bytes]:
        """For the thread whose turn it is to read."""
        if self._decoder is None:
            raise RuntimeError("this connection is not accepted yet")
        late = False
        while True:
            self._refuse_ended()
            while self._events:
                event = self._events.popleft()
                if isinstance(event, (str, bytes)):
                    return event
                self._obey(event)
            if not self._unread:
                if late:
                    raise TimeoutError("no message was complete in time")
                late = deadline.expired()
                self._read_more(deadline)
            self._events.extend(self._decoder.feed(bytes(self._unread)))
            self._unread.clear()

    def _read_more(self, deadline: Deadline) -> None:
        """Read at least one byte; send the pongs that are due meanwhile."""
        while not self._unread:
            pause, remaining = self._send_due_pongs(), deadline.remaining()
            waits = [seconds for seconds in (pause, remaining) if seconds is not None]
            try:
                data = self._read(min(waits, default=None))
            except TimeoutError:
                if deadline.expired():
                    raise
                continue
            if not data:
                raise self._lose()
            self._unread += data

    def _obey(self, event: Union[Ping, Pong, Close, Fault]) -> None:
        if isinstance(event, Ping):
            self._note_ping(event.payload)
        elif isinstance(event, Pong):
            self._pongs.append(event.payload)
        elif isinstance(event, Close):
            raise self._answer_close(event)
        else:
            raise self._fail(event.error)

    def _answer_close(self, close: Close) -> ConnectionClosed:
        self._received_close = (close.code, close.reason)
        self._say_close(None if close.code == 1005 else close.code)
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
        return self._finish(error, None if self._ignores_close else Ending.CLEAN)

    def _fail(self, error: ConnectionClosed) -> ConnectionClosed:
        self._failed(error)
        self._say_close(error.code)
        with contextlib.suppress(OSError):
            self._wire.flush(CLOSE_TIMEOUT)
        self._wire.linger(LINGER)
        error.sent_close = self._sent_close
        return self._finish(error, Ending.CLEAN)
