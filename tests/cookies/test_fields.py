"""`wssync.cookies.fields`: what a `Set-Cookie` field says. Most of its syntax is held by `test_http_state`."""

from __future__ import annotations

import unittest
from typing import Optional

from tests.cookies.support import NOW
from tests.support import cases, with_cases
from wssync.cookies.fields import SetCookie, parse_set_cookie

IN_2030 = "Tue, 01 Jan 2030 00:00:00 GMT"
SECONDS_OF_2030 = 1_893_456_000
IN_2020 = "Wed, 01 Jan 2020 00:00:00 GMT"


def read(text: str) -> SetCookie:
    cookie = parse_set_cookie(text)
    assert cookie is not None
    return cookie


@with_cases
class RefusedTests(unittest.TestCase):
    """Fields that set nothing."""

    @cases([(f"{code:02x}", chr(code)) for code in [*range(9), *range(10, 32), 127]])
    def test_control_characters(self, character: str) -> None:
        """A field with a control character anywhere sets nothing (rfc6265bis section 5.6)."""
        for text in ("a{}b=c", "a=b{}c", "a=b; Path=/{}"):
            self.assertIsNone(parse_set_cookie(text.format(character)))

    @cases(
        tab_in_name="a\tb=c", tab_in_value="a=b\tc", comma_in_name="a,b=c", no_break_space="\xa0=c", next_line="\x85=c"
    )
    def test_what_would_spoil_a_file(self, text: str) -> None:
        """What the file of a MozillaCookieJar or LWPCookieJar could not be read with is refused."""
        self.assertIsNone(parse_set_cookie(text))

    @cases(empty="", blank=" ", semicolon=";", no_equals="a", no_name="=a", blank_name=" \t=a", late="a; b=c")
    def test_no_name(self, text: str) -> None:
        """Rule 93: without "=", or without anything before it, it sets nothing."""
        self.assertIsNone(parse_set_cookie(text))

    def test_size(self) -> None:
        """Name and value have 4096 bytes together at most, whatever the attributes have."""
        self.assertEqual(len(read("name=" + "v" * 4092 + "; Path=/" + "p" * 1000).value), 4092)
        self.assertIsNone(parse_set_cookie("name=" + "v" * 4093))

    def test_a_megabyte(self) -> None:
        """Neither long fields nor many attributes are a burden."""
        self.assertIsNone(parse_set_cookie("a=" + "b" * 1_000_000))
        self.assertEqual(read("a=b" + ";" * 1_000_000).name, "a")


@with_cases
class AttributeTests(unittest.TestCase):
    """Attributes."""

    def test_all(self) -> None:
        """Each in any case, with blanks around."""
        cookie = read(
            f"a=b;DOMAIN = .Example.ORG ;path=\t/p ; MAX-age=5;expires={IN_2030};secure;HttpOnly;SameSite=Lax"
        )
        self.assertEqual((cookie.domain, cookie.path, cookie.max_age), ("example.org", "/p", 5))
        self.assertEqual((cookie.expires, cookie.secure, cookie.http_only), (SECONDS_OF_2030, True, True))

    def test_none(self) -> None:
        """What is not there is `None` or false."""
        cookie = read("a=b")
        self.assertEqual((cookie.domain, cookie.path, cookie.max_age, cookie.expires), (None, None, None, None))
        self.assertEqual((cookie.secure, cookie.http_only), (False, False))

    def test_too_long(self) -> None:
        """An attribute over 1024 bytes is ignored, not cut."""
        self.assertEqual(read("a=b; Path=/" + "p" * 1023).path, "/" + "p" * 1023)
        self.assertIsNone(read("a=b; Path=/" + "p" * 1024).path)

    @cases(relative="p", empty="", tab="/a\tb")
    def test_bad_path(self, path: str) -> None:
        """Rule 87: a path that is none means the default."""
        self.assertIsNone(read(f"a=b; Path=/x; Path={path}").path)

    @cases(
        plus="+5",
        letters="5s",
        empty="",
        minus="-",
        fraction="5.5",
        hex="0x5",
        comma="5,0",
        other_digits="\u00b9",
        space="5 5",
    )
    def test_bad_max_age(self, text: str) -> None:
        """Rule 89: what is no number of seconds is ignored, and one before it stays."""
        self.assertEqual(read(f"a=b; Max-Age=7; Max-Age={text}").max_age, 7)

    def test_bad_expires(self) -> None:
        """Rules 89 and 90: what is no date is ignored, and one before it stays."""
        self.assertEqual(read(f"a=b; Expires={IN_2030}; Expires=soon").expires, SECONDS_OF_2030)

    def test_nothing_shows_a_value(self) -> None:
        """A parsed cookie has no `repr()` that would."""
        self.assertNotIn("s3cret", repr(read("a=s3cret")))


@with_cases
class ExpiresAtTests(unittest.TestCase):
    """`SetCookie.expires_at`."""

    @cases(
        neither=("", None),
        max_age=("; Max-Age=60", NOW + 60),
        expires=(f"; Expires={IN_2030}", SECONDS_OF_2030),
        both=(f"; Max-Age=60; Expires={IN_2020}", NOW + 60),
        both_the_other_way=(f"; Expires={IN_2020}; Max-Age=60", NOW + 60),
        zero=(f"; Max-Age=0; Expires={IN_2030}", 0),
        negative=(f"; Max-Age=-1; Expires={IN_2030}", 0),
        past=(f"; Expires={IN_2020}", 0),
        before_1970=("; Expires=Mon, 01 Jan 1900 00:00:00 GMT", 0),
        invalid_max_age=(f"; Max-Age=never; Expires={IN_2030}", SECONDS_OF_2030),
        invalid_both=("; Max-Age=never; Expires=never", None),
        the_last_one=("; Max-Age=60; Max-Age=90", NOW + 90),
        endless=("; Max-Age=" + "9" * 1000, 253_402_300_799),
    )
    def test_end(self, attributes: str, end: Optional[int]) -> None:
        """Rule 89: Max-Age goes before Expires; 0 is the past, and nothing lasts longer than the year 9999."""
        self.assertEqual(read("a=b" + attributes).expires_at(NOW), end)
