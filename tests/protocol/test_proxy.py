"""`wssync.protocol.proxy`: what is the URL of a proxy, what of it is never shown, and the request for a tunnel."""

from __future__ import annotations

import pickle
import unittest
from typing import Any, Optional

from tests.support import cases, with_cases
from wssync.protocol.headers import Headers
from wssync.protocol.proxy import Proxy, check_proxy, connect_request, explicit_port, parse_proxy

SECRETS = ("alice", "sesame")


@with_cases
class ParsingTests(unittest.TestCase):
    """What `parse_proxy` takes and what it refuses."""

    @cases(
        http=("http://proxy.example:3128", "http", "proxy.example", 3128),
        a_slash=("http://proxy.example:3128/", "http", "proxy.example", 3128),
        no_scheme=("proxy.example:3128", "http", "proxy.example", 3128),
        neither_scheme_nor_port=("proxy.example", "http", "proxy.example", 80),
        the_port_of_http=("http://proxy.example", "http", "proxy.example", 80),
        the_port_of_https=("https://proxy.example", "https", "proxy.example", 443),
        the_port_of_ws_is_kept=("https://proxy.example:80", "https", "proxy.example", 80),
        socks5=("socks5://proxy.example", "socks5", "proxy.example", 1080),
        socks5h=("socks5h://proxy.example:9050", "socks5", "proxy.example", 9050),
        socks4a=("socks4a://proxy.example", "socks4a", "proxy.example", 1080),
        upper_case=("HTTP://PROXY.example:1", "http", "proxy.example", 1),
        ipv4=("http://192.0.2.1:8080", "http", "192.0.2.1", 8080),
        ipv6=("http://[2001:DB8:0::1]", "http", "2001:db8::1", 80),
        ipv6_and_port=("socks5://[::1]:9", "socks5", "::1", 9),
        an_empty_port=("http://proxy.example:", "http", "proxy.example", 80),
        idna=("http://b\u00fccher.example", "http", "xn--bcher-kva.example", 80),
    )
    def test_what_is_taken(self, text: str, scheme: str, host: str, port: int) -> None:
        """Rule 103, rule 104: scheme, host and port, in the one form that they have from then on."""
        self.assertEqual(parse_proxy(text), Proxy(scheme, host, port))

    @cases(
        both=("http://alice:sesame@p:1", "alice", "sesame"),
        user_alone=("http://alice@p:1", "alice", None),
        empty_password=("http://alice:@p:1", "alice", ""),
        escapes=("http://al%40ce:s%3Aame%2f@p:1", "al@ce", "s:ame/"),
        not_ascii=("http://%C3%A9:%C3%A9@p:1", "\u00e9", "\u00e9"),
        without_scheme=("alice:sesame@p:1", "alice", "sesame"),
        digits_before_the_at=("http://alice:1234@p", "alice", "1234"),
        socks5=("socks5://alice:sesame@p", "alice", "sesame"),
        socks4a=("socks4a://alice@p", "alice", None),
    )
    def test_user_and_password(self, text: str, user: str, password: Optional[str]) -> None:
        """They are decoded from their escapes."""
        proxy = parse_proxy(text)
        self.assertEqual((proxy.host, proxy.user, proxy.password), ("p", user, password))

    @cases(
        nothing="",
        no_host="http://",
        another_scheme="ftp://alice:sesame@proxy.example",
        which_socks="socks://alice:sesame@proxy.example",
        socks4="socks4://alice@proxy.example",
        a_path="http://alice:sesame@proxy.example/x",
        a_query="http://alice:sesame@proxy.example?x",
        a_fragment="http://alice:sesame@proxy.example#x",
        a_slash_in_the_password="http://alice:ses/ame@proxy.example",
        a_line_end="http://alice:sesame@proxy.example\r\nX: y",
        a_line_end_in_the_user="http://alice%0d%0a:sesame@proxy.example",
        a_nul_in_the_password="http://alice:sesame%00@proxy.example",
        a_blank="http://alice:sesame@proxy .example",
        a_blank_before=" http://proxy.example",
        a_backslash="http://alice:sesame@proxy.example\\@evil.example",
        two_ats="http://alice:sesame@evil.example@proxy.example",
        a_bad_escape="http://alice:sesame%zz@proxy.example",
        a_bad_port="http://alice:sesame@proxy.example:99999",
        port_0="http://alice:sesame@proxy.example:0",
        no_number="http://alice:sesame@proxy.example:http",
        bare_ipv6="http://::1",
        no_address="http://127.1",
        a_percent="http://alice:sesame@proxy%2eexample",
        socks5_without_password="socks5://alice@proxy.example",
        socks5_with_an_empty_password="socks5://alice:@proxy.example",
        socks5_without_user="socks5://:sesame@proxy.example",
        socks5_not_ascii="socks5://alice:sesame%C3%A9@proxy.example",
        socks5_too_long="socks5://alice:sesame" + "x" * 256 + "@proxy.example",
        socks4_with_password="socks4a://alice:sesame@proxy.example",
    )
    def test_what_is_refused(self, text: str) -> None:
        """A proxy with junk in its URL is a ValueError that shows no secret, nor has one in its causes."""
        with self.assertRaises(ValueError) as caught:
            parse_proxy(text)
        error: Optional[BaseException] = caught.exception
        while error is not None:
            for secret in SECRETS:
                self.assertNotIn(secret, f"{error!r} {vars(error)!r}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    @cases(
        socks4=("socks4://p", "socks4a"),
        socks=("socks://p", "socks5 or socks4a"),
        ftp=("ftp://p", "http, https, socks5 or socks4a"),
        port=("http://p:x", "the port is no number from 1 to 65535 (in the URL of a proxy)"),
    )
    def test_the_error_says_what_to_do(self, text: str, hint: str) -> None:
        """It speaks of proxies, not of WebSocket URLs."""
        with self.assertRaises(ValueError) as caught:
            parse_proxy(text)
        self.assertIn(hint, str(caught.exception))
        self.assertNotIn("ws", str(caught.exception))

    def test_what_is_no_text(self) -> None:
        """Bytes are a TypeError."""
        with self.assertRaisesRegex(TypeError, "bytes"):
            parse_proxy(b"http://p")  # type: ignore[arg-type] # which is what is tried

    @cases(
        none=("p", None), port=("p:8", 8), userinfo=("a:8@p", None), both=("a:8@p:9", 9), ipv6=("[::8]", None),
        ipv6_port=("[::8]:9", 9),
    )  # fmt: skip
    def test_an_explicit_port(self, authority: str, port: Optional[int]) -> None:
        """What is written behind the host, not a password and not the end of an address."""
        self.assertEqual(explicit_port(authority), port)


class ProxyTests(unittest.TestCase):
    """The value."""

    def test_no_secret_is_shown(self) -> None:
        """Neither `str` nor `repr` has user or password, in a container neither; both survive pickling."""
        for text in ("http://alice:sesame@[::1]:8", "socks5://alice:sesame@p"):
            proxy = parse_proxy(text)
            for shown in (str(proxy), repr(proxy), repr([proxy])):
                for secret in SECRETS:
                    self.assertNotIn(secret, shown)
            self.assertEqual(pickle.loads(pickle.dumps(proxy)), proxy)

    def test_what_it_tells(self) -> None:
        """Whether it speaks SOCKS, whether TLS, and how it is written."""
        told = [
            (proxy.is_socks, proxy.secure, proxy.authority, str(proxy), repr(proxy))
            for proxy in map(parse_proxy, ("http://p:8", "https://[::1]:8", "socks5h://p", "socks4a://p"))
        ]
        self.assertEqual(
            told,
            [
                (False, False, "p:8", "http://p:8", "Proxy('http://p:8')"),
                (False, True, "[::1]:8", "https://[::1]:8", "Proxy('https://[::1]:8')"),
                (True, False, "p:1080", "socks5://p:1080", "Proxy('socks5://p:1080')"),
                (True, False, "p:1080", "socks4a://p:1080", "Proxy('socks4a://p:1080')"),
            ],
        )


@with_cases
class CheckingTests(unittest.TestCase):
    """The check of a configuration's `proxy`."""

    @cases(none=None, true=True, url="http://alice:sesame@p:1", socks="socks5://p")
    def test_good(self, value: object) -> None:
        """True, None, and the URL of a proxy."""
        check_proxy(value)

    @cases(
        false=(False, TypeError, "False"),
        number=(1, TypeError, "int"),
        bytes=(b"http://p", TypeError, "bytes"),
        junk=("http://alice:sesame@p:x", ValueError, "port"),
    )
    def test_bad(self, value: object, kind: type[Exception], hint: str) -> None:
        """Anything else, False too: it is not clear what that would mean."""
        with self.assertRaisesRegex(kind, hint) as caught:
            check_proxy(value)
        self.assertNotIn("sesame", str(caught.exception))


@with_cases
class RequestTests(unittest.TestCase):
    """CONNECT."""

    @cases(
        name=("example.org", 443, "example.org:443"),
        the_port_is_always_there=("example.org", 80, "example.org:80"),
        ipv4=("192.0.2.1", 8080, "192.0.2.1:8080"),
        ipv6=("2001:db8::1", 443, "[2001:db8::1]:443"),
        a_dot=("example.org.", 443, "example.org.:443"),
        underscore=("a_b.example", 1, "a_b.example:1"),
    )
    def test_target_and_host(self, host: str, port: int, authority: str) -> None:
        """Rule 103: both are host:port."""
        self.assertEqual(
            connect_request(host, port), f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
        )

    def test_more_fields(self) -> None:
        """What is for the proxy comes behind Host, in its order."""
        fields = Headers([("User-Agent", "wssync"), ("Proxy-Authorization", "Basic YTpi")])
        self.assertEqual(
            connect_request("h", 1, fields),
            b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: wssync\r\nProxy-Authorization: Basic YTpi\r\n\r\n",
        )

    @cases(
        authorization=[("Authorization", "Basic c2VzYW1l")], cookie=[("COOKIE", "a=sesame")], host=[("host", "sesame")]
    )
    def test_what_is_for_the_origin(self, fields: Any) -> None:
        """Rule 103: cookies and credentials of the origin never go to the proxy; the error does not show them."""
        with self.assertRaisesRegex(ValueError, "not for a proxy") as caught:
            connect_request("h", 1, fields)
        self.assertNotIn("sesame", str(caught.exception))
        self.assertNotIn("c2VzYW1l", str(caught.exception))

    @cases(
        nothing="",
        line_end="h\r\nX: y",
        blank="h HTTP/1.1",
        user="a@h",
        port="h:80",
        slash="h/x",
        bracket="[::1]",
        not_ascii="\u00e9",
        zone="fe80::1%25en0",
    )
    def test_a_host_that_is_none(self, host: str) -> None:
        """A host cannot bring a line of its own, nor another target."""
        with self.assertRaises(ValueError):
            connect_request(host, 80)

    def test_a_field_that_is_none(self) -> None:
        """Nor can a field."""
        with self.assertRaises(ValueError):
            connect_request("h", 80, {"X": "a\r\nY: b"})


if __name__ == "__main__":
    unittest.main()
