"""`wssync.cookies.scope`: hosts and paths."""

from __future__ import annotations

import unittest

from tests.cookies.support import foreign
from tests.support import cases, with_cases
from wssync.cookies.scope import (
    default_path,
    domain_of,
    domains_match,
    host_in_jar,
    host_in_writing,
    host_matches,
    path_matches,
)
from wssync.protocol.urls import parse_url


@with_cases
class HostTests(unittest.TestCase):
    """Hosts and domains."""

    @cases(
        name=("ws://example.org", "example.org", "example.org"),
        no_dot=("ws://localhost:80", "localhost", "localhost.local"),
        local=("ws://printer.local", "printer.local", "printer.local"),
        v4=("ws://127.0.0.1", "127.0.0.1", "127.0.0.1"),
        v6=("ws://[::1]", "[::1]", "[::1].local"),
        root=("ws://example.org.", "example.org.", "example.org."),
    )
    def test_names(self, url: str, written: str, stored: str) -> None:
        """A host in a `Domain` attribute, and as `http.cookiejar` stores it."""
        self.assertEqual((host_in_writing(parse_url(url)), host_in_jar(parse_url(url))), (written, stored))

    @cases(
        same=("example.org", "example.org", True),
        below=("a.b.example.org", "example.org", True),
        above=("example.org", "www.example.org", False),
        other=("example.org", "example.com", False),
        no_label=("badexample.org", "example.org", False),
        root=("example.org", "org", False),
        root_itself=("org", "org", True),
        empty=("example.org", "", False),
        dotted_root=("example.org.", "example.org", False),
    )
    def test_domains_match(self, host: str, domain: str, expected: bool) -> None:
        """Rule 86: the same, or below it by whole labels; nothing is below a top-level domain."""
        self.assertEqual(domains_match(host, domain), expected)

    @cases(
        name=("ws://www.example.org", "example.org", True),
        v4=("ws://127.0.0.1", "127.0.0.1", True),
        v4_tail=("ws://127.0.0.1", "0.0.1", False),
        v6=("ws://[::1]", "[::1]", True),
        v6_bare=("ws://[::1]", "::1", False),
        v6_tail=("ws://[fe80::7f00:1]", "7f00:1", False),
    )
    def test_host_matches(self, url: str, domain: str, expected: bool) -> None:
        """Rule 86: an address matches but itself."""
        self.assertEqual(host_matches(parse_url(url), domain), expected)

    @cases(
        host_alone=("example.org", False, None),
        dotted=(".example.org", True, "example.org"),
        dotted_in_a_file=(".example.org", False, "example.org"),
        by_a_caller=("example.org", True, "example.org"),
    )
    def test_domain_of(self, domain: str, specified: bool, expected: object) -> None:
        """A dot or the library's mark say that a cookie is for more than one host."""
        self.assertEqual(domain_of(foreign("a", "b", domain=domain, domain_specified=specified)), expected)


@with_cases
class PathTests(unittest.TestCase):
    """Paths."""

    @cases(
        same=("/foo", "/foo", True),
        below=("/foo/bar", "/foo", True),
        below_a_slash=("/foo/bar", "/foo/", True),
        root=("/foo", "/", True),
        longer_segment=("/foobar", "/foo", False),
        above=("/foo", "/foo/", False),
        other=("/bar", "/foo", False),
        case=("/FOO", "/foo", False),
        escaped=("/f%6fo", "/foo", False),
    )
    def test_path_matches(self, path: str, cookie_path: str, expected: bool) -> None:
        """Rule 87: the same, or below it by whole segments."""
        self.assertEqual(path_matches(path, cookie_path), expected)

    @cases(root=("/", "/"), file=("/a", "/"), folder=("/a/", "/a"), deep=("/a/b/c", "/a/b"), double=("//", "/"))
    def test_default_path(self, path: str, expected: str) -> None:
        """Rule 87: the folder of the request's path, without the slash at its end."""
        self.assertEqual(default_path(path), expected)
