"""UTF-8 in pieces: wssync/protocol/utf8.py."""

from __future__ import annotations

import unittest

from tests.protocol.utf8_vectors import INVALID, UNFINISHED, VALID
from tests.support import cases, with_cases
from wssync.errors import ProtocolError
from wssync.protocol.utf8 import check_text, decode_text

# RFC 3629 section 4: lead bytes, and which second bytes they may have.
SECOND_BYTES = {
    "C2 to DF": (range(0xC2, 0xE0), range(0x80, 0xC0)),
    "E0": (range(0xE0, 0xE1), range(0xA0, 0xC0)),
    "E1 to EC": (range(0xE1, 0xED), range(0x80, 0xC0)),
    "ED": (range(0xED, 0xEE), range(0x80, 0xA0)),
    "EE and EF": (range(0xEE, 0xF0), range(0x80, 0xC0)),
    "F0": (range(0xF0, 0xF1), range(0x90, 0xC0)),
    "F1 to F3": (range(0xF1, 0xF4), range(0x80, 0xC0)),
    "F4": (range(0xF4, 0xF5), range(0x80, 0x90)),
}


def is_possible(data: bytes) -> bool:
    try:
        check_text(data)
    except ProtocolError:
        return False
    return True


@with_cases
class CheckingTests(unittest.TestCase):
    @cases(VALID.items())
    def test_possible_text_passes_however_it_is_cut(self, data: bytes) -> None:
        """Rule 127: a character may be split anywhere; what is left over is always the start of a character."""
        for cut in range(len(data) + 1):
            rest = check_text(data[:cut])
            self.assertLessEqual(len(rest), 3)
            self.assertEqual(check_text(rest + data[cut:]), b"")

    @cases(VALID.items())
    def test_possible_text_passes_byte_by_byte(self, data: bytes) -> None:
        """Rule 127: bytes that come alone make the same text."""
        rest = b""
        for place in range(len(data)):
            rest = check_text(rest + data[place : place + 1])
        self.assertEqual(rest, b"")

    @cases((name, row) for name, row in INVALID.items())
    def test_an_impossible_byte_fails_at_once(self, data: bytes, place: int) -> None:
        """Rule 127: everything before the impossible byte passes, and that byte fails, with 1007."""
        check_text(data[:place])
        with self.assertRaises(ProtocolError) as caught:
            check_text(data[: place + 1])
        self.assertEqual(caught.exception.code, 1007)

    @cases((name, row) for name, row in INVALID.items())
    def test_an_impossible_byte_fails_byte_by_byte_at_the_same_place(self, data: bytes, place: int) -> None:
        """Rule 127: the place does not depend on the pieces."""
        rest = b""
        for index in range(place):
            rest = check_text(rest + data[index : index + 1])
        with self.assertRaises(ProtocolError):
            check_text(rest + data[place : place + 1])

    @cases(UNFINISHED.items())
    def test_an_unfinished_character_is_handed_back(self, data: bytes) -> None:
        """Rule 127: the bytes of a character that is not complete are what the next piece needs."""
        self.assertEqual(check_text(data), data)
        self.assertEqual(check_text(b"text before " + data), data)

    @cases(SECOND_BYTES.items())
    def test_the_second_byte_decides(self, leads: range, allowed: range) -> None:
        """RFC 3629 section 4: of all 256 second bytes exactly the allowed ones are possible, for each lead byte."""
        for lead in leads:
            possible = [second for second in range(256) if is_possible(bytes((lead, second)))]
            self.assertEqual(possible, list(allowed), hex(lead))

    def test_exactly_the_lead_bytes_are_possible_alone(self) -> None:
        """RFC 3629 section 4: text may begin with 00 to 7F and C2 to F4."""
        possible = [first for first in range(256) if is_possible(bytes((first,)))]
        self.assertEqual(possible, [*range(0x80), *range(0xC2, 0xF5)])


@with_cases
class DecodingTests(unittest.TestCase):
    @cases(VALID.items())
    def test_text_is_decoded(self, data: bytes) -> None:
        """Rule 127: text comes out as Python reads it, a byte order mark and non-characters included."""
        self.assertEqual(decode_text(data).encode(), data)

    @cases((name, row[0]) for name, row in INVALID.items())
    def test_what_is_no_text_fails(self, data: bytes) -> None:
        """Rule 127: 1007, with the section; the error keeps nothing of the text alive."""
        with self.assertRaisesRegex(ProtocolError, "section 8.1") as caught:
            decode_text(data)
        self.assertEqual(caught.exception.code, 1007)
        self.assertIsNone(caught.exception.__context__)

    @cases(UNFINISHED.items())
    def test_a_text_may_not_end_inside_a_character(self, data: bytes) -> None:
        """Rule 127: at the end of a message an unfinished character is a fault."""
        with self.assertRaises(ProtocolError):
            decode_text(b"end" + data)
