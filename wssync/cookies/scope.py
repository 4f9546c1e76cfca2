"""Which hosts and paths a cookie is for (RFC 6265 sections 5.1.3 and 5.1.4)."""

from __future__ import annotations

from ..hints import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from http.cookiejar import Cookie

    from wssync.protocol.urls import WebSocketURL

__all__ = [
    "HOST_ATTRIBUTE",
    "default_path",
    "domain_of",
    "domains_match",
    "host_in_jar",
    "host_in_writing",
    "host_matches",
    "path_matches",
]

HOST_ATTRIBUTE = "wssync-host"
"""A non-standard attribute of a cookie in a jar: the host, where its name there is that of two (`host_in_jar`)."""


def host_in_writing(url: WebSocketURL) -> str:
    """The host as a `Domain` attribute names it: an IPv6 address in brackets."""
    return f"[{url.host}]" if ":" in url.host else url.host


def host_in_jar(url: WebSocketURL) -> str:
    """The `domain` under which `http.cookiejar` stores a cookie for this host alone.

    To the library (RFC 2965 section 1) a host name without a dot ends in `.local`.
    """
    host = host_in_writing(url)
    return host if "." in host else f"{host}.local"


def domains_match(host: str, domain: str) -> bool:
    """Whether the name `host` is `domain` or below it (section 5.1.3).

    Nobody owns a `domain` without a dot, like "com", so nothing counts as below it. A list of all public suffixes (as
    "co.uk") is not at hand.
    """
    return host == domain or ("." in domain and host.endswith(f".{domain}"))


def host_matches(url: WebSocketURL, domain: str) -> bool:
    """Whether a cookie with this `Domain` attribute, without a dot before it, is for the URL's host.

    An address matches but itself.
    """
    if url.is_ip_address:
        return host_in_writing(url) == domain
    return domains_match(url.host, domain)


def domain_of(cookie: Cookie) -> Optional[str]:
    """The `Domain` attribute of a cookie in a jar without the dot before it; `None` if it is for one host alone."""
    if cookie.domain.startswith("."):
        return cookie.domain[1:]
    return cookie.domain if cookie.domain_specified else None


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether `path` is `cookie_path` or below it (section 5.1.4)."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"


def default_path(path: str) -> str:
    """The path of a cookie that names none: the folder of the request's `path`, without the slash at its end."""
    return path.rpartition("/")[0] or "/"
