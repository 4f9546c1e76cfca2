"""Sec-WebSocket-Extensions: wssync/protocol/extensions.py."""

from __future__ import annotations

import unittest
from typing import List
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol.extensions import Extension, parse_extensions

GOOD = {
    "nothing": ("", []),
    "blanks": (" \t ", []),
    "a name": ("foo", [("foo", [])]),
    "blanks around": ("\t foo \t", [("foo", [])]),
    "two names": ("foo, bar", [("foo", []), ("bar", [])]),
    "two names without blanks": ("foo,bar", [("foo", []), ("bar", [])]),
    "the same name twice": ("foo, foo", [("foo", []), ("foo", [])]),
    "empty elements": (",, foo ,, bar,", [("foo", []), ("bar", [])]),
    "a parameter": ("foo; x", [("foo", [("x", None)])]),
    "a value": ("foo; x=1", [("foo", [("x", "1")])]),
    "blanks everywhere": ("foo\t;  x  =\t1 ;y , bar", [("foo", [("x", "1"), ("y", None)]), ("bar", [])]),
    "a quoted value": ('foo; x="1"', [("foo", [("x", "1")])]),
    "an escaped character": (r'foo; x="a\b"', [("foo", [("x", "ab")])]),
    "everything escaped": (r'foo; x="\1\2"', [("foo", [("x", "12")])]),
    "a quoted value and more": ('foo; x="10" ; y, bar', [("foo", [("x", "10"), ("y", None)]), ("bar", [])]),
    "repeated parameters are kept": ("foo; x; x=1", [("foo", [("x", None), ("x", "1")])]),
    "all characters of a token": ("!#$%&'*+-.^_`|~09azAZ", [("!#$%&'*+-.^_`|~09azAZ", [])]),
    "case is kept": ("Foo; Bar=Baz", [("Foo", [("Bar", "Baz")])]),
    "the usual offer": (
        "permessage-deflate; client_max_window_bits",
        [("permessage-deflate", [("client_max_window_bits", None)])],
    ),
    "an offer with a fall-back, RFC 7692 7.1.3": (
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
        [
            ("permessage-deflate", [("client_max_window_bits", None), ("server_max_window_bits", "10")]),
            ("permessage-deflate", []),
        ],
    ),
}

BAD = {
    "a semicolon alone": ";",
    "a parameter without an extension": "; x",
    "no parameter after the semicolon": "foo;",
    "two semicolons": "foo;; x",
    "no value after the equals sign": "foo; x=",
    "a value without a name": "foo; =1",
    "two equals signs": "foo; x==1",
    "a name with a value": "foo=1",
    "two tokens": "foo bar",
    "two tokens as a value": "foo; x=1 2",
    "a slash": "foo/bar",
    "a parenthesis": "foo(bar)",
    "a quoted name": '"foo"',
    "a quoted parameter": 'foo; "x"',
    "an open quote": 'foo; x="1',
    "an open quote and a backslash": 'foo; x="1\\',
    "an escaped closing quote": r'foo; x="1\"',
    "an empty quoted value": 'foo; x=""',
    "a quoted value that is no token": 'foo; x="1 2"',
    "a quoted comma": 'foo; x="1,2"',
    "an escaped quote within": r'foo; x="1\"2"',
    "something after the quote": 'foo; x="1"2',
    "single quotes do not quote": "foo; x='1, 2'; =",
    "a control character": "foo\x00",
    "a line break": "foo;\r\n x",
    "not ASCII": "f\u00f6\u00f6",
    "digits of another script": "foo; x=\u0661",
}


@with_cases
class ParsingTests(unittest.TestCase):
    @cases(GOOD.items())
    def test_the_grammar_is_read(self, text: str, expected: List[Extension]) -> None:
        """RFC 6455 section 9.1: names, parameters and values, in their order."""
        self.assertEqual(parse_extensions(text), expected)

    @cases(GOOD.items())
    def test_both_ways_are_one(self, text: str, expected: List[Extension]) -> None:
        """What needs no looking at single characters is read alike by what does look."""
        with mock.patch("wssync.protocol.extensions._read_unquoted", return_value=[]):
            self.assertEqual(parse_extensions(text), expected)

    @cases(BAD.items())
    def test_everything_else_is_refused(self, text: str) -> None:
        """Rule 195: what does not follow the grammar fails, and the error says where."""
        with self.assertRaisesRegex(ValueError, r"at character \d+ .*section 9\.1"):
            parse_extensions(text)

    @cases(
        parameters=("foo" + ";x=1" * 12_000, 12_000),
        elements=("foo," * 12_000, 0),
        blanks=("foo" + " " * 50_000 + ";x", 1),
        blanks_and_semicolons=("foo" + " ; x" * 12_000, 12_000),
        escapes=('foo;x="' + "\\a" * 25_000 + '"', 1),
    )
    def test_time_is_linear(self, text: str, parameters: int) -> None:
        """A peer's long text is read in one go; in quadratic time these would take many seconds."""
        self.assertEqual(len(parse_extensions(text)[0][1]), parameters)

    @cases(
        open_quote='foo;x="' + "a" * 50_000,
        open_quote_of_backslashes='foo;x="' + "\\\\" * 25_000,
        quotes_that_are_no_token='foo;x="' + '\\"' * 25_000 + '"',
        no_end="foo" + ";x=1" * 12_000 + ";",
    )
    def test_refusing_takes_linear_time(self, text: str) -> None:
        """What is refused at its very end is refused as quickly."""
        with self.assertRaises(ValueError):
            parse_extensions(text)
