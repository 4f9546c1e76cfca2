"""Messages in: wssync/protocol/messages.py."""

from __future__ import annotations

import pickle
import random
import sys
import tracemalloc
import unittest
import zlib
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from unittest import mock

from tests.protocol import wire
from tests.protocol.utf8_vectors import INVALID, UNFINISHED, VALID
from tests.protocol.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, cuts, fed, frame, header, shown
from tests.support import cases, with_cases
from wssync.errors import MessageTooBig, ProtocolError
from wssync.protocol import deflate, messages, unfinished, utf8
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters, Inflater
from wssync.protocol.encoder import Encoder
from wssync.protocol.frames import Opcode, Role
from wssync.protocol.messages import Close, Decoder, Event, Fault, Ping, Pong
from wssync.protocol.unfinished import MAX_EMPTY_FRAGMENTS

CLIENT, SERVER = Role
TAIL = b"\x00\x00\xff\xff"


def decoder(role: Role = CLIENT, limit: Optional[int] = 1 << 20, *, compressed: bool = False) -> Decoder:
    inflater = Inflater(DeflateParameters(), role) if compressed else None
    return Decoder(role, maximum_message_size=limit, inflater=inflater)


def squeeze(*parts: bytes) -> List[bytes]:
    """Compress a message so that each part is out when its bytes are; the last one without its tail."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    made = [stream.compress(part) + stream.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    made[-1] = made[-1][: -len(TAIL)]
    return made


def by_role(table: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[Any, ...]]]:
    """Each row once for the client and once for the server."""
    for name, row in table.items():
        for role in Role:
            yield f"{name}, {role.value}", (role, *(row if isinstance(row, tuple) else (row,)))


class DecoderTestCase(unittest.TestCase):
    def assertDecodes(self, data: bytes, expected: List[Event], make: Callable[[], Decoder], *, most: int = 60) -> None:
        """`data` gives these events however it is cut, and an unfinished frame behind it changes nothing."""
        for pieces in cuts(data, most=most):
            self.assertEqual(fed(make(), *pieces), shown(expected), [len(piece) for piece in pieces][:3])
        last = make()
        self.assertEqual(fed(last, data + b"\x81"), shown(expected))
        self.assertFalse(last.failed)

    def assertFails(
        self, data: bytes, code: int, words: str, make: Callable[[], Decoder], *, before: Tuple[Event, ...] = ()
    ) -> None:
        """`data` gives the events `before` and then a fault, however it is cut; then nothing any more."""
        for pieces in cuts(data, most=25):
            victim = make()
            events: List[Event] = []
            for piece in pieces:
                events += victim.feed(piece)
            self.assertEqual(events[:-1], list(before))
            fault = events[-1]
            assert isinstance(fault, Fault)
            self.assertEqual(fault.error.code, code)
            self.assertIn(words, str(fault.error))
            self.assertTrue(victim.failed)
            self.assertFalse(victim.in_message)
            self.assertEqual(victim.feed(frame(TEXT, b"ignored", to=CLIENT)), [])


# Good traffic: what is sent (`on_the_wire` makes it for either role), and what comes out.

Sent = List[Tuple[int, bytes, bool]]


def sent(*frames: Tuple[int, bytes, bool]) -> Sent:
    return list(frames)


def on_the_wire(role: Role, frames: Sent) -> bytes:
    return b"".join(frame(opcode, payload, fin=fin, to=role) for opcode, payload, fin in frames)


GOOD: Dict[str, Tuple[Sent, List[Event]]] = {
    "5.7 text": (sent((TEXT, b"Hello", True)), ["Hello"]),
    "5.7 fragmented text": (sent((TEXT, b"Hel", False), (CONTINUATION, b"lo", True)), ["Hello"]),
    "5.7 ping and pong": (sent((PING, b"Hello", True), (PONG, b"Hello", True)), [Ping(b"Hello"), Pong(b"Hello")]),
    "5.7 256 bytes": (sent((BINARY, bytes(256), True)), [bytes(256)]),
    "5.7 64 KiB": (sent((BINARY, bytes(65536), True)), [bytes(65536)]),
    "empty text": (sent((TEXT, b"", True)), [""]),
    "empty binary": (sent((BINARY, b"", True)), [b""]),
    "empty ping": (sent((PING, b"", True)), [Ping(b"")]),
    "unsolicited pong": (sent((PONG, b"hm", True)), [Pong(b"hm")]),
    "ping of 125 bytes": (sent((PING, b"p" * 125, True)), [Ping(b"p" * 125)]),
    "text and binary in turn": (sent((TEXT, b"a", True), (BINARY, b"b", True), (TEXT, b"c", True)), ["a", b"b", "c"]),
    "three fragments of binary": (
        sent((BINARY, b"\x00", False), (CONTINUATION, b"\xff", False), (CONTINUATION, b"\x80", True)),
        [b"\x00\xff\x80"],
    ),
    "only the last fragment has anything": (sent((TEXT, b"", False), (CONTINUATION, b"end", True)), ["end"]),
    "only the first fragment has anything": (sent((TEXT, b"start", False), (CONTINUATION, b"", True)), ["start"]),
    "all fragments are empty": (sent((TEXT, b"", False), (CONTINUATION, b"", False), (CONTINUATION, b"", True)), [""]),
    "empty fragments of binary": (sent((BINARY, b"", False), (CONTINUATION, b"", True)), [b""]),
    "a ping between fragments": (
        sent((TEXT, b"a", False), (PING, b"now", True), (CONTINUATION, b"b", True)),
        [Ping(b"now"), "ab"],
    ),
    "pings between all fragments": (
        sent((BINARY, b"a", False), (PING, b"1", True), (CONTINUATION, b"b", False), (PONG, b"2", True))
        + sent((CONTINUATION, b"c", True), (PING, b"3", True)),
        [Ping(b"1"), Pong(b"2"), b"abc", Ping(b"3")],
    ),
    "two fragmented messages": (
        sent((TEXT, b"a", False), (CONTINUATION, b"b", True), (BINARY, b"c", False), (CONTINUATION, b"d", True)),
        ["ab", b"cd"],
    ),
    "binary need not be text": (sent((BINARY, b"\xff\xfe\xed\xa0\x80", True)), [b"\xff\xfe\xed\xa0\x80"]),
    "a character split over fragments": (
        sent((TEXT, b"\xf0\x9f", False), (CONTINUATION, b"\x98", False), (CONTINUATION, b"\x80", True)),
        ["😀"],
    ),
    "a character split around a ping": (
        sent((TEXT, b"\xe2\x82", False), (PING, b"\xac", True), (CONTINUATION, b"\xac", True)),
        [Ping(b"\xac"), "€"],
    ),
    "a character split around an empty fragment": (
        sent((TEXT, b"\xc3", False), (CONTINUATION, b"", False), (CONTINUATION, b"\xa9", True)),
        ["é"],
    ),
    "close": (sent((CLOSE, b"\x03\xe8bye", True)), [Close(1000, "bye")]),
    "close without a body": (sent((CLOSE, b"", True)), [Close(1005, None)]),
    "close without a reason": (sent((CLOSE, b"\x10\x1b", True)), [Close(4123, None)]),
    "close with the longest reason": (sent((CLOSE, b"\x03\xe8" + b"r" * 123, True)), [Close(1000, "r" * 123)]),
    "messages before a close": (
        sent((TEXT, b"a", True), (BINARY, b"b", True), (PING, b"c", True), (CLOSE, b"\x03\xe9", True)),
        ["a", b"b", Ping(b"c"), Close(1001, None)],
    ),
    "close inside a message": (
        sent((TEXT, b"a", False), (CLOSE, b"\x03\xe8", True)),
        [Close(1000, None)],
    ),
    "whatever comes after a close": (
        sent((CLOSE, b"\x03\xe8", True), (TEXT, b"late", True), (3, b"nonsense", False), (CLOSE, b"", True)),
        [Close(1000, None)],
    ),
}
for _size in (1, 124, 125, 126, 127, 255, 256, 1000, 65535, 65536, 70_000):
    _data = (b"0123456789" * 7000)[:_size]
    GOOD[f"text of {_size} bytes"] = (sent((TEXT, _data, True)), [_data.decode()])
    GOOD[f"binary of {_size} bytes"] = (sent((BINARY, _data, True)), [_data])
    GOOD[f"{_size} bytes in two fragments, and a message"] = (
        sent((BINARY, _data[: _size // 2], False), (CONTINUATION, _data[_size // 2 :], True), (TEXT, b"next", True)),
        [_data, "next"],
    )
for _size in (126, 256, 300, 511, 1000):
    GOOD[f"three messages of {_size} bytes, and more"] = (
        sent(*((BINARY, bytes((n,)) * _size, True) for n in range(3)), (BINARY, b"z" * 3000, True)),
        [*(bytes((n,)) * _size for n in range(3)), b"z" * 3000],
    )
for _count in (2, 3, 10, 50):
    GOOD[f"{_count} fragments"] = (
        sent((TEXT, b"0", False), *((CONTINUATION, b"%d" % (n % 10), n == _count - 1) for n in range(1, _count))),
        ["".join(str(n % 10) for n in range(_count))],
    )
    GOOD[f"{_count} messages"] = (
        sent(*((TEXT, b"m%d" % n, True) for n in range(_count))),
        [f"m{n}" for n in range(_count)],
    )


@with_cases
class MessageTests(DecoderTestCase):
    @cases(by_role(GOOD))
    def test_good_traffic(self, role: Role, frames: Sent, expected: List[Event]) -> None:
        """Rules 112, 114, 125, 126, 131, 163, 169: the same events for either role, however the bytes are cut."""
        data = on_the_wire(role, frames)
        self.assertDecodes(data, expected, lambda: decoder(role), most=20 if len(data) > 200 else 60)

    def test_the_masked_example_of_the_rfc(self) -> None:
        """RFC 6455 section 5.7: "Hello" as a client sends it."""
        self.assertDecodes(bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"], lambda: decoder(SERVER))

    @cases(by_role(dict(VALID)))
    def test_text_may_be_cut_into_fragments_anywhere(self, role: Role, data: bytes) -> None:
        """Rule 127: each place in each character is a place for a fragment to end; one byte a fragment too."""
        for place in range(len(data) + 1):
            frames = sent((TEXT, data[:place], False), (CONTINUATION, data[place:], True))
            self.assertEqual(fed(decoder(role), on_the_wire(role, frames)), [data.decode()])
        single = [(CONTINUATION, data[place : place + 1], False) for place in range(len(data))]
        stream = on_the_wire(role, [(TEXT, b"", False), *single, (CONTINUATION, b"", True)])
        self.assertDecodes(stream, [data.decode()], lambda: decoder(role))

    @cases(VALID.items())
    def test_text_may_arrive_in_pieces(self, data: bytes) -> None:
        """Rule 127: one frame, cut anywhere by the network."""
        for role in Role:
            self.assertDecodes(frame(TEXT, data, to=role), [data.decode()], lambda role=role: decoder(role))  # type: ignore[misc]

    def test_all_messages_of_one_read_come_at_once(self) -> None:
        """A read full of small messages is one list of them, with the rest of the last kept for later."""
        one = decoder()
        data = b"".join(frame(TEXT, b"%d" % number) for number in range(5000))
        self.assertEqual(one.feed(data[:-1]), [str(number) for number in range(4999)])
        self.assertEqual(one.feed(data[-1:]), ["4999"])

    def test_types_are_exact(self) -> None:
        """A text is a `str` and binary is `bytes`, of whatever pieces they were made."""
        for pieces in cuts(frame(BINARY, b"data" * 100), most=10):
            (event,) = (event for piece in [pieces] for event in fed(decoder(), *piece))
            self.assertIs(type(event), bytes)

    def test_nothing_comes_of_nothing(self) -> None:
        """Feeding no bytes changes nothing, at any place."""
        one = decoder()
        for byte in frame(TEXT, b"abc"):
            self.assertEqual(one.feed(b""), [])
            events = one.feed(bytes((byte,)))
        self.assertEqual(events, ["abc"])


@with_cases
class StateTests(DecoderTestCase):
    def test_in_message(self) -> None:
        """True from a frame whose payload is missing, or from the first fragment, to the end of the message."""
        one = decoder()
        seen = []
        for piece in (b"\x01", b"\x02", b"a", b"b", b"\x89\x00", b"\x80\x01", b"c", b"\x82\x01", b"d"):
            one.feed(piece)
            seen.append(one.in_message)
        self.assertEqual(seen, [False, True, True, True, True, True, False, True, False])

    def test_a_control_frame_is_no_message(self) -> None:
        """Half a ping is not an unfinished message."""
        one = decoder()
        one.feed(b"\x89\x05abc")
        self.assertFalse(one.in_message)

    @cases(fault=(b"\x83\x00", True), close=(b"\x88\x00", False))
    def test_the_end(self, data: bytes, failed: bool) -> None:
        """Rule 169: after a Close or a fault everything is ignored; only a fault counts as failed."""
        one = decoder()
        self.assertEqual(len(one.feed(b"\x01\x01a" + data + frame(TEXT, b"same read"))), 1)
        self.assertEqual((one.failed, one.in_message), (failed, False))
        for piece in (frame(TEXT, b"late"), b"\x88\x00", b"\xff\xff", b""):
            self.assertEqual(one.feed(piece), [])

    @cases(
        alone=(b"\x83\x00", False),
        behind_a_message=(frame(TEXT, b"good") + b"\x83\x00", False),
        between_fragments=(frame(TEXT, b"a", fin=False) + b"\x83\x00", True),
        in_the_text=(header(TEXT, 10) + b"\xff", True),
        in_a_later_message=(frame(TEXT, b"good") + header(TEXT, 10) + b"\xff", True),
        in_a_close=(frame(CLOSE, b"\x03"), False),
    )
    def test_a_fault_says_whether_it_was_in_a_message(self, data: bytes, expected: bool) -> None:
        """A fault in the middle of a message takes effect at once, so it has to be told from one behind a message."""
        for pieces in cuts(data):
            one = decoder()
            fault = [event for piece in pieces for event in one.feed(piece)][-1]
            assert isinstance(fault, Fault)
            self.assertIs(fault.in_message, expected)

    def test_a_fault_can_be_pickled_and_holds_no_data(self) -> None:
        """The error outlives the connection: it must not keep the frames of the decoder, and so the data, alive."""
        (fault,) = decoder().feed(frame(TEXT, b"\xff"))
        assert isinstance(fault, Fault)
        self.assertIsNone(fault.error.__traceback__)
        self.assertIsNone(fault.error.__context__)
        self.assertEqual(str(pickle.loads(pickle.dumps(fault.error))), str(fault.error))


# Violations: the first two bytes to a client (a server gets them with the mask bit), words of the error.

SECTION = "RFC 6455 section "
HEADERS: Dict[str, Tuple[int, int, str]] = {}
for _opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    for _fin in (0x80, 0):
        for _length in (0, 5, 126):
            HEADERS[f"reserved opcode {_opcode:x}{'' if _fin else ', not final'}, length {_length}"] = (
                _fin | _opcode,
                _length,
                SECTION + "5.2",
            )
for _opcode in (TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG):
    for _rsv in range(1, 8):
        HEADERS[f"reserved bits {_rsv:03b}, opcode {_opcode:x}"] = (0x80 | _rsv << 4 | _opcode, 0, SECTION + "5.2")
for _opcode in (CLOSE, PING, PONG):
    HEADERS[f"fragmented control frame {_opcode:x}"] = (_opcode, 0, SECTION + "5.5")
    for _length in (126, 127):
        HEADERS[f"control frame {_opcode:x} with a longer length, {_length}"] = (
            0x80 | _opcode,
            _length,
            SECTION + "5.5",
        )
for _fin in (0x80, 0):
    for _length in (0, 5, 126, 127):
        HEADERS[f"continuation of nothing{'' if _fin else ', not final'}, length {_length}"] = (
            _fin,
            _length,
            SECTION + "5.4",
        )

INSIDE: Dict[str, Tuple[int, int, str]] = {
    **{name: row for name, row in HEADERS.items() if not name.startswith("continuation")},
    **{
        f"new message, opcode {opcode:x}{'' if fin else ', not final'}": (fin | opcode, 5, SECTION + "5.4")
        for opcode in (TEXT, BINARY)
        for fin in (0x80, 0)
    },
}

COMPRESSED: Dict[str, Tuple[int, int, str]] = {
    **{f"RSV1 on opcode {opcode:x}": (0xC0 | opcode, 5, "RFC 7692 section 6.1") for opcode in (CLOSE, PING, PONG)},
    "RSV1 on a continuation of nothing": (0xC0, 5, "RFC 7692 section 6.1"),
    "RSV1 on a reserved opcode": (0xC3, 5, SECTION + "5.2"),
    **{
        f"bits {rsv:03b}, opcode {opcode:x}": (0x80 | rsv << 4 | opcode, 5, SECTION + "5.2")
        for opcode in (TEXT, BINARY, PING)
        for rsv in (1, 2, 3, 5, 6, 7)
    },
}

LENGTHS = {
    f"{length} in {form} bits, opcode {opcode}": (opcode, length, form)
    for opcode in (TEXT, BINARY)
    for form, lengths in ((16, (0, 1, 124, 125)), (64, (0, 1, 125, 126, 65534, 65535)))
    for length in lengths
}

BAD_CLOSES = {
    "one byte": (b"\x03", 1002, SECTION + "5.5.1"),
    **{
        f"code {code}": (code.to_bytes(2, "big") + reason, 1002, SECTION + "7.4")
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
        for reason in (b"why",)
    },
    "reason is not UTF-8": (b"\x03\xe8\xff", 1007, SECTION + "5.5.1"),
    "reason ends inside a character": (b"\x03\xe8abc\xf0\x9f", 1007, SECTION + "5.5.1"),
    "reason has a surrogate": (b"\x03\xe8\xed\xa0\x80", 1007, SECTION + "5.5.1"),
}


@with_cases
class ViolationTests(DecoderTestCase):
    def assertHeaderFails(self, role: Role, start: bytes, second: int, words: str, make: Callable[[], Decoder]) -> None:
        """Two bytes are enough for the fault, and good messages before them are delivered."""
        mask_bit = 0x80 if role is SERVER else 0
        data = start + bytes((second | mask_bit,))
        self.assertFails(data, 1002, words, make)
        good = frame(TEXT, b"good", to=role) + frame(BINARY, b"too", to=role)
        self.assertFails(good + data, 1002, words, make, before=("good", b"too"))

    @cases(by_role(HEADERS))
    def test_a_header_that_is_never_allowed(self, role: Role, first: int, second: int, words: str) -> None:
        """Rule 130: 1002 as soon as two bytes are there, behind the good messages of the same read."""
        self.assertHeaderFails(role, bytes((first,)), second, words, lambda: decoder(role))

    @cases(by_role(INSIDE))
    def test_a_header_inside_a_fragmented_message(self, role: Role, first: int, second: int, words: str) -> None:
        """Rule 130: the same where a message has begun; nothing of that message is delivered."""
        start = frame(TEXT, b"unfinished", fin=False, to=role) + bytes((first,))
        data = start + bytes((second | (0x80 if role is SERVER else 0),))
        self.assertFails(data, 1002, words, lambda: decoder(role))

    @cases(by_role(COMPRESSED))
    def test_a_header_with_compression(self, role: Role, first: int, second: int, words: str) -> None:
        """Rule 197: with permessage-deflate RSV1 is for the first frame of a message alone, RSV2 and RSV3 for none."""
        self.assertHeaderFails(role, bytes((first,)), second, words, lambda: decoder(role, compressed=True))

    @cases(by_role({"final": 0xC0, "not final": 0x40}))
    def test_rsv1_on_a_continuation(self, role: Role, first: int) -> None:
        """Rule 197: a continuation of a compressed or of a plain message never has RSV1."""
        for rsv in (0, 4):
            payload = squeeze(b"text", b"")[0] if rsv else b"text"
            data = frame(TEXT, payload, fin=False, rsv=rsv, to=role) + frame(first & 15, b"", to=role)
            data = data[: len(frame(TEXT, payload, fin=False, to=role))] + bytes((first, 0x80 if role is SERVER else 0))
            self.assertFails(data, 1002, "RFC 7692 section 6.1", lambda: decoder(role, compressed=True))

    @cases(by_role({f"opcode {opcode:x}": opcode for opcode in (TEXT, BINARY, CLOSE, PING, PONG)}))
    def test_masking_is_for_clients(self, role: Role, opcode: int) -> None:
        """Rule 130: a masked frame from a server and an unmasked one from a client are 1002, at the second byte."""
        words = "server sent a masked frame" if role is CLIENT else "client sent an unmasked frame"
        self.assertFails(frame(opcode, b"payload", to=role.peer)[:2], 1002, words, lambda: decoder(role))
        self.assertFails(frame(opcode, b"payload", to=role.peer), 1002, SECTION + "5.1", lambda: decoder(role))

    @cases(by_role({"after a message": TEXT, "after a ping": PING, "after a pong": PONG}))
    def test_masking_is_looked_at_in_every_frame(self, role: Role, opcode: int) -> None:
        """Rule 130: good frames before it do not make a wrongly masked one good."""
        good = frame(opcode, b"good", to=role)
        table: Dict[int, Event] = {TEXT: "good", PING: Ping(b"good"), PONG: Pong(b"good")}
        bad = frame(TEXT, b"bad", to=role.peer)
        self.assertFails(good + bad, 1002, SECTION + "5.1", lambda: decoder(role), before=(table[opcode],))

    @cases(by_role({"ping": PING, "pong": PONG}))
    def test_a_new_message_inside_one_behind_a_control_frame(self, role: Role, opcode: int) -> None:
        """Rule 130: a control frame between fragments does not end the message: a whole one is still out of place."""
        data = frame(TEXT, b"a", fin=False, to=role) + frame(opcode, b"p", to=role) + frame(TEXT, b"b", to=role)
        before: Event = Ping(b"p") if opcode == PING else Pong(b"p")
        self.assertFails(data, 1002, SECTION + "5.4", lambda: decoder(role), before=(before,))

    @cases(by_role(LENGTHS))
    def test_a_length_that_is_not_the_shortest(self, role: Role, opcode: int, length: int, form: int) -> None:
        """Rule 130: 1002 when the length is there, before any payload."""
        data = header(opcode, length, form=form, masked=role is SERVER) + (wire.KEY if role is SERVER else b"")
        self.assertFails(data, 1002, "shortest form", lambda: decoder(role))

    @cases(by_role({"2 to the 63": 1 << 63, "all bits": (1 << 64) - 1}))
    def test_a_length_with_the_top_bit(self, role: Role, length: int) -> None:
        """Rule 130: 1002, with a limit or without."""
        data = header(BINARY, length, masked=role is SERVER) + (wire.KEY if role is SERVER else b"")
        for limit in (None, 1000):
            self.assertFails(data, 1002, "top bit", lambda limit=limit: decoder(role, limit))  # type: ignore[misc]

    @cases(by_role(BAD_CLOSES))
    def test_a_bad_close(self, role: Role, body: bytes, code: int, words: str) -> None:
        """Rules 130, 166, 167: 1002, or 1007 for a reason that is no text; a fault and no Close."""
        good = frame(TEXT, b"good", to=role)
        self.assertFails(good + frame(CLOSE, body, to=role), code, words, lambda: decoder(role), before=("good",))


@with_cases
class TextFaultTests(DecoderTestCase):
    @cases(by_role(INVALID))
    def test_impossible_text_fails_at_its_byte(self, role: Role, data: bytes, place: int) -> None:
        """Rule 127: the frame announces more than has come; the impossible byte fails, none before it does."""
        whole = frame(TEXT, data + b"and much more to come", to=role)
        start = len(whole) - len(data + b"and much more to come") + place
        for pieces in ([whole[:start], whole[start : start + 1]], [bytes((byte,)) for byte in whole[: start + 1]]):
            victim = decoder(role)
            for piece in pieces[:-1]:
                self.assertEqual(victim.feed(piece), [])
            self.assertEqual(fed(victim, pieces[-1])[0][:2], ("ProtocolError", 1007))  # type: ignore[index]

    @cases(by_role(INVALID))
    def test_impossible_text_fails_in_a_fragment(self, role: Role, data: bytes, place: int) -> None:
        """Rule 127: the same one byte a fragment, the message being far from its end."""
        victim = decoder(role)
        self.assertEqual(victim.feed(frame(TEXT, b"", fin=False, to=role)), [])
        for index in range(place):
            self.assertEqual(victim.feed(frame(CONTINUATION, data[index : index + 1], fin=False, to=role)), [])
        last = frame(CONTINUATION, data[place : place + 1], fin=False, to=role)
        self.assertFails(last, 1007, SECTION + "8.1", lambda: self.copy_at(role, data[:place]))
        self.assertEqual(len(victim.feed(last)), 1)

    def copy_at(self, role: Role, text: bytes) -> Decoder:
        one = decoder(role)
        one.feed(frame(TEXT, text, fin=False, to=role))
        return one

    @cases(INVALID.items())
    def test_a_whole_message_that_is_no_text(self, data: bytes, place: int) -> None:
        """Rule 127: 1007, behind the good messages of the same read."""
        good = frame(TEXT, b"good")
        self.assertFails(good + frame(TEXT, data), 1007, SECTION + "8.1", decoder, before=("good",))

    @cases(INVALID.items())
    def test_impossible_text_after_decompression(self, data: bytes, place: int) -> None:
        """Rules 127 and 201: compressed, it fails when the inflater has made the byte, the frame being incomplete."""
        before, bad, _ = squeeze(b"x" + data[:place], data[place : place + 1], b"rest")
        victim = decoder(compressed=True)
        self.assertEqual(victim.feed(header(TEXT, 1000, rsv=4) + before), [])
        self.assertEqual(fed(victim, bad)[0][:2], ("ProtocolError", 1007))  # type: ignore[index]

    @cases(by_role(UNFINISHED))
    def test_an_unfinished_character_may_wait(self, role: Role, data: bytes) -> None:
        """Rule 127: no fault while bytes may come, in the frame or in the next; at the end of the message it is one."""
        self.assertFails(frame(TEXT, data, to=role), 1007, "8.1", lambda: decoder(role))
        fragments = frame(TEXT, data, fin=False, to=role)
        one = decoder(role)
        self.assertEqual(one.feed(fragments), [])
        self.assertTrue(one.in_message)
        self.assertFails(fragments + frame(CONTINUATION, b"", to=role), 1007, "8.1", lambda: decoder(role))

    @cases(
        whole=([b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited"], 0),
        in_three_pieces=([b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", b"\xf4\x90\x80\x80", b"edited"], 1),
        inside_the_character=([b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4", b"\x90", b"\x80\x80edited"], 1),
    )
    def test_as_the_testsuite_does_it(self, pieces: List[bytes], failing: int) -> None:
        """Rule 127: Autobahn 6.4: fragments, or pieces of one frame; the piece that makes it impossible fails."""
        one_frame = [header(TEXT, sum(map(len, pieces))) + pieces[0], *pieces[1:]]
        fragments = [
            frame(CONTINUATION if n else TEXT, piece, fin=n == len(pieces) - 1) for n, piece in enumerate(pieces)
        ]
        for parts in (one_frame, fragments):
            victim = decoder()
            results = [len(victim.feed(part)) for part in parts]
            self.assertEqual(results, [int(number == failing) for number in range(len(pieces))])


LIMITS = (0, 1, 125, 126, 1000, 65535, 65536, 70_000)


@with_cases
class LimitTests(DecoderTestCase):
    @cases(by_role({f"limit {limit}": limit for limit in LIMITS}))
    def test_exactly_the_limit_passes(self, role: Role, limit: int) -> None:
        """Rule 128: `maximum_message_size` bytes pass: in one frame, in two, with an empty one at the end; text too."""
        for opcode in (TEXT, BINARY):
            data = b"d" * limit
            expected = shown([data.decode() if opcode == TEXT else data])
            half = limit // 2
            fragments = frame(opcode, data[:half], fin=False, to=role) + frame(CONTINUATION, data[half:], to=role)
            empty = frame(opcode, data, fin=False, to=role) + frame(CONTINUATION, b"", to=role)
            for stream in (frame(opcode, data, to=role), fragments, empty):
                for place in (len(stream), 1, len(stream) // 2):
                    self.assertEqual(fed(decoder(role, limit), stream[:place], stream[place:]), expected)

    @cases(by_role({f"limit {limit}": limit for limit in LIMITS}))
    def test_one_byte_more_fails_at_the_header(self, role: Role, limit: int) -> None:
        """Rule 128: 1009 before a byte of the frame has come; good messages before it are delivered."""
        end = wire.KEY if role is SERVER else b""
        for opcode in (TEXT, BINARY):
            start = header(opcode, limit + 1, masked=role is SERVER) + end
            words = f"{limit + 1} bytes or more, where {limit} are allowed"
            self.assertFails(start, 1009, words, lambda: decoder(role, limit))
            if limit:
                good = frame(BINARY, b"g", to=role)
                self.assertFails(good + start, 1009, words, lambda: decoder(role, limit), before=(b"g",))

    @cases(by_role({f"limit {limit}": limit for limit in LIMITS}))
    def test_one_byte_more_in_fragments(self, role: Role, limit: int) -> None:
        """Rule 128: all fragments count together; the header of the one that passes the limit fails."""
        first = frame(BINARY, b"d" * limit, fin=False, to=role)
        last = header(CONTINUATION, 1, masked=role is SERVER) + (wire.KEY if role is SERVER else b"")
        victim = decoder(role, limit)
        self.assertEqual(victim.feed(first), [])
        (fault,) = victim.feed(last)
        assert isinstance(fault, Fault) and isinstance(fault.error, MessageTooBig)
        self.assertEqual((fault.error.size, fault.error.limit, fault.error.code), (limit + 1, limit, 1009))

    @cases(by_role({f"limit {limit}": limit for limit in LIMITS}))
    def test_the_limit_holds_after_decompression(self, role: Role, limit: int) -> None:
        """Rules 128 and 201: what comes out counts: exactly the limit passes, one more fails, in fragments or not."""
        exact, over = (frame(TEXT, squeeze(b"d" * size)[0], rsv=4, to=role) for size in (limit, limit + 1))
        self.assertDecodes(exact, ["d" * limit], lambda: decoder(role, limit, compressed=True), most=10)
        words = f"more than {limit} bytes after decompression"
        self.assertFails(over, 1009, words, lambda: decoder(role, limit, compressed=True))
        halves = squeeze(b"d" * limit, b"d")
        first = frame(BINARY, halves[0], fin=False, rsv=4, to=role)
        second = frame(CONTINUATION, halves[1], to=role)
        self.assertFails(first + second, 1009, words, lambda: decoder(role, limit, compressed=True))

    @cases(by_role({"1 TiB": 1 << 40, "2 to the 62": 1 << 62, "the largest": (1 << 63) - 1}))
    def test_a_huge_announcement_costs_nothing(self, role: Role, length: int) -> None:
        """The length of a header is never allocated: with a limit it fails, without one what comes is kept, no more."""
        start = header(BINARY, length, masked=role is SERVER) + (wire.KEY if role is SERVER else b"")
        self.assertFails(start, 1009, "are allowed", lambda: decoder(role, 1 << 30))
        compressed = bytes((start[0] | 0x40,)) + start[1:]
        self.assertFails(compressed, 1009, "compressed bytes", lambda: decoder(role, 1 << 30, compressed=True))
        tracemalloc.start()
        try:
            patient = decoder(role, None)
            self.assertEqual(patient.feed(start + bytes(1000)), [])
            self.assertLess(tracemalloc.get_traced_memory()[1], 100_000)
        finally:
            tracemalloc.stop()
        self.assertTrue(patient.in_message)

    def test_a_compressed_message_may_be_longer_than_its_text(self) -> None:
        """What does not compress, and what is flushed after every byte, is within the limit all the same."""
        noise = random.Random(1).getrandbits(8 * 1000).to_bytes(1000, "little")
        for parts in ([noise], [noise[place : place + 1] for place in range(1000)]):
            payload = b"".join(squeeze(*parts))
            self.assertGreater(len(payload), 1000)
            self.assertEqual(fed(decoder(limit=1000, compressed=True), frame(BINARY, payload, rsv=4)), [noise])

    def test_a_compressed_message_that_brings_nothing_ends_too(self) -> None:
        """Blocks without content, for ever: the wire is bounded as well, to 16 times the limit and 1 KiB."""
        victim = decoder(limit=100, compressed=True)
        fragment = frame(CONTINUATION, b"\x00" + TAIL, fin=False)
        events = fed(victim, frame(TEXT, b"\x00" + TAIL, fin=False, rsv=4) + fragment * 1000)
        self.assertEqual(len(events), 1)
        self.assertIn("compressed bytes", str(events[0]))

    @cases(nothing_allowed=(0, 1024), ten_bytes_allowed=(10, 1184))
    def test_the_bound_of_the_wire(self, limit: int, most: int) -> None:
        """Exactly 16 times the limit and 1 KiB may be announced, not one byte more."""
        for length, events in ((most, 0), (most + 1, 1)):
            self.assertEqual(len(fed(decoder(limit=limit, compressed=True), header(TEXT, length, rsv=4))), events)

    def test_a_new_limit_is_for_new_messages(self) -> None:
        """Rule 129: a message that has begun goes on under the limit it began with; the next one has the new one."""
        for before, after in ((10, 5), (10, None), (5, 100)):
            one = decoder(limit=before)
            one.feed(frame(TEXT, b"abc", fin=False))
            one.maximum_message_size = after
            one.feed(frame(CONTINUATION, b"d" * (before - 3), fin=False))
            self.assertEqual(fed(one, frame(CONTINUATION, b"")), ["abc" + "d" * (before - 3)])
            size = 1000 if after is None else after
            self.assertEqual(fed(one, frame(TEXT, b"e" * size)), ["e" * size])
            if after is not None:
                self.assertEqual(len(fed(one, header(TEXT, after + 1))), 1)
                self.assertTrue(one.failed)

    def test_no_limit(self) -> None:
        """`None` lets everything pass."""
        data = bytes(3 << 20)
        self.assertEqual(fed(decoder(limit=None), frame(BINARY, data)), [data])

    def test_control_frames_are_not_messages(self) -> None:
        """Rule 128: a limit of 0 lets pings pass, and empty messages."""
        data = frame(PING, b"p" * 125) + frame(TEXT, b"")
        self.assertEqual(fed(decoder(limit=0), data), shown([Ping(b"p" * 125), ""]))

    @cases(binary=(BINARY, 65_536), text=(TEXT, 10_000))
    def test_very_many_fragments(self, opcode: int, count: int) -> None:
        """Rule 125: as many fragments as there are bytes are one message; one byte each, in reads of 64 KiB."""
        middle = frame(CONTINUATION, b"x", fin=False) * (count - 2)
        stream = frame(opcode, b"x", fin=False) + middle + frame(CONTINUATION, b"x")
        one = decoder(limit=count)
        events = [event for at in range(0, len(stream), 65_536) for event in one.feed(stream[at : at + 65_536])]
        self.assertEqual(events, ["x" * count if opcode == TEXT else b"x" * count])

    def test_fragments_leave_nothing_but_their_bytes(self) -> None:
        """A message in 2,000 fragments takes no more memory than its bytes and a little."""
        stream = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", fin=False) * 2000
        one = decoder()
        tracemalloc.start()
        try:
            one.feed(stream)
            self.assertLess(tracemalloc.get_traced_memory()[0], 8000)
        finally:
            tracemalloc.stop()

    @cases(no_limit=None, a_limit=10)
    def test_empty_fragments_come_to_an_end(self, limit: Optional[int]) -> None:
        """A message of nothing but empty fragments is failed with 1009, at the first one too many."""
        empty = frame(CONTINUATION, b"", fin=False)
        one = decoder(limit=limit)
        with mock.patch.object(unfinished, "MAX_EMPTY_FRAGMENTS", 300):
            self.assertEqual(fed(one, frame(TEXT, b"", fin=False) + empty * 299), [])
            (fault,) = one.feed(empty)
        assert isinstance(fault, Fault) and isinstance(fault.error, MessageTooBig)
        self.assertEqual((fault.error.code, fault.error.limit), (1009, limit or 0))

    def test_a_message_may_have_many_empty_fragments(self) -> None:
        """One a second for eighteen hours is no flood; each message has its own count."""
        self.assertEqual(MAX_EMPTY_FRAGMENTS, 65_536)
        message = frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 299 + frame(CONTINUATION, b"a")
        with mock.patch.object(unfinished, "MAX_EMPTY_FRAGMENTS", 300):
            self.assertEqual(fed(decoder(), message * 3), ["a"] * 3)

    @cases(binary=BINARY, text=TEXT)
    def test_a_long_message_in_many_reads(self, opcode: int) -> None:
        """8 MiB in reads of 64 KiB, then in pieces of one byte at its start and end."""
        data = b"0123456789abcdef" * (1 << 19)
        stream = frame(opcode, data)
        one = decoder(limit=len(data))
        events = [event for at in range(0, len(stream), 65_536) for event in one.feed(stream[at : at + 65_536])]
        self.assertEqual(events, [data.decode() if opcode == TEXT else data])


@with_cases
class CompressionTests(DecoderTestCase):
    @cases(
        by_role({"empty": b"", "short": b"Hello", "JSON": b'{"key": "value"}' * 50, "Greek": "καλημέρα".encode() * 40})
    )
    def test_compressed_messages(self, role: Role, data: bytes) -> None:
        """Rules 197 to 199: compressed and plain in turn, in one frame and in fragments, however it is cut."""
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        first, second = ((stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(2))
        text = data.decode()
        wired = (
            frame(TEXT, first, rsv=4, to=role)
            + frame(TEXT, data, to=role)
            + frame(BINARY, second[:1], rsv=4, fin=False, to=role)
            + frame(PING, b"between", to=role)
            + frame(CONTINUATION, second[1:], fin=False, to=role)
            + frame(CONTINUATION, b"", to=role)
            + frame(BINARY, data, to=role)
        )
        expected: List[Event] = [text, text, Ping(b"between"), data, data]
        self.assertDecodes(wired, expected, lambda: decoder(role, compressed=True))

    def test_a_payload_of_nothing_is_an_empty_message(self) -> None:
        """A compressed frame without payload is read as an empty message, at the start of a stream and later."""
        text = frame(TEXT, squeeze(b"text")[0], rsv=4)
        data = frame(TEXT, b"", rsv=4) + text + frame(BINARY, b"", rsv=4) + text
        self.assertDecodes(data, ["", "text", b"", "text"], lambda: decoder(compressed=True))

    @cases(
        by_role({"reserved block": b"\x07", "bad stored length": b"\x00\x05\x00\x00\x00Hello", "plain": b"plain text"})
    )
    def test_damaged_data(self, role: Role, data: bytes) -> None:
        """Rule 202: 1007, behind the good messages of the same read."""
        good = frame(TEXT, b"good", to=role)
        bad = frame(TEXT, data, rsv=4, to=role)
        make = lambda: decoder(role, compressed=True)  # noqa: E731
        self.assertFails(good + bad, 1007, "RFC 7692 section 7.2.2", make, before=("good",))

    def test_damage_shows_before_the_frame_is_complete(self) -> None:
        """Rule 202: the inflater reads what has come."""
        victim = decoder(compressed=True)
        self.assertEqual(fed(victim, header(BINARY, 1000, rsv=4) + b"\x07")[0][:2], ("ProtocolError", 1007))  # type: ignore[index]

    def test_a_bomb(self) -> None:
        """Rule 201: 16 MiB of zeros in 16 KiB: 1009, and no more memory than the limit and a little."""
        bomb = frame(BINARY, squeeze(bytes(16 << 20))[0], rsv=4)
        self.assertLess(len(bomb), 20_000)
        victim = decoder(limit=1 << 18, compressed=True)
        tracemalloc.start()
        try:
            (fault,) = victim.feed(bomb)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        finally:
            tracemalloc.stop()
        assert isinstance(fault, Fault)
        self.assertEqual(fault.error.code, 1009)


PAYLOADS: Dict[str, bytes] = {
    f"{size} bytes": ("aé€😀".encode() * (size // 10 + 1))[: size - size % 10] + b"z" * (size % 10)
    for size in (0, 1, 63, 64, 125, 126, 1000, 65535, 65536, 200_000)
}


@with_cases
class RoundTripTests(DecoderTestCase):
    @cases(
        (f"{name}, {kind}, {sender.value}", (sender, data, kind))
        for name, data in PAYLOADS.items()
        for kind in ("plain", "compressed", "forgetting")
        for sender in Role
    )
    def test_what_one_side_sends_the_other_receives(self, sender: Role, data: bytes, kind: str) -> None:
        """Both halves agree: messages and control frames, whole, cut, and with the next frame's start behind them."""
        parameters = DeflateParameters(kind == "forgetting", kind == "forgetting")
        compressor = None if kind == "plain" else Compressor(parameters, sender, DeflateOptions())
        encoder = Encoder(sender, compressor)
        stream = b"".join(map(bytes, encoder.pieces(Opcode.TEXT, data)))
        stream += encoder.control(Opcode.PING, data[:125])
        stream += b"".join(map(bytes, encoder.pieces(Opcode.BINARY, data)))
        stream += encoder.control(Opcode.PONG)
        expected: List[Event] = [data.decode(), Ping(data[:125]), data, Pong(b"")]

        def make() -> Decoder:
            inflater = None if kind == "plain" else Inflater(parameters, sender.peer)
            return Decoder(sender.peer, maximum_message_size=len(data), inflater=inflater)

        self.assertDecodes(stream, expected, make, most=15)

    @cases(client=CLIENT, server=SERVER)
    def test_a_close(self, sender: Role) -> None:
        """The last frame of a side is the last event of the other."""
        stream = Encoder(sender).control(Opcode.CLOSE, b"\x0f\xa0bye")
        self.assertDecodes(stream, [Close(4000, "bye")], lambda: decoder(sender.peer))


def traffic(seed: int) -> Tuple[Role, bytes]:
    """Frames, mostly good, some of them broken; compression on."""
    chance = random.Random(seed)
    role = chance.choice(list(Role))
    stream = b""
    inside = False
    for _ in range(chance.randrange(1, 12)):
        kind = chance.choice((TEXT, BINARY, PING, PONG, TEXT, BINARY, CLOSE if seed % 7 == 0 else TEXT))
        if inside and kind in (TEXT, BINARY):
            kind = CONTINUATION
        payload = "aé€😀\0".encode() * chance.choice((0, 0, 1, 5, 12, 13, 30))
        fin = kind >= CLOSE or chance.random() < 0.6
        rsv = 4 if kind in (TEXT, BINARY) and fin and chance.random() < 0.4 else 0
        if rsv:
            payload = squeeze(payload)[0]
        inside = inside if kind >= CLOSE else not fin
        stream += frame(kind, payload[:125] if kind >= CLOSE else payload, fin=fin, rsv=rsv, to=role)
    damaged = bytearray(stream)
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return role, bytes(damaged)


def blurred(events: List[object]) -> List[object]:
    """A message whose content breaks two rules fails by the one that shows first, and that may depend on the cuts."""
    return [
        f"fault {'1007 or 1009' if event[1] != 1002 else 1002}"
        if isinstance(event, tuple) and event[0] in ("ProtocolError", "MessageTooBig")
        else event
        for event in events
    ]


@with_cases
class FuzzTests(DecoderTestCase):
    @cases((f"seed {seed}", seed) for seed in range(150))
    def test_the_cuts_make_no_difference(self, seed: int) -> None:
        """Good and broken traffic: fed whole, byte by byte and in random pieces it gives the same, fault included."""
        role, stream = traffic(seed)
        chance = random.Random(seed)
        whole = blurred(fed(decoder(role, 300, compressed=True), stream))
        single = [stream[place : place + 1] for place in range(len(stream))]
        self.assertEqual(blurred(fed(decoder(role, 300, compressed=True), *single)), whole)
        for _ in range(3):
            places = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(1, 9)))
            pieces = [stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)])]
            self.assertEqual(blurred(fed(decoder(role, 300, compressed=True), *pieces)), whole)

    @cases((f"seed {seed}", seed) for seed in range(40))
    def test_noise_raises_nothing(self, seed: int) -> None:
        """Random bytes make events and at most one fault, the last; `feed` itself never raises."""
        noise = random.Random(seed).getrandbits(8 * 300).to_bytes(300, "little")
        for role in Role:
            for start in range(0, 300, 20):
                events = decoder(role, 100, compressed=seed % 2 == 0).feed(noise[start:])
                self.assertTrue(all(isinstance(event, (str, bytes, Ping, Pong)) for event in events[:-1]))
                self.assertTrue(all(isinstance(event, (str, bytes, Ping, Pong, Close, Fault)) for event in events))


class Interrupt(BaseException):
    """What a signal handler may raise anywhere."""


DECODING = {module.__file__ for module in (messages, unfinished, deflate, utf8)}


class Interrupter:
    """Raises at the n-th line that is executed inside the decoder, as a signal would, unless the pass has counted."""

    def __init__(self, line: int, victim: Decoder) -> None:
        self._left = line
        self._victim = victim
        self._state = victim.last

    def __call__(self, frame: FrameType, event: str, argument: object) -> Optional[Interrupter]:
        if frame.f_code.co_filename not in DECODING:
            return None
        if event == "line" and self._victim.last is self._state:
            self._left -= 1
            if self._left == 0:
                raise Interrupt
        return self


@with_cases
class InterruptTests(unittest.TestCase):
    def attempt(self, victim: Decoder, piece: bytes, line: int) -> Optional[List[Event]]:
        before = sys.gettrace()
        sys.settrace(Interrupter(line, victim))
        try:
            return victim.feed(piece)
        except Interrupt:
            return None
        finally:
            sys.settrace(before)

    @cases(
        small_messages=[
            frame(TEXT, b"a") + frame(BINARY, b"b") + frame(PING, b"c") + b"\x81\x02d",
            b"e" + frame(TEXT, b"f"),
        ],
        half_a_header=[b"\x81", b"\x01a\x82\x7e", b"\x00\x80" + bytes(127), b"\x00\x89\x03ab", b"c\x88\x00"],
        fragments=[
            frame(TEXT, b"1\xc3", fin=False)
            + frame(CONTINUATION, b"\xa92", fin=False)
            + header(CONTINUATION, 5)
            + b"3",
            b"4",
            b"56" + frame(PING, b"7"),
            b"8" + frame(CONTINUATION, b"9") + frame(TEXT, b"next"),
        ],
        compressed=[
            frame(TEXT, squeeze(b"text " * 9)[0], rsv=4) + header(BINARY, len(squeeze(b"more " * 9)[0]), rsv=4),
            squeeze(b"more " * 9)[0][:6],
            squeeze(b"more " * 9)[0][6:] + frame(TEXT, squeeze(b"text " * 9)[0], rsv=4),
        ],
        fault=[frame(TEXT, b"good") + frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"\xff") + b"after"],
    )
    def test_an_interrupted_feed_has_not_happened(self, pieces: List[bytes]) -> None:
        """Interrupted at any line, once for each line there is, feeding the same bytes again gives what is due."""
        expected = fed(decoder(compressed=True), *pieces)
        interrupted = 0
        for line in range(1, 500):
            victim = decoder(compressed=True)
            events: List[Event] = []
            complete = True
            for piece in pieces:
                made = self.attempt(victim, piece, line)
                if made is None:
                    complete = False
                    made = victim.feed(piece)
                events += made
            self.assertEqual(shown(events), expected, f"interrupted at line {line}")
            if complete:
                break
            interrupted += 1
        self.assertGreater(interrupted, 10)


class NamesTests(unittest.TestCase):
    def test_a_fault_says_what_to_close_with(self) -> None:
        """The error of a fault is a kind of ConnectionClosed and carries the code."""
        (fault,) = decoder().feed(b"\xff\xff")
        assert isinstance(fault, Fault)
        self.assertIsInstance(fault.error, ProtocolError)
        self.assertEqual((fault.error.code, fault.error.url_error_code), (1002, -1005))
