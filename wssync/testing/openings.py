"""Answers to a request, and conditions on it: what comes before the regular answer of a `Server`.

    Server(opening=[require_headers({"X-Token": "t"}), at("/old", redirect("/new")), set_cookies({"seen": "1"})])

Each function here makes an opening, which is a function of the connection. An opening that gives no answer lets the
next one have its turn, and at the end `connection.accept()`; so conditions, answers and anything that a test writes for
itself go together in a row. Those that ask for a password are in `authentication`, CONNECT is in `tunnel`.

What a client sends to a test server is test data: `server.requests` has Authorization and Cookie as they came, only
`repr()` hides them. The answers given here never repeat a value of a field, expected or received.
"""

from __future__ import annotations

import http
import re
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple, Union

from ..protocol.headers import Headers, HeadersLike, is_token, printable
from ..protocol.http1 import RequestHead, format_response
from .handlers import check_function, check_path, perform

if TYPE_CHECKING:
    from .connection import ServerConnection
    from .handlers import Handler

__all__ = [
    "at",
    "inform",
    "redirect",
    "refuse",
    "require_cookies",
    "require_headers",
    "set_cookies",
    "turn_down",
]

_CHALLENGE = 'Basic realm="wssync"'
_DEMANDED: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    405: {"Allow": "GET"},
    407: {"Proxy-Authenticate": _CHALLENGE},
    426: {"Upgrade": "websocket", "Connection": "Upgrade, close"},
}
"""The fields without which these statuses are not to be sent (RFC 9110 sections 15.5 and 15.5.22)."""

# RFC 6265 section 4.1.1.
_COOKIE_VALUE = re.compile(r'("?)[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*\1')


def refuse(status: int = 403, reason: Optional[str] = None, headers: HeadersLike = None, body: bytes = b"") -> Handler:
    """Answer with this status, from 200 on, and hang up. `reason` is by default the usual phrase.

    `Connection: close` is added, and what RFC 9110 demands with 401, 405, 407 and 426 (the challenge is then a Basic
    one), unless `headers` has those fields. ValueError, at once, for a status below 200 (see `inform`) and for what
    cannot be sent.
    """
    if status < 200:
        raise ValueError(f"{status} is no final answer; inform() sends those before it")
    fields = Headers({"Connection": "close", **_DEMANDED.get(status, {})}).replace(headers)
    phrase = _phrase(status) if reason is None else reason
    format_response(status, phrase, fields, body)

    def answer(connection: ServerConnection) -> None:
        connection.respond(status, phrase, fields, body)

    return answer


def redirect(location: Union[str, Callable[[RequestHead], str]], status: int = 302) -> Handler:
    """Answer with this 3xx status and `Location`: absolute, relative, or what the function makes of the request.

    ValueError for another status, or for what no header field can hold; TypeError for no text and no function.
    """
    if not isinstance(location, str) and not callable(location):
        raise TypeError(f"a location is a str or a function of the request, not {location!r}")
    if not 300 <= status <= 399:
        raise ValueError(f"{status} is no redirect")
    if isinstance(location, str):
        return refuse(status, headers={"Location": location})
    find = location

    def answer(connection: ServerConnection) -> None:
        refuse(status, headers={"Location": find(connection.request)})(connection)

    return answer


def require_headers(headers: Mapping[str, Optional[str]], status: int = 400) -> Handler:
    """Refuse requests that lack one of these header fields, with a body that names it.

    Names are compared without their case, values exactly (one of the fields of that name must have it); `None` takes
    any value. ValueError for names and values that no field can have.
    """
    wanted = dict(headers)
    Headers({name: "" if value is None else value for name, value in wanted.items()})
    refuse(status)

    def check(connection: ServerConnection) -> None:
        given = connection.request.headers
        _demand(connection, status, wanted, {name: given.get_all(name) for name in wanted}, "header field")

    return check


def require_cookies(cookies: Mapping[str, Optional[str]], status: int = 400) -> Handler:
    """Refuse requests that do not send these cookies (RFC 6265 section 4.2), with a body that names what is missing.

    Names and values are compared exactly, quotes included; `None` takes any value. ValueError for what is no name,
    TypeError for what is no text.
    """
    wanted = dict(cookies)
    for name, value in wanted.items():
        _check_cookie(name, "" if value is None else value)
    refuse(status)

    def check(connection: ServerConnection) -> None:
        given: Dict[str, List[str]] = {}
        for name, value in _cookies(connection.request.headers):
            given.setdefault(name, []).append(value)
        _demand(connection, status, wanted, given, "cookie")

    return check


def set_cookies(*cookies: Union[str, Mapping[str, str]]) -> Handler:
    """Add a `Set-Cookie` field for each cookie to the answer that follows, whatever it is.

    A `str` is a whole value ("id=1; Path=/; Secure"), well-formed or not; a mapping has names and values. ValueError
    for names and values that RFC 6265 section 4.1.1 does not allow, TypeError for what is no text.
    """
    lines: List[str] = []
    for each in cookies:
        if not isinstance(each, (str, Mapping)):
            raise TypeError(f"cookies are a str or a mapping of names to values, not {type(each).__name__}")
        lines += [each] if isinstance(each, str) else [_cookie_pair(name, value) for name, value in each.items()]
    fields = Headers([("Set-Cookie", line) for line in lines])

    def add(connection: ServerConnection) -> None:
        connection.add_headers(fields)

    return add


def at(path: str, *openings: Handler) -> Handler:
    """Have these openings, in their order, for requests of this path alone; others go on to what comes behind.

    A query in the request makes no difference, unless `path` has one too. ValueError for a path without its slash and
    for no openings, TypeError for what is no path or no opening.
    """
    check_path(path)
    if not openings:
        raise ValueError(f"nothing is to be done at {printable(path)!r}: at(path, *openings) takes one opening or more")
    for opening in openings:
        check_function("opening", opening)

    def choose(connection: ServerConnection) -> None:
        target = connection.request.target
        if path in (target, target.partition("?")[0]):
            for opening in openings:
                if not connection.answered:
                    perform(opening, connection)

    return choose


def inform(status: int = 103, headers: HeadersLike = None) -> Handler:
    """Send an informational response (1xx, RFC 9110 section 15.2), and leave the answer to what comes behind.

    ValueError for 101, which is an answer, and for other statuses.
    """
    if not 100 <= status <= 199 or status == 101:
        raise ValueError(f"{status} is no status that may come before the answer")
    fields = Headers(headers)
    phrase = _phrase(status)

    def say(connection: ServerConnection) -> None:
        connection.respond(status, phrase, fields)

    return say


def turn_down(connection: ServerConnection, status: int, why: str, headers: HeadersLike = None) -> None:
    """Refuse with a line of text for people."""
    text = Headers({"Content-Type": "text/plain; charset=utf-8"}).replace(headers)
    refuse(status, headers=text, body=f"{why}\n".encode())(connection)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _demand(
    connection: ServerConnection,
    status: int,
    wanted: Mapping[str, Optional[str]],
    given: Mapping[str, List[str]],
    what: str,
) -> None:
    for name, value in wanted.items():
        values = given.get(name, [])
        if not values:
            turn_down(connection, status, f"the {what} {name} is missing")
            return
        if value is not None and value not in values:
            turn_down(connection, status, f"the {what} {name} has another value than it must have")
            return


def _cookies(headers: Headers) -> List[Tuple[str, str]]:
    pairs = (pair.strip(" \t").partition("=") for line in headers.get_all("Cookie") for pair in line.split(";"))
    return [(name, value) for name, equals, value in pairs if equals]


def _check_cookie(name: str, value: str) -> None:
    for text in (name, value):
        if not isinstance(text, str):
            raise TypeError(f"the name and the value of a cookie are str, not {type(text).__name__}")
    if not is_token(name):
        raise ValueError(f"{printable(name)!r} is no name for a cookie")


def _cookie_pair(name: str, value: str) -> str:
    _check_cookie(name, value)
    if _COOKIE_VALUE.fullmatch(value) is None:
        raise ValueError(f"the value of the cookie {name} has a character that no cookie may have")
    return f"{name}={value}"
