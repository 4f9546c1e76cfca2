"""What a mismatch says about two requests or two events."""

from __future__ import annotations

import unittest
from typing import Any, Optional

from wssync.protocol.headers import Headers
from wssync.protocol.http1 import RequestHead
from wssync.testing.differences import compare_requests, show, show_both
from wssync.testing.masking import Masking
from wssync.testing.tape import Asked, Closed, HungUp, Raw, Said


def request(target: str = "/", method: str = "GET", **fields: str) -> RequestHead:
    return RequestHead(method, target, Headers({name.replace("_", "-"): value for name, value in fields.items()}))


class RequestTests(unittest.TestCase):
    """`compare_requests`."""

    def compare(self, expected: Optional[Asked], came: RequestHead) -> Optional[str]:
        return compare_requests(expected, came, Masking(["token"]))

    def test_what_is_not_expected_is_not_compared(self) -> None:
        """No request in the cassette matches every request, no header fields match all header fields."""
        self.assertIsNone(self.compare(None, request("/x", "PUT")))
        self.assertIsNone(self.compare(Asked("GET", "/x"), request("/x", X="1")))

    def test_the_first_line_is_compared(self) -> None:
        """Method and target must be the same, but for secrets."""
        self.assertEqual(
            self.compare(Asked("GET", "/x"), request("/y?token=1")), "  recorded: GET /x\n  came:     GET /y"
        )
        self.assertEqual(self.compare(Asked("GET", "/"), request(method="PUT")), "  recorded: GET /\n  came:     PUT /")
        self.assertIsNone(self.compare(Asked("GET", "/?a&token=1"), request("/?token=2&a")))

    def test_fields_are_compared_whatever_their_order(self) -> None:
        """Other order and other case of names are the same; volatile and secret fields are not looked at."""
        expected = Asked("GET", "/", Headers([("a", "1"), ("B", "2"), ("Token", "7"), ("Date", "x")]))
        self.assertIsNone(self.compare(expected, request(b="2", A="1", Host="h", Cookie="c", token="8")))

    def test_differing_fields_are_shown_from_both_sides(self) -> None:
        """Each field that differs is shown with both values, also when one side has none; the others are not."""
        expected = Asked("GET", "/", Headers([("A", "1"), ("B", "2"), ("B", "3"), ("Same", "1"), ("Token", "secret")]))
        self.assertEqual(
            self.compare(expected, request(a="9", Same="1", C="\xa0", Token="secret too")),
            "the header fields differ:\n"
            "  recorded: A: 1\n  came:     A: 9\n"
            "  recorded: B: 2\n  recorded: B: 3\n  came:     B: (no such field)\n"
            "  recorded: C: (no such field)\n  came:     C: \\u00a0",
        )

    def test_it_is_bounded(self) -> None:
        """Long values are cut, and so is a long list of fields."""
        expected = Asked("GET", "/", Headers([(f"x{number}", "y" * 1000) for number in range(100)]))
        text = self.compare(expected, request())
        assert text is not None
        self.assertEqual(len(text.splitlines()), 25)
        self.assertLess(max(map(len, text.splitlines())), 200)


class EventTests(unittest.TestCase):
    """`show` and `show_both`."""

    def test_an_event_is_shown_as_in_the_file(self) -> None:
        """The text that one finds in the cassette, on one line."""
        shown = [
            (Said("client", 'a"\n\xe9\u200b'), '{"client": "a\\"\\né\\u200b"}'),
            (Said("server", b"\0\1"), '{"server": {"base64": "AAE="}}'),
            (Closed("client", 1005), '{"client closes": []}'),
            (Closed("server", 1000), '{"server closes": [1000]}'),
            (Closed("server", 4000, "x"), '{"server closes": [4000, "x"]}'),
            (HungUp("RST"), '{"server hangs up": "RST"}'),
            (Raw(b"\0"), '{"server raw": {"base64": "AA=="}}'),
        ]
        event: Any
        for event, text in shown:
            self.assertEqual(show(event), text)

    def test_a_long_event_is_cut(self) -> None:
        """160 characters are enough to find it."""
        self.assertEqual(show(Said("client", "x" * 1000)), '{"client": "' + "x" * 148 + "...")

    def test_short_events_stand_below_each_other(self) -> None:
        """What was recorded, and what came."""
        pair = '  recorded: {"client": "a"}\n  came:     '
        self.assertEqual(show_both(Said("client", "a"), Said("client", "b")), pair + '{"client": "b"}')
        self.assertEqual(
            show_both(Said("client", "a"), Said("client", b"a\n")), pair + '{"client": {"base64": "YQo="}}'
        )
        self.assertEqual(show_both(Said("client", "a"), Closed("client", 1000)), pair + '{"client closes": [1000]}')

    def test_lines_are_compared_as_lines(self) -> None:
        """Of texts with several lines the differing ones are shown, with two before them and their numbers."""
        before = "\n".join(f"line {number}" for number in range(1, 60))
        shown = show_both(Said("client", before), Said("client", before.replace("line 40", "line forty\x1b")))
        self.assertIn(
            "\n  from line 38:\n    line 38\n    line 39\n  - line 40\n  + line forty\\u001b\n    line 41", shown
        )
        self.assertLess(len(shown.splitlines()), 28)

    def test_an_added_end_is_shown(self) -> None:
        """One text is the beginning of the other."""
        self.assertIn("\n  + b", show_both(Said("client", "a"), Said("client", "a\nb")))

    def test_a_long_line_is_compared_by_characters(self) -> None:
        """The place where two long texts part is shown, with a few characters before it."""
        for middle in ("", "\n"):
            before = "a" * 500 + middle + "b" * 500
            shown = show_both(Said("client", before + "c\x1b" + "d" * 999), Said("client", before + "x"))
            self.assertIn(f"\n  they differ at character {1001 + len(middle)}:\n", shown)
            self.assertIn(
                "\n  recorded: " + "b" * 20 + "c\\u001b" + "d" * 58 + "\n  came:     " + "b" * 20 + "x", shown
            )
            self.assertLess(len(shown), 1000)
