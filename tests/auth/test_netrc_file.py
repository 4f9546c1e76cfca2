"""Tests of `wssync.auth.netrc_file`."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any, Optional
from unittest import mock

from tests.support import cases, with_cases
from wssync.auth import Credential, CredentialPersistence
from wssync.auth.netrc_file import NetrcFile
from wssync.errors import AuthenticationFailed


class NetrcCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        environment = {name: value for name, value in os.environ.items() if name != "NETRC"}
        environment.update(HOME=self.home, USERPROFILE=self.home)
        self.start(mock.patch.dict(os.environ, environment, clear=True))

    def start(self, patch: Any) -> None:
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, text: str, name: str = ".netrc", encoding: str = "utf-8") -> str:
        path = os.path.join(self.home, name)
        with open(path, "w", encoding=encoding) as file:
            file.write(text)
        os.chmod(path, 0o600)
        return path

    def find(self, host: str = "example.com", path: Optional[str] = None) -> Optional[Credential]:
        return NetrcFile(path).find(host)

    def assertUnusable(self, path: Optional[str], message: str) -> None:
        with self.assertRaisesRegex(AuthenticationFailed, message) as caught:
            self.find(path=path)
        error = caught.exception
        self.assertNotIn("hidden", str(error))
        self.assertIsNone(error.__context__)


ENTRY = "machine example.com login user password hidden\n"
FOUND = Credential("user", "hidden", CredentialPersistence.NONE)


@with_cases
class FindingTests(NetrcCase):
    def test_in_the_home_directory(self) -> None:
        """Rule 65: ~/.netrc has the password, and it is not stored elsewhere."""
        self.write(ENTRY)
        self.assertEqual(self.find(), FOUND)
        self.assertIsNone(self.find("example.org"))

    def test_of_the_environment(self) -> None:
        """NETRC names another file, and the constructor one before all."""
        self.write("machine example.com login wrong password wrong\n")
        os.environ["NETRC"] = self.write(ENTRY, "second")
        self.assertEqual(self.find(), FOUND)
        third = self.write("machine example.com login third password x\n", "third")
        self.assertEqual(self.find(path=third), Credential("third", "x", CredentialPersistence.NONE))

    def test_no_file(self) -> None:
        """It has no entries."""
        self.assertIsNone(self.find())
        os.environ["NETRC"] = os.path.join(self.home, "nowhere")
        self.assertIsNone(self.find())

    def test_names_have_no_case(self) -> None:
        """Those of hosts, in the file."""
        self.write("machine EXAMPLE.com login user password hidden\n")
        self.assertEqual(self.find(), FOUND)

    def test_the_default_entry_counts_for_nothing(self) -> None:
        """Whatever the host is called: the password is for nobody in particular."""
        self.write("default login user password hidden\n")
        for host in ("example.com", "default"):
            self.assertIsNone(self.find(host))

    def test_an_entry_without_a_password(self) -> None:
        """A name alone will do; nothing at all will not."""
        self.write("machine example.com login user password ''\nmachine b login '' password ''\n")
        with mock.patch("netrc.netrc") as read:
            read.return_value.hosts = {"example.com": ("user", None, None), "b": ("", "", "")}
            self.assertEqual(self.find(), Credential("user", "", CredentialPersistence.NONE))
            self.assertIsNone(self.find("b"))


@with_cases
class UnusableTests(NetrcCase):
    @cases(
        a_word_too_much="machine example.com login user hidden\n",
        an_unknown_word="\nhidden\n",
    )
    def test_what_is_not_understood(self, text: str) -> None:
        """The line is named, and nothing that stands in it."""
        path = self.write(text, "broken")
        self.assertUnusable(path, r"the netrc file .*broken cannot be used: line \d is not understood$")

    def test_no_text(self) -> None:
        """An encoding that is none."""
        with mock.patch("netrc.netrc", side_effect=UnicodeDecodeError("utf-8", b"hidden\xff", 6, 7, "invalid")):
            self.assertUnusable(None, "the netrc file ~/.netrc cannot be used: it is no text$")

    def test_a_folder(self) -> None:
        """What cannot be opened says why."""
        with mock.patch("netrc.netrc", side_effect=PermissionError(13, "Permission denied")):
            self.assertUnusable(self.home, "cannot be used: Permission denied$")
        with mock.patch("netrc.netrc", side_effect=OSError("hidden")):
            self.assertUnusable(self.home, "cannot be used: it cannot be read$")

    @unittest.skipUnless(os.name == "posix", "there is nothing to be checked")
    def test_one_that_others_may_read(self) -> None:
        """`~/.netrc` must be the user's alone, as the standard library has it."""
        os.chmod(self.write(ENTRY), 0o644)
        self.assertUnusable(None, "~/.netrc access too permissive")

    def test_a_password_with_a_control_character(self) -> None:
        """It could not be sent."""
        with mock.patch("netrc.netrc") as read:
            read.return_value.hosts = {"example.com": ("user", "", "hidden\x01")}
            self.assertUnusable("odd", "^the netrc file odd cannot be used: the password has a control character")


if __name__ == "__main__":
    unittest.main()
