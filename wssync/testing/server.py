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
from collections.abc import Iterable
from types import TracebackType
from typing import Dict, List, Optional, Sequence, Tuple, Type, Union

from ..errors import HandshakeError
from ..protocol.deflate import DeflateOptions
from ..protocol.handshake import check_protocols
from ..protocol.http1 import HeadReader, RequestHead, format_response, parse_request_head
from ..transport.clock import Clock, Deadline
from .certificates import certificates, make_server_context, write_authority
from .connection import ServerConnection, Settings
from .handlers import Handler, check_function, check_path, echo, perform
from .history import History
from .listener import Listener, Welcome
from .unframed import CLOSE_TIMEOUT, LINGER
from .wire import Ending, Wire

__all__ = ["Server"]

logger = logging.getLogger("wssync.testing")


class _Phase(enum.Enum):
    NEW = "not started yet"
    RUNNING = "running"
    CLOSED = "closed"


class Server(History):
    """A server on 127.0.0.1 and a free port, for as long as the `with` block lasts (or from `start()` to `close()`).

    `handler(connection)` runs in a thread of its own for each connection that was opened. When it returns, the
    connection is closed with 1000; when it raises, with 1011, and the exception is in `errors` and on the logger
    `wssync.testing`, be it SystemExit or what `pytest.fail` raises. A handler is a plain function: when it returns a
    function, a coroutine or a generator, which nobody would run, that is a TypeError. The end of its own connection
    (`ConnectionClosed`) is a way to return, and is in `errors` only where the client broke the protocol or passed
    `maximum_message_size`.

    With `tls` it serves `wss:` under a certificate for localhost, 127.0.0.1 and ::1 that `ca_file` vouches for; this
    needs the extra `wssync[testing]` (RuntimeError). `protocols` are the subprotocols it knows. `compression` is
    "deflate", `DeflateOptions` or `None`. `opening(connection)` comes before the regular answer to the request: it may
    itself call `connection.accept()` or `respond()`, or send anything at all, and then stands in the place of that
    answer. Several are called in turn until one has answered. The handler follows if the connection was accepted.
    `maximum_message_size` bounds what `receive` takes (1009), by default nothing does. TypeError or ValueError for
    arguments that cannot be.

    All methods and properties may be used from any thread. A server is started once.
    """

    def __init__(
        self,
        handler: Handler = echo,
        *,
        tls: bool = False,
        protocols: Sequence[str] = (),
        compression: Union[str, DeflateOptions, None] = "deflate",
        opening: Union[Handler, Sequence[Handler], None] = (),
        maximum_message_size: Optional[int] = None,
    ) -> None:
        super().__init__()
        check_function("handler", handler)
        _check_size(maximum_message_size)
        self._handler = handler
        self._openings = _openings(opening)
        self._tls = tls
        self._settings = Settings(check_protocols(protocols), _deflate_options(compression), maximum_message_size)
        self._context: Optional[ssl.SSLContext] = None
        self._ca_file: Optional[str] = None
        self._port = 0
        self._listener: Optional[Listener] = None
        self._numbers = itertools.count(1)
        self._resources = contextlib.ExitStack()
        self._phase = _Phase.NEW
        self._starting = threading.Lock()
        self._threads: List[threading.Thread] = []
        self._guests: Dict[Wire, Optional[ServerConnection]] = {}
        self._ignored: List[Wire] = []

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

    def url_for(self, path: str) -> str:
        """The URL of this path, with its query if it has one: `url_for("/chat?room=1")`.

        RuntimeError before the start, TypeError for no text, ValueError for a path that does not begin with "/".
        """
        check_path(path)
        return self.url[:-1] + path

    @property
    def ca_file(self) -> Optional[str]:
        """The path of the certificate authority to trust (PEM) while a server with TLS runs, else `None`."""
        return self._ca_file

    @property
    def client_ssl_context(self) -> Optional[ssl.SSLContext]:
        """For clients: a context that trusts this server and nobody else, a new one; `None` without `tls`.

        RuntimeError when the extra `wssync[testing]` is not there.
        """
        return ssl.create_default_context(cadata=certificates().authority.decode()) if self._tls else None

    def start(self, port: int = 0) -> None:
        """Listen on `port`, 0 for a free one, and accept. OSError when the port is taken; RuntimeError when it was
        started before, or TLS lacks the extra `wssync[testing]`; TypeError or ValueError for what is no port.
        """
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"a port is an int, not {port!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {port}")
        with self._starting, contextlib.ExitStack() as resources:
            if self._phase is not _Phase.NEW:
                raise RuntimeError(f"this server is {self._phase.value}; a server is started once")
            resources.callback(self._forget_start)
            if self._tls:
                directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="wssync-testing-"))
                self._context = make_server_context()
                self._ca_file = write_authority(directory)
            listener = Listener(port, self._welcome, self._ignore)
            resources.callback(listener.discard)
            self._port, self._listener, self._phase = listener.port, listener, _Phase.RUNNING
            listener.thread.start()
            self._resources = resources.pop_all()

    def _forget_start(self) -> None:
        """The start failed, or what it began is over."""
        self._ca_file = None
        if self._phase is _Phase.RUNNING:
            self._port, self._listener, self._phase = 0, None, _Phase.NEW

    def refuse_connections(self) -> None:
        """From now on TCP refuses who connects, as if no server ran; the port stays this server's own.

        The connections that are there go on. RuntimeError unless the server runs, OSError if the port was lost.
        """
        self._running().change(Welcome.REFUSE)

    def ignore_connections(self) -> None:
        """From now on TCP takes who connects, and nothing is read or said, not even TLS: the server seems to hang.

        The connections that are there go on. RuntimeError unless the server runs, OSError if the port was lost.
        """
        self._running().change(Welcome.IGNORE)

    def accept_connections(self) -> None:
        """Back to normal: from now on who connects is served.

        Those who were ignored are hung up on, now or when the server is closed. RuntimeError unless the server runs,
        OSError if the port was lost.
        """
        self._running().change(Welcome.SERVE)
        self._stop_ignoring()

    def close(self) -> None:
        """Stop listening, end all connections (with 1001 where that can be said at once) and all threads.

        A handler that is busy with something else than its connection is waited for at most five seconds, then left
        alone with a warning on the logger; its thread is a daemon. A second call does nothing.
        """
        with self._starting, self._changed:
            phase, self._phase = self._phase, _Phase.CLOSED
        self._finish()
        if phase is not _Phase.RUNNING or self._listener is None:
            return
        deadline = Deadline(Clock(), CLOSE_TIMEOUT)
        self._listener.close()
        self._join([self._listener.thread], deadline)
        self._stop_ignoring()
        with self._changed:
            guests, threads = list(self._guests.items()), list(self._threads)
        for wire, connection in guests:
            if connection is not None:
                connection.go_away()
            wire.end(Ending.FIN)
        self._join(threads, deadline)
        self._resources.close()

    def _join(self, threads: List[threading.Thread], deadline: Deadline) -> None:
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(deadline.remaining())
                if thread.is_alive():
                    logger.warning("%s is still busy; the server leaves it behind", thread.name)

    def _running(self) -> Listener:
        if self._phase is not _Phase.RUNNING or self._listener is None:
            raise RuntimeError(f"this server is {self._phase.value}")
        return self._listener

    def _welcome(self, sock: socket.socket) -> None:
        wire = Wire(sock, self._context)
        name = f"wssync-testing-connection-{self._port}-{next(self._numbers)}"
        thread = threading.Thread(target=self._serve, args=(wire,), name=name, daemon=True)
        with self._changed:
            thread.start()
            self._guests[wire] = None
            self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]

    def _ignore(self, sock: socket.socket) -> None:
        wire = Wire(sock)
        with self._changed:
            self._ignored.append(wire)

    def _stop_ignoring(self) -> None:
        with self._changed:
            ignored, self._ignored = self._ignored, []
        for wire in ignored:
            wire.end(Ending.FIN)

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
        connection = ServerConnection(
            wire, request, rest, settings=self._settings, opened=self._add_connection, failed=self._add_error
        )
        self._add_request(request)
        with self._changed:
            self._guests[wire] = connection
            if self._phase is _Phase.CLOSED:
                return  # `close` knows the wire alone, and has ended it; nobody would end the connection
        if self._open(connection):
            self._call(self._handler, connection)
        self._end(connection, 1000)

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
            self._add_error(error)
            wire.post(format_response(400, "Bad Request", {"Connection": "close", "Content-Length": "0"}))
            wire.linger(LINGER)
        return None

    def _call(self, function: Handler, connection: ServerConnection) -> bool:
        """Call a user's function; False if it failed, or met the end of the connection."""
        try:
            perform(function, connection)
        except BaseException as error:  # pytest.fail() raises no Exception
            if not connection.is_end(error):
                self._add_error(error)
                self._end(connection, 1011)
            return False
        return True

    def _end(self, connection: ServerConnection, code: int) -> None:
        """Close, whatever comes of it."""
        try:
            connection.close(code)
        except BaseException as error:
            self._add_error(error)
            connection.drop()


def _openings(opening: Union[Handler, Sequence[Handler], None]) -> Tuple[Handler, ...]:
    if opening is None:
        return ()
    if callable(opening):
        return (opening,)
    if not isinstance(opening, Iterable):
        check_function("opening", opening)
    openings = tuple(opening)
    for each in openings:
        check_function("opening", each)
    return openings


def _check_size(limit: Optional[int]) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"maximum_message_size is a number of bytes or None, not {limit!r}")
    if limit < 0:
        raise ValueError(f"maximum_message_size is 0 or more, not {limit}")


def _deflate_options(compression: Union[str, DeflateOptions, None]) -> Optional[DeflateOptions]:
    if compression is None or isinstance(compression, DeflateOptions):
        return compression
    if compression == "deflate":
        return DeflateOptions()
    raise ValueError(f"compression is 'deflate', DeflateOptions or None, not {compression!r}")
