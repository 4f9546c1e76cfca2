"""A jar, and visits with it: what most tests of cookies are made of."""

from __future__ import annotations

from http.cookiejar import Cookie, CookieJar
from typing import Any, ContextManager, Dict, List, Optional
from unittest import mock

from wssync.cookies.ages import as_stored
from wssync.cookies.exchange import Cookies
from wssync.protocol.headers import Headers
from wssync.protocol.urls import parse_url

__all__ = ["NOW", "Visitor", "answer", "at_time", "foreign"]

NOW = 1_800_000_000
"""January 2027, the time of a test that stops the clock."""


def answer(*fields: str) -> Headers:
    """The header fields of a response that sets these cookies."""
    return Headers([("Set-Cookie", field) for field in fields])


def at_time(seconds: float) -> ContextManager[Any]:
    """Stop the clock, the library's too."""
    return mock.patch("time.time", lambda: seconds)


def foreign(name: str, value: Any, **attributes: Any) -> Cookie:
    """A cookie as others than this library put it into a jar: for example.org and all paths, or as `attributes` say."""
    made: Dict[str, Any] = {
        "version": 0,
        "name": name,
        "value": value,
        "port": None,
        "domain": "example.org",
        "domain_specified": False,
        "path": "/",
        "path_specified": True,
        "secure": False,
        "expires": None,
        "discard": True,
        "comment": None,
        "comment_url": None,
        "rest": {},
    }
    made.update(attributes)
    made.update(port_specified=bool(made["port"]), domain_initial_dot=made["domain"].startswith("."))
    return Cookie(**made)


class Visitor:
    """One who visits URLs with one jar."""

    def __init__(self, jar: Optional[CookieJar] = None, **options: Any) -> None:
        self.jar = CookieJar() if jar is None else jar
        self.cookies = Cookies(self.jar, **options)

    def hears(self, url: str, *fields: str) -> None:
        """A response from `url` sets cookies."""
        self.cookies.store(parse_url(url), answer(*fields))

    def says(self, url: str, first: Optional[str] = None) -> Optional[str]:
        """The `Cookie` field of a request to `url`."""
        return self.cookies.header(parse_url(url), None if first is None else parse_url(first))

    def holds(self) -> List[str]:
        """What is in the jar, as "name=value", in the order of the jar."""
        return [f"{cookie.name}={cookie.value}" for cookie in as_stored(self.jar)]

    def only(self) -> Cookie:
        """The one cookie in the jar."""
        (cookie,) = self.jar
        return cookie
