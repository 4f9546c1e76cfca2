"""A SOCKS server for tests: SOCKS 4a, and SOCKS 5 with and without a password, on a port of loopback.

    with SocksServer({"example.test:80": server_address}) as server:
        server.port, server.asked

It does what a proxy does, resolving included: `routes` says where "host:port" really is. And it misbehaves: refuses
with a code, answers in single bytes, stops after some bytes of its answers. It keeps what it was asked.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Callable, List, Mapping, NamedTuple, Optional, Tuple

__all__ = ["Asked", "SocksServer"]

PATIENCE = 20.0
ADDRESS_4, NAME, ADDRESS_6 = 1, 3, 4


class Asked(NamedTuple):
    """One request: the version (4 or 5), the host as it came (text of an address, or a name), port, credentials."""

    version: int
    host: str
    port: int
    user: Optional[str] = None
    password: Optional[str] = None


class Stopped(Exception):
    """The answers have reached their limit."""


class SocksServer:
    """Serves each connection in a thread; all of them have ended when the `with` block has.

    user, password: what SOCKS 5 demands, or nothing.
    code: the answer to the request; by default that of success, or "host unreachable" for what has no route.
    bound: the address of the answer to SOCKS 5, with its type in front and without port.
    behind: what is sent in one piece with the last answer. Without routes that is all, and the server waits for the
        client's end.
    limit, at_limit: after so many bytes of answers nothing more is sent, `at_limit` is called, and the connection is
        closed when `hold` is not set; else when the client does it.
    """

    def __init__(
        self,
        routes: Optional[Mapping[str, Tuple[str, int]]] = None,
        *,
        user: Optional[str] = None,
        password: Optional[str] = None,
        code: Optional[int] = None,
        bound: bytes = b"\x01\0\0\0\0",
        behind: bytes = b"",
        limit: Optional[int] = None,
        at_limit: Callable[[], object] = lambda: None,
        hold: bool = False,
    ) -> None:
        self._routes = routes
        self._credentials = None if user is None else (user, password)
        self._code = code
        self._bound = bound
        self._behind = behind
        self._limit = limit
        self._at_limit = at_limit
        self._hold = hold
        self.asked: List[Asked] = []
        self.offered: List[bytes] = []
        """The methods of authentication that clients of SOCKS 5 offered."""
        self.answered = 0
        self._threads: List[threading.Thread] = []

    def __enter__(self) -> SocksServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A connection ends the wait for one on every platform.
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
        for thread in [self._accepting, *self._threads]:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the SOCKS server hangs"
        self._listener.close()

    _closing = False

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._closing:
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        with sock, contextlib.suppress(ConnectionError, EOFError):
            try:
                asked = self._greet_5(sock) if _read(sock, 1) == b"\5" else self._read_4(sock)
                self.asked.append(asked)
                self._answer(sock, asked)
            except Stopped:
                self._at_limit()
                if self._hold:
                    _drain(sock)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        left = len(data) if self._limit is None else self._limit - self.answered
        sock.sendall(data[:left])
        self.answered += min(left, len(data))
        if left < len(data):
            raise Stopped

    def _read_4(self, sock: socket.socket) -> Asked:
        assert _read(sock, 1) == b"\1"
        port = int.from_bytes(_read(sock, 2), "big")
        address = _read(sock, 4)
        user = _read_text(sock)
        is_name = address[:3] == b"\0\0\0"
        return Asked(4, _read_text(sock) if is_name else socket.inet_ntoa(address), port, user)

    def _greet_5(self, sock: socket.socket) -> Asked:
        methods = _read(sock, _read(sock, 1)[0])
        self.offered.append(methods)
        wanted = 0 if self._credentials is None else 2
        if wanted not in methods:
            self._send(sock, b"\5\xff")
            raise EOFError
        self._send(sock, bytes([5, wanted]))
        given: Tuple[Optional[str], Optional[str]] = (None, None)
        if wanted:
            assert _read(sock, 1) == b"\1"
            given = _read(sock, _read(sock, 1)[0]).decode(), _read(sock, _read(sock, 1)[0]).decode()
            self._send(sock, b"\1\0" if given == self._credentials else b"\1\1")
        assert _read(sock, 3) == b"\5\1\0"
        kind = _read(sock, 1)[0]
        if kind == NAME:
            host = _read(sock, _read(sock, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == ADDRESS_4 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _read(sock, size))
        return Asked(5, host, int.from_bytes(_read(sock, 2), "big"), *given)

    def _answer(self, sock: socket.socket, asked: Asked) -> None:
        target = None if self._routes is None else self._routes.get(f"{asked.host}:{asked.port}")
        refused = self._routes is not None and target is None
        if asked.version == 4:
            code = (0x5B if refused else 0x5A) if self._code is None else self._code
            answer = bytes([0, code]) + bytes(6)
        else:
            code = (4 if refused else 0) if self._code is None else self._code
            answer = bytes([5, code, 0]) + self._bound + bytes(2)
        self._send(sock, answer + self._behind)
        if target is None:
            _drain(sock)
        else:
            with socket.create_connection(target, PATIENCE) as other:
                _carry(sock, other)


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _read_text(sock: socket.socket) -> str:
    data = b""
    while (byte := _read(sock, 1)) != b"\0":
        data += byte
    return data.decode()


def _drain(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def _carry(left: socket.socket, right: socket.socket) -> None:
    """Both ways, until both have ended."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):  # the other one hears of the end, whatever it was
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(right, left), daemon=True)
    back.start()
    carry(left, right)
    back.join(PATIENCE)
