"""How the server is reached: directly or through a proxy, and with TLS where the URL asks for it.

    direct       connect -------------------------------------------> [TLS]
    HTTP proxy   connect -> [TLS to the proxy] -> CONNECT, 407 ... -> [TLS]
    SOCKS        connect -> greeting, password, target -------------> [TLS]

What is the server's (cookies, Authorization, the path) never goes to a proxy, which sees host and port alone; what is
the proxy's never goes to the server. It all runs on the engine thread.
"""

from __future__ import annotations

import socket

from ..errors import ConnectionFailed, HostNotFound
from ..hints import TYPE_CHECKING, Dict, Optional
from ..protocol.urls import WebSocketURL
from ..transport.clock import Deadline
from ..transport.dial import DialOptions, dial
from ..transport.stream import Stream
from .tracing import unheard

if TYPE_CHECKING:
    from ..protocol.proxy import Proxy
    from .context import Context
    from .securing import Securing
    from .tunnelling import Tunnelling

__all__ = ["Reaching"]

_NO_NETWORK = -1009
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0


class Reaching:
    """The ways to the servers of one opening."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._securing: Optional[Securing] = None
        self._tunnelling: Dict[Proxy, Tunnelling] = {}
        self._has_waited = False

    def reach(self, url: WebSocketURL) -> Stream:
        """A stream to the server of `url`, on which nothing has been said yet.

        ConnectionFailed or one of its kinds, TimedOut, Cancelled; nothing is left open then.
        """
        proxy = self._choose_proxy(url)

        def connect() -> Stream:
            return self._dial(url.host, url.port, url) if proxy is None else self._through(proxy, url)

        return self._secure.secure(url, connect) if url.secure else connect()

    @property
    def _secure(self) -> Securing:
        if self._securing is None:
            from .securing import Securing  # `ssl` takes as long to load as all the rest

            self._securing = Securing(self._context)
        return self._securing

    # -- connecting ----------------------------------------------------------------------------------------------------

    def _dial(self, host: str, port: int, url: WebSocketURL) -> Stream:
        context, configuration = self._context, self._context.plan.configuration
        trace = None if context.trace is unheard else context.trace
        options = DialOptions(configuration.source_address, configuration.unix_path, trace)
        delay = _FIRST_DELAY
        while True:
            try:
                return dial(host, port, context.attempts.whole, url=url.shown, options=options)
            except ConnectionFailed as error:
                if not (configuration.waits_for_connectivity and _lacks_network(error)):
                    raise
            self._wait_for_network(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    def _wait_for_network(self, delay: float) -> None:
        """Rule 209: until the resource timeout, which alone goes on meanwhile."""
        context = self._context
        if not self._has_waited:
            self._has_waited = True
            context.questions.tell("is_waiting_for_connectivity")
        context.trace("waiting", reason="connectivity")
        context.step_aside()
        between = context.attempts.between
        due = Deadline(between.deadline.clock, delay)
        while not due.expired():
            between.wait(timeout=due.remaining())
        context.take_turn()

    # -- through a proxy -----------------------------------------------------------------------------------------------

    def _choose_proxy(self, url: WebSocketURL) -> Optional[Proxy]:
        configuration = self._context.plan.configuration
        setting, dictionary = configuration.proxy, configuration.connection_proxy_dictionary
        if configuration.unix_path is not None or (setting is None and dictionary is None):
            return None
        from ..transport.proxies import choose_proxy

        return choose_proxy(url, setting, dictionary)

    def _through(self, proxy: Proxy, url: WebSocketURL) -> Stream:
        if proxy not in self._tunnelling:
            from .tunnelling import Tunnelling

            self._tunnelling[proxy] = Tunnelling(self._context, proxy)

        def dial_proxy() -> Stream:
            stream = self._dial(proxy.host, proxy.port, url)
            return self._secure.secure_proxy(stream, proxy.host) if proxy.secure else stream

        return self._tunnelling[proxy].open(url, dial_proxy)


def _lacks_network(error: ConnectionFailed) -> bool:
    """Whether it failed for lack of a network, and not because of the host."""
    cause = error.__cause__
    if isinstance(error, HostNotFound):
        return isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
    return error.url_error_code == _NO_NETWORK
