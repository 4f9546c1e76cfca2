"""The http-state cases: what a response sets, a request sends."""

from __future__ import annotations

import unittest
from typing import List, Optional

from tests.cookies import http_state
from tests.cookies.support import Visitor, at_time
from tests.support import cases, with_cases
from wssync.cookies.dates import parse_cookie_date


@with_cases
class HttpStateTests(unittest.TestCase):
    """All but those of `http_state.NOT_HELD`."""

    @cases(http_state.PAIRS)
    def test_names_and_values(self, fields: List[str], sent: str, asked: str = "") -> None:
        """Rule 93: a name and a value are kept as they are, and what has no name or no "=" is ignored."""
        self._try(fields, sent, asked)

    @cases(http_state.ATTRIBUTES)
    def test_attributes(self, fields: List[str], sent: str, asked: str = "") -> None:
        """Rules 88 and 89: Secure in any spelling is none for ws, Max-Age ends cookies, and the unknown is ignored."""
        self._try(fields, sent, asked)

    @cases(http_state.DOMAINS)
    def test_domains(self, fields: List[str], sent: str, asked: str = "") -> None:
        """Rule 86: the last Domain decides, and must be the host or above it."""
        self._try(fields, sent, asked)

    @cases(http_state.PATHS)
    def test_paths(self, fields: List[str], sent: str, asked: str = "") -> None:
        """Rules 87 and 92: whole segments match, and longer paths come first."""
        self._try(fields, sent, asked)

    @cases([(text, (text, seconds)) for text, seconds in http_state.DATES.items()])
    def test_dates(self, text: str, seconds: Optional[int]) -> None:
        """Rule 90: a date in any of these forms is read, and one with a gap in its time is none."""
        self.assertEqual(parse_cookie_date(text), seconds)

    def _try(self, fields: List[str], sent: str, asked: str) -> None:
        place = asked if asked.startswith("/") else http_state.PLACE
        host = "home.example.org" if asked.startswith("/") or not asked else asked
        visitor = Visitor()
        with at_time(http_state.NOW):
            visitor.hears(http_state.SETTER, *map(_on_the_wire, fields))
            self.assertEqual(visitor.says(http_state.HOST.format(host) + place), _on_the_wire(sent) or None)


class CompletenessTests(unittest.TestCase):
    """The list is whole."""

    def test_none_is_lost(self) -> None:
        """There are 222 cases: 218 are held, and 4 have a reason."""
        tables = (http_state.PAIRS, http_state.ATTRIBUTES, http_state.DOMAINS, http_state.PATHS)
        self.assertEqual((sum(map(len, tables)), len(http_state.NOT_HELD)), (218, 4))


def _on_the_wire(text: str) -> str:
    """The bytes of UTF-8, as header fields hold them."""
    return text.encode("utf-8").decode("latin-1")
