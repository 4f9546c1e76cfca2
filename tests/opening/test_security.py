"""What README.md promises under "Security": each row of its table cites tests of this module."""

from __future__ import annotations

import base64
import http.cookiejar
import itertools
import logging
import os
import re
import ssl
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional
from unittest import mock

import wssync
from tests.opening.support import (
    DEFAULT,
    PATIENCE,
    SECRET,
    Delegate,
    OpeningTestCase,
    answer_of,
    everything_in,
    password,
    trusting,
    userinfo,
)
from tests.support import cases, with_cases
from tests.tasks import needs_trustme
from tests.transport.socks_server import SocksServer
from wssync import (
    AuthenticationFailed,
    CertificateError,
    Credential,
    CredentialStorage,
    HandshakeError,
    Headers,
    InsecureRedirect,
    InvalidURL,
    ProxyError,
    Request,
    Response,
    SessionConfiguration,
    TLSError,
    TooManyRedirects,
    WebSocketError,
)
from wssync.engine import loop
from wssync.testing import (
    Server,
    ServerConnection,
    at,
    basic,
    digest,
    either,
    inform,
    proxy,
    raw,
    redirect,
    refuse,
    set_cookies,
)

HOST = "example.test"

ENCODED = base64.b64encode(f"user:{SECRET}".encode()).decode()

BREAKS: Dict[str, str] = {"crlf": "\r\nX-Evil: 1", "lf": "\nX-Evil: 1", "cr": "\rX-Evil: 1", "nul": "\0X-Evil: 1"}


def all_fields(server: Server) -> str:
    """Every header field of every request that a server has had."""
    return repr([request.headers.fields for request in server.requests])


def cookie(value: str, domain: str) -> http.cookiejar.Cookie:
    """One as only the owner of a jar can make it."""
    return http.cookiejar.Cookie(
        0, "id", value, None, False, domain, False, False, "/", True, False, None, True, None, None, {}
    )


@with_cases
class InjectionTests(OpeningTestCase):
    """Nothing that a caller, a server or a proxy says becomes another header field or another request."""

    @cases(BREAKS)
    def test_no_injection_by_the_caller(self, text: str) -> None:
        """CR, LF and NUL in URLs, userinfo, fields, names, protocols, credentials and proxies raise at once."""
        url = self.server.url
        value, name = f"a{text}", f"X{text}"
        escaped = value.replace("\r", "%0D").replace("\n", "%0A").replace("\0", "%00").replace(" ", "%20")
        attempts: List[Callable[[], object]] = [
            lambda: self.connect(url + value),
            lambda: self.connect(userinfo(url, value)),
            lambda: self.connect(userinfo(url, escaped)),
            lambda: self.connect(userinfo(url, f"user:{escaped}")),
            lambda: self.connect(url, headers={"X-Mine": value}),
            lambda: self.connect(url, headers={name: "a"}),
            lambda: Request(url, headers={"Cookie": value}),
            lambda: self.connect(url, [value]),
            lambda: self.connect(url, headers={"Sec-WebSocket-Protocol": value}),
            lambda: self.connect(url, origin=value),
            lambda: self.connect(url, user_agent=value),
            lambda: self.connect(url, http_additional_headers={"X-Mine": value}),
            lambda: self.connect(url, redirect_headers=[name]),
            lambda: self.connect(url, proxy=f"http://127.0.0.1{value}:1"),
            lambda: self.connect(url, proxy=f"http://{escaped}:b@127.0.0.1:1"),
            lambda: self.connect(url, proxy=f"http://a:{escaped}@127.0.0.1:1"),
            lambda: self.connect(url, proxy=f"socks5://a:{escaped}@127.0.0.1:1"),
            lambda: Credential(value, "a"),
            lambda: Credential("a", value),
            lambda: Credential.token("Bearer", value),
            lambda: Credential.token(name, "a"),
        ]
        for number, attempt in enumerate(attempts):
            with self.subTest(number), self.assertRaises(ValueError) as caught:
                attempt()
            self.assertNotIn(text, str(caught.exception))
        self.assertEqual(self.server.requests, [])

    def test_no_injection_by_an_escaped_path(self) -> None:
        """What is escaped stays escaped."""
        self.connect("/a%0D%0AX-Evil:%201?b=%0d%0a")
        self.assertEqual(self.server.requests[0].target, "/a%0D%0AX-Evil:%201?b=%0d%0a")
        self.assertNotIn("X-Evil", self.server.requests[0].headers)

    @cases(BREAKS)
    def test_no_injection_by_a_jar(self, text: str) -> None:
        """A cookie that would break the field is left out of the request."""
        jar = http.cookiejar.CookieJar()
        jar.set_cookie(cookie(f"a{text}", "127.0.0.1"))
        self.connect(self.server.url, http_cookie_storage=jar)
        self.assertNotIn("X-Evil", all_fields(self.server))
        self.assertNotIn("Cookie", self.server.requests[0].headers)

    @cases(BREAKS)
    def test_no_injection_by_the_environment(self, text: str) -> None:
        """A proxy of the environment with a line break in it is told as what cannot be used."""
        escaped = text.replace("\r", "%0D").replace("\n", "%0A").replace("\0", "%00")
        with mock.patch.dict(os.environ, http_proxy=f"http://a:{escaped.replace(' ', '')}@127.0.0.1:1"):
            self.fails(ProxyError, f"ws://{HOST}/")

    @cases(
        location=("302 Found", "Location: /x{}"),
        realm=("401 Unauthorized", 'WWW-Authenticate: Basic realm="x{}"'),
        nonce=("401 Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="{}"'),
        cookie=("302 Found", "Location: /x\r\nSet-Cookie: id=1{}"),
        protocol=("101 Switching Protocols", "Sec-WebSocket-Protocol: x{}"),
    )
    def test_no_injection_by_the_server(self, status: str, field: str) -> None:
        """A bare CR, a NUL and other controls in an answer end the opening; nothing of it is sent back."""
        for text in ("\rX-Evil: 1", "\0X-Evil: 1", "\x0bX-Evil: 1", "\x7fX-Evil: 1", "\r\n X-Evil: 1"):
            with self.subTest(repr(text)):
                answer = f"HTTP/1.1 {status}\r\n{field.format(text)}\r\nContent-Length: 0\r\n\r\n"
                server = self.serve(opening=raw(answer.encode()))
                session = self.session()
                for _ in range(2):
                    self.refused(session, userinfo(server.url), HandshakeError)
                self.assertNotIn("X-Evil", all_fields(server))
                self.assertNotIn("\\x0b", all_fields(server) + repr([each.target for each in server.requests]))

    def test_no_injection_by_quotes(self) -> None:
        """Realm, nonce and opaque of a server are quoted again as it meant them, whatever is in them."""
        strange = 'a", uri="/evil", b="\\'
        server = self.serve(
            opening=digest(
                "user", SECRET, realm=strange, opaque=strange, make_nonce=lambda: strange + os.urandom(8).hex()
            )
        )
        self.connect(userinfo(server.url))
        server = self.serve(opening=basic("user", SECRET, realm=strange))
        self.connect(userinfo(server.url))

    def test_no_injection_into_connect(self) -> None:
        """A proxy is told host and port of the checked URL, and fields that are its own."""
        through = self.serve(opening=refuse(502))
        for url in (f"ws://{HOST}:80/%0d%0aX-Evil:1", f"ws://{HOST}/a\u2028b"):
            self.fails(ProxyError, url, proxy=through.url.replace("ws:", "http:"))
        for url in (f"ws://{HOST}%0d%0aX-Evil:1/", f"ws://{HOST}\r\nX-Evil: 1/", f"ws://{HOST}:80\n/"):
            with self.assertRaises(InvalidURL):
                self.connect(url, proxy=through.url.replace("ws:", "http:"))
        self.assertEqual({request.target for request in through.requests}, {f"{HOST}:80"})
        self.assertNotIn("X-Evil", all_fields(through))


class PartyTests(OpeningTestCase):
    """What is for one party is told to no other."""

    def test_nothing_crosses_to_another_origin(self) -> None:
        """Another host, port or scheme gets neither password, token, cookie nor any field but those that are named."""
        jar = http.cookiejar.CookieJar()
        jar.set_cookie(cookie(SECRET, "127.0.0.1"))
        other = self.serve()
        for away in (other.url, other.url.replace("127.0.0.1", "localhost")):
            source = self.serve(opening=[basic("user", SECRET), redirect(away)])
            before = len(other.requests)
            self.connect(
                Request(userinfo(source.url), headers={"X-Api-Key": SECRET}),
                http_additional_headers={"X-Other": SECRET},
            )
            self.connect(source.url, headers={"Authorization": f"Basic {ENCODED}", "Cookie": f"id={SECRET}"})
            self.assertEqual(len(other.requests) - before, 2)
        self.assertNotIn(SECRET, all_fields(other))
        self.assertNotIn(ENCODED, all_fields(other))
        # Cookies are by host (RFC 6265), not by port.
        source = self.serve(opening=redirect(other.url.replace("127.0.0.1", "localhost")))
        self.connect(source.url, http_cookie_storage=jar)
        self.assertIn(SECRET, all_fields(source))
        self.assertNotIn(SECRET, all_fields(other))

    def test_a_password_is_for_who_has_asked(self) -> None:
        """Another origin that asks gets neither what is in the URL nor what is stored for the first one."""
        thief = self.serve(opening=basic("user", SECRET))
        source = self.serve(opening=[basic("user", SECRET), redirect(thief.url)])
        storage = CredentialStorage()
        session = self.session(url_credential_storage=storage, delegate=None)
        home = self.serve(opening=basic("user", SECRET))
        task = session.websocket_task(home.url)
        task.delegate = Delegate(did_receive_challenge=lambda *_: password())
        task.resume()
        task.wait_until_open(PATIENCE)
        self.refused(session, userinfo(source.url), AuthenticationFailed)
        self.refused(session, thief.url, AuthenticationFailed)
        self.assertNotIn("'Authorization'", all_fields(thief))

    def test_nothing_of_the_server_goes_to_a_proxy(self) -> None:
        """It sees host, port and User-Agent: no path, no cookie, no field, no password of the server's."""
        target = self.serve(opening=[basic("user", SECRET), set_cookies({"id": SECRET})])
        through = self.serve(
            opening=[basic("proxy", "its own", proxy=True), proxy({f"{HOST}:80": target.url[5:-1]}), refuse()]
        )
        session = self.session(proxy=userinfo(through.url.replace("ws:", "http:"), "proxy:its%20own"))
        for _ in range(2):
            task = session.websocket_task(
                Request(userinfo(f"ws://{HOST}/{SECRET}?{SECRET}"), headers={"X-Api-Key": SECRET})
            )
            task.resume()
            task.wait_until_open(PATIENCE)
        self.assertIn(SECRET, all_fields(target))
        for request in through.requests:
            names = {name.lower() for name, _ in request.headers.fields}
            self.assertLessEqual(names, {"host", "user-agent", "proxy-authorization"})
            self.assertNotIn(SECRET, request.target)
        self.assertNotIn(SECRET, all_fields(through))
        self.assertNotIn(ENCODED, all_fields(through))

    def test_nothing_of_a_proxy_goes_to_the_server(self) -> None:
        """Neither its password, nor what it sets; a 407 of the server's is no question of the proxy's."""
        target = self.serve(opening=at("/asks", refuse(407)))
        through = self.serve(
            opening=[
                set_cookies({"spy": "1"}),
                basic("user", SECRET, proxy=True),
                proxy({f"{HOST}:80": target.url[5:-1]}),
            ]
        )
        session = self.session(proxy=userinfo(through.url.replace("ws:", "http:")))
        self.opened(session, f"ws://{HOST}/")
        self.refused(session, f"ws://{HOST}/asks", HandshakeError)
        fields = all_fields(target)
        for word in (SECRET, ENCODED, "uthorization", "'Cookie'"):
            self.assertNotIn(word, fields)
        with self.assertRaises(ValueError):
            self.connect(target.url, headers={"Proxy-Authorization": "Basic x"})

    def test_a_proxy_cannot_answer_for_the_server(self) -> None:
        """Bytes behind its 200, a 101 and a redirect of it are errors, and its 401 is not answered."""
        target = self.serve()
        answers = (
            raw(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"),
            raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            redirect(target.url),
            basic("user", SECRET),
        )
        for answer in answers:
            through = self.serve(opening=answer)
            with self.subTest(answer):
                self.fails(ProxyError, userinfo(f"ws://{HOST}/"), proxy=through.url.replace("ws:", "http:"))
                self.assertEqual(len(through.requests), 1)
        self.assertEqual(target.requests, [])


class DowngradeTests(OpeningTestCase):
    """What was promised to be strong does not become weak by the other side's word."""

    @needs_trustme
    def test_no_downgrade_by_a_redirect(self) -> None:
        """From `wss:` to `ws:` only a delegate's own answer leads."""
        plain = self.serve()
        for location in (plain.url, plain.url.replace("ws:", "http:")):
            secure = self.serve(tls=True, opening=redirect(location))
            self.fails(InsecureRedirect, secure.url)
            self.fails(InsecureRedirect, secure.url, delegate=Delegate())
        self.assertEqual(plain.requests, [])

    def test_no_downgrade_from_digest_to_basic(self) -> None:
        """A password that was refused with Digest is not sent in clear to the same realm, nor with a weaker hash."""
        for schemes in (
            [digest("user", "other"), basic("user", SECRET)],
            [digest("user", "other"), digest("user", SECRET, algorithm="MD5")],
        ):
            count = itertools.count()

            def ask(connection: ServerConnection, schemes: Any = schemes, count: Any = count) -> None:
                schemes[min(next(count), 1)](connection)

            server = self.serve(opening=ask)
            storage = CredentialStorage()
            with self.subTest(schemes):
                self.fails(AuthenticationFailed, userinfo(server.url), url_credential_storage=storage)
                values = [request.headers.get("Authorization", "") for request in server.requests]
                self.assertEqual(["MD5" in value or "Basic" in value for value in values], [False, False])

    def test_no_downgrade_by_a_stale_nonce(self) -> None:
        """`stale=true` with another realm or a weaker hash is not answered by itself."""
        for realm, algorithm in (("elsewhere", "SHA-256"), ("wssync", "MD5")):
            first = digest("user", SECRET)
            second = f'Digest realm="{realm}", nonce="n", algorithm={algorithm}, qop="auth", stale=true'

            def ask(connection: ServerConnection, first: Any = first, second: str = second) -> None:
                if "Authorization" in connection.request.headers:
                    refuse(401, headers={"WWW-Authenticate": second})(connection)
                else:
                    first(connection)

            server = self.serve(opening=ask)
            delegate = Delegate(did_receive_challenge=lambda *_: DEFAULT)
            with self.subTest(realm=realm, algorithm=algorithm):
                self.fails(AuthenticationFailed, server.url, delegate=self.once(delegate))
                self.assertEqual(len(server.requests), 2)

    def once(self, delegate: Delegate) -> Delegate:
        """Answers one challenge with the password, and the next with nothing."""
        answers = iter([password()])
        return Delegate(did_receive_challenge=lambda *_: next(answers, answer_of(None)))

    def test_the_stronger_scheme_is_answered(self) -> None:
        """Where a server offers both, the password is not sent in clear."""
        server = self.serve(opening=either(basic("user", SECRET), digest("user", SECRET)))
        self.connect(userinfo(server.url))
        self.assertNotIn("Basic", all_fields(server))

    @needs_trustme
    def test_no_old_tls(self) -> None:
        """TLS 1.2 at least, unless the configuration says otherwise."""
        self.assertIs(SessionConfiguration().tls_minimum_supported_protocol_version, ssl.TLSVersion.TLSv1_2)
        context = self.strange_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = self.secret_server(context=context)
        minimum = {"tls_minimum_supported_protocol_version": ssl.TLSVersion.TLSv1_3}
        delegate = Delegate(session_did_receive_challenge=trusting)
        self.refused(self.plain_session(delegate, **minimum), server.url, TLSError, -1200)


class BoundTests(OpeningTestCase):
    """Whatever a server sends, and however long, an opening ends and takes no more memory than this."""

    def endless(self, begin: bytes, piece: bytes) -> Callable[[ServerConnection], None]:
        """An opening that never stops."""

        def answer(connection: ServerConnection) -> None:
            connection.send_raw(begin)
            while True:
                connection.send_raw(piece * (1 + 16_384 // len(piece)))

        return answer

    def test_endless_heads(self) -> None:
        """A status line, a field and fields without an end are refused."""
        for begin, piece in (
            (b"HTTP/1.1 101 ", b"x"),
            (b"HTTP/1.1 101 Switching Protocols\r\nX-Long: ", b"x"),
            (b"HTTP/1.1 101 Switching Protocols\r\n", b"X-Many: x\r\n"),
            (b"HTTP/1.1 401 Unauthorized\r\n", b'WWW-Authenticate: Basic realm="x"\r\n'),
            (b"HTTP/1.1 302 Found\r\nLocation: /", b"x"),
        ):
            with self.subTest(begin):
                server = self.serve(opening=self.endless(begin, piece))
                self.fails(HandshakeError, userinfo(server.url))
                self.assertEqual(len(server.requests), 1)

    def test_endless_bodies(self) -> None:
        """Of the body of a refusal, a challenge or a redirect 64 KiB are kept, and no more is read."""
        for head in (
            b"HTTP/1.1 403 Forbidden\r\n",
            b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="x"\r\n',
            b"HTTP/1.1 300 Multiple Choices\r\nTransfer-Encoding: chunked\r\n",
        ):
            with self.subTest(head):
                piece = b"1000\r\n" + b"x" * 4096 + b"\r\n" if b"chunked" in head else b"x"
                server = self.serve(opening=self.endless(head + b"\r\n", piece))
                error = self.fails(HandshakeError, server.url)
                assert isinstance(error.response, Response)
                self.assertLessEqual(len(error.response.body), 65_536)
                self.assertGreater(len(error.response.body), 65_000)

    def test_endless_redirects(self) -> None:
        """Twenty, over however many servers."""
        here = self.serve(opening=redirect(lambda request: there.url))
        there = self.serve(opening=redirect(lambda request: here.url))
        self.fails(TooManyRedirects, here.url, -1007)
        self.assertEqual(len(here.requests) + len(there.requests), 21)

    def test_endless_challenges(self) -> None:
        """Neither wrong passwords, nor stale nonces, nor ever new realms make it go on; nor do they for a proxy."""
        numbers = itertools.count()

        def new_realms(connection: ServerConnection) -> None:
            basic("user", "other", realm=f"realm {next(numbers)}")(connection)

        def new_stale_realms(connection: ServerConnection) -> None:
            digest("user", SECRET, realm=f"realm {next(numbers)}", uses=0)(connection)

        for ask in (basic("user", "other"), digest("user", SECRET, uses=0), new_realms, new_stale_realms):
            for delegate in (None, Delegate(did_receive_challenge=lambda *_: password())):
                with self.subTest(ask, delegate=bool(delegate)):
                    server = self.serve(opening=ask)
                    self.fails(AuthenticationFailed, userinfo(server.url), -1013, delegate=delegate)
                    self.assertLess(len(server.requests), 100)

    def test_endless_challenges_of_a_proxy(self) -> None:
        """The same for 407."""
        numbers = itertools.count()

        def ask(connection: ServerConnection) -> None:
            basic("user", "other", realm=f"realm {next(numbers)}", proxy=True)(connection)

        server = self.serve(opening=ask)
        self.fails(ProxyError, f"ws://{HOST}/", -1013, proxy=userinfo(server.url.replace("ws:", "http:")))
        self.assertLess(len(server.requests), 100)

    def test_endless_informational_responses(self) -> None:
        """Sixteen, then it is given up; the delegate has heard of those."""
        delegate = Delegate()
        server = self.serve(opening=self.endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"))
        self.fails(HandshakeError, server.url, delegate=delegate)
        delegate.wait_for("did_complete")
        self.assertLessEqual(len(delegate.questions("did_receive_informational_response")), 17)
        self.connect(self.serve(opening=[inform(103)] * 16).url)

    def test_large_and_many_cookies(self) -> None:
        """One of a megabyte is not stored, and of thousands the newest hundreds are."""
        large = b"HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: id=" + b"x" * 1_000_000 + b"\r\n\r\n"
        session = self.session()
        self.refused(session, self.serve(opening=raw(large)).url, HandshakeError)
        self.assertEqual(list(session.configuration.http_cookie_storage or ()), [])
        count = itertools.count()
        server = self.serve(
            opening=lambda connection: set_cookies(*(f"c{next(count)}=x" for _ in range(100)))(connection)
        )
        for _ in range(5):
            self.opened(session, server.url)
        jar = session.configuration.http_cookie_storage or ()
        self.assertLess(len(list(jar)), 200)
        self.assertIn("c499", [each.name for each in jar])

    def test_many_answers_in_one_packet(self) -> None:
        """Heads are judged one by one: an acceptance behind a refusal is nothing."""
        server = self.serve(
            opening=raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n")
        )
        self.assertEqual(getattr(self.fails(HandshakeError, server.url).response, "status_code", None), 403)


@needs_trustme
class CertificateTests(OpeningTestCase):
    """TLS checks what it should unless somebody has said otherwise in so many words."""

    def setUp(self) -> None:
        super().setUp()
        self.connections = self.count_connections()

    def test_no_silent_retry(self) -> None:
        """A bad certificate is one connection, with no request on it, if nobody has asked to decide about it."""
        server = self.secret_server(context=self.strange_context())
        for delegate in (None, Delegate()):
            self.connections.clear()
            self.refused(self.plain_session(delegate), server.url, CertificateError, -1203)
            self.assertEqual(len(self.connections), 1)
        self.assertEqual(server.requests, [])

    def test_nothing_is_sent_before_the_answer(self) -> None:
        """Where a delegate decides there are two; the request is sent on the second, when it has accepted that."""
        server = self.secret_server(context=self.strange_context())
        seen: List[int] = []

        def ask(session: Any, challenge: Any) -> Any:
            seen.append(len(server.requests))
            return DEFAULT

        self.refused(
            self.plain_session(Delegate(session_did_receive_challenge=ask)), userinfo(server.url), CertificateError
        )
        self.assertEqual((len(self.connections), seen[-1], server.requests), (2, 0, []))

    def test_host_names_are_checked(self) -> None:
        """A good certificate for another name is refused: by default, with pins, and through a proxy."""
        import trustme

        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.trust(authority.cert_pem.bytes())
        server = self.secret_server(context=self.strange_context("example.org", authority=authority))
        through = self.serve(
            opening=proxy({f"{HOST}:443": server.url.rstrip("/").replace("wss://localhost", "127.0.0.1")})
        )
        self.refused(self.plain_session(), server.url, CertificateError, -1202)
        self.refused(self.plain_session(), server.url.replace("localhost", "127.0.0.1"), CertificateError, -1202)
        session = self.plain_session(proxy=through.url.replace("ws:", "http:"))
        self.refused(session, f"wss://{HOST}/", CertificateError, -1202)
        self.assertEqual(server.requests, [])

    def test_no_bare_context(self) -> None:
        """An `ssl_context` that checks nothing by accident is a ValueError, in `Session` and in `connect`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with self.assertRaises(ValueError):
            self.plain_session(ssl_context=context)
        with self.assertRaises(ValueError):
            self.connect("wss://localhost:1/", ssl_context=context)

    def test_one_certificate_is_accepted(self) -> None:
        """What a delegate has accepted is that certificate: another one of the same server, later, is refused."""
        ours, theirs = self.strange_context(), self.strange_context()
        left = [ours, ours, theirs]
        outer = self.strange_context()

        def choose(connection: Any, name: Optional[str], context: ssl.SSLContext) -> None:
            connection.context = left.pop(0)

        outer.sni_callback = choose
        server = self.secret_server(context=outer, opening=basic("user", SECRET))
        delegate = Delegate(session_did_receive_challenge=trusting)
        self.refused(self.plain_session(delegate), userinfo(server.url), CertificateError, -1202)
        self.assertNotIn("uthorization", all_fields(server))


@with_cases
class SecretTests(OpeningTestCase):
    """Secrets are in no text: of values, errors, logs, traces and pickles."""

    def setUp(self) -> None:
        super().setUp()
        self.lines: List[str] = []
        self.watch_log()
        self.watch_trace()

    def watch_log(self) -> None:
        """Keep what is logged at any level, with the tracebacks."""
        logger = logging.getLogger("wssync")
        formatter = logging.Formatter("%(message)s")
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(formatter.format(record))  # type: ignore[method-assign]
        propagates, level = logger.propagate, logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(logger.setLevel, level)
        self.addCleanup(setattr, logger, "propagate", propagates)

    def watch_trace(self) -> None:
        """Keep what the `trace` of a configuration hears; as long as it is not called, its stand-in's."""
        if hasattr(loop, "_no_trace"):
            patch = mock.patch.object(loop, "_no_trace", self.hear)
            patch.start()
            self.addCleanup(patch.stop)

    def hear(self, event: str, *arguments: Any, **fields: Any) -> None:
        """What `trace` is: it is called as `trace(event, task, fields)`."""
        self.lines.append(repr((event, arguments, fields)))
        for value in (*fields.values(), *(dict(arguments[-1]).values() if arguments else ())):
            if isinstance(value, BaseException):
                self.lines.append(everything_in(value))

    def assertSilent(self, *texts: str) -> None:
        """No secret was told."""
        for text in (*texts, *self.lines):
            for secret in (SECRET, ENCODED):
                if secret in text:
                    start = text.index(secret)
                    self.fail(f"a secret is shown: {text[max(0, start - 300) : start + 100]}")

    def told_by(self, url: Any, error: bool = True, **options: Any) -> None:
        """Open, or fail to, and look into everything that there is to be seen."""
        configuration = SessionConfiguration.ephemeral().replace(trace=self.hear, **options.pop("changes", {}))
        delegate = options.pop("delegate", None)
        session = wssync.Session(configuration, delegate=delegate)
        self.addCleanup(session.__exit__, None, None, None)
        task = session.websocket_task(url)
        texts = [repr(task), repr(session), repr(configuration), str(task)]
        task.resume()
        try:
            task.wait_until_open(PATIENCE)
        except WebSocketError as caught:
            texts.append(everything_in(caught))
        else:
            self.assertFalse(error, "it has opened")
            task.close()
        texts += [repr(task), repr(task.original_request), repr(task.current_request), repr(task.response)]
        texts.append(repr(task.error))
        self.assertSilent(*texts)

    def test_in_values(self) -> None:
        """`repr` and `str` of requests, configurations, credentials, challenges and stores."""
        server = self.serve(opening=basic("user", SECRET))
        delegate = Delegate(did_receive_challenge=lambda *_: DEFAULT)
        self.connect(userinfo(server.url), delegate=delegate)
        storage = CredentialStorage()
        (challenge,) = delegate.questions()
        storage.set(Credential("user", SECRET), challenge.protection_space)
        jar = http.cookiejar.CookieJar()
        values: Iterator[Any] = iter(
            [
                Request(userinfo("ws://localhost/")),
                Request("ws://localhost/", headers={"Authorization": SECRET, "Cookie": SECRET, "X-Api-Key": "shown"}),
                Request(userinfo("ws://localhost/")).parsed_url,
                SessionConfiguration(proxy=userinfo("http://localhost/")),
                SessionConfiguration(
                    http_additional_headers=Headers({"Authorization": SECRET}), url_credential_storage=storage
                ),
                SessionConfiguration(http_cookie_storage=jar),
                Credential("user", SECRET),
                Credential(SECRET, ""),
                Credential.token("Bearer", SECRET),
                Credential.identity("file.pem", password=SECRET),
                challenge,
                storage,
            ]
        )
        for value in values:
            with self.subTest(type(value).__name__):
                self.assertSilent(repr(value), str(value))

    def test_in_bad_values(self) -> None:
        """The errors for what a caller gets wrong repeat no secret, nor do their causes."""
        attempts: List[Callable[[], object]] = [
            lambda: Request(f"ws://user:{SECRET}@local host/"),
            lambda: Request(f"http://user:{SECRET}@localhost/"),
            lambda: Request(f"ws://user:{SECRET}%0a@localhost/"),
            lambda: Request(f"ws://us@er:{SECRET}@localhost:99999/"),
            lambda: Request("ws://localhost/", headers={"Authorization": f"{SECRET}\r\n"}),
            lambda: SessionConfiguration(proxy=f"ftp://user:{SECRET}@localhost/"),
            lambda: SessionConfiguration(proxy=f"http://user:{SECRET}@local host/"),
            lambda: SessionConfiguration(proxy=f"http://user:{SECRET}@localhost/path"),
            lambda: SessionConfiguration(proxy=f"socks4a://user:{SECRET}@localhost"),
            lambda: Credential("user", f"{SECRET}\n"),
            lambda: Credential.token("Bearer", f"{SECRET}\n"),
        ]
        for number, attempt in enumerate(attempts):
            with self.subTest(number):
                with self.assertRaises(ValueError) as caught:
                    attempt()
                error = caught.exception
                self.assertSilent(everything_in(error) if isinstance(error, WebSocketError) else whole(error))

    @cases(
        good=(False, ()),
        refused=(True, (refuse(403),)),
        asked=(True, (basic("user", "other"),)),
        asked_by_digest=(True, (digest("user", "other"),)),
        moved_to_nowhere=(True, (redirect("ftp://x/"),)),
        lost=(True, (raw(b"HTTP/1.1 2"),)),
        garbage=(True, (raw(b"garbage\r\n\r\n"),)),
    )
    def test_of_the_url(self, error: bool, openings: Any) -> None:
        """Userinfo, in whatever way the opening ends."""
        self.told_by(userinfo(self.serve(opening=openings).url_for("/path")), error)

    def test_of_the_url_without_a_server(self) -> None:
        """Userinfo, when there is nobody, or no such name."""
        server = self.serve()
        server.refuse_connections()
        self.told_by(userinfo(server.url))
        with mock.patch("socket.getaddrinfo", side_effect=OSError("no such name")):
            self.told_by(userinfo(f"ws://{HOST}/"), changes={"proxy": None})

    def test_of_header_fields(self) -> None:
        """Authorization and Cookie of a request, and those of the configuration."""
        fields = {"Authorization": f"Bearer {SECRET}", "Cookie": f"id={SECRET}"}
        for openings in ((), (refuse(403),), (basic("user", "x"),)):
            server = self.serve(opening=openings)
            self.told_by(Request(server.url, headers=fields), error=bool(openings))
            self.told_by(server.url, bool(openings), changes={"http_additional_headers": fields})

    def test_of_a_delegate(self) -> None:
        """Its credentials, good ones, wrong ones and those that do not fit."""
        server = self.serve(opening=basic("user", SECRET))
        other = self.serve(opening=basic("user", "other"))
        for url, error, answer in (
            (server.url, False, password()),
            (other.url, True, password()),
            (other.url, True, answer_of(Credential.token("Bearer", SECRET))),
            (other.url, True, answer_of(Credential("us:er", SECRET))),
            (other.url, True, (SECRET, SECRET)),
            (other.url, True, SECRET),
        ):
            delegate = Delegate(did_receive_challenge=lambda *_, answer=answer: answer)
            self.told_by(url, error, delegate=delegate)

    def test_of_a_proxy(self) -> None:
        """Its password, in its URL and in the environment, in whatever way it ends."""
        target = self.serve()
        routes = {f"{HOST}:80": target.url[5:-1]}
        for error, openings in (
            (False, [basic("user", SECRET, proxy=True), proxy(routes)]),
            (True, [basic("user", "other", proxy=True)]),
            (True, [digest("user", "other", proxy=True)]),
            (True, [refuse(502)]),
            (True, [raw(b"garbage\r\n\r\n")]),
        ):
            through = self.serve(opening=openings)
            url = userinfo(through.url.replace("ws:", "http:"))
            self.told_by(f"ws://{HOST}/", error, changes={"proxy": url})
            with mock.patch.dict(os.environ, http_proxy=url):
                self.told_by(f"ws://{HOST}/", error)
            through.refuse_connections()
            self.told_by(f"ws://{HOST}/", changes={"proxy": url})
        with mock.patch.dict(os.environ, http_proxy=f"http://user:{SECRET}@local host:1/"):
            self.told_by(f"ws://{HOST}/")

    def test_of_a_socks_proxy(self) -> None:
        """Its password, accepted or not."""
        target = self.serve()
        address = ("127.0.0.1", int(target.url[:-1].rpartition(":")[2]))
        for accepted in (SECRET, "other"):
            routes = {f"{HOST}:80": address} if accepted == SECRET else None
            with SocksServer(routes, user="user", password=accepted) as server:
                url = f"socks5://user:{SECRET}@127.0.0.1:{server.port}"
                self.told_by(f"ws://{HOST}/", accepted != SECRET, changes={"proxy": url})

    def test_of_a_netrc_file(self) -> None:
        """What stands in it, also when it cannot be read."""
        server = self.serve(opening=basic("user", "other"))
        path = self.folder() / "netrc"
        for text in (f"machine 127.0.0.1 login user password {SECRET}", f"machine 127.0.0.1 {SECRET}", f'"{SECRET}'):
            path.write_text(text)
            path.chmod(0o600)
            self.told_by(server.url, changes={"netrc": str(path)})

    @needs_trustme
    def test_of_a_client_certificate(self) -> None:
        """The password of its key, when the file is missing and when the password is wrong."""
        import trustme
        from cryptography.hazmat.primitives import serialization

        path = self.folder() / "client.pem"
        leaf = trustme.CA().issue_cert("client@example.org")
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"other"),
        )
        path.write_bytes(encrypted + leaf.cert_chain_pems[0].bytes())
        server = self.secret_server(context=self.strange_context())
        for name in (str(path), "/nowhere.pem"):
            credential = Credential.identity(name, password=SECRET)
            delegate = Delegate(session_did_receive_challenge=lambda *_, credential=credential: answer_of(credential))
            self.told_by(server.url, delegate=delegate)

    def test_of_a_location(self) -> None:
        """Userinfo that a server writes into a redirect."""
        server = self.serve()
        for location in (userinfo(server.url), f"http://user:{SECRET}@local host/", f"ftp://user:{SECRET}@x/"):
            source = self.serve(opening=redirect(location))
            session = self.session()
            task = session.websocket_task(source.url)
            task.resume()
            try:
                task.wait_until_open(PATIENCE)
            except HandshakeError as error:
                error.response = None  # the field itself is there, as it came
                self.assertSilent(*map(str, walk(error)), *map(repr, walk(error)))
            self.assertSilent(repr(task), repr(task.current_request))


def walk(error: BaseException) -> List[BaseException]:
    """The error and those behind it."""
    from tests.opening.support import chain

    return list(chain(error))


def whole(error: BaseException) -> str:
    """The texts of an error and of those behind it."""
    return "\n".join(f"{one} {one!r}" for one in walk(error))


class ReadmeTests(unittest.TestCase):
    def test_the_table(self) -> None:
        """The table of README.md names every test of this module, and no other."""
        text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
        table = text.partition("\n## Security\n")[2].partition("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
        self.assertEqual([row for row in rows if "`test_" not in row], [])
        kinds = (InjectionTests, PartyTests, DowngradeTests, BoundTests, CertificateTests, SecretTests)
        here = {name.partition("__")[0] for kind in kinds for name in vars(kind) if name.startswith("test_")}
        self.assertEqual(sorted(re.findall(r"`(test_\w+)`", table)), sorted(here))
