"""Which cookies of a response a jar takes, and what becomes of those that are in it (RFC 6265 section 5.3).

A jar is changed by nothing but its public methods that take its own lock, so that whoever else uses it is never
disturbed. In particular nothing is taken out by name, for which the library has no lock: a cookie that is to
go is replaced by one that has ended, and those are cleared by the jar.
"""

from __future__ import annotations

import copy
import time
from http.cookiejar import Cookie, CookieJar

from wssync.cookies.ages import AGE_ATTRIBUTE, as_stored, make_age, with_ages
from wssync.cookies.fields import SetCookie, parse_set_cookie
from wssync.cookies.scope import (
    HOST_ATTRIBUTE,
    default_path,
    domain_of,
    domains_match,
    host_in_jar,
    host_matches,
    path_matches,
)
from wssync.cookies.sending import as_http_request
from wssync.hints import TYPE_CHECKING, Dict, Iterable, List, Optional, Tuple

if TYPE_CHECKING:
    from wssync.protocol.urls import WebSocketURL

__all__ = ["MOST_OF_A_DOMAIN", "store_cookies"]

MOST_OF_A_DOMAIN = 180
"""How many cookies of one domain a response leaves in the jar; RFC 6265 section 6.1 asks for 50 at least."""

Key = Tuple[str, str, str]


def store_cookies(jar: CookieJar, url: WebSocketURL, fields: Iterable[str], document: Optional[WebSocketURL]) -> None:
    """Store what the values of `Set-Cookie` fields in a response from `url` set.

    `document` is the main document where only its cookies are taken, else `None`.
    """
    parsed = [cookie for cookie in map(parse_set_cookie, fields) if cookie is not None]
    if parsed:
        _Storing(jar, url, document).store(parsed)


class _Storing:
    def __init__(self, jar: CookieJar, url: WebSocketURL, document: Optional[WebSocketURL]) -> None:
        self._jar = jar
        self._url = url
        self._document = document
        self._path = url.target.partition("?")[0]
        self._now = int(time.time())
        self._request = as_http_request(url)
        stored = as_stored(jar)
        self._known: Dict[Key, Cookie] = {_key(cookie): cookie for cookie in stored if not cookie.is_expired(self._now)}
        self._any_ended = len(self._known) < len(stored)

    def store(self, parsed: List[SetCookie]) -> None:
        secure = self._secure_by_name()
        stored = set()
        for described in parsed:
            cookie = self._make(described)
            if not self._may_set(described) or any(_hides(cookie, other) for other in secure.get(cookie.name, ())):
                continue
            if cookie.is_expired(self._now):
                self._remove(cookie)
            else:
                self._put(cookie)
                stored.add(cookie.domain)
        for domain in stored:
            self._bound(domain)
        if self._any_ended:
            self._jar.clear_expired_cookies()

    def _secure_by_name(self) -> Dict[str, List[Cookie]]:
        """The Secure cookies that a server without TLS must not hide or replace (rfc6265bis section 5.7)."""
        found: Dict[str, List[Cookie]] = {}
        if not self._url.secure:
            for cookie in self._known.values():
                if cookie.secure:
                    found.setdefault(cookie.name, []).append(cookie)
        return found

    def _may_set(self, described: SetCookie) -> bool:
        """Whether the server may set it."""
        domain = self._url.host if described.domain is None else described.domain
        if described.domain is not None and not host_matches(self._url, domain):
            return False
        if self._document is not None and not domains_match(self._document.host, domain):
            return False
        return (self._url.secure or not described.secure) and _keeps_promise(described)

    def _make(self, described: SetCookie) -> Cookie:
        """The cookie for the jar."""
        domain = described.domain
        if domain is not None and (self._url.is_ip_address or "." not in domain):
            domain = None  # it names the host itself, and there is nothing below it
        expires = described.expires_at(self._now)
        return Cookie(
            version=0,
            name=described.name,
            value=described.value,
            port=None,
            port_specified=False,
            domain=host_in_jar(self._url) if domain is None else f".{domain}",
            domain_specified=domain is not None,
            domain_initial_dot=domain is not None,
            path=described.path or default_path(self._path),
            path_specified=described.path is not None,
            secure=described.secure,
            expires=expires,
            discard=expires is None,
            comment=None,
            comment_url=None,
            rest=self._attributes(described, domain),
        )

    def _attributes(self, described: SetCookie, domain: Optional[str]) -> Dict[str, str]:
        attributes = {"HttpOnly": ""} if described.http_only else {}  # `MozillaCookieJar` writes that one down
        if domain is None and host_in_jar(self._url).endswith(".local"):
            attributes[HOST_ATTRIBUTE] = self._url.host
        return attributes

    def _put(self, cookie: Cookie) -> None:
        """Store it; what it replaces leaves it its time of creation, known or not (section 5.3 item 11)."""
        before = self._known.get(_key(cookie))
        age = make_age(self._now) if before is None else before.get_nonstandard_attr(AGE_ATTRIBUTE)
        if age is not None:
            cookie.set_nonstandard_attr(AGE_ATTRIBUTE, age)
        self._jar.set_cookie_if_ok(cookie, self._request)
        self._known[_key(cookie)] = cookie

    def _remove(self, ended: Cookie) -> None:
        if self._known.pop(_key(ended), None) is not None:
            self._jar.set_cookie_if_ok(ended, self._request)
            self._any_ended = True

    def _bound(self, domain: str) -> None:
        """Take out the oldest of too many cookies, those without Secure first, as browsers do (section 5.3)."""
        mine = [cookie for cookie in as_stored(self._jar) if cookie.domain == domain]
        if len(mine) <= MOST_OF_A_DOMAIN:
            return
        stored = [(cookie.secure, age, cookie) for age, cookie in with_ages(mine)]
        stored.sort(key=lambda entry: entry[:2])
        for _, _, cookie in stored[:-MOST_OF_A_DOMAIN]:
            ended = copy.copy(cookie)  # others may hold the object in other jars
            ended.expires = 0
            self._jar.set_cookie(ended)
            self._any_ended = True


def _key(cookie: Cookie) -> Key:
    """What tells cookies of a jar apart."""
    return cookie.domain, cookie.path, cookie.name


def _keeps_promise(cookie: SetCookie) -> bool:
    """Whether a name that promises something about the cookie does not lie (rfc6265bis section 5.4)."""
    name = cookie.name.lower()
    if name.startswith("__host-"):
        return cookie.secure and cookie.domain is None and cookie.path == "/"
    return cookie.secure or not name.startswith("__secure-")


def _hides(cookie: Cookie, secure: Cookie) -> bool:
    """Whether a server would be sent `cookie` in the place of, or beside, the `secure` one of the same name."""
    mine, other = (domain_of(each) or each.domain for each in (cookie, secure))
    return (domains_match(mine, other) or domains_match(other, mine)) and path_matches(cookie.path, secure.path)
