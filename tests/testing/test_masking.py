"""Secrets, and what is new each time, are left out of URLs and header fields."""

from __future__ import annotations

import unittest
from typing import Any

from tests.support import cases, with_cases
from wssync.protocol.headers import Headers
from wssync.testing.masking import Masking


@with_cases
class URLTests(unittest.TestCase):
    """`Masking.url`."""

    @cases(
        nothing=("ws://a/b", "ws://a/b"),
        others=("ws://a/b?x=1&&y", "ws://a/b?x=1&&y"),
        first=("/b?token=1&y=2", "/b?y=2"),
        last=("/b?y=2&Token=1", "/b?y=2"),
        only=("/b?TOKEN=1", "/b"),
        without_value=("/b?token&y", "/b?y"),
        twice=("/b?token=1&y&token=2", "/b?y"),
        escaped=("/b?to%6Ben=1&y", "/b?y"),
        always=("/b?authorization=1&y", "/b?y"),
        only_a_part=("/b?mytoken=1&tokens=2", "/b?mytoken=1&tokens=2"),
        a_path=("/token=1", "/token=1"),
    )
    def test_secret_parameters_are_left_out(self, text: str, expected: str) -> None:
        """A query parameter of a secret name goes, however it is spelled; everything else stays as it is."""
        self.assertEqual(Masking(["toKen"]).url(text), expected)


@with_cases
class HeadersTests(unittest.TestCase):
    """`Masking.headers`."""

    def test_secrets_and_volatile_fields_are_left_out(self) -> None:
        """The named fields go, the four that are always secret, and the five that differ each time."""
        names = "AUTHORIZATION proxy-authorization Cookie Set-Cookie X-Key Host Date User-Agent Sec-WebSocket-Key"
        fields = [(name, "1") for name in [*names.split(), "Sec-WebSocket-Accept", "X-Other"]]
        self.assertEqual(Masking(["x-kEY"]).headers(Headers(fields)).fields, (("X-Other", "1"),))

    def test_a_location_has_its_secrets_left_out(self) -> None:
        """A redirect to a URL with a secret parameter does not give it away; other fields keep their text."""
        headers = Headers([("location", "/a?token=1&b"), ("X-Text", "/a?token=1&b")])
        self.assertEqual(Masking(["token"]).headers(headers).fields, (("location", "/a?b"), ("X-Text", "/a?token=1&b")))

    def test_one_text_is_no_sequence_of_names(self) -> None:
        """A `str` would be taken for a list of letters: TypeError."""
        with self.assertRaisesRegex(TypeError, "not one str"):
            Masking("token")

    @cases(number=5, none=None, bytes=b"token")
    def test_what_is_no_sequence_is_refused(self, names: Any) -> None:
        """TypeError that says what secrets are."""
        with self.assertRaisesRegex(TypeError, "^secrets are names, each a str, in a list or the like, not one "):
            Masking(names)

    @cases(number=(["a", 5], "int"), bytes=([b"token"], "bytes"))
    def test_each_name_is_a_text(self, names: Any, kind: str) -> None:
        """TypeError for another one, with its type and without its value, which may be a secret."""
        with self.assertRaisesRegex(TypeError, f"^secrets are names, each a str, and one of them is of type {kind}$"):
            Masking(names)
