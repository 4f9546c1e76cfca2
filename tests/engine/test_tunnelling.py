"""What a proxy is asked, and what follows from its answers."""

from __future__ import annotations

import unittest
from unittest import mock

from wssync.errors import (
    ConnectionClosed,
    ConnectionRefused,
    ProxyError,
)
from wssync.protocol.urls import parse_url

from .reachings import TUNNEL, URL, ReachingTestCase, challenged
from .support import MemoryStream, lost


class TunnelTests(ReachingTestCase):
    proxy = "http://proxy.test:3128"

    def test_a_tunnel(self) -> None:
        """Rule 103: `ws:` goes through CONNECT too; the proxy sees host and port, and nothing of the request."""
        self.assertIs(self.reach([TUNNEL]), self.streams[0])
        self.assertEqual(self.dialled, [("proxy.test", 3128)])
        self.assertEqual(
            self.heads,
            ["CONNECT example.test:8080 HTTP/1.1\r\nHost: example.test:8080\r\nUser-Agent: wssync"],
        )
        self.assertEqual(self.traced[0], ("proxy", {"scheme": "http", "host": "proxy.test", "port": 3128}))
        self.assertNotIn("close", self.streams[0].calls)

    def test_to_an_ipv6_address(self) -> None:
        """In brackets; and a client without a name says none."""
        self.configuration = self.configuration.replace(user_agent=None)
        self.reach([TUNNEL], url="ws://[2001:db8::1]/")
        self.assertEqual(self.heads, ["CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80"])

    def test_a_refusal(self) -> None:
        """ProxyError with the response and its body, under the number of a connection that failed."""
        error = self.fails(
            ProxyError,
            "proxy.test:3128 answered 403 No to CONNECT",
            [b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"],
        )
        self.assertEqual((error.url_error_code, error.response.body), (-1004, b"no"))

    def test_more_than_its_answer(self) -> None:
        """What comes behind it would be taken for the server's word."""
        self.fails(ProxyError, "sent more than its answer", [TUNNEL + b"x"])

    def test_a_loss(self) -> None:
        """While it is asked: the proxy is named, and the cause kept."""
        self.outcomes.append([b"HTTP"])
        with (
            mock.patch.object(MemoryStream, "recv", side_effect=lost()),
            self.assertRaisesRegex(ProxyError, "connection to the proxy http://proxy.test:3128 was lost") as caught,
        ):
            self.reaching().reach(parse_url(URL))
        self.assertIsInstance(caught.exception.__cause__, ConnectionResetError)
        self.assertIn("close", self.streams[0].calls)
        bare = ConnectionClosed("lost")
        self.outcomes.append([b"HTTP"])
        with mock.patch.object(MemoryStream, "recv", side_effect=bare), self.assertRaises(ProxyError) as caught:
            self.reaching().reach(parse_url(URL))
        self.assertIs(caught.exception.__cause__, bare)

    def test_no_http(self) -> None:
        """Whoever answers something else is no proxy."""
        self.fails(ProxyError, "does not speak HTTP", [b"SSH-2.0-x\r\n"])

    def test_a_proxy_that_is_not_there(self) -> None:
        """The error is the proxy's."""
        cause = ConnectionRefused("nobody listens")
        error = self.fails(ProxyError, "the proxy http://proxy.test:3128: nobody listens", cause)
        self.assertIs(error.__cause__, cause)


class PasswordTests(ReachingTestCase):
    proxy = "http://user:password@proxy.test:3128"

    def test_the_url_s(self) -> None:
        """Rule 77: the userinfo of the proxy's URL answers its challenge, on a new connection with new time."""
        self.reach([challenged('Basic realm="p"')], [TUNNEL])
        self.assertNotIn("Proxy-Authorization", self.heads[0])
        self.assertIn("Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==", self.heads[1])
        self.assertEqual([stream.calls.count("close") for stream in self.streams], [1, 0])
        self.assertEqual(self.aside, 1)
        self.assertEqual([event for event, _ in self.traced].count("begin"), 1)

    def test_a_wrong_one(self) -> None:
        """The second 407 is the end: ProxyError, -1013, with the response."""
        error = self.fails(ProxyError, "407 Who", *[[challenged('Basic realm="p"')]] * 2)
        self.assertEqual((error.url_error_code, error.response.status_code), (-1013, 407))
        self.assertNotIn("password", str(error))

    def test_none_at_all(self) -> None:
        """Without a password the first one is."""
        self.configuration = self.configuration.replace(proxy="http://proxy.test:3128")
        self.fails(ProxyError, "407 Who", [challenged('Basic realm="p"')])

    def test_a_user_alone(self) -> None:
        """Then the password is an empty one."""
        self.configuration = self.configuration.replace(proxy="http://user@proxy.test:3128")
        self.reach([challenged('Basic realm="p"')], [TUNNEL])
        self.assertIn("Proxy-Authorization: Basic dXNlcjo=", self.heads[1])


class SocksTests(ReachingTestCase):
    proxy = "socks5://user:password@proxy.test"

    def test_it_is_asked(self) -> None:
        """Rule 104: the name goes to the proxy."""
        with mock.patch("wssync.transport.socks.start_socks") as started:
            self.assertIs(self.reach([]), self.streams[0])
        self.assertEqual(self.dialled, [("proxy.test", 1080)])
        (stream, proxy, host, port, attempt), _ = started.call_args
        self.assertIs(stream, self.streams[0])
        self.assertEqual((proxy.user, host, port), ("user", "example.test", 8080))
        self.assertIs(attempt, self.attempts.whole)
        self.assertEqual([event for event, _ in self.traced], ["proxy", "connect_end"])


class WordsOfAProxyTests(ReachingTestCase):
    proxy = "http://proxy.test:3128"

    def test_a_reason_for_a_terminal(self) -> None:
        """Rule 103: what a proxy says is shown without control characters (0x9B begins a command to a terminal)."""
        error = self.fails(ProxyError, "answered 502 ", [b"HTTP/1.1 502 \x9b31mBad" + b"x" * 500 + b"\r\n\r\n"])
        self.assertTrue(str(error).isprintable(), str(error))
        self.assertLess(len(str(error)), 250)


if __name__ == "__main__":
    unittest.main()
