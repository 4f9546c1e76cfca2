"""A WebSocket server inside the process of the test, one thread for each connection.

    def greet(connection):
        connection.send("hello " + connection.receive())

    with wssync.testing.Server(greet) as server:
        ...  # connect to server.url

Threads that block are what a test server should be made of: the handler reads from top to bottom, like the test. The
server speaks through `wssync.protocol`, but never through the client's engine, so no bug of one side is made good by
the same bug of the other.

Leaving nothing behind is part of the work: `close` ends every connection, waits for every thread, gives back every
descriptor and removes the file with the certificate.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import logging
import socket
import ssl
import tempfile
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple, Type, Union

from ..errors import HandshakeError, ProtocolError
from ..protocol.deflate import DeflateOptions
from ..protocol.handshake import check_protocols
from ..protocol.http1 import HeadReader, RequestHead, format_response, parse_request_head
from ..transport.clock import Clock, Deadline
from ..transport.waiting import Waker, wait_for
from .certificates import make_server_context, write_authority
from .connection import CLOSE_TIMEOUT, LINGER, ServerConnection, Settings
from .wire import Ending, Wire

if TYPE_CHECKING:
    from ..transport.waiting import HasFileno

__all__ = ["Handler", "Server", "echo"]

logger = logging.getLogger("wssync.testing")

Handler = Callable[[ServerConnection], object]
"""What is called with each connection, in that connection's thread."""


def echo(connection: ServerConnection) -> None:
    """The handler that sends every message back, until the client closes."""
    while True:
        connection.send(connection.receive())


class _Phase(enum.Enum):
    NEW = "not started yet"
    RUNNING = "running"
    CLOSED = "closed"


class Server:
    """A server on 127.0.0.1 and a free port, for as long as the `with` block lasts (or from `start()` to `close()`).

    `handler(connection)` runs in a thread of its own for each connection that was opened. When it returns, the
    connection is closed with 1000; when it raises, with 1011, and the exception is in `errors` and on the logger
    `wssync.testing`. The end of its own connection (`ConnectionClosed`) is a way to return, unless the client broke the
    protocol.

    With `tls` it serves `wss:` under a certificate for localhost, 127.0.0.1 and ::1 that `ca_file` vouches for; this
    needs the extra `wssync[testing]` (RuntimeError). `protocols` are the subprotocols it knows. `compression` is
    "deflate", `DeflateOptions` or `None`. `opening(connection)` comes before the regular answer to the request: it may
    itself call `connection.accept()` or `respond()`, or send anything at all, and then stands in the place of that
    answer. Several are called in turn until one has answered. The handler follows if the connection was accepted.
    `maximum_message_size` bounds what `receive` takes (1009), by default nothing does.

    All methods and properties may be used from any thread. A server is started once.
    """

    def __init__(
        self,
        handler: Handler = echo,
        *,
        tls: bool = False,
        protocols: Sequence[str] = (),
        compression: Union[str, DeflateOptions, None] = "deflate",
        opening: Union[Handler, Sequence[Handler]] = (),
        maximum_message_size: Optional[int] = None,
    ) -> None:
        self._handler = handler
        self._openings = (opening,) if callable(opening) else tuple(opening)
        self._tls = tls
        self._settings = Settings(check_protocols(protocols), _deflate_options(compression), maximum_message_size)
        self._context: Optional[ssl.SSLContext] = None
        self._ca_file: Optional[str] = None
        self._port = 0
        self._resources = contextlib.ExitStack()
        self._changed = threading.Condition()
        self._phase = _Phase.NEW
        self._threads: List[threading.Thread] = []
        self._guests: Dict[Wire, Optional[ServerConnection]] = {}
        self._requests: List[RequestHead] = []
        self._connections: List[ServerConnection] = []
        self._handed_out = 0
        self._errors: List[BaseException] = []

    def __repr__(self) -> str:
        return f"<wssync.testing.Server {self.url if self._port else ''} {self._phase.value}>"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:PORT/` or `wss://localhost:PORT/`. RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the server has no address before it is started")
        return f"wss://localhost:{self._port}/" if self._tls else f"ws://127.0.0.1:{self._port}/"

    @property
    def ca_file(self) -> Optional[str]:
        """The path of the certificate authority to trust (PEM) while a server with TLS runs, else `None`."""
        return self._ca_file

    @property
    def requests(self) -> List[RequestHead]:
        """The requests received so far, those that were refused too; a new list."""
        with self._changed:
            return list(self._requests)

    @property
    def connections(self) -> List[ServerConnection]:
        """The connections opened so far, those that have ended too, in order of arrival; a new list.

        A client that has seen the 101 finds its connection here.
        """
        with self._changed:
            return list(self._connections)

    @property
    def errors(self) -> List[BaseException]:
        """What handlers and `opening` functions have raised, and how clients broke the protocol; a new list."""
        with self._changed:
            return list(self._errors)

    def wait_for_connection(self, timeout: Optional[float] = CLOSE_TIMEOUT) -> ServerConnection:
        """The first of `connections` that no call of this has returned yet; waits for it if need be.

        TimeoutError after `timeout` seconds, RuntimeError once the server is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_news() or self._phase is _Phase.CLOSED, timeout)
            if not self._has_news():
                if self._phase is _Phase.CLOSED:
                    raise RuntimeError("the server is closed, no connection will come")
                raise TimeoutError(f"no connection was opened within {timeout:g} seconds")
            self._handed_out += 1
            return self._connections[self._handed_out - 1]

    def start(self, port: int = 0) -> None:
        """Listen on `port`, 0 for a free one, and accept. OSError when the port is taken; RuntimeError when it was
        started before, or TLS lacks the extra `wssync[testing]`.
        """
        if self._phase is not _Phase.NEW:
            raise RuntimeError(f"this server is {self._phase.value}; a server is started once")
        with contextlib.ExitStack() as resources:
            if self._tls:
                directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="wssync-testing-"))
                self._context = make_server_context()
                self._ca_file = write_authority(directory)
            listener = resources.enter_context(socket.create_server(("127.0.0.1", port), backlog=128))
            listener.setblocking(False)
            self._waker = resources.enter_context(contextlib.closing(Waker()))
            self._resources = resources.pop_all()
        self._port = listener.getsockname()[1]
        self._phase = _Phase.RUNNING
        self._acceptor = self._start_thread(f"server-{self._port}", self._accept_all, listener)

    def close(self) -> None:
        """Stop listening, end all connections (with 1001 where that can be said at once) and all threads.

        A handler that is busy with something else than its connection is waited for at most five seconds, then left
        alone with a warning on the logger; its thread is a daemon. A second call does nothing.
        """
        with self._changed:
            phase, self._phase = self._phase, _Phase.CLOSED
            self._changed.notify_all()
        if phase is not _Phase.RUNNING:
            return
        deadline = Deadline(Clock(), CLOSE_TIMEOUT)
        self._waker.wake()
        self._join([self._acceptor], deadline)
        with self._changed:
            guests, threads = list(self._guests.items()), list(self._threads)
        for wire, connection in guests:
            if connection is not None:
                connection.go_away()
            wire.end(Ending.FIN)
        self._join(threads, deadline)
        self._ca_file = None
        self._resources.close()

    def _has_news(self) -> bool:
        return len(self._connections) > self._handed_out

    def _join(self, threads: List[threading.Thread], deadline: Deadline) -> None:
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(deadline.remaining())
                if thread.is_alive():
                    logger.warning("%s is still busy; the server leaves it behind", thread.name)

    def _start_thread(self, name: str, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name=f"wssync-testing-{name}", daemon=True)
        with self._changed:
            self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]
            thread.start()
        return thread

    def _accept_all(self, listener: socket.socket) -> None:
        watched: List[HasFileno] = [listener, self._waker]
        numbers = itertools.count(1)
        while True:
            wait_for(watched, [], None)
            if self._phase is _Phase.CLOSED:
                return
            try:
                wire = self._welcome(listener)
            except OSError as error:
                # The client is gone again, or there is no descriptor left: then trying at once would be a busy loop.
                logger.info("a connection could not be accepted: %s", error)
                wait_for([self._waker], [], 0.05)
            else:
                with self._changed:
                    self._guests[wire] = None
                self._start_thread(f"connection-{self._port}-{next(numbers)}", self._serve, wire)

    def _welcome(self, listener: socket.socket) -> Wire:
        sock, _ = listener.accept()
        try:
            return Wire(sock, self._context)
        except BaseException:
            sock.close()
            raise

    def _serve(self, wire: Wire) -> None:
        """The life of a connection, in its thread."""
        try:
            self._entertain(wire)
        finally:
            wire.end(Ending.FIN)
            with self._changed:
                del self._guests[wire]

    def _entertain(self, wire: Wire) -> None:
        found = self._read_request(wire)
        if found is None:
            return
        request, rest = found
        connection = ServerConnection(wire, request, rest, settings=self._settings, opened=self._add_connection)
        with self._changed:
            self._requests.append(request)
            self._guests[wire] = connection
        if self._open(connection):
            self._call(self._handler, connection)
        connection.close()
        if isinstance(connection.end, ProtocolError):
            self._add_error(connection.end)

    def _open(self, connection: ServerConnection) -> bool:
        """Answer the request; whether the connection is open then."""
        for opening in (*self._openings, ServerConnection.accept):
            if not connection.answered and not self._call(opening, connection):
                return False
        return connection.accepted

    def _read_request(self, wire: Wire) -> Optional[Tuple[RequestHead, bytes]]:
        """The request and the bytes behind it, or `None` if nobody is there or it is no HTTP."""
        reader = HeadReader()
        found = None
        try:
            wire.handshake()
            while found is None:
                data = wire.read()
                if not data:
                    return None
                found = reader.feed(data)
            return parse_request_head(found[0]), found[1]
        except OSError as error:
            logger.info("a connection ended before its request was read: %s", error)
        except HandshakeError as error:
            logger.info("a request was refused: %s", error)
            wire.post(format_response(400, "Bad Request", {"Connection": "close", "Content-Length": "0"}))
            wire.linger(LINGER)
        return None

    def _call(self, function: Handler, connection: ServerConnection) -> bool:
        """Call a user's function; False if it failed."""
        try:
            function(connection)
        except Exception as error:
            if not connection.is_end(error):
                self._add_error(error)
                connection.close(1011)
                return False
        return True

    def _add_error(self, error: BaseException) -> None:
        with self._changed:
            self._errors.append(error)
        logger.error("a connection of the test server failed", exc_info=error)

    def _add_connection(self, connection: ServerConnection) -> None:
        with self._changed:
            self._connections.append(connection)
            self._changed.notify_all()


def _deflate_options(compression: Union[str, DeflateOptions, None]) -> Optional[DeflateOptions]:
    if compression is None or isinstance(compression, DeflateOptions):
        return compression
    if compression == "deflate":
        return DeflateOptions()
    raise ValueError(f"compression is 'deflate', DeflateOptions or None, not {compression!r}")
