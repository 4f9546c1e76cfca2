"""`wssync.cookies.sending`: which cookies go where, and in which order."""

from __future__ import annotations

import unittest
from http.cookiejar import CookieJar, CookiePolicy, DefaultCookiePolicy
from typing import Any, Dict, Optional

from tests.cookies.support import NOW, Visitor, at_time, foreign
from tests.support import cases, with_cases
from wssync.cookies.sending import as_http_request
from wssync.protocol.urls import parse_url


def visitor_with(*cookies: Any, policy: Optional[CookiePolicy] = None) -> Visitor:
    visitor = Visitor(CookieJar(policy))
    for cookie in cookies:
        visitor.jar.set_cookie(cookie)
    return visitor


@with_cases
class WhereTests(unittest.TestCase):
    """Where a cookie is sent."""

    @cases(
        the_host=("ws://example.org", True),
        another_port=("ws://example.org:8080", True),
        with_tls=("wss://example.org", True),
        below=("ws://www.example.org", False),
        above=("ws://org", False),
        other=("ws://example.com", False),
        longer=("ws://badexample.org", False),
        dotted=("ws://example.org.", False),
    )
    def test_host_alone(self, url: str, sent: bool) -> None:
        """Rule 86: a cookie without Domain is for its host alone, where the library would send it below, too."""
        visitor = Visitor()
        visitor.hears("ws://example.org", "a=b")
        self.assertEqual(visitor.says(url), "a=b" if sent else None)

    @cases(
        the_host=("ws://example.org", True),
        below=("ws://a.b.example.org", True),
        other=("ws://example.com", False),
        longer=("ws://badexample.org", False),
    )
    def test_domain(self, url: str, sent: bool) -> None:
        """Rule 86: a cookie with Domain is for that host and those below it."""
        visitor = Visitor()
        visitor.hears("ws://www.example.org", "a=b; Domain=example.org")
        self.assertEqual(visitor.says(url), "a=b" if sent else None)

    @cases(
        v4=("ws://127.0.0.1", "ws://127.0.0.2"),
        v4_below=("ws://127.0.0.1", "ws://1.127.0.0.1.example"),
        v6=("ws://[::1]", "ws://[::2]"),
        no_dot=("ws://localhost", "ws://localhost.local"),
        no_dot_below=("ws://localhost", "ws://a.localhost"),
        local=("ws://localhost.local", "ws://localhost"),
    )
    def test_hosts_that_are_no_domains(self, url: str, other: str) -> None:
        """Rule 86: addresses and names without a dot match only themselves, whatever the library calls them."""
        visitor = Visitor()
        visitor.hears(url, "a=b")
        self.assertEqual((visitor.says(url), visitor.says(other)), ("a=b", None))

    @cases(
        same=("/foo", True),
        below=("/foo/bar?x=/", True),
        query=("/foo?bar", True),
        longer=("/foobar", False),
        above=("/", False),
        in_the_query=("/bar?/foo", False),
    )
    def test_path(self, target: str, sent: bool) -> None:
        """Rule 87: the path is compared by segments, and the query is no part of it."""
        visitor = Visitor()
        visitor.hears("ws://example.org/", "a=b; Path=/foo")
        self.assertEqual(visitor.says(f"ws://example.org{target}"), "a=b" if sent else None)

    def test_secure(self) -> None:
        """Rule 88: a Secure cookie is sent over wss, and never over ws; HttpOnly makes no difference."""
        visitor = Visitor()
        visitor.hears("wss://example.org", "a=b; Secure; HttpOnly", "c=d; HttpOnly")
        self.assertEqual(visitor.says("wss://example.org"), "a=b; c=d")
        self.assertEqual(visitor.says("ws://example.org"), "c=d")

    def test_expired(self) -> None:
        """Rule 89: at the second of its end a cookie is over."""
        visitor = Visitor()
        with at_time(NOW):
            visitor.hears("ws://example.org", "a=b; Max-Age=10")
        with at_time(NOW + 9.9):
            self.assertEqual(visitor.says("ws://example.org"), "a=b")
        with at_time(NOW + 10):
            self.assertIsNone(visitor.says("ws://example.org"))


@with_cases
class ForeignTests(unittest.TestCase):
    """Cookies that others have put into the jar."""

    @cases(
        host_alone=({"domain": "example.org"}, "ws://example.org", True),
        host_alone_below=({"domain": "example.org"}, "ws://www.example.org", False),
        specified_without_a_dot=({"domain": "example.org", "domain_specified": True}, "ws://www.example.org", True),
        dotted=({"domain": ".example.org"}, "ws://www.example.org", True),
        dotted_itself=({"domain": ".example.org"}, "ws://example.org", True),
        localhost_by_the_library=({"domain": "localhost.local"}, "ws://localhost:1", True),
        localhost_by_hand=({"domain": "localhost", "domain_specified": True}, "ws://localhost:1", True),
        localhost_of_others=({"domain": "localhost", "domain_specified": True}, "ws://example.org", False),
        v6_by_the_library=({"domain": "[::1].local"}, "ws://[::1]", True),
        v4_with_a_dot=({"domain": ".127.0.0.1", "domain_specified": True}, "ws://127.0.0.1", True),
        top_level=({"domain": ".org", "domain_specified": True}, "ws://example.org", False),
        no_path=({"path": ""}, "ws://example.org/a", True),
        port=({"port": "80,8080"}, "ws://example.org:8080", True),
        another_port=({"port": "80,8080"}, "ws://example.org:808", False),
        expired=({"expires": 1}, "ws://example.org", False),
        secure=({"secure": True}, "ws://example.org", False),
        version_1=({"version": 1}, "ws://example.org", True),
    )
    def test_where(self, attributes: Dict[str, Any], url: str, sent: bool) -> None:
        """Rule 86: they are sent by the same rules, in each of the ways to write a domain."""
        visitor = visitor_with(foreign("a", "b", **attributes))
        self.assertEqual(visitor.says(url), "a=b" if sent else None)

    @cases(
        first=("ws://a.example", "ws://a.example", True),
        redirected_within=("ws://a.example:81/x", "ws://a.example", True),
        redirected_away=("ws://b.example", "ws://a.example", False),
        redirected_to_tls=("wss://a.example", "ws://a.example", True),
        redirected_from_tls=("ws://a.example", "wss://a.example", False),
    )
    def test_no_domain(self, url: str, first: str, sent: bool) -> None:
        """A cookie without any domain is the caller's own, and goes to the host that he named, never less safely."""
        visitor = visitor_with(foreign("a", "b", domain=""))
        self.assertEqual(visitor.says(url, first), "a=b" if sent else None)

    @cases(
        none=(None, "a"),
        empty=("", "a="),
        number=(1, "a=1"),
        quoted=('"x y"', 'a="x y"'),
        latin=("\xe9", "a=\xe9"),
        comma=("b,c", "a=b,c"),
    )
    def test_value(self, value: Any, pair: str) -> None:
        """A value goes out as it is; without one, as the library has it, the name alone."""
        self.assertEqual(visitor_with(foreign("a", value)).says("ws://example.org"), pair)

    @cases(
        crlf="b\r\nX-Evil: 1",
        cr="b\rc",
        lf="b\nc",
        nul="b\0c",
        delete="b\x7fc",
        semicolon="b; admin=1",
        wide="\u20ac",
        surrogate="\ud800",
    )
    def test_what_does_not_fit(self, text: str) -> None:
        """A name or value that would break out of its place is left out, and the others are sent."""
        visitor = visitor_with(foreign("a", text), foreign(text, "a"), foreign("c", "d"))
        self.assertEqual(visitor.says("ws://example.org"), "c=d")


class OrderTests(unittest.TestCase):
    """The order in the field."""

    def test_longer_paths_first(self) -> None:
        """Rule 92: the longer the path, the earlier."""
        visitor = Visitor()
        visitor.hears("ws://example.org/", "a=1; Path=/", "b=2; Path=/x/y", "c=3; Path=/x")
        self.assertEqual(visitor.says("ws://example.org/x/y"), "b=2; c=3; a=1")

    def test_older_first(self) -> None:
        """Rule 92: with paths of one length the older is first, over all domains, where a jar sorts by domain."""
        visitor = Visitor()
        visitor.hears("ws://example.org/", "a=1", "b=2; Domain=example.org")
        visitor.hears("ws://example.org/", "c=3", "d=4; Domain=example.org")
        self.assertEqual(visitor.holds(), ["a=1", "c=3", "b=2", "d=4"])
        self.assertEqual(visitor.says("ws://example.org/"), "a=1; b=2; c=3; d=4")

    def test_replaced(self) -> None:
        """Rule 91: what is replaced keeps its place, and what has gone and come again does not."""
        visitor = Visitor()
        visitor.hears("ws://example.org/", "a=1", "b=2", "c=3")
        visitor.hears("ws://example.org/", "b=; Max-Age=0", "a=4", "b=5")
        self.assertEqual(visitor.says("ws://example.org/"), "a=4; c=3; b=5")

    def test_foreign(self) -> None:
        """Rules 91 and 92: what others have stored keeps the order of the jar, also when it is replaced."""
        visitor = visitor_with(foreign("a", 1), foreign("b", 2))
        visitor.hears("ws://example.org/", "a=3", "c=4; Domain=example.org")
        visitor.jar.set_cookie(foreign("d", 5))
        self.assertEqual(visitor.says("ws://example.org/"), "a=3; b=2; d=5; c=4")


class Stubborn(DefaultCookiePolicy):
    """A policy of somebody's own: it returns nothing whose name begins with an x."""

    def return_ok(self, cookie: Any, request: Any) -> bool:
        return super().return_ok(cookie, request) and not cookie.name.startswith("x")


class BlockAll(CookiePolicy):
    """The policy that the documentation of requests shows, which says no to everything."""

    def _refuse(self, *args: object, **options: object) -> bool:
        return False

    return_ok: Any = _refuse
    set_ok: Any = _refuse
    domain_return_ok: Any = _refuse
    path_return_ok: Any = _refuse
    netscape = True
    rfc2965 = hide_cookie2 = False


class PolicyTests(unittest.TestCase):
    """The jar's own policy may refuse."""

    def test_blocked_domains(self) -> None:
        """Domains that the jar's owner has blocked get nothing and set nothing."""
        visitor = visitor_with(foreign("a", "b"), policy=DefaultCookiePolicy(blocked_domains=["example.org"]))
        self.assertIsNone(visitor.says("ws://example.org"))
        visitor.hears("ws://example.org", "c=d")
        self.assertEqual(visitor.holds(), ["a=b"])

    def test_own_rules(self) -> None:
        """A policy of one's own is asked about each cookie, over TLS as over https."""
        visitor = visitor_with(foreign("a", 1), foreign("x", 2), foreign("s", 3, secure=True), policy=Stubborn())
        self.assertEqual(visitor.says("ws://example.org"), "a=1")
        self.assertEqual(visitor.says("wss://example.org"), "a=1; s=3")

    def test_the_time_is_told(self) -> None:
        """A policy knows the time of each question, as when the library asks."""
        policy = Stubborn()
        visitor = visitor_with(foreign("a", 1, expires=NOW + 5), policy=policy)
        for now, sent in ((NOW, "a=1"), (NOW + 5, None)):
            with at_time(now):
                self.assertEqual(visitor.says("ws://example.org"), sent)

    def test_block_all(self) -> None:
        """The policy that refuses everything is obeyed."""
        visitor = visitor_with(foreign("a", "b"), policy=BlockAll())
        visitor.hears("ws://example.org", "c=d")
        self.assertEqual((visitor.says("ws://example.org"), visitor.holds()), (None, ["a=b"]))


@with_cases
class RequestTests(unittest.TestCase):
    """What a policy sees of a request."""

    @cases(
        plain=("ws://example.org/a?b", "http://example.org/a?b", "http", "example.org"),
        port=("wss://example.org:8443", "https://example.org:8443/", "https", "example.org:8443"),
        v6=("wss://[::1]:1/", "https://[::1]:1/", "https", "[::1]:1"),
        secrets=("ws://user:pass@example.org/", "http://example.org/", "http", "example.org"),
    )
    def test_as_http_request(self, url: str, full: str, kind: str, host: str) -> None:
        """Rule 88: ws counts as http and wss as https; userinfo stays away."""
        request = as_http_request(parse_url(url))
        self.assertEqual((request.get_full_url(), request.type, request.host), (full, kind, host))
        self.assertFalse(request.unverifiable)
