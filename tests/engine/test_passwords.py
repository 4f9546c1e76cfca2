"""Where the passwords of one side come from."""

from __future__ import annotations

import tempfile
import unittest
import unittest.mock
from pathlib import Path
from typing import Any, Optional, Union

from wssync.auth import Credential, CredentialStorage, ProtectionSpace
from wssync.configuration import SessionConfiguration
from wssync.engine.gate import Gate
from wssync.engine.passwords import make_authenticator
from wssync.engine.plan import Plan
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Request, Response

from .support import URL

PLACE = ("example.test", 80, "http")
SPACE = ProtectionSpace(*PLACE, "a", "Basic")


class PasswordsTests(unittest.TestCase):
    def setUp(self) -> None:
        self.storage = CredentialStorage()

    def proposed(
        self, given: Optional[Credential] = None, netrc: Union[bool, str] = False, *, is_proxy: bool = False
    ) -> Optional[Credential]:
        """What would answer a challenge."""
        configuration = SessionConfiguration(url_credential_storage=self.storage, netrc=netrc)
        plan = Plan(Request(URL), (), configuration, lambda: self.fail(), Gate(6))
        authenticator = make_authenticator(plan, given, PLACE, is_proxy=is_proxy)
        field = "Proxy-Authenticate" if is_proxy else "WWW-Authenticate"
        refusal = Response(URL, 407 if is_proxy else 401, "No", Headers({field: 'Basic realm="a"'}))
        (challenge,) = authenticator.challenged(refusal, *PLACE).challenges
        self.assertIs(challenge.protection_space.is_proxy, is_proxy)
        return challenge.proposed_credential

    def test_what_was_given(self) -> None:
        """Rule 65: the URL's goes before what is stored."""
        given = Credential("given", "1")
        self.storage.set(Credential("stored", "2"), SPACE)
        self.assertIs(self.proposed(given), given)

    def test_what_is_stored(self) -> None:
        """Rule 65: that of the space; a proxy's is another space."""
        stored = Credential("stored", "2")
        self.storage.set(stored, SPACE)
        self.assertEqual(self.proposed(), stored)
        self.assertIsNone(self.proposed(is_proxy=True))

    def test_a_file(self) -> None:
        """The netrc file is asked last, and only if that is switched on."""
        folder: Any = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "netrc")
        path.write_text("machine example.test login user password secret\n", encoding="ascii")
        found = self.proposed(netrc=str(path))
        assert found is not None
        self.assertEqual((found.user, found.password), ("user", "secret"))
        self.assertIsNone(self.proposed())

    def test_the_usual_file(self) -> None:
        """`True` is the one in the home folder, or the one that the environment names."""
        folder: Any = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with unittest.mock.patch.dict("os.environ", NETRC=str(Path(folder.name, "none"))):
            self.assertIsNone(self.proposed(netrc=True))


if __name__ == "__main__":
    unittest.main()
