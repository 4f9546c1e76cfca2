"""Tests of `wssync.protocol.redirects`."""

from __future__ import annotations

import unittest
from typing import Any, List, Optional

from wssync.errors import HandshakeError, InsecureRedirect
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Request, Response
from wssync.protocol.redirects import crossing, is_redirect, propose, refuse_downgrade
from wssync.protocol.urls import parse_url

URL = "wss://example.test/a/b?c=d"


def redirect(location: Optional[str] = "/", status: int = 302, **more: Any) -> Response:
    headers = Headers([] if location is None else [("Location", location)])
    return Response(URL, status, "Found", headers, **more)


class IsRedirectTests(unittest.TestCase):
    """`is_redirect`."""

    def test_the_five(self) -> None:
        """Rule 51: 301, 302, 303, 307 and 308 are followed; 300, 304, 305 and 306 are final, as all others are."""
        found = [status for status in range(200, 600) if is_redirect(redirect(status=status))]
        self.assertEqual(found, [301, 302, 303, 307, 308])

    def test_without_a_location(self) -> None:
        """Rule 51: it leads nowhere, so it is an answer like any other."""
        self.assertFalse(is_redirect(redirect(None)))


class LocationTests(unittest.TestCase):
    """Where a redirect leads."""

    def leads(self, location: str, base: str = URL) -> str:
        return propose(Request(base), redirect(location), frozenset()).url

    def test_relative_references(self) -> None:
        """Rule 54: they are resolved against the current URL (RFC 3986 section 5), scheme-relative ones too."""
        for location, expected in (
            ("/x", "wss://example.test/x"),
            ("x", "wss://example.test/a/x"),
            ("../x?y=z", "wss://example.test/x?y=z"),
            ("?y", "wss://example.test/a/b?y"),
            ("//other.test/x", "wss://other.test/x"),
            ("//other.test:8443", "wss://other.test:8443/"),
            ("", "wss://example.test/a/b?c=d"),
        ):
            with self.subTest(location):
                self.assertEqual(self.leads(location), expected)
        self.assertEqual(self.leads("x", "ws://[::1]:81/a/b"), "ws://[::1]:81/a/x")

    def test_schemes(self) -> None:
        """Rule 55: http and https mean ws and wss, which may be written themselves; letter case is put right."""
        for location, expected in (
            ("http://other.test/", "ws://other.test/"),
            ("https://other.test/", "wss://other.test/"),
            ("ws://other.test/", "ws://other.test/"),
            ("WSS://Other.TEST/", "wss://other.test/"),
        ):
            self.assertEqual(self.leads(location), expected)

    def test_a_fragment_is_dropped(self) -> None:
        """It is for documents (RFC 6455 section 3 has none)."""
        self.assertEqual(self.leads("/x?y#z"), "wss://example.test/x?y")

    def test_userinfo_is_dropped(self) -> None:
        """A server does not choose whom we say we are."""
        self.assertEqual(self.leads("wss://user:password@other.test/"), "wss://other.test/")
        base = "wss://user:password@example.test/"
        self.assertEqual(self.leads("/x", base), "wss://example.test/x")

    def test_characters_beyond_ascii(self) -> None:
        """UTF-8 on the wire is read as such, other bytes as Latin-1."""
        self.assertEqual(self.leads("/\u00fc".encode().decode("latin-1")), "wss://example.test/%C3%BC")
        self.assertEqual(self.leads("/\u00fc"), "wss://example.test/%C3%BC")

    def test_what_cannot_be_followed(self) -> None:
        """Rules 51 and 55: -1010, with the response, and no secret of the URL in the message."""
        for location in (
            "ftp://other.test/",
            "javascript:alert(1)",
            "http://",
            "https://a b/",
            "https://other.test\\@evil.test/",
            "https://other.test:99999/",
            "https://[::1/",
            "https:///x",
            "https:x",
            "///other.test/x",
            "https://user:secret@/",
            "https://user:secret@exa\u2100mple.test/".encode().decode("latin-1"),
            "/a\tb",
        ):
            with self.subTest(location), self.assertRaises(HandshakeError) as caught:
                self.leads(location)
            self.assertEqual(caught.exception.url_error_code, -1010)
            assert caught.exception.response is not None
            self.assertEqual(caught.exception.response.status_code, 302)
            self.assertNotIn("secret", f"{caught.exception!r} {caught.exception.__cause__!r}")

    def test_two_locations(self) -> None:
        """Two different ones lead nowhere; the same twice is one."""
        for second, fails in (("/x", False), ("/y", True)):
            response = Response(URL, 302, "Found", Headers([("Location", "/x"), ("Location", second)]))
            if fails:
                with self.assertRaisesRegex(HandshakeError, "more than one Location"):
                    propose(Request(URL), response, frozenset())
            else:
                self.assertEqual(propose(Request(URL), response, frozenset()).url, "wss://example.test/x")


class HeaderTests(unittest.TestCase):
    """What goes along."""

    FIELDS = Headers(
        {
            "Authorization": "Basic secret",
            "Cookie": "a=b",
            "X-Api-Key": "secret",
            "user-agent": "ours",
            "Origin": "https://example.test",
            "Sec-WebSocket-Protocol": "chat",
            "X-Trace": "1",
        }
    )

    def kept(self, location: str, *more: str) -> List[str]:
        request = Request(URL, headers=self.FIELDS, timeout_interval=3.0)
        proposed = propose(request, redirect(location), crossing(more))
        self.assertEqual(proposed.timeout_interval, 3.0)
        return list(proposed.headers)

    def test_on_the_same_origin_all(self) -> None:
        """Rule 61: everything is repeated, the time limit too."""
        self.assertEqual(self.kept("/elsewhere"), list(self.FIELDS))

    def test_on_another_origin_those_of_the_list(self) -> None:
        """Rule 60: another host, port or scheme gets no credential, cookie or key of the caller's; only what is on
        the list, or named.
        """
        few = ["user-agent", "Origin", "Sec-WebSocket-Protocol"]
        for location in ("https://other.test/", "https://example.test:444/", "http://example.test:443/"):
            self.assertEqual(self.kept(location), few)
        self.assertEqual(self.kept("https://other.test/", "x-TRACE"), [*few, "X-Trace"])


class DowngradeTests(unittest.TestCase):
    """`refuse_downgrade`."""

    def test_from_tls_to_plain_text(self) -> None:
        """Rule 56: refused, with -1022 (Apple: a secure connection is required); every other way is none."""
        plain, secure = parse_url("ws://example.test/"), parse_url("wss://example.test/")
        error = refuse_downgrade(secure, plain, redirect())
        self.assertIsInstance(error, InsecureRedirect)
        assert error is not None and error.response is not None
        self.assertEqual((error.url_error_code, error.response.status_code), (-1022, 302))
        for old, new in ((plain, plain), (plain, secure), (secure, secure)):
            self.assertIsNone(refuse_downgrade(old, new, redirect()))

    def test_a_token_in_the_query_is_not_shown(self) -> None:
        """Neither that of the old URL nor that of the new one."""
        old, new = parse_url("wss://example.test/?token=secret"), parse_url("ws://example.test/?sid=secret")
        error = refuse_downgrade(old, new, redirect())
        self.assertIn("ws://example.test/?sid=***", str(error))
        self.assertNotIn("secret", str(error))


if __name__ == "__main__":
    unittest.main()
