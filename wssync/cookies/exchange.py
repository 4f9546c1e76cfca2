"""What one opening does with cookies: `Cookies` gives a request its `Cookie` field and stores what responses set.

Nothing here loads `http.cookiejar`, which brings a third of the library along: a jar that exists has loaded it, and
`LateJar` is for those that need not exist yet.
"""

from __future__ import annotations

from wssync.cookies import CookieAcceptPolicy
from wssync.hints import TYPE_CHECKING, Optional, Union
from wssync.protocol.urls import WebSocketURL, parse_document_url

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from wssync.protocol.headers import Headers

__all__ = ["Cookies", "LateJar"]


class LateJar:
    """A `http.cookiejar.CookieJar` that is made when somebody wants it: by the first cookie, or by whoever asks.

    May be used from any thread, and makes one jar at most.
    """

    __slots__ = ("__dict__", "_jar")  # the dictionary is made for a jar, and not before

    def __init__(self) -> None:
        self._jar: Optional[CookieJar] = None

    def peek(self) -> Optional[CookieJar]:
        """The jar if it has been made, else `None`."""
        return self._jar

    def get(self) -> CookieJar:
        """The jar."""
        jar = self.peek()
        if jar is None:
            from http.cookiejar import CookieJar

            made: CookieJar = vars(self).setdefault("made", CookieJar())  # one step: all threads get the same
            jar = self._jar = made
        return jar


class Cookies:
    """The cookies of one request of an opening; used by the thread that opens.

    jar: where cookies are; `None` = neither send nor store any (Apple: `httpCookieStorage`). Others may use it
        meanwhile, from other threads.
    policy: what is stored (Apple: `httpCookieAcceptPolicy`).
    should_set: whether cookies are sent (Apple: `httpShouldSetCookies`).
    main_document_url: for the policy ONLY_FROM_MAIN_DOCUMENT_DOMAIN, an `http:`, `https:`, `ws:` or `wss:` URL.
        InvalidURL if that policy needs it and it is none.
    handles: `False` = neither send nor store (Apple: `httpShouldHandleCookies` of the request).

    The jar's own `CookiePolicy` has a say too: it may refuse what would be stored or sent, but allow nothing more.
    """

    __slots__ = ("_document", "_jar", "_sends", "_stores")

    def __init__(
        self,
        jar: Union[CookieJar, LateJar, None],
        policy: CookieAcceptPolicy = CookieAcceptPolicy.ONLY_FROM_MAIN_DOCUMENT_DOMAIN,
        should_set: bool = True,
        main_document_url: Optional[str] = None,
        handles: bool = True,
    ) -> None:
        self._jar = jar if handles else None
        self._sends = should_set
        self._stores = policy is not CookieAcceptPolicy.NEVER
        self._document: Optional[WebSocketURL] = None
        if main_document_url is not None and policy is CookieAcceptPolicy.ONLY_FROM_MAIN_DOCUMENT_DOMAIN:
            self._document = parse_document_url(main_document_url)

    def header(self, url: WebSocketURL, first: Optional[WebSocketURL] = None) -> Optional[str]:
        """The value of the `Cookie` field for a request to `url`, `None` for no such field (RFC 6265 section 5.4).

        `first` is the URL that the caller asked for, where redirects have led to `url`: a cookie without any domain,
        which only a caller can make (`session.cookies["a"] = "b"` of `requests`), goes to that host alone.

        A cookie that would not fit into the field (control characters, a semicolon, what is not Latin-1) is left out.
        """
        jar = self._jar.peek() if isinstance(self._jar, LateJar) else self._jar
        if jar is None or not self._sends:
            return None
        from wssync.cookies.ages import as_stored

        stored = as_stored(jar)
        if not stored:
            return None
        from wssync.cookies.sending import cookie_header

        return cookie_header(jar, stored, url, first or url)

    def store(self, url: WebSocketURL, headers: Headers) -> None:
        """Store what the `Set-Cookie` fields of a response from `url` set, whatever its status (RFC 6265 section 5.3).

        What a server gets wrong is ignored and never raises.
        """
        if self._jar is None or not self._stores or "set-cookie" not in headers:
            return
        from wssync.cookies.storing import store_cookies

        jar = self._jar.get() if isinstance(self._jar, LateJar) else self._jar
        store_cookies(jar, url, headers.get_all("set-cookie"), self._document)
