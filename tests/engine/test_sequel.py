"""What follows from a response that did not open the connection."""

from __future__ import annotations

import unittest
from typing import Any, Callable

from wssync.configuration import SessionConfiguration
from wssync.engine.asking import WITHDRAWN
from wssync.errors import (
    AuthenticationFailed,
    HandshakeError,
    InsecureRedirect,
    TimedOut,
    TooManyRedirects,
)
from wssync.protocol.http1 import Request

from .openings import SequenceTests, moved, wants
from .support import URL, Questions, accepting


class RedirectTests(SequenceTests):
    def test_it_is_followed(self) -> None:
        """Rules 51 and 58: by default; the first connection is closed, the new request told."""
        opened = self.goes(moved("/next"), accepting())
        self.assertEqual(self.dialled, [URL, "ws://example.test/next"])
        self.assertEqual([request.url for request in self.delegate.followed], ["ws://example.test/next"])
        self.assertEqual(self.closed(), [True, False])
        self.assertIs(opened.stream, self.streams[1])
        self.assertEqual(self.traced.count("transaction_start"), 2)
        self.assertEqual(self.gate._rows, {})

    def test_the_delegate_changes_it(self) -> None:
        """Rule 52: what it returns is what is asked."""
        self.delegate = Questions(will_perform_http_redirection=lambda response, request: Request("ws://third.test/"))
        self.goes(moved("/next"), accepting())
        self.assertEqual(self.dialled[1], "ws://third.test/")
        ((_, response, proposed),) = self.delegate.told
        self.assertEqual((response.status_code, proposed.url), (302, "ws://example.test/next"))

    def test_the_delegate_stops_it(self) -> None:
        """Rule 52: the 3xx is the final response, and so it fails."""
        for answer in (None, WITHDRAWN):
            self.setUp()
            self.delegate = Questions(will_perform_http_redirection=lambda response, request, answer=answer: answer)
            with self.assertRaisesRegex(HandshakeError, "302, and the delegate did not follow") as caught:
                self.goes(moved("/next"))
            assert caught.exception.response is not None
            self.assertEqual(caught.exception.response.status_code, 302)
            self.assertEqual(self.closed(), [True])

    def test_an_answer_that_is_none(self) -> None:
        """It is logged, and the default is done."""
        self.delegate = Questions(will_perform_http_redirection=lambda response, request: "ws://third.test/")
        with self.assertLogs("wssync", "ERROR") as logged:
            self.goes(moved("/next"), accepting())
        self.assertIn("answered a redirect with str", logged.output[0])
        self.assertEqual(self.dialled[1], "ws://example.test/next")

    def test_a_request_that_cannot_be_sent(self) -> None:
        """The delegate's headers are checked like everybody's."""
        bad = Request(URL, headers={"Host": "other.test"})
        self.delegate = Questions(will_perform_http_redirection=lambda response, request: bad)
        with self.assertRaisesRegex(HandshakeError, "delegate's request cannot be sent: .*Host"):
            self.goes(moved("/next"))

    def test_the_delegate_wants_no_cookies(self) -> None:
        """Rules 52 and 83: its request is made as it is, and that handles none."""
        self.delegate = Questions(
            will_perform_http_redirection=lambda response, request: request.replace(http_should_handle_cookies=False)
        )
        self.configuration = SessionConfiguration.ephemeral().replace(compression=None)
        self.goes(moved("/next", "Set-Cookie: a=1"), moved("/last", "Set-Cookie: b=2"), accepting())
        self.assertEqual(["Cookie: " in head for head in self.heads], [False] * 3)
        self.assertEqual([cookie.name for cookie in self.configuration.http_cookie_storage or ()], ["a"])

    def test_the_delegate_has_less_patience(self) -> None:
        """Rules 52 and 205: the time limit of its request replaces the one before."""
        self.delegate = Questions(
            will_perform_http_redirection=lambda response, request: request.replace(timeout_interval=7.0)
        )
        with self.assertRaisesRegex(TimedOut, "after 7 seconds"):
            self.goes(moved("/next"), lambda head: [])

    def test_the_delegate_s_userinfo(self) -> None:
        """Rule 65: that of the request which it returned answers the next server, and never one after that."""
        self.delegate = Questions(
            will_perform_http_redirection=lambda response, request: (
                Request("ws://me:own@second.test/") if "second" in request.url else request
            )
        )
        with self.assertRaises(AuthenticationFailed):
            self.goes(
                moved("ws://second.test/"), wants("Basic realm=r"), moved("ws://third.test/"), wants("Basic realm=r")
            )
        sent = ["Authorization: Basic bWU6b3du" in head for head in self.heads]
        self.assertEqual(sent, [False, False, True, False])

    def test_too_many(self) -> None:
        """Rule 57: -1007, and the URL is the one that was not fetched."""
        self.configuration = self.configuration.replace(max_redirects=2)
        with self.assertRaisesRegex(TooManyRedirects, "more than 2") as caught:
            self.goes(moved("/1"), moved("/2"), moved("/3"))
        self.assertEqual((caught.exception.url, caught.exception.url_error_code), ("ws://example.test/3", -1007))

    def test_to_another_server_than_that_of_the_unix_socket(self) -> None:
        """Rule 60: it is refused, or the socket's server would be sent the cookies of whomever it names; a delegate
        cannot change that. On the same origin it is followed.
        """
        for location in ("ws://bank.test/", "//example.test:81/", "wss://example.test/"):
            for methods in ({}, {"will_perform_http_redirection": lambda response, request: request}):
                with self.subTest(location, methods=methods):
                    self.setUp()
                    self.delegate = Questions(**methods)
                    self.configuration = self.configuration.replace(unix_path="/run/x")
                    with self.assertRaisesRegex(HandshakeError, "not behind the Unix socket") as caught:
                        self.goes(moved(location))
                    assert caught.exception.response is not None
                    self.assertEqual((caught.exception.response.status_code, self.closed()), (302, [True]))
        self.setUp()
        self.configuration = self.configuration.replace(unix_path="/run/x")
        self.goes(moved("/next"), accepting())
        self.assertEqual(self.dialled, [URL, "ws://example.test/next"])

    def test_to_plain_text(self) -> None:
        """Rule 56: refused by default; a delegate that returns that request has decided otherwise."""
        self.request = Request("wss://example.test/")
        with self.assertRaises(InsecureRedirect):
            self.goes(moved("ws://example.test/"))
        self.delegate = Questions(will_perform_http_redirection=lambda response, request: request)
        self.goes(moved("ws://example.test/"), accepting())
        self.assertEqual(self.dialled[-1], "ws://example.test/")

    def test_what_crosses(self) -> None:
        """Rule 60: neither the request's secrets nor the configuration's go to another origin, nor come back later."""
        self.request = Request(URL, headers={"X-Api-Key": "secret"})
        self.configuration = self.configuration.replace(
            http_additional_headers={"X-Token": "secret", "X-Trace": "1"}, redirect_headers=["x-trace"]
        )
        self.goes(moved("http://other.test/"), moved("http://example.test/"), accepting())
        self.assertEqual(["secret" in head for head in self.heads], [True, False, False])
        self.assertEqual(["X-Trace: 1" in head for head in self.heads], [True] * 3)

    def test_each_has_its_own_time(self) -> None:
        """Rule 208: a redirect restarts the request's timer; the resource's goes on."""
        self.configuration = self.configuration.replace(timeout_interval_for_resource=150)

        def slow(answer: bytes) -> Callable[[bytes], Any]:
            def respond(head: bytes) -> Any:
                self.clock.advance(50)
                return [answer]

            return respond

        began = self.clock.now()
        with self.assertRaisesRegex(TimedOut, "after 150 seconds"):
            self.goes(slow(moved("/1")), slow(moved("/2")), lambda head: [])
        self.assertEqual(self.clock.now() - began, 150)


class PasswordTests(SequenceTests):
    def test_the_url_s(self) -> None:
        """Rule 65: the userinfo answers, for this origin alone."""
        self.request = Request("ws://user:password@example.test/")
        self.goes(wants('Basic realm="a"'), accepting())
        self.assertNotIn("Authorization", self.heads[0])
        self.assertIn("Authorization: Basic dXNlcjpwYXNzd29yZA==", self.heads[1])
        self.assertEqual(self.closed(), [True, False])

    def test_a_callers_own_is_replaced(self) -> None:
        """Once it was refused."""
        self.request = Request("ws://user:password@example.test/", headers={"Authorization": "Bearer old"})
        self.goes(wants('Basic realm="a"'), accepting())
        self.assertIn("Bearer old", self.heads[0])
        self.assertNotIn("Bearer old", self.heads[1])

    def test_not_for_another_origin(self) -> None:
        """Where a redirect leads nobody is told the password."""
        self.request = Request("ws://user:password@example.test/")
        with self.assertRaises(AuthenticationFailed):
            self.goes(moved("http://other.test/"), wants('Basic realm="a"'))

    def test_nothing_to_offer(self) -> None:
        """Rule 71: -1013, with the response and its body."""
        with self.assertRaises(AuthenticationFailed) as caught:
            self.goes(wants('Basic realm="a"'))
        assert caught.exception.response is not None
        response: Any = caught.exception.response
        self.assertEqual((caught.exception.url_error_code, response.body), (-1013, b"sorry"))

    def test_the_next_nonce(self) -> None:
        """Rule 74: the answer to a redirect may bring one."""
        self.request = Request("ws://user:password@example.test/")
        self.goes(
            wants('Digest realm="a", nonce="1", qop="auth"'),
            moved("/next", 'Authentication-Info: nextnonce="2"'),
            accepting(),
        )
        self.assertIn('nonce="2"', self.heads[2])


if __name__ == "__main__":
    unittest.main()
