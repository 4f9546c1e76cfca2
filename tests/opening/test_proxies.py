"""Proxies, from the outside: which one is taken, what it is told, and what it never hears."""

from __future__ import annotations

import os
import socket
import sys
import unittest
from typing import Any, Dict
from unittest import mock

import wssync
from tests.opening.support import (
    CANCEL,
    DEFAULT,
    REJECT,
    SECRET,
    Delegate,
    Door,
    OpeningTestCase,
    answer_of,
    password,
    trust_in,
    userinfo,
)
from tests.support import cases, with_cases
from tests.tasks import needs_trustme
from tests.transport.socks_server import Asked, SocksServer
from wssync import (
    Cancelled,
    CertificateError,
    ConnectionFailed,
    ConnectionRefused,
    Credential,
    CredentialPersistence,
    CredentialStorage,
    HostNotFound,
    ProtectionSpace,
    ProxyError,
    Request,
)
from wssync.protocol.certificates import pin_of
from wssync.testing import Server, basic, digest, either, inform, proxy, redirect, refuse, set_cookies

HOST = "example.test"


def port_of(server: Server) -> int:
    """The port of a server."""
    return int(server.url[:-1].rpartition(":")[2])


class ProxyTestCase(OpeningTestCase):
    """A server that is known by the name `HOST`, which nobody resolves, and proxies that know where it is."""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.serve()
        self.url = f"ws://{HOST}/chat?room=1"
        self.routes = {f"{HOST}:80": f"127.0.0.1:{port_of(self.target)}"}

    def proxy(self, *before: Any, **options: Any) -> Server:
        """An HTTP proxy that does `before` first."""
        routes = options.pop("routes", self.routes)
        return self.serve(opening=[*before, proxy(routes), refuse(405)], **options)

    def socks(self, **options: Any) -> SocksServer:
        """A SOCKS proxy."""
        routes = {name: ("127.0.0.1", int(place.rpartition(":")[2])) for name, place in self.routes.items()}
        server = SocksServer(options.pop("routes", routes), **options)
        server.__enter__()
        self.addCleanup(server.__exit__)
        return server

    def connect(self, *arguments: Any, **options: Any) -> wssync.WebSocketTask:
        """See `WebSocketTestCase.connect`; the task ends before the proxy does."""
        task = super().connect(*arguments, **options)
        self.addCleanup(task.cancel)
        return task

    def assertEchoes(self, task: wssync.WebSocketTask) -> None:
        """It is open, and somebody says the same again."""
        task.send("hello")
        self.assertReceives(task, "hello")


def url_of(server: Server, user: str = "") -> str:
    """The URL of a proxy."""
    url = server.url.replace("ws", "http", 1)
    return userinfo(url, user) if user else url


class ConnectTests(ProxyTestCase):
    """Rules 103 and 106: HTTP proxies."""

    def test_ws(self) -> None:
        """Rule 103: `ws:` too goes through CONNECT host:port, which is all that the proxy is told."""
        through = self.proxy()
        task = self.connect(
            Request(userinfo(self.url), headers={"X-Api-Key": SECRET, "Cookie": f"id={SECRET}"}), proxy=url_of(through)
        )
        self.assertEchoes(task)
        (request,) = through.requests
        self.assertEqual((request.method, request.target), ("CONNECT", f"{HOST}:80"))
        self.assertEqual(dict(request.headers.fields), {"Host": f"{HOST}:80", "User-Agent": "wssync"})
        self.assertEqual(self.target.requests[0].target, "/chat?room=1")
        self.assertEqual(self.target.requests[0].headers["Host"], HOST)

    @needs_trustme
    def test_wss(self) -> None:
        """Rule 103: TLS to the origin begins after the 200; the certificate is the origin's."""
        server = self.serve(tls=True)
        routes = {f"localhost:{port_of(server)}": f"127.0.0.1:{port_of(server)}"}
        through = self.proxy(routes=routes)
        task = self.connect(server.url_for("/secret"), proxy=url_of(through))
        self.assertEchoes(task)
        self.assertEqual(through.requests[0].target, f"localhost:{port_of(server)}")

    @needs_trustme
    def test_a_bad_certificate_behind_it(self) -> None:
        """Rules 99 and 103: the proxy cannot pass itself off as the origin."""
        server = self.secret_server(context=self.strange_context())
        through = self.proxy(routes={f"{HOST}:443": f"127.0.0.1:{port_of(server)}"})
        self.refused(self.plain_session(proxy=url_of(through)), f"wss://{HOST}/", CertificateError)
        self.assertEqual((len(through.requests), server.requests), (1, []))

    @needs_trustme
    def test_an_https_proxy(self) -> None:
        """Rule 103: TLS to the proxy, and for `wss:` once more within."""
        self.trust()
        inner = self.secret_server(context=self.context_of_the_kit())
        routes = {**self.routes, f"localhost:{port_of(inner)}": f"127.0.0.1:{port_of(inner)}"}
        through = self.proxy(routes=routes, tls=True)
        session = self.plain_session(proxy=url_of(through))
        self.assertEchoes(self.opened(session, self.url))
        self.assertEchoes(self.opened(session, inner.url))
        self.assertEqual(len(through.requests), 2)

    def context_of_the_kit(self) -> Any:
        """That of the kit itself."""
        from wssync.testing.certificates import make_server_context

        return make_server_context()

    @needs_trustme
    def test_an_https_proxy_that_nobody_knows(self) -> None:
        """Rule 99: no delegate is asked about it, and it hears of no host: `ProxyError` with the number of TLS."""
        through = self.secret_server(context=self.strange_context(), opening=proxy(self.routes))
        delegate = Delegate(
            session_did_receive_challenge=lambda *_: self.fail("asked"), did_receive_challenge=lambda *_: DEFAULT
        )
        error = self.refused(self.plain_session(delegate, proxy=url_of(through)), self.url, ProxyError, -1203)
        self.assertIsInstance(error.__cause__, CertificateError)
        self.assertEqual((delegate.questions(), through.requests), ([], []))

    @needs_trustme
    def test_pins_are_for_the_server(self) -> None:
        """Rule 103's neighbour: `certificate_pins` are not asked of an https proxy, whose key is another one."""
        import trustme

        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.trust(authority.cert_pem.bytes())
        inner = self.secret_server(context=self.strange_context(authority=authority))
        port = port_of(inner)
        through = self.secret_server(
            context=self.strange_context(authority=authority),
            opening=proxy({f"localhost:{port}": f"127.0.0.1:{port}"}),
        )
        delegate = Delegate(session_did_receive_challenge=lambda *_: DEFAULT)
        self.opened(self.plain_session(delegate), inner.url)
        trust = trust_in(delegate.questions("session_did_receive_challenge")[-1])
        pins = [pin_of(trust.certificates[0])]
        session = self.plain_session(proxy=url_of(through), certificate_pins=pins)
        self.assertEchoes(self.opened(session, inner.url))

    def test_refusals(self) -> None:
        """Rule 103: a non-2xx fails the task, with the response and its body."""
        for status in (400, 403, 502, 302, 101):
            through = (
                self.serve(opening=refuse(status, body=b"no", headers={"Location": "/"})) if status != 101 else None
            )
            if through is None:
                continue
            with self.subTest(status):
                error = self.fails(ProxyError, self.url, proxy=url_of(through))
                response = error.response
                assert isinstance(response, wssync.Response)
                self.assertEqual((response.status_code, response.body), (status, b"no"))
        self.assertEqual(self.target.requests, [])

    def test_a_target_that_is_not_there(self) -> None:
        """Rule 103: 502 by the proxy."""
        error = self.fails(
            ProxyError, "ws://nowhere.test/", proxy=url_of(self.proxy(routes={"nowhere.test:80": "127.0.0.1:1"}))
        )
        self.assertIn("502", str(error))

    def test_what_is_no_proxy(self) -> None:
        """Rule 103: garbage, a hang-up and half an answer are the proxy's fault, and are told so."""
        from wssync.testing import drop, garbage, half_a_head, raw

        self.quiet()
        switching = raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        for opening in (garbage(), drop, raw(b"HTTP/1.1 2"), half_a_head, switching):
            through = self.serve(opening=opening)
            with self.subTest(opening):
                error = self.fails(ProxyError, self.url, proxy=url_of(through))
                self.assertIn(str(port_of(through)), str(error))
                self.assertEqual(error.url, self.url)
            through.take_errors()
        self.assertEqual(self.target.requests, [])

    def test_more_than_an_answer(self) -> None:
        """Rule 103: bytes behind the 200, which nobody can have sent who was asked by nobody, are refused."""
        from wssync.testing import raw

        through = self.serve(opening=raw(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"))
        self.fails(ProxyError, self.url, proxy=url_of(through))

    def test_informational_responses(self) -> None:
        """Rule 103: those of the proxy come before its answer, and are not the task's."""
        delegate = Delegate()
        self.assertEchoes(self.connect(self.url, proxy=url_of(self.proxy(inform(103))), delegate=delegate))
        self.assertNotIn("did_receive_informational_response", delegate.names)

    def test_one_that_is_not_there(self) -> None:
        """Rule 103: a `ProxyError` that names the proxy, without its password."""
        through = self.proxy()
        through.refuse_connections()
        error = self.fails(ProxyError, self.url, -1004, proxy=url_of(through, f"user:{SECRET}"))
        self.assertIn(str(port_of(through)), str(error))
        self.assertNotIn(SECRET, str(error))
        self.assertEqual(error.url, self.url)

    def test_the_addresses(self) -> None:
        """Rule 106: `remote_address` is that of the proxy."""
        through = self.proxy()
        task = self.connect(self.url, proxy=url_of(through))
        self.assertEqual(task.remote_address, ("127.0.0.1", port_of(through)))

    def test_each_hop(self) -> None:
        """Rules 54 and 103: a redirect is followed through the proxy as well."""
        other = self.serve()
        moved = self.serve(opening=redirect("http://other.test:81/x"))
        routes = {f"{HOST}:80": f"127.0.0.1:{port_of(moved)}", "other.test:81": f"127.0.0.1:{port_of(other)}"}
        through = self.proxy(routes=routes)
        self.connect(self.url, proxy=url_of(through))
        self.assertEqual([each.target for each in through.requests], [f"{HOST}:80", "other.test:81"])
        self.assertEqual(other.requests[0].target, "/x")

    def test_cookies_of_a_proxy(self) -> None:
        """Rules 82 and 103: what a proxy sets is not the origin's."""
        through = self.proxy(set_cookies({"spy": "1"}), basic("user", SECRET, proxy=True))
        session = self.session(proxy=url_of(through, f"user:{SECRET}"))
        self.opened(session, self.url)
        self.assertEqual(list(session.configuration.http_cookie_storage or ()), [])
        self.assertNotIn("Cookie", self.target.requests[0].headers)


@with_cases
class ProxyAuthenticationTests(ProxyTestCase):
    """Rule 77: 407 is answered as 401 is."""

    @cases(basic=basic("user", SECRET, proxy=True), digest=digest("user", SECRET, proxy=True))
    def test_by_its_url(self, way: Any) -> None:
        """Rule 77: userinfo of the proxy's URL; the answer goes to the proxy alone."""
        through = self.proxy(way)
        self.assertEchoes(self.connect(self.url, proxy=url_of(through, f"user:{SECRET}")))
        values = [request.headers.get("Proxy-Authorization") for request in through.requests]
        self.assertEqual((len(values), values[0]), (2, None))
        (request,) = self.target.requests
        self.assertFalse([name for name, _ in request.headers.fields if "authorization" in name.lower()])

    def test_by_the_delegate(self) -> None:
        """Rule 77: it is asked with a space of the proxy, and the 407."""
        through = self.proxy(digest("user", SECRET, proxy=True, realm="the proxy"))
        answers = [password(secret="wrong"), password()]
        delegate = Delegate(did_receive_challenge=lambda *_: answers.pop(0))
        self.assertEchoes(self.connect(self.url, proxy=url_of(through), delegate=delegate))
        first, second = delegate.questions()
        self.assertEqual(
            first.protection_space, ProtectionSpace("127.0.0.1", port_of(through), "http", "the proxy", "Digest", True)
        )
        self.assertEqual([first.previous_failure_count, second.previous_failure_count], [0, 1])
        self.assertEqual(first.failure_response.status_code, 407)
        self.assertIn(b"credentials", first.failure_response.body)

    def test_one_that_does_not_fit(self) -> None:
        """Rules 73 and 77: a credential that cannot be used is a `ProxyError` with -1013, and shows no secret."""
        through = self.proxy(basic("user", SECRET, proxy=True))
        delegate = Delegate(did_receive_challenge=lambda *_: answer_of(Credential("us:er", SECRET)))
        error = self.fails(ProxyError, self.url, -1013, proxy=url_of(through), delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), 407)
        self.assertNotIn(SECRET, str(error))

    @cases(none=(None, None), default=(DEFAULT, None), no_credential=(answer_of(None), None), reject=(REJECT, None))
    def test_nothing_to_offer(self, answer: Any, _: Any) -> None:
        """Rules 71 and 77: a `ProxyError` with -1013 and the response."""
        through = self.proxy(basic("user", SECRET, proxy=True))
        delegate = None if answer is None else Delegate(did_receive_challenge=lambda *_: answer)
        error = self.fails(ProxyError, self.url, -1013, proxy=url_of(through), delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), 407)
        self.assertEqual(getattr(error.response, "body", None), b"there are no credentials\n")
        self.assertEqual(len(through.requests), 1)

    def test_cancel(self) -> None:
        """Rules 70 and 77: -999."""
        through = self.proxy(basic("user", SECRET, proxy=True))
        delegate = Delegate(did_receive_challenge=lambda *_: CANCEL)
        self.fails(Cancelled, self.url, -999, proxy=url_of(through), delegate=delegate)

    def test_wrong_ones(self) -> None:
        """Rules 72 and 77: twice, not a third time."""
        through = self.proxy(basic("user", SECRET, proxy=True))
        delegate = Delegate(did_receive_challenge=lambda *_: password(secret="wrong"))
        self.fails(ProxyError, self.url, -1013, proxy=url_of(through), delegate=delegate)
        self.assertEqual(len(through.requests), 3)

    def test_reject(self) -> None:
        """Rules 70 and 77: the next challenge of the same 407."""
        ways = either(digest("user", SECRET, proxy=True), basic("user", SECRET, proxy=True))
        answers = [REJECT, password()]
        delegate = Delegate(did_receive_challenge=lambda *_: answers.pop(0))
        through = self.proxy(ways)
        self.connect(self.url, proxy=url_of(through), delegate=delegate)
        self.assertRegex(through.requests[1].headers["Proxy-Authorization"], "^Basic ")

    def test_stale(self) -> None:
        """Rules 74 and 77: a new nonce is answered without asking."""
        other = self.serve(opening=redirect("http://example.test/next"))
        routes = {"other.test:80": f"127.0.0.1:{port_of(other)}", **self.routes}
        through = self.proxy(digest("user", SECRET, proxy=True, uses=1), routes=routes)
        delegate = Delegate(did_receive_challenge=lambda *_: password())
        self.connect("ws://other.test/", proxy=url_of(through), delegate=delegate)
        self.assertEqual((len(delegate.questions()), len(through.requests)), (1, 4))

    def test_stored(self) -> None:
        """Rules 75 and 77: after a 2xx, under a space of the proxy; a second task uses it."""
        storage = CredentialStorage()
        through = self.proxy(basic("user", SECRET, proxy=True))
        delegate = Delegate(did_receive_challenge=lambda *_: password())
        self.connect(self.url, proxy=url_of(through), delegate=delegate, url_credential_storage=storage)
        ((space, users),) = storage.all_credentials.items()
        self.assertTrue(space.is_proxy)
        self.assertEqual(users["user"].persistence, CredentialPersistence.FOR_SESSION)
        self.connect(self.url, proxy=url_of(through), url_credential_storage=storage)

    def test_both_ask(self) -> None:
        """Rules 64 and 77: the proxy and the origin each get their own answer, though realm and user are the same."""
        target = self.serve(opening=basic("user", "for the origin"))
        through = self.proxy(basic("user", SECRET, proxy=True), routes={f"{HOST}:80": f"127.0.0.1:{port_of(target)}"})

        def answer(session: Any, task: Any, challenge: Any) -> Any:
            return password(secret=SECRET if challenge.protection_space.is_proxy else "for the origin")

        delegate = Delegate(did_receive_challenge=answer)
        self.connect(self.url, proxy=url_of(through), delegate=delegate)
        self.assertEqual([each.protection_space.is_proxy for each in delegate.questions()], [True, False])
        everything = repr([request.headers.fields for request in through.requests])
        self.assertNotIn("'Authorization'", everything)
        self.assertNotIn("Proxy-Authorization", repr([request.headers.fields for request in target.requests]))

    def test_a_407_of_the_origin(self) -> None:
        """Rule 77: one that does not come from a proxy is an answer like any other; the proxy's password stays."""
        target = self.serve(opening=refuse(407))
        through = self.proxy(basic("user", SECRET, proxy=True), routes={f"{HOST}:80": f"127.0.0.1:{port_of(target)}"})
        delegate = Delegate(did_receive_challenge=lambda *_: password())
        error = self.fails(wssync.HandshakeError, self.url, proxy=url_of(through), delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), 407)
        self.assertEqual([each.protection_space.is_proxy for each in delegate.questions()], [True])

    def test_a_401_of_the_proxy(self) -> None:
        """Rule 77: a proxy that asks as an origin does gets no answer; the origin's password stays."""
        delegate = Delegate(did_receive_challenge=lambda *_: self.fail("asked"))
        for field in ("WWW-Authenticate", "Proxy-Authenticate"):
            through = self.serve(opening=refuse(401, headers={field: 'Basic realm="x"'}))
            own = url_of(through, f"user:{SECRET}")
            self.fails(ProxyError, userinfo(self.url), proxy=own, delegate=delegate)
            self.assertEqual(len(through.requests), 1)

    def test_netrc(self) -> None:
        """Rules 65 and 77: it has the proxy's password too, under the proxy's host."""
        path = self.folder() / "netrc"
        path.write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
        path.chmod(0o600)
        self.connect(self.url, proxy=url_of(self.proxy(basic("user", SECRET, proxy=True))), netrc=str(path))
        self.assertNotIn("Authorization", self.target.requests[0].headers)


class SocksTests(ProxyTestCase):
    """Rule 104."""

    def test_socks_5(self) -> None:
        """Rule 104: the name goes to the proxy as it is, with user and password by RFC 1929."""
        server = self.socks(user="user", password=SECRET)
        task = self.connect(self.url, proxy=f"socks5://user:{SECRET}@127.0.0.1:{server.port}")
        self.assertEchoes(task)
        self.assertEqual(server.asked, [Asked(5, HOST, 80, "user", SECRET)])
        self.assertEqual(task.remote_address, ("127.0.0.1", server.port))

    def test_socks_4a(self) -> None:
        """Rule 104: there too the name is resolved by the proxy."""
        server = self.socks()
        self.assertEchoes(self.connect(self.url, proxy=f"socks4a://127.0.0.1:{server.port}"))
        self.assertEqual([(each.version, each.host) for each in server.asked], [(4, HOST)])

    @needs_trustme
    def test_wss(self) -> None:
        """Rules 97 and 104: TLS is with the origin."""
        secure = self.serve(tls=True)
        server = self.socks(routes={f"localhost:{port_of(secure)}": ("127.0.0.1", port_of(secure))})
        self.assertEchoes(self.connect(secure.url, proxy=f"socks5h://127.0.0.1:{server.port}"))

    def test_what_it_answers(self) -> None:
        """Rule 104: refused, unknown host and the rest have their own errors; a wrong password shows none."""
        for code, kind in ((5, ConnectionRefused), (4, HostNotFound), (1, ProxyError), (2, ProxyError)):
            server = self.socks(code=code, routes=None)
            with self.subTest(code):
                self.fails(kind, self.url, proxy=f"socks5://127.0.0.1:{server.port}")
        server = self.socks(user="user", password="other", routes=None)
        error = self.fails(ProxyError, self.url, proxy=f"socks5://user:{SECRET}@127.0.0.1:{server.port}")
        self.assertNotIn(SECRET, str(error))
        self.assertEqual(self.target.requests, [])


@with_cases
class ChoiceTests(ProxyTestCase):
    """Rules 103 to 105: which proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.through = self.proxy()
        # What the system of a Mac or of Windows has is not asked about either.
        for name in ("getproxies", "proxy_bypass"):
            function = getattr(__import__("urllib.request").request, f"{name}_environment")
            patch = mock.patch(f"urllib.request.{name}", function)
            patch.start()
            self.addCleanup(patch.stop)

    def passed(self) -> int:
        """How many requests the proxy has had."""
        return len(self.through.requests)

    @cases(
        http=("http_proxy", "http://{}"),
        without_scheme=("http_proxy", "{}"),
        upper_case=("HTTP_PROXY", "http://{}"),
        own_name=("ws_proxy", "http://{}"),
        all=("all_proxy", "http://{}"),
    )
    def test_ws_by_the_environment(self, name: str, value: str) -> None:
        """Rule 103: `http_proxy` and its kin are for `ws:`; the target is reached by nothing else."""
        with mock.patch.dict(os.environ, {name: value.format(f"127.0.0.1:{port_of(self.through)}")}):
            self.assertEchoes(self.connect(self.url))
        self.assertEqual(self.passed(), 1)

    @needs_trustme
    def test_wss_by_the_environment(self) -> None:
        """Rule 103: `https_proxy` is for `wss:`, and `http_proxy` is not."""
        self.trust()
        secure = self.secret_server(context=self.strange_context(HOST, authority=self.own_authority()))
        self.routes[f"{HOST}:443"] = f"127.0.0.1:{port_of(secure)}"
        through = self.proxy()
        proxies = {"http_proxy": "http://127.0.0.1:1", "https_proxy": f"127.0.0.1:{port_of(through)}"}
        with mock.patch.dict(os.environ, proxies):
            self.opened(self.plain_session(), f"wss://{HOST}/")
        self.assertEqual(len(through.requests), 1)

    def own_authority(self) -> Any:
        """An authority that is trusted."""
        import trustme

        authority = trustme.CA()
        self.trust(authority.cert_pem.bytes())
        return authority

    def test_socks_by_the_environment(self) -> None:
        """Rule 104: a SOCKS proxy is taken from there as well."""
        server = self.socks()
        with mock.patch.dict(os.environ, all_proxy=f"socks5h://127.0.0.1:{server.port}"):
            self.assertEchoes(self.connect(self.url))
        self.assertEqual(len(server.asked), 1)

    def test_credentials_of_the_environment(self) -> None:
        """Rules 77 and 105: they are in the variable, as with curl."""
        through = self.proxy(basic("user", SECRET, proxy=True))
        with mock.patch.dict(os.environ, http_proxy=url_of(through, f"user:{SECRET}")):
            self.assertEchoes(self.connect(self.url))

    @cases(name=HOST, dot=".test", domain="other.test, test", star="*", port=f"{HOST}:80")
    def test_exceptions(self, no_proxy: str) -> None:
        """Rule 105: `no_proxy` bypasses it: then the name is looked up here, and is not there."""
        environment = {"http_proxy": url_of(self.through), "no_proxy": no_proxy}
        with mock.patch.dict(os.environ, environment), self.resolving_nothing():
            self.fails(HostNotFound, self.url)
        self.assertEqual(self.passed(), 0)

    @cases(other="example.org", part="ample.test", port=f"{HOST}:81", nothing="")
    def test_no_exceptions(self, no_proxy: str) -> None:
        """Rule 105: parts of names and other ports are none."""
        with mock.patch.dict(os.environ, {"http_proxy": url_of(self.through), "no_proxy": no_proxy}):
            self.connect(self.url)
        self.assertEqual(self.passed(), 1)

    def resolving_nothing(self) -> Any:
        """A block in which there is no name."""
        real = socket.getaddrinfo

        def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
            if host != "127.0.0.1":
                raise socket.gaierror(socket.EAI_NONAME, "not known")
            return real(host, *arguments, **options)

        return mock.patch("socket.getaddrinfo", resolve)

    @cases(address="127.0.0.1", name="localhost")
    def test_loopback(self, host: str) -> None:
        """Rule 105: what the environment has is never for loopback."""
        with mock.patch.dict(os.environ, http_proxy=url_of(self.through)):
            self.assertEchoes(self.connect(self.target.url.replace("127.0.0.1", host)))
        self.assertEqual(self.passed(), 0)

    def test_a_url_is_for_every_host(self) -> None:
        """Rule 105: `proxy=URL` is used for loopback too, whatever `no_proxy` says."""
        with mock.patch.dict(os.environ, no_proxy="*", http_proxy="http://127.0.0.1:1"):
            self.assertEchoes(self.connect(self.target.url, proxy=url_of(self.through)))
        self.assertEqual(self.passed(), 1)

    def test_none(self) -> None:
        """Rule 105: `proxy=None` is direct, whatever the environment says."""
        with mock.patch.dict(os.environ, http_proxy=url_of(self.through)), self.resolving_nothing():
            self.fails(HostNotFound, self.url, proxy=None)
        self.assertEqual(self.passed(), 0)

    def test_a_bad_one(self) -> None:
        """Rule 103: what is no proxy is told, and not passed over; its password is not shown."""
        with mock.patch.dict(os.environ, http_proxy=f"ftp://user:{SECRET}@127.0.0.1:1"):
            error = self.fails(ProxyError, self.url)
        self.assertNotIn(SECRET, str(error))
        self.assertEqual(self.target.requests, [])

    def test_a_cgi_script(self) -> None:
        """Rule 105's neighbour: there `HTTP_PROXY` is a header field of the client's, and is not looked at."""
        environment = {"HTTP_PROXY": url_of(self.through), "REQUEST_METHOD": "GET"}
        with mock.patch.dict(os.environ, environment), self.resolving_nothing():
            self.fails(HostNotFound, self.url)

    def test_the_dictionary(self) -> None:
        """Rule 105: Apple's keys, which win over `proxy`."""
        for changes, passes in (
            ({}, True),
            ({"HTTPEnable": 0}, False),
            ({"ExceptionsList": ["*.test"]}, False),
            ({"ExceptionsList": ["example.org"]}, True),
        ):
            with self.subTest(changes), self.resolving_nothing():
                before = self.passed()
                dictionary = {"HTTPEnable": 1, "HTTPProxy": "127.0.0.1", "HTTPPort": port_of(self.through), **changes}
                options: Dict[str, Any] = {
                    "connection_proxy_dictionary": dictionary,
                    "proxy": "http://127.0.0.1:1",
                }
                if passes:
                    self.assertEchoes(self.connect(self.url, **options))
                else:
                    self.fails(HostNotFound, self.url, **options)
                self.assertEqual(self.passed() - before, int(passes))

    def test_socks_by_the_dictionary(self) -> None:
        """Rules 104 and 105: the SOCKS keys where there is no HTTP proxy."""
        server = self.socks()
        dictionary = {"SOCKSEnable": 1, "SOCKSProxy": "127.0.0.1", "SOCKSPort": server.port}
        self.assertEchoes(self.connect(self.url, connection_proxy_dictionary=dictionary))

    def test_simple_host_names(self) -> None:
        """Rule 105: `ExcludeSimpleHostnames` bypasses it for names without a dot."""
        dictionary = {
            "HTTPEnable": 1,
            "HTTPProxy": "127.0.0.1",
            "HTTPPort": port_of(self.through),
            "ExcludeSimpleHostnames": 1,
        }
        with self.resolving_nothing():
            self.fails(HostNotFound, "ws://intranet/", connection_proxy_dictionary=dictionary)
        self.assertEqual(self.passed(), 0)


class StartTests(ProxyTestCase):
    """Where a connection starts from, and Unix sockets."""

    @unittest.skipUnless(sys.platform == "linux", "only Linux has all of 127.0.0.0/8")
    def test_a_source_address(self) -> None:
        """`source_address`: an address of this machine, a port if wanted; through a proxy too."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.3", 0))
            port = sock.getsockname()[1]
        task = self.connect(self.target.url, source_address=("127.0.0.2", 0))
        self.assertEqual((task.local_address or ("",))[0], "127.0.0.2")
        task = self.connect(self.target.url, source_address=("127.0.0.3", port))
        self.assertEqual(task.local_address, ("127.0.0.3", port))
        task = self.connect(self.url, source_address=("127.0.0.2", 0), proxy=url_of(self.proxy()))
        self.assertEqual((task.local_address or ("",))[0], "127.0.0.2")

    def test_a_source_address_of_another_family(self) -> None:
        """`source_address`: what cannot be is told."""
        error = self.fails(ConnectionFailed, self.target.url, source_address=("::1", 0))
        self.assertIn("source address", str(error))

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "no Unix sockets here")
    def test_a_unix_socket(self) -> None:
        """`unix_path`: instead of any host and any proxy; the Host field is the URL's."""
        path = self.folder() / "socket"
        with Door(path, self.target), mock.patch.dict(os.environ, http_proxy="http://127.0.0.1:1"):
            task = self.connect(self.url, unix_path=str(path))
            self.assertEchoes(task)
            self.assertEqual(self.target.requests[0].headers["Host"], HOST)
            task.close()
        self.fails(ConnectionFailed, self.url, unix_path=str(path) + "-not")

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "no Unix sockets here")
    @needs_trustme
    def test_tls_over_a_unix_socket(self) -> None:
        """`unix_path`: with `wss:` the certificate must name the URL's host."""
        secure = self.serve(tls=True)
        path = self.folder() / "socket"
        with Door(path, secure):
            task = self.connect(secure.url, unix_path=str(path))
            self.assertEchoes(task)
            task.close()
            context = secure.client_ssl_context
            self.fails(CertificateError, f"wss://{HOST}/", unix_path=str(path), ssl_context=context)
