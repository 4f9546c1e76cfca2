"""Everything that can go wrong on the network, in one tree.

    WebSocketError
      InvalidURL (also ValueError)
      Cancelled
      SessionInvalidated
      TimedOut (also TimeoutError)
      ConnectionFailed
        HostNotFound
        ConnectionRefused
        ProxyError
        TLSError
          CertificateError
      HandshakeError
        TooManyRedirects
        InsecureRedirect
        AuthenticationFailed
      ConnectionClosed
        ProtocolError
        MessageTooBig
      SendQueueFull

A caller's own mistake (a wrong type, a bad close code, CR or LF in a header) is not here: it is a plain `TypeError` or
`ValueError`, raised at once. What is here says what the network or the peer did, or that the user gave up.

`ConnectionFailed`, `HandshakeError` and `TimedOut` happen only before a task is open, `ConnectionClosed` and its kinds
only after. Every error carries the URL without its secrets, Foundation's number for it, and the lower-level exception
as `__cause__`; every error can be pickled.
"""

from __future__ import annotations

from .hints import TYPE_CHECKING, Any, Callable, Dict, Optional, Protocol, Tuple, Type

if TYPE_CHECKING:

    class ResponseLike(Protocol):
        """What an error needs to know of `wssync.Response`; the module below may not be imported from here."""

        @property
        def status_code(self) -> int: ...


__all__ = [
    "AuthenticationFailed",
    "Cancelled",
    "CertificateError",
    "ConnectionClosed",
    "ConnectionFailed",
    "ConnectionRefused",
    "HandshakeError",
    "HostNotFound",
    "InsecureRedirect",
    "InvalidURL",
    "MessageTooBig",
    "ProtocolError",
    "ProxyError",
    "SendQueueFull",
    "SessionInvalidated",
    "TLSError",
    "TimedOut",
    "TooManyRedirects",
    "WebSocketError",
]

CloseStatus = Optional[Tuple[int, Optional[str]]]
"""A Close frame as (code, reason), or `None` where there was none."""


class WebSocketError(Exception):
    """The base of everything that wssync raises because of the network, the peer or a cancellation.

    `url` is the URL concerned (or `None`), without userinfo and with `***` in place of tokens in its query;
    `url_error_code` is the number that Foundation's `URLError` has for it (-1001 timed out, -999 cancelled, ...).
    """

    default_url_error_code = -1

    def __init__(self, message: str = "", *, url: Optional[str] = None, url_error_code: Optional[int] = None) -> None:
        super().__init__(message)
        self.url = url
        self.url_error_code = self.default_url_error_code if url_error_code is None else url_error_code

    def __reduce__(self) -> Tuple[Callable[..., Any], Tuple[Any, ...]]:
        return _rebuild, (type(self), self.args, self.__dict__, self.__cause__)


def _rebuild(
    kind: Type[WebSocketError], args: Tuple[Any, ...], state: Dict[str, Any], cause: Optional[BaseException]
) -> WebSocketError:
    """Unpickle: the keyword-only arguments of the constructors come back as plain state."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class InvalidURL(WebSocketError, ValueError):
    """The URL is not a usable `ws:` or `wss:` URL (RFC 6455 section 3). -1000, or -1002 for another scheme."""

    default_url_error_code = -1000


class Cancelled(WebSocketError):
    """The task was cancelled by its user before the work was done."""

    default_url_error_code = -999


class SessionInvalidated(WebSocketError):
    """The session was invalidated and makes no more tasks."""

    default_url_error_code = -999


class TimedOut(WebSocketError, TimeoutError):
    """The opening took longer than it was allowed to."""

    default_url_error_code = -1001


class ConnectionFailed(WebSocketError):
    """No connection to the host could be made."""

    default_url_error_code = -1004


class HostNotFound(ConnectionFailed):
    """The host name could not be resolved to an address."""

    default_url_error_code = -1003


class ConnectionRefused(ConnectionFailed):
    """The host answered that nobody listens on that port."""


class ProxyError(ConnectionFailed):
    """The proxy did not make the connection.

    `response` holds what an HTTP proxy answered to CONNECT, or `None` where there was no such answer.
    """

    def __init__(
        self,
        message: str = "",
        *,
        url: Optional[str] = None,
        url_error_code: Optional[int] = None,
        response: Optional[ResponseLike] = None,
    ) -> None:
        super().__init__(message, url=url, url_error_code=url_error_code)
        self.response = response


class TLSError(ConnectionFailed):
    """The TLS handshake failed."""

    default_url_error_code = -1200


class CertificateError(TLSError):
    """The server's certificate was not accepted; the code says why (-1201 to -1204)."""

    default_url_error_code = -1202


class HandshakeError(WebSocketError):
    """The server answered, but not with an acceptable upgrade (RFC 6455 section 4.1).

    `response` holds what it answered (status, headers, the first 64 KiB of the body), or `None` if it was not HTTP.
    """

    default_url_error_code = -1011

    def __init__(
        self,
        message: str = "",
        *,
        url: Optional[str] = None,
        url_error_code: Optional[int] = None,
        response: Optional[ResponseLike] = None,
    ) -> None:
        super().__init__(message, url=url, url_error_code=url_error_code)
        self.response = response


class TooManyRedirects(HandshakeError):
    """The server, or a row of them, redirected more often than `max_redirects` allows."""

    default_url_error_code = -1007


class InsecureRedirect(HandshakeError):
    """The server redirected from `wss:` to `ws:`, and no delegate asked for that."""

    default_url_error_code = -1022


class AuthenticationFailed(HandshakeError):
    """The server wants a password or another proof, and there is none (left) to offer: `response` is its refusal."""

    default_url_error_code = -1013


class ConnectionClosed(WebSocketError):
    """An open connection has ended.

    `code` and `reason` are those of the peer's Close frame (RFC 6455 section 7.1.5 and 7.1.6): 1005 where it had none,
    1006 where no Close frame came. `clean` tells whether the closing handshake was done. `received_close` and
    `sent_close` are the frames themselves as (code, reason), or `None`.
    """

    default_url_error_code = -1005

    def __init__(
        self,
        message: str = "",
        *,
        code: int = 1006,
        reason: Optional[str] = None,
        clean: bool = False,
        received_close: CloseStatus = None,
        sent_close: CloseStatus = None,
        url: Optional[str] = None,
        url_error_code: Optional[int] = None,
    ) -> None:
        super().__init__(message, url=url, url_error_code=url_error_code)
        self.code = code
        self.reason = reason
        self.clean = clean
        self.received_close = received_close
        self.sent_close = sent_close


class ProtocolError(ConnectionClosed):
    """The peer broke the protocol; the message names the rule and its section, `code` is what we closed with."""

    def __init__(self, message: str = "", *, code: int = 1002, **details: Any) -> None:
        super().__init__(message, code=code, **details)


class MessageTooBig(ConnectionClosed):
    """A received message passed `maximum_message_size`.

    `size` is what was known of its size when the limit was passed, `limit` the limit, both in bytes after
    decompression.
    """

    default_url_error_code = -1103

    def __init__(self, message: str = "", *, size: int = 0, limit: int = 0, code: int = 1009, **details: Any) -> None:
        super().__init__(message, code=code, **details)
        self.size = size
        self.limit = limit


class SendQueueFull(WebSocketError):
    """More than `write_limit` bytes wait to be sent; this message was not queued, the task goes on."""
