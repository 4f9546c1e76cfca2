"""Tests of `wssync.auth.credentials`."""

from __future__ import annotations

import copy
import pathlib
import pickle
import unittest
from typing import Any, Optional, Tuple

from tests.support import cases, with_cases
from wssync.auth import Credential, CredentialPersistence, ServerTrust
from wssync.frozen import replace
from wssync.protocol.urls import parse_url

TRUST = ServerTrust("example.com", 443, (b"leaf",))


class PersistenceTests(unittest.TestCase):
    def test_apples_values(self) -> None:
        """Rule 75: the four of Apple."""
        self.assertEqual([(kind.name, kind.value) for kind in CredentialPersistence], list(zip(NAMES, range(4))))


NAMES = ("NONE", "FOR_SESSION", "PERMANENT", "SYNCHRONIZABLE")


@with_cases
class CredentialTests(unittest.TestCase):
    def test_user_and_password(self) -> None:
        """For the session unless told otherwise, and equal by value."""
        credential = Credential("user", "secret")
        self.assertEqual(
            (credential.user, credential.password, credential.persistence, credential.has_password),
            ("user", "secret", CredentialPersistence.FOR_SESSION, True),
        )
        self.assertEqual(credential, Credential(user="user", password="secret"))
        self.assertEqual(hash(credential), hash(Credential("user", "secret")))
        for other in (
            Credential("User", "secret"),
            Credential("user", "Secret"),
            Credential("user", "secret", CredentialPersistence.PERMANENT),
            Credential.token("user", "secret"),
        ):
            self.assertNotEqual(credential, other)
        self.assertEqual(replace(credential, password="x"), Credential("user", "x"))

    def test_the_other_kinds(self) -> None:
        """None of them is for a store."""
        trust = Credential.for_trust(TRUST)
        identity = Credential.identity("cert.pem", "key.pem", "secret")
        token = Credential.token("Bearer", "abc")
        self.assertEqual(trust.server_trust, TRUST)
        self.assertEqual(
            (identity.certificate_file, identity.key_file, identity.password), ("cert.pem", "key.pem", "secret")
        )
        self.assertEqual((token.scheme, token.value), ("Bearer", "abc"))
        for credential in (trust, identity, token):
            self.assertEqual((credential.persistence, credential.has_password), (CredentialPersistence.NONE, False))
        self.assertEqual(Credential.identity(pathlib.PurePosixPath("a/b")).certificate_file, "a/b")  # type: ignore[arg-type]

    @cases(
        nothing=(),
        no_password=("user",),
        password_alone=(None, "secret"),
        bytes_for_text=(b"user", "secret"),
        bytes_for_a_password=("user", b"secret"),
        a_number_for_the_persistence=("user", "secret", 1),
        two_kinds=("user", "secret", CredentialPersistence.NONE, TRUST),
    )
    def test_wrong_kinds(self, *arguments: Any) -> None:
        """TypeError, which shows nothing secret."""
        with self.assertRaises(TypeError) as caught:
            Credential(*arguments)
        self.assertNotIn("secret", str(caught.exception))
        for make in (Credential.for_trust, Credential.identity):
            with self.assertRaises(TypeError):
                make(5)  # type: ignore[arg-type]

    @cases(
        user=("secret\n", "secret"),
        password=("user", "secret\x00"),
        surrogate=("user", "secret\udc80"),
    )
    def test_control_characters(self, user: str, password: str) -> None:
        """Rule 73: ValueError, which shows nothing secret."""
        with self.assertRaisesRegex(ValueError, "has a control character") as caught:
            Credential(user, password)
        self.assertNotIn("secret", str(caught.exception))

    @cases(
        line_feed=("Bearer", "secret\r\nX: y"),
        nothing=("Bearer", ""),
        blanks_around=("Bearer", "secret "),
        beyond_ascii=("Bearer", "secret\xe9"),
        no_scheme=("", "secret"),
        no_token=("Bearer secret", "secret"),
        no_ascii_scheme=("B\xe9", "secret"),
    )
    def test_what_is_no_token(self, scheme: str, value: str) -> None:
        """ValueError: nothing gets into a header field that does not belong there, and nothing secret out."""
        with self.assertRaises(ValueError) as caught:
            Credential.token(scheme, value)
        self.assertNotIn("secret", str(caught.exception))
        for arguments in ((None, "x"), ("Bearer", None)):
            with self.assertRaises(TypeError):
                Credential.token(*arguments)

    @cases(
        both=("wss://u%3A:p%40@h/", ("u:", "p@")),
        user_alone=("wss://key@h/", ("key", "")),
        password_alone=("wss://:p@h/", ("", "p")),
        neither=("wss://h/", None),
    )
    def test_of_a_url(self, url: str, expected: Optional[Tuple[str, str]]) -> None:
        """Rule 65: the userinfo, decoded; it is not stored for tasks with another URL."""
        found = Credential.from_url(parse_url(url))
        self.assertEqual(found, None if expected is None else Credential(*expected, CredentialPersistence.NONE))

    def test_no_secret_is_shown(self) -> None:
        """Not the password, not the token, and no user name that may be a key."""
        for credential, shown in (
            (Credential("user", "secret"), "Credential('user', '***', CredentialPersistence.FOR_SESSION)"),
            (Credential("secret", ""), "Credential('***', '***', CredentialPersistence.FOR_SESSION)"),
            (Credential.token("Bearer", "secret"), "Credential.token('Bearer', '***')"),
            (Credential.identity("c", "k", "secret"), "Credential.identity('c', 'k', password='***')"),
            (Credential.identity("c"), "Credential.identity('c', None)"),
            (Credential.for_trust(TRUST), f"Credential.for_trust({TRUST!r})"),
        ):
            self.assertEqual((repr(credential), str(credential)), (shown, shown))

    def test_copies(self) -> None:
        """A copy, and what comes out of a pickle, is equal."""
        for credential in (Credential("u", "p"), Credential.token("Bearer", "x"), Credential.for_trust(TRUST)):
            self.assertEqual(copy.copy(credential), credential)
            self.assertEqual(pickle.loads(pickle.dumps(credential)), credential)


if __name__ == "__main__":
    unittest.main()
