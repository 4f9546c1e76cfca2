"""Which proxy a connection takes, if any (rules 103 to 105).

A configuration says it in one of two ways: with Apple's dictionary, which wins, or with `proxy`: none, the URL of one
for every host, or `True` for what the environment says, and where that says nothing the system (macOS, Windows).

In the environment the scheme decides, as with curl: `wss_proxy`, then `https_proxy` for `wss:`, `ws_proxy`, then
`http_proxy` for `ws:`; for both then `socks_proxy`, then `all_proxy`; in lower case before upper case, and `HTTP_PROXY`
in upper case is not looked at in a CGI script (`REQUEST_METHOD` is set), where a client of the script could have set
it. `urllib.request` reads all of this. `no_proxy` is read as `wssync.protocol.bypass` describes, and loopback never
goes through a proxy of the surroundings.
"""

from __future__ import annotations

import os
import sys

from ..errors import ConnectionFailed, ProxyError
from ..hints import Callable, Mapping, Optional, Tuple, Union
from ..protocol.bypass import is_excepted, is_loopback, split_entries
from ..protocol.proxy import Proxy, parse_proxy
from ..protocol.urls import WebSocketURL

__all__ = ["choose_proxy", "unreachable"]

GetProxies = Callable[[], Mapping[str, str]]
Bypass = Callable[[str], object]

_NAMES = {"ws": ("ws", "http", "socks", "all"), "wss": ("wss", "https", "socks", "all")}

_SYSTEM_HAS_PROXIES = sys.platform in ("darwin", "win32")


def choose_proxy(
    url: WebSocketURL,
    setting: Union[bool, str, None],
    dictionary: Optional[Mapping[str, object]] = None,
    *,
    getproxies: Optional[GetProxies] = None,
    bypass: Optional[Bypass] = None,
) -> Optional[Proxy]:
    """The proxy for `url` by a configuration's `proxy` and `connection_proxy_dictionary`; `None` is none.

    Both must have passed `check_proxy` and `check_proxy_dictionary`. `getproxies` and `bypass` stand for
    `urllib.request.getproxies` and `proxy_bypass`; the second is asked only for a proxy of the system, and may then
    look a name up, which takes its time. ProxyError when the environment or the system names what is no proxy.
    """
    if dictionary is not None:
        from ..protocol.proxy_dictionary import proxy_from_dictionary

        return proxy_from_dictionary(url, dictionary)
    if isinstance(setting, str):
        return parse_proxy(setting)
    if not setting or is_loopback(url):
        return None
    if getproxies is None:
        if _nothing_is_set():
            return None
        import urllib.request

        getproxies, bypass = urllib.request.getproxies, urllib.request.proxy_bypass
    return _from_surroundings(url, getproxies(), bypass)


def unreachable(proxy: Proxy, error: ConnectionFailed) -> ProxyError:
    """The error of a dial to `proxy`, or of TLS with it, said of the proxy; the caller raises it `from error`."""
    return ProxyError(f"the proxy {proxy}: {error}", url=error.url, url_error_code=error.url_error_code)


def _nothing_is_set() -> bool:
    """Whether that is certain at a glance: `urllib.request` takes longer to load than all of wssync."""
    if _SYSTEM_HAS_PROXIES or "urllib.request" in sys.modules:
        return False
    return not any(name.lower().endswith("_proxy") for name in os.environ)


def _from_surroundings(url: WebSocketURL, proxies: Mapping[str, str], bypass: Optional[Bypass]) -> Optional[Proxy]:
    found = next(((name, proxies[name]) for name in _NAMES[url.scheme] if proxies.get(name)), None)
    if found is None or is_excepted(url, split_entries(proxies.get("no", ""))):
        return None
    # Only the environment has a "no"; where that is silent, the system may have rules of its own.
    if bypass is not None and "no" not in proxies and bypass(url.server_name):
        return None
    return _parse_found(*found)


def _parse_found(name: str, text: str) -> Proxy:
    try:
        return parse_proxy(_socks(text) if name == "socks" else text)
    except ValueError as error:
        message = f"the {name} proxy of the environment or the system cannot be used: {error}"
        raise ProxyError(message) from error


def _socks(text: str) -> str:
    """A proxy that is there as the system's SOCKS proxy: macOS tells it as `http:`, Windows as `socks:`."""
    scheme, rest = _split(text)
    return f"socks5://{rest}" if scheme in ("", "http", "socks") else text


def _split(text: str) -> Tuple[str, str]:
    scheme, mark, rest = text.partition("://")
    return (scheme.lower(), rest) if mark else ("", text)
