"""Listening to connections while they work, and telling afterwards what was said.

While a connection runs, its stream is wrapped (`RecordedStream`) and nothing is done but to keep the bytes that passed:
nothing is parsed, so nothing can fail, and the one lock is held for an append. What the bytes mean is read when the
block has ended (`_Reading`), in the order in which they were noted.

That order is what a replay depends on, so it must not turn cause and effect round. A `send` gets its place in the notes
before the socket is touched and its bytes after; what a `recv` brought gets its place before the caller sees it. So an
answer never stands before the question that the server answered, and a message of the client stands behind everything
that its program can have known when it sent it. What did not wait for each other may stand in either order.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Set, Tuple

from ..errors import Cancelled, ConnectionClosed, ConnectionFailed, HandshakeError, WebSocketError
from ..protocol.bodies import BodyReader
from ..protocol.deflate import EXTENSION, DeflateOptions, DeflateParameters, Inflater, agree
from ..protocol.extensions import parse_extensions
from ..protocol.frames import Role, read_header
from ..protocol.handshake import accept_value
from ..protocol.headers import Headers
from ..protocol.http1 import HeadReader, RequestHead, Response, parse_request_head, parse_response_head
from ..protocol.messages import Close, Decoder, Fault
from ..transport.stream import Stream
from .masking import Masking
from .tape import ACCEPT, FAILURES, Answer, Asked, Closed, Conversation, Event, Failure, HungUp, Raw, Said

if TYPE_CHECKING:
    from ..transport.stream import Address, Buffer
    from ..transport.waiting import Attempt

__all__ = ["Notes", "RecordedStream", "Recording", "agreed_deflate"]

PATIENCE = 2.0
"""Seconds at the end of the block for a `send` that is between the socket and its note: no more than a moment."""

LONGEST_HEADER = 14
"""Bytes: two, eight of the length, four of the masking key (RFC 6455 section 5.2)."""


class Recording:
    """What is recorded from now on, through `dial`, until `finish`."""

    def __init__(self, dial: Callable[..., Stream], masking: Masking) -> None:
        self._real_dial = dial
        self._masking = masking
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._notes: Optional[List[Notes]] = []

    def dial(self, host: str, port: int, attempt: Attempt, *, url: str, **options: Any) -> Stream:
        """Dial, and listen to the stream. A process forked from ours is not listened to."""
        notes = self._begin(url)
        if notes is None:
            return self._real_dial(host, port, attempt, url=url, **options)
        try:
            stream = self._real_dial(host, port, attempt, url=url, **options)
        except BaseException as error:
            notes.fail(error)
            raise
        return RecordedStream(stream, notes)

    def _begin(self, url: str) -> Optional[Notes]:
        if os.getpid() != self._process:
            return None
        with self._lock:
            if self._notes is None:
                return None
            notes = Notes(url)
            self._notes.append(notes)
            return notes

    def finish(self) -> List[Conversation]:
        """Listen no more, and tell what was heard, in the order in which the connections were begun."""
        with self._lock:
            notes, self._notes = self._notes or [], None
        return [one.read(self._masking) for one in notes]


class _Note(NamedTuple):
    """What one call brought: bytes for `heard`, or how the connection ended. Of a `send` they come later."""

    sent: bool
    data: List[bytes]
    how: str = ""


class Notes:
    """What passed through one connection. All methods may be called from any thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._notes: List[_Note] = []
        self._sending: Optional[_Note] = None
        self._failure: Optional[BaseException] = None
        self._connected = False
        self._sealed = False

    def fail(self, error: BaseException) -> None:
        """There is no connection."""
        self._failure = error

    def connect(self) -> None:
        """There is one."""
        self._connected = True

    def begin_send(self) -> None:
        """A `send` is about to touch the socket. Again, after one that was interrupted, the place stays the same."""
        with self._changed:
            if self._sending is None and not self._sealed:
                self._sending = _Note(True, [])
                self._notes.append(self._sending)

    def end_send(self, data: bytes) -> None:
        """This is what it took."""
        with self._changed:
            if self._sending is not None:
                self._sending.data.append(data)
                self._sending = None
                self._changed.notify_all()

    def hear(self, data: bytes, how: str = "") -> None:
        """This came, or the end did."""
        with self._changed:
            if not self._sealed:
                self._notes.append(_Note(False, [data], how))

    def read(self, masking: Masking) -> Conversation:
        """What was said until now; later calls note nothing."""
        with self._changed:
            self._sealed = True
            self._changed.wait_for(lambda: self._sending is None, PATIENCE)
            notes, self._notes = self._notes, []
        if not self._connected:
            return Conversation(masking.url(self._url), failed=_failure(self._failure))
        reading = _Reading(self._url, masking)
        for note in notes:
            for data in note.data:
                if note.sent:
                    reading.take_sent(data)
                elif note.how:
                    reading.end(note.how)
                else:
                    reading.take_heard(data)
        return reading.finish()


def _failure(error: Optional[BaseException]) -> Failure:
    """The failure to raise again; a connection that was not there yet is one that was given up."""
    error = error or Cancelled()
    if not isinstance(error, WebSocketError):
        error = ConnectionFailed(f"the connection's engine failed: {error!r}")  # as the task reports it
    kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in FAILURES), "ConnectionFailed")
    return Failure(kind, str(error), error.url_error_code)


class RecordedStream(Stream):
    """The same stream, with somebody listening; see `Stream`."""

    def __init__(self, stream: Stream, notes: Notes) -> None:
        self._stream = stream
        self._notes = notes
        self._received: List[Optional[bytes]] = []
        notes.connect()

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        """See `Stream.wait`."""
        if read and self._received:
            return True, self._stream.wait(True, write, 0.0, owner=owner)[1]
        return self._stream.wait(read, write, timeout, owner=owner)

    def wake(self) -> None:
        """See `Stream.wake`."""
        self._stream.wake()

    @property
    def pending(self) -> bool:
        """See `Stream.pending`; true also after a `recv` that was interrupted while it was noted."""
        return bool(self._received) or self._stream.pending

    def recv(self, limit: int) -> Optional[bytes]:
        """The stream's `recv`, noted before it is told."""
        received = self._received
        if not received:
            try:
                received.extend(map(self._stream.recv, (limit,)))
            except ConnectionClosed:
                self._notes.hear(b"", "RST")
                raise
        data = received[0]
        if data is not None:
            self._notes.hear(data, "" if data else "FIN")
        del received[0]
        return data

    def send(self, data: Buffer) -> int:
        """The stream's `send`, which has its place in the notes before it begins."""
        if not self._stream.remembers:
            self._notes.end_send(b"")
        self._notes.begin_send()
        try:
            accepted = self._stream.send(data)
        except ConnectionClosed:
            self._notes.end_send(b"")
            raise
        self._notes.end_send(bytes(memoryview(data)[:accepted]))
        return accepted

    @property
    def remembers(self) -> bool:
        """See `Stream.remembers`."""
        return self._stream.remembers

    @property
    def has_output(self) -> bool:
        """See `Stream.has_output`."""
        return self._stream.has_output

    def flush(self) -> bool:
        """See `Stream.flush`."""
        return self._stream.flush()

    def shutdown_write(self) -> None:
        """See `Stream.shutdown_write`."""
        self._stream.shutdown_write()

    def shutdown_read(self) -> None:
        """See `Stream.shutdown_read`."""
        self._stream.shutdown_read()

    def shutdown(self) -> None:
        """See `Stream.shutdown`."""
        self._stream.shutdown()

    def close(self) -> None:
        """See `Stream.close`."""
        self._stream.close()

    def abandon(self) -> None:
        """See `Stream.abandon`."""
        self._stream.abandon()

    @property
    def local_address(self) -> Optional[Address]:
        """See `Stream.local_address`."""
        return self._stream.local_address

    @property
    def remote_address(self) -> Optional[Address]:
        """See `Stream.remote_address`."""
        return self._stream.remote_address


def agreed_deflate(headers: Headers) -> Optional[DeflateParameters]:
    """What the fields of a 101 say about compression; `None` if nothing, or nothing that could be agreed to.

    What the client offered is not asked: whatever it was, an inflater made by the answer alone reads both sides.
    """
    try:
        for name, parameters in parse_extensions(", ".join(headers.get_all("Sec-WebSocket-Extensions"))):
            if name == EXTENSION:
                return agree(DeflateOptions(), parameters)
    except ValueError:
        pass  # the client does not take such an answer, and whatever comes is not read
    return None


class _Reading:
    """Reads both sides of one connection, in the order in which they were noted."""

    def __init__(self, url: str, masking: Masking) -> None:
        self._url = url
        self._masking = masking
        self._found = Conversation(masking.url(url))
        self._request: Optional[RequestHead] = None
        self._request_reader: Optional[HeadReader] = HeadReader()
        self._response_reader = HeadReader(prefix=b"HTTP/")
        self._head = b""
        self._body: Optional[BodyReader] = None
        self._client: Optional[_Frames] = None
        self._server: Optional[_Frames] = None
        self._broken = False
        self._closed: Set[str] = set()
        self._crossing: List[Event] = []

    def take_sent(self, data: bytes) -> None:
        """The client said this."""
        if self._client is not None:
            for event in self._client.feed(data):
                if not isinstance(event, Raw):  # we broke no rule, and could not say it again if we had
                    self._note(event)
        elif self._request_reader is not None:
            try:
                found = self._request_reader.feed(data)
                if found is not None:
                    self._request_reader = None
                    self._request = parse_request_head(found[0])
            except HandshakeError:
                self._request_reader = None

    def take_heard(self, data: bytes) -> None:
        """The server said this."""
        if self._broken:
            self._note(Raw(data))
        elif self._server is not None:
            for event in self._server.feed(data):
                self._note(event)
        elif self._body is not None:
            self._body.feed(data)
        else:
            self._take_head(data)

    def end(self, how: str) -> None:
        """The connection ended, without a word or in the middle of one."""
        if self._body is None:
            if self._server is None and not self._broken and self._head:
                self._note(Raw(self._head))
            self._note(HungUp(how))

    def finish(self) -> Conversation:
        """What was said."""
        found, request = self._found, self._request
        if request is not None:
            target = self._masking.url(request.target)
            found.request = Asked(request.method, target, self._masking.headers(request.headers))
        if found.response is not None and self._body is not None:
            found.response = found.response._replace(body=self._body.body)
        return found

    def _take_head(self, data: bytes) -> None:
        self._head += data
        try:
            found = self._response_reader.feed(data)
            if found is None:
                return
            response = parse_response_head(found[0], self._url)
        except HandshakeError:
            self._broken = True
            self._note(Raw(self._head))
            return
        self._response_reader = HeadReader(prefix=b"HTTP/")
        self._head = b""
        if response.status_code == 101:
            self._open(response)
        elif response.status_code < 200:
            self._found.informational.append(self._answer(response))
        else:
            self._found.response = self._answer(response)
            self._body = BodyReader(response, sys.maxsize)
        if found[1]:
            self.take_heard(found[1])

    def _open(self, response: Response) -> None:
        self._found.response = self._answer(response)
        parameters = agreed_deflate(response.headers)
        self._client = _Frames(Role.CLIENT, parameters)
        self._server = _Frames(Role.SERVER, parameters)

    def _answer(self, response: Response) -> Answer:
        fields = self._masking.headers(response.headers)
        accepts = response.headers.get_all(ACCEPT)
        expected = accept_value(self._request.headers.get("Sec-WebSocket-Key", "")) if self._request else ""
        if accepts != [expected]:
            fields = Headers([*fields.fields, *((ACCEPT, value) for value in accepts)])
        return Answer(
            response.status_code,
            response.reason,
            fields,
            http_version=response.http_version,
            has_accept=accepts == [expected] or (response.status_code != 101 and not accepts),
        )

    def _note(self, event: Event) -> None:
        """Keep what counts: nothing after the end, and after the server's Close nothing but the client's."""
        events, closed = self._found.events, self._closed
        if event.side == "client" and closed == {"server"} and self._has_crossed(event):
            return
        if event.side in closed or ("server" in closed and not isinstance(event, Closed)):
            return
        if isinstance(event, HungUp):
            closed |= {"client", "server"}
        elif isinstance(event, Closed):
            closed.add(event.side)
        if isinstance(event, Raw) and events and isinstance(events[-1], Raw):
            events[-1] = Raw(events[-1].content + event.content)
        else:
            events.append(event)

    def _has_crossed(self, event: Event) -> bool:
        """Whether this is a Close that crossed the server's on its way; then it is kept.

        The client had not been told of that one, nor what it said before: so it was no cause to wait for.
        """
        events = self._found.events
        self._crossing.append(event)
        if not isinstance(event, Closed) or _answers(event, events[-1]):
            return False
        events[-1:-1] = self._crossing
        self._closed.add("client")
        return True


def _answers(close: Closed, asked: Event) -> bool:
    """Whether this Close may be the library's answer to the server's."""
    return isinstance(asked, Closed) and close.code == asked.code and not close.reason


class _Frames:
    """Messages and Close frames out of what `sender` sent; from the first fault on, the bytes as they are.

    The decoder gets frame by frame, and what began the unfinished message is kept: a fault may show in its last frame,
    and the bytes that make it a fault begin with the first.
    """

    def __init__(self, sender: Role, parameters: Optional[DeflateParameters]) -> None:
        inflater = None if parameters is None else Inflater(parameters, sender.peer)
        self._side = sender.value
        self._decoder = Decoder(sender.peer, maximum_message_size=None, inflater=inflater)
        self._kept = bytearray()
        self._frame = 0
        self._fed = 0
        self._over = False
        self._broken = False

    def feed(self, data: bytes) -> List[Event]:
        """What these bytes complete, in order; control frames but Close are left out."""
        if self._broken:
            return [Raw(data)]
        found: List[Event] = []
        self._kept += data
        while self._fed < len(self._kept) and not self._over:
            end = self._end_of_frame()
            stop = len(self._kept) if end is None else min(end, len(self._kept))
            for event in self._decoder.feed(bytes(self._kept[self._fed : stop])):
                if isinstance(event, Fault):
                    self._broken = self._over = True
                    found.append(Raw(bytes(self._kept)))
                elif isinstance(event, Close):
                    self._over = True
                    found.append(Closed(self._side, int(event.code), event.reason))
                elif isinstance(event, (str, bytes)):
                    found.append(Said(self._side, event))
            self._fed = stop
            if stop == end:
                self._frame = stop
                self._forget()
        return found

    def _end_of_frame(self) -> Optional[int]:
        header = read_header(bytes(self._kept[self._frame : self._frame + LONGEST_HEADER]))
        return None if header is None else self._frame + header.end + header.length

    def _forget(self) -> None:
        if not self._decoder.in_message:
            del self._kept[: self._frame]
            self._fed -= self._frame
            self._frame = 0
