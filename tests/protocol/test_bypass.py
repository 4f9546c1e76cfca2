"""`wssync.protocol.bypass`: which hosts are reached without a proxy."""

from __future__ import annotations

import unittest

from tests.support import cases, with_cases
from wssync.protocol.bypass import is_excepted, is_loopback, split_entries
from wssync.protocol.urls import parse_url


@with_cases
class LoopbackTests(unittest.TestCase):
    @cases(
        localhost="localhost",
        upper_case="LOCALHOST",
        a_dot="localhost.",
        below="app.localhost",
        ipv4="127.0.0.1",
        any_of_them="127.255.0.9",
        ipv6="[::1]",
        mapped="[::ffff:127.0.0.1]",
        mapped_high="[::ffff:127.255.255.255]",
    )
    def test_this_machine(self, host: str) -> None:
        """Rule 105: loopback in all its spellings."""
        self.assertTrue(is_loopback(parse_url(f"ws://{host}/")))

    @cases(
        name="example.org",
        like_localhost="notlocalhost",
        localhost_inside="localhost.example.org",
        like_an_address="127.0.0.1.example.org",
        ipv4="128.0.0.1",
        any="0.0.0.0",
        ipv6="[::2]",
        mapped="[::ffff:128.0.0.1]",
        mapped_0_127="[::ffff:0.127.0.1]",
        inside="[1::ffff:7f00:1]",
    )
    def test_others(self, host: str) -> None:
        """And nothing that only looks like it."""
        self.assertFalse(is_loopback(parse_url(f"ws://{host}/")))


@with_cases
class ExceptionTests(unittest.TestCase):
    """`no_proxy`, entry by entry."""

    @cases(
        same=("example.org", "example.org"),
        below=("a.b.example.org", "example.org"),
        leading_dot=("example.org", ".example.org"),
        below_leading_dot=("a.example.org", ".example.org"),
        below_star=("a.b.example.org", "*.example.org"),
        case=("EXAMPLE.org", "Example.ORG"),
        dot_of_the_host=("example.org.", "example.org"),
        dot_of_the_entry=("example.org", "example.org."),
        idna=("b\u00fccher.example", "B\u00fccher.example"),
        idna_encoded=("b\u00fccher.example", "xn--bcher-kva.example"),
        port=("example.org:8080", "example.org:8080"),
        default_port=("example.org", "example.org:80"),
        below_with_port=("a.example.org:8080", "example.org:8080"),
        star_with_port=("a.example.org:8080", "*.example.org:8080"),
        everything=("example.org", "*"),
        stars_inside=("db-7.eu.example.org", "db-*.example.org"),
        star_at_the_end=("10.1.2.3", "10.*"),
        stars_and_dot=("db-7.example.org", "db-**.example.org."),
        ipv4=("192.0.2.1", "192.0.2.1"),
        ipv4_port=("192.0.2.1:8080", "192.0.2.1:8080"),
        ipv6=("[2001:db8::1]", "2001:db8:0:0::1"),
        ipv6_brackets=("[2001:db8::1]", "[2001:DB8::1]"),
        ipv6_port=("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
        mapped_entry=("192.0.2.1", "::ffff:192.0.2.1"),
        mapped_host=("[::ffff:192.0.2.1]", "192.0.2.1"),
        network=("192.0.2.77", "192.0.2.0/24"),
        network_by_a_member=("192.0.2.77", "192.0.2.1/24"),
        short_network=("169.254.3.4", "169.254/16"),
        very_short_network=("10.3.2.1", "10/8"),
        ipv6_network=("[2001:db8::77]", "2001:db8::/32"),
        mapped_in_network=("[::ffff:192.0.2.1]", "192.0.2.0/24"),
        blanks_around=("example.org", "  example.org "),
    )
    def test_excepted(self, host: str, entry: str) -> None:
        """Rule 105: the host, or what contains it, in every form that users of other clients write."""
        self.assertTrue(is_excepted(parse_url(f"ws://{host}/"), ["other.example", entry]))

    @cases(
        other=("example.org", "example.com"),
        no_boundary=("evilexample.org", "example.org"),
        no_boundary_dot=("evilexample.org", ".example.org"),
        no_boundary_star=("evilexample.org", "*.example.org"),
        above=("org", "example.org"),
        star_is_not_the_domain=("example.org", "*.example.org"),
        as_a_prefix=("example.org.evil", "example.org"),
        stars_inside=("db.example.org.evil", "db*.example.org"),
        a_dot_is_a_dot=("dbxexample.org", "d*.example.org"),
        port=("example.org:8081", "example.org:8080"),
        default_port=("example.org:8080", "example.org:80"),
        star_with_port=("a.example.org:8081", "*.example.org:8080"),
        ipv4=("192.0.2.11", "192.0.2.1"),
        the_end_of_an_address=("1.192.0.2.1.example", "192.0.2.1"),
        part_of_an_address=("192.0.2.1", "0.2.1"),
        dot_part_of_an_address=("192.0.2.1", ".2.1"),
        ipv4_port=("192.0.2.1:8081", "192.0.2.1:8080"),
        ipv6=("[2001:db8::11]", "2001:db8::1"),
        ipv6_port=("[2001:db8::1]", "[2001:db8::1]:8080"),
        a_name_is_no_address=("example.org", "192.0.2.1"),
        a_name_is_in_no_network=("example.org", "0.0.0.0/0"),
        network=("192.0.3.77", "192.0.2.0/24"),
        network_of_the_other_kind=("192.0.2.1", "::/0"),
        no_network=("192.0.2.1", "192.0.2.0/99"),
        no_network_either=("192.0.2.1", "x/24"),
        nothing=("example.org", ""),
        dots=("example.org", ".."),
        a_url=("example.org", "ws://example.org"),
        a_user=("example.org", "a@example.org"),
        a_query=("example.org", "example.org?"),
        junk=("example.org", "\\%"),
    )
    def test_not_excepted(self, host: str, entry: str) -> None:
        """Labels are whole, addresses are numbers, and what makes no sense excepts nothing."""
        self.assertFalse(is_excepted(parse_url(f"ws://{host}/"), [entry]))

    @cases(
        same=("example.org", "example.org", True),
        below=("a.example.org", "example.org", False),
        below_dot=("a.example.org", ".example.org", True),
        below_star=("a.example.org", "*.example.org", True),
        local=("printer.local", "*.local", True),
        network=("169.254.1.1", "169.254/16", True),
    )
    def test_exact(self, host: str, entry: str, expected: bool) -> None:
        """Rule 105: in Apple's lists a name is that name alone."""
        self.assertEqual(is_excepted(parse_url(f"ws://{host}/"), [entry], exact=True), expected)

    def test_no_entries(self) -> None:
        """Nothing is excepted by nothing."""
        self.assertFalse(is_excepted(parse_url("ws://example.org/"), []))

    def test_the_port_of_wss(self) -> None:
        """The port of an entry is compared with the real one, 443 for wss."""
        self.assertTrue(is_excepted(parse_url("wss://example.org/"), ["example.org:443"]))
        self.assertFalse(is_excepted(parse_url("wss://example.org/"), ["example.org:80"]))

    def test_entries(self) -> None:
        """Commas and blanks separate, in any number."""
        self.assertEqual(list(split_entries(" a, b,,c d\te, ")), ["a", "b", "c", "d", "e"])
        self.assertEqual(list(split_entries("")), [])


if __name__ == "__main__":
    unittest.main()
