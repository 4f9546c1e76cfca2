"""`wssync.protocol.headers`: a mapping that can hold nothing but header fields."""

from __future__ import annotations

import copy
import pickle
import string
import unittest
from types import MappingProxyType
from typing import Iterable, List

from tests.support import cases, with_cases
from wssync.protocol.headers import Headers, HeadersLike, is_token, printable, split_list

TOKEN_CHARACTERS = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
# What a field value may have besides the letters: RFC 9110 section 5.5.
VALUE_CHARACTERS = {"\t", *map(chr, range(0x20, 0x7F)), *map(chr, range(0x80, 0x100))}
PLACES = ("{}a", "a{}b", "a{}")


@with_cases
class NameTests(unittest.TestCase):
    """Names are tokens."""

    @cases([(f"{code:02x}", chr(code)) for code in [*range(128), 0x80, 0xE4, 0xFF, 0x100, 0x212A, 0xD800]])
    def test_each_character(self, character: str) -> None:
        """Rule 31: a name takes exactly the characters of a token, at every place (RFC 9110 section 5.6.2)."""
        for place in PLACES:
            name = place.format(character)
            self.assertEqual(is_token(name), character in TOKEN_CHARACTERS)
            if character in TOKEN_CHARACTERS:
                self.assertEqual(list(Headers({name: "x"})), [name])
            else:
                with self.assertRaises(ValueError):
                    Headers({name: "x"})

    def test_empty(self) -> None:
        """A name has at least one character."""
        self.assertFalse(is_token(""))
        with self.assertRaises(ValueError):
            Headers({"": "x"})

    def test_what_is_no_text(self) -> None:
        """It is no token either: TypeError, and nothing of an attribute that it has not."""
        for name in (b"GET", 1):
            with self.subTest(name), self.assertRaises(TypeError):
                is_token(name)  # type: ignore[arg-type]

    @cases(none=None, bytes=b"A", number=1, pair=(("A", "B"),))
    def test_type(self, name: object) -> None:
        """A name is a str."""
        with self.assertRaisesRegex(TypeError, f"is a str, not {type(name).__name__}"):
            Headers([(name, "x")])  # type: ignore[list-item]

    def test_a_misplaced_secret_is_not_shown(self) -> None:
        """A whole line given as the name is refused without what stands behind the colon."""
        with self.assertRaises(ValueError) as caught:
            Headers({"Authorization: Bearer s3cr3t": ""})
        self.assertNotIn("s3cr3t", str(caught.exception))
        self.assertIn("Authorization", str(caught.exception))


@with_cases
class ValueTests(unittest.TestCase):
    """Values are text in Latin-1 without control characters."""

    @cases(
        [
            (f"{code:02x}", chr(code))
            for code in [*range(0x22), 0x7E, 0x7F, 0x80, 0x85, 0xA0, 0xFF, 0x100, 0x2028, 0xD800, 0x1F600]
        ]
    )
    def test_each_character(self, character: str) -> None:
        """Rule 31: a value takes tab and what is no control character of Latin-1, at every place, and keeps it."""
        for place in PLACES:
            value = place.format(character)
            if character in VALUE_CHARACTERS:
                self.assertEqual(Headers({"A": value})["A"], value.strip("\t "))
            else:
                with self.assertRaises(ValueError):
                    Headers({"A": value})

    @cases(
        injected_field="x\r\nX-Evil: 1",
        injected_head="x\r\n\r\nGET / HTTP/1.1",
        line_feed_at_end="x\n",
        carriage_return_at_end="x\r",
        folded="x\r\n y",
        nul_at_end="x\0",
    )
    def test_injections(self, value: str) -> None:
        """Rule 31: nothing that ends a line gets into a value; the error names the field and hides the value."""
        with self.assertRaisesRegex(ValueError, "X-Token") as caught:
            Headers({"X-Token": "s3cr3t" + value})
        self.assertNotIn("s3cr3t", str(caught.exception))

    @cases(
        spaces=("  x  ", "x"),
        tabs=("\tx\t", "x"),
        mixed=(" \t x \t ", "x"),
        inside_stays=("a \t b", "a \t b"),
        empty=("", ""),
        blank=(" \t ", ""),
        no_break_space_stays=("\u00a0x\u00a0", "\u00a0x\u00a0"),
        next_line_stays=("\x85x\x85", "\x85x\x85"),
    )
    def test_whitespace_around_is_dropped(self, value: str, expected: str) -> None:
        """Optional whitespace around a value is no part of it: spaces and tabs, no others (RFC 9110 section 5.5)."""
        self.assertEqual(Headers([("A", value)])["A"], expected)

    @cases(none=None, bytes=b"x", number=1, list=["a", "b"], true=True)
    def test_type(self, value: object) -> None:
        """A value is a str; the error names the field and the type."""
        with self.assertRaisesRegex(TypeError, f"X-Name.*{type(value).__name__}"):
            Headers([("X-Name", value)])  # type: ignore[list-item]


@with_cases
class ConstructionTests(unittest.TestCase):
    """What `Headers` can be made of."""

    @cases(
        dict={"A": "1", "B": "2"},
        proxy=MappingProxyType({"A": "1", "B": "2"}),
        pairs=[("A", "1"), ("B", "2")],
        lists=[["A", "1"], ["B", "2"]],
        headers=Headers({"A": "1", "B": "2"}),
    )
    def test_sources(self, source: HeadersLike) -> None:
        """A mapping, pairs and other headers give the same, and so does an iterator."""
        self.assertEqual(Headers(source).fields, (("A", "1"), ("B", "2")))
        if isinstance(source, list):
            self.assertEqual(Headers(iter(source)).fields, (("A", "1"), ("B", "2")))

    def test_nothing(self) -> None:
        """Nothing, None and empty things are no fields, which is false."""
        sources: List[HeadersLike] = [(), None, {}, []]
        for source in sources:
            self.assertEqual(Headers(source).fields, ())
            self.assertFalse(Headers(source))
        self.assertEqual(Headers(), Headers(None))

    @cases(
        number=1,
        strings=["A: 1"],
        two_letters=["AB"],
        triple=[("A", "1", "2")],
        single=[("A",)],
        none_inside=[None],
    )
    def test_what_is_no_headers(self, source: object) -> None:
        """Strings in a list (two letters are no pair) and pairs of another length are TypeErrors."""
        with self.assertRaises(TypeError):
            Headers(source)  # type: ignore[arg-type]

    @cases(text="A: 1", bytes=b"A: 1", empty="")
    def test_one_string(self, source: object) -> None:
        """One string is a TypeError that says what is wanted, an empty one too."""
        with self.assertRaisesRegex(TypeError, "a mapping or"):
            Headers(source)  # type: ignore[arg-type]


@with_cases
class MappingTests(unittest.TestCase):
    """`Headers` as a mapping."""

    def setUp(self) -> None:
        self.headers = Headers([("Accept", "a"), ("X-One", "1"), ("ACCEPT", "b"), ("accept", "c, d")])

    @cases(as_given="Accept", lower="accept", upper="ACCEPT", mixed="aCcEpT")
    def test_names_ignore_case(self, name: str) -> None:
        """Names are found in any case; repeats are joined by a comma (RFC 9110 section 5.3)."""
        self.assertEqual(self.headers[name], "a, b, c, d")
        self.assertIn(name, self.headers)
        self.assertEqual(self.headers.get(name), "a, b, c, d")

    def test_get_all(self) -> None:
        """`get_all` gives each field's value, in order, in a list of the caller's own."""
        self.assertEqual(self.headers.get_all("aCCept"), ["a", "b", "c, d"])
        self.headers.get_all("accept").clear()
        self.assertEqual(self.headers.get_all("accept"), ["a", "b", "c, d"])
        self.assertEqual(self.headers.get_all("X-Two"), [])

    def test_missing(self) -> None:
        """A missing name is a KeyError, and `get` gives the default."""
        with self.assertRaises(KeyError):
            self.headers["X-Two"]
        self.assertIsNone(self.headers.get("X-Two"))
        self.assertNotIn("X-Two", self.headers)
        self.assertNotIn(1, self.headers)

    def test_iteration(self) -> None:
        """Each name comes once, as first spelled, in order; `fields` has them all."""
        self.assertEqual(list(self.headers), ["Accept", "X-One"])
        self.assertEqual(len(self.headers), 2)
        self.assertEqual(dict(self.headers), {"Accept": "a, b, c, d", "X-One": "1"})
        self.assertEqual(self.headers.fields, (("Accept", "a"), ("X-One", "1"), ("ACCEPT", "b"), ("accept", "c, d")))

    @cases(
        case=([("A", "1")], [("a", "1")], True),
        value=([("A", "1")], [("A", "2")], False),
        value_s_case=([("A", "x")], [("A", "X")], False),
        order_of_names=([("A", "1"), ("B", "2")], [("B", "2"), ("A", "1")], True),
        order_of_values=([("A", "1"), ("A", "2")], [("A", "2"), ("A", "1")], False),
        repeat_and_list=([("A", "1"), ("A", "2")], [("A", "1, 2")], False),
        one_more=([("A", "1")], [("A", "1"), ("B", "2")], False),
        empty=([], [], True),
        mapping=([("A", "1")], {"a": "1"}, True),
        other_mapping=([("A", "1")], {"a": "2"}, False),
        mapping_of_numbers=([("A", "1")], {"A": 1}, False),
        mapping_of_no_names=([("A", "1")], {"A B": "1"}, False),
        pairs=([("A", "1")], (("A", "1"),), False),
        none=([], None, False),
    )
    def test_equality(self, left: List[object], right: object, equal: bool) -> None:
        """Equal means: the same values in the same order for each name, the names in any case and order."""
        headers = Headers(left)  # type: ignore[arg-type]
        other = Headers(right) if isinstance(right, list) else right
        self.assertEqual(headers == other, equal)
        self.assertEqual(headers != other, not equal)
        if isinstance(other, Headers) and equal:
            self.assertEqual(hash(headers), hash(other))

    def test_hash_tells_values_apart(self) -> None:
        """Headers can be kept in sets."""
        self.assertEqual(len({Headers({"A": "1"}), Headers({"a": "1"}), Headers({"A": "2"}), Headers()}), 3)

    def test_pickle_and_copy(self) -> None:
        """Headers survive pickling (errors carry them) and copying."""
        for other in (
            pickle.loads(pickle.dumps(self.headers)),
            copy.copy(self.headers),
            copy.deepcopy(self.headers),
        ):
            self.assertEqual(other.fields, self.headers.fields)
            self.assertEqual(other, self.headers)

    def test_no_assignment(self) -> None:
        """There is no way to set or delete a field."""
        with self.assertRaises(TypeError):
            self.headers["A"] = "1"  # type: ignore[index]
        with self.assertRaises(TypeError):
            del self.headers["Accept"]  # type: ignore[attr-defined]
        with self.assertRaises(AttributeError):
            self.headers.fields = ()  # type: ignore[misc]


@with_cases
class DerivationTests(unittest.TestCase):
    """`replace` and `without`."""

    @cases(
        new=([("A", "1")], {"B": "2"}, (("A", "1"), ("B", "2"))),
        same_name=([("A", "1"), ("B", "2")], {"a": "3"}, (("B", "2"), ("a", "3"))),
        all_repeats=([("A", "1"), ("B", "2"), ("a", "3")], {"A": "4"}, (("B", "2"), ("A", "4"))),
        by_repeats=([("A", "1")], [("A", "2"), ("a", "3")], (("A", "2"), ("a", "3"))),
        nothing=([("A", "1")], None, (("A", "1"),)),
    )
    def test_replace(self, before: List[object], changes: object, after: object) -> None:
        """`replace` drops the fields of the given names and puts the new ones last."""
        headers = Headers(before)  # type: ignore[arg-type]
        original = headers.fields
        self.assertEqual(headers.replace(changes).fields, after)  # type: ignore[arg-type]
        self.assertEqual(headers.fields, original)

    def test_replace_checks(self) -> None:
        """What `replace` adds is checked."""
        with self.assertRaises(ValueError):
            Headers().replace({"A": "1\r\nB: 2"})

    @cases(
        one=(["a"], (("B", "2"),)),
        two=(["A", "b"], ()),
        missing=(["C"], (("A", "1"), ("B", "2"), ("a", "3"))),
        none=([], (("A", "1"), ("B", "2"), ("a", "3"))),
    )
    def test_without(self, names: List[str], after: object) -> None:
        """`without` drops all fields of the given names."""
        self.assertEqual(Headers([("A", "1"), ("B", "2"), ("a", "3")]).without(*names).fields, after)


@with_cases
class ReprTests(unittest.TestCase):
    """`repr()` is for logs."""

    @cases(
        authorization="Authorization",
        lower_case="authorization",
        proxy="Proxy-Authorization",
        cookie="Cookie",
        set_cookie="SET-COOKIE",
        key="X-Api-Key",
        another_key="apikey",
        token="X-Auth-Token",
        password="X-Password",
    )
    def test_secrets_are_hidden(self, name: str) -> None:
        """Credentials and cookies are hidden in `repr()` and `str()`, in every field."""
        headers = Headers([(name, "s3cr3t"), ("X", "1"), (name, "s3cr3t too")])
        self.assertNotIn("s3cr3t", repr(headers) + str(headers) + f"{headers}")
        self.assertIn(name, repr(headers))
        self.assertIn("***", repr(headers))

    def test_others_are_shown(self) -> None:
        """Other fields are shown, control characters escaped."""
        for name in ("Sec-WebSocket-Key", "WWW-Authenticate", "Authentication-Info", "Location"):
            self.assertIn("shown", repr(Headers({name: "shown"})))
        self.assertEqual(repr(Headers([("A", "1"), ("B", "\x9b[31m")])), "Headers([('A', '1'), ('B', '\\x9b[31m')])")


@with_cases
class HelperTests(unittest.TestCase):
    """`split_list` and `printable`."""

    @cases(
        one=(["a"], ["a"]),
        two=(["a, b"], ["a", "b"]),
        tight=(["a,b"], ["a", "b"]),
        loose=(["a \t,\t b"], ["a", "b"]),
        fields=(["a", "b, c"], ["a", "b", "c"]),
        empty_elements=([",a,, ,b,"], ["a", "b"]),
        empty=([""], []),
        none=([], []),
        case_stays=(["Upgrade"], ["Upgrade"]),
        inner_space_stays=(["a b"], ["a b"]),
        no_break_space_stays=(["\u00a0a"], ["\u00a0a"]),
    )
    def test_split_list(self, values: Iterable[str], expected: List[str]) -> None:
        """A list is split at commas over all fields; empty elements are ignored (RFC 9110 section 5.6.1)."""
        self.assertEqual(split_list(values), expected)

    @cases(
        plain=("Not Found", "Not Found"),
        umlaut=("\u00fc", "\u00fc"),
        escape=("\x1b[31m", "\\x1b[31m"),
        line_end=("a\r\nb", "a\\r\\nb"),
        c1=("\x9b", "\\x9b"),
        bidi=("\u202ea", "\\u202ea"),
        surrogate=("\udcff", "\\udcff"),
        a_hundred=("x" * 100, "x" * 100),
        more=("x" * 101, "x" * 100 + "..."),
    )
    def test_printable(self, text: str, expected: str) -> None:
        """A peer's text is shown clipped and with its control characters escaped."""
        self.assertEqual(printable(text), expected)


if __name__ == "__main__":
    unittest.main()
