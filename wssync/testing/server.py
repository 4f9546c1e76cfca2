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
from typing import Dict, List, Optional, Sequence, Tuple, Type, Union

from ..errors import HandshakeError, ProtocolError
from ..protocol.deflate import DeflateOptions
from ..protocol.handshake import check_protocols
from ..protocol.http1 import HeadReader, RequestHead, format_response, parse_request_head
from ..transport.clock import Clock, Deadline
from .certificates import certificates, make_server_context, write_authority
from .connection import ServerConnection, Settings
from .handlers import Handler, echo
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
        super().__init__()
        self._handler = handler
        self._openings = (opening,) if callable(opening) else tuple(opening)
        self._tls = tls
        self._settings = Settings(check_protocols(protocols), _deflate_options(compression), maximum_message_size)
        self._context: Optional[ssl.SSLContext] = None
        self._ca_file: Optional[str] = None
        self._port = 0
        self._listener: Optional[Listener] = None
        self._numbers = itertools.count(1)
        self._resources = contextlib.ExitStack()
        self._phase = _Phase.NEW
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
        started before, or TLS lacks the extra `wssync[testing]`.
        """
        if self._phase is not _Phase.NEW:
            raise RuntimeError(f"this server is {self._phase.value}; a server is started once")
        with contextlib.ExitStack() as resources:
            if self._tls:
                directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="wssync-testing-"))
                self._context = make_server_context()
                self._ca_file = write_authority(directory)
            self._listener = Listener(port, self._welcome, self._ignore)
            self._resources = resources.pop_all()
        self._port = self._listener.port
        self._phase = _Phase.RUNNING
        self._listener.thread.start()

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
        with self._changed:
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
        self._ca_file = None
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
        connection = ServerConnection(wire, request, rest, settings=self._settings, opened=self._add_connection)
        self._add_request(request)
        with self._changed:
            self._guests[wire] = connection
            if self._phase is _Phase.CLOSED:
                return  # `close` knows the wire alone, and has ended it; nobody would end the connection
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
        """Call a user's function; False if it failed, or met the end of the connection."""
        try:
            function(connection)
        except Exception as error:
            if not connection.is_end(error):
                self._add_error(error)
                connection.close(1011)
            return False
        return True


def _deflate_options(compression: Union[str, DeflateOptions, None]) -> Optional[DeflateOptions]:
    if compression is None or isinstance(compression, DeflateOptions):
        return compression
    if compression == "deflate":
        return DeflateOptions()
    raise ValueError(f"compression is 'deflate', DeflateOptions or None, not {compression!r}")
