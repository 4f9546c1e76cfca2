"""What a `Set-Cookie` field says (RFC 6265 section 5.2), before anybody asks whether it may say so.

Bounds and the ban of control characters are those of draft-ietf-httpbis-rfc6265bis. Beyond them, what would make the
file of a jar unreadable is refused: a tab inside a name or value (`MozillaCookieJar` separates by tabs), and a comma in
a name or a name of no-break spaces (`LWPCookieJar` writes names as they are). No server needs these: RFC 6265 section
4.1.1 tells it to send none.
"""

from __future__ import annotations

import re

from wssync.cookies.dates import parse_cookie_date
from wssync.hints import Callable, Dict, Optional

__all__ = ["SetCookie", "parse_set_cookie"]

_BLANKS = " \t"
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_SECONDS = re.compile("-?[0-9]+")
_MAX_PAIR = 4096
_MAX_ATTRIBUTE = 1024
# The last second of the year 9999: beyond it, no `datetime` can tell the date.
_LATEST = 253_402_300_799


class SetCookie:
    """One cookie as its server describes it. Has no `repr()` of its own: values are secrets.

    `domain` is in lower case and without a dot before it, `None` where there is none; `path` is `None` where the
    default is meant; `max_age` is in seconds and `expires` in seconds since 1970, `None` where missing or unreadable.
    """

    __slots__ = ("domain", "expires", "http_only", "max_age", "name", "path", "secure", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        self.domain: Optional[str] = None
        self.path: Optional[str] = None
        self.max_age: Optional[int] = None
        self.expires: Optional[int] = None
        self.secure = False
        self.http_only = False

    def expires_at(self, now: int) -> Optional[int]:
        """The second since 1970 at which it ends, 0 for one that has ended; `None` for a cookie of the session.

        Max-Age goes before Expires, whatever their order (section 5.3 item 3).
        """
        if self.max_age is not None:
            end = now + self.max_age if self.max_age > 0 else 0
        elif self.expires is not None:
            end = self.expires if self.expires > now else 0
        else:
            return None
        return min(end, _LATEST)


def parse_set_cookie(text: str) -> Optional[SetCookie]:
    """Read the value of one `Set-Cookie` field; `None` if it sets no cookie."""
    if _CONTROLS.search(text):
        return None
    pair, *attributes = text.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(_BLANKS), value.strip(_BLANKS)
    if not equals or len(name) + len(value) > _MAX_PAIR or not _can_be_saved(name, value):
        return None
    cookie = SetCookie(name, value)
    for attribute in attributes:
        key, _, value = attribute.partition("=")
        read = _READERS.get(key.strip(_BLANKS).lower())
        value = value.strip(_BLANKS)
        if read is not None and len(value) <= _MAX_ATTRIBUTE:
            read(cookie, value)
    return cookie


def _can_be_saved(name: str, value: str) -> bool:
    """Whether there is a name, and a file can hold it and the value. Here strip() also takes blanks of Latin-1."""
    return bool(name.strip()) and "," not in name and "\t" not in name and "\t" not in value


def _read_domain(cookie: SetCookie, value: str) -> None:
    """An empty one is left out (section 5.2.3)."""
    if value:
        cookie.domain = (value[1:] if value.startswith(".") else value).lower()


def _read_path(cookie: SetCookie, value: str) -> None:
    """One that does not begin with a slash means the default, and takes the place of one before it (section 5.2.4)."""
    cookie.path = value if value.startswith("/") and "\t" not in value else None


def _read_max_age(cookie: SetCookie, value: str) -> None:
    if _SECONDS.fullmatch(value):
        cookie.max_age = int(value)


def _read_expires(cookie: SetCookie, value: str) -> None:
    moment = parse_cookie_date(value)
    if moment is not None:
        cookie.expires = moment


def _read_secure(cookie: SetCookie, value: str) -> None:
    cookie.secure = True


def _read_http_only(cookie: SetCookie, value: str) -> None:
    cookie.http_only = True


_READERS: Dict[str, Callable[[SetCookie, str], None]] = {
    "domain": _read_domain,
    "expires": _read_expires,
    "httponly": _read_http_only,
    "max-age": _read_max_age,
    "path": _read_path,
    "secure": _read_secure,
}
