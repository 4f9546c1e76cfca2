"""Which of two cookies is the older one, which the order of a `Cookie` field asks for (RFC 6265 section 5.4).

`http.cookiejar.Cookie` has no time of creation, but places for attributes it does not know: what is stored here has
its age there, which copies, pickles and `LWPCookieJar` keep. What others have stored, and what `MozillaCookieJar` has
loaded, has none, and then the order of the jar tells: a jar keeps the cookies of one domain and path in the order in
which their names first came, replaced or not. So such a cookie is as old as the one before it there.
"""

from __future__ import annotations

import itertools
import re

from ..hints import TYPE_CHECKING, Any, Iterable, Iterator, List, Optional, Tuple

if TYPE_CHECKING:
    from http.cookiejar import Cookie, CookieJar

__all__ = ["AGE_ATTRIBUTE", "Age", "age_of", "as_stored", "make_age", "with_ages"]

AGE_ATTRIBUTE = "wssync-created"
"""The non-standard attribute of a cookie in a jar that holds when it was created."""

Age = Tuple[int, int]
"""Seconds since 1970, and a number that tells apart what was created in one of them: the less, the older."""

_UNKNOWN: Age = (0, 0)
_WRITTEN = re.compile("([0-9]{1,12})[.]([0-9]{1,12})")
_numbers = itertools.count(1)  # its next() is one step: threads need no lock


def as_stored(jar: CookieJar) -> List[Cookie]:
    """The cookies of a jar in its own order, whatever others do to it meanwhile.

    A jar can be iterated over, but in Python up to 3.10 that sorts by name, and fails over what another thread removes.
    """
    domains: Any = jar._cookies  # type: ignore[attr-defined] # a jar has no public way to this order
    return [
        cookie for paths in list(domains.values()) for names in list(paths.values()) for cookie in list(names.values())
    ]


def make_age(now: int) -> str:
    """The attribute for a cookie that is created `now`."""
    return f"{now}.{next(_numbers)}"


def age_of(cookie: Cookie) -> Optional[Age]:
    """When a cookie was created, if that is known."""
    text = cookie.get_nonstandard_attr(AGE_ATTRIBUTE)
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    return (int(found[1]), int(found[2])) if found else None


def with_ages(stored: Iterable[Cookie]) -> Iterator[Tuple[Age, Cookie]]:
    """Each cookie of a jar, in the order of the jar, with its age."""
    room: Optional[Tuple[str, str]] = None
    last = _UNKNOWN
    for cookie in stored:
        if (cookie.domain, cookie.path) != room:
            room, last = (cookie.domain, cookie.path), _UNKNOWN
        last = age_of(cookie) or last
        yield last, cookie
