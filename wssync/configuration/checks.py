"""What the fields of a configuration may be: each check raises TypeError or ValueError, and names the field."""

from __future__ import annotations

import functools

from ..cookies import CookieAcceptPolicy
from ..hints import Any, Callable, Dict
from ..protocol.deflate import DeflateOptions
from ..protocol.headers import Headers, is_token, printable
from ..protocol.proxy import check_proxy

__all__ = ["CHECKS"]


def _check_seconds(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds{' or None' if optional else ''}, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative: {value!r}")


def _check_size(name: str, value: object, *, optional: bool, least: int) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int{' or None' if optional else ''}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")


def _check_queue(name: str, limits: object) -> None:
    if limits is None:
        return
    if not isinstance(limits, tuple) or len(limits) != 2:
        raise TypeError(f"{name} must be a pair (messages, bytes) or None")
    for limit in limits:
        _check_size(name, limit, optional=True, least=1)


def _check_compression(name: str, value: object) -> None:
    if isinstance(value, str) and value != "deflate":
        raise ValueError(f'{name} must be "deflate", a DeflateOptions or None, not {value!r}')
    if not isinstance(value, (str, DeflateOptions, type(None))):
        raise TypeError(f'{name} must be "deflate", a DeflateOptions or None, not {value!r}')


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")


def _check_policy(name: str, value: object) -> None:
    if not isinstance(value, CookieAcceptPolicy):
        raise TypeError(f"{name} must be a CookieAcceptPolicy, not {value!r}")


def _check_jar(name: str, value: object) -> None:
    if value is None:
        return
    from http.cookiejar import CookieJar

    if not isinstance(value, CookieJar):
        raise TypeError(f"{name} must be an http.cookiejar.CookieJar or None, not {type(value).__name__}")


def _check_storage(name: str, value: object) -> None:
    if value is None:
        return
    from ..auth import CredentialStorage

    if not isinstance(value, CredentialStorage):
        raise TypeError(f"{name} must be a CredentialStorage or None, not {type(value).__name__}")


def _check_context(name: str, value: object) -> None:
    if value is None:
        return
    import ssl

    if not isinstance(value, ssl.SSLContext):
        raise TypeError(f"{name} must be an ssl.SSLContext or None, not {value!r}")


def _check_version(name: str, value: object, *, optional: bool) -> None:
    if value is None and optional:
        return
    import ssl

    if not isinstance(value, ssl.TLSVersion):
        raise TypeError(f"{name} must be an ssl.TLSVersion{' or None' if optional else ''}, not {value!r}")


def _check_header(name: str, value: Any) -> None:
    if value is not None:
        Headers({name.replace("_", "-"): value})  # raises for CR, LF, NUL and for what is not a str


def _check_names(name: str, value: Any) -> None:
    if isinstance(value, (str, bytes)) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{name} must be a sequence of names of header fields")
    for each in value:
        if not is_token(each):
            raise ValueError(f"{name}: {printable(each)!r} is no name for a header field")


def _check_callable(name: str, value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable or None, not {value!r}")


def _check_source(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (host, port) or None")
    host, port = value
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} must be a pair of a str and an int")
    if not 0 <= port <= 65535:
        raise ValueError(f"{name}: the port must be from 0 to 65535, not {port}")


def _check_path(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must not be empty")


def _check_pins(name: str, value: object) -> None:
    if value != ():
        from ..protocol.certificates import check_pins

        check_pins(value)


def _check_proxy(name: str, value: object) -> None:
    check_proxy(value)


def _check_proxy_dictionary(name: str, value: object) -> None:
    if value is not None:
        from ..protocol.proxy_dictionary import check_proxy_dictionary

        check_proxy_dictionary(value)


def _check_netrc(name: str, value: object) -> None:
    if not isinstance(value, (bool, str)):
        raise TypeError(f"{name} must be True, False or the path of a file, not {value!r}")


_seconds_or_none = functools.partial(_check_seconds, optional=True)

CHECKS: Dict[str, Callable[[str, Any], None]] = {
    "timeout_interval_for_request": _seconds_or_none,
    "timeout_interval_for_resource": _seconds_or_none,
    "ping_interval": _seconds_or_none,
    "ping_timeout": _seconds_or_none,
    "close_timeout": functools.partial(_check_seconds, optional=False),
    "http_maximum_connections_per_host": functools.partial(_check_size, optional=False, least=1),
    "http_should_set_cookies": _check_flag,
    "http_cookie_accept_policy": _check_policy,
    "http_cookie_storage": _check_jar,
    "url_credential_storage": _check_storage,
    "waits_for_connectivity": _check_flag,
    "maximum_message_size": functools.partial(_check_size, optional=True, least=0),
    "write_limit": functools.partial(_check_size, optional=False, least=1),
    "max_queue": _check_queue,
    "compression": _check_compression,
    "ssl_context": _check_context,
    "tls_minimum_supported_protocol_version": functools.partial(_check_version, optional=False),
    "tls_maximum_supported_protocol_version": functools.partial(_check_version, optional=True),
    "truststore": _check_flag,
    "certificate_pins": _check_pins,
    "proxy": _check_proxy,
    "connection_proxy_dictionary": _check_proxy_dictionary,
    "origin": _check_header,
    "user_agent": _check_header,
    "max_redirects": functools.partial(_check_size, optional=False, least=0),
    "redirect_headers": _check_names,
    "netrc": _check_netrc,
    "trace": _check_callable,
    "source_address": _check_source,
    "unix_path": _check_path,
}
"""The check of each field that has one, called with its name and the value."""
