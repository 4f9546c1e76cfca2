"""An HTTP proxy for CONNECT (RFC 9110 section 9.3.6), as an opening of a `Server`.

    Server(opening=proxy({"example.test:80": "127.0.0.1:4711"}))

A tunnel carries bytes, knows nothing of what they mean, and ends one direction at a time, as the two ends do. It takes
three threads: one carries each way, so that neither waits for the other, and the connection's own waits for the end,
whoever brings it: both ways have ended, one has broken, or the server is closed while both are stuck.

Only loopback is meant to be dialled; that it works for other targets too is for tests against a real server.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import socket
import threading
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..errors import ConnectionClosed
from ..protocol.headers import printable
from ..protocol.http1 import RequestHead
from ..transport.clock import Clock, Deadline
from ..transport.waiting import wait_for
from .openings import turn_down
from .outgoing import CutReached
from .unframed import check_unopened
from .wire import Ending, Wire

if TYPE_CHECKING:
    from .connection import ServerConnection
    from .handlers import Handler

__all__ = ["proxy"]

Address = Tuple[str, int]
"""A host, without brackets and in lower case, and a port."""

SLICE = 0.05
"""Seconds between two looks at the connection while something is waited for that its end cannot interrupt."""

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^][:/?#@\s]+)):([0-9]{1,5})")
_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, errno.EINTR}


def proxy(routes: Optional[Mapping[str, str]] = None, *, timeout: float = 5.0) -> Handler:
    """Answer CONNECT with 200 and carry bytes between the client and the target, until both have ended.

    `routes` says where "host:port" really is, so that a test can use names that nobody resolves; other targets are
    dialled as they are. A target that cannot be reached within `timeout` seconds is answered 502 with a body that says
    why, a request that is no proper CONNECT 400. The end of one side's bytes is passed on to the other, a reset too.

    Requests with other methods go on to what comes behind: the server can be a WebSocket server besides. For one that
    is not, put `refuse(405, headers={"Allow": "CONNECT"})` there. ValueError for routes that are not "host:port",
    TypeError for those that are no text.
    """
    if not isinstance(routes, (Mapping, type(None))):
        raise TypeError(f"routes are a mapping of 'host:port' to 'host:port', not {type(routes).__name__}")
    table = {_parse_authority(name): _parse_authority(place) for name, place in (routes or {}).items()}

    def connect(connection: ServerConnection) -> None:
        check_unopened(connection.accepted)
        if connection.request.method != "CONNECT":
            return
        try:
            asked = _parse_request(connection.request)
        except ValueError as error:
            turn_down(connection, 400, str(error))
            return
        try:
            target = _Dialling(table.get(asked, asked), connection, timeout).run()
        except OSError as error:
            turn_down(connection, 502, f"{_show(asked)} cannot be reached: {error}")
        else:
            _Tunnel(connection, target).run(_show(asked))

    return connect


def _parse_request(request: RequestHead) -> Address:
    asked = _parse_authority(request.target)
    if request.http_version == "1.1" and len(request.headers.get_all("Host")) != 1:
        raise ValueError("there must be one Host field (RFC 9112 section 3.2)")
    return asked


def _parse_authority(text: str) -> Address:
    if not isinstance(text, str):
        raise TypeError(f"a route leads from 'host:port' to 'host:port', not {text!r}")
    found = _AUTHORITY.fullmatch(text)
    if found is None or not 1 <= int(found[3]) <= 65535:
        raise ValueError(f"{printable(text)!r} is no host:port (RFC 9112 section 3.2.3)")
    return (found[1] or found[2]).lower(), int(found[3])


def _show(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Dialling:
    """The way to a target, as long as `connection` is there to want it."""

    def __init__(self, target: Address, connection: ServerConnection, timeout: float) -> None:
        self._target = target
        self._connection = connection
        self._deadline = Deadline(Clock(), timeout)

    def run(self) -> Wire:
        """Connect to the first address that answers; OSError with what became of each."""
        failures: List[str] = []
        for family, kind, protocol, _, address in self._resolve():
            try:
                return self._connect(socket.socket(family, kind, protocol), address)
            except OSError as error:
                failures.append(f"{_show(address[:2])}: {error.strerror or error}")
        raise OSError("; ".join(failures))

    def _resolve(self) -> Sequence[Tuple[Any, ...]]:
        answers: List[Sequence[Tuple[Any, ...]]] = []
        errors: List[Exception] = []
        resolve = socket.getaddrinfo

        def look_up() -> None:
            try:
                answers.append(resolve(*self._target, type=socket.SOCK_STREAM))
            except Exception as error:
                errors.append(error)

        # A thread of its own, since nothing can interrupt it; if it comes too late, its answer is nobody's.
        thread = threading.Thread(target=look_up, name="wssync-testing-resolver", daemon=True)
        thread.start()

        def found(seconds: float) -> bool:
            thread.join(seconds)
            return not thread.is_alive()

        self._wait(found)
        if errors:
            raise OSError(f"the name could not be resolved: {errors[0]}") from errors[0]
        return answers[0]

    def _connect(self, sock: socket.socket, address: Tuple[Any, ...]) -> Wire:
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            sock.setblocking(False)
            code = sock.connect_ex(address)
            if code in _IN_PROGRESS:
                self._wait(lambda seconds: bool(wait_for([], [sock], seconds)[1]))
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            wire = Wire(sock)
            undo.pop_all()
        return wire

    def _wait(self, happens: Callable[[float], bool]) -> None:
        while not happens(min(SLICE, self._deadline.remaining() or 0.0)):
            if self._connection.end is not None:
                raise self._connection.end
            if self._deadline.expired():
                raise TimeoutError(f"no answer within {self._deadline.seconds:g} seconds")


class _Tunnel:
    """A connection, a wire to its target, and the bytes between them."""

    def __init__(self, connection: ServerConnection, target: Wire) -> None:
        self._connection = connection
        self._client = connection._wire
        self._target = target
        self._lock = threading.Lock()
        self._ways = 2

    def run(self, name: str) -> None:
        """Say 200, and carry until the connection is over; nothing is left then."""
        threads = [
            threading.Thread(target=way, name=f"wssync-testing-tunnel-{direction}-{name}", daemon=True)
            for way, direction in ((self._forth, "to"), (self._back, "from"))
        ]
        try:
            self._connection.respond(200, "Connection established")
            for thread in threads:
                thread.start()
            self._connection.wait_until_closed(None)
        finally:
            self._target.end(Ending.FIN)
        for thread in threads:
            thread.join()

    def _forth(self) -> None:
        def write(data: bytes) -> None:
            self._target.queue(data)
            self._target.flush()

        # What came with the request is the first of it.
        self._carry(itertools.chain([bytes(self._connection._unread)], _read_all(self._client)), write, self._target)

    def _back(self) -> None:
        self._carry(_read_all(self._target), self._connection.send_raw, self._client)

    def _carry(self, pieces: Iterable[bytes], write: Callable[[bytes], None], destination: Wire) -> None:
        try:
            for data in pieces:
                write(data)
            destination.finish_writing()
        except (OSError, ConnectionClosed) as error:
            # One side is broken, and the other shall hear of it; or this side has ended it, by a cut or altogether.
            if isinstance(error, CutReached):
                self._connection.drop()
            self._target.end(Ending.RST if self._connection.end is None else Ending.FIN)
            self._connection.abort()
            return
        with self._lock:
            self._ways -= 1
            last = not self._ways
        if last:
            self._connection.hang_up()


def _read_all(wire: Wire) -> Iterator[bytes]:
    while True:
        data = wire.read()
        if not data:
            return
        yield data
