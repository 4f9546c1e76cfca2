"""Which cookies of a jar a request sends, and in which order (RFC 6265 section 5.4)."""

from __future__ import annotations

import re
import time
import urllib.request
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy

from wssync.cookies.ages import Age, with_ages
from wssync.cookies.scope import HOST_ATTRIBUTE, domain_of, host_in_jar, host_matches, path_matches
from wssync.hints import TYPE_CHECKING, Iterator, List, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from wssync.protocol.urls import WebSocketURL

__all__ = ["as_http_request", "cookie_header"]

# What a field may hold (RFC 9110 section 5.5) but the semicolon, which would begin another cookie.
_SENDABLE = re.compile(r"[\t\x20-:<-~\x80-\xff]+")


def as_http_request(url: WebSocketURL) -> urllib.request.Request:
    """The request as a `CookiePolicy` of the library knows it: ws and wss are http and https to it."""
    scheme = "https" if url.secure else "http"
    return urllib.request.Request(f"{scheme}://{url.host_header}{url.target}")


def cookie_header(jar: CookieJar, stored: Sequence[Cookie], url: WebSocketURL, first: WebSocketURL) -> Optional[str]:
    """The value of the `Cookie` field, `None` if there is nothing to send. `stored` is what is in the jar."""
    now = int(time.time())
    path = url.target.partition("?")[0]
    ours = [cookie for cookie in stored if _is_for(cookie, url, first)]
    due = [(age, cookie) for age, cookie in with_ages(ours) if _is_due(cookie, url, path, now)]
    found = [(-len(cookie.path or "/"), age, _pair(cookie)) for age, cookie in _allowed(jar, due, url, now)]
    found.sort(key=lambda entry: entry[:2])
    return "; ".join([pair for _, _, pair in found if _SENDABLE.fullmatch(pair)]) or None


def _pair(cookie: Cookie) -> str:
    """One without a value is what the library makes of a field without "="."""
    return cookie.name if cookie.value is None else f"{cookie.name}={cookie.value}"


def _is_for(cookie: Cookie, url: WebSocketURL, first: WebSocketURL) -> bool:
    """Whether the host is the cookie's."""
    if not cookie.domain:
        return url.host == first.host and (url.secure or not first.secure)
    domain = domain_of(cookie)
    if domain is not None:
        return host_matches(url, domain)
    if cookie.get_nonstandard_attr(HOST_ATTRIBUTE, url.host) != url.host:
        return False
    return cookie.domain in (url.host, host_in_jar(url))


def _is_due(cookie: Cookie, url: WebSocketURL, path: str, now: int) -> bool:
    """Whether the rest of the cookie's attributes agree. `port` is from RFC 2965, and only the library reads it."""
    if cookie.secure and not url.secure:
        return False
    if cookie.port and str(url.port) not in cookie.port.split(","):
        return False
    return path_matches(path, cookie.path or "/") and not cookie.is_expired(now)


def _allowed(
    jar: CookieJar, due: List[Tuple[Age, Cookie]], url: WebSocketURL, now: int
) -> Iterator[Tuple[Age, Cookie]]:
    """What the jar's own policy does not refuse: domains its owner has blocked, or by rules he has written himself.

    What the default policy says beside that is the older standard, for which all this stands in.
    """
    if not due:
        return
    policy = jar._policy  # type: ignore[attr-defined] # a jar has no public way to ask for it
    has_own_rules = type(policy) is not DefaultCookiePolicy
    policy._now = now  # as a jar does it before each look
    request = as_http_request(url)
    for age, cookie in due:
        if policy.domain_return_ok(cookie.domain, request) and (not has_own_rules or policy.return_ok(cookie, request)):
            yield age, cookie
