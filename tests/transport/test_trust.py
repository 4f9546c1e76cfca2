"""Tests of `wssync.transport.trust`.

The servers are `ssl.SSLObject`s in memory, with certificates of every kind; so a test sees all that a client has sent.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import ssl
import sys
import tempfile
import threading
import unittest
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple
from unittest import mock

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import wssync.testing
from tests.clock import StillClock
from tests.support import cases, with_cases
from tests.transport.support import (
    TransportTestCase,
    ca_file,
    certificate_authority,
    client_context,
    leaf,
    server_context,
)
from tests.transport.test_tls_stream import TLS_1_2, TLS_1_3, MemoryPeer
from wssync.auth import ServerTrust
from wssync.errors import Cancelled, CertificateError, ConnectionClosed, TimedOut, TLSError
from wssync.protocol.certificates import pin_of
from wssync.transport import trust as trust_module
from wssync.transport.clock import Clock
from wssync.transport.dial import dial
from wssync.transport.tls import Identity, client_refusal
from wssync.transport.tls_stream import TLSStream
from wssync.transport.trust import Handshakes, TLSTerms, same_certificate, trust_of

URL = "wss://example.org/chat"
KNOWS_CHAINS = sys.version_info >= (3, 10)
OTHER_PIN = "sha256/" + "A" * 43 + "="

try:
    truststore: Any = importlib.import_module("truststore")
except ImportError:
    truststore = None  # there is none for Python 3.9


class Peer(MemoryPeer):
    """A server that may refuse: what it says about it is in `refusal`, and what it has heard in `heard`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self.refusal: Optional[ssl.SSLError] = None
        self.heard = 0
        self.at_wait: Tuple[int, Callable[[], None]] = -1, lambda: None  # what to do, and before which wait

    def send(self, data: Any) -> int:
        taken = super().send(data)
        self.heard += taken
        return taken

    def step(self) -> None:
        try:
            super().step()
        except ssl.SSLError as error:
            self.refusal = error

    def wait(self, read: bool, write: bool, timeout: Optional[float], *, owner: bool = True) -> Tuple[bool, bool]:
        number, act = self.at_wait
        if number == len(self.waits):
            act()
        return super().wait(read, write, timeout, owner=owner)

    @property
    def was_finished(self) -> bool:
        """Whether the client's last word in the handshake has come, so that the server has done it too."""
        try:
            self.server.do_handshake()
        except ssl.SSLError:
            return False
        return True


def served() -> trustme.LeafCert:
    """What `server_context()` serves."""
    return leaf("localhost", "127.0.0.1", "::1", first_day=0, last_day=2)


@functools.cache
def other_authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def context_of(certificate: Any, version: Optional[ssl.TLSVersion] = None) -> ssl.SSLContext:
    """A server's context with a trustme certificate, or with an authority's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if isinstance(certificate, trustme.LeafCert):
        certificate.configure_cert(context)
    else:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "pem")
            with open(path, "wb") as file:
                file.write(certificate)
            context.load_cert_chain(path)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@functools.cache
def self_signed(number: int = 0) -> bytes:
    """Key and certificate of a server that has signed its own, PEM; it names nobody."""
    made = trustme.CA(key_type=trustme.KeyType.ECDSA)
    return made.private_key_pem.bytes() + made.cert_pem.bytes()


def der_of(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def leaf_der(certificate: trustme.LeafCert) -> bytes:
    return der_of(certificate.cert_chain_pems[0].bytes())


@functools.cache
def client_certificate(trusted: bool = True) -> trustme.LeafCert:
    authority = certificate_authority() if trusted else other_authority()
    return authority.issue_cert("me@example.org", key_type=trustme.KeyType.ECDSA)


class TrustTestCase(TransportTestCase):
    """With a client that trusts `certificate_authority()`."""

    def handshakes(self, *, identity: Optional[Identity] = None, trace: Any = None, **terms: Any) -> Handshakes:
        if "ssl_context" not in terms:
            terms = {"cafile": ca_file(), **terms}
        return Handshakes(TLSTerms(**terms), identity=identity, url=URL, trace=trace)

    def secure(self, server: ssl.SSLContext, name: str = "localhost", **terms: Any) -> TLSStream:
        self.peer = Peer(server)
        return self.handshakes(**terms).secure(self.peer, self.attempt(), name)

    def refuse(self, server: ssl.SSLContext, name: str = "localhost", **terms: Any) -> TLSError:
        """The error of a `secure` that must fail, the stream closed, and nothing of ours read by the server."""
        with self.assertRaises(TLSError) as caught:
            self.secure(server, name, **terms)
        self.assertEqual(self.peer.calls, ["close"])
        self.assertEqual(caught.exception.url, URL)
        return caught.exception

    @contextlib.contextmanager
    def identity(self, certificate: trustme.LeafCert, password: Optional[bytes] = None) -> Iterator[Identity]:
        """The files of a client certificate."""
        with tempfile.TemporaryDirectory() as directory:
            chain, key = os.path.join(directory, "chain.pem"), os.path.join(directory, "key.pem")
            with open(chain, "wb") as file:
                file.write(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
            with open(key, "wb") as file:
                file.write(encrypted(certificate, password))
            yield chain, key, password


def encrypted(certificate: trustme.LeafCert, password: Optional[bytes]) -> bytes:
    pem = certificate.private_key_pem.bytes()
    if password is None:
        return pem
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


@with_cases
class SecureTests(TrustTestCase):
    """`secure`: the verified handshake."""

    def test_a_good_certificate(self) -> None:
        """Rule 97: the name goes into SNI and is checked, the version is the newest."""
        names: List[Optional[str]] = []
        server = server_context("localhost")
        server.sni_callback = lambda _, name, __: names.append(name)
        stream = self.secure(server)
        self.assertEqual((stream.ssl_object.version(), names), ("TLSv1.3", ["localhost"]))
        self.assertTrue(self.peer.was_finished)

    @cases(ipv4="127.0.0.1", ipv6="::1")
    def test_an_address(self, address: str) -> None:
        """Rule 97: an address is checked against the addresses of the certificate, and is no SNI (RFC 6066)."""
        names: List[Optional[str]] = []
        server = server_context(address)
        server.sni_callback = lambda _, name, __: names.append(name)
        self.secure(server, address)
        self.assertEqual(names, [None])

    @cases(
        another_address=("127.0.0.2", "127.0.0.1"),
        another_ipv6=("::2", "::1"),
        the_address_as_a_name=("localhost", "127.0.0.1"),
        another_name=("example.com", "example.org"),
        a_subdomain=("www.example.org", "example.org"),
        a_parent=("example.org", "www.example.org"),
        a_wildcard_is_one_label=("*.example.org", "a.b.example.org"),
        a_wildcard_is_not_the_parent=("*.example.org", "example.org"),
        another_idna_name=("xn--bcher-kva.example", "xn--bchen-kva.example"),
    )
    def test_a_certificate_for_others(self, certified: str, name: str) -> None:
        """Rules 97 and 100: -1202, with the verdict of OpenSSL as the cause."""
        error = self.refuse(server_context(certified), name)
        self.assertIsInstance(error, CertificateError)
        self.assertIsInstance(error.__cause__, ssl.SSLCertVerificationError)
        self.assertEqual(error.url_error_code, -1202)

    @cases(
        an_idna_name=("bücher.example", "xn--bcher-kva.example"),
        a_wildcard=("*.example.org", "www.example.org"),
        the_root_s_dot=("example.org", "example.org."),
    )
    def test_names_that_fit(self, certified: str, name: str) -> None:
        """Rule 97: IDNA names are compared as A-labels, which is how the URL's host stands in SNI too."""
        names: List[Optional[str]] = []
        server = server_context(certified)
        server.sni_callback = lambda _, name, __: names.append(name)
        self.secure(server, name)
        self.assertEqual(names, [name.rstrip(".")])

    def test_the_common_name_is_no_name(self) -> None:
        """Rule 97 and RFC 9525 section 2: only subjectAltName names a server."""
        certificate = certificate_authority().issue_cert(
            "me@example.org", common_name="localhost", key_type=trustme.KeyType.ECDSA
        )
        self.assertEqual(self.refuse(context_of(certificate)).url_error_code, -1202)

    @cases(
        expired=(lambda: server_context(first_day=-10, last_day=-5), -1201),
        not_yet_valid=(lambda: server_context(first_day=5, last_day=10), -1204),
        self_signed=(lambda: context_of(self_signed()), -1203),
        unknown_authority=(lambda: context_of(other_authority().issue_cert("localhost")), -1203),
    )
    def test_a_bad_certificate(self, server: Callable[[], ssl.SSLContext], code: int) -> None:
        """Rule 100: each reason has its number; the server is told by an alert, and no second connection is begun."""
        error = self.refuse(server())
        self.assertIsInstance(error, CertificateError)
        self.assertEqual(error.url_error_code, code)
        self.peer.step()
        self.assertIn("ALERT", str(self.peer.refusal))

    @cases(tls_1_2=TLS_1_2, tls_1_3=TLS_1_3)
    def test_only_http_1_1_is_offered(self, version: ssl.TLSVersion) -> None:
        """Rule 102: a server that prefers h2 gets http/1.1."""
        server = server_context(version=version)
        server.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.secure(server).ssl_object.selected_alpn_protocol(), "http/1.1")

    def test_no_common_version(self) -> None:
        """Rule 100: a server that is too old for the bounds, or too new, is -1200."""
        for error in (
            self.refuse(server_context(version=TLS_1_2), minimum=TLS_1_3),
            self.refuse(server_context(version=TLS_1_3), maximum=TLS_1_2),
        ):
            self.assertEqual((type(error), error.url_error_code), (TLSError, -1200))

    def test_an_old_server(self) -> None:
        """Rule 100: TLS 1.1 is not spoken by default, even to a server that has nothing else."""
        server = server_context()
        server.set_ciphers("ALL:@SECLEVEL=0")
        with self.ignoring_deprecation():
            server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_1
        self.assertEqual(self.refuse(server).url_error_code, -1200)

    @contextlib.contextmanager
    def ignoring_deprecation(self) -> Iterator[None]:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield

    def test_roots_that_cannot_be_read(self) -> None:
        """What the context cannot be made of is a TLSError of the opening, and the stream is closed."""
        error = self.refuse(server_context(), cafile="/nowhere/at/all.pem")
        self.assertIsInstance(error.__cause__, FileNotFoundError)

    def test_a_range_that_is_empty(self) -> None:
        """A maximum below the minimum as well."""
        self.assertRegex(str(self.refuse(server_context(), minimum=TLS_1_3, maximum=TLS_1_2)), "below the minimum")

    @cases(secure="secure", look="look")
    def test_the_keys_are_logged_where_the_environment_asks(self, kind: str) -> None:
        """SSLKEYLOGFILE, and nothing else, makes both kinds of handshake write their secrets, for Wireshark to read."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "keys")
            with mock.patch.dict(os.environ, SSLKEYLOGFILE=path):
                getattr(self.handshakes(), kind)(Peer(server_context()), self.attempt(), "localhost")
            with open(path, encoding="ascii") as file:
                self.assertRegex(file.read(), "(?m)^CLIENT_TRAFFIC_SECRET_0 ")

    def test_the_context_is_made_once(self) -> None:
        """All handshakes of a session share it, but for those with a client certificate of their own."""
        terms = TLSTerms(cafile=ca_file())
        self.assertIs(terms.verifying(), terms.verifying())
        with self.identity(client_certificate()) as identity:
            self.assertIsNot(terms.verifying(identity), terms.verifying())

    def test_a_server_of_the_shipped_kind(self) -> None:
        """Rule 97: over a real connection to `wssync.testing.Server`."""
        with wssync.testing.Server(tls=True) as server:
            port = int(server.url.rpartition(":")[2].strip("/"))
            attempt = self.attempt()
            stream = self.handshakes(cafile=server.ca_file).secure(
                dial("localhost", port, attempt), attempt, "localhost"
            )
            self.addCleanup(stream.close)
            trust = trust_of(stream, "localhost", port)
            stream.close()
        self.assertEqual(trust.certificates[0], stream.ssl_object.getpeercert(True))
        self.assertTrue(trust.is_trusted)


@with_cases
class OwnContextTests(TrustTestCase):
    """The user's own `ssl_context`."""

    def own(self, **changes: Any) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=ca_file())
        for name, value in changes.items():
            setattr(context, name, value)
        return context

    def test_it_judges_alone(self) -> None:
        """What it accepts is accepted, what it refuses is refused, and its roots are the only ones."""
        self.secure(server_context(), ssl_context=self.own())
        self.secure(context_of(self_signed()), ssl_context=self.own(check_hostname=False, verify_mode=ssl.CERT_NONE))
        error = self.refuse(server_context(), ssl_context=ssl.create_default_context())
        self.assertEqual(error.url_error_code, -1203)

    def test_no_delegate_decides_beside_it(self) -> None:
        """Rule 99: what it has refused can be neither looked at nor accepted; the stream is closed then."""
        hands = self.handshakes(ssl_context=ssl.create_default_context())
        refused = self.refuse(server_context(), ssl_context=ssl.create_default_context())
        assert isinstance(refused, CertificateError)
        self.assertFalse(hands.may_look(refused))
        trust = ServerTrust("localhost", 443, (leaf_der(leaf("localhost")),))
        for accepts in (False, True):
            peer = Peer(server_context())
            with self.assertRaisesRegex(TLSError, "judges alone"):
                hands.accept(peer, self.attempt(), trust) if accepts else hands.look(peer, self.attempt(), "localhost")
            self.assertEqual((peer.calls, peer.heard), (["close"], 0))

    @cases(
        too_old=(TLS_1_2, {"minimum": TLS_1_3}),
        too_new=(TLS_1_3, {"maximum": TLS_1_2}),
        older_than_the_newest=(TLS_1_2, {"minimum": ssl.TLSVersion.MAXIMUM_SUPPORTED}),
    )
    def test_the_bounds_count_on_top(self, version: ssl.TLSVersion, terms: Dict[str, Any]) -> None:
        """A version out of the bounds is refused before the handshake's end leaves; the context is not changed."""
        context = self.own()
        before = context.minimum_version, context.maximum_version, context.options
        error = self.refuse(server_context(version=version), ssl_context=context, **terms)
        self.assertRegex(str(error), "outside of the versions")
        self.assertEqual((context.minimum_version, context.maximum_version, context.options), before)

    @cases(
        both_ends=(TLS_1_2, {"minimum": TLS_1_2, "maximum": TLS_1_2}),
        the_newest=(TLS_1_3, {"minimum": ssl.TLSVersion.MAXIMUM_SUPPORTED}),
        no_maximum=(TLS_1_3, {"minimum": TLS_1_3}),
        any_maximum=(TLS_1_3, {"maximum": ssl.TLSVersion.MAXIMUM_SUPPORTED}),
        any_minimum=(TLS_1_2, {"minimum": ssl.TLSVersion.MINIMUM_SUPPORTED}),
    )
    def test_within_the_bounds(self, version: ssl.TLSVersion, terms: Dict[str, Any]) -> None:
        """Both ends are within."""
        self.assertTrue(self.secure(server_context(version=version), ssl_context=self.own(), **terms))

    def test_a_version_that_is_not_known(self) -> None:
        """Of which nobody knows whether it is within the bounds, so it is not."""
        for version in (None, "TLSv1.4"):
            with self.assertRaises(TLSError):
                TLSTerms().check_version(version)

    def test_another_protocol_by_alpn(self) -> None:
        """Rule 102: a context that offers h2, to a server that takes it, opens no WebSocket."""
        context, server = self.own(), server_context()
        context.set_alpn_protocols(["h2"])
        server.set_alpn_protocols(["h2"])
        self.assertRegex(str(self.refuse(server, ssl_context=context)), "'h2' by ALPN")

    def test_an_identity_goes_into_it(self) -> None:
        """Rule 101: a client certificate beside it is refused, as the context would have to be changed for it."""
        error = self.refuse(server_context(), ssl_context=self.own(), identity=("chain.pem", None, None))
        self.assertRegex(str(error), "load_cert_chain")

    def test_pins_count_on_top(self) -> None:
        """Also when the context checks nothing itself."""
        context = self.own(check_hostname=False, verify_mode=ssl.CERT_NONE)
        pin = pin_of(
            der_of(self_signed().partition(b"-----BEGIN CERT")[1] + self_signed().partition(b"-----BEGIN CERT")[2])
        )
        self.secure(context_of(self_signed()), ssl_context=context, pins=(pin,))
        self.refuse(context_of(self_signed()), ssl_context=context, pins=(OTHER_PIN,))

    @unittest.skipIf(truststore is None, "the package truststore is not there")
    def test_truststore_as_it_is(self) -> None:
        """`truststore.SSLContext` judges like another; for pins only the server's own key counts then."""
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        certificate_authority().configure_trust(context)
        self.secure(server_context(), ssl_context=context, pins=(pin_of(leaf_der(served())),))
        root = pin_of(der_of(certificate_authority().cert_pem.bytes()))
        self.assertRegex(str(self.refuse(server_context(), ssl_context=context, pins=(root,))), "among the pins")
        self.assertEqual(self.refuse(context_of(self_signed()), ssl_context=context).url_error_code, -1203)

    @unittest.skipIf(truststore is None, "the package truststore is not there")
    def test_truststore_when_asked_for(self) -> None:
        """The system judges: it does not know the tests' authority, and the name in the error is a verdict."""
        error = self.refuse(server_context(), truststore=True, cafile=None)
        self.assertIsInstance(error, CertificateError)

    def test_truststore_that_is_not_installed(self) -> None:
        """It is asked for and missing: a TLSError that names it, never another trust in its place."""
        with mock.patch.dict("sys.modules", truststore=None):
            self.assertRegex(str(self.refuse(server_context(), truststore=True, cafile=None)), "package truststore")


class Forged(NamedTuple):
    """A server that nobody has vouched for, which sends a pinned authority along."""

    pem: bytes
    pinned: bytes


@functools.cache
def forged() -> Forged:
    """A certificate that names a pinned authority as its issuer, signed by nobody, and that authority's behind it."""
    authority = x509.load_pem_x509_certificate(certificate_authority().cert_pem.bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = certificate.public_bytes(serialization.Encoding.PEM) + certificate_authority().cert_pem.bytes()
    return Forged(pem + chain, der_of(certificate_authority().cert_pem.bytes()))


@with_cases
class PinTests(TrustTestCase):
    """`certificate_pins`."""

    def setUp(self) -> None:
        super().setUp()
        intermediate = certificate_authority().create_child_ca(key_type=trustme.KeyType.ECDSA)
        self.leaf = intermediate.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        self.chain = (
            leaf_der(self.leaf),
            der_of(intermediate.cert_pem.bytes()),
            der_of(certificate_authority().cert_pem.bytes()),
        )

    def test_the_server_s_own_key(self) -> None:
        """One of several pins is enough."""
        self.secure(context_of(self.leaf), pins=(OTHER_PIN, pin_of(self.chain[0])))

    @unittest.skipUnless(KNOWS_CHAINS, "Python 3.9 does not tell the chain")
    def test_a_key_of_the_verified_chain(self) -> None:
        """The pin may be that of an issuer, which the server sent, or of the root, which it did not."""
        for certificate in self.chain[1:]:
            self.secure(context_of(self.leaf), pins=(pin_of(certificate),))

    @cases(tls_1_2=TLS_1_2, tls_1_3=TLS_1_3)
    def test_no_key_fits(self, version: ssl.TLSVersion) -> None:
        """Refused with -1202 though the certificate is good, before the handshake is done; a delegate is not asked."""
        error = self.refuse(context_of(self.leaf, version), pins=(OTHER_PIN,))
        assert isinstance(error, CertificateError)
        self.assertEqual(error.url_error_code, -1202)
        self.assertFalse(self.handshakes(pins=(OTHER_PIN,)).may_look(error))
        if version is TLS_1_3:
            self.assertFalse(self.peer.was_finished)

    def test_a_certificate_is_verified_all_the_same(self) -> None:
        """A pin makes no bad certificate good."""
        certificate = other_authority().issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        error = self.refuse(context_of(certificate), pins=(pin_of(leaf_der(certificate)),))
        self.assertEqual(error.url_error_code, -1203)

    @cases(by_look=True, by_own_context=False)
    def test_what_was_not_verified_proves_nothing(self, look: bool) -> None:
        """A server that only sends a pinned authority along is not pinned: there its own key alone counts."""
        pins = (pin_of(forged().pinned),)
        if not look:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.assertRegex(str(self.refuse(context_of(forged().pem), ssl_context=context, pins=pins)), "the pins")
            return
        with self.assertRaisesRegex(CertificateError, "among the pins"):
            self.handshakes(pins=pins).look(Peer(context_of(forged().pem)), self.attempt(), "localhost")

    @unittest.skipUnless(KNOWS_CHAINS, "Python 3.9 does not tell the chain")
    def test_the_forged_chain_would_be_believed(self) -> None:
        """The test above is worth something: OpenSSL's chain has the pinned authority in it, unverified as it is."""
        stream = self.handshakes().look(Peer(context_of(forged().pem)), self.attempt(), "localhost")
        chain = trust_module._chain(stream.ssl_object, "get_verified_chain")
        self.assertIn(forged().pinned, chain)

    def test_a_server_without_a_certificate(self) -> None:
        """With pins it is refused, whatever the user's context thinks of it."""
        server, own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
        for context in (server, own):
            context.maximum_version = TLS_1_2
            context.set_ciphers("aNULL:@SECLEVEL=0")
        stream = self.secure(server, ssl_context=own)
        with self.assertRaisesRegex(CertificateError, "no certificate"):
            trust_of(stream, "localhost", 443)
        self.refuse(server, ssl_context=own, pins=(OTHER_PIN,))


SERVERS: Dict[str, Callable[[], ssl.SSLContext]] = {
    "self_signed": lambda: context_of(self_signed()),
    "expired": lambda: server_context(first_day=-10, last_day=-5),
    "wrong_host": lambda: server_context("example.com"),
    "unknown_authority": lambda: context_of(other_authority().issue_cert("localhost")),
}


@with_cases
class LookTests(TrustTestCase):
    """`look` and `accept`: a delegate decides about what `secure` has refused."""

    def look(self, server: ssl.SSLContext, **terms: Any) -> TLSStream:
        self.peer = Peer(server)
        return self.handshakes(**terms).look(self.peer, self.attempt(), "localhost")

    def accept(self, server: ssl.SSLContext, trust: ServerTrust, **terms: Any) -> TLSStream:
        self.peer = Peer(server)
        return self.handshakes(**terms).accept(self.peer, self.attempt(), trust)

    @cases(SERVERS)
    def test_a_refused_server_can_be_looked_at_and_accepted(self, make: Callable[[], ssl.SSLContext]) -> None:
        """Rule 99: the delegate sees certificate and verdict; later connections pass with that certificate."""
        server = make()
        refused = self.refuse(server)
        assert isinstance(refused, CertificateError)
        self.assertTrue(self.handshakes().may_look(refused))
        stream = self.look(server)
        trust = trust_of(stream, "localhost", 443, refused)
        self.assertEqual((trust.host, trust.port, trust.error), ("localhost", 443, refused))
        self.assertFalse(trust.is_trusted)
        self.assertEqual(trust.certificates[0], stream.ssl_object.getpeercert(True))
        again = self.accept(server, trust)
        self.assertTrue(self.peer.was_finished)
        self.assertTrue(same_certificate(trust, trust_of(again, "localhost", 443)))

    @cases(
        another_self_signed=lambda: context_of(self_signed(1)),
        a_good_one=server_context,
        expired=SERVERS["expired"],
    )
    def test_no_other_certificate_passes(self, make: Callable[[], ssl.SSLContext]) -> None:
        """Rule 99: only the accepted one, however good another is; the server never sees the handshake's end."""
        trust = trust_of(self.look(context_of(self_signed())), "localhost", 443)
        with self.assertRaisesRegex(CertificateError, "another certificate") as caught:
            self.accept(make(), trust)
        self.assertEqual((caught.exception.url_error_code, caught.exception.url), (-1202, URL))
        self.assertEqual(self.peer.calls, ["close"])
        self.assertFalse(self.peer.was_finished)
        self.assertFalse(self.handshakes().may_look(caught.exception))

    def test_what_the_accepted_one_has_signed_does_not_pass(self) -> None:
        """Rule 99: to accept an authority's own certificate is not to trust what it signs."""
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        own = authority.private_key_pem.bytes() + authority.cert_pem.bytes()
        trust = trust_of(self.look(context_of(own)), "localhost", 443)
        with self.assertRaises(CertificateError):
            self.accept(context_of(authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)), trust)

    def test_the_same_key_in_another_certificate(self) -> None:
        """Rule 99: it is the certificate that was accepted, so a renewed one is asked about again."""
        one, other = (ServerTrust("h", 443, (data,)) for data in (b"one", b"other"))
        self.assertTrue(same_certificate(one, ServerTrust("h", 443, (b"one", b"issuer"), CertificateError("bad"))))
        self.assertFalse(same_certificate(one, other))
        self.assertFalse(same_certificate(one, ServerTrust("h", 444, (b"one",))))
        self.assertFalse(same_certificate(one, ServerTrust("i", 443, (b"one",))))

    def test_the_name_is_still_sent(self) -> None:
        """Rule 97: SNI is for the server, whatever is checked."""
        names: List[Optional[str]] = []
        server = context_of(self_signed())
        server.sni_callback = lambda _, name, __: names.append(name)
        self.accept(server, trust_of(self.look(server), "localhost", 443))
        self.assertEqual(names, ["localhost", "localhost"])

    def test_pins_bind_a_delegate_too(self) -> None:
        """A look at a server whose own key is not pinned fails, and so does an accepted one."""
        server = context_of(self_signed())
        trust = trust_of(self.look(server), "localhost", 443)
        pin = pin_of(trust.certificates[0])
        self.accept(server, trust, pins=(pin,))
        self.look(server, pins=(pin,))
        for attempt in (self.look, functools.partial(self.accept, trust=trust)):
            with self.assertRaisesRegex(CertificateError, "among the pins"):
                attempt(server, pins=(OTHER_PIN,))

    def test_the_bounds_are_the_same(self) -> None:
        """A look is no way to an old version, nor to another protocol."""
        with self.assertRaises(TLSError):
            self.look(server_context(version=TLS_1_2), minimum=TLS_1_3)
        server = server_context()
        server.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.look(server).ssl_object.selected_alpn_protocol(), "http/1.1")

    def test_a_look_shows_no_certificate_of_ours(self) -> None:
        """Rule 101: a server that nobody has accepted yet does not learn who we are; one that was accepted does."""
        server = server_context()
        server.verify_mode = ssl.CERT_OPTIONAL
        certificate_authority().configure_trust(server)
        with self.identity(client_certificate()) as identity:
            stream = self.look(server, identity=identity)
            self.assertTrue(self.peer.was_finished)
            self.assertIsNone(self.peer.server.getpeercert(True))
            self.accept(server, trust_of(stream, "localhost", 443), identity=identity)
            self.assertTrue(self.peer.was_finished)
            self.assertEqual(self.peer.server.getpeercert(True), leaf_der(client_certificate()))

    def test_another_certificate_does_not_get_ours(self) -> None:
        """Rule 101: over TLS 1.3 an impostor in the place of the accepted server never gets our certificate."""
        trust = trust_of(self.look(context_of(self_signed())), "localhost", 443)
        server = server_context(asks_for_certificate=True)
        with self.identity(client_certificate()) as identity, self.assertRaises(CertificateError):
            self.accept(server, trust, identity=identity)
        self.assertFalse(self.peer.was_finished)

    def test_an_identity_that_cannot_be_loaded(self) -> None:
        """That is told before the handshake begins."""
        trust = ServerTrust("localhost", 443, (b"leaf",))
        with self.assertRaisesRegex(TLSError, "client certificate"):
            self.accept(server_context(), trust, identity=("/nowhere.pem", None, None))
        self.assertEqual((self.peer.calls, self.peer.heard), (["close"], 0))


@with_cases
class TrustOfTests(TrustTestCase):
    """`trust_of`."""

    @unittest.skipUnless(KNOWS_CHAINS, "Python 3.9 does not tell the chain")
    def test_the_chain(self) -> None:
        """Rule 98: verified, it goes up to the root; else it is what the server sent."""
        intermediate = certificate_authority().create_child_ca(key_type=trustme.KeyType.ECDSA)
        certificate = intermediate.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
        chain = (leaf_der(certificate), der_of(intermediate.cert_pem.bytes()))
        root = der_of(certificate_authority().cert_pem.bytes())
        verified = self.secure(context_of(certificate))
        self.assertEqual(trust_of(verified, "localhost", 1).certificates, (*chain, root))
        looked = self.handshakes().look(Peer(context_of(certificate)), self.attempt(), "localhost")
        self.assertEqual(trust_of(looked, "localhost", 1).certificates, chain)

    def test_a_python_that_does_not_tell_it(self) -> None:
        """Then there is the server's own certificate alone, and it is enough for a pin of its key."""
        with mock.patch.object(trust_module, "_chain", return_value=()):
            stream = self.secure(server_context(), pins=(pin_of(leaf_der(served())),))
            trust = trust_of(stream, "localhost", 443)
        self.assertEqual(trust.certificates, (stream.ssl_object.getpeercert(True),))
        found = mock.Mock(spec=ssl.SSLObject, _sslobj=None)
        self.assertEqual(trust_module._chain(found, "get_a_chain_that_nobody_knows"), ())

    def test_each_kind_of_answer(self) -> None:
        """Public methods give bytes, the ones below objects or `None`."""
        encoded = mock.Mock(**{"public_bytes.return_value": b"der"})
        for answer, expected in (([b"der"], (b"der",)), ([encoded], (b"der",)), (None, ())):
            found = mock.Mock(**{"tell.return_value": answer})
            self.assertEqual(trust_module._chain(found, "tell"), expected)
        encoded.public_bytes.assert_called_once_with(2)


@with_cases
class IdentityTests(TrustTestCase):
    """Client certificates."""

    @cases(tls_1_2=TLS_1_2, tls_1_3=TLS_1_3)
    def test_it_is_shown_to_a_server_that_asks(self, version: ssl.TLSVersion) -> None:
        """Rule 101: with a key in a file of its own, encrypted."""
        with self.identity(client_certificate(), b"open sesame") as identity:
            self.secure(server_context(version=version, asks_for_certificate=True), identity=identity)
        self.assertTrue(self.peer.was_finished)
        self.assertEqual(self.peer.server.getpeercert(True), leaf_der(client_certificate()))

    def test_a_server_that_does_not_ask_does_not_see_it(self) -> None:
        """Rule 101."""
        with self.identity(client_certificate()) as identity:
            self.secure(server_context(), identity=identity)
        self.assertTrue(self.peer.was_finished)
        self.assertIsNone(self.peer.server.getpeercert(True))

    @cases(missing=(None, -1206), wrong=(False, -1205))
    def test_tls_1_3_refuses_it_afterwards(self, trusted: Optional[bool], code: int) -> None:
        """Rule 100: the refusal is the cause of what the first read raises, and has its number."""
        with contextlib.ExitStack() as stack:
            identity = None if trusted is None else stack.enter_context(self.identity(client_certificate(trusted)))
            stream = self.secure(server_context(version=TLS_1_3, asks_for_certificate=True), identity=identity)
        self.assertFalse(self.peer.was_finished)
        with self.assertRaises(ConnectionClosed) as caught:
            self.assertIsNone(stream.recv(4096))
            stream.recv(4096)
        error = client_refusal(caught.exception, URL)
        assert error is not None
        self.assertEqual((type(error), error.url_error_code, error.url), (TLSError, code, URL))

    @cases(missing=(None, -1200), wrong=(False, -1205))
    def test_tls_1_2_refuses_it_at_once(self, trusted: Optional[bool], code: int) -> None:
        """Rule 100: in TLS 1.2 the handshake fails; there the alert for a missing one has no meaning of its own."""
        with contextlib.ExitStack() as stack:
            identity = None if trusted is None else stack.enter_context(self.identity(client_certificate(trusted)))
            error = self.refuse(server_context(version=TLS_1_2, asks_for_certificate=True), identity=identity)
        self.assertEqual((type(error), error.url_error_code), (TLSError, code))

    def test_the_proxy_does_not_get_it(self) -> None:
        """TLS to a proxy: no certificate of ours, no pins, the same roots and bounds."""
        with self.identity(client_certificate()) as identity:
            hands = self.handshakes(identity=identity, pins=(OTHER_PIN,), minimum=TLS_1_3).for_proxy()
        self.assertIsNone(hands.identity)
        self.assertEqual(hands.terms, TLSTerms(minimum=TLS_1_3, cafile=ca_file()))
        hands.secure(Peer(server_context()), self.attempt(), "localhost")


class Told(List[Tuple[str, Dict[str, Any]]]):
    """What a trace was told."""

    def __call__(self, event: str, **fields: Any) -> None:
        self.append((event, fields))


@with_cases
class EndingTests(TrustTestCase):
    """Each handshake ends at any of its waits, and says what it did."""

    def begin(self, kind: str, peer: Peer, clock: Optional[Clock], check: Callable[[], None], trace: Any) -> TLSStream:
        hands, attempt = self.handshakes(trace=trace), self.attempt(clock=clock, check=check, seconds=10.0)
        if kind == "accept":
            stream = self.handshakes().look(Peer(server_context()), self.attempt(), "localhost")
            return hands.accept(peer, attempt, trust_of(stream, "localhost", 443))
        handshake: TLSStream = getattr(hands, kind)(peer, attempt, "localhost")
        return handshake

    def peer_in_pieces(self) -> Peer:
        peer = Peer(server_context())
        peer.give = 300
        peer.room = 0

        def step() -> None:
            Peer.step(peer)
            peer.room = 40

        peer.while_waiting = step
        return peer

    def waits(self, kind: str) -> int:
        peer = self.peer_in_pieces()
        self.begin(kind, peer, None, lambda: None, None)
        self.assertGreater(len(peer.waits), 8)
        return len(peer.waits)

    @cases(secure="secure", look="look", accept="accept")
    def test_a_cancel_at_each_wait(self, kind: str) -> None:
        """Rule 98: whatever it waits for, it ends with Cancelled, closed, and with nothing told but the failure."""
        for number in range(self.waits(kind)):
            peer, told, cancelled = self.peer_in_pieces(), Told(), threading.Event()
            peer.at_wait = number, cancelled.set

            def check(cancelled: threading.Event = cancelled) -> None:
                if cancelled.is_set():
                    raise Cancelled("enough")

            with self.assertRaises(Cancelled) as caught:
                self.begin(kind, peer, None, check, told)
            self.assertEqual((peer.calls, len(peer.waits)), (["close"], number + 1))
            self.assertEqual(
                told, [("tls_start", {"server_hostname": "localhost"}), ("tls_failed", {"error": caught.exception})]
            )

    @cases(secure="secure", look="look", accept="accept")
    def test_the_time_is_up_at_each_wait(self, kind: str) -> None:
        """Rule 204: one deadline covers all of it, however the bytes trickle."""
        for number in range(self.waits(kind) - 1):
            peer, clock = self.peer_in_pieces(), StillClock()
            peer.at_wait = number, functools.partial(clock.advance, 11.0)
            with self.assertRaises(TimedOut):
                self.begin(kind, peer, clock, lambda: None, None)
            self.assertEqual((peer.calls, len(peer.waits)), (["close"], number + 1))

    def test_what_is_told(self) -> None:
        """Name, version, cipher and ALPN of a handshake; or the error that it raised."""
        told = Told()
        server = server_context()
        server.set_alpn_protocols(["http/1.1"])
        self.secure(server, trace=told)
        end = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "alpn": "http/1.1"}
        self.assertEqual(told, [("tls_start", {"server_hostname": "localhost"}), ("tls_end", end)])
        del told[:]
        error = self.refuse(server_context("a"), trace=told)
        self.assertEqual(told[1:], [("tls_failed", {"error": error})])

    def test_an_error_of_the_judge_s_own(self) -> None:
        """A certificate that our reader does not understand is refused, and the stream is closed."""
        with mock.patch.object(trust_module, "pin_of", side_effect=CertificateError("cannot be read")):
            self.assertRegex(str(self.refuse(server_context(), pins=(OTHER_PIN,))), "cannot be read")


class PlainHandshakeTests(TrustTestCase):
    """`shake_hands` with nobody to judge besides, for `wssync.transport.dial`."""

    def test_without_a_judge(self) -> None:
        """The context's verdict is all."""
        peer = Peer(server_context())
        stream = trust_module.shake_hands(peer, self.attempt(), client_context, "localhost")
        self.assertEqual(stream.ssl_object.version(), "TLSv1.3")


if __name__ == "__main__":
    unittest.main()
