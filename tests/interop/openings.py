"""wssync's opening handshake before nginx and apache2: passwords, redirects, cookies.

What is let in comes to a server of `wssync.testing`, whose record says what really went over: the fronts pass on the
fields they were given.
"""

from __future__ import annotations

import http.cookiejar
from concurrent.futures import Future
from typing import Any, List

import wssync
from tests.interop import fronts
from tests.interop.fronts import REALM, FrontTestCase
from tests.interop.sessions import LIMIT, PASSWORD, USE, USER, Asked, with_userinfo
from tests.interop.starting import need_library
from wssync import AuthChallengeDisposition, AuthenticationChallenge, Credential, CredentialStorage


class PasswordTests(FrontTestCase):
    """For fronts that ask for a password at `path`, by `scheme`."""

    path: str
    scheme: str

    @property
    def url(self) -> str:
        """The place behind the password."""
        return self.front.url + self.path

    def test_the_password_in_the_url(self) -> None:
        """It opens, by an answer of the front's own scheme, and nothing that is shown shows the password."""
        told: List[Any] = []
        session = self.session(trace=lambda event, task, fields: told.append((event, dict(fields))))
        task = self.assertOpens(session, with_userinfo(self.url))
        (request,) = self.arrived
        self.assertTrue(request.headers["Authorization"].startswith(f"{self.scheme} "))
        self.assertShowsNoPassword(task, task.current_request, task.response, session, told)

    def test_a_wrong_password_in_the_url(self) -> None:
        """The refusal is the end, with the front's answer: it is not tried again, and nobody came through."""
        with self.assertRaises(wssync.AuthenticationFailed) as caught:
            self.open(self.session(), with_userinfo(self.url, password="guess"))
        self.assertRefused(caught.exception)
        self.assertNotIn("guess", str(caught.exception))

    def test_no_password(self) -> None:
        """Nobody to ask and nothing to offer is the same refusal."""
        with self.assertRaises(wssync.AuthenticationFailed) as caught:
            self.open(self.session(), self.url)
        self.assertRefused(caught.exception)

    def assertRefused(self, error: wssync.AuthenticationFailed) -> None:
        """It has the number, the response and its page, and nobody came through."""
        self.assertEqual(error.url_error_code, -1013)
        response: Any = error.response
        self.assertEqual(response.status_code, 401)
        self.assertIn(self.scheme, response.headers["WWW-Authenticate"])
        self.assertIn(b"<html>", response.body.lower())
        self.assertEqual(self.arrived, [])

    def test_a_delegate_is_asked_until_it_knows(self) -> None:
        """It hears who asks, for what, and how often it failed; a future of an answer will do too."""

        def decide(challenge: AuthenticationChallenge) -> Any:
            password = PASSWORD if challenge.previous_failure_count == 2 else f"guess {len(asked.challenges)}"
            answer: Future[Any] = Future()
            answer.set_result((USE, Credential(USER, password)))
            return answer

        asked = Asked(decide)
        self.assertOpens(self.session(asked), self.url)
        self.assertEqual([challenge.previous_failure_count for challenge in asked.challenges], [0, 1, 2])
        for challenge in asked.challenges:
            space = challenge.protection_space
            self.assertEqual((space.host, space.port, space.protocol), ("127.0.0.1", self.front.port, "http"))
            self.assertEqual((space.realm, space.authentication_method), (REALM, self.scheme))
            self.assertFalse(space.is_proxy)
            assert challenge.failure_response is not None
            self.assertEqual(challenge.failure_response.status_code, 401)
        self.assertEqual(len(self.arrived), 1)

    def test_the_second_task_needs_not_ask(self) -> None:
        """A credential that was accepted is stored, and proposed to the next task of the same storage."""
        storage = CredentialStorage()
        asked = Asked(lambda challenge: (USE, challenge.proposed_credential or Credential(USER, PASSWORD)))
        session = self.session(asked, url_credential_storage=storage)
        self.assertOpens(session, self.url)
        self.assertOpens(session, self.url)
        proposed = [challenge.proposed_credential for challenge in asked.challenges]
        self.assertEqual(proposed, [None, Credential(USER, PASSWORD)])
        self.assertOpens(self.session(url_credential_storage=storage), self.url)
        self.assertEqual(len(self.arrived), 3)

    def test_a_wrong_password_is_not_stored(self) -> None:
        """Only what opened is."""
        storage = CredentialStorage()
        with self.assertRaises(wssync.AuthenticationFailed):
            asked = Asked(lambda challenge: (USE, Credential(USER, "guess")))
            self.open(self.session(asked, url_credential_storage=storage), self.url)
        self.assertEqual(storage.all_credentials, {})
        self.assertEqual(len(asked.challenges), 3)  # the same answer is not sent a third time

    def test_a_delegate_cancels(self) -> None:
        """Then so is the task."""
        asked = Asked(lambda challenge: (AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE, None))
        with self.assertRaises(wssync.Cancelled):
            self.open(self.session(asked), self.url)

    def test_behind_the_password_it_goes_on(self) -> None:
        """A redirect within the same server keeps the password, without another question."""
        asked = Asked(lambda challenge: (USE, Credential(USER, PASSWORD)))
        self.assertOpens(self.session(asked), f"{self.url}/moved")
        self.assertEqual(len(asked.redirects), 1)
        self.assertEqual(len(asked.challenges), 1)
        (request,) = self.arrived
        self.assertTrue(request.target.endswith("/further"))
        self.assertTrue(request.headers["Authorization"].startswith(f"{self.scheme} "))


class NginxBasicTests(PasswordTests):
    start = staticmethod(fronts.nginx)
    path = "/basic"
    scheme = "Basic"

    def test_the_cookie_of_the_refusal(self) -> None:
        """What the 401 sets is sent with the request that answers it."""
        self.assertOpens(self.session(), with_userinfo(self.url))
        self.assertEqual(self.arrived[0].headers["Cookie"], "asked=yes")

    def test_a_redirect_to_a_password(self) -> None:
        """What is in the URL counts where the redirect leads to, on the same server."""
        url = with_userinfo(self.url).replace("/basic", "/to-basic")
        self.assertOpens(self.session(), url)

    def test_the_password_stays_where_it_belongs(self) -> None:
        """Another origin, over TLS even, gets neither the URL's password nor what the caller said to the first."""
        url = with_userinfo(self.url).replace("/basic", "/to-tls")
        request = wssync.Request(url, headers={"Authorization": "Basic bXk6b3du", "X-Api-Key": "4711", "Cookie": "a=b"})
        self.assertOpens(self.session(), request)
        (arrived,) = self.arrived
        self.assertEqual(arrived.headers["X-Protocol"][:3], "TLS")
        for name in ("Authorization", "X-Api-Key", "Cookie"):
            self.assertNotIn(name, arrived.headers)


class ApacheBasicTests(PasswordTests):
    start = staticmethod(fronts.apache)
    path = "/basic"
    scheme = "Basic"


class ApacheDigestTests(PasswordTests):
    start = staticmethod(fronts.apache)
    path = "/digest"
    scheme = "Digest"

    def test_a_query_is_part_of_the_digest(self) -> None:
        """apache2 refuses (400) an answer whose uri is not the request's, to the letter."""
        self.assertOpens(self.session(), f"{with_userinfo(self.url)}/x%20y?q=%22a%22&b=,")
        self.assertEqual(self.arrived[0].target, "/digest/x%20y?q=%22a%22&b=,")

    def test_the_nonce_is_used_again(self) -> None:
        """Behind a redirect the same nonce counts on."""
        self.assertOpens(self.session(), f"{with_userinfo(self.url)}/moved")
        self.assertIn("nc=00000002", self.arrived[0].headers["Authorization"])

    def test_the_password_is_not_sent(self) -> None:
        """Neither the URL's nor a delegate's, in no form that could be read back."""
        self.assertOpens(self.session(), with_userinfo(self.url))
        self.assertShowsNoPassword(*self.arrived[0].headers.fields)


class NginxTests(FrontTestCase):
    start = staticmethod(fronts.nginx)

    def test_redirects(self) -> None:
        """Every kind is followed, the delegate hears of it, and the two requests of the task tell both places."""
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status=status):
                asked = Asked()
                task = self.assertOpens(self.session(asked), f"{self.front.url}/{status}")
                self.assertEqual(asked.redirects, [(status, f"{self.front.url}/")])
                self.assertEqual(task.original_request.url, f"{self.front.url}/{status}")
                self.assertEqual(task.current_request.url, f"{self.front.url}/")
                self.assertEqual(self.arrived[-1].target, "/")

    def test_a_relative_redirect(self) -> None:
        """It is resolved, and its query comes along."""
        self.assertOpens(self.session(), f"{self.front.url}/relative")
        self.assertEqual(self.arrived[0].target, "/there?and=back")

    def test_the_offers_are_repeated(self) -> None:
        """The second request offers what the first did."""
        task = self.session().websocket_task(f"{self.front.url}/307", ["chat"])
        task.resume()
        task.wait_until_open(timeout=LIMIT)
        self.assertEqual(self.arrived[0].headers["Sec-WebSocket-Protocol"], "chat")

    def test_to_tls(self) -> None:
        """`https:` is `wss:`; what was meant for the first server alone stays there."""
        headers = {"X-Api-Key": "4711", "X-Shared": "yes", "User-Agent": "a test"}
        session = self.session(redirect_headers=["X-Shared"])
        task = self.assertOpens(session, wssync.Request(f"{self.front.url}/to-tls", headers=headers))
        self.assertEqual(task.current_request.url, f"{self.front.tls_url}/")
        (request,) = self.arrived
        self.assertEqual(request.headers["X-Protocol"][:3], "TLS")
        self.assertNotIn("X-Api-Key", request.headers)
        self.assertEqual((request.headers["X-Shared"], request.headers["User-Agent"]), ("yes", "a test"))

    def test_from_tls(self) -> None:
        """Down to the clear is refused, unless the delegate says so."""
        with self.assertRaises(wssync.InsecureRedirect) as caught:
            self.open(self.session(), f"{self.front.tls_url}/to-clear")
        self.assertEqual(caught.exception.url_error_code, -1022)
        self.assertEqual(self.arrived, [])
        self.assertOpens(self.session(Asked()), f"{self.front.tls_url}/to-clear")

    def test_for_ever(self) -> None:
        """Twenty are followed."""
        asked = Asked()
        with self.assertRaises(wssync.TooManyRedirects) as caught:
            self.open(self.session(asked), f"{self.front.url}/for-ever")
        self.assertEqual(caught.exception.url_error_code, -1007)
        self.assertEqual(len(asked.redirects), 20)

    def test_a_refusal(self) -> None:
        """The error has all of the answer."""
        with self.assertRaises(wssync.HandshakeError) as caught:
            self.open(self.session(), f"{self.front.url}/busy")
        response: Any = caught.exception.response
        self.assertEqual((response.status_code, response.headers["Retry-After"]), (503, "1"))
        self.assertEqual(response.body, b"too much to do")

    def test_cookies_of_the_opening(self) -> None:
        """Those of a 101 are sent by the next task of the session, a secure one over TLS alone."""
        jar = http.cookiejar.CookieJar()
        session = self.session(http_cookie_storage=jar)
        self.assertOpens(session, f"{self.front.url.replace('127.0.0.1', 'localhost')}/cookie")
        self.assertEqual({cookie.name for cookie in jar}, {"sid", "theme"})
        self.assertOpens(session, f"{self.front.tls_url}/cookie")
        self.assertOpens(session, f"{self.front.tls_url}/")
        self.assertOpens(session, f"{self.front.url.replace('127.0.0.1', 'localhost')}/")
        sent = [request.headers.get("Cookie") for request in self.arrived]
        self.assertEqual(sent, [None, "sid=abc; theme=dark", "sid=abc; theme=dark; safe=1", "sid=abc; theme=dark"])

    def test_a_cookie_of_a_redirect(self) -> None:
        """It is sent where the redirect leads."""
        self.assertOpens(self.session(), f"{self.front.url}/crumb")
        self.assertEqual(self.arrived[0].headers["Cookie"], "hop=1")

    def test_no_cookies(self) -> None:
        """Without a jar none are kept, and without leave none are sent."""
        for changes in ({"http_cookie_storage": None}, {"http_should_set_cookies": False}):
            with self.subTest(changes=changes):
                self.assertOpens(self.session(**changes), f"{self.front.url}/crumb")
                self.assertNotIn("Cookie", self.arrived[-1].headers)

    def test_the_cookies_of_requests(self) -> None:
        """One jar for both: what requests was given for a page, the WebSocket brings, and the other way round."""
        need_library("requests")
        import requests

        with requests.Session() as pages:
            pages.trust_env = False
            pages.get(f"http://127.0.0.1:{self.front.port}/cookie", timeout=LIMIT)
            session = self.session(http_cookie_storage=pages.cookies)
            self.assertOpens(session, f"{self.front.url}/crumb")
            self.assertEqual(self.arrived[-1].headers["Cookie"], "sid=abc; theme=dark; hop=1")
            pages.get(f"http://127.0.0.1:{self.front.port}/", timeout=LIMIT)
            self.assertEqual(set(self.arrived[-1].headers["Cookie"].split("; ")), {"sid=abc", "theme=dark", "hop=1"})

    def test_a_unix_socket(self) -> None:
        """The URL says the host, the configuration where that is."""
        session = self.session(unix_path=self.front.unix_path)
        self.assertOpens(session, "ws://cave.test/there")
        (request,) = self.arrived
        self.assertEqual((request.headers["Host"], request.target), ("cave.test", "/there"))


del FrontTestCase, PasswordTests
