"""Tests of `wssync.auth.spaces`."""

from __future__ import annotations

import hashlib
import pickle
import unittest
from typing import Dict

from wssync.auth import AuthenticationMethod, ProtectionSpace, ServerTrust
from wssync.auth.spaces import origin_of
from wssync.errors import CertificateError


class MethodTests(unittest.TestCase):
    def test_schemes_in_any_case(self) -> None:
        """Rule 64: a scheme that is known is its member, another one is itself."""
        self.assertIs(AuthenticationMethod.named("bAsIc"), AuthenticationMethod.HTTP_BASIC)
        self.assertIs(AuthenticationMethod.named("NEGOTIATE"), AuthenticationMethod.NEGOTIATE)
        self.assertEqual(AuthenticationMethod.named("Bearer"), "Bearer")

    def test_they_are_text(self) -> None:
        """Compared with a string, printed and formatted as one, on every Python."""
        method = AuthenticationMethod.HTTP_DIGEST
        self.assertEqual((method, str(method), f"{method}", f"{method}"), ("Digest",) * 4)
        spoken: Dict[str, int] = {method: 1}
        self.assertEqual(spoken["Digest"], 1)

    def test_no_scheme_is_one_of_tls(self) -> None:
        """A server cannot ask by HTTP for what is asked by TLS: these are no tokens."""
        for method in (AuthenticationMethod.SERVER_TRUST, AuthenticationMethod.CLIENT_CERTIFICATE):
            self.assertIn(" ", method)


class ServerTrustTests(unittest.TestCase):
    def trust(self, error: object = None) -> ServerTrust:
        return ServerTrust("example.com", 443, (b"leaf", b"root"), error)  # type: ignore[arg-type]

    def test_what_it_says(self) -> None:
        """The verdict, and the fingerprint of the first certificate."""
        self.assertTrue(self.trust().is_trusted)
        self.assertFalse(self.trust(CertificateError("expired")).is_trusted)
        self.assertEqual(self.trust().fingerprint, hashlib.sha256(b"leaf").hexdigest())

    def test_equality_is_by_value(self) -> None:
        """That of the verdict too, and it has a hash."""
        for first, second, same in (
            (self.trust(), self.trust(), True),
            (self.trust(CertificateError("expired")), self.trust(CertificateError("expired")), True),
            (self.trust(CertificateError("expired")), self.trust(CertificateError("revoked")), False),
            (self.trust(CertificateError("expired")), self.trust(), False),
            (self.trust(), ServerTrust("example.com", 443, (b"leaf",)), False),
        ):
            self.assertEqual((first == second, hash(first) == hash(second)), (same, same))

    def test_certificates_are_needed(self) -> None:
        """One at least, in any sequence."""
        with self.assertRaisesRegex(ValueError, "no certificate"):
            ServerTrust("example.com", 443, ())
        self.assertEqual(ServerTrust("h", 1, [b"a"]).certificates, (b"a",))  # type: ignore[arg-type]

    def test_repr(self) -> None:
        """Host, port, fingerprint and verdict."""
        print_of_leaf = hashlib.sha256(b"leaf").hexdigest()
        self.assertEqual(repr(self.trust()), f"<ServerTrust example.com:443, sha256 {print_of_leaf}, trusted>")
        self.assertRegex(repr(self.trust(CertificateError("expired"))), "not trusted: expired>$")


class ProtectionSpaceTests(unittest.TestCase):
    def test_one_spelling(self) -> None:
        """Rule 64: wss is https and ws is http, and case does not matter where it does not matter."""
        space = ProtectionSpace("Example.COM", 443, "WSS", "Realm", "digest")
        self.assertEqual((space.host, space.protocol, space.realm), ("example.com", "https", "Realm"))
        self.assertIs(space.authentication_method, AuthenticationMethod.HTTP_DIGEST)
        self.assertEqual(space, ProtectionSpace("example.com", 443, "https", "Realm", AuthenticationMethod.HTTP_DIGEST))
        self.assertEqual(ProtectionSpace("h", 80, "ws", None, "Bearer").protocol, "http")
        self.assertEqual(origin_of("H", 1, "SOCKS5"), ("h", 1, "socks5"))

    def test_it_can_be_a_key(self) -> None:
        """Rule 77: everything counts, that it is a proxy too."""
        spaces = {
            ProtectionSpace("h", 80, "http", "r", "Basic"),
            ProtectionSpace("h", 80, "http", "r", "basic"),
            ProtectionSpace("h", 80, "http", "R", "Basic"),
            ProtectionSpace("h", 80, "http", "r", "Basic", is_proxy=True),
            ProtectionSpace("h", 80, "http", "r", "Basic", distinguished_names=[b"x"]),  # type: ignore[arg-type]
            ProtectionSpace("h", 80, "http", "r", "Basic", server_trust=ServerTrust("h", 80, (b"x",))),
        }
        self.assertEqual(len(spaces), 5)
        self.assertEqual(pickle.loads(pickle.dumps(spaces)), spaces)

    def test_security(self) -> None:
        """Whether TLS carries the credential."""
        for protocol, secure in (("wss", True), ("https", True), ("ws", False), ("http", False), ("socks5", False)):
            space = ProtectionSpace("h", 1, protocol, None, "Basic")
            self.assertEqual(space.receives_credential_securely, secure)


if __name__ == "__main__":
    unittest.main()
