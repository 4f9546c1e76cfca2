"""A recorded server, played by a thread: it hears what the client says, and says what was said then.

`Replay.dial` gives the client one end of a socket pair; a `Player` has the other. It first reads the request and gives
the recorded answer, with a Sec-WebSocket-Accept for the key of today. Then it goes through the recorded events: what
the server said goes out as soon as everything that the client had said before has come.

**No deadlock.** Say that a program does the same thing whenever it hears the same things. Where the recording has a
message of the client before one of the server, the client had said it without having heard that one (`recording` sees
to that), so it will say it again without hearing it. The player, in turn, waits for nothing but the client's next
recorded event: it never waits to write before it reads, nor for a time to come, nor for another connection. By
induction each event comes. What is *not* kept is the order between connections: if one client's message made the server
write to another one, then on replay the second may hear it early.

**Patience.** A program that does something else may wait for an answer where it once had asked, and its keepalive goes
on. So the player tells, after so many seconds in which the client did nothing but ping and pong, what was due, and ends
the connection. The seconds are real ones whatever clock the client has: one that stands still would let both wait.

**Ends.** After the server's last word the player says FIN and reads on, forgetting what comes, until the client has
hung up or the block ends: a socket closed with unread bytes would reset the connection. A reset is a matter of the
client's own end of the pair (`ReplayedStream`), because a pair of local sockets knows none.

**Goodbyes.** Two things that a client says on its way out are compared when they come and not missed when they do not:
its answer to the server's Close, and the empty Close of `cancel()`, which is tried and not waited for. And an end of
the block by an exception closes connections, so an unexpected Close is then an effect and no cause.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

from .. import errors
from ..errors import Cancelled, ConnectionFailed, HandshakeError
from ..protocol.closing import encode_close
from ..protocol.deflate import Compressor, DeflateOptions, Inflater
from ..protocol.encoder import Encoder
from ..protocol.frames import Opcode, Role
from ..protocol.handshake import accept_value
from ..protocol.http1 import HeadReader, RequestHead, format_response, parse_request_head
from ..protocol.messages import Close, Decoder, Fault, Ping, Pong
from ..transport.stream import TCPStream, connection_lost
from ..transport.waiting import Waker, wait_for
from .differences import compare_requests, show, show_both, show_pair
from .masking import Masking
from .recording import agreed_deflate
from .tape import ACCEPT, EMPTY, Answer, Closed, Conversation, Event, Failure, HungUp, Raw, Said

if TYPE_CHECKING:
    from ..protocol import messages
    from ..transport.stream import Stream
    from ..transport.waiting import Attempt, HasFileno

__all__ = ["Mismatch", "Player", "Replay", "ReplayedStream"]

READ_SIZE = 65536

MOST_READS = 64
"""So that a client that never stops does not keep the player from speaking, or from ending."""

MOST_URLS = 10
"""Shown of those that a cassette has."""

_NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
_numbers = itertools.count(1)


class Mismatch(NamedTuple):
    """What the cassette has and what came, in words. `is_goodbye` if what came was the client's Close."""

    text: str
    is_goodbye: bool = False


class Replay:
    """The conversations of a cassette, played through `dial` from now on until `finish`.

    `patience` is in real seconds, for each event of a client; `None` is for ever.
    """

    def __init__(
        self, path: str, conversations: Sequence[Conversation], masking: Masking, patience: Optional[float]
    ) -> None:
        self._path = path
        self._conversations = conversations
        self._masking = masking
        self._patience = patience
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._over = False
        self._used: Set[int] = set()
        self._players: Dict[int, Player] = {}
        self._hanging: List[Waker] = []
        self._mismatches: List[Mismatch] = []

    def dial(self, host: str, port: int, attempt: Attempt, *, url: str, **options: Any) -> Stream:
        """A stream whose other end is played; nobody is asked for `host`. Raises what was recorded to be raised."""
        if os.getpid() != self._process:
            raise ConnectionFailed(f"the cassette {self._path} is played in the parent process alone")
        with self._lock:
            self._refuse_late()
            number = self._find(self._masking.url(url))
            failure = self._conversations[number].failed
            if failure is None:
                return self._start(number, attempt.waker)
            self._hanging.append(attempt.waker)
        raise self._fail(failure, attempt)

    def _start(self, number: int, waker: Waker) -> Stream:
        place = self._place(number)
        player = Player(self._conversations[number], self._masking, place, self._report, self._patience)
        stream = player.start(waker)
        self._players[number] = player
        return stream

    def _refuse_late(self) -> None:
        if self._over:
            raise ConnectionFailed(f"the block of the cassette {self._path} has ended")

    def _find(self, url: str) -> int:
        """The first conversation of that URL that nobody has had yet."""
        urls = [self._masking.url(one.url) for one in self._conversations]
        number = next((at for at, one in enumerate(urls) if one == url and at not in self._used), None)
        if number is None:
            shown = [*dict.fromkeys(urls)][:MOST_URLS] or ["no connection"]
            known = "\n".join(f"  recorded: {one}" for one in shown)
            more = " again" if url in urls else ""
            text = f"{self._path}: a connection that was not recorded\n{known}\n  came:     {url}{more}"
            self._mismatches.append(Mismatch(text))
            raise ConnectionFailed(f"the cassette {self._path} has no such conversation{more}")
        self._used.add(number)
        return number

    def _fail(self, failure: Failure, attempt: Attempt) -> BaseException:
        """What the dial ended with. One that the client gave up hangs until it does so again."""
        while failure.kind == Cancelled.__name__:
            attempt.wait()
            self._refuse_late()
        kind = getattr(errors, failure.kind)
        error: BaseException = kind(failure.message, url_error_code=failure.url_error_code)
        return error

    def _place(self, number: int) -> str:
        return f"{self._path}: conversation {number + 1} ({self._masking.url(self._conversations[number].url)})"

    def _report(self, mismatch: Mismatch) -> None:
        with self._lock:
            self._mismatches.append(mismatch)

    def finish(self) -> List[Mismatch]:
        """End every player, and tell what came and was not expected, in the order of time."""
        with self._lock:
            self._over = True
            players = list(self._players.values())
        for waker in self._hanging:
            waker.wake()
        for player in players:
            player.stop()
        for player in players:
            player.join()
        return list(self._mismatches)

    def abandon(self) -> None:
        """This is a forked process: give back its copies of the descriptors, take no lock."""
        for player in self._players.values():
            player.abandon()

    def missing(self) -> List[Mismatch]:
        """After `finish`: what was expected and did not come, in the order of the file."""
        found: List[Mismatch] = []
        for number in range(len(self._conversations)):
            if number not in self._used:
                found.append(Mismatch(self._unconnected(number)))
            elif number in self._players:
                text = self._players[number].missing()
                found += [Mismatch(text)] if text else []
        return found

    def _unconnected(self, number: int) -> str:
        urls = [self._masking.url(one.url) for one in self._conversations]
        url = urls[number]
        which = "other " if any(urls[at] == url for at in self._used) else ""
        both = show_pair(f"a connection to {url}", f"no {which}connection to {url}")
        return f"{self._place(number)} was recorded, and nobody connected\n{both}"


class ReplayedStream(TCPStream):
    """The client's end of the pair, which can tell of a reset."""

    def __init__(self, sock: socket.socket, waker: Waker, player: Player) -> None:
        super().__init__(sock, waker)
        self._player = player

    direct = patient_recv = None  # the socket itself would not tell of a reset

    def recv(self, limit: int) -> Optional[bytes]:
        """See `Stream.recv`."""
        data = super().recv(limit)
        if data == b"" and self._player.was_reset:
            error = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            raise connection_lost(error) from error
        return data


class _Patience:
    """How long the client may still be silent; `seconds` is `None` for ever."""

    def __init__(self, seconds: Optional[float]) -> None:
        self.seconds = seconds
        self.renew()

    def renew(self) -> None:
        """It has done something."""
        self._since = time.monotonic()

    def left(self) -> Optional[float]:
        """Seconds, zero and less if none are."""
        return None if self.seconds is None else self._since + self.seconds - time.monotonic()


class Player:
    """The server's part of one conversation, in a thread of its own; `report` is told of the first mismatch."""

    def __init__(
        self,
        conversation: Conversation,
        masking: Masking,
        place: str,
        report: Callable[[Mismatch], None],
        patience: Optional[float],
    ) -> None:
        self.was_reset = False
        self._conversation = conversation
        self._masking = masking
        self._place = place
        self._report = report
        self._sock: Optional[socket.socket] = None
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name=f"wssync-testing-cassette-{next(_numbers)}", daemon=True)
        self._stopped = False
        self._out = bytearray()
        self._head = HeadReader()
        self._request: Optional[RequestHead] = None
        self._decoder: Optional[Decoder] = None
        self._encoder = Encoder(Role.SERVER)
        self._position = 0
        self._is_closed = False
        self._is_over = False
        self._said_fin = False
        self._has_left = False
        self._is_saying = False
        self._patience = _Patience(patience)

    # -- any thread ----------------------------------------------------------------------------------------------------

    def start(self, waker: Waker) -> ReplayedStream:
        """Begin, and return the client's end. ConnectionFailed if the process has no more threads or descriptors."""
        stream = None
        try:
            self._sock, other = socket.socketpair()
            self._sock.setblocking(False)
            stream = ReplayedStream(other, waker, self)
            self._thread.start()
        except (OSError, RuntimeError) as error:
            self.abandon()
            if stream is not None:
                stream.close()
            raise ConnectionFailed(f"a cassette could not be played: {error}") from error
        return stream

    def stop(self) -> None:
        """Hear what has come until now, and end."""
        self._stopped = True
        self._waker.wake()

    def join(self) -> None:
        """Wait for the end after `stop`, and give the descriptors back."""
        self._thread.join()
        self.abandon()

    def abandon(self) -> None:
        """Give the descriptors back."""
        self._waker.close()
        if self._sock is not None:
            self._sock.close()

    def missing(self) -> Optional[str]:
        """After the end: what the client should have said and did not."""
        events = self._conversation.events
        how = "the client had hung up" if self._has_left else "the connection was still open at the end of the block"
        came = f"nothing ({how})"
        if self._request is None:
            request = self._conversation.request
            if request is None:
                return None
            asked = f"{request.method} {self._masking.url(request.target)}"
            return f"{self._place}: the request did not come:\n{show_pair(asked, came)}"
        left = range(self._position, 0 if self._is_closed else len(events))
        due = [at for at in left if events[at].side == "client" and not _is_farewell(events[at])]
        if not due:
            return None
        more = f" (and {len(due) - 1} more)" if len(due) > 1 else ""
        return f"{self._place}, event {due[0] + 1} did not come{more}:\n{show_pair(show(events[due[0]]), came)}"

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            self._play(sock)
        except Exception as error:
            self._report(Mismatch(f"{self._place}: the player failed: {error!r}"))
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _play(self, sock: socket.socket) -> None:
        there = True
        while there and not self._stopped:
            watched: List[HasFileno] = [sock, self._waker]
            timeout = self._patience.left() if self._is_due() else None
            wait_for(watched, [sock] if self._out else [], timeout)
            there = self._hear(sock)
            self._despair()
            self._speak(sock)
        self._has_left = not (there and self._hear(sock))

    def _is_due(self) -> bool:
        """Whether it is the client's turn. It is not after the server's Close: nobody waits for the answer to that."""
        ended = self._request is None or self._is_closed or self._is_over
        return not ended and self._position < len(self._conversation.events)

    def _despair(self) -> None:
        """Wait no longer if that was long enough."""
        left = self._patience.left()
        if left is not None and left <= 0 and self._is_due():
            both = show_pair(
                show(self._conversation.events[self._position]), f"nothing for {self._patience.seconds:g} s"
            )
            self._mismatch(f", event {self._position + 1} did not come:\n{both}")

    def _hear(self, sock: socket.socket) -> bool:
        """Take in what has come, all that the kernel may hold of it; False at the client's end."""
        for _ in range(MOST_READS):
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._take(data)
        return True

    def _speak(self, sock: socket.socket) -> None:
        try:
            while self._out:
                del self._out[: sock.send(self._out, _NO_SIGNAL)]
                if self._is_saying:
                    self._patience.renew()  # who still takes what came before has not come to the next thing
            self._is_saying = False
            if self._is_over and not self._said_fin:
                self._said_fin = True
                sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._out.clear()  # nobody takes anything any more; what was said before is still to be read

    def _take(self, data: bytes) -> None:
        if self._request is None and not self._is_over:
            data = self._take_request(data)
        if self._decoder is not None and not self._is_over:
            events = self._decoder.feed(data)
            for event in events:
                self._obey(event)
            pings = sum(isinstance(event, (Ping, Pong)) for event in events)
            if not events or pings < len(events) or self._decoder.in_message:
                self._patience.renew()

    def _take_request(self, data: bytes) -> bytes:
        """Answer the request once it is there; returns the bytes behind it."""
        try:
            found = self._head.feed(data)
            if found is None:
                return b""
            self._request = parse_request_head(found[0])
        except HandshakeError as error:
            self._mismatch(f": the request is no HTTP: {error}")
            return b""
        difference = compare_requests(self._conversation.request, self._request, self._masking)
        if difference is not None:
            self._mismatch(f": the request is another one\n{difference}")
            return b""
        self._answer(self._request)
        return found[1]

    def _answer(self, request: RequestHead) -> None:
        for answer in self._conversation.informational:
            self._out += _format(answer)
        response = self._conversation.response
        if response is not None:
            accept = accept_value(request.headers.get("Sec-WebSocket-Key", ""))
            self._out += _format(response, accept if response.status == 101 and response.has_accept else None)
            if response.status != 101:
                self._is_over = True
                return
            self._open(response)
        self._advance()

    def _open(self, response: Answer) -> None:
        parameters = agreed_deflate(response.headers)
        inflater = None
        if parameters is not None:
            inflater = Inflater(parameters, Role.SERVER)
            self._encoder = Encoder(Role.SERVER, Compressor(parameters, Role.SERVER, DeflateOptions()))
        self._decoder = Decoder(Role.SERVER, maximum_message_size=None, inflater=inflater)

    def _advance(self) -> None:
        """Say what the server said next."""
        events = self._conversation.events
        while self._position < len(events) and events[self._position].side == "server":
            self._say(events[self._position])
            self._position += 1
        self._is_over = self._is_over or (self._is_closed and self._position == len(events))

    def _say(self, event: Event) -> None:
        self._is_saying = True  # pongs alone are not
        if isinstance(event, Raw):
            self._out += event.content
        elif isinstance(event, HungUp):
            self.was_reset = event.how == "RST"
            self._is_over = True
        elif isinstance(event, Closed):
            code = None if event.code == EMPTY else event.code
            self._out += self._encoder.control(Opcode.CLOSE, encode_close(code, event.reason))
            self._is_closed = True
        elif isinstance(event.content, str):
            self._out += b"".join(map(bytes, self._encoder.pieces(Opcode.TEXT, event.content.encode())))
        else:
            self._out += b"".join(map(bytes, self._encoder.pieces(Opcode.BINARY, event.content)))

    def _obey(self, event: messages.Event) -> None:
        """React to what the client said; events of the server are said already as far as they can be."""
        if self._is_over or isinstance(event, Pong):
            return
        if isinstance(event, Ping):
            if not self._is_closed:
                self._out += self._encoder.control(Opcode.PONG, event.payload)
        elif isinstance(event, Fault):
            self._mismatch(f": the client broke the protocol: {event.error}")
        elif isinstance(event, Close):
            self._compare(Closed("client", int(event.code), event.reason))
        elif not self._is_closed:  # else the server would not have heard it
            self._compare(Said("client", event))

    def _compare(self, came: Event) -> None:
        events = self._conversation.events
        if self._position < len(events):
            expected = events[self._position]
            if came == expected:
                self._position += 1
                self._advance()
            else:
                self._mismatch(f", event {self._position + 1} is another one\n{show_both(expected, came)}", came)
        elif not _is_farewell(came):
            what = f"event {len(events)} was the last" if events else "there are no events"
            both = show_pair("nothing more", show(came))
            self._mismatch(f": {what}, and then came one more\n{both}", came)

    def _mismatch(self, text: str, came: Optional[Event] = None) -> None:
        """Tell it, and end the connection, so that nobody waits for what will not come."""
        self._report(Mismatch(self._place + text, isinstance(came, Closed)))
        self._is_over = True
        self._out.clear()


def _is_farewell(event: Event) -> bool:
    """Whether it is what `cancel()` says, if it still can."""
    return isinstance(event, Closed) and event.code == EMPTY


def _format(answer: Answer, accept: Optional[str] = None) -> bytes:
    """The response as it goes on the wire; a chunked body as one chunk."""
    fields = list(answer.headers.fields)
    if accept is not None:
        fields.append((ACCEPT, accept))
    body = answer.body
    if "chunked" in answer.headers.get("Transfer-Encoding", "").lower():
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    response = format_response(answer.status, answer.reason, fields, body)
    return response.replace(b"HTTP/1.1", b"HTTP/" + answer.http_version.encode("ascii"), 1)
