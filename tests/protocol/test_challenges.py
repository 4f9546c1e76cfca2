"""Tests of `wssync.protocol.challenges`: what servers send, and what hostile ones would."""

from __future__ import annotations

import random
import time
import tracemalloc
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol import challenges as challenges_module
from wssync.protocol.challenges import (
    MAX_CHALLENGES,
    MAX_PARAMETERS,
    Challenge,
    check_text,
    decode_text,
    parse_challenges,
    parse_parameters,
    quote,
    quote_octets,
    read_parameter,
    to_octets,
)

Found = List[Tuple[str, Dict[str, str], Optional[str]]]


def parse(*values: str) -> Found:
    return [(found.scheme, dict(found.parameters), found.token) for found in parse_challenges(values)]


@with_cases
class ParsingTests(unittest.TestCase):
    @cases(
        nothing=([""], []),
        commas=([" , ,\t,"], []),
        scheme=(["Negotiate"], [("Negotiate", {}, None)]),
        basic=(['Basic realm="simple"'], [("Basic", {"realm": "simple"}, None)]),
        rfc_9110_section_11_6_1=(
            ['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'],
            [
                ("Newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}, None),
                ("Basic", {"realm": "simple"}, None),
            ],
        ),
        two_fields=(
            ['Basic realm="a"', 'Digest realm="b", nonce=c'],
            [("Basic", {"realm": "a"}, None), ("Digest", {"realm": "b", "nonce": "c"}, None)],
        ),
        token68=(["Negotiate a87421000492aa874209af8bc028=="], [("Negotiate", {}, "a87421000492aa874209af8bc028==")]),
        token68_and_more=(
            ["NTLM TlRMTVNTUAAC , Negotiate, Basic realm=x"],
            [("NTLM", {}, "TlRMTVNTUAAC"), ("Negotiate", {}, None), ("Basic", {"realm": "x"}, None)],
        ),
        one_equals_sign=(["Foo a="], [("Foo", {}, "a=")]),
        a_comma_in_a_realm=(['Basic realm="a, Digest nonce=b"'], [("Basic", {"realm": "a, Digest nonce=b"}, None)]),
        blanks_around_an_equals_sign=(
            ['Digest  realm\t=  "a" ,nonce =b'],
            [("Digest", {"realm": "a", "nonce": "b"}, None)],
        ),
        empty_elements=([',, Digest , realm="a" ,, , nonce=b,'], [("Digest", {"realm": "a", "nonce": "b"}, None)]),
        a_name_in_capitals=(['Basic REALM="A"'], [("Basic", {"realm": "A"}, None)]),
        an_empty_value=(['Basic realm=""'], [("Basic", {"realm": ""}, None)]),
        escapes=([r'Basic realm="\\\"\a\,"'], [("Basic", {"realm": '\\"a,'}, None)]),
        octets=(['Basic realm="\xc3\xa9\xff"'], [("Basic", {"realm": "\xc3\xa9\xff"}, None)]),
    )
    def test_well_formed(self, values: List[str], expected: Found) -> None:
        """Rule 64: schemes, parameters and tokens are told apart."""
        self.assertEqual(parse(*values), expected)

    @cases(
        open_quote='Digest realm="a',
        open_escape='Digest realm="a\\"',
        text_behind_a_quote='Digest realm="a"b',
        no_comma='Digest realm="a" nonce=b',
        no_value="Digest realm=, nonce=b",
        no_name="Digest =b",
        twice='Digest realm="a", Realm="b"',
        words="Digest a realm",
        unquoted_words="Digest realm=My Realm",
        parameters_alone='realm="a", nonce=b',
        token_and_parameters="Digest abc=, realm=a",
        a_control_character='Digest realm="a\x00"',
        a_line_feed='Digest realm="a\n"',
        an_escaped_line_feed='Digest realm="a\\\nb"',
        beyond_latin_1='Digest realm="\u20ac"',
        no_ascii_scheme="D\xefgest realm=a",
        brackets="[Digest] realm=a",
        many_parameters="Digest " + ", ".join(f"p{number}=1" for number in range(MAX_PARAMETERS + 1)),
    )
    def test_a_broken_one_is_left_out(self, broken: str) -> None:
        """Rule 64: nothing is made of it, nothing is raised, and the field behind it is read."""
        good = ("Basic", {"realm": "x"}, None)
        self.assertEqual(parse(broken), [])
        self.assertEqual(parse(broken, "Basic realm=x"), [good])

    def test_what_stands_before_a_broken_one(self) -> None:
        """Rule 64: it is kept if it is clear that another one has begun."""
        good = ("Basic", {"realm": "x"}, None)
        for broken in ('Digest realm="a', "Digest realm=, nonce=b", "Digest a realm", "Digest abc=, realm=a"):
            self.assertEqual(parse(f"Basic realm=x, {broken}"), [good])
        self.assertEqual(parse("Basic realm=x, [Digest]"), [])

    def test_what_stands_behind_a_broken_one(self) -> None:
        """Rule 64: in the same field too, unless a quote was left open."""
        self.assertEqual(parse('Digest realm=a b, nonce="c, d", Basic realm=x'), [("Basic", {"realm": "x"}, None)])
        self.assertEqual(parse('Digest realm="a"b", Basic realm=x'), [])

    def test_as_many_parameters_as_are_allowed(self) -> None:
        """They are all there."""
        text = "Digest " + ", ".join(f"p{number}=1" for number in range(MAX_PARAMETERS))
        self.assertEqual(len(parse(text)[0][1]), MAX_PARAMETERS)

    def test_it_is_bounded(self) -> None:
        """At most so many challenges, over one field or several, and no more text than a head can have."""
        self.assertEqual(len(parse(", ".join(["Basic realm=x"] * 1000))), MAX_CHALLENGES)
        self.assertEqual(len(parse(*["A, B, C"] * 1000)), MAX_CHALLENGES)
        with mock.patch.object(challenges_module, "Challenge", wraps=Challenge) as made:
            parse(*["A," * 1000] * 10)
        self.assertLessEqual(made.call_count, MAX_CHALLENGES + 1)
        self.assertEqual(parse("Basic realm=" + "x" * 70_000, "Basic realm=y"), [])
        self.assertEqual(len(parse("Basic realm=" + "x" * 65_000, "Basic realm=y", "A" * 600, "B")), 2)

    @cases(
        challenges=lambda size: ["A realm=x, " * (size // 11)],
        fields=lambda size: ["A b=c"] * (size // 5),
        schemes=lambda size: ["A," * (size // 2)],
        commas=lambda size: ["," * size],
        blanks=lambda size: ["A" + " " * size + "b"],
        blanks_alone=lambda size: [" " * size],
        a_long_name=lambda size: ["A " + "b" * size],
        a_long_parameter=lambda size: ["A " + "b" * size + '="c'],
        an_open_quote=lambda size: ['A b="' + "c" * size],
        escapes=lambda size: ['A b="' + "\\" * (size + 1)],
        quotes=lambda size: ['"' * size],
        quoted=lambda size: ['A "b" ' * (size // 6)],
        equals_signs=lambda size: ["A b" + "=" * size + "c"],
        broken_elements=lambda size: ["=," * (size // 2)],
        parameters_of_a_broken_one=lambda size: ["A =, " + "b=c," * (size // 4)],
        words=lambda size: ["A b c d " * (size // 8)],
        words_alone=lambda size: ["A " * (size // 2)],
    )
    def test_hostile_ones_take_linear_time(self, make: Callable[[int], List[str]]) -> None:
        """Four times the text takes about four times the work, and never much memory."""
        for size in (4_000, 16_000, 60_000):
            values = make(size)
            tracemalloc.start()
            try:
                began = time.process_time()
                parse_challenges(values)
                took = time.process_time() - began
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            # What grows with the square would take many seconds for the longest; this is 100 times what it takes.
            self.assertLess(took, 2)
            self.assertLess(peak, 50_000 + 120 * size)  # most of it is the stack of `re`

    def test_soups(self) -> None:
        """Whatever bytes come, something bounded is returned, and it has no control character."""
        dice = random.Random(5)
        pieces = [
            "Digest",
            "Basic",
            " ",
            ",",
            "=",
            '"',
            "\\",
            "realm",
            "a",
            "\t",
            "==",
            "\xe9",
            "\x00",
            "\r\n",
            'a="b"',
        ]
        for _ in range(3000):
            values = ["".join(dice.choices(pieces, k=dice.randrange(20))) for _ in range(dice.randrange(3))]
            for found in parse_challenges(values):
                text = "".join([found.scheme, found.token or "", *(name + value for name, value in found.parameters)])
                self.assertFalse([character for character in text if ord(character) < 32 and character != "\t"])

    def test_round_trips(self) -> None:
        """What is quoted is read as it was, among others."""
        dice = random.Random(6)
        for _ in range(300):
            value = "".join(dice.choices('ab \\",=\t\xe9\xff~', k=dice.randrange(12)))
            text = f"Other, Digest realm={quote_octets(value)}, nonce=x, More realm={quote_octets(value)}"
            self.assertEqual(
                parse(text)[1:], [("Digest", {"realm": value, "nonce": "x"}, None), ("More", {"realm": value}, None)]
            )


class ChallengeTests(unittest.TestCase):
    def test_get(self) -> None:
        """A parameter, or `None`."""
        challenge = Challenge("Basic", (("realm", "x"),))
        self.assertEqual((challenge.get("realm"), challenge.get("charset")), ("x", None))


@with_cases
class ParametersTests(unittest.TestCase):
    @cases(
        rfc_7616=(
            ['rspauth="e1", cnonce="c", nc=00000001, qop=auth', 'nextnonce="n"'],
            {"rspauth": "e1", "cnonce": "c", "nc": "00000001", "qop": "auth", "nextnonce": "n"},
        ),
        nothing=([], {}),
        broken=(["nextnonce"], None),
        half=(['nextnonce="n'], None),
        twice=(["nextnonce=a", "nextnonce=b"], None),
        many=([f"p{number}=1" for number in range(MAX_PARAMETERS + 1)], None),
    )
    def test_of_fields(self, values: List[str], expected: Any) -> None:
        """Rule 74: the grammar of Authentication-Info."""
        self.assertEqual(parse_parameters(values), expected)

    def test_one(self) -> None:
        """Name, value, and where the next one begins."""
        self.assertEqual(read_parameter('x, Nonce = "a\\"b" , y=1', 2), ("nonce", 'a"b', 20))
        self.assertIsNone(read_parameter("Nonce"))


@with_cases
class TextTests(unittest.TestCase):
    @cases((f"U+{ord(wrong):04X}", wrong) for wrong in "\x00\t\n\r\x1f\x7f\x80\x9f\ud800\udfff")
    def test_control_characters(self, wrong: str) -> None:
        """Rule 73: no text of ours has one (RFC 7617 section 2), and the message does not show it."""
        with self.assertRaisesRegex(ValueError, "^the password has a control character") as caught:
            check_text("password", f"hidden{wrong}")
        self.assertNotIn("hidden", str(caught.exception))

    def test_what_is_no_text(self) -> None:
        """TypeError, that does not show it either."""
        with self.assertRaisesRegex(TypeError, "^the password is a str, not bytes$"):
            check_text("password", b"hidden")  # type: ignore[arg-type]
        check_text("password", "J\u00e4s\u00f8n \u20ac \U0001f511 \xa0")

    def test_octets_of_ours(self) -> None:
        """UTF-8, composed."""
        self.assertEqual(to_octets("abc"), b"abc")
        self.assertEqual(to_octets("A\u030a\u20ac"), "\u00c5\u20ac".encode())

    def test_octets_of_the_peer(self) -> None:
        """UTF-8 if they are that, else Latin-1; what is no octets at all stays as it is."""
        self.assertEqual(decode_text("J\xc3\xa4s"), "J\u00e4s")
        self.assertEqual(decode_text("J\xe4s"), "J\u00e4s")
        self.assertEqual(decode_text("\u20ac"), "\u20ac")

    def test_quoting(self) -> None:
        """Quotes and backslashes are escaped once, and text becomes octets."""
        self.assertEqual(quote('a"\\'), r'"a\"\\"')
        self.assertEqual(quote("\u00e9"), '"\xc3\xa9"')
        self.assertEqual(quote_octets("\xe9\\"), '"\xe9\\\\"')


if __name__ == "__main__":
    unittest.main()
