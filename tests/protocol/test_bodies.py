"""`wssync.protocol.bodies`: the body of a refusal, bounded, whole, byte by byte and with a tail."""

from __future__ import annotations

import unittest
from typing import Dict, List, Optional, Tuple

from tests.support import cases, with_cases
from wssync.protocol.bodies import BodyReader
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Response

CHUNKED = {"Transfer-Encoding": "chunked"}


def response(status: int = 404, headers: Optional[Dict[str, str]] = None) -> Response:
    """A refusal with these fields."""
    return Response("ws://h/", status, "", Headers(headers))


def cuts(data: bytes) -> List[List[bytes]]:
    """Whole, byte by byte, and in two at every place."""
    return [[data], [data[i : i + 1] for i in range(len(data))], *([data[:i], data[i:]] for i in range(1, len(data)))]


def outcome(reader: BodyReader, pieces: List[bytes]) -> Tuple[bytes, bool, bool]:
    """Body, done and truncated after these pieces; `feed` must say the same as `done`."""
    for piece in pieces:
        if reader.feed(piece) != reader.done:
            raise AssertionError("feed and done differ")
    return reader.body, reader.done, reader.truncated


@with_cases
class BodyReaderTests(unittest.TestCase):
    """Where a body ends (RFC 9112 section 6.3)."""

    def check(self, refused: Response, data: bytes, expected: Tuple[bytes, bool, bool], limit: int = 65536) -> None:
        for pieces in cuts(data):
            with self.subTest(pieces=len(pieces)):
                self.assertEqual(outcome(BodyReader(refused, limit), pieces), expected)

    @cases(
        exact=("5", b"hello", (b"hello", True, False)),
        tail=("5", b"hello world", (b"hello", True, False)),
        unfinished=("5", b"hell", (b"hell", False, False)),
        nothing_yet=("5", b"", (b"", False, False)),
        zero=("0", b"x", (b"", True, False)),
        zeros=("000", b"x", (b"", True, False)),
        leading_zero=("05", b"hello!", (b"hello", True, False)),
        repeated_in_list=("5, 5", b"hello!", (b"hello", True, False)),
        huge=("999999999999999999", b"hello", (b"hello", False, False)),
    )
    def test_content_length(self, length: str, data: bytes, expected: Tuple[bytes, bool, bool]) -> None:
        """Rule 45: a Content-Length says how many bytes follow; what is behind them is no part of the body."""
        self.check(response(headers={"Content-Length": length}), data, expected)

    @cases(
        differing="5, 6",
        negative="-5",
        plus="+5",
        hexadecimal="0x5",
        decimal="5.0",
        text="five",
        empty="",
        arabic_digit_bytes="\xd9\xa5",
        superscript="\xb2",
        endless="9" * 5000,
        inner_space="1 1",
    )
    def test_bad_content_length(self, length: str) -> None:
        """A length that is none counts as none: the body lasts until the end of the stream."""
        self.check(response(headers={"Content-Length": length}), b"hello world", (b"hello world", False, False))

    @cases(informational=100, switching=101, early_hints=103, no_content=204, not_modified=304)
    def test_no_body(self, status: int) -> None:
        """1xx, 204 and 304 have no body, whatever their fields say."""
        for headers in (None, {"Content-Length": "5"}, CHUNKED):
            reader = BodyReader(response(status, headers))
            self.assertTrue(reader.done)
            self.assertEqual(outcome(reader, [b"5\r\nhello"]), (b"", True, False))

    @cases(ok=200, other=203, reset=205, redirect=303, use_proxy=305, unauthorized=401, error=500)
    def test_other_statuses_have_one(self, status: int) -> None:
        """All others may have a body."""
        self.check(response(status, {"Content-Length": "5"}), b"hello", (b"hello", True, False))

    def test_length_0_is_done_at_once(self) -> None:
        """Nothing is waited for when nothing is to come."""
        self.assertTrue(BodyReader(response(headers={"Content-Length": "0"})).done)
        self.assertFalse(BodyReader(response(headers={"Content-Length": "1"})).done)

    def test_until_the_end(self) -> None:
        """Without a length the body ends with the stream."""
        reader = BodyReader(response())
        self.assertEqual(outcome(reader, [b"hel", b"lo"]), (b"hello", False, False))
        reader.at_eof()
        self.assertEqual((reader.body, reader.done, reader.truncated), (b"hello", True, False))

    @cases(
        length=({"Content-Length": "5"}, b"hell", True),
        length_done=({"Content-Length": "5"}, b"hello", False),
        chunked=(CHUNKED, b"5\r\nhell", True),
        chunked_before_last=(CHUNKED, b"5\r\nhello\r\n", True),
        chunked_in_trailer=(CHUNKED, b"0\r\nA: 1\r\n", True),
        chunked_done=(CHUNKED, b"0\r\n\r\n", False),
        no_length=(None, b"", False),
    )
    def test_at_eof(self, headers: Optional[Dict[str, str]], data: bytes, truncated: bool) -> None:
        """A stream that ends before the announced end makes the body truncated."""
        reader = BodyReader(response(headers=headers))
        reader.feed(data)
        reader.at_eof()
        self.assertEqual((reader.done, reader.truncated), (True, truncated))

    @cases(
        length_exact=({"Content-Length": "10"}, b"0123456789", (b"0123456789", True, False)),
        length_over=({"Content-Length": "11"}, b"0123456789a", (b"0123456789", True, True)),
        length_over_at_limit=({"Content-Length": "11"}, b"0123456789", (b"0123456789", False, False)),
        length_exact_and_tail=({"Content-Length": "10"}, b"0123456789abc", (b"0123456789", True, False)),
        until_end_exact=(None, b"0123456789", (b"0123456789", False, False)),
        until_end_over=(None, b"0123456789a", (b"0123456789", True, True)),
        chunked_exact=(CHUNKED, b"a\r\n0123456789\r\n0\r\n\r\n", (b"0123456789", True, False)),
        chunked_over=(CHUNKED, b"b\r\n0123456789a\r\n0\r\n\r\n", (b"0123456789", True, True)),
        chunks_over=(CHUNKED, b"9\r\n012345678\r\n2\r\n9a\r\n0\r\n\r\n", (b"0123456789", True, True)),
    )
    def test_limit(self, headers: Optional[Dict[str, str]], data: bytes, expected: Tuple[bytes, bool, bool]) -> None:
        """Rule 45: no more than the limit is kept, and one byte more ends the reading; exactly the limit passes."""
        self.check(response(headers=headers), data, expected, limit=10)

    def test_default_limit(self) -> None:
        """Rule 45: 64 KiB."""
        reader = BodyReader(response())
        self.assertFalse(reader.feed(b"x" * 65536))
        self.assertTrue(reader.feed(b"x"))
        self.assertEqual((len(reader.body), reader.truncated), (65536, True))


@with_cases
class ChunkedTests(unittest.TestCase):
    """Transfer-Encoding: chunked (RFC 9112 section 7.1)."""

    @cases(
        one=(b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        two=(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        none=(b"0\r\n\r\n", b""),
        upper_case=(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        lower_case=(b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        two_digits=(b"10\r\n0123456789abcdef\r\n0\r\n\r\n", b"0123456789abcdef"),
        leading_zeros=(b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        line_ends_inside=(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        extension=(b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello"),
        spaced_extension=(b'5 ; a="b"\r\nhello\r\n0\r\n\r\n', b"hello"),
        blank_behind_size=(b"5 \r\nhello\r\n0\r\n\r\n", b"hello"),
        trailer=(b"5\r\nhello\r\n0\r\nA: 1\r\nB: 2\r\n\r\n", b"hello"),
        tail=(b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK", b"hello"),
        looks_like_chunks=(b"7\r\n0\r\n\r\nab\r\n0\r\n\r\n", b"0\r\n\r\nab"),
    )
    def test_decoded(self, data: bytes, body: bytes) -> None:
        """Chunks are put together, extensions and trailers passed over, however the bytes are cut."""
        for pieces in cuts(data):
            with self.subTest(pieces=len(pieces)):
                self.assertEqual(outcome(BodyReader(response(headers=CHUNKED)), pieces), (body, True, False))

    @cases(
        no_size=(b"\r\nhello", b""),
        no_hex=(b"xyz\r\nhello", b""),
        negative=(b"-5\r\nhello", b""),
        prefix=(b"0x5\r\nhello", b""),
        plus=(b"+5\r\nhello", b""),
        underscore=(b"1_0\r\nhello", b""),
        too_many_digits=(b"1000000000000000\r\nhello", b""),
        blank_before_size=(b" 5\r\nhello", b""),
        bare_lf=(b"5\nhello", b""),
        longer_than_size=(b"4\r\nhello\r\n0\r\n\r\n", b"hell"),
        shorter_than_size=(b"6\r\nhello\r\n0\r\n\r\n", b"hello\r"),
        bare_lf_behind_data=(b"5\r\nhello\n0\r\n\r\n", b"hello"),
        bare_cr_in_extension=(b"5;a\rb\r\nhello\r\n", b""),
        plain_text=(b"<html>\r\n</html>\r\n", b""),
    )
    def test_broken(self, data: bytes, body: bytes) -> None:
        """A body that breaks its framing is cut there; nothing is raised, the status is what counts."""
        for pieces in cuts(data):
            with self.subTest(pieces=len(pieces)):
                reader = BodyReader(response(headers=CHUNKED))
                self.assertEqual(outcome(reader, pieces), (body, True, True))
                self.assertTrue(reader.feed(b"5\r\nmore!\r\n"))
                self.assertEqual(reader.body, body)

    @cases(
        upper_case=({"Transfer-Encoding": "CHUNKED"}, b"hello", True),
        with_length=({"Transfer-Encoding": "chunked", "Content-Length": "3"}, b"hello", True),
        gzip=({"Transfer-Encoding": "gzip"}, b"5\r\nhello\r\n0\r\n\r\n", False),
        gzip_and_chunked=({"Transfer-Encoding": "gzip, chunked"}, b"5\r\nhello\r\n0\r\n\r\n", False),
        twice=({"Transfer-Encoding": "chunked, chunked"}, b"5\r\nhello\r\n0\r\n\r\n", False),
        identity_with_length=(
            {"Transfer-Encoding": "identity", "Content-Length": "3"},
            b"5\r\nhello\r\n0\r\n\r\n",
            False,
        ),
    )
    def test_codings(self, headers: Dict[str, str], body: bytes, done: bool) -> None:
        """Only chunked alone is decoded, and overrules a length; any other coding lasts until the end of the stream."""
        reader = BodyReader(response(headers=headers))
        self.assertEqual(outcome(reader, [b"5\r\nhello\r\n0\r\n\r\n"]), (body, done, False))

    @cases(
        size_line=b"5;" + b"x" * 200,
        many_extensions=(b"1;" + b"x" * 50 + b"\r\nA\r\n") * 4,
        trailer_line=b"0\r\n" + b"x" * 200,
        trailer=b"0\r\n" + b"A: 1\r\n" * 40,
    )
    def test_framing_is_limited(self, data: bytes) -> None:
        """Sizes, extensions and trailers beyond the limit of the body end the reading."""
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            reader = BodyReader(response(headers=CHUNKED), limit=100)
            self.assertEqual(outcome(reader, pieces)[1:], (True, True))


if __name__ == "__main__":
    unittest.main()
