"""The two stores of a configuration, made late."""

from __future__ import annotations

import threading
import unittest

from tests.threads import Running
from wssync import Credential, ProtectionSpace
from wssync.configuration.stores import SHARED, Stores, stores_of

SPACE = ProtectionSpace("example.test", 80, "http", "realm", "Basic")


class StoresTests(unittest.TestCase):
    def test_of_two_that_are_made_at_once_one_stays(self) -> None:
        """Any thread may be the first to need one."""
        stores, start = Stores(), threading.Barrier(4)

        def make() -> object:
            start.wait(10)
            return stores.url_credential_storage

        made = [running.result() for running in [Running(make) for _ in range(4)]]
        self.assertEqual(len(set(map(id, made))), 1)

    def test_forgetting(self) -> None:
        """Rule 221: both are emptied; what was not made is not made for that."""
        stores = Stores()
        stores.forget()
        self.assertIsNone(stores.late_jar.peek())
        storage = stores.url_credential_storage
        storage.set(Credential("user", "password"), SPACE)
        jar = stores.http_cookie_storage
        stores.forget()
        self.assertEqual(storage.credentials(SPACE), {})
        self.assertEqual(list(jar), [])

    def test_whose_they_are(self) -> None:
        """The process's, unless the configuration has its own."""
        self.assertIs(stores_of(None), SHARED)


if __name__ == "__main__":
    unittest.main()
