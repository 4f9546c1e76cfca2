"""Frame headers and masking: wssync/protocol/frames.py."""

from __future__ import annotations

import random
import unittest
from typing import Dict, Optional, Tuple

from tests.protocol.wire import KEY, header, xor
from tests.support import cases, with_cases
from wssync.protocol.frames import Header, Opcode, Role, encode_header, mask, read_header

LENGTHS = {
    "0": (0, 7),
    "1": (1, 7),
    "124": (124, 7),
    "125, the last of 7 bits": (125, 7),
    "126, the first of 16 bits": (126, 16),
    "127": (127, 16),
    "255": (255, 16),
    "256": (256, 16),
    "65535, the last of 16 bits": (65535, 16),
    "65536, the first of 64 bits": (65536, 64),
    "16 MiB": (1 << 24, 64),
    "4 GiB": (1 << 32, 64),
    "2 to the 62": (1 << 62, 64),
    "the largest, 2 to the 63 less 1": ((1 << 63) - 1, 64),
}

# RFC 6455 section 5.7: header bytes, and what they say.
EXAMPLES: Dict[str, Tuple[str, Header]] = {
    "unmasked text": ("8105", Header(True, 0, Opcode.TEXT, None, 5, True, 2)),
    "masked text": ("818537fa213d", Header(True, 0, Opcode.TEXT, KEY, 5, True, 6)),
    "first fragment": ("0103", Header(False, 0, Opcode.TEXT, None, 3, True, 2)),
    "last fragment": ("8002", Header(True, 0, Opcode.CONTINUATION, None, 2, True, 2)),
    "unmasked ping": ("8905", Header(True, 0, Opcode.PING, None, 5, True, 2)),
    "masked pong": ("8a8537fa213d", Header(True, 0, Opcode.PONG, KEY, 5, True, 6)),
    "256 bytes of binary": ("827e0100", Header(True, 0, Opcode.BINARY, None, 256, True, 4)),
    "64 KiB of binary": ("827f0000000000010000", Header(True, 0, Opcode.BINARY, None, 65536, True, 10)),
}

# Headers that break rules and are read all the same.
UNLAWFUL: Dict[str, Tuple[str, Header]] = {
    "all bits set": ("ffff" + "ff" * 8 + "01020304", Header(True, 7, 15, b"\1\2\3\4", (1 << 64) - 1, True, 14)),
    "RSV1": ("c100", Header(True, 4, 1, None, 0, True, 2)),
    "RSV2": ("a100", Header(True, 2, 1, None, 0, True, 2)),
    "RSV3": ("9100", Header(True, 1, 1, None, 0, True, 2)),
    "reserved data opcode": ("8300", Header(True, 0, 3, None, 0, True, 2)),
    "reserved control opcode": ("8b00", Header(True, 0, 11, None, 0, True, 2)),
    "fragmented ping": ("0900", Header(False, 0, 9, None, 0, True, 2)),
    "long ping": ("897e007e", Header(True, 0, 9, None, 126, True, 4)),
    "0 in 16 bits": ("827e0000", Header(True, 0, 2, None, 0, False, 4)),
    "125 in 16 bits": ("827e007d", Header(True, 0, 2, None, 125, False, 4)),
    "0 in 64 bits": ("827f" + "00" * 8, Header(True, 0, 2, None, 0, False, 10)),
    "65535 in 64 bits": ("827f000000000000ffff", Header(True, 0, 2, None, 65535, False, 10)),
    "65535 in 64 bits, masked": ("82ff000000000000ffff01020304", Header(True, 0, 2, b"\1\2\3\4", 65535, False, 14)),
    "top bit": ("827f80" + "00" * 7, Header(True, 0, 2, None, 1 << 63, True, 10)),
}


@with_cases
class ReadingTests(unittest.TestCase):
    @cases(EXAMPLES.items())
    def test_the_examples_of_the_rfc_are_read(self, text: str, expected: Header) -> None:
        """RFC 6455 section 5.7: each header says what the section says about it."""
        self.assertEqual(read_header(bytes.fromhex(text)), expected)

    @cases(UNLAWFUL.items())
    def test_rules_are_not_its_business(self, text: str, expected: Header) -> None:
        """Any bits are read; whether they are allowed is decided elsewhere."""
        self.assertEqual(read_header(bytes.fromhex(text)), expected)

    @cases(EXAMPLES.items(), UNLAWFUL.items())
    def test_a_part_of_a_header_is_none(self, text: str, expected: Header) -> None:
        """While a byte is missing there is no header, whichever byte it is."""
        data = bytes.fromhex(text)
        for size in range(len(data)):
            self.assertIsNone(read_header(data[:size]))

    @cases(EXAMPLES.items(), UNLAWFUL.items())
    def test_it_reads_where_it_is_told_to(self, text: str, expected: Header) -> None:
        """A header in the middle of other bytes is the same, only its end lies further on."""
        data = b"before" + bytes.fromhex(text) + b"payload"
        self.assertEqual(read_header(data, 6), expected._replace(end=expected.end + 6))

    @cases((f"{length}, {form} bits", (length, form)) for length in (0, 1, 125, 126, 65535) for form in (16, 64))
    def test_it_tells_the_shortest_form(self, length: int, form: int) -> None:
        """Rule 130: a length has its shortest form exactly if it does not fit the next smaller one."""
        read = read_header(header(2, length, form=form))
        assert read is not None
        self.assertEqual(read.length, length)
        self.assertEqual(read.is_shortest, form == 16 and length >= 126)


@with_cases
class EncodingTests(unittest.TestCase):
    @cases(EXAMPLES.items())
    def test_the_examples_of_the_rfc_are_written(self, text: str, said: Header) -> None:
        """RFC 6455 section 5.7: the same bytes come out."""
        self.assertEqual(encode_header(said.fin, False, said.opcode, said.length, said.key).hex(), text)

    @cases(LENGTHS.items())
    def test_a_length_has_its_shortest_form(self, length: int, form: int) -> None:
        """Rule 112: 7, 16 or 64 bits, whichever is the first to hold it; masked or not."""
        self.assertEqual(encode_header(True, False, 2, length), header(2, length))
        self.assertEqual(encode_header(True, False, 2, length, KEY), header(2, length, masked=True) + KEY)
        self.assertEqual(len(header(2, length)), {7: 2, 16: 4, 64: 10}[form])

    @cases(LENGTHS.items())
    def test_what_is_written_can_be_read(self, length: int, form: int) -> None:
        """The codec agrees with itself at every edge of the length."""
        for key in (None, KEY):
            data = encode_header(False, True, Opcode.TEXT, length, key)
            self.assertEqual(read_header(data), Header(False, 4, 1, key, length, True, len(data)))

    @cases((f"{2 * fin + rsv1:02b}", (bool(fin), bool(rsv1))) for fin in (0, 1) for rsv1 in (0, 1))
    def test_fin_and_rsv1_are_set_as_told(self, fin: bool, rsv1: bool) -> None:
        """The two bits that a sender uses; RSV2 and RSV3 stay clear."""
        for opcode in Opcode:
            self.assertEqual(encode_header(fin, rsv1, opcode, 0), header(opcode, 0, fin=fin, rsv=4 * rsv1))

    @cases(just_too_long=1 << 63, far_too_long=1 << 64)
    def test_no_frame_is_longer_than_63_bits_say(self, length: int) -> None:
        """RFC 6455 section 5.2: the top bit of the length must be clear."""
        with self.assertRaises(ValueError):
            encode_header(True, False, 2, length)


@with_cases
class MaskingTests(unittest.TestCase):
    def test_the_example_of_the_rfc(self) -> None:
        """RFC 6455 section 5.7: "Hello" under the key 37 fa 21 3d."""
        self.assertEqual(mask(b"Hello", KEY).hex(), "7f9f4d5158")

    @cases((f"offset {offset}", offset) for offset in range(8))
    def test_all_lengths_to_200(self, offset: int) -> None:
        """Rule 111: each length from 0 to 200 at each alignment of payload and key, byte for byte."""
        data = random.Random(offset).getrandbits(8 * 200).to_bytes(200, "little")
        expected = xor(bytes(offset) + data, KEY)[offset:]
        for length in range(201):
            self.assertEqual(mask(data[:length], KEY, offset), expected[:length], length)

    @cases((f"{length} bytes", length) for length in (1020, 1023, 1024, 1025, 1026, 1027, 1028, 4097, 65535, 65536))
    def test_long_payloads(self, length: int) -> None:
        """Rule 111: both forms of masking, and the step from one to the other, at each alignment."""
        data = random.Random(length).getrandbits(8 * length).to_bytes(length, "little")
        for offset in range(4):
            self.assertEqual(mask(data, KEY, offset), xor(bytes(offset) + data, KEY)[offset:])

    @cases(
        zero=b"\0\0\0\0",
        ones=b"\xff\xff\xff\xff",
        one_byte_zero=b"\0\1\2\3",
        last_byte_zero=b"\1\2\3\0",
        equal_bytes=b"\x5a\x5a\x5a\x5a",
    )
    def test_keys_of_every_kind(self, key: bytes) -> None:
        """Rule 111: zeros at either end of the key or the payload are not lost."""
        for data in (b"", b"\0", b"\0\0\0\0\0", b"\xff" * 7, bytes(range(256)), bytes(2000), bytes(range(256)) * 8):
            self.assertEqual(mask(data, key), xor(data, key))

    @cases((f"{length} bytes", length) for length in (0, 1, 2, 3, 4, 5, 125, 1024, 1025, 5000))
    def test_masking_twice_changes_nothing(self, length: int) -> None:
        """RFC 6455 section 5.3: unmasking is the same as masking."""
        data = bytes(index * 7 & 255 for index in range(length))
        self.assertEqual(mask(mask(data, KEY), KEY), data)

    @cases((f"cut at {cut}", cut) for cut in (0, 1, 2, 3, 4, 5, 100, 1023, 1024, 1025, 1026, 1027, 2999, 3000))
    def test_a_payload_may_be_masked_in_pieces(self, cut: int) -> None:
        """RFC 6455 section 5.3: with the offset of the second piece the two are what the whole would be."""
        data = bytes(index * 11 & 255 for index in range(3000))
        self.assertEqual(mask(data[:cut], KEY) + mask(data[cut:], KEY, cut), mask(data, KEY))


@with_cases
class NamesTests(unittest.TestCase):
    @cases(
        continuation=(Opcode.CONTINUATION, 0),
        text=(Opcode.TEXT, 1),
        binary=(Opcode.BINARY, 2),
        close=(Opcode.CLOSE, 8),
        ping=(Opcode.PING, 9),
        pong=(Opcode.PONG, 10),
    )
    def test_opcodes(self, opcode: Opcode, value: int) -> None:
        """RFC 6455 section 5.2: the six opcodes that are defined."""
        self.assertEqual(opcode, value)

    @cases(client=(Role.CLIENT, Role.SERVER), server=(Role.SERVER, Role.CLIENT))
    def test_each_role_has_a_peer(self, role: Role, peer: Role) -> None:
        """There are two sides, and each is the other's peer."""
        self.assertIs(role.peer, peer)

    def test_an_unmasked_header_has_no_key(self) -> None:
        """A missing key is None, not four zeros."""
        read: Optional[Header] = read_header(b"\x81\x00")
        assert read is not None
        self.assertIsNone(read.key)
