"""Through a proxy: what it is asked, and how its challenge is answered (rules 77, 103 and 104)."""

from __future__ import annotations

from ..errors import ConnectionClosed, ConnectionFailed, HandshakeError, ProxyError
from ..hints import TYPE_CHECKING, Callable, Optional, Tuple
from ..protocol.headers import printable
from ..protocol.proxy import connect_request
from ..transport.proxies import unreachable
from .exchange import Exchange

if TYPE_CHECKING:
    from ..auth.authenticator import Authenticator
    from ..protocol.http1 import Response
    from ..protocol.proxy import Proxy
    from ..protocol.urls import WebSocketURL
    from ..transport.stream import Stream
    from .answering import Place
    from .context import Context

__all__ = ["Tunnelling"]


class Tunnelling:
    """The tunnels of one opening through one proxy."""

    def __init__(self, context: Context, proxy: Proxy) -> None:
        self._context = context
        self._proxy = proxy
        self._passwords: Optional[Authenticator] = None

    def open(self, url: WebSocketURL, dial: Callable[[], Stream]) -> Stream:
        """A stream that leads through the proxy to the server of `url`; what is read of it comes from there.

        `dial` makes a stream to the proxy, with TLS if it has that.
        """
        proxy = self._proxy
        if proxy.is_socks:
            from ..transport.socks import start_socks

            stream = self._reach_proxy(dial)
            start_socks(stream, proxy, url.host, url.port, self._context.attempts.whole)
            self._context.trace(
                "connect_end", local=stream.local_address, remote=stream.remote_address
            )  # now it leads there
            return stream
        while True:
            try:
                tunnel = self._ask_for_tunnel(url, dial)
            except HandshakeError as error:  # no HTTP, or a password that cannot be used
                raise ProxyError(
                    f"the proxy {proxy}: {error}", url_error_code=error.url_error_code, response=error.response
                ) from error
            if tunnel is not None:
                return tunnel
            self._context.begin_exchange()

    def _reach_proxy(self, dial: Callable[[], Stream]) -> Stream:
        proxy = self._proxy
        self._context.trace("proxy", scheme=proxy.scheme, host=proxy.host, port=proxy.port)
        try:
            return dial()
        except ConnectionFailed as error:
            raise unreachable(proxy, error) from error

    def _ask_for_tunnel(self, url: WebSocketURL, dial: Callable[[], Stream]) -> Optional[Stream]:
        """One CONNECT (rule 103); `None` if it is to be repeated, with an answer to the proxy's challenge."""
        proxy = self._proxy
        stream = self._reach_proxy(dial)
        keeps = False
        try:
            response, rest = self._connect(stream, url)
            keeps = _is_success(response) and not rest
        except ConnectionClosed as error:
            raise ProxyError(f"the connection to the proxy {proxy} was lost") from (error.__cause__ or error)
        finally:
            if not keeps:
                stream.close()
        if keeps:
            if self._passwords is not None:
                self._passwords.succeeded(response)
            return stream
        if _is_success(response):
            raise ProxyError(f"the proxy {proxy} sent more than its answer to CONNECT", response=response)
        if response.status_code != 407 or not self._authenticate(response):
            raise _refused(proxy, response)
        return None

    def _connect(self, stream: Stream, url: WebSocketURL) -> Tuple[Response, bytes]:
        context = self._context
        exchange = Exchange(stream, context.attempts, context.trace, str(self._proxy), "proxy", _overhear)
        fields = []
        agent = context.plan.configuration.user_agent
        if agent:
            fields.append(("User-Agent", agent))
        target = f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
        passwords = self._passwords
        value = None if passwords is None else passwords.authorization("CONNECT", target, *self._place)
        if value is not None:
            fields.append(("Proxy-Authorization", value))
        exchange.send(connect_request(url.host, url.port, fields), "CONNECT", target)
        response, rest = exchange.read_response()
        if _is_success(response):
            return exchange.end(response), rest
        return exchange.with_body(response, rest), b""

    def _authenticate(self, response: Response) -> bool:
        from .answering import answer

        if self._passwords is None:
            self._passwords = self._prepare()
        self._context.step_aside()  # the user may take a minute
        return answer(self._passwords, self._context, response, self._place)

    def _prepare(self) -> Authenticator:
        from ..auth import Credential, CredentialPersistence
        from .passwords import make_authenticator

        proxy, given = self._proxy, None
        if proxy.user is not None or proxy.password is not None:
            given = Credential(proxy.user or "", proxy.password or "", CredentialPersistence.NONE)
        return make_authenticator(self._context.plan, given, self._place, is_proxy=True)

    @property
    def _place(self) -> Place:
        return self._proxy.host, self._proxy.port, self._proxy.scheme


def _overhear(response: Response) -> None:
    """An informational response of a proxy is nobody's business."""


def _is_success(response: Response) -> bool:
    return 200 <= response.status_code < 300


def _refused(proxy: Proxy, response: Response) -> ProxyError:
    answered = f"{response.status_code} {printable(response.reason)}".rstrip()
    code = -1013 if response.status_code == 407 else None
    return ProxyError(f"the proxy {proxy} answered {answered} to CONNECT", url_error_code=code, response=response)
