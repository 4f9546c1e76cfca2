"""Tests of `wssync.protocol.digest`: the vectors that the RFCs print."""

from __future__ import annotations

import hashlib
import unittest
from typing import Optional
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol.digest import ALGORITHMS, Algorithm, find_algorithm


def known(name: str) -> Algorithm:
    algorithm = find_algorithm(name)
    if algorithm is None:
        raise unittest.SkipTest(f"the OpenSSL of this Python lacks {name}")
    return algorithm


@with_cases
class VectorTests(unittest.TestCase):
    @cases(
        MD5=("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        SHA_256=("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    )
    def test_rfc_7616_section_3_9_1(self, name: str, expected: str) -> None:
        """Rule 74: the example with both hashes."""
        algorithm = known(name)
        secret = algorithm.secret(b"Mufasa", b"http-auth@example.org", b"Circle of Life")
        response = algorithm.response(
            secret,
            b"GET",
            b"/dir/index.html",
            b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            b"00000001",
            b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            b"auth",
        )
        self.assertEqual(response, expected.encode())

    def test_rfc_7616_section_3_9_2(self) -> None:
        """Rule 74: SHA-512/256 and a name that is sent hashed, with the numbers of erratum 4897."""
        algorithm = known("SHA-512-256")
        user, realm = "Jäsøn Doe".encode(), b"api@example.org"
        self.assertEqual(
            algorithm.hash(user, realm), b"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        )
        response = algorithm.response(
            algorithm.secret(user, realm, b"Secret, or not?"),
            b"GET",
            b"/doe.json",
            b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            b"00000001",
            b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            b"auth",
        )
        self.assertEqual(response, b"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")

    def test_rfc_2617_section_3_5(self) -> None:
        """Rule 74: the example that everybody knows."""
        algorithm = known("MD5")
        response = algorithm.response(
            algorithm.secret(b"Mufasa", b"testrealm@host.com", b"Circle Of Life"),
            b"GET",
            b"/dir/index.html",
            b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            b"00000001",
            b"0a4f113b",
            b"auth",
        )
        self.assertEqual(response, b"6629fae49393a05397450978507c4ef1")

    def test_rfc_2069_section_2_4(self) -> None:
        """Rule 74: without qop, as erratum 749 has it."""
        algorithm = known("MD5")
        response = algorithm.response(
            algorithm.secret(b"Mufasa", b"testrealm@host.com", b"CircleOfLife"),
            b"GET",
            b"/dir/index.html",
            b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        )
        self.assertEqual(response, b"1949323746fe6a43ef61f9606e7febea")

    @cases((name, name) for name in ALGORITHMS)
    def test_a_session(self, name: str) -> None:
        """Rule 74: "-sess" binds the secret to nonce and cnonce, calculated once more (no RFC prints an example)."""
        algorithm, kind = known(f"{name}-sess"), {"SHA-512-256": "sha512_256"}.get(name, name.replace("-", ""))
        outer = hashlib.new(kind, b"u:r:p").hexdigest()
        expected = hashlib.new(kind, f"{outer}:n:c".encode()).hexdigest()
        found = algorithm.session_secret(algorithm.secret(b"u", b"r", b"p"), b"n", b"c")
        self.assertEqual(found, expected.encode())


@with_cases
class NameTests(unittest.TestCase):
    @cases(
        md5=("md5", "MD5", False),
        session=("Md5-Sess", "MD5-sess", True),
        sha_256=("SHA-256", "SHA-256", False),
        sha_512_256=("sha-512-256-sess", "SHA-512-256-sess", True),
    )
    def test_in_any_case(self, name: str, canonical: str, is_session: bool) -> None:
        """Rule 74: the algorithm is found, and has its registered name."""
        self.assertEqual((known(name).name, known(name).is_session), (canonical, is_session))

    @cases((name or "nothing", name) for name in ("", "SHA-1", "SHA256", "MD5-sess-sess", "-sess", "auth", " MD5"))
    def test_unknown_ones(self, name: str) -> None:
        """Rule 74: there is none, and no error."""
        self.assertIsNone(find_algorithm(name))

    def test_a_hash_that_openssl_lacks(self) -> None:
        """Rule 74: as if it were unknown."""

        def new(name: str, *arguments: object, usedforsecurity: Optional[bool] = None) -> object:
            if name == "sha512_256":
                raise ValueError("unsupported hash type")
            return hashlib.md5()

        with mock.patch.object(hashlib, "new", new):
            self.assertIsNone(find_algorithm("SHA-512-256"))
            self.assertIsNotNone(find_algorithm("MD5"))

    def test_strengths(self) -> None:
        """Rule 64: the stronger hash has the larger number, with "-sess" or without."""
        strengths = [known(name).strength for name in ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256")]
        self.assertEqual(strengths, sorted(strengths))
        self.assertEqual(len(set(strengths)), 3)


if __name__ == "__main__":
    unittest.main()
