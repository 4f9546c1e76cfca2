"""Close codes, Close bodies and the closing handshake: wssync/protocol/closing.py."""

from __future__ import annotations

import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple

from tests.protocol.utf8_vectors import INVALID, UNFINISHED, VALID
from tests.support import cases, with_cases
from wssync.errors import ProtocolError
from wssync.protocol.closing import (
    MAX_REASON,
    TRANSITIONS,
    CloseCode,
    ClosingEvent,
    ClosingHandshake,
    ClosingState,
    close_code,
    decode_close,
    encode_close,
    may_be_sent,
)

NAMES = {
    "INVALID": 0,
    "NORMAL_CLOSURE": 1000,
    "GOING_AWAY": 1001,
    "PROTOCOL_ERROR": 1002,
    "UNSUPPORTED_DATA": 1003,
    "NO_STATUS_RECEIVED": 1005,
    "ABNORMAL_CLOSURE": 1006,
    "INVALID_FRAME_PAYLOAD_DATA": 1007,
    "POLICY_VIOLATION": 1008,
    "MESSAGE_TOO_BIG": 1009,
    "MANDATORY_EXTENSION_MISSING": 1010,
    "INTERNAL_SERVER_ERROR": 1011,
    "SERVICE_RESTART": 1012,
    "TRY_AGAIN_LATER": 1013,
    "BAD_GATEWAY": 1014,
    "TLS_HANDSHAKE_FAILURE": 1015,
}

RANGES = {
    "0 to 999 are not used": (0, 999, False),
    "1000 to 1003": (1000, 1003, True),
    "1004 to 1006 are reserved": (1004, 1006, False),
    "1007 to 1014": (1007, 1014, True),
    "1015 is never on the wire": (1015, 1015, False),
    "1016 to 2999 wait for an RFC": (1016, 2999, False),
    "3000 to 3999 for libraries": (3000, 3999, True),
    "4000 to 4999 for applications": (4000, 4999, True),
    "5000 and more": (5000, 65535, False),
}

LEGAL = [*range(1000, 1004), *range(1007, 1015), 3000, 3001, 3999, 4000, 4123, 4231, 4999]
ILLEGAL = [0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1100, 1999, 2000, 2999, 5000, 9999, 65535]


@with_cases
class CloseCodeTests(unittest.TestCase):
    @cases(NAMES.items())
    def test_names(self, value: int) -> None:
        """RFC 6455 section 7.4.1, IANA, Apple: each name has its number, and the number finds the member."""
        name = {number: name for name, number in NAMES.items()}[value]
        self.assertEqual(CloseCode[name], value)
        self.assertIs(close_code(value), CloseCode[name])

    def test_there_are_no_others(self) -> None:
        """The table above is all of them."""
        self.assertEqual({code.name: int(code) for code in CloseCode}, NAMES)

    @cases((str(value), value) for value in (1004, 1016, 2999, 3000, 4231, 5000))
    def test_other_codes_stay_integers(self, value: int) -> None:
        """Rule 165: a code without a name keeps its value."""
        self.assertIs(type(close_code(value)), int)
        self.assertEqual(close_code(value), value)

    @cases(RANGES.items())
    def test_ranges(self, first: int, last: int, legal: bool) -> None:
        """Rules 153 and 166: every single code of the range may be sent and received, or may not."""
        for code in range(first, last + 1):
            self.assertIs(may_be_sent(code), legal, code)


@with_cases
class EncodingTests(unittest.TestCase):
    @cases((str(code), code) for code in LEGAL)
    def test_a_legal_code_is_two_bytes(self, code: int) -> None:
        """Rules 147 and 153: two bytes in network order, alone or before the reason."""
        self.assertEqual(encode_close(code, None), bytes((code >> 8, code & 255)))
        self.assertEqual(encode_close(code, "why"), bytes((code >> 8, code & 255)) + b"why")

    @cases((str(code).replace("-", "minus "), code) for code in (*ILLEGAL, -1, -1000, 65536, 66536, 1 << 40))
    def test_an_illegal_code_is_refused(self, code: int) -> None:
        """Rule 153: ValueError, with a reason or without."""
        for reason in (None, "why"):
            with self.assertRaises(ValueError):
                encode_close(code, reason)

    @cases(true=True, false=False, float=1000.0, str="1000", bytes=b"\x03\xe8", list=[1000])
    def test_what_is_no_integer_is_refused(self, code: Any) -> None:
        """A bool is no close code, nor is anything but an int."""
        with self.assertRaises(TypeError):
            encode_close(code, None)

    def test_members_are_integers(self) -> None:
        """A `CloseCode` can be given for a code."""
        self.assertEqual(encode_close(CloseCode.GOING_AWAY, None), b"\x03\xe9")

    @cases(no_reason=None, empty_text="", empty_bytes=b"")
    def test_no_code_makes_an_empty_body(self, reason: Any) -> None:
        """RFC 6455 section 5.5.1: a Close frame may have no body; an empty reason is none."""
        self.assertEqual(encode_close(None, reason), b"")

    @cases(text="why", bytes=b"why")
    def test_a_reason_needs_a_code(self, reason: Any) -> None:
        """Rule 154: a reason without a code cannot be written."""
        with self.assertRaises(ValueError):
            encode_close(None, reason)

    @cases(
        one_byte=("a", 1),
        just_fits=("a" * 123, 123),
        two_byte_characters=("é" * 61, 122),
        two_byte_characters_just_fit=("é" * 61 + "a", 123),
        three_byte_characters_just_fit=("€" * 41, 123),
        four_byte_characters=("😀" * 30 + "abc", 123),
        bytes=(b"caf\xc3\xa9", 5),
        most_bytes=(b"a" * 123, 123),
    )
    def test_a_reason_of_123_bytes_fits(self, reason: Any, size: int) -> None:
        """Rule 154: up to 123 bytes of UTF-8, text or bytes."""
        data = reason if isinstance(reason, bytes) else reason.encode()
        self.assertEqual(encode_close(1000, reason), b"\x03\xe8" + data)
        self.assertEqual(len(data), size)

    @cases(
        one_too_many="a" * 124,
        two_byte_characters="é" * 62,
        three_byte_characters="€" * 41 + "a",
        four_byte_characters="😀" * 31,
        bytes=b"a" * 124,
        far_too_long="a" * 70_000,
    )
    def test_a_longer_reason_is_refused(self, reason: Any) -> None:
        """Rule 154: bytes count, not characters."""
        with self.assertRaisesRegex(ValueError, str(MAX_REASON)):
            encode_close(1000, reason)

    @cases(
        lone_high="\ud83d", lone_low="a\ude00", truncated=b"\xf0\x9f\x98", latin_1=b"caf\xe9", surrogate=b"\xed\xa0\x80"
    )
    def test_a_reason_that_is_no_unicode_is_refused(self, reason: Any) -> None:
        """Rule 154: surrogates and bytes that are not UTF-8 are the caller's mistake."""
        with self.assertRaises(ValueError):
            encode_close(1000, reason)

    @cases(number=(5,), array=(bytearray(b"a"),), list=(["a"],))
    def test_a_reason_is_text_or_bytes(self, reason: Any) -> None:
        """Anything else is a TypeError."""
        with self.assertRaises(TypeError):
            encode_close(1000, reason)


@with_cases
class DecodingTests(unittest.TestCase):
    def test_an_empty_body(self) -> None:
        """Rule 163: code 1005, no reason."""
        self.assertEqual(decode_close(b""), (CloseCode.NO_STATUS_RECEIVED, None))

    @cases((f"{byte:02x}", bytes((byte,))) for byte in (0, 3, 0x7F, 0x80, 0xFF))
    def test_a_body_of_one_byte(self, body: bytes) -> None:
        """Rule 130: half a code is a protocol error."""
        with self.assertRaisesRegex(ProtocolError, r"section 5\.5\.1") as caught:
            decode_close(body)
        self.assertEqual(caught.exception.code, 1002)

    @cases((str(code), code) for code in LEGAL)
    def test_a_legal_code(self, code: int) -> None:
        """Rules 164 and 165: reported as it is, with its reason, `None` where there is none."""
        body = code.to_bytes(2, "big")
        self.assertEqual(decode_close(body), (code, None))
        self.assertEqual(decode_close(body + b"bye"), (code, "bye"))
        self.assertIs(isinstance(decode_close(body)[0], CloseCode), code < 3000)

    @cases((str(code), code) for code in ILLEGAL)
    def test_an_illegal_code(self, code: int) -> None:
        """Rule 166: a protocol error, whatever the reason is."""
        for reason in (b"", b"bye", b"\xff"):
            with self.assertRaisesRegex(ProtocolError, str(code)) as caught:
                decode_close(code.to_bytes(2, "big") + reason)
            self.assertEqual(caught.exception.code, 1002)

    @cases(VALID.items())
    def test_a_reason_is_text(self, data: bytes) -> None:
        """RFC 6455 section 5.5.1: UTF-8, at every edge of it."""
        self.assertEqual(decode_close(b"\x03\xe8" + data), (1000, data.decode()))

    @cases(((name, row[0]) for name, row in INVALID.items()), UNFINISHED.items())
    def test_a_reason_that_is_no_text(self, data: bytes) -> None:
        """Rule 167: 1007, and the message shows the bytes."""
        with self.assertRaises(ProtocolError) as caught:
            decode_close(b"\x03\xe8" + data)
        self.assertEqual(caught.exception.code, 1007)
        self.assertIn(repr(data), str(caught.exception))

    @cases((str(code), code) for code in LEGAL)
    def test_what_is_encoded_can_be_decoded(self, code: int) -> None:
        """Both halves agree, for every reason."""
        for reason in (None, "x", "bye bye", "höre auf", "😀" * 30):
            self.assertEqual(decode_close(encode_close(code, reason)), (code, reason))


OPEN, SENT, RECEIVED, CLOSED = ClosingState
SEND, RECEIVE, END = ClosingEvent

# The whole table: state, event, and the state that follows, None where it cannot happen.
CELLS: Dict[str, Tuple[ClosingState, ClosingEvent, Optional[ClosingState]]] = {
    "open, we send": (OPEN, SEND, SENT),
    "open, the peer sends": (OPEN, RECEIVE, RECEIVED),
    "open, the connection ends": (OPEN, END, CLOSED),
    "sent, we send again": (SENT, SEND, None),
    "sent, the peer answers": (SENT, RECEIVE, CLOSED),
    "sent, the connection ends": (SENT, END, CLOSED),
    "received, we answer": (RECEIVED, SEND, CLOSED),
    "received, the peer sends again": (RECEIVED, RECEIVE, None),
    "received, the connection ends": (RECEIVED, END, CLOSED),
    "closed, we send": (CLOSED, SEND, None),
    "closed, the peer sends": (CLOSED, RECEIVE, None),
    "closed, the connection ends": (CLOSED, END, CLOSED),
}

ACT: Dict[ClosingEvent, Callable[[ClosingHandshake], object]] = {
    SEND: lambda handshake: handshake.send(1000, "ours"),
    RECEIVE: lambda handshake: handshake.receive(1001, "theirs"),
    END: lambda handshake: handshake.end(),
}

PATHS: Dict[ClosingState, List[List[ClosingEvent]]] = {
    OPEN: [[]],
    SENT: [[SEND]],
    RECEIVED: [[RECEIVE]],
    CLOSED: [[END], [SEND, RECEIVE], [RECEIVE, SEND], [SEND, END], [RECEIVE, END], [END, END], [SEND, RECEIVE, END]],
}


def after(*events: ClosingEvent) -> ClosingHandshake:
    handshake = ClosingHandshake()
    for event in events:
        ACT[event](handshake)
    return handshake


@with_cases
class TableTests(unittest.TestCase):
    def test_no_cell_is_missing(self) -> None:
        """The cells below are every pair of a state and an event, and the table holds the legal ones and no more."""
        self.assertEqual({cell[:2] for cell in CELLS.values()}, {(s, e) for s in ClosingState for e in ClosingEvent})
        self.assertEqual(TRANSITIONS, {cell[:2]: cell[2] for cell in CELLS.values() if cell[2] is not None})

    @cases(CELLS.items())
    def test_each_cell(self, state: ClosingState, event: ClosingEvent, expected: Optional[ClosingState]) -> None:
        """RFC 6455 section 7.1: a legal event moves on, an illegal one raises and changes nothing."""
        for path in PATHS[state]:
            handshake = after(*path)
            self.assertIs(handshake.state, state)
            before = (handshake.state, handshake.sent, handshake.received)
            if expected is None:
                with self.assertRaisesRegex(RuntimeError, f"{event.value} cannot happen .* {state.value}"):
                    ACT[event](handshake)
                self.assertEqual((handshake.state, handshake.sent, handshake.received), before)
            else:
                ACT[event](handshake)
                self.assertIs(handshake.state, expected)

    @cases(open=(OPEN, True), sent=(SENT, False), received=(RECEIVED, False), closed=(CLOSED, False))
    def test_data_may_be_sent_while_open_only(self, state: ClosingState, expected: bool) -> None:
        """Rule 147: no data frame after a Close, ours or the peer's."""
        self.assertIs(state.may_send_data, expected)

    @cases(open=(OPEN, True), sent=(SENT, True), received=(RECEIVED, False), closed=(CLOSED, False))
    def test_data_may_be_received_until_the_peers_close(self, state: ClosingState, expected: bool) -> None:
        """Rules 149 and 169: our own Close does not end what the peer has under way, its Close does."""
        self.assertIs(state.may_receive_data, expected)


@with_cases
class HandshakeTests(unittest.TestCase):
    @cases(
        nothing=([], False),
        ours_alone=([SEND], False),
        theirs_alone=([RECEIVE], False),
        we_began=([SEND, RECEIVE], True),
        they_began=([RECEIVE, SEND], True),
        ended_afterwards=([SEND, RECEIVE, END], True),
        ended_without_an_answer=([SEND, END], False),
        ended_before_we_answered=([RECEIVE, END], False),
        ended_at_once=([END], False),
    )
    def test_it_is_clean_when_both_frames_were_exchanged(self, events: List[ClosingEvent], clean: bool) -> None:
        """RFC 6455 section 7.1.4: closed cleanly means after the closing handshake."""
        self.assertIs(after(*events).is_clean, clean)

    @cases(
        code_and_reason=((4000, "bye"), (4000, "bye"), b"\x0f\xa0bye"),
        bytes=((1000, b"bye"), (1000, "bye"), b"\x03\xe8bye"),
        code_alone=((1001,), (1001, None), b"\x03\xe9"),
        empty_reason=((1001, ""), (1001, None), b"\x03\xe9"),
        nothing=((), (1005, None), b""),
    )
    def test_what_was_sent_is_kept_and_returned(self, given: Any, kept: Tuple[int, Optional[str]], body: bytes) -> None:
        """Rule 150: our own code stays readable; `send` returns the body of the frame."""
        handshake = ClosingHandshake()
        self.assertEqual(handshake.send(*given), body)
        self.assertEqual(handshake.sent, kept)
        self.assertIsNone(handshake.received)

    @cases(bad_code=(1005, None), reason_without_a_code=(None, "why"), long_reason=(1000, "a" * 124))
    def test_a_close_that_cannot_be_written_is_not_sent(self, code: Optional[int], reason: Optional[str]) -> None:
        """Rules 153 and 154: the error leaves the handshake open, and a good Close can follow."""
        handshake = ClosingHandshake()
        with self.assertRaises(ValueError):
            handshake.send(code, reason)
        self.assertEqual((handshake.state, handshake.sent), (OPEN, None))
        handshake.send(1000)

    @cases(
        normal=(1000, None, b"\x03\xe8"),
        reason_is_not_echoed=(4123, "why", b"\x10\x1b"),
        going_away=(1001, "bye", b"\x03\xe9"),
        no_code=(1005, None, b""),
    )
    def test_the_answer_has_the_same_code(self, code: int, reason: Optional[str], body: bytes) -> None:
        """Rule 161: a Close is sent back with the same code, without a body if none came."""
        handshake = ClosingHandshake()
        handshake.receive(code, reason)
        self.assertEqual(handshake.answer(), body)
        self.assertEqual(handshake.received, (code, reason))
        self.assertTrue(handshake.is_clean)
        self.assertIs(handshake.state, CLOSED)

    def test_nothing_to_answer(self) -> None:
        """An answer before the question is our own mistake."""
        with self.assertRaises(RuntimeError):
            ClosingHandshake().answer()

    def test_no_second_answer(self) -> None:
        """Rule 168: when both sides close, neither sends a second Close."""
        with self.assertRaises(RuntimeError):
            after(SEND, RECEIVE).answer()

    def test_a_received_code_is_a_member(self) -> None:
        """Known codes come as `CloseCode`, whoever gave them."""
        handshake = ClosingHandshake()
        handshake.receive(1001)
        assert handshake.received is not None
        self.assertIs(handshake.received[0], CloseCode.GOING_AWAY)

    def test_repr_says_how_far_it_is(self) -> None:
        """The state and both frames can be read in a log."""
        self.assertEqual(
            repr(after(RECEIVE)),
            "<ClosingHandshake close received sent=None received=(<CloseCode.GOING_AWAY: 1001>, 'theirs')>",
        )
