"""Messages out: wssync/protocol/encoder.py."""

from __future__ import annotations

import os
import unittest
from typing import List, Optional

from tests.protocol.wire import KEY, header, xor
from tests.support import cases, with_cases
from wssync.protocol.deflate import Compressor, DeflateOptions, DeflateParameters, Inflater
from wssync.protocol.encoder import _MOST_SPARE as MOST_SPARE
from wssync.protocol.encoder import PIECE, WHOLE, Encoder, Piece
from wssync.protocol.encoder import _spare as spare
from wssync.protocol.frames import Opcode, Role

SIZES = {
    "empty": 0,
    "1 byte": 1,
    "125, short length": 125,
    "126, 16-bit length": 126,
    "1024": 1024,
    "1025": 1025,
    "WHOLE less 1": WHOLE - 1,
    "WHOLE, 64-bit length": WHOLE,
    "one over WHOLE": WHOLE + 1,
    "PIECE": PIECE,
    "one over PIECE": PIECE + 1,
    "three pieces": 2 * PIECE + 5,
}


def payload(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def fixed(size: int) -> bytes:
    return KEY * (size // 4)


class Counting:
    """A compressor that says when it was called."""

    def __init__(self) -> None:
        self.calls: List[bytes] = []

    def compress(self, data: bytes) -> Optional[bytes]:
        self.calls.append(data)
        return b"small"


@with_cases
class MessageTests(unittest.TestCase):
    @cases(SIZES.items())
    def test_a_server_sends_header_and_payload(self, size: int) -> None:
        """RFC 6455 section 5.1: a server's frames are not masked; rule 112: the length has its shortest form."""
        data = payload(size)
        for opcode in (Opcode.TEXT, Opcode.BINARY):
            sent = b"".join(map(bytes, Encoder(Role.SERVER).pieces(opcode, data)))
            self.assertEqual(sent, header(opcode, size) + data)

    @cases(SIZES.items())
    def test_a_client_sends_header_key_and_masked_payload(self, size: int) -> None:
        """Rule 111: the key is in the header and masks every byte, through all pieces."""
        data = payload(size)
        sent = b"".join(map(bytes, Encoder(Role.CLIENT, random=fixed).pieces(Opcode.BINARY, data)))
        start = header(2, size, masked=True) + KEY
        self.assertEqual(sent[: len(start)], start)
        self.assertEqual(sent[len(start) :], xor(data, KEY))

    @cases(SIZES.items())
    def test_pieces(self, size: int) -> None:
        """One piece up to `WHOLE` bytes, then pieces of `PIECE` bytes, the first with the header before it."""
        for role in Role:
            pieces = list(Encoder(role).pieces(Opcode.BINARY, payload(size)))
            extra = len(header(2, size)) + (4 if role is Role.CLIENT else 0)
            expected = [size] if size <= WHOLE else [min(PIECE, size - start) for start in range(0, size, PIECE)]
            self.assertEqual([len(piece) for piece in pieces], [expected[0] + extra, *expected[1:]])

    def test_the_example_of_the_rfc(self) -> None:
        """RFC 6455 section 5.7: "Hello", masked and not."""
        self.assertEqual(next(Encoder(Role.SERVER).pieces(Opcode.TEXT, b"Hello")).hex(), "810548656c6c6f")
        client = Encoder(Role.CLIENT, random=fixed)
        self.assertEqual(next(client.pieces(Opcode.TEXT, b"Hello")).hex(), "818537fa213d7f9f4d5158")

    def test_pieces_begin_with_the_first_byte_of_the_key(self) -> None:
        """A piece is masked by itself, so its size must be a multiple of the key's."""
        self.assertEqual((WHOLE, PIECE), (65_536, 1_048_576))
        self.assertEqual(PIECE % 4, 0)


class MemoryTests(unittest.TestCase):
    def test_the_memory_of_pieces_is_kept_for_the_next(self) -> None:
        """That of a few long messages; a piece holds until the next is asked for."""
        size = WHOLE + 1
        begun = [Encoder(Role.CLIENT, random=fixed).pieces(Opcode.BINARY, payload(size)) for _ in range(MOST_SPARE + 2)]
        firsts = [next(pieces) for pieces in begun]
        self.assertEqual({bytes(first) for first in firsts}, {bytes(firsts[0])})
        self.assertEqual(len({id(first.obj) for first in firsts if isinstance(first, memoryview)}), len(begun))
        for pieces in begun:
            self.assertIsNone(next(pieces, None))
        self.assertEqual(len(spare), MOST_SPARE)
        kept = spare[-1]
        again = next(Encoder(Role.CLIENT).pieces(Opcode.BINARY, payload(size)))
        assert isinstance(again, memoryview)
        self.assertIs(again.obj, kept)


@with_cases
class CompressionTests(unittest.TestCase):
    @cases(client=Role.CLIENT, server=Role.SERVER)
    def test_a_compressed_message_has_rsv1(self, role: Role) -> None:
        """Rule 197: RSV1 marks it, and the peer inflates the payload."""
        compressor = Compressor(DeflateParameters(), role, DeflateOptions())
        sent = b"".join(map(bytes, Encoder(role, compressor, random=fixed).pieces(Opcode.TEXT, b"a" * 1000)))
        self.assertEqual(sent[0], 0xC1)
        body = xor(sent[6:], KEY) if role is Role.CLIENT else sent[2:]
        inflater = Inflater(DeflateParameters(), role.peer)
        self.assertEqual(inflater.inflate(body, None) + inflater.finish(None), b"a" * 1000)

    def test_what_the_compressor_leaves_alone_has_none(self) -> None:
        """Rule 198: each message may be compressed or not."""
        compressor = Compressor(DeflateParameters(), Role.SERVER, DeflateOptions())
        self.assertEqual(next(Encoder(Role.SERVER, compressor).pieces(Opcode.TEXT, b"short")), b"\x81\x05short")

    def test_nothing_is_compressed_before_the_first_piece(self) -> None:
        """A message that is withdrawn in time must not have gone through the window."""
        counting = Counting()
        pieces = Encoder(Role.SERVER, counting).pieces(Opcode.BINARY, b"payload")  # type: ignore[arg-type]
        self.assertEqual(counting.calls, [])
        self.assertEqual(list(pieces), [b"\xc2\x05small"])
        self.assertEqual(counting.calls, [b"payload"])

    def test_the_compressed_size_decides_about_pieces(self) -> None:
        """A long message that compresses well is one piece."""
        counting = Counting()
        pieces = Encoder(Role.SERVER, counting).pieces(Opcode.BINARY, bytes(WHOLE * 9))  # type: ignore[arg-type]
        self.assertEqual(len(list(pieces)), 1)

    @cases(close=Opcode.CLOSE, ping=Opcode.PING, pong=Opcode.PONG)
    def test_control_frames_are_never_compressed(self, opcode: Opcode) -> None:
        """Rule 203: the compressor is not even asked."""
        counting = Counting()
        encoder = Encoder(Role.SERVER, counting)  # type: ignore[arg-type]
        self.assertEqual(encoder.control(opcode, bytes(125)), header(opcode, 125) + bytes(125))
        self.assertEqual(counting.calls, [])


@with_cases
class ControlTests(unittest.TestCase):
    @cases(
        (f"{opcode.name} of {size}", (opcode, size))
        for opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG)
        for size in (0, 1, 2, 124, 125)
    )
    def test_up_to_125_bytes(self, opcode: Opcode, size: int) -> None:
        """RFC 6455 section 5.5: any payload of at most 125 bytes, masked by the client."""
        data = payload(size)
        self.assertEqual(Encoder(Role.SERVER).control(opcode, data), header(opcode, size) + data)
        client = Encoder(Role.CLIENT, random=fixed).control(opcode, data)
        self.assertEqual(client, header(opcode, size, masked=True) + KEY + xor(data, KEY))

    @cases(just=126, far=70_000)
    def test_a_longer_payload_is_refused(self, size: int) -> None:
        """RFC 6455 section 5.5: 125 bytes are the limit, for either role."""
        for role in Role:
            with self.assertRaisesRegex(ValueError, str(size)):
                Encoder(role).control(Opcode.PING, bytes(size))

    @cases(continuation=Opcode.CONTINUATION, text=Opcode.TEXT, binary=Opcode.BINARY)
    def test_data_is_refused(self, opcode: Opcode) -> None:
        """A data frame goes through `pieces`."""
        with self.assertRaisesRegex(ValueError, opcode.name):
            Encoder(Role.CLIENT).control(opcode)

    def test_no_payload_is_the_default(self) -> None:
        """A ping without a payload is two bytes."""
        self.assertEqual(Encoder(Role.SERVER).control(Opcode.PING), b"\x89\x00")


def key_of(sent: Piece) -> bytes:
    return bytes(sent[2:6])


class KeyTests(unittest.TestCase):
    def test_every_frame_has_a_key_of_its_own(self) -> None:
        """Rule 111: of 5,000 frames, messages and control frames, next to none share a key."""
        encoder = Encoder(Role.CLIENT)
        keys = [key_of(next(encoder.pieces(Opcode.BINARY, b"payload"))) for _ in range(4000)]
        keys += [key_of(encoder.control(Opcode.PING)) for _ in range(1000)]
        self.assertGreater(len(set(keys)), 4995)

    def test_two_encoders_share_no_keys(self) -> None:
        """Rule 111: each connection draws its own."""
        first, second = (Encoder(Role.CLIENT), Encoder(Role.CLIENT))
        drawn = [{key_of(encoder.control(Opcode.PING)) for _ in range(100)} for encoder in (first, second)]
        self.assertLess(len(drawn[0] & drawn[1]), 3)

    def test_each_random_byte_is_used_once(self) -> None:
        """Rule 111: keys are cut from what `random` gives, none twice, and more is fetched when they are used up."""
        blocks: List[bytes] = []

        def counted(size: int) -> bytes:
            start = sum(map(len, blocks)) // 4
            blocks.append(b"".join(number.to_bytes(4, "big") for number in range(start, start + size // 4)))
            return blocks[-1]

        encoder = Encoder(Role.CLIENT, random=counted)
        keys = [key_of(next(encoder.pieces(Opcode.BINARY, b"payload"))) for _ in range(2500)]
        self.assertEqual(len(set(keys)), 2500)
        self.assertTrue(all(key in b"".join(blocks) for key in keys[:10]))
        self.assertEqual([len(block) // 4 for block in blocks], [4, 16, 64, 256, 1024, 1024, 1024])

    def test_dropped_keys_are_not_used(self) -> None:
        """After a fork both processes hold the same keys: those left are forgotten, fresh ones fetched."""
        blocks = [KEY, b"\x01\x02\x03\x04"]
        encoder = Encoder(Role.CLIENT, random=lambda size: blocks.pop(0) * (size // 4))
        self.assertEqual(key_of(next(encoder.pieces(Opcode.BINARY, b"payload"))), KEY)
        encoder.drop_keys()
        self.assertEqual(key_of(next(encoder.pieces(Opcode.BINARY, b"payload"))), b"\x01\x02\x03\x04")

    def test_a_control_frame_fetches_no_stock(self) -> None:
        """Who only answers pings would fetch more and more, and keep it; what is left of a stock is used."""
        sizes: List[int] = []

        def noted(size: int) -> bytes:
            sizes.append(size)
            return os.urandom(size)

        encoder = Encoder(Role.CLIENT, random=noted)
        for _ in range(3):
            encoder.control(Opcode.PONG, b"payload")
        next(encoder.pieces(Opcode.BINARY, b"payload"))
        encoder.control(Opcode.PING)
        self.assertEqual((sizes, len(encoder.keys)), ([4, 4, 4, 16], 2))

    def test_a_server_needs_none(self) -> None:
        """RFC 6455 section 5.1: no key is drawn for an unmasked frame."""

        def refused(size: int) -> bytes:
            raise AssertionError("a key was drawn")

        encoder = Encoder(Role.SERVER, random=refused)
        encoder.control(Opcode.PING)
        list(encoder.pieces(Opcode.TEXT, b"text"))
