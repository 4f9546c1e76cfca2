"""wssync's TLS with other people's: `openssl s_server` with whatever is wrong, nginx, mitmproxy in between.

`s_server` speaks no WebSocket, so there the verdict is what counts: who gets its answer, 200 and a file, has passed.
"""

from __future__ import annotations

import itertools
import os
import ssl
import sys
import unittest.mock
from contextlib import ExitStack
from pathlib import Path
from typing import Any, List, Optional

import wssync
from tests.interop import fronts, gateways
from tests.interop.fronts import FrontTestCase
from tests.interop.gateways import Gateway
from tests.interop.proxied import OTHER_PIN, SECRETS
from tests.interop.sessions import DEFAULT, USE, Asked, SessionTestCase, pin_of, pin_of_server, port_of
from tests.interop.starting import (
    authority_file,
    client_certificate,
    need_library,
    need_program,
    new_folder,
    run,
    self_signed_certificate,
    server_certificate,
    stranger_certificate,
    trusting_context,
)
from tests.processes import Program, free_port
from wssync import AuthChallengeDisposition, AuthenticationChallenge, AuthenticationMethod, Credential
from wssync.testing import Server

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

OPTION = {ssl.TLSVersion.TLSv1_2: "-tls1_2", ssl.TLSVersion.TLSv1_3: "-tls1_3"}
"""What limits `s_server` to that version."""


SOURCES = ("context", "delegate")
"""Where a client certificate comes from."""


class Deciding(wssync.SessionDelegate):
    """A delegate that accepts every certificate, shows its own if it has one, and remembers what it was asked."""

    def __init__(self, identity: Optional[Credential] = None) -> None:
        self.challenges: List[AuthenticationChallenge] = []
        self._identity = identity

    def session_did_receive_challenge(self, session: Any, challenge: AuthenticationChallenge) -> Any:
        trust = challenge.protection_space.server_trust
        if trust is not None:
            self.challenges.append(challenge)
            return USE, Credential.for_trust(trust)
        return DEFAULT if self._identity is None else (USE, self._identity)


class OpensslServer:
    """`openssl s_server` on a free port, which hands out one file and says so when it does."""

    FILE = "file"

    def __init__(self, stack: ExitStack, *options: str, certificate: Optional[Path] = None) -> None:
        self.port = free_port()
        folder = new_folder(stack)
        (folder / self.FILE).write_text("the file")
        file = certificate or server_certificate()
        command = [need_program("openssl"), "s_server", "-accept", f"127.0.0.1:{self.port}", "-WWW"]
        self.program: Program = run(stack, self.port, [*command, "-cert", file, "-key", file, *options], folder=folder)

    @property
    def url(self) -> str:
        """By name."""
        return f"wss://localhost:{self.port}/{self.FILE}"

    @property
    def was_asked(self) -> bool:
        """Whether a request came."""
        return f"FILE:{self.FILE}" in self.program.output


class OpensslTests(SessionTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        need_program("openssl")
        need_library("trustme")

    def serve(self, *options: str, certificate: Optional[Path] = None) -> OpensslServer:
        """One for this test."""
        stack = ExitStack()
        self.addCleanup(stack.close)
        return OpensslServer(stack, *options, certificate=certificate)

    def configure(self, **changes: Any) -> wssync.SessionConfiguration:
        """Trusting the authority, in a context that judges alone; `None` for none."""
        context = changes.pop("ssl_context", trusting_context())
        return super().configure(**changes, **({} if context is None else {"ssl_context": context}))

    def assertPasses(self, session: wssync.Session, server: OpensslServer) -> None:
        """It gets the file, which is no upgrade."""
        with self.assertRaises(wssync.HandshakeError) as caught:
            self.open(session, server.url)
        response: Any = caught.exception.response
        self.assertEqual((response.status_code, response.body), (200, b"the file"))
        self.assertTrue(server.was_asked)

    def assertFails(self, session: wssync.Session, server: OpensslServer, url: str = "") -> wssync.TLSError:
        """TLS does not come about, and no request leaves."""
        with self.assertRaises(wssync.TLSError) as caught:
            self.open(session, url or server.url)
        self.assertFalse(server.was_asked)
        self.assertEqual(caught.exception.url, url or server.url)
        return caught.exception

    def test_nothing_is_wrong(self) -> None:
        """The measure for all that follows."""
        for options in ([], ["-tls1_2"], ["-tls1_3"]):
            with self.subTest(options=options):
                self.assertPasses(self.session(), self.serve(*options))

    def test_versions_that_are_too_old(self) -> None:
        """TLS 1.0 and 1.1 are refused, as no matter of the certificate: a delegate is not asked."""
        for version in ("-tls1", "-tls1_1"):
            with self.subTest(version=version):
                server = self.serve(version, "-cipher", "ALL:@SECLEVEL=0")
                delegate = Deciding()
                for session in (self.session(), self.session(delegate, ssl_context=None)):
                    error = self.assertFails(session, server)
                    self.assertNotIsInstance(error, wssync.CertificateError)
                    self.assertEqual(error.url_error_code, -1200)
                self.assertEqual(delegate.challenges, [])

    def test_versions_out_of_the_bounds(self) -> None:
        """Newer ones than the least, older ones than the most, whoever has made the context."""
        least = {"tls_minimum_supported_protocol_version": ssl.TLSVersion.TLSv1_3}
        most = {"tls_maximum_supported_protocol_version": ssl.TLSVersion.TLSv1_2}
        for option, bounds, other in (("-tls1_2", least, most), ("-tls1_3", most, least)):
            with self.subTest(option=option):
                server = self.serve(option)
                for session in (self.session(**bounds), self.session(Deciding(), ssl_context=None, **bounds)):
                    error = self.assertFails(session, server)
                    self.assertEqual((type(error), error.url_error_code), (wssync.TLSError, -1200))
                self.assertPasses(self.session(Deciding(), ssl_context=None, **other), server)

    def test_certificates_that_are_not_good(self) -> None:
        """Each with the number that says why; the context judges alone, and a delegate is not asked."""
        for certificate, code in (
            (server_certificate(begins=-30, ends=-1), -1201),
            (server_certificate("wrong.example"), -1202),
            (stranger_certificate(), -1203),
            (self_signed_certificate(), -1203),
            (server_certificate(begins=30, ends=60), -1204),
        ):
            with self.subTest(code=code):
                server = self.serve(certificate=certificate)
                delegate = Deciding()
                for session in (self.session(), self.session(delegate)):
                    error = self.assertFails(session, server)
                    self.assertIsInstance(error, wssync.CertificateError)
                    self.assertEqual(error.url_error_code, code)
                    self.assertIsInstance(error.__cause__, ssl.SSLCertVerificationError)
                self.assertEqual(delegate.challenges, [])

    def test_certificates_that_a_delegate_accepts(self) -> None:
        """It sees the very certificate and what is against it; without its word nothing leaves."""
        for certificate in (
            server_certificate(begins=-30, ends=-1),
            server_certificate("wrong.example"),
            self_signed_certificate(),
        ):
            with self.subTest(certificate=certificate):
                server = self.serve(certificate=certificate)
                asked, delegate = Asked(), Deciding()
                self.assertFails(self.session(ssl_context=None), server)
                error = self.assertFails(self.session(asked, ssl_context=None), server)
                self.assertEqual(len(asked.trusts), 1)
                self.assertPasses(self.session(delegate, ssl_context=None), server)
                (challenge,) = delegate.challenges
                assert challenge.error is not None
                self.assertEqual(challenge.error.url_error_code, error.url_error_code)
                trust = challenge.protection_space.server_trust
                assert trust is not None
                pem = ssl.get_server_certificate(("127.0.0.1", server.port))
                self.assertEqual(trust.certificates[0], ssl.PEM_cert_to_DER_cert(pem))

    def test_a_certificate_for_another_place(self) -> None:
        """What a delegate has accepted there is not accepted here."""
        there, here = self.serve(certificate=self_signed_certificate()), self.serve(certificate=stranger_certificate())
        delegate = Deciding()
        self.assertPasses(self.session(delegate, ssl_context=None), there)
        elsewhere = delegate.challenges[0].protection_space.server_trust
        assert elsewhere is not None
        wrong = USE, Credential.for_trust(elsewhere)

        class Mistaken(wssync.SessionDelegate):
            def session_did_receive_challenge(self, session: Any, challenge: AuthenticationChallenge) -> Any:
                return wrong

        with self.assertLogs("wssync", "ERROR"):
            self.assertFails(self.session(Mistaken(), ssl_context=None), here)

    def test_a_delegate_rejects(self) -> None:
        """Also what is good, and cancelling is cancelling."""
        server = self.serve()
        for disposition, expected in (
            (AuthChallengeDisposition.REJECT_PROTECTION_SPACE, wssync.CertificateError),
            (AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE, wssync.Cancelled),
        ):

            class Rejecting(wssync.SessionDelegate):
                answer = disposition, None

                def session_did_receive_challenge(self, session: Any, challenge: AuthenticationChallenge) -> Any:
                    return self.answer if challenge.protection_space.server_trust is not None else DEFAULT

            with self.subTest(disposition=disposition), self.assertRaises(expected):
                self.open(self.session(Rejecting()), server.url)
        self.assertFalse(server.was_asked)

    def test_the_name_is_told(self) -> None:
        """By SNI, without which this server shows a certificate for somebody else; addresses are not told."""
        good = str(server_certificate())
        server = self.serve(
            *("-servername", "localhost", "-cert2", good, "-key2", good),
            certificate=server_certificate("wrong.example"),
        )
        error = self.assertFails(self.session(), server, server.url.replace("localhost", "127.0.0.1"))
        self.assertEqual(error.url_error_code, -1202)
        self.assertPasses(self.session(), server)

    def test_pins(self) -> None:
        """One that fits is enough, one that does not is the end, whoever trusts the certificate."""
        server = self.serve()
        pin = pin_of(server.port)
        self.assertPasses(self.session(certificate_pins=[OTHER_PIN, pin]), server)
        server = self.serve()
        delegate = Deciding()
        for session in (
            self.session(certificate_pins=[OTHER_PIN]),
            self.session(delegate, ssl_context=None, certificate_pins=[OTHER_PIN]),
        ):
            self.assertIsInstance(self.assertFails(session, server), wssync.CertificateError)
        self.assertEqual(delegate.challenges, [])

    # -- client certificates -------------------------------------------------------------------------------------------

    def serve_members(self, version: ssl.TLSVersion) -> OpensslServer:
        """One that lets in who shows a certificate of the authority."""
        return self.serve(OPTION[version], "-Verify", "1", "-verify_return_error", "-CAfile", str(authority_file()))

    def session_with(self, own: Path, source: str) -> wssync.Session:
        """One with that client certificate in its context, or with a delegate that is asked for it before."""
        if source == "context":
            context = trusting_context()
            context.load_cert_chain(str(own))
            return self.session(ssl_context=context)
        need_library("truststore")
        if sys.platform != "linux":
            self.skipTest("elsewhere SSL_CERT_FILE is not what the operating system trusts")
        setting = unittest.mock.patch.dict(os.environ, SSL_CERT_FILE=str(authority_file()))
        setting.start()
        self.addCleanup(setting.stop)
        return self.session(Deciding(Credential.identity(str(own))), ssl_context=None, truststore=True)

    def test_the_right_client_certificate(self) -> None:
        """It is shown to who asks for it."""
        for version, source in itertools.product(VERSIONS, SOURCES):
            with self.subTest(version=version, source=source):
                session = self.session_with(client_certificate(), source)
                self.assertPasses(session, self.serve_members(version))

    def test_the_wrong_client_certificate(self) -> None:
        """The server does not know who has signed it, and says so."""
        for version, source in itertools.product(VERSIONS, SOURCES):
            with self.subTest(version=version, source=source):
                session = self.session_with(client_certificate("unknown"), source)
                error = self.assertFails(session, self.serve_members(version))
                self.assertEqual((type(error), error.url_error_code), (wssync.TLSError, -1205))

    def test_a_client_certificate_for_a_server_that_only_a_delegate_trusts(self) -> None:
        """It is shown when the delegate has accepted the server, for which TLS 1.3 leaves the time.

        In TLS 1.2 such a server ends the handshake in which its certificate is looked at, since it was shown none; then
        it is the certificate that was refused.
        """
        own = Credential.identity(str(client_certificate()))
        for version, passes in zip(VERSIONS, (False, True)):
            with self.subTest(version=version):
                delegate, server = Deciding(own), self.serve_members(version)
                session = self.session(delegate, ssl_context=None)
                if passes:
                    self.assertPasses(session, server)
                else:
                    self.assertIsInstance(self.assertFails(session, server), wssync.CertificateError)
                self.assertEqual(len(delegate.challenges), passes)

    def test_no_client_certificate(self) -> None:
        """TLS 1.3 has a word for it; before, the server has just failed."""
        for version, code in zip(VERSIONS, (-1200, -1206)):
            with self.subTest(version=version):
                server = self.serve_members(version)
                self.assertEqual(self.assertFails(self.session(), server).url_error_code, code)

    def test_a_client_certificate_that_cannot_be_used(self) -> None:
        """Without its key it is none, and nobody is connected to."""
        delegate = Deciding(Credential.identity(str(authority_file())))
        server = self.serve_members(VERSIONS[0])
        error = self.assertFails(self.session(delegate, ssl_context=None), server)
        self.assertIn(str(authority_file()), str(error))


class NginxTests(FrontTestCase):
    start = staticmethod(fronts.nginx)

    def limited(self, version: ssl.TLSVersion, delegate: Any = None, **changes: Any) -> wssync.Session:
        """A session that has no newer version than that."""
        return self.session(delegate, tls_maximum_supported_protocol_version=version, **changes)

    def context(self, version: ssl.TLSVersion, own: Optional[Path]) -> ssl.SSLContext:
        """Trusting, with a client certificate if there is one."""
        context = trusting_context()
        context.maximum_version = version
        if own is not None:
            context.load_cert_chain(str(own))
        return context

    def test_the_right_client_certificate(self) -> None:
        """It opens, and the server knows who it is; from the context, and from a delegate."""
        own = client_certificate()
        for version in VERSIONS:
            with self.subTest(version=version):
                self.assertOpens(self.session(ssl_context=self.context(version, own)), self.front.client_tls_url)
                delegate = Deciding(Credential.identity(str(own)))
                self.assertOpens(self.limited(version, delegate, ssl_context=None), self.front.client_tls_url)
                self.assertEqual(len(delegate.challenges), 1)
                protocol = version.name.replace("_", ".")
                for request in self.arrived[-2:]:
                    self.assertIn("CN=A client", request.headers["X-Client"])
                    self.assertEqual(request.headers["X-Protocol"], protocol)

    def test_the_wrong_client_certificate_or_none(self) -> None:
        """nginx makes TLS with everybody, and says in HTTP what it does not like."""
        for version in VERSIONS:
            for own in (client_certificate("unknown"), None):
                with self.subTest(version=version, own=own), self.assertRaises(wssync.HandshakeError) as caught:
                    self.open(self.session(ssl_context=self.context(version, own)), self.front.client_tls_url)
                response: Any = caught.exception.response
                self.assertEqual(response.status_code, 400)
                self.assertIn(b"certificate", response.body)
        self.assertEqual(self.arrived, [])

    def test_a_delegate_is_asked_for_the_servers_that_it_knows(self) -> None:
        """It is told which server it is, and can have none for it."""
        spaces: List[Any] = []

        class Keeping(Deciding):
            def session_did_receive_challenge(self, session: Any, challenge: AuthenticationChallenge) -> Any:
                spaces.append(challenge.protection_space)
                return super().session_did_receive_challenge(session, challenge)

        self.assertOpens(self.session(Keeping(), ssl_context=None), f"{self.front.tls_url}/")
        methods = [space.authentication_method for space in spaces]
        self.assertEqual(methods, [AuthenticationMethod.CLIENT_CERTIFICATE, AuthenticationMethod.SERVER_TRUST])
        self.assertEqual({(space.host, space.port) for space in spaces}, {("localhost", self.front.tls_port)})

    def test_the_wrong_port(self) -> None:
        """TLS with who speaks none, and the other way round."""
        with self.assertRaises(wssync.TLSError) as caught:
            self.open(self.session(), f"wss://localhost:{self.front.port}/")
        self.assertEqual(caught.exception.url_error_code, -1200)
        with self.assertRaises(wssync.HandshakeError) as refused:
            self.open(self.session(), f"ws://localhost:{self.front.tls_port}/")
        response: Any = refused.exception.response
        self.assertEqual(response.status_code, 400)

    def test_a_delegate_stays_with_whom_it_has_accepted(self) -> None:
        """A redirect and a password later it is the same server, which it is not asked about again."""
        delegate = Deciding()
        url = f"{self.front.tls_url}/crumb"
        self.assertOpens(self.session(delegate, ssl_context=None), url)
        self.assertEqual(len(delegate.challenges), 1)


class MitmproxyTests(SessionTestCase):
    """A proxy that ends TLS, and makes a certificate for whoever is asked for."""

    gateway: Gateway

    @classmethod
    def make_server(cls) -> Server:
        return Server(tls=True)

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        assert cls.server.ca_file is not None
        cls.gateway = gateways.mitmproxy(cls.stack, cls.server.ca_file)

    @property
    def url(self) -> str:
        """The server, by its name."""
        return self.server.url.replace("127.0.0.1", "localhost")

    def configure(self, **changes: Any) -> wssync.SessionConfiguration:
        """With the proxy."""
        return super().configure(proxy=self.gateway.url, **changes)

    def context(self, *files: object) -> ssl.SSLContext:
        """Trusts these authorities."""
        context = ssl.create_default_context()
        for file in files:
            context.load_verify_locations(str(file))
        return context

    def assertRefuses(self, session: wssync.Session) -> wssync.CertificateError:
        """The certificate is not accepted, and nobody heard of a request, neither in the middle nor at the end."""
        with self.assertRaises(wssync.CertificateError) as caught:
            self.open(session, wssync.Request(f"{self.url}refused", headers=SECRETS))
        self.assertEqual(self.arrived, [])
        self.assertNotIn("/refused", self.gateway.program.output)
        return caught.exception

    def test_by_default(self) -> None:
        """An authority that nobody knows vouches for it; the URL's server is whom the error is about."""
        error = self.assertRefuses(self.session())
        self.assertEqual((error.url_error_code, error.url), (-1203, f"{self.url}refused"))
        self.assertRefuses(self.session(ssl_context=self.context(self.server.ca_file)))

    def test_a_delegate_has_no_objection(self) -> None:
        """Not to object is not to accept."""
        asked = Asked()
        self.assertRefuses(self.session(asked))
        self.assertEqual(len(asked.trusts), 1)

    def test_a_delegate_accepts_it(self) -> None:
        """It has seen whose certificate it is, and it was asked before anything was sent."""
        delegate = Deciding()
        task = self.assertOpens(self.session(delegate), f"{self.url}accepted")
        self.assertEqual(task.error, None)
        (challenge,) = delegate.challenges
        space = challenge.protection_space
        self.assertEqual((space.host, space.port, space.protocol), ("localhost", port_of(self.url), "https"))
        self.assertIsInstance(challenge.error, wssync.CertificateError)
        assert space.server_trust is not None
        self.assertFalse(space.server_trust.is_trusted)
        self.assertIn(b"mitmproxy", space.server_trust.certificates[0])
        self.assertEqual(len(self.arrived), 1)
        self.assertIn("/accepted", self.gateway.program.output)

    def test_its_authority_is_trusted(self) -> None:
        """In a context of the user's own, as in offices with such a proxy."""
        self.assertOpens(self.session(ssl_context=self.context(self.gateway.authority)), self.url)
        self.assertEqual(len(self.arrived), 1)

    def test_the_pin_of_the_server(self) -> None:
        """It is refused whoever trusts it: the context, or a delegate."""
        pin = pin_of_server(self.server)
        context = self.context(self.gateway.authority)
        self.assertRefuses(self.session(ssl_context=context, certificate_pins=[pin]))
        delegate = Deciding()
        self.assertRefuses(self.session(delegate, certificate_pins=[pin]))
        self.assertEqual(delegate.challenges, [])
        self.assertOpens(
            self.enter(
                wssync.Session(
                    wssync.SessionConfiguration.ephemeral().replace(
                        ssl_context=self.context(self.server.ca_file), certificate_pins=[pin]
                    )
                )
            ),
            self.url,
        )


del FrontTestCase, SessionTestCase
