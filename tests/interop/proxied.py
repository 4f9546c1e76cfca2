"""wssync through other people's proxies: HTTP CONNECT with passwords, TLS to the proxy, SOCKS.

What a proxy was told is in its log, what the server was told in that of the server; each must know its own alone.
"""

from __future__ import annotations

import base64
import functools
import os
import ssl
import unittest.mock
from typing import Any, List
from urllib.parse import quote, unquote

import wssync
from tests.interop import gateways
from tests.interop.cases import binary_of
from tests.interop.gateways import PASSWORD, REALM, USER, Gateway, StartGateway
from tests.interop.sessions import LIMIT, USE, Asked, SessionTestCase, pin_of_server, port_of, with_userinfo
from tests.processes import free_port
from wssync import AuthChallengeDisposition, AuthenticationChallenge, Credential, CredentialStorage
from wssync.testing import Server
from wssync.testing.authentication import digest

SECRETS = {"Authorization": "Bearer for-the-server", "Cookie": "for=the-server", "X-Api-Key": "for-the-server"}
"""What is for the server alone, and has to come there."""

PATH = "/for-the-server?for=the-server"


class GatewayTestCase(SessionTestCase):
    """Starts the proxy of the class once, and two servers behind it. The mixtures below bring the tests."""

    start: StartGateway
    gateway: Gateway
    secure_server: Server

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.gateway = cls.start(cls.stack)
        try:
            cls.secure_server = cls.stack.enter_context(Server(tls=True))
        except RuntimeError as error:
            raise unittest.SkipTest(str(error)) from error

    @property
    def known_url(self) -> str:
        """The proxy, with its password if it asks for one."""
        return self.gateway.url

    @property
    def url(self) -> str:
        """The server in the clear, by a name."""
        return self.server.url.replace("127.0.0.1", "localhost")

    @property
    def secure_url(self) -> str:
        """The server over TLS, by a name."""
        return self.secure_server.url.replace("127.0.0.1", "localhost")

    def context(self) -> ssl.SSLContext:
        """Trusts the server, and a proxy with a certificate of its own."""
        context = ssl.create_default_context(cafile=self.secure_server.ca_file)
        if self.gateway.authority is not None:
            context.load_verify_locations(str(self.gateway.authority))
        return context

    def configure(self, **changes: Any) -> wssync.SessionConfiguration:
        """With the proxy and its password, unless a test says otherwise."""
        return super().configure(**{"proxy": self.known_url, "ssl_context": self.context(), **changes})

    def assertIsConnectedTo(self, task: wssync.WebSocketTask, port: int) -> None:
        """Whom it is connected to, the proxy or the server."""
        assert task.remote_address is not None
        self.assertEqual(task.remote_address[1], port)

    def asked(self, target: str, times: int = 1) -> List[str]:
        """The lines of the proxy's log about that target, once there are so many."""
        log = self.gateway.log
        assert log is not None

        def lines(text: str) -> List[str]:
            return [line for line in text.splitlines() if target in line]

        text = self.gateway.program.read_until(log, lambda text: len(lines(text)) >= times, seconds=LIMIT)
        self.assertTrue(text, f"the proxy has not noted {target} {times} times: {log.read_text()}")
        return lines(text)


class ThroughTests(GatewayTestCase):
    """For every proxy."""

    def test_in_the_clear(self) -> None:
        """Messages of every size go through, and the server hears nothing of the proxy."""
        task = self.open(self.session(), wssync.Request(self.url + PATH[1:], headers=SECRETS))
        for size in (0, 1, 70_000, 1_000_000):
            task.send(binary_of(size), timeout=LIMIT)
            self.assertTrue(task.receive(timeout=LIMIT) == binary_of(size))
        self.assertIsConnectedTo(task, self.gateway.port)
        task.close(4000, "through", timeout=LIMIT)
        self.assertIsNone(task.error)
        (request,) = self.arrived
        self.assertServerKnowsItsOwn(request)
        self.assertProxyKnowsItsOwn(f"localhost:{port_of(self.url)}")

    def test_over_tls(self) -> None:
        """Likewise; TLS is with the server itself, by its name."""
        before = len(self.secure_server.requests)
        session = self.session()
        self.assertOpens(session, wssync.Request(self.secure_url + PATH[1:], headers=SECRETS))
        (request,) = self.secure_server.requests[before:]
        self.assertServerKnowsItsOwn(request)
        self.assertProxyKnowsItsOwn(f"localhost:{port_of(self.secure_url)}")

    def assertServerKnowsItsOwn(self, request: Any) -> None:
        """All that is for it, and nothing of the proxy's."""
        self.assertEqual(request.target, PATH)
        for name, value in SECRETS.items():
            self.assertEqual(request.headers[name], value)
        for name, value in request.headers.fields:
            self.assertFalse(name.lower().startswith("proxy"), name)
            for secret in (PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
                self.assertNotIn(secret, value)

    def assertProxyKnowsItsOwn(self, target: str) -> None:
        """By what it has noted, which for squid is all that it was told."""
        for line in self.asked(target):
            self.assertNotIn("for-the-server", unquote(line))
            self.assertNotIn("for=the-server", unquote(line))

    def test_the_pins_are_the_servers(self) -> None:
        """They are about whom TLS is with at the end of the way, not about a proxy with TLS of its own."""
        pin = pin_of_server(self.secure_server)
        self.assertOpens(self.session(certificate_pins=[pin]), self.secure_url)
        with self.assertRaises(wssync.CertificateError):
            self.open(self.session(certificate_pins=[OTHER_PIN]), self.secure_url)

    def test_nobody_is_there(self) -> None:
        """The proxy says so, in its way."""
        with self.assertRaises(wssync.ConnectionFailed) as caught:
            self.open(self.session(), f"ws://localhost:{free_port()}/")
        self.assertNotReached(caught.exception)

    def assertNotReached(self, error: wssync.ConnectionFailed) -> None:
        """What the proxy answers for a server that it could not connect to."""
        assert isinstance(error, wssync.ProxyError)
        response: Any = error.response
        self.assertIn(response.status_code, (502, 503))


OTHER_PIN = "sha256/" + base64.b64encode(bytes(32)).decode()


class PasswordTests(ThroughTests):
    """For HTTP proxies that ask for a password, by `scheme`."""

    scheme: str

    @property
    def known_url(self) -> str:
        return with_userinfo(self.gateway.url, USER, PASSWORD)

    def test_a_wrong_password(self) -> None:
        """The error has the proxy's answer, and no password; the server is never asked."""
        with self.assertRaises(wssync.ProxyError) as caught:
            self.open(self.session(proxy=with_userinfo(self.gateway.url, USER, "guess")), self.url)
        self.assertTurnedDown(caught.exception)
        self.assertNotIn("guess", f"{caught.exception!r} {caught.exception.url}")

    def test_no_password(self) -> None:
        """It is the same."""
        for url in (self.url, self.secure_url):
            with self.assertRaises(wssync.ProxyError) as caught:
                self.open(self.session(proxy=self.gateway.url), url)
            self.assertTurnedDown(caught.exception)

    def assertTurnedDown(self, error: wssync.ProxyError) -> None:
        """It was the proxy, and nobody came through."""
        response: Any = error.response
        self.assertEqual((error.url_error_code, response.status_code), (-1013, 407))
        self.assertIn(self.scheme, response.headers["Proxy-Authenticate"])
        self.assertEqual(self.arrived, [])

    def test_a_password_is_not_shown(self) -> None:
        """Neither by values nor by the trace."""
        told: List[Any] = []
        session = self.session(trace=lambda event, task, fields: told.append((event, dict(fields))))
        task = self.assertOpens(session, self.secure_url)
        encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        for shown in (told, task, session, session.configuration, task.response):
            for secret in (PASSWORD, quote(PASSWORD, safe=""), encoded):
                self.assertNotIn(secret, repr(shown))

    def test_a_delegate_is_asked_until_it_knows(self) -> None:
        """It hears that it is a proxy, which, and how often it failed."""

        def decide(challenge: AuthenticationChallenge) -> Any:
            right = challenge.previous_failure_count == 1
            return USE, Credential(USER, PASSWORD if right else "guess")

        asked = Asked(decide)
        self.assertOpens(self.session(asked, proxy=self.gateway.url), self.secure_url)
        self.assertEqual([challenge.previous_failure_count for challenge in asked.challenges], [0, 1])
        for challenge in asked.challenges:
            space = challenge.protection_space
            self.assertTrue(space.is_proxy)
            self.assertEqual(
                (space.host, space.port, space.protocol), ("localhost", self.gateway.port, self.scheme_of_proxy)
            )
            self.assertEqual((space.realm, space.authentication_method), (REALM, self.scheme))
            assert challenge.failure_response is not None
            self.assertEqual(challenge.failure_response.status_code, 407)

    scheme_of_proxy = "http"

    def test_the_second_task_needs_not_ask(self) -> None:
        """What was accepted is stored for the proxy, and good for every server behind it."""
        storage = CredentialStorage()
        asked = Asked(lambda challenge: (USE, Credential(USER, PASSWORD)))
        self.assertOpens(self.session(asked, proxy=self.gateway.url, url_credential_storage=storage), self.url)
        (space,) = storage.all_credentials
        self.assertTrue(space.is_proxy)
        self.assertOpens(self.session(proxy=self.gateway.url, url_credential_storage=storage), self.secure_url)

    def test_a_delegate_gives_up(self) -> None:
        """To cancel is to cancel the task; to answer nothing is the refusal."""
        for disposition, expected in (
            (AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE, wssync.Cancelled),
            (AuthChallengeDisposition.REJECT_PROTECTION_SPACE, wssync.ProxyError),
            (USE, wssync.ProxyError),
        ):
            with self.subTest(disposition=disposition), self.assertRaises(expected):
                asked = Asked(functools.partial(self.answer_nothing, disposition))
                self.open(self.session(asked, proxy=self.gateway.url), self.url)

    @staticmethod
    def answer_nothing(disposition: AuthChallengeDisposition, challenge: AuthenticationChallenge) -> Any:
        """A decision without a credential."""
        return disposition, None

    def test_a_password_for_each(self) -> None:
        """The proxy's and the server's do not mix, though both are asked for in one opening."""
        server = Server(opening=digest("guest", "of the server", algorithm="SHA-256"))
        self.stack.enter_context(server)
        url = with_userinfo(server.url.replace("127.0.0.1", "localhost"), "guest", "of the server")
        self.assertOpens(self.session(), url)
        first, second = server.requests
        self.assertNotIn("Authorization", first.headers)
        self.assertIn('username="guest"', second.headers["Authorization"])
        for request in (first, second):
            self.assertNotIn("Proxy-Authorization", request.headers)
        for line in self.asked(f"localhost:{port_of(server.url)}", 2):
            self.assertNotIn("guest", line)


class SquidTests(ThroughTests):
    start = staticmethod(gateways.squid)

    def test_what_the_proxy_is_told(self) -> None:
        """Where to, and who asks, and nothing besides; in the clear and over TLS alike."""
        for url in (self.url, self.secure_url):
            self.assertOpens(self.session(), wssync.Request(url, headers=SECRETS))
            target = f"localhost:{port_of(url)}"
            told = unquote(self.asked(f"CONNECT {target} 200")[0]).split(" 200 ")[1]
            self.assertEqual({*told.splitlines()} - {""}, {f"Host: {target}", "User-Agent: wssync"})

    def test_names_are_the_proxys(self) -> None:
        """A name that this machine does not know is looked up by the proxy."""
        url = f"ws://origin.test:{port_of(self.url)}/"
        self.assertOpens(self.session(), url)
        self.assertEqual(self.arrived[0].headers["Host"], f"origin.test:{port_of(self.url)}")

    def test_from_the_environment(self) -> None:
        """By default the environment says which proxy; what it says is not for loopback."""
        url = f"ws://origin.test:{port_of(self.url)}/"
        names = [name for name in os.environ if name.lower().endswith("_proxy")]
        with unittest.mock.patch.dict(os.environ):
            for name in names:
                del os.environ[name]
            os.environ["http_proxy"] = self.gateway.url
            self.assertOpens(self.session(proxy=True), url)
            task = self.assertOpens(self.session(proxy=True), self.server.url)
            self.assertIsConnectedTo(task, port_of(self.server.url))

    def test_from_apples_dictionary(self) -> None:
        """Its keys go before `proxy`."""
        dictionary = {"HTTPEnable": 1, "HTTPProxy": "localhost", "HTTPPort": self.gateway.port}
        session = self.session(proxy=None, connection_proxy_dictionary=dictionary)
        self.assertOpens(session, f"ws://origin.test:{port_of(self.url)}/")

    def test_a_proxy_that_does_not_want_to(self) -> None:
        """Its answer is in the error, with its page."""
        with self.assertRaises(wssync.ProxyError) as caught:
            self.open(self.session(), "wss://forbidden.test/")
        response: Any = caught.exception.response
        self.assertEqual(response.status_code, 403)
        self.assertIn(b"<html>", response.body.lower())

    def test_a_redirect_goes_through_it_too(self) -> None:
        """To each server there is a tunnel of its own."""
        from wssync.testing.openings import at, redirect

        first = Server(opening=at("/old", redirect(self.secure_url)))
        self.stack.enter_context(first)
        url = f"ws://localhost:{port_of(first.url)}/old"
        self.assertOpens(self.session(), wssync.Request(url, headers=SECRETS))
        self.asked(f"CONNECT localhost:{port_of(first.url)} 200")
        self.assertNotIn("Authorization", self.secure_server.requests[-1].headers)


class SquidBasicTests(PasswordTests):
    start = staticmethod(gateways.squid_basic)
    scheme = "Basic"


class SquidDigestTests(PasswordTests):
    start = staticmethod(gateways.squid_digest)
    scheme = "Digest"

    def test_the_password_is_not_sent(self) -> None:
        """squid notes all that it is told, and cannot tell the password."""
        self.assertOpens(self.session(), self.url)
        target = f"localhost:{port_of(self.url)}"
        (line,) = self.asked(f"CONNECT {target} 200")[-1:]
        self.assertIn(f'uri="{target}"', unquote(line))
        self.assertNotIn(PASSWORD, unquote(line))


class HaproxyTests(PasswordTests):
    """An `https:` proxy."""

    start = staticmethod(gateways.haproxy)
    scheme = "Basic"
    scheme_of_proxy = "https"

    def test_a_proxy_that_is_not_trusted(self) -> None:
        """It gets neither a request nor a password."""
        before = len(self.lines())
        with self.assertRaises(wssync.ProxyError) as caught:
            context = ssl.create_default_context(cafile=self.secure_server.ca_file)
            self.open(self.session(ssl_context=context), self.secure_url)
        self.assertIsInstance(caught.exception.__cause__, wssync.CertificateError)
        self.assertEqual(len(self.lines()), before)

    def lines(self) -> List[str]:
        """What has been asked of the proxy so far."""
        assert self.gateway.log is not None
        return [line for line in self.gateway.log.read_text().splitlines() if "CONNECT" in line]


class SocksTests(ThroughTests):
    """For SOCKS proxies, which are asked by name; not run by itself."""

    def assertNotReached(self, error: wssync.ConnectionFailed) -> None:
        """SOCKS 5 can tell that it was refused."""
        self.assertIsInstance(error, wssync.ConnectionRefused)

    def test_by_address(self) -> None:
        """An address is an address."""
        self.assertOpens(self.session(), self.server.url)
        self.asked(f"127.0.0.1:{port_of(self.server.url)}")


class MicrosocksTests(SocksTests):
    start = staticmethod(gateways.microsocks)

    @property
    def known_url(self) -> str:
        return with_userinfo(self.gateway.url, USER, PASSWORD)

    def test_a_wrong_password_or_none(self) -> None:
        """There is no response, since it is no HTTP; nobody comes through, and no password is shown."""
        for proxy in (with_userinfo(self.gateway.url, USER, "guess"), self.gateway.url):
            with self.assertRaises(wssync.ProxyError) as caught:
                self.open(self.session(proxy=proxy), self.url)
            self.assertIsNone(caught.exception.response)
            self.assertNotIn("guess", str(caught.exception))
        self.assertEqual(self.arrived, [])

    def test_another_spelling(self) -> None:
        """`socks5h:` says in other clients what is always done here."""
        self.assertOpens(self.session(proxy=self.known_url.replace("socks5", "socks5h")), self.url)


class Socks4aTests(SocksTests):
    start = staticmethod(gateways.asyncssh)

    def test_nobody_is_there(self) -> None:
        """asyncssh says that it is connected before it is."""
        with self.assertRaises(wssync.WebSocketError):
            self.open(self.session(), f"ws://localhost:{free_port()}/")


class Socks5WithoutPasswordTests(Socks4aTests):
    @property
    def known_url(self) -> str:
        return self.gateway.url.replace("socks4a", "socks5")


del SessionTestCase, GatewayTestCase, ThroughTests, PasswordTests, SocksTests
