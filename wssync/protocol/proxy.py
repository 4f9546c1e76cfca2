"""A proxy, as its URL names it, and what an HTTP proxy is asked: `CONNECT host:port` (RFC 9110 section 9.3.6).

The host of a proxy is read by the same parser as that of a WebSocket URL, so what is dangerous in one is refused in the
other too. No message repeats a user name or a password.

Names go through a SOCKS proxy as they are and are resolved behind it. So there is no `socks4` here, which cannot carry
a name, and no difference between `socks5` and the spelling `socks5h`, by which other clients mean just that.
"""

from __future__ import annotations

from ..errors import InvalidURL
from ..frozen import Frozen
from ..hints import Optional
from .headers import HeadersLike, checked_fields, printable
from .http1 import format_request
from .patterns import pattern
from .urls import parse_url

__all__ = ["Proxy", "check_proxy", "connect_request", "explicit_port", "parse_proxy"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks4a": 1080, "socks5": 1080}
_SAME = {"socks5h": "socks5"}
_NO_PROXY = {
    "socks": "say which version: socks5 or socks4a",
    "socks4": "socks4 cannot carry a host name, socks4a can",
}

_SCHEME = pattern(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PORT = pattern(r":([0-9]+)$")
_HOST = pattern(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_MOST = 255
"""Bytes of a user name or password: RFC 1929 section 2 has one byte for their length."""

_OF_THE_ORIGIN = frozenset({"authorization", "cookie", "host"})


class Proxy(Frozen):
    """A checked proxy, as `parse_proxy` returns it.

    `scheme` is "http", "https", "socks4a" or "socks5"; `host` lower-case ASCII or an IP address without brackets;
    `port` is always there. `user` and `password` are percent-decoded, `None` where there is none; neither `str()` nor
    `repr()` shows them.
    """

    scheme: str
    host: str
    port: int
    user: Optional[str] = None
    password: Optional[str] = None

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.scheme.startswith("socks")

    @property
    def secure(self) -> bool:
        """Whether the connection to the proxy itself is TLS (`https`)."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port, with brackets for IPv6."""
        return _authority(self.host, self.port)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def __repr__(self) -> str:
        return f"Proxy({str(self)!r})"


def parse_proxy(text: str) -> Proxy:
    """Read the URL of a proxy: `http:`, `https:`, `socks4a:` or `socks5:` (also spelled `socks5h:`).

    "host:port" alone, as environments have it, is an HTTP proxy. The port is 80, 443 or 1080 where there is none. A
    path but "/", a query or a fragment is refused, and so are credentials that the SOCKS version cannot carry.
    TypeError for what is no `str`, ValueError for what is no proxy.
    """
    if not isinstance(text, str):
        raise TypeError(f"the URL of a proxy is a str, not {type(text).__name__}")
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else "http"
    scheme = _SAME.get(scheme, scheme)
    if scheme not in _DEFAULT_PORTS:
        why = _NO_PROXY.get(scheme, "a proxy's scheme is http, https, socks5 or socks4a")
        raise ValueError(f"{why}, not {printable(scheme)!r}")
    proxy = _parse_rest(scheme, text[found.end() :] if found else text)
    if proxy.is_socks:
        _check_socks(proxy)
    return proxy


def _parse_rest(scheme: str, text: str) -> Proxy:
    authority = text[:-1] if text.endswith("/") else text
    if "/" in authority or "?" in authority or "#" in authority:
        raise ValueError("the URL of a proxy ends with its port: it has no path, query or fragment")
    try:
        url = parse_url(f"ws://{authority}")
    except InvalidURL as error:
        shown = f": {error.url!r}"  # it is about a ws: URL, which would confuse
        raise ValueError(f"{str(error).removesuffix(shown)} (in the URL of a proxy)") from None
    port = explicit_port(authority)
    return Proxy(scheme, url.host, _DEFAULT_PORTS[scheme] if port is None else port, url.user, url.password)


def explicit_port(authority: str) -> Optional[int]:
    """The port that is written in an authority that `parse_url` takes, `None` where none is."""
    found = _PORT.search(authority)
    return int(found[1]) if found else None


def _check_socks(proxy: Proxy) -> None:
    for text in (proxy.user, proxy.password):
        if text is not None and not (text.isascii() and 0 < len(text) <= _MOST):
            raise ValueError(f"user name and password of a SOCKS proxy are 1 to {_MOST} ASCII characters each")
    if proxy.scheme == "socks4a" and proxy.password is not None:
        raise ValueError("SOCKS 4 has a user name and no password")
    if proxy.scheme == "socks5" and (proxy.user is None) != (proxy.password is None):
        raise ValueError("SOCKS 5 has a user name and a password (RFC 1929), or neither")


def check_proxy(value: object) -> None:
    """Raise unless this can be a configuration's `proxy`: True, `None`, or a URL that `parse_proxy` takes."""
    if value is None or value is True:
        return
    if isinstance(value, str):
        parse_proxy(value)
        return
    shown = value if isinstance(value, bool) else type(value).__name__
    raise TypeError(f"proxy must be True (from the environment and the system), None or the URL of one, not {shown}")


def connect_request(host: str, port: int, fields: HeadersLike = None) -> bytes:
    """The request for a tunnel to `host` (a name, or an IP address without brackets) and `port`.

    Target and `Host` are both host:port, with the port always (RFC 9112 section 3.2.3); `fields` come behind. What is
    for the origin does not belong among them: ValueError for Authorization, Cookie and a second Host, as for a host or
    a field that would not be one on the wire.
    """
    if _HOST.fullmatch(host) is None:
        raise ValueError("the host has a character that no host has")
    more = checked_fields(fields)
    wrong = sorted(name for name, _ in more if name.lower() in _OF_THE_ORIGIN)
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not for a proxy")
    authority = _authority(host, port)
    return format_request("CONNECT", authority, [("Host", authority), *more])


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
