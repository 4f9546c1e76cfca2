"""Through a SOCKS proxy, with `python-socks` (the extra `wssync[socks]`) for the protocol.

That library expects a socket that blocks, and no cancel ends its waits. But a proxy may lie behind another one, which
then makes the connection (`forward`): what is given as that other proxy here is the connection to the first, made
already, whose `recv` and `sendall` are waits of the `Attempt`. So there is no thread, and a cancel or the deadline ends
it anywhere.
"""

from __future__ import annotations

from ..errors import ConnectionClosed, ConnectionFailed, ConnectionRefused, HostNotFound, ProxyError, WebSocketError
from ..hints import TYPE_CHECKING, Any, Callable, NoReturn, Optional

if TYPE_CHECKING:
    from ..protocol.proxy import Proxy
    from .stream import Stream
    from .waiting import Attempt

__all__ = ["start_socks"]

_MISSING = "SOCKS proxies need the package python-socks, 3.0 or newer: pip install 'wssync[socks]'"

_HOST_UNREACHABLE, _REFUSED = 4, 5
"""Replies of RFC 1928 section 6; those of SOCKS 4 are other numbers. The first is also what a proxy answers that could
not resolve the name."""


def start_socks(stream: Stream, proxy: Proxy, host: str, port: int, attempt: Attempt) -> None:
    """Have `proxy`, to which `stream` is connected, connect to `host` (a name or an address) and `port`.

    Names are resolved by the proxy (rule 104). Afterwards the stream leads there, nothing of it read ahead. ProxyError
    when the proxy or python-socks does not do it; ConnectionRefused and HostNotFound when the proxy says that of the
    host; TimedOut, and whatever the attempt's `check` raises. The stream is closed then.
    """
    link = _Link(stream, attempt)
    try:
        _make(proxy, link).connect(host, port)
    except BaseException as error:
        stream.close()
        if link.error is not None:
            _raise_broken(proxy, link.error)
        if isinstance(error, WebSocketError) or not isinstance(error, Exception):
            raise
        raise _refusal(proxy, error, host, port) from error


def _make(proxy: Proxy, link: _Link) -> Any:
    try:
        from python_socks import ProxyType
        from python_socks.sync import Proxy as Client
    except ImportError as error:
        raise ProxyError(_MISSING) from error
    kind = ProxyType.SOCKS4 if proxy.scheme == "socks4a" else ProxyType.SOCKS5
    forward: Any = link
    try:
        return Client(kind, proxy.host, proxy.port, proxy.user, proxy.password, rdns=True, forward=forward)
    except TypeError:
        raise ProxyError(_MISSING) from None  # one before 3.0 has no `forward`


def _raise_broken(proxy: Proxy, error: BaseException) -> NoReturn:
    """What ended a wait is raised as it is, without what python-socks made of it; only a loss is the proxy's."""
    if isinstance(error, ConnectionClosed):
        cause = error.__cause__ or error
        raise ProxyError(f"the connection to the proxy {proxy} was lost: {cause}") from cause
    raise error from error.__cause__


def _refusal(proxy: Proxy, error: Exception, host: str, port: int) -> ConnectionFailed:
    """`error` is python-socks's own, or of its reading what makes no sense."""
    from python_socks import ProxyError as Refusal

    if not isinstance(error, Refusal):
        return ProxyError(f"the answer of the proxy {proxy} makes no sense")
    message = f"the proxy {proxy} did not connect to {host} port {port}: {error}"
    if error.error_code == _REFUSED:
        return ConnectionRefused(message)
    if error.error_code == _HOST_UNREACHABLE and not _is_address(host):
        return HostNotFound(message)
    return ProxyError(message)


def _is_address(host: str) -> bool:
    """No name ends with a number, in the form that `parse_url` gives it."""
    return ":" in host or host[-1:].isdigit()


class _Link:
    """A connection to the proxy, as python-socks wants a proxy before the proxy and the socket that comes from it."""

    def __init__(self, stream: Stream, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt
        self.error: Optional[BaseException] = None
        """What ended a wait: python-socks makes a time-out of its own of some of it."""

    def connect(self, *_: object, **__: object) -> _Link:
        """It is connected."""
        return self

    def close(self) -> None:
        """The stream is closed by who knows why."""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._keep(self._sendall, data)

    def recv(self, limit: int) -> bytes:
        """What has come, at most `limit` bytes; b"" at the end."""
        data: bytes = self._keep(self._recv, limit)
        return data

    def _keep(self, call: Callable[[Any], Any], argument: object) -> Any:
        try:
            return call(argument)
        except BaseException as error:
            self.error = error
            raise

    def _sendall(self, data: bytes) -> None:
        while data:
            accepted = self._stream.send(data)
            data = data[accepted:]
            if data:
                self._attempt.wait_stream(self._stream, False, True)

    def _recv(self, limit: int) -> bytes:
        data: Optional[bytes] = None
        while data is None:
            self._attempt.wait_stream(self._stream, True, False)
            data = self._stream.recv(limit)
        return data
