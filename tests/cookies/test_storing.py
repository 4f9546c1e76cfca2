"""`wssync.cookies.storing`: which cookies a jar takes."""

from __future__ import annotations

import random
import unittest
from http.cookiejar import CookieJar
from typing import List, Optional

from tests.cookies.support import NOW, Visitor, at_time, foreign
from tests.support import cases, with_cases
from wssync.cookies.storing import MOST_OF_A_DOMAIN

WS, WSS = "ws://example.org/", "wss://example.org/"


@with_cases
class DomainTests(unittest.TestCase):
    """Whose cookies a server may set."""

    @cases(
        itself=("ws://www.example.org", "www.example.org", ".www.example.org"),
        above=("ws://www.example.org", "example.org", ".example.org"),
        capitals=("ws://www.example.org", "EXAMPLE.org", ".example.org"),
        empty=("ws://www.example.org", "", "www.example.org"),
        below=("ws://example.org", "www.example.org", None),
        sibling=("ws://www.example.org", "mail.example.org", None),
        other=("ws://www.example.org", "example.com", None),
        no_label=("ws://badexample.org", "example.org", None),
        top_level=("ws://example.org", "org", None),
        top_level_dotted=("ws://example.org", ".org.", None),
        two_dots=("ws://example.org", "..example.org", None),
        only_dot=("ws://example.org", ".", None),
        port=("ws://example.org:80", "example.org:80", None),
        non_ascii=("ws://example.org", "\xe9xample.org", None),
        localhost=("ws://localhost", "localhost", "localhost.local"),
        local=("ws://localhost", "local", None),
        v4=("ws://127.0.0.1", "127.0.0.1", "127.0.0.1"),
        v4_tail=("ws://127.0.0.1", "0.0.1", None),
        v4_last=("ws://127.0.0.1", "1", None),
        v6=("ws://[::1]", "[::1]", "[::1].local"),
        v6_bare=("ws://[::1]", "::1", None),
        v6_tail=("ws://[::1]", "1]", None),
    )
    def test_domain(self, url: str, domain: str, stored: Optional[str]) -> None:
        """Rule 86: the host itself or what is above it, but no top-level domain; addresses are for themselves."""
        visitor = Visitor()
        visitor.hears(url, f"a=b; Domain={domain}")
        self.assertEqual([cookie.domain for cookie in visitor.jar], [] if stored is None else [stored])

    def test_host_alone(self) -> None:
        """Rule 86: a cookie for the host and one for what is below it are two cookies (rfc6265bis section 5.7)."""
        visitor = Visitor()
        visitor.hears(WS, "a=1", "a=2; Domain=example.org")
        self.assertEqual(visitor.says(WS), "a=1; a=2")
        self.assertEqual(visitor.says("ws://www.example.org"), "a=2")


@with_cases
class PathTests(unittest.TestCase):
    """Default paths."""

    @cases(root=("/", "/"), file=("/a", "/"), folder=("/a/", "/a"), deep=("/a/b?c=/d/e", "/a"), query=("/?a/b", "/"))
    def test_default(self, target: str, path: str) -> None:
        """Rule 87: the folder of the request's path, without its query."""
        visitor = Visitor()
        visitor.hears(f"ws://example.org{target}", "a=b")
        self.assertEqual(visitor.only().path, path)

    def test_another_folder(self) -> None:
        """Rule 87: a server may name any path of its host (RFC 6265 section 8.6)."""
        visitor = Visitor()
        visitor.hears("ws://example.org/a", "a=b; Path=/c")
        self.assertEqual(visitor.says("ws://example.org/c"), "a=b")


@with_cases
class SecureTests(unittest.TestCase):
    """Secure cookies, and who may touch them."""

    def test_from_ws(self) -> None:
        """Rule 88: a Secure cookie set from ws is refused."""
        visitor = Visitor()
        visitor.hears(WS, "a=b; Secure")
        self.assertEqual(visitor.holds(), [])

    @cases(
        replaced=("a=evil; Path=/p", []),
        ended=("a=; Path=/p; Max-Age=0", []),
        for_more_hosts=("a=evil; Path=/p; Domain=example.org", []),
        below_its_path=("a=evil; Path=/p/q", []),
        above_its_path=("a=evil; Path=/", ["a=evil"]),
        beside_its_path=("a=evil; Path=/pq", ["a=evil"]),
        other_name=("b=evil; Path=/p", ["b=evil"]),
    )
    def test_left_alone(self, field: str, stored: List[str]) -> None:
        """Rule 88: from ws a Secure cookie is neither replaced, ended nor covered (rfc6265bis section 5.7)."""
        visitor = Visitor()
        visitor.hears(WSS, "a=good; Path=/p; Secure")
        visitor.hears(WS, field)
        self.assertEqual(visitor.holds(), ["a=good", *stored])

    def test_from_below(self) -> None:
        """Rule 88: nor can a host below cover the cookie of the host above, or the other way round."""
        visitor = Visitor()
        visitor.hears(WSS, "a=good; Domain=example.org; Secure")
        visitor.hears("wss://www.example.org", "b=good; Secure")
        visitor.hears("ws://www.example.org", "a=evil")
        visitor.hears("ws://www.example.org", "b=evil; Domain=example.org")
        self.assertEqual(visitor.holds(), ["a=good", "b=good"])

    def test_from_wss(self) -> None:
        """Over TLS a server may do what it likes with its own."""
        visitor = Visitor()
        visitor.hears(WSS, "a=1; Secure", "b=2; Secure")
        visitor.hears(WSS, "a=3", "b=; Max-Age=0")
        self.assertEqual((visitor.holds(), visitor.only().secure), (["a=3"], False))

    @cases(
        secure=("__Secure-a=b; Secure", True),
        secure_without=("__Secure-a=b", False),
        secure_capitals=("__SECURE-a=b", False),
        host=("__Host-a=b; Secure; Path=/", True),
        host_without=("__Host-a=b; Path=/", False),
        host_domain=("__Host-a=b; Secure; Path=/; Domain=example.org", False),
        host_default_path=("__Host-a=b; Secure", False),
        host_path=("__Host-a=b; Secure; Path=/a", False),
        host_small=("__host-a=b; Secure", False),
        neither=("__Hosta=b", True),
    )
    def test_prefixes(self, field: str, stored: bool) -> None:
        """A name that promises Secure, or one host and all of it, keeps its promise (rfc6265bis section 4.1.3)."""
        visitor = Visitor()
        visitor.hears(WSS, field)
        self.assertEqual(len(visitor.holds()), int(stored))
        other = Visitor()
        other.hears(WS, field)
        self.assertEqual(len(other.holds()), int(field.startswith("__Hosta")))


class LifeTests(unittest.TestCase):
    """How long cookies stay."""

    def test_session(self) -> None:
        """Rule 94: without an end a cookie is one of the session, which no file keeps."""
        visitor = Visitor()
        visitor.hears(WS, "a=b")
        self.assertEqual((visitor.only().expires, visitor.only().discard), (None, True))

    def test_end(self) -> None:
        """Rule 89: with an end it has one."""
        visitor = Visitor()
        with at_time(NOW):
            visitor.hears(WS, "a=b; Max-Age=60")
        self.assertEqual((visitor.only().expires, visitor.only().discard), (NOW + 60, False))

    def test_deleted(self) -> None:
        """Rule 89: one that has ended takes the old one away, and nothing else; without an old one nothing happens."""
        visitor = Visitor()
        visitor.hears(WS, "a=1", "a=2; Path=/p", "b=3")
        visitor.hears(WS, "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "c=; Max-Age=0")
        self.assertEqual(visitor.holds(), ["b=3", "a=2"])

    def test_after_its_end(self) -> None:
        """Rule 91: a cookie that comes again after its end is a new one, and younger."""
        visitor = Visitor()
        with at_time(NOW):
            visitor.hears(WS, "a=1; Max-Age=5", "b=2")
        with at_time(NOW + 5):
            visitor.hears(WS, "a=3")
            self.assertEqual(visitor.says(WS), "b=2; a=3")

    def test_ended_ones_are_cleared(self) -> None:
        """What has ended leaves the jar when something is stored."""
        visitor = Visitor()
        visitor.jar.set_cookie(foreign("old", "", expires=1))
        visitor.hears(WS, "a=b")
        self.assertEqual(visitor.holds(), ["a=b"])

    def test_nothing_touched(self) -> None:
        """A response that sets nothing leaves the jar as it is."""
        visitor = Visitor()
        visitor.jar.set_cookie(foreign("old", "", expires=1))
        visitor.hears(WS, "nonsense")
        self.assertEqual(visitor.holds(), ["old="])

    def test_objects_are_not_changed(self) -> None:
        """A cookie that others hold in their own jar too stays there when it is deleted or pushed out here."""
        visitor = Visitor()
        mine = foreign("old", "", expires=NOW * 2)
        other = CookieJar()
        for jar in (visitor.jar, other):
            jar.set_cookie(mine)
        visitor.hears(WS, *(f"a{number}=" for number in range(MOST_OF_A_DOMAIN)))
        self.assertNotIn("old=", visitor.holds())
        self.assertEqual((mine.expires, [cookie.name for cookie in other]), (NOW * 2, ["old"]))


class BoundTests(unittest.TestCase):
    """What a hostile server can do to a jar."""

    def test_ten_thousand(self) -> None:
        """However many a response sets, only the youngest stay (RFC 6265 section 6.1)."""
        visitor = Visitor()
        visitor.hears(WS, *(f"a{number}=" for number in range(10_000)))
        expected = [f"a{number}=" for number in range(10_000 - MOST_OF_A_DOMAIN, 10_000)]
        self.assertEqual(visitor.holds(), expected)

    def test_each_domain(self) -> None:
        """The number is for a domain: others, and the one above, have their own."""
        visitor = Visitor()
        visitor.hears("ws://www.example.org", "kept=1; Domain=example.org")
        visitor.hears("ws://example.com", "kept=2")
        visitor.hears("ws://www.example.org", *(f"a{number}=" for number in range(MOST_OF_A_DOMAIN + 1)))
        self.assertEqual(len(visitor.holds()), MOST_OF_A_DOMAIN + 2)
        self.assertEqual(visitor.holds()[:2], ["kept=1", "kept=2"])

    def test_secure_ones_stay(self) -> None:
        """A server without TLS cannot push out Secure cookies."""
        visitor = Visitor()
        visitor.hears(WSS, "login=1; Secure")
        visitor.hears(WS, *(f"a{number}=" for number in range(500)))
        self.assertEqual(len(visitor.holds()), MOST_OF_A_DOMAIN)
        self.assertIn("login=1", visitor.holds())

    def test_noise(self) -> None:
        """Rule 93: whatever bytes a header can hold, nothing raises, and what is stored can be sent."""
        generator = random.Random(6265)
        parts = [
            "a",
            "=",
            ";",
            " ",
            "\t",
            ",",
            '"',
            ".",
            "/",
            "Path",
            "Domain",
            "Max-Age",
            "Expires",
            "Secure",
            "9",
            "-",
        ]
        parts += ["__Host-", "example.org", ":", "1 Jan 2030 0:0:0", "\x80", "\xff", "%", "$", "\\", "'", "#"]
        visitor = Visitor()
        for _ in range(1_500):
            field = "".join(generator.choices(parts, k=generator.randrange(12)))
            visitor.hears("wss://www.example.org/a/b", field)
        sent = visitor.says("wss://www.example.org/a/b")
        self.assertRegex(sent or "", r"^[\t\x20-\x7e\x80-\xff]+$")
        self.assertLessEqual(len(visitor.holds()), 4 * MOST_OF_A_DOMAIN)


class AttributeTests(unittest.TestCase):
    """What else a jar's cookie knows."""

    def test_the_librarys_view(self) -> None:
        """Each attribute is where users of `http.cookiejar` look for it."""
        visitor = Visitor()
        visitor.hears(WSS, "a=b; Path=/p; Domain=example.org; Secure; HttpOnly")
        cookie = visitor.only()
        self.assertEqual((cookie.name, cookie.value, cookie.version, cookie.port), ("a", "b", 0, None))
        self.assertEqual(
            (cookie.domain, cookie.domain_specified, cookie.domain_initial_dot), (".example.org", True, True)
        )
        self.assertEqual((cookie.path, cookie.path_specified, cookie.secure), ("/p", True, True))
        self.assertTrue(cookie.has_nonstandard_attr("HttpOnly"))

    def test_the_librarys_view_of_little(self) -> None:
        """What was not said is marked so."""
        visitor = Visitor()
        visitor.hears(WS, "a=b")
        cookie = visitor.only()
        self.assertEqual(
            (cookie.domain, cookie.domain_specified, cookie.domain_initial_dot), ("example.org", False, False)
        )
        self.assertEqual((cookie.path, cookie.path_specified, cookie.secure), ("/", False, False))
        self.assertFalse(cookie.has_nonstandard_attr("HttpOnly"))
