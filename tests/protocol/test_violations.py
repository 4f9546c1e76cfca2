"""What the header of a frame can break. That a decoder looks is in `test_messages`, with every rule in its place."""

from __future__ import annotations

import unittest
from typing import Dict, Tuple

from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, header
from tests.support import cases, with_cases
from wssync.errors import ProtocolError
from wssync.protocol.frames import Role, read_header
from wssync.protocol.violations import check_length, violation

FIN = 0x80

BROKEN: Dict[str, Tuple[int, int, bool, bool, str]] = {
    "an opcode that is reserved": (FIN | 3, 0, False, False, "opcode 0x3"),
    "RSV1 without compression": (FIN | 0x40 | TEXT, 0, False, False, "reserved bit"),
    "RSV2 with it": (FIN | 0x20 | TEXT, 0, False, True, "reserved bit"),
    "RSV1 on a Ping": (FIN | 0x40 | PING, 0, False, True, "RSV1"),
    "a masked frame": (FIN | TEXT, 0x80, False, False, "masked"),
    "a Close in two": (CLOSE, 0, False, False, "fragmented"),
    "a long Ping": (FIN | PING, 126, False, False, "125"),
    "the end of nothing": (FIN | CONTINUATION, 0, False, False, "continues no message"),
    "a message within one": (FIN | BINARY, 0, True, False, "inside"),
}


@with_cases
class ViolationTests(unittest.TestCase):
    @cases(BROKEN)
    def test_what_is_broken(self, first: int, second: int, in_message: bool, may_inflate: bool, words: str) -> None:
        """Rules 114 to 124: a client names it, with its section; a server wants a mask on all of them."""
        problem = violation(first, second, Role.CLIENT, in_message, may_inflate)
        assert problem is not None
        self.assertIn(words, problem)
        self.assertRegex(problem, r"\(RFC \d{4} section [\d.]+\)$")

    def test_what_is_not(self) -> None:
        """Frames of every kind, where they may be."""
        for first, in_message, may_inflate in (
            (FIN | TEXT, False, False),
            (BINARY, False, False),
            (FIN | 0x40 | TEXT, False, True),
            (CONTINUATION, True, False),
            (FIN | PING, True, False),
            (FIN | CLOSE, False, False),
        ):
            self.assertIsNone(violation(first, 125, Role.CLIENT, in_message, may_inflate))
            self.assertIsNone(violation(first, 0x80 | 125, Role.SERVER, in_message, may_inflate))

    def test_lengths(self) -> None:
        """The shortest form, and 63 bits."""
        for length, form, words in ((125, 16, "shortest"), (65_535, 64, "shortest"), (1 << 63, 64, "top bit")):
            found = read_header(header(BINARY, length, form=form), 0)
            assert found is not None
            with self.assertRaisesRegex(ProtocolError, words):
                check_length(found)
        for length in (0, 125, 126, 65_535, 65_536, (1 << 63) - 1):
            found = read_header(header(BINARY, length), 0)
            assert found is not None
            check_length(found)


if __name__ == "__main__":
    unittest.main()
