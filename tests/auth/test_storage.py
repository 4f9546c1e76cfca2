"""Tests of `wssync.auth.storage`."""

from __future__ import annotations

import threading
import unittest

from wssync.auth import Credential, CredentialPersistence, CredentialStorage, ProtectionSpace, ServerTrust
from wssync.frozen import replace

SPACE = ProtectionSpace("h", 80, "http", "r", "Basic")
OTHER = ProtectionSpace("h", 80, "http", "other", "Basic")
ANN = Credential("ann", "1")
BOB = Credential("bob", "2")


class StorageTests(unittest.TestCase):
    def setUp(self) -> None:
        self.storage = CredentialStorage()

    def test_by_space_and_user(self) -> None:
        """Each space has its own, by user; what is returned is a copy."""
        self.storage.set(BOB, SPACE)
        self.storage.set(ANN, SPACE)
        self.storage.set(ANN, OTHER)
        self.storage.credentials(SPACE).clear()
        self.storage.all_credentials[SPACE].clear()
        self.assertEqual(self.storage.credentials(SPACE), {"ann": ANN, "bob": BOB})
        self.assertEqual(self.storage.all_credentials, {SPACE: {"ann": ANN, "bob": BOB}, OTHER: {"ann": ANN}})
        self.assertEqual(self.storage.credentials(ProtectionSpace("x", 80, "http", "r", "Basic")), {})

    def test_the_default(self) -> None:
        """The first one of a space, until another is made it; that stores it as well."""
        self.assertIsNone(self.storage.default_credential(SPACE))
        self.storage.set(BOB, SPACE)
        self.storage.set(ANN, SPACE)
        self.assertEqual(self.storage.default_credential(SPACE), BOB)
        cid = Credential("cid", "3", CredentialPersistence.PERMANENT)
        self.storage.set_default_credential(cid, SPACE)
        self.assertEqual(self.storage.default_credential(SPACE), cid)
        self.assertEqual(self.storage.credentials(SPACE)["cid"], cid)

    def test_a_new_password(self) -> None:
        """It takes the place of the old one, as the default too."""
        self.storage.set(ANN, SPACE)
        self.storage.set(BOB, SPACE)
        changed = replace(ANN, password="new")
        self.storage.set(changed, SPACE)
        self.assertEqual(self.storage.credentials(SPACE), {"ann": changed, "bob": BOB})
        self.assertEqual(self.storage.default_credential(SPACE), changed)

    def test_what_is_not_stored(self) -> None:
        """Rule 75: nothing that is for one task or for other devices, and nothing without a user."""
        for credential in (
            replace(ANN, persistence=CredentialPersistence.NONE),
            replace(ANN, persistence=CredentialPersistence.SYNCHRONIZABLE),
            Credential.token("Bearer", "x"),
            Credential.identity("cert.pem"),
            Credential.for_trust(ServerTrust("h", 80, (b"x",))),
        ):
            self.storage.set(credential, SPACE)
            self.storage.set_default_credential(credential, SPACE)
        self.assertEqual((self.storage.all_credentials, self.storage.default_credential(SPACE)), ({}, None))

    def test_removing(self) -> None:
        """The whole credential must be the same; the default goes with it."""
        self.storage.set(ANN, SPACE)
        self.storage.set(BOB, SPACE)
        for other in (replace(ANN, password="x"), Credential("cid", "3"), Credential.token("Bearer", "x")):
            self.storage.remove(other, SPACE)
        self.storage.remove(ANN, OTHER)
        self.assertEqual(self.storage.credentials(SPACE), {"ann": ANN, "bob": BOB})
        self.storage.remove(ANN, SPACE)
        self.assertEqual(
            (self.storage.credentials(SPACE), self.storage.default_credential(SPACE)), ({"bob": BOB}, None)
        )
        self.storage.remove(BOB, SPACE)
        self.assertEqual(self.storage.all_credentials, {})

    def test_clearing(self) -> None:
        """Nothing is left, no default either."""
        self.storage.set(ANN, SPACE)
        self.storage.clear()
        self.assertEqual((self.storage.all_credentials, self.storage.default_credential(SPACE)), ({}, None))

    def test_wrong_types(self) -> None:
        """TypeError for what is no credential, or no space."""
        for store in (self.storage.set, self.storage.set_default_credential):
            with self.assertRaisesRegex(TypeError, "not tuple"):
                store(("ann", "1"), SPACE)  # type: ignore[arg-type]
            with self.assertRaisesRegex(TypeError, "not str"):
                store(ANN, "h")  # type: ignore[arg-type]

    def test_repr(self) -> None:
        """The number, and no secret."""
        self.storage.set(Credential("ann", "hidden"), SPACE)
        self.assertEqual(repr(self.storage), "<CredentialStorage with 1 credentials>")

    def test_the_shared_one(self) -> None:
        """It is always the same, and no other one is."""
        self.assertIs(CredentialStorage.shared(), CredentialStorage.shared())
        self.assertIsNot(CredentialStorage.shared(), self.storage)

    def test_many_threads(self) -> None:
        """Nothing is lost, and a copy can be made in the middle of it."""

        def work(number: int) -> None:
            for count in range(200):
                self.storage.set(Credential(f"{number}-{count}", "x"), SPACE)
                self.storage.all_credentials  # noqa: B018
                if count % 2:
                    self.storage.remove(Credential(f"{number}-{count}", "x"), SPACE)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.storage.credentials(SPACE)), 400)


if __name__ == "__main__":
    unittest.main()
