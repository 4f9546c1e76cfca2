"""`wssync.protocol.http1`: heads in, heads out, whole, byte by byte and with a tail."""

from __future__ import annotations

import dataclasses
import pickle
import time
import unittest
from typing import Any, List, Optional, Tuple, cast

from tests.support import cases, with_cases
from wssync.errors import HandshakeError, InvalidURL
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import (
    HeadReader,
    Request,
    RequestHead,
    Response,
    format_request,
    format_response,
    parse_request_head,
    parse_response_head,
)

URL = "ws://example.com/chat"
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
BAD_RESPONSE = -1011
NOT_HTTP = -1017


def pieces_of(data: bytes) -> List[Tuple[str, List[bytes]]]:
    """The ways to cut `data`: whole, byte by byte, in two at every third place, with empty pieces between."""
    cuts: List[Tuple[str, List[bytes]]] = [("whole", [data])]
    cuts.append(("byte by byte", [data[i : i + 1] for i in range(len(data))]))
    cuts.append(("with empty pieces", [b"", data[:5], b"", data[5:], b""]))
    cuts.extend((f"cut at {i}", [data[:i], data[i:]]) for i in range(1, len(data), 3))
    return cuts


def read(reader: HeadReader, pieces: List[bytes]) -> Optional[Tuple[bytes, bytes]]:
    """Feed pieces until the head is complete; the rest of them is added to the tail."""
    for i, piece in enumerate(pieces):
        found = reader.feed(piece)
        if found is not None:
            return found[0], found[1] + b"".join(pieces[i + 1 :])
    return None


def refusal(reader: HeadReader, pieces: List[bytes]) -> Optional[int]:
    """The number of the HandshakeError that reading `pieces` raises, None if it raises none."""
    try:
        read(reader, pieces)
    except HandshakeError as error:
        return error.url_error_code
    return None


@with_cases
class HeadReaderTests(unittest.TestCase):
    """A head is found at the blank line, however its bytes are cut."""

    @cases(
        response=(HEAD, b""),
        one_line=(b"HTTP/1.1 200 OK", b""),
        tail=(HEAD, b"\x81\x05hello"),
        tail_like_a_head=(HEAD, HEAD + b"\r\n\r\n"),
        tail_of_line_ends=(HEAD, b"\r\n\r\n\n\n"),
        empty_head=(b"", b""),
        latin_1=(b"HTTP/1.1 200 \xfc\r\nA: \xff", b"\x00"),
        colon_alone=(b"x\r\n:", b""),
        inner_cr=(b"a\rb\r\r\n\rc", b""),
    )
    def test_found(self, head: bytes, tail: bytes) -> None:
        """Rule 47: the head comes without its blank line, and every byte behind it is handed on."""
        end = b"\r\n\r\n" if head else b"\r\n"
        for how, pieces in pieces_of(head + end + tail):
            with self.subTest(how):
                reader = HeadReader()
                self.assertEqual(read(reader, pieces), (head, tail))
                self.assertEqual(reader.received, len(head + end))

    @cases(
        nothing=b"",
        one_byte=b"H",
        no_end=HEAD,
        cr=HEAD + b"\r",
        one_line_end=HEAD + b"\r\n",
        line_end_and_cr=HEAD + b"\r\n\r",
    )
    def test_unfinished(self, data: bytes) -> None:
        """Until the blank line is whole there is no head, and `received` counts."""
        for how, pieces in pieces_of(data):
            with self.subTest(how):
                reader = HeadReader()
                self.assertIsNone(read(reader, pieces))
                self.assertEqual(reader.received, len(data))

    @cases(
        first_line=b"HTTP/1.1 200 OK\nA: 1\r\n\r\n",
        field=b"HTTP/1.1 200 OK\r\nA: 1\n\r\n",
        blank_line=b"HTTP/1.1 200 OK\r\nA: 1\r\n\n",
        all=b"HTTP/1.1 200 OK\n\n",
        alone=b"\n",
        reversed=b"HTTP/1.1 200 OK\n\r",
    )
    def test_bare_line_feed(self, data: bytes) -> None:
        """A line that ends without CR is an error when it ends, not a timeout later (RFC 9112 section 2.2)."""
        for how, pieces in pieces_of(data):
            with self.subTest(how):
                self.assertEqual(refusal(HeadReader(), pieces), NOT_HTTP)

    @cases(
        bytes_exact=({"max_bytes": 20}, b"a" * 16 + b"\r\n\r\n", None),
        bytes_over=({"max_bytes": 20}, b"a" * 17 + b"\r\n\r\n", BAD_RESPONSE),
        bytes_over_unfinished=({"max_bytes": 20}, b"a" * 21, BAD_RESPONSE),
        bytes_exact_unfinished=({"max_bytes": 20}, b"a" * 20, None),
        bytes_over_by_tail=({"max_bytes": 20}, b"a" * 16 + b"\r\n\r\n" + b"b" * 100, None),
        bytes_over_by_many_lines=({"max_bytes": 20}, b"a\r\n" * 7, BAD_RESPONSE),
        line_exact=({"max_line": 5}, b"aaaaa\r\nbbbbb\r\n\r\n", None),
        line_over=({"max_line": 5}, b"aaaaa\r\nbbbbbb\r\n\r\n", BAD_RESPONSE),
        first_line_over=({"max_line": 5}, b"aaaaaa\r\n\r\n", BAD_RESPONSE),
        line_exact_unfinished=({"max_line": 5}, b"aaaaa\r", None),
        line_over_unfinished=({"max_line": 5}, b"a\r\nbbbbbbb", BAD_RESPONSE),
        line_over_with_bare_lf=({"max_line": 5}, b"bbbbbbb\n", BAD_RESPONSE),
        line_exact_with_bare_lf=({"max_line": 5}, b"bbbbb\n", NOT_HTTP),
        line_one_over_with_bare_lf=({"max_line": 5}, b"bbbbbb\n", BAD_RESPONSE),
        lines_exact=({"max_lines": 3}, b"a\r\nb\r\nc\r\n\r\n", None),
        lines_over=({"max_lines": 3}, b"a\r\nb\r\nc\r\nd\r\n\r\n", BAD_RESPONSE),
        lines_over_unfinished=({"max_lines": 3}, b"a\r\nb\r\nc\r\nd\r\n", BAD_RESPONSE),
        lines_in_tail=({"max_lines": 3}, b"a\r\n\r\n" + b"b\r\n" * 9, None),
    )
    def test_limits(self, limits: dict[str, int], data: bytes, code: Optional[int]) -> None:
        """Rule 46: a head over a limit in bytes, line length or lines is -1011, and exactly the limit passes."""
        for how, pieces in pieces_of(data):
            with self.subTest(how):
                self.assertEqual(refusal(HeadReader(**limits), pieces), code)  # type: ignore[arg-type]

    @cases(
        bytes_exact=((b"A: " + b"x" * 8000 + b"\r\n") * 8 + b"x" * 1479, None),
        bytes_over=((b"A: " + b"x" * 8000 + b"\r\n") * 8 + b"x" * 1480, BAD_RESPONSE),
        line_over=(b"A: " + b"x" * 8190, BAD_RESPONSE),
        line_exact=(b"A: " + b"x" * 8189 + b"\r\n", None),
        lines_over=(b"A: 1\r\n" * 256, BAD_RESPONSE),
        lines_exact=(b"A: 1\r\n" * 255, None),
    )
    def test_default_limits(self, fields: bytes, code: Optional[int]) -> None:
        """Rule 46: 64 KiB, 8 KiB a line, 256 lines."""
        self.assertEqual(refusal(HeadReader(), [b"HTTP/1.1 200 OK\r\n" + fields]), code)

    @cases(
        whole=(b"HTTP/1.1 200 OK\r\n\r\n", None),
        smtp=(b"220 mail ESMTP\r\n", NOT_HTTP),
        ssh=(b"SSH-2.0-OpenSSH_9.0\r\n", NOT_HTTP),
        tls_alert=(b"\x15\x03\x01\x00\x02\x02\x46", NOT_HTTP),
        lower_case=(b"http/1.1 200 OK\r\n\r\n", NOT_HTTP),
        html=(b"<html>", NOT_HTTP),
        first_byte=(b"X", NOT_HTTP),
        fifth_byte=(b"HTTPS", NOT_HTTP),
        blank_line=(b"\r\nHTTP/1.1 200 OK\r\n\r\n", NOT_HTTP),
        space=(b" HTTP/1.1 200 OK\r\n\r\n", NOT_HTTP),
        begun=(b"HTT", None),
        nothing=(b"", None),
        not_http_and_too_long=(b"x" * 100000, NOT_HTTP),
    )
    def test_prefix(self, data: bytes, code: Optional[int]) -> None:
        """Rule 46: a peer that does not begin with HTTP/ is found out at the first byte that differs."""
        for pieces in ([data], [data[i : i + 1] for i in range(min(len(data), 30))]):
            self.assertEqual(refusal(HeadReader(prefix=b"HTTP/"), pieces), code)

    @cases(prefix=b"SSH-2.0", line_end=b"HTTP/1.1 200 OK\n", limit=b"HTTP/" + b"x" * 9000)
    def test_errors_carry_the_url(self, data: bytes) -> None:
        """Every error of a reader that knows the URL carries it."""
        with self.assertRaises(HandshakeError) as caught:
            HeadReader(prefix=b"HTTP/", url=URL).feed(data)
        self.assertEqual(caught.exception.url, URL)

    def test_is_for_one_head(self) -> None:
        """Feeding a reader that has given its head is a mistake of the caller."""
        reader = HeadReader()
        reader.feed(b"a\r\n\r\n")
        with self.assertRaises(RuntimeError):
            reader.feed(b"b")

    @cases(one_line=b"x" * 3000, many_lines=b"A: 1\r\n" * 500, two_ends=b"a\r\n" * 500 + b"x" * 1500)
    def test_no_byte_is_scanned_twice(self, data: bytes) -> None:
        """However a head arrives, the bytes searched for a line's end are the bytes that came, once each."""

        class Counted(bytearray):
            searched = 0

            def find(self, wanted: bytes, start: int, end: int) -> int:  # type: ignore[override]
                found = super().find(wanted, start, end)
                Counted.searched += (found + 1 if found >= 0 else min(len(self), end)) - start
                return found

        for size in (1, 2, 7, 1000, len(data)):
            reader = HeadReader(max_lines=1000)
            reader._buffer = Counted()
            Counted.searched = 0
            for i in range(0, len(data), size):
                reader.feed(data[i : i + size])
            self.assertEqual(Counted.searched, len(data))


@with_cases
class ParseResponseHeadTests(unittest.TestCase):
    """The strict reader of response heads."""

    @cases(
        switching=(b"HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols", "1.1"),
        ok=(b"HTTP/1.1 200 OK", 200, "OK", "1.1"),
        old=(b"HTTP/1.0 404 Not Found", 404, "Not Found", "1.0"),
        empty_reason=(b"HTTP/1.1 503 ", 503, "", "1.1"),
        no_reason=(b"HTTP/1.1 503", 503, "", "1.1"),
        spaces_in_reason=(b"HTTP/1.1 200   very  fine  ", 200, "very  fine", "1.1"),
        latin_1_reason=(b"HTTP/1.1 404 Nicht verf\xfcgbar", 404, "Nicht verf\xfcgbar", "1.1"),
        tab_in_reason=(b"HTTP/1.1 200 a\tb", 200, "a\tb", "1.1"),
        lowest=(b"HTTP/1.1 100 Continue", 100, "Continue", "1.1"),
        beyond_the_registry=(b"HTTP/1.1 999 Request denied", 999, "Request denied", "1.1"),
    )
    def test_status_lines(self, line: bytes, status: int, reason: str, version: str) -> None:
        """Version, status and reason are read; the reason may be missing with its blank (RFC 9112 section 4)."""
        response = parse_response_head(line, URL)
        self.assertEqual((response.status_code, response.reason, response.http_version), (status, reason, version))
        self.assertEqual((response.url, response.headers, response.body), (URL, Headers(), b""))

    @cases(
        empty=b"",
        garbage=b"\x16\x03\x01",
        no_version=b"HTTP 200 OK",
        http_2=b"HTTP/2 200 OK",
        http_2_0=b"HTTP/2.0 101 Switching Protocols",
        http_0_9=b"HTTP/0.9 200 OK",
        http_1_2=b"HTTP/1.2 200 OK",
        http_1=b"HTTP/1 200 OK",
        http_1_10=b"HTTP/1.10 200 OK",
        http_01_1=b"HTTP/01.1 200 OK",
        comma=b"HTTP/1,1 200 OK",
        lower_case=b"http/1.1 200 OK",
        other_name=b"ICY/1.1 200 OK",
        space_first=b" HTTP/1.1 200 OK",
        two_spaces=b"HTTP/1.1  200 OK",
        tab=b"HTTP/1.1\t200 OK",
        tab_before_reason=b"HTTP/1.1 200\tOK",
        no_status=b"HTTP/1.1",
        no_status_but_space=b"HTTP/1.1 ",
        two_digits=b"HTTP/1.1 20 OK",
        four_digits=b"HTTP/1.1 2000 OK",
        leading_zero=b"HTTP/1.1 099 OK",
        negative=b"HTTP/1.1 -20 OK",
        letters=b"HTTP/1.1 abc OK",
        hexadecimal=b"HTTP/1.1 0x1 OK",
        reason_glued=b"HTTP/1.1 200OK",
        nul_in_reason=b"HTTP/1.1 200 O\x00K",
        escape_in_reason=b"HTTP/1.1 200 \x1b[31m",
        del_in_reason=b"HTTP/1.1 200 \x7f",
        cr_in_reason=b"HTTP/1.1 200 O\rK",
        lf_in_reason=b"HTTP/1.1 200 O\nK",
        cr_at_end=b"HTTP/1.1 200 OK\r",
        lf_at_end=b"HTTP/1.1 200 OK\n",
        utf_8_digits="HTTP/1.1 \u0662\u0660\u0660 OK".encode(),
        request=b"GET / HTTP/1.1",
    )
    def test_bad_status_lines(self, line: bytes) -> None:
        """Rule 46: what does not begin with a status line of HTTP/1.1 or 1.0 is not HTTP, -1017."""
        for head in (line, line + b"\r\nA: 1"):
            with self.assertRaisesRegex(HandshakeError, "status line") as caught:
                parse_response_head(head, URL)
            self.assertEqual((caught.exception.url_error_code, caught.exception.url), (NOT_HTTP, URL))
            self.assertTrue(str(caught.exception).isprintable())

    @cases(
        one=(b"A: 1", [("A", "1")]),
        no_blank=(b"A:1", [("A", "1")]),
        many_blanks=(b"A: \t 1 \t ", [("A", "1")]),
        empty_value=(b"A:", [("A", "")]),
        blank_value=(b"A: ", [("A", "")]),
        colons_in_value=(b"A: b:c::", [("A", "b:c::")]),
        repeats=(b"A: 1\r\nB: 2\r\na: 3", [("A", "1"), ("B", "2"), ("a", "3")]),
        latin_1=(b"A: \xfc\xff\x80", [("A", "\xfc\xff\x80")]),
        utf_8_is_kept_as_bytes=("A: \u00fc".encode(), [("A", "\xc3\xbc")]),
        next_line_is_kept=(b"A: \x85x\x85", [("A", "\x85x\x85")]),
        token_name=(b"!#$%&'*+-.^_`|~: 1", [("!#$%&'*+-.^_`|~", "1")]),
        tab_in_value=(b"A: a\tb", [("A", "a\tb")]),
    )
    def test_fields(self, fields: bytes, expected: List[Tuple[str, str]]) -> None:
        """Fields come in order, with repeats, without the whitespace around their values (RFC 9112 section 5)."""
        response = parse_response_head(b"HTTP/1.1 200 OK\r\n" + fields, URL)
        self.assertEqual(list(response.headers.fields), expected)

    @cases(
        no_colon=(b"A", "without a colon"),
        blank_line_inside=(b"A: 1\r\n\r\nB: 2", "without a colon"),
        empty_name=(b": 1", "no name"),
        folded_by_space=(b"A: 1\r\n B: 2", "folded"),
        folded_by_tab=(b"A: 1\r\n\tb", "folded"),
        folded_at_once=(b" A: 1", "folded"),
        space_before_colon=(b"A : 1", "before the colon"),
        tab_before_colon=(b"A\t: 1", "before the colon"),
        space_in_name=(b"A B: 1", "no name"),
        latin_1_in_name=(b"\xc4: 1", "no name"),
        slash_in_name=(b"a/b: 1", "no name"),
        bracket_in_name=(b"(a): 1", "no name"),
        nul_in_name=(b"a\x00: 1", "no name"),
        nul_in_value=(b"A: a\x00b", "value of A"),
        bare_cr_in_value=(b"A: a\rb", "value of A"),
        bare_cr_at_end=(b"A: a\r", "value of A"),
        bare_cr_and_field=(b"A: a\rB: b", "value of A"),
        bare_lf_in_value=(b"A: a\nB: b", "value of A"),
        escape_in_value=(b"A: \x1b[31m", "value of A"),
        del_in_value=(b"A: \x7f", "value of A"),
        bell_in_value=(b"A: \x07", "value of A"),
        lf_in_name=(b"A\nB: 1", "no name"),
    )
    def test_bad_fields(self, fields: bytes, why: str) -> None:
        """Rule 46: folded lines, blanks before colons and control characters make it no HTTP, -1017."""
        for before, after in ((b"", b""), (b"X: 1\r\n", b""), (b"", b"\r\nX: 1")):
            head = b"HTTP/1.1 101 Switching Protocols\r\n" + before + fields + after
            folds = before and fields.startswith((b" ", b"\t"))
            with self.assertRaisesRegex(HandshakeError, "folded" if folds else why) as caught:
                parse_response_head(head, URL)
            self.assertEqual((caught.exception.url_error_code, caught.exception.url), (NOT_HTTP, URL))

    def test_long_lines_of_blanks_are_cheap(self) -> None:
        """No line makes the reader go back and forth in it."""
        head = b"HTTP/1.1 200 " + b" " * 500_000 + b"\r\nA: " + b" \t" * 500_000 + b"x" + b" " * 500_000
        began = time.process_time()
        response = parse_response_head(head, URL)
        self.assertLess(time.process_time() - began, 1.0)
        self.assertEqual((response.reason, response.headers["A"]), ("", "x"))

    def test_values_are_not_shown(self) -> None:
        """The error about a bad value does not repeat it: it could be a cookie."""
        with self.assertRaises(HandshakeError) as caught:
            parse_response_head(b"HTTP/1.1 200 OK\r\nSet-Cookie: s3cr3t\x00", URL)
        self.assertNotIn("s3cr3t", str(caught.exception))


@with_cases
class ParseRequestHeadTests(unittest.TestCase):
    """The server half: request heads."""

    @cases(
        get=(b"GET / HTTP/1.1", "GET", "/", "1.1"),
        query=(b"GET /a?b=c HTTP/1.1", "GET", "/a?b=c", "1.1"),
        old=(b"GET / HTTP/1.0", "GET", "/", "1.0"),
        connect=(b"CONNECT h:443 HTTP/1.1", "CONNECT", "h:443", "1.1"),
        absolute=(b"GET http://h/ HTTP/1.1", "GET", "http://h/", "1.1"),
        other_method=(b"M-SEARCH * HTTP/1.1", "M-SEARCH", "*", "1.1"),
    )
    def test_request_lines(self, line: bytes, method: str, target: str, version: str) -> None:
        """Method, target and version are read, and the fields as in a response."""
        expected = RequestHead(method, target, Headers({"Host": "h"}), version)
        self.assertEqual(parse_request_head(line + b"\r\nHost: h"), expected)
        self.assertEqual(parse_request_head(line), dataclasses.replace(expected, headers=Headers()))

    @cases(
        empty=b"",
        no_version=b"GET /",
        no_target=b"GET HTTP/1.1",
        two_spaces=b"GET  / HTTP/1.1",
        space_in_target=b"GET /a b HTTP/1.1",
        space_at_end=b"GET / HTTP/1.1 ",
        http_2=b"PRI * HTTP/2.0",
        lower_case_version=b"GET / http/1.1",
        latin_1_target=b"GET /\xfc HTTP/1.1",
        control_in_target=b"GET /\x01 HTTP/1.1",
        bad_method=b"G(T / HTTP/1.1",
        latin_1_method=b"G\xcbT / HTTP/1.1",
        cr_in_target=b"GET /\r HTTP/1.1",
        lf_at_end=b"GET / HTTP/1.1\n",
        status_line=b"HTTP/1.1 200 OK",
        tls=b"\x16\x03\x01\x02\x00\x01",
    )
    def test_bad_request_lines(self, line: bytes) -> None:
        """What has no request line of HTTP/1.1 or 1.0 is refused."""
        with self.assertRaisesRegex(HandshakeError, "request line") as caught:
            parse_request_head(line + b"\r\nHost: h")
        self.assertEqual(caught.exception.url_error_code, NOT_HTTP)

    @cases(folded=b"A: 1\r\n b", blank=b"A : 1", no_colon=b"A", nul=b"A: \x00")
    def test_bad_fields(self, fields: bytes) -> None:
        """Fields are read as strictly as a response's."""
        with self.assertRaises(HandshakeError):
            parse_request_head(b"GET / HTTP/1.1\r\n" + fields)

    def test_default(self) -> None:
        """A head without fields is a head, and a value that cannot change."""
        with self.assertRaises(dataclasses.FrozenInstanceError):
            RequestHead("GET", "/").method = "POST"  # type: ignore[misc]
        self.assertEqual(RequestHead("GET", "/"), RequestHead("GET", "/", Headers(), "1.1"))
        self.assertNotIn("s3cr3t", repr(RequestHead("GET", "/", Headers({"Authorization": "s3cr3t"}))))


@with_cases
class FormatTests(unittest.TestCase):
    """The only ways to the wire."""

    def test_request(self) -> None:
        """Rule 26: the request line, the fields in order, a blank line."""
        written = format_request("GET", "/a?b", [("Host", "h"), ("A", " 1 "), ("a", "2")])
        self.assertEqual(written, b"GET /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n")

    def test_response(self) -> None:
        """A response is status line, fields, blank line, body; nothing is added."""
        written = format_response(400, "Bad Request", {"Content-Length": "2"}, b"no")
        self.assertEqual(written, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual(format_response(100, "", None), b"HTTP/1.1 100 \r\n\r\n")
        self.assertEqual(format_response(999, "", None), b"HTTP/1.1 999 \r\n\r\n")

    def test_latin_1(self) -> None:
        """Values are written as the bytes they were read from."""
        self.assertIn(b"A: \xc3\xbc\xff\r\n", format_request("GET", "/", {"A": "\xc3\xbc\xff"}))

    @cases(
        method_line_end=("GET\r\n", "/", {}),
        method_space=("GET /x", "/", {}),
        method_empty=("", "/", {}),
        target_space=("GET", "/a b", {}),
        target_line_end=("GET", "/ HTTP/1.1\r\nX: 1\r\n\r\nGET /", {}),
        target_line_feed_last=("GET", "/\n", {}),
        target_non_ascii=("GET", "/\u00fc", {}),
        target_del=("GET", "/\x7f", {}),
        target_empty=("GET", "", {}),
        name_line_end=("GET", "/", {"A\r\nB": "1"}),
        name_colon=("GET", "/", {"A:": "1"}),
        name_space=("GET", "/", {"A ": "1"}),
        value_line_end=("GET", "/", {"A": "1\r\nB: 2"}),
        value_cr=("GET", "/", {"A": "1\r"}),
        value_lf=("GET", "/", {"A": "1\n"}),
        value_nul=("GET", "/", {"A": "\0"}),
        value_beyond_latin_1=("GET", "/", {"A": "\u20ac"}),
    )
    def test_request_injections(self, method: str, target: str, fields: dict[str, str]) -> None:
        """Rule 31: nothing that is not one head is ever written."""
        with self.assertRaises(ValueError):
            format_request(method, target, fields)

    @cases(
        status_low=(99, "x", {}),
        status_high=(1000, "x", {}),
        reason_line_end=(200, "x\r\nA: 1", {}),
        reason_line_feed_last=(200, "x\n", {}),
        reason_nul=(200, "\0", {}),
        reason_beyond_latin_1=(200, "\u20ac", {}),
        value_line_end=(200, "x", {"A": "1\r\nB: 2"}),
        name_line_end=(200, "x", {"A\n": "1"}),
    )
    def test_response_injections(self, status: int, reason: str, fields: dict[str, str]) -> None:
        """The server half writes nothing either that is not one head."""
        with self.assertRaises(ValueError):
            format_response(status, reason, fields)

    def test_round_trip(self) -> None:
        """What is written is read back as it was."""
        fields = [("Host", "h"), ("A", "b:c"), ("a", ""), ("X", "\xff\t!")]
        head, tail = HeadReader().feed(format_request("GET", "/x?y", fields)) or (b"", b"missing")
        self.assertEqual((parse_request_head(head), tail), (RequestHead("GET", "/x?y", Headers(fields)), b""))
        head, tail = HeadReader().feed(format_response(404, "Not Found", fields, b"body")) or (b"", b"missing")
        self.assertEqual(parse_response_head(head, URL), Response(URL, 404, "Not Found", Headers(fields)))
        self.assertEqual(tail, b"body")


@with_cases
class RequestTests(unittest.TestCase):
    """The value that says what to open."""

    def test_defaults(self) -> None:
        """A URL is enough."""
        request = Request(URL)
        self.assertEqual((request.url, request.headers, request.timeout_interval), (URL, Headers(), None))

    def test_headers_are_coerced(self) -> None:
        """Headers may be a mapping or pairs, and become `Headers`."""
        for headers in ({"A": "1"}, [("A", "1")], Headers({"A": "1"})):
            self.assertEqual(Request(URL, headers=headers).headers.fields, (("A", "1"),))

    def test_only_the_url_is_positional(self) -> None:
        """Everything but the URL is given by name."""
        with self.assertRaises(TypeError):
            Request(URL, {"A": "1"})  # type: ignore[call-arg]

    @cases(
        scheme=("http://h/", InvalidURL),
        no_host=("ws://", InvalidURL),
        bytes=(b"ws://h/", TypeError),
        none=(None, TypeError),
    )
    def test_bad_urls(self, url: object, error: type) -> None:
        """Rules 8 and 9: a bad URL is refused when the request is made."""
        with self.assertRaises(error):
            Request(url)  # type: ignore[arg-type]
        with self.assertRaises(error):
            dataclasses.replace(Request(URL), url=url)  # type: ignore[arg-type]

    def test_the_parsed_url_can_be_let_go(self) -> None:
        """It is there from the check on, and comes again when it is asked for; the request is the same."""
        request, twin = Request(URL), Request(URL)
        known = request.parsed_url
        request.forget_parsed()
        request.forget_parsed()
        self.assertEqual((request, hash(request)), (twin, hash(twin)))
        self.assertEqual(request.parsed_url, known)
        self.assertIs(request.parsed_url, request.parsed_url)

    def test_about_cookies(self) -> None:
        """Rules 83 and 84: whether they are handled, and for which page; both are kept by `replace`, and changed."""
        request = Request(URL)
        self.assertEqual((request.http_should_handle_cookies, request.main_document_url), (True, None))
        page = "https://page.test/#top"
        request = request.replace(http_should_handle_cookies=False, main_document_url=page)
        for found in (request, request.replace(timeout_interval=3)):
            self.assertEqual((found.http_should_handle_cookies, found.main_document_url), (False, page))
        changed = request.replace(http_should_handle_cookies=True, main_document_url=None)
        self.assertEqual((changed.http_should_handle_cookies, changed.main_document_url), (True, None))

    @cases(scheme=("ftp://h/", InvalidURL), no_url=("page", InvalidURL), bytes=(b"https://h/", TypeError))
    def test_bad_documents(self, url: object, error: type) -> None:
        """A bad URL of a page is refused when the request is made, too."""
        with self.assertRaises(error):
            Request(URL, main_document_url=url)  # type: ignore[arg-type]

    @cases(
        zero=(0, ValueError),
        zero_point=(0.0, ValueError),
        negative=(-1, ValueError),
        infinite=(float("inf"), ValueError),
        nan=(float("nan"), ValueError),
        text=("5", TypeError),
        true=(True, TypeError),
    )
    def test_bad_timeouts(self, seconds: object, error: type) -> None:
        """A timeout is a finite number of seconds over 0, or None."""
        with self.assertRaises(error):
            Request(URL, timeout_interval=seconds)  # type: ignore[arg-type]
        with self.assertRaises(error):
            Request(URL).replace(timeout_interval=seconds)  # type: ignore[arg-type]

    @cases(name=({"A B": "1"}, ValueError), value=({"A": "1\n"}, ValueError), type=("A: 1", TypeError))
    def test_bad_headers(self, headers: object, error: type) -> None:
        """Rule 31: bad headers are refused when the request is made."""
        with self.assertRaises(error):
            Request(URL, headers=headers)  # type: ignore[arg-type]

    @cases(
        url=({"url": "wss://g/"}, ("wss://g/", Headers({"A": "1"}), 5)),
        headers=({"headers": {"B": "2"}}, (URL, Headers({"B": "2"}), 5)),
        no_headers=({"headers": None}, (URL, Headers(), 5)),
        timeout=({"timeout_interval": 0.5}, (URL, Headers({"A": "1"}), 0.5)),
        no_timeout=({"timeout_interval": None}, (URL, Headers({"A": "1"}), None)),
        nothing=({}, (URL, Headers({"A": "1"}), 5)),
    )
    def test_replace(self, changes: dict[str, object], expected: Tuple[str, Headers, Optional[float]]) -> None:
        """`replace` changes the fields it is given, None included, in a copy."""
        request = Request(URL, headers={"A": "1"}, timeout_interval=5)
        changed = request.replace(**changes)  # type: ignore[arg-type]
        self.assertEqual((changed.url, changed.headers, changed.timeout_interval), expected)
        self.assertEqual(request, Request(URL, headers={"A": "1"}, timeout_interval=5))

    def test_is_a_value(self) -> None:
        """Equal, hashable, picklable, unchangeable; `dataclasses.replace` works too."""
        request = Request(URL, headers={"A": "1"}, timeout_interval=5)
        self.assertEqual(request, Request(URL, headers={"a": "1"}, timeout_interval=5.0))
        self.assertEqual(hash(request), hash(Request(URL, headers={"a": "1"}, timeout_interval=5.0)))
        self.assertNotEqual(request, Request(URL))
        self.assertEqual(pickle.loads(pickle.dumps(request)), request)
        self.assertEqual(dataclasses.replace(request, timeout_interval=None), request.replace(timeout_interval=None))
        with self.assertRaises(dataclasses.FrozenInstanceError):
            request.url = "ws://g/"  # type: ignore[misc]

    def test_repr_hides_secrets(self) -> None:
        """`repr()` shows neither userinfo nor credentials."""
        request = Request("wss://me:s3cr3t@h/x", headers={"Authorization": "s3cr3t", "X": "1"}, timeout_interval=5)
        expected = (
            "Request('wss://***@h/x', headers=Headers([('Authorization', '***'), ('X', '1')]), timeout_interval=5)"
        )
        self.assertEqual(repr(request), expected)
        self.assertEqual(str(request), expected)


@with_cases
class ResponseTests(unittest.TestCase):
    """The value that says what a server answered."""

    @cases(
        plain=(Response(URL, 404, "Not Found", Headers()), f"<Response 404 Not Found from {URL}>"),
        no_reason=(Response(URL, 404, "", Headers()), f"<Response 404 from {URL}>"),
        userinfo=(Response("ws://u:s3cr3t@h/", 101, "x", Headers()), "<Response 101 x from ws://***@h/>"),
        control=(Response(URL, 400, "\x9b31m", Headers()), f"<Response 400 \\x9b31m from {URL}>"),
        secrets=(
            Response(URL, 200, "OK", Headers({"Set-Cookie": "s3cr3t"}), b"s3cr3t"),
            f"<Response 200 OK from {URL}>",
        ),
    )
    def test_repr(self, response: Response, expected: str) -> None:
        """`repr()` is one short line without headers, body or userinfo."""
        self.assertEqual(repr(response), expected)

    def test_is_a_value(self) -> None:
        """Equal, hashable, unchangeable, and picklable inside the error that carries it."""
        response = Response(URL, 404, "Not Found", Headers({"A": "1"}), b"gone")
        self.assertEqual(len({response, dataclasses.replace(response, headers=Headers({"a": "1"}))}), 1)
        error = pickle.loads(pickle.dumps(HandshakeError("no", response=response)))
        self.assertEqual(error.response, response)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            response.body = b""  # type: ignore[misc]


class WrongTypeTests(unittest.TestCase):
    def test_what_is_no_text(self) -> None:
        """TypeError, whatever it is."""
        for target in (b"/", 7):
            with self.assertRaises(TypeError):
                format_request("GET", cast("Any", target), ())
        with self.assertRaises(TypeError):
            format_response(200, cast("Any", None), ())


if __name__ == "__main__":
    unittest.main()
