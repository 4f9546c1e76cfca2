"""How a session's tasks behave: a frozen value, read once when the session is made (Apple: `URLSessionConfiguration`).

Durations are seconds, sizes are bytes. Two ways lead to another value: the named constructors `default()` and
`ephemeral()`, and `replace()`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import MappingProxyType

from ..cookies import CookieAcceptPolicy
from ..frozen import Frozen, replace
from ..hints import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple, Union
from ..protocol.deflate import DeflateOptions
from ..protocol.handshake import check_headers
from ..protocol.headers import Headers
from .stores import Kept, Stores, stores_of

if TYPE_CHECKING:
    import ssl
    from http.cookiejar import CookieJar

    from ..auth import CredentialStorage
    from ..cookies.exchange import LateJar

__all__ = ["SessionConfiguration"]


class _Oldest:
    """The default of the oldest TLS version, looked up when it is asked for: a `ws:` connection needs no `ssl`."""

    def __get__(self, configuration: object, kind: object) -> ssl.TLSVersion:
        import ssl

        return ssl.TLSVersion.TLSv1_2


_TLS_1_2: Any = _Oldest()
_STANDARD = DeflateOptions()
_AGENT = "wssync"
_STANDARD_HEADERS = Headers([("User-Agent", _AGENT)])
_IN_HEADERS = ("http_additional_headers", "user_agent", "origin")
_SEQUENCES = frozenset(("certificate_pins", "redirect_headers"))
_MASKED = ("connection_proxy_dictionary", "http_cookie_storage", "url_credential_storage")

SEVEN_DAYS = 604_800.0
"""Apple's `timeoutIntervalForResource`; a value that differs from it ends open tasks too."""


class SessionConfiguration(Frozen):
    """What a session and its tasks are made with. Frozen: changing it later is not possible, `replace()` makes another.

    timeout_interval_for_request: bounds each exchange of the opening as a whole, from resolving the name to the
        response head; a redirect or an answer to a challenge starts a new one. Not counted while the task waits its
        turn, is suspended, or waits for a delegate's answer. `None` = no bound.
    timeout_interval_for_resource: bounds the opening too; ends an *open* task only when it was set to something else
        than its default of 604,800 s (a Close 1001 is sent first).
    http_additional_headers: sent with every opening request that does not have a header of the same name itself; on
        another origin than the task's own, those alone that `redirect_headers` lets cross.
    http_should_set_cookies: whether the jar's cookies are sent.
    http_cookie_accept_policy: which cookies are stored (`CookieAcceptPolicy`).
    http_cookie_storage: a `http.cookiejar.CookieJar`, such as `requests.Session().cookies`; `None` = no cookies. By
        default one in memory: the process's, or with `ephemeral()` the configuration's own.
    url_credential_storage: a `CredentialStorage`, with the same default; `None` = nothing is stored.
    tls_minimum_supported_protocol_version, tls_maximum_supported_protocol_version: bounds for `wss:`, `ssl.TLSVersion`.
    waits_for_connectivity: without a network an opening waits for one, until the resource timeout.
    http_maximum_connections_per_host: how many tasks of the session may be *opening* to one host and port at a time;
        1 is the letter of RFC 6455 section 4.1.
    maximum_message_size: one received message, after decompression, over all its fragments; `None` = no limit.
    compression: `"deflate"`, a `DeflateOptions`, or `None` for none (RFC 7692).
    ping_interval: a ping is sent when nothing was received for that long; `None` = never.
    ping_timeout: the connection is given up when nothing at all comes for that long after such a ping; `None` = never.
    close_timeout: how long a closing handshake may take before the connection is cut.
    max_queue: the receive buffer as (messages, bytes); reading stops above either, and goes on below both. `None`, for
        one or for both, is no limit. Messages handed to the executor count until their handler has returned.
    write_limit: a message is accepted whenever fewer bytes than this are queued; otherwise a blocking `send` waits and
        a handler gets `SendQueueFull`.
    ssl_context: an `ssl.SSLContext` of one's own, which then judges alone; bounds and pins apply on top. It counts for
        an https proxy and where redirects lead too, so a client certificate in it is shown to whoever asks there; for
        one that is for one server alone there is the challenge (`AuthenticationMethod.CLIENT_CERTIFICATE`).
    truststore: whether the operating system judges certificates, by the package `truststore`, in the place of certifi's
        roots.
    certificate_pins: `"sha256/<base64>"` of public keys, one of which the server must have shown; none = any.
    proxy: `True` = what the environment and the system say, never for loopback; `None` = none; a URL = for every host.
    connection_proxy_dictionary: Apple's keys (`HTTPEnable`, `SOCKSProxy`, ...), which go before `proxy`; `None` = none.
    origin, user_agent: the headers of that name; `None` sends none.
    max_redirects: how many redirects one opening follows.
    redirect_headers: names of header fields that may go along to another origin, besides `User-Agent`, `Origin` and
        `Sec-WebSocket-Protocol`.
    netrc: whether passwords are looked up in `~/.netrc` (`True`) or in the file of this name.
    trace: `trace(event, task, fields)` hears every phase on the library's threads; it must not block.
    source_address: (host, port) to connect from.
    unix_path: the server's Unix socket, instead of resolving the host; redirects to another origin are refused then.

    Raises `TypeError` or `ValueError` for a value that makes no sense.
    """

    timeout_interval_for_request: Optional[float] = 60.0
    timeout_interval_for_resource: Optional[float] = SEVEN_DAYS
    http_additional_headers: Headers = Headers()
    tls_minimum_supported_protocol_version: ssl.TLSVersion = _TLS_1_2
    tls_maximum_supported_protocol_version: Optional[ssl.TLSVersion] = None
    http_should_set_cookies: bool = True
    http_cookie_accept_policy: CookieAcceptPolicy = CookieAcceptPolicy.ONLY_FROM_MAIN_DOCUMENT_DOMAIN
    http_cookie_storage: Optional[CookieJar] = Kept()  # type: ignore[assignment] # looked up when it is asked for
    url_credential_storage: Optional[CredentialStorage] = Kept()  # type: ignore[assignment] # the same
    waits_for_connectivity: bool = False
    http_maximum_connections_per_host: int = 6
    maximum_message_size: Optional[int] = 1_048_576
    compression: Union[str, DeflateOptions, None] = "deflate"
    ping_interval: Optional[float] = 20.0
    ping_timeout: Optional[float] = 20.0
    close_timeout: float = 10.0
    max_queue: Optional[Tuple[Optional[int], Optional[int]]] = (16, 4 * 1_048_576)
    write_limit: int = 16 * 1_048_576
    ssl_context: Optional[ssl.SSLContext] = None
    truststore: bool = False
    certificate_pins: Sequence[str] = ()
    proxy: Union[bool, str, None] = True
    connection_proxy_dictionary: Optional[Mapping[str, Any]] = None
    origin: Optional[str] = None
    user_agent: Optional[str] = _AGENT
    max_redirects: int = 20
    redirect_headers: Sequence[str] = ()
    netrc: Union[bool, str] = False
    trace: Optional[Callable[[str, Any, Mapping[str, Any]], object]] = None
    source_address: Optional[Tuple[str, int]] = None
    unix_path: Optional[str] = None

    @classmethod
    def default(cls) -> SessionConfiguration:
        """The standard values; cookies and credentials are those of the process (Apple: `.default`)."""
        return cls()

    @classmethod
    def ephemeral(cls) -> SessionConfiguration:
        """The standard values, sharing nothing with other configurations but its own copies (Apple: `.ephemeral`)."""
        configuration = cls()
        vars(configuration)["_stores"] = Stores()
        return configuration

    def replace(self, **changes: Any) -> SessionConfiguration:
        """This configuration with some values changed; `TypeError` for an unknown name."""
        other = replace(self, **changes)
        if "_stores" in vars(self):
            vars(other)["_stores"] = vars(self)["_stores"]
        return other

    @property
    def stores(self) -> Stores:
        """What it has in the place of the stores that it was not given."""
        return stores_of(self)

    def given(self, name: str) -> Any:
        """The value of that field if it was given, `None` if its default counts."""
        return vars(self).get(name)

    @property
    def cookie_jar(self) -> Union[CookieJar, LateJar, None]:
        """Where an opening finds its cookies: a jar that nobody has needed yet is not made for that."""
        return self.http_cookie_storage if "http_cookie_storage" in vars(self) else self.stores.late_jar

    @property
    def may_have_cookies(self) -> bool:
        """Whether there may be any to send: not where nobody has needed a jar yet."""
        if "http_cookie_storage" in vars(self):
            return self.http_cookie_storage is not None
        return self.stores.has_jar

    @property
    def deflate(self) -> Optional[DeflateOptions]:
        """The compression to offer, or `None`."""
        return _STANDARD if isinstance(self.compression, str) else self.compression

    @property
    def queue_limits(self) -> Tuple[Optional[int], Optional[int]]:
        """`max_queue` as a pair."""
        return (None, None) if self.max_queue is None else self.max_queue

    @property
    def resource_timeout_when_open(self) -> Optional[float]:
        """The resource timeout as it bears on an open task: only one that was set explicitly."""
        timeout = self.timeout_interval_for_resource
        return None if timeout == SEVEN_DAYS else timeout

    @property
    def request_headers(self) -> Headers:
        """What goes into every opening request that does not have the header itself."""
        return _STANDARD_HEADERS if vars(self).keys().isdisjoint(_IN_HEADERS) else self._own_headers

    @functools.cached_property
    def _own_headers(self) -> Headers:
        extra = self.http_additional_headers
        ours = (("User-Agent", self.user_agent), ("Origin", self.origin))
        return Headers([*((name, value) for name, value in ours if value and name not in extra), *extra.fields])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(self._spell, self._given()))})"

    def _given(self) -> Sequence[str]:
        return [name for name in self.__match_args__ if name in vars(self)]

    def _spell(self, name: str) -> str:
        """A field that was given, without the secrets that may be in it."""
        value = getattr(self, name)
        if name in _MASKED and value is not None:
            return f"{name}=<{type(value).__name__}>"
        return f"{name}={_masked_proxy(value) if name == 'proxy' and isinstance(value, str) else repr(value)}"

    def _check(self) -> None:
        given = vars(self)
        if not given:
            return  # the defaults make sense
        from .checks import CHECKS

        if "http_additional_headers" in given:
            # A mapping or pairs will do, as wherever headers are given.
            given["http_additional_headers"] = Headers(given["http_additional_headers"])
            check_headers(given["http_additional_headers"], ())
        for name in given.keys() & _SEQUENCES:
            # Before the checks: what can be read but once would be empty behind them, and nothing pinned.
            if isinstance(given[name], Iterable) and not isinstance(given[name], (str, bytes)):
                given[name] = tuple(given[name])
        for name, value in given.items():
            if name in CHECKS:
                CHECKS[name](name, value)
        if given.get("connection_proxy_dictionary") is not None:
            given["connection_proxy_dictionary"] = MappingProxyType(dict(given["connection_proxy_dictionary"]))


def _masked_proxy(text: str) -> str:
    """The URL of a proxy, or its host and port alone, without user name and password."""
    scheme, mark, authority = text.rpartition("://")
    _, at, place = authority.rpartition("@")
    return repr(f"{scheme}{mark}{'***@' * len(at)}{place}")
