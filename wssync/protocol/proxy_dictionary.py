"""Proxies as Apple's `connectionProxyDictionary` has them (the keys of CFNetwork and SystemConfiguration).

`wss:` goes by the HTTPS keys and `ws:` by the HTTP keys, each to an HTTP proxy that is asked for a tunnel; without one
both go by the SOCKS keys, to a SOCKS 5 proxy. Which keys Apple itself takes for `ws:` is told nowhere. The dictionary
has no credentials: an HTTP proxy asks for them by a challenge.

A proxy configuration script is JavaScript, which nothing here can run: rather than connect directly in its place, its
keys are refused. So are keys that Apple does not have, which are likely to be misspelled; those for other protocols
(FTP, Gopher, RTSP), and those of the system's own that begin with two underscores, mean nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping

from ..hints import Mapping, Optional
from .bypass import is_excepted, is_loopback
from .headers import printable
from .proxy import Proxy, parse_proxy
from .urls import WebSocketURL

__all__ = ["check_proxy_dictionary", "proxy_from_dictionary"]

_KINDS = {"HTTP": ("http", 80), "HTTPS": ("http", 80), "SOCKS": ("socks5", 1080)}
_SWITCHES = ("HTTPEnable", "HTTPSEnable", "SOCKSEnable", "ExcludeSimpleHostnames")
_SCRIPTS = ("ProxyAutoConfigEnable", "ProxyAutoDiscoveryEnable")
_SCRIPT_TEXTS = ("ProxyAutoConfigURLString", "ProxyAutoConfigJavaScript")
_EXCEPTIONS = "ExceptionsList"
_KNOWN = frozenset(
    [
        *_SWITCHES,
        *_SCRIPTS,
        *_SCRIPT_TEXTS,
        _EXCEPTIONS,
        *(kind + key for kind in _KINDS for key in ("Proxy", "Port")),
    ]
)
_IGNORED = ("FTP", "Gopher", "RTSP", "__")


def check_proxy_dictionary(value: object) -> None:
    """Raise unless this can be a configuration's `connection_proxy_dictionary`: `None`, or a mapping as described here.

    TypeError or ValueError, which names the key; ValueError for a dictionary that asks for a configuration script.
    """
    if value is None:
        return
    if not isinstance(value, AbstractMapping):
        raise TypeError(f"connection_proxy_dictionary must be a mapping or None, not {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"a key of connection_proxy_dictionary is a str, not {type(key).__name__}")
        if key not in _KNOWN and not key.startswith(_IGNORED):
            raise ValueError(f"connection_proxy_dictionary has no key {printable(key)!r}")
    for key in _SWITCHES:
        _is_on(value, key)
    _check_scripts(value)
    _check_exceptions(value.get(_EXCEPTIONS))
    for kind in _KINDS:
        _proxy(value, kind)


def proxy_from_dictionary(url: WebSocketURL, dictionary: Mapping[str, object]) -> Optional[Proxy]:
    """The proxy that a dictionary, which `check_proxy_dictionary` has passed, has for `url`; `None` is none.

    Rule 105: none for loopback, for what the ExceptionsList names, and for names without a dot where these are
    excluded.
    """
    if is_loopback(url):
        return None
    if _is_on(dictionary, "ExcludeSimpleHostnames") and not url.is_ip_address and "." not in url.server_name:
        return None
    exceptions = dictionary.get(_EXCEPTIONS)
    if isinstance(exceptions, (list, tuple)) and is_excepted(url, exceptions, exact=True):
        return None
    return _proxy(dictionary, "HTTPS" if url.secure else "HTTP") or _proxy(dictionary, "SOCKS")


def _is_on(dictionary: Mapping[str, object], key: str) -> bool:
    value = dictionary.get(key, 0)
    if not isinstance(value, int):
        raise TypeError(f"{key} is a number or a bool, not {type(value).__name__}")
    return value != 0


def _check_scripts(dictionary: Mapping[str, object]) -> None:
    """A system's own dictionary may well have the keys, switched off."""
    wanted = [key for key in _SCRIPTS if _is_on(dictionary, key)]
    if "ProxyAutoConfigEnable" not in dictionary:
        wanted += [key for key in _SCRIPT_TEXTS if key in dictionary]
    if wanted:
        raise ValueError(f"{wanted[0]}: proxy configuration scripts (PAC) are not supported; name the proxy itself")


def _check_exceptions(exceptions: object) -> None:
    if exceptions is None:
        return
    if not isinstance(exceptions, (list, tuple)) or not all(isinstance(entry, str) for entry in exceptions):
        raise TypeError(f"{_EXCEPTIONS} is a list or tuple of str")


def _proxy(dictionary: Mapping[str, object], kind: str) -> Optional[Proxy]:
    if not _is_on(dictionary, f"{kind}Enable"):
        return None
    scheme, default_port = _KINDS[kind]
    host, port = dictionary.get(f"{kind}Proxy"), dictionary.get(f"{kind}Port", default_port)
    if not isinstance(host, str):
        raise TypeError(f"{kind}Enable is set, so {kind}Proxy must be a str, not {type(host).__name__}")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{kind}Port is an int, not {type(port).__name__}")
    if "@" in host:
        raise ValueError(f"{kind}Proxy is a host alone, without user name and password")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    try:
        return parse_proxy(f"{scheme}://{host}:{port}")
    except ValueError as error:
        raise ValueError(f"{kind}Proxy and {kind}Port make no proxy: {error}") from None
