"""Other people's clients, made alike, so that the same tests can have any of them visit `wssync.testing.Server`.

A stranger is made with (stack, secure), as a peer is started, and raises `unittest.SkipTest` with the reason if it
cannot run here. Each of its visits is one WebSocket, which ends with the stack that it was opened with.

The libraries are imported by name: they are not installed where the types are checked.
"""

from __future__ import annotations

import abc
import base64
import importlib
import ssl
import struct
import unittest
from contextlib import ExitStack
from typing import Any, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

__all__ = [
    "LIMIT",
    "Credentials",
    "Destination",
    "End",
    "Message",
    "Refused",
    "Stranger",
    "Visit",
    "WebsocketClient",
    "Websockets",
]

LIMIT = 60.0
"""Seconds for a step; the longest, 5 MiB there and back, takes one or two."""

Message = Union[str, bytes]

Credentials = Tuple[str, str]
"""User and password."""

End = Tuple[int, str]
"""The code and the reason of the server's Close, as the stranger tells them."""


class Destination(NamedTuple):
    """Where a stranger is to go, and with what. A `cookie` is "name=value"; `proxy` is a URL with its credentials."""

    url: str
    ca_file: Optional[str] = None
    protocols: Sequence[str] = ()
    cookie: Optional[str] = None
    credentials: Optional[Credentials] = None
    proxy: Optional[str] = None

    def with_credentials(self, url: str) -> str:
        """`url` with the user and password in it, if there are any."""
        if self.credentials is None:
            return url
        parts = urlsplit(url)
        return parts._replace(netloc="{}:{}@{}".format(*self.credentials, parts.netloc)).geturl()


class Refused(Exception):
    """The stranger could not open its WebSocket; `status` is what the server answered, `None` if it does not tell."""

    def __init__(self, status: Optional[int] = None) -> None:
        super().__init__(status)
        self.status = status


class Visit(abc.ABC):
    """One open WebSocket of a stranger; `protocol` is the subprotocol that it believes was agreed on."""

    protocol: Optional[str]

    @abc.abstractmethod
    def send(self, message: Message) -> None:
        """Send a text or a binary message."""

    @abc.abstractmethod
    def receive(self) -> Message:
        """The next message."""

    @abc.abstractmethod
    def close(self, code: int, reason: str) -> Optional[End]:
        """Close, wait for the server's part, and tell it; `None` from a client that keeps it to itself."""

    @abc.abstractmethod
    def end(self) -> End:
        """Wait until the server closes, when there are no more messages."""


class Stranger(abc.ABC):
    """A client. `secure` says that it will visit servers with TLS; what it starts is put on the stack."""

    follows_redirects = True

    def __init__(self, stack: ExitStack, secure: bool) -> None:
        self.stack = stack
        self.secure = secure

    @abc.abstractmethod
    def visit(self, stack: ExitStack, destination: Destination) -> Visit:
        """Open a WebSocket, which asks for compression if it can; Refused if it does not come about."""


def _library(name: str) -> Any:
    """A module of a library; SkipTest without it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise unittest.SkipTest(f"the library {name.partition('.')[0]} is not installed") from error


class Websockets(Stranger):
    """The Python library websockets, its client with threads."""

    def __init__(self, stack: ExitStack, secure: bool) -> None:
        super().__init__(stack, secure)
        client = _library("websockets.sync.client")
        self._connect = client.connect
        recent = self.follows_redirects = hasattr(client, "MAX_REDIRECTS")  # from version 17 on
        if secure and not recent:
            raise unittest.SkipTest("websockets before version 17 reports clean ends over TLS as 1006 now and then")
        self._exceptions = _library("websockets.exceptions")

    def visit(self, stack: ExitStack, destination: Destination) -> Visit:
        """The password is for the URL, the cookie a header field like any other."""
        options = {
            "ssl": _context(destination.ca_file) if destination.ca_file else None,
            "subprotocols": list(destination.protocols) or None,
            "additional_headers": {"Cookie": destination.cookie} if destination.cookie else None,
            "proxy": destination.proxy,
            "max_size": None,
            "open_timeout": LIMIT,
            "close_timeout": LIMIT,
        }
        try:
            connection = stack.enter_context(self._connect(destination.with_credentials(destination.url), **options))
        except (self._exceptions.InvalidStatus, self._exceptions.InvalidProxyStatus) as error:
            raise Refused(error.response.status_code) from error
        return _WebsocketsVisit(connection, self._exceptions.ConnectionClosed)


def _context(ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 at most, for a client that reads in one thread and writes in another, which OpenSSL does not allow.

    With TLS 1.3 the reader has session tickets to digest just while the request is written, and one opening of some
    hundreds fails, whatever the server.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class _WebsocketsVisit(Visit):
    def __init__(self, connection: Any, closed: Any) -> None:
        self._connection = connection
        self._closed = closed
        self.protocol = connection.subprotocol

    def send(self, message: Message) -> None:
        self._connection.send(message)

    def receive(self) -> Message:
        message: Message = self._connection.recv(timeout=LIMIT)
        return message

    def close(self, code: int, reason: str) -> Optional[End]:
        self._connection.close(code, reason)
        return self._end()

    def end(self) -> End:
        try:
            message = self._connection.recv(timeout=LIMIT)
        except self._closed:
            return self._end()
        raise AssertionError(f"no end, but a message: {message!r}")

    def _end(self) -> End:
        return self._connection.close_code, self._connection.close_reason


class WebsocketClient(Stranger):
    """The Python library websocket-client, which has no compression."""

    def __init__(self, stack: ExitStack, secure: bool) -> None:
        super().__init__(stack, secure)
        self._library = _library("websocket")

    def visit(self, stack: ExitStack, destination: Destination) -> Visit:
        """It takes no password from the URL, so the header field is made here."""
        authorization = destination.credentials and base64.b64encode(":".join(destination.credentials).encode())
        proxy = urlsplit(destination.proxy or "")
        try:
            connection = self._library.create_connection(
                destination.url,
                timeout=LIMIT,
                sslopt={"ca_certs": destination.ca_file} if destination.ca_file else {},
                subprotocols=list(destination.protocols) or None,
                cookie=destination.cookie,
                header={"Authorization": f"Basic {authorization.decode()}"} if authorization else None,
                http_proxy_host=proxy.hostname,
                http_proxy_port=proxy.port,
                http_proxy_auth=(proxy.username, proxy.password) if proxy.username else None,
                http_no_proxy=["nowhere.invalid"] if destination.proxy else ["*"],
            )
        except self._library.WebSocketBadStatusException as error:
            raise Refused(error.status_code) from error
        except self._library.WebSocketProxyException as error:
            raise Refused from error
        stack.callback(connection.shutdown)
        return _WebsocketClientVisit(connection)


class _WebsocketClientVisit(Visit):
    TEXT, BINARY, CLOSE = 1, 2, 8

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.protocol = connection.getsubprotocol()

    def send(self, message: Message) -> None:
        self._connection.send(message, self.TEXT if isinstance(message, str) else self.BINARY)

    def receive(self) -> Message:
        opcode, data = self._connection.recv_data()
        if opcode not in (self.TEXT, self.BINARY):
            raise AssertionError(f"no message, but opcode {opcode}: {data!r}")
        message: Message = data.decode() if opcode == self.TEXT else data
        return message

    def close(self, code: int, reason: str) -> Optional[End]:
        self._connection.close(code, reason.encode(), timeout=LIMIT)
        return None

    def end(self) -> End:
        opcode, data = self._connection.recv_data()
        if opcode != self.CLOSE:
            raise AssertionError(f"no end, but opcode {opcode}: {data!r}")
        return struct.unpack("!H", data[:2])[0], data[2:].decode()
