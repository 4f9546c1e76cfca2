"""permessage-deflate: wssync/protocol/deflate.py."""

from __future__ import annotations

import itertools
import random
import tracemalloc
import unittest
import zlib
from typing import Any, Dict, Iterator, List, Optional, Tuple

from tests.support import cases, with_cases
from wssync.errors import MessageTooBig, ProtocolError
from wssync.protocol.deflate import (
    EXTENSION,
    Compressor,
    DeflateOptions,
    DeflateParameters,
    Inflater,
    accept,
    agree,
    offer,
)
from wssync.protocol.extensions import parse_extensions
from wssync.protocol.frames import Role

Options = Dict[str, Any]
Parameters = List[Tuple[str, Optional[str]]]

TAIL = b"\x00\x00\xff\xff"
JSON = b'{"symbol": "EURUSD", "bid": 1.09, "ask": 1.10, "venue": "one"}' * 16
NOISE = random.Random(7692).getrandbits(8 * 70_000).to_bytes(70_000, "little")


def inflate(data: bytes, limit: Optional[int] = None, inflater: Optional[Inflater] = None) -> bytes:
    inflater = inflater or Inflater(DeflateParameters(), Role.CLIENT)
    return inflater.inflate(data, limit) + inflater.finish(limit)


def deflate(data: bytes, level: int = 6, bits: int = 15) -> bytes:
    """The reference: what zlib makes, its tail taken off."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


def two_messages(first: bytes, second: bytes) -> List[bytes]:
    """Compress two messages with one window of 32 KiB."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return [(stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)] for data in (first, second)]


@with_cases
class OptionsTests(unittest.TestCase):
    def test_defaults(self) -> None:
        """Rule 194: the default offers to be bounded and asks for nothing."""
        options = DeflateOptions()
        self.assertEqual((options.client_max_window_bits, options.server_max_window_bits), (15, None))
        self.assertEqual((options.client_no_context_takeover, options.server_no_context_takeover), (False, False))
        self.assertEqual((options.level, options.mem_level, options.threshold), (4, 5, 64))

    def test_values_are_frozen(self) -> None:
        """Options and parameters are values: they can be shared and hashed, and do not change."""
        for value, name in ((DeflateOptions(), "level"), (DeflateParameters(), "client_max_window_bits")):
            with self.assertRaises(AttributeError):
                setattr(value, name, 9)
            self.assertEqual(hash(value), hash(type(value)()))

    @cases(
        (f"{name} {value}".replace("-", "minus "), (name, value))
        for name, values in {
            "client_max_window_bits": (7, 0, -15, 16, 150),
            "server_max_window_bits": (7, 0, -15, 16, 150),
            "level": (-2, 10),
            "mem_level": (0, 10, -1),
            "threshold": (-1,),
        }.items()
        for value in values
    )
    def test_numbers_out_of_range(self, name: str, value: int) -> None:
        """A number that zlib or the RFC does not know is a ValueError that names it."""
        options: Options = {name: value}
        with self.assertRaisesRegex(ValueError, name):
            DeflateOptions(**options)

    @cases(
        (f"{name} {value!r}", (name, value))
        for name in ("client_max_window_bits", "server_max_window_bits", "level", "mem_level", "threshold")
        for value in (True, "9", 9.0)
    )
    def test_what_is_no_integer(self, name: str, value: Any) -> None:
        """A bool, a str or a float is a TypeError that names the field."""
        with self.assertRaisesRegex(TypeError, name):
            DeflateOptions(**{name: value})

    @cases((name, name) for name in ("client_no_context_takeover", "server_no_context_takeover"))
    def test_what_is_no_bool(self, name: str) -> None:
        """A flag is True or False."""
        for value in (1, None, "yes"):
            with self.assertRaisesRegex(TypeError, name):
                DeflateOptions(**{name: value})  # type: ignore[arg-type]

    @cases((f"{bits} bits", bits) for bits in range(8, 16))
    def test_every_window_of_the_rfc_is_allowed(self, bits: int) -> None:
        """RFC 7692 section 7.1.2: 8 to 15."""
        options = DeflateOptions(client_max_window_bits=bits, server_max_window_bits=bits)
        self.assertEqual(options.client_max_window_bits, bits)


OFFERS: Dict[str, Tuple[Options, str]] = {
    "default": ({}, "; client_max_window_bits"),
    "not to be bounded": ({"client_max_window_bits": None}, ""),
    "client bits 8": ({"client_max_window_bits": 8}, "; client_max_window_bits=8"),
    "client bits 14": ({"client_max_window_bits": 14}, "; client_max_window_bits=14"),
    "server bits 8": ({"server_max_window_bits": 8}, "; server_max_window_bits=8; client_max_window_bits"),
    "server bits 15": ({"server_max_window_bits": 15}, "; server_max_window_bits=15; client_max_window_bits"),
    "server forgets": ({"server_no_context_takeover": True}, "; server_no_context_takeover; client_max_window_bits"),
    "client forgets": ({"client_no_context_takeover": True}, "; client_no_context_takeover; client_max_window_bits"),
    "everything": (
        {
            "server_no_context_takeover": True,
            "client_no_context_takeover": True,
            "server_max_window_bits": 10,
            "client_max_window_bits": 11,
        },
        "; server_no_context_takeover; client_no_context_takeover"
        "; server_max_window_bits=10; client_max_window_bits=11",
    ),
    "zlib's settings stay at home": ({"level": 9, "mem_level": 9, "threshold": 0}, "; client_max_window_bits"),
}

# What a server may answer: options of the client, the answer, what is agreed on.
AGREED: Dict[str, Tuple[Options, str, Options]] = {
    "nothing": ({}, "", {}),
    "server forgets, unasked": ({}, "; server_no_context_takeover", {"server_no_context_takeover": True}),
    "client forgets, unasked": ({}, "; client_no_context_takeover", {"client_no_context_takeover": True}),
    "server forgets, as asked": (
        {"server_no_context_takeover": True},
        "; server_no_context_takeover",
        {"server_no_context_takeover": True},
    ),
    "client forgets of its own will": ({"client_no_context_takeover": True}, "", {"client_no_context_takeover": True}),
    "client forgets on both accounts": (
        {"client_no_context_takeover": True},
        "; client_no_context_takeover",
        {"client_no_context_takeover": True},
    ),
    "client stays below its own bound": ({"client_max_window_bits": 10}, "", {"client_max_window_bits": 10}),
    "client bound confirmed": (
        {"client_max_window_bits": 10},
        "; client_max_window_bits=10",
        {"client_max_window_bits": 10},
    ),
    "client bound lowered": (
        {"client_max_window_bits": 10},
        "; client_max_window_bits=9",
        {"client_max_window_bits": 9},
    ),
    "client bound that is no bound": (
        {"client_max_window_bits": 10},
        "; client_max_window_bits=12",
        {"client_max_window_bits": 10},
    ),
    "server bound confirmed": (
        {"server_max_window_bits": 10},
        "; server_max_window_bits=10",
        {"server_max_window_bits": 10},
    ),
    "server bound lowered": (
        {"server_max_window_bits": 10},
        "; server_max_window_bits=9",
        {"server_max_window_bits": 9},
    ),
    "server bound 15 may be left out": ({"server_max_window_bits": 15}, "", {}),
    "quoted value": ({}, '; client_max_window_bits="12"', {"client_max_window_bits": 12}),
    "everything at once": (
        {},
        "; client_max_window_bits=9; server_max_window_bits=10; client_no_context_takeover; server_no_context_takeover",
        {
            "client_max_window_bits": 9,
            "server_max_window_bits": 10,
            "client_no_context_takeover": True,
            "server_no_context_takeover": True,
        },
    ),
}
for _bits in range(8, 16):
    AGREED[f"client bits {_bits}"] = ({}, f"; client_max_window_bits={_bits}", {"client_max_window_bits": _bits})
    AGREED[f"server bits {_bits}, unasked"] = (
        {},
        f"; server_max_window_bits={_bits}",
        {"server_max_window_bits": _bits},
    )

REFUSED: Dict[str, Tuple[Options, str]] = {
    "client bits that were not offered": ({"client_max_window_bits": None}, "; client_max_window_bits=15"),
    "client bits without a value": ({}, "; client_max_window_bits"),
    "server bits without a value": ({}, "; server_max_window_bits"),
    "server bound passed": ({"server_max_window_bits": 10}, "; server_max_window_bits=11"),
    "server bound ignored": ({"server_max_window_bits": 14}, ""),
    "server goes on remembering": ({"server_no_context_takeover": True}, ""),
    "unknown parameter": ({}, "; foo"),
    "unknown parameter with a value": ({}, "; window_bits=10"),
    "parameter in capitals": ({}, "; Server_No_Context_Takeover"),
    "flag with a value": ({}, "; server_no_context_takeover=1"),
    "flag with a value, true": ({}, "; client_no_context_takeover=true"),
}
for _name in ("client_max_window_bits", "server_max_window_bits"):
    for _value in ("7", "16", "0", "1", "08", "09", "015", "+9", "-9", "9.0", "0x9", "nine", "99999999999999999999"):
        REFUSED[f"{_name} {_value.replace('+', 'plus ').replace('-', 'minus ')}"] = ({}, f"; {_name}={_value}")
    REFUSED[f"{_name} twice"] = ({}, f"; {_name}=9; {_name}=9")
for _name in ("client_no_context_takeover", "server_no_context_takeover"):
    REFUSED[f"{_name} twice"] = ({}, f"; {_name}; {_name}")


def parameters_of(text: str) -> Parameters:
    return parse_extensions(EXTENSION + text)[0][1]


@with_cases
class ClientNegotiationTests(unittest.TestCase):
    @cases(OFFERS.items())
    def test_the_offer(self, options: Options, text: str) -> None:
        """Rule 194: the name and the configured limits."""
        self.assertEqual(offer(DeflateOptions(**options)), EXTENSION + text)

    @cases(AGREED.items())
    def test_an_answer_within_the_offer(self, options: Options, answer: str, expected: Options) -> None:
        """Rule 195: what the server may say, and what is agreed on then."""
        self.assertEqual(agree(DeflateOptions(**options), parameters_of(answer)), DeflateParameters(**expected))

    @cases(REFUSED.items())
    def test_an_answer_outside_the_offer(self, options: Options, answer: str) -> None:
        """Rule 195: not offered, repeated, unknown, or of a bad form: the handshake must fail."""
        with self.assertRaisesRegex(ValueError, "RFC 7692 section 7.1"):
            agree(DeflateOptions(**options), parameters_of(answer))


# The server's half: its options, the offers, the response, what is agreed on.
ACCEPTED: Dict[str, Tuple[Options, str, str, Options]] = {
    "plain": ({}, EXTENSION, "", {}),
    "usual": ({}, f"{EXTENSION}; client_max_window_bits", "", {}),
    "client bound": (
        {},
        f"{EXTENSION}; client_max_window_bits=10",
        "; client_max_window_bits=10",
        {"client_max_window_bits": 10},
    ),
    "client bound of 15": ({}, f"{EXTENSION}; client_max_window_bits=15", "", {}),
    "our bound for the client": (
        {"client_max_window_bits": 9},
        f"{EXTENSION}; client_max_window_bits",
        "; client_max_window_bits=9",
        {"client_max_window_bits": 9},
    ),
    "the client's bound is lower": (
        {"client_max_window_bits": 12},
        f"{EXTENSION}; client_max_window_bits=10",
        "; client_max_window_bits=10",
        {"client_max_window_bits": 10},
    ),
    "a client that cannot be bounded": ({"client_max_window_bits": 9}, EXTENSION, "", {}),
    "server without bounds for the client": (
        {"client_max_window_bits": None},
        f"{EXTENSION}; client_max_window_bits",
        "",
        {},
    ),
    "asked to bound ourselves": (
        {},
        f"{EXTENSION}; server_max_window_bits=10",
        "; server_max_window_bits=10",
        {"server_max_window_bits": 10},
    ),
    "asked for 15": (
        {},
        f"{EXTENSION}; server_max_window_bits=15",
        "; server_max_window_bits=15",
        {},
    ),
    "our own bound": (
        {"server_max_window_bits": 11},
        EXTENSION,
        "; server_max_window_bits=11",
        {"server_max_window_bits": 11},
    ),
    "our own bound is lower": (
        {"server_max_window_bits": 9},
        f"{EXTENSION}; server_max_window_bits=12",
        "; server_max_window_bits=9",
        {"server_max_window_bits": 9},
    ),
    "asked to forget": (
        {},
        f"{EXTENSION}; server_no_context_takeover",
        "; server_no_context_takeover",
        {"server_no_context_takeover": True},
    ),
    "client forgets": (
        {},
        f"{EXTENSION}; client_no_context_takeover",
        "; client_no_context_takeover",
        {"client_no_context_takeover": True},
    ),
    "both forget as we want": (
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        EXTENSION,
        "; server_no_context_takeover; client_no_context_takeover",
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
    ),
    "other extensions before": ({}, f"x-webkit-deflate-frame, foo; x=1, {EXTENSION}", "", {}),
    "first of two": (
        {},
        f"{EXTENSION}; server_max_window_bits=9, {EXTENSION}",
        "; server_max_window_bits=9",
        {"server_max_window_bits": 9},
    ),
    "second of two, the first is unknown": ({}, f"{EXTENSION}; foo, {EXTENSION}", "", {}),
    "second of two, the first is bad": ({}, f"{EXTENSION}; server_max_window_bits=16, {EXTENSION}", "", {}),
    "second of two, the first repeats itself": (
        {},
        f"{EXTENSION}; client_max_window_bits; client_max_window_bits, {EXTENSION}",
        "",
        {},
    ),
}

DECLINED = {
    "no offer": "",
    "another extension": "x-webkit-deflate-frame",
    "another spelling": "Permessage-Deflate",
    "unknown parameter": f"{EXTENSION}; foo",
    "server bits without a value": f"{EXTENSION}; server_max_window_bits",
    "server bits of 7": f"{EXTENSION}; server_max_window_bits=7",
    "client bits of 16": f"{EXTENSION}; client_max_window_bits=16",
    "a leading zero": f"{EXTENSION}; client_max_window_bits=09",
    "flag with a value": f"{EXTENSION}; server_no_context_takeover=0",
    "two bad ones": f"{EXTENSION}; foo, {EXTENSION}; bar",
}


def option_sets() -> Iterator[Tuple[str, Options]]:
    bits = (None, 8, 12, 15)
    for client, server, client_forgets, server_forgets in itertools.product(bits, bits, (False, True), (False, True)):
        name = f"client {client}{' forgets' * client_forgets}, server {server}{' forgets' * server_forgets}"
        yield (
            name,
            {
                "client_max_window_bits": client,
                "server_max_window_bits": server,
                "client_no_context_takeover": client_forgets,
                "server_no_context_takeover": server_forgets,
            },
        )


@with_cases
class ServerNegotiationTests(unittest.TestCase):
    @cases(ACCEPTED.items())
    def test_an_offer_is_accepted(self, options: Options, offers: str, response: str, expected: Options) -> None:
        """RFC 7692 section 7.1: the first good offer is granted, and the response says what holds."""
        accepted = accept(DeflateOptions(**options), parse_extensions(offers))
        self.assertEqual(accepted, (DeflateParameters(**expected), EXTENSION + response))

    @cases(DECLINED.items())
    def test_an_offer_is_declined(self, offers: str) -> None:
        """RFC 7692 section 7.1: bad offers are passed over, and without a good one there is no compression."""
        self.assertIsNone(accept(DeflateOptions(), parse_extensions(offers)))

    @cases(option_sets())
    def test_both_halves_agree(self, options: Options) -> None:
        """Whatever either side wants, both end with parameters that fit, and the answer passes the check."""
        ours = DeflateOptions(**options)
        for theirs in (DeflateOptions(), DeflateOptions(9, 10, True, True), DeflateOptions(None, 8)):
            accepted = accept(theirs, parse_extensions(offer(ours)))
            assert accepted is not None
            ((name, parameters),) = parse_extensions(accepted[1])
            agreed = agree(ours, parameters)
            self.assertEqual(name, EXTENSION)
            self.assertEqual(agreed.server_no_context_takeover, accepted[0].server_no_context_takeover)
            self.assertEqual(agreed.server_max_window_bits, accepted[0].server_max_window_bits)
            # The client may keep promises to itself that the server need not know of.
            self.assertLessEqual(agreed.client_max_window_bits, accepted[0].client_max_window_bits)
            self.assertGreaterEqual(agreed.client_no_context_takeover, accepted[0].client_no_context_takeover)

    @cases(client=(Role.CLIENT, 9, True), server=(Role.SERVER, 10, False))
    def test_parameters_belong_to_the_sender(self, sender: Role, bits: int, forgets: bool) -> None:
        """RFC 7692 section 7.1: client_... binds what the client sends."""
        parameters = DeflateParameters(False, True, 10, 9)
        self.assertEqual((parameters.window_bits(sender), parameters.forgets(sender)), (bits, forgets))


# RFC 7692 section 7.2.3, all with the text "Hello"; hex, with the messages separated by blanks and fragments by "|".
EXAMPLES = {
    "7.2.3.1 one compressed block": ("f248cdc9c90700", b"Hello"),
    "7.2.3.1 in two fragments": ("f248cd|c9c90700", b"Hello"),
    "7.2.3.2 sharing the window": ("f248cdc9c90700 f200110000", b"Hello"),
    "7.2.3.2 without sharing it": ("f248cdc9c90700 f248cdc9c90700", b"Hello"),
    "7.2.3.3 a block without compression": ("000500faff48656c6c6f00", b"Hello"),
    "7.2.3.4 a block marked final": ("f348cdc9c9070000", b"Hello"),
    "7.2.3.5 two blocks": ("f248050000 00ffffcac9c90700".replace(" ", ""), b"Hello"),
    "7.2.3.6 an empty message": ("00", b""),
}


@with_cases
class InflatingTests(unittest.TestCase):
    @cases(EXAMPLES.items())
    def test_the_examples_of_the_rfc(self, text: str, expected: bytes) -> None:
        """RFC 7692 section 7.2.3: every message of the example is the text, one after the other."""
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        for message in text.split():
            made = b"".join(inflater.inflate(bytes.fromhex(part), None) for part in message.split("|"))
            self.assertEqual(made + inflater.finish(None), expected)

    @cases(EXAMPLES.items())
    def test_the_examples_of_the_rfc_byte_by_byte(self, text: str, expected: bytes) -> None:
        """Rule 199: the pieces in which a message comes make no difference."""
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        for message in text.replace("|", "").split():
            data = bytes.fromhex(message)
            made = b"".join(inflater.inflate(data[place : place + 1], 5) for place in range(len(data)))
            self.assertEqual(made + inflater.finish(5), expected)

    @cases((f"{size} bytes", size) for size in (0, 1, 2, 63, 64, 65, 1000, 16_384, 32_768, 65_535, 65_536))
    def test_exactly_the_limit_passes(self, size: int) -> None:
        """Rules 128 and 201: `limit` bytes pass and one more does not, in one piece or in many."""
        text, data = (JSON * 100)[:size], deflate((JSON * 100)[:size]) if size else b"\x00"
        over = deflate((JSON * 100)[: size + 1])
        step = max(1, len(data) // 7)
        for cut in (len(over), step):
            inflater = Inflater(DeflateParameters(), Role.CLIENT)
            made = b"".join(inflater.inflate(data[at : at + cut], size) for at in range(0, len(data), cut))
            self.assertEqual(made + inflater.finish(size), text)
            with self.assertRaises(MessageTooBig) as caught:
                for at in range(0, len(over), cut):
                    inflater.inflate(over[at : at + cut], size)
                inflater.finish(size)
            self.assertEqual((caught.exception.size, caught.exception.limit), (size + 1, size))
            self.assertEqual(caught.exception.code, 1009)

    @cases(zeros=bytes(16 << 20), text=b"bomb " * (3 << 20))
    def test_a_bomb_stays_small(self, content: bytes) -> None:
        """Rule 201: of 16 MiB that a few KiB promise no more is made than the limit and a little."""
        data = deflate(content)
        self.assertLess(len(data), 1 << 17)
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        inflater.inflate(b"", 1 << 18)
        tracemalloc.start()
        try:
            with self.assertRaises(MessageTooBig):
                inflater.inflate(data, 1 << 18)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        finally:
            tracemalloc.stop()

    def test_the_limit_is_for_each_message(self) -> None:
        """Rule 128: what earlier messages weighed does not count."""
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        for _ in range(10):
            self.assertEqual(inflate(deflate(JSON), len(JSON), inflater.copy()), JSON)
            inflater.inflate(bytes.fromhex("f248cdc9c90700"), 5)
            inflater.finish(5)

    def test_the_limit_bounds_every_piece(self) -> None:
        """Rule 201: a piece makes at most what the earlier ones have left, and one byte more."""
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        first, second = (stream.compress(bytes(size)) + stream.flush(zlib.Z_SYNC_FLUSH) for size in (900, 500_000))
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        inflater.inflate(first, 1000)
        with self.assertRaises(MessageTooBig) as caught:
            inflater.inflate(second, 1000)
        self.assertEqual(caught.exception.size, 1001)

    def test_a_message_without_a_payload(self) -> None:
        """An empty message should have one byte; without it nothing is disturbed, at the start and later."""
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        for data, text in (("", b""), ("f248cdc9c90700", b"Hello"), ("", b""), ("f200110000", b"Hello"), ("", b"")):
            self.assertEqual(inflate(bytes.fromhex(data), 5, inflater), text)

    @cases(
        reserved_block_type=b"\x07",
        stored_length_does_not_match=b"\x00\x05\x00\x00\x00Hello",
        distance_before_the_start=b"\xf2\x00\x11\x00\x00",
        too_many_codes=b"\xfd\xff\xff\xff\xff",
        noise=NOISE[:100],
        a_zlib_header=zlib.compress(JSON),
        a_gzip_header=b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + deflate(JSON),
        plain_text=b"this was never compressed",
        damage_after_a_good_block=deflate(b"Hello") + TAIL + b"\x07",
        damage_after_a_final_block=bytes.fromhex("f348cdc9c90700") + b"\x07",
    )
    def test_damaged_data(self, data: bytes) -> None:
        """Rule 202: 1007, the content is not what RSV1 says; the cause is zlib's own error."""
        with self.assertRaisesRegex(ProtocolError, r"section 7\.2\.2") as caught:
            inflate(data)
        self.assertEqual(caught.exception.code, 1007)
        self.assertIsInstance(caught.exception.__cause__, zlib.error)

    @cases((f"{bits} bits", bits) for bits in range(8, 16))
    def test_every_window_can_be_inflated(self, bits: int) -> None:
        """Rule 200: 8 to 15 bits. (zlib's own window of 9 bits reaches 250 bytes back, within 8.)"""
        inflater = Inflater(DeflateParameters(server_max_window_bits=bits), Role.CLIENT)
        stream = zlib.compressobj(6, zlib.DEFLATED, -max(bits, 9))
        for text in (JSON, NOISE[:3000], JSON * 50, JSON):
            data = stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)
            self.assertEqual(inflate(data[:-4], len(text), inflater), text)

    @cases(nine=9, ten=10, twelve=12)
    def test_a_sender_that_passes_its_window_fails(self, bits: int) -> None:
        """RFC 7692 section 7.1.2.1: a reference to a message beyond the window that was promised is a data error."""
        first, second = two_messages(NOISE[: (1 << bits) + 500], NOISE[:200])
        inflater = Inflater(DeflateParameters(server_max_window_bits=bits), Role.CLIENT)
        inflate(first, None, inflater)
        with self.assertRaises(ProtocolError):
            inflate(second, None, inflater)

    @cases(client=Role.CLIENT, server=Role.SERVER)
    def test_it_reads_what_the_peer_sends(self, role: Role) -> None:
        """The window is the peer's: a reference too far for ours is right for the peer's."""
        bits = {Role.CLIENT: "client_max_window_bits", Role.SERVER: "server_max_window_bits"}
        first, second = two_messages(NOISE[:5000], NOISE[:200])
        for sender in Role:
            options: Options = {bits[sender]: 9}
            inflater = Inflater(DeflateParameters(**options), role)
            inflate(first, None, inflater)
            if sender is role:
                self.assertEqual(inflate(second, None, inflater), NOISE[:200])
            else:
                with self.assertRaises(ProtocolError):
                    inflate(second, None, inflater)

    @cases(client=Role.CLIENT, server=Role.SERVER)
    def test_a_peer_that_forgets_is_forgotten(self, role: Role) -> None:
        """Rule 198: where the peer promised an empty window, a reference into the last message is a data error."""
        forgets = {"client_no_context_takeover": role is Role.SERVER, "server_no_context_takeover": role is Role.CLIENT}
        for remembers in (False, True):
            parameters = DeflateParameters(**{name: flag is not remembers for name, flag in forgets.items()})
            inflater = Inflater(parameters, role)
            self.assertEqual(inflate(bytes.fromhex("f248cdc9c90700"), None, inflater), b"Hello")
            if remembers:
                self.assertEqual(inflate(bytes.fromhex("f200110000"), None, inflater), b"Hello")
            else:
                with self.assertRaises(ProtocolError):
                    inflate(bytes.fromhex("f200110000"), None, inflater)

    def test_a_copy_goes_its_own_way(self) -> None:
        """What a copy reads, in the middle of a message or between two, leaves the original where it was."""
        original = Inflater(DeflateParameters(), Role.CLIENT)
        data = deflate(JSON)
        for place in (0, 1, len(data) // 2, len(data)):
            inflater = original.copy()
            start = inflater.inflate(data[:place], 2000)
            for _ in range(2):
                copy = inflater.copy()
                self.assertEqual(start + copy.inflate(data[place:], 2000) + copy.finish(2000), JSON)


FINAL = bytes.fromhex("f348cdc9c90700")  # "Hello" in a block marked final, ending at a byte
EMPTY_FINAL = b"\x03\x00"


@with_cases
class FinalBlockTests(unittest.TestCase):
    @cases(
        with_the_padding_of_the_rfc=(FINAL + b"\x00", b"Hello"),
        without_padding=(FINAL, b"Hello"),
        twice=(FINAL + FINAL, b"HelloHello"),
        before_an_ordinary_block=(FINAL + deflate(b" World"), b"Hello World"),
        after_an_ordinary_block=(deflate(b"Hello ") + TAIL + FINAL, b"Hello Hello"),
        empty=(EMPTY_FINAL, b""),
        empty_then_text=(EMPTY_FINAL * 3 + FINAL + EMPTY_FINAL, b"Hello"),
        long=((EMPTY_FINAL + deflate(NOISE) + TAIL + FINAL), NOISE + b"Hello"),
    )
    def test_a_final_block_ends_no_message(self, data: bytes, text: bytes) -> None:
        """RFC 7692 section 7.2.3.4: what comes behind it is read, whole, byte by byte, and in the next message."""
        self.assertEqual(inflate(data, len(text)), text)
        inflater = Inflater(DeflateParameters(), Role.CLIENT)
        for _ in range(2):
            step = max(1, len(data) // 500)
            made = b"".join(inflater.inflate(data[at : at + step], None) for at in range(0, len(data), step))
            self.assertEqual(made + inflater.finish(None), text)
        self.assertEqual(inflate(deflate(JSON), None, inflater), JSON)

    @cases(five=5, six=6, nine=9, ten=10, eleven=11)
    def test_the_limit_holds_across_final_blocks(self, limit: int) -> None:
        """Rule 201: the bound counts what was made before the final block and behind it."""
        with self.assertRaises(MessageTooBig) as caught:
            inflate(FINAL * 3, limit)
        self.assertEqual(caught.exception.size, limit + 1)
        self.assertEqual(inflate(FINAL * 2, 10), b"HelloHello")

    def test_very_many_of_them_take_linear_time(self) -> None:
        """20,000 empty final blocks in one read: each is looked at once, not copied with all that follow."""
        self.assertEqual(inflate(EMPTY_FINAL * 20_000 + FINAL, 5), b"Hello")


PAYLOADS = {
    "empty": b"",
    "one byte": b"a",
    "zeros": bytes(5000),
    "JSON": JSON,
    "noise": NOISE[:5000],
    "more noise": NOISE[:20_000],
    "what looks like a tail": TAIL * 3,
}


@with_cases
class CompressingTests(unittest.TestCase):
    @cases(
        (f"level {level % 11}, memory {memory}, {'forgets' if forgets else 'remembers'}", (level, memory, forgets))
        for level in range(-1, 10)
        for memory in (1, 5, 9)
        for forgets in (False, True)
    )
    def test_what_is_compressed_can_be_inflated(self, level: int, memory: int, forgets: bool) -> None:
        """Rules 198 and 199: every setting of zlib, with the tail taken off and put back."""
        parameters = DeflateParameters(client_no_context_takeover=forgets)
        compressor = Compressor(parameters, Role.CLIENT, DeflateOptions(level=level, mem_level=memory, threshold=0))
        inflater = Inflater(parameters, Role.SERVER)
        for payload in PAYLOADS.values():
            data = compressor.compress(payload)
            if data is None:
                self.assertTrue(forgets)
            else:
                self.assertEqual(inflate(data, len(payload), inflater), payload)

    @cases((f"{role.value}, {bits} bits", (role, bits)) for role in Role for bits in range(9, 16))
    def test_every_window(self, role: Role, bits: int) -> None:
        """RFC 7692 section 7.1.2: the sender keeps to its window: a receiver with no more than that can read it."""
        name = "client_max_window_bits" if role is Role.CLIENT else "server_max_window_bits"
        options: Options = {name: bits}
        parameters = DeflateParameters(**options)
        compressor = Compressor(parameters, role, DeflateOptions(threshold=0))
        inflater = Inflater(parameters, role.peer)
        for payload in (JSON, NOISE[:40_000] + NOISE[:300], JSON * 30, NOISE[:300]):
            data = compressor.compress(payload)
            assert data is not None
            self.assertEqual(inflate(data, None, inflater), payload)

    @cases(client=Role.CLIENT, server=Role.SERVER)
    def test_a_window_of_256_bytes_compresses_nothing(self, role: Role) -> None:
        """Rule 200: zlib cannot, and nine bits would break the promise: every message goes out uncompressed."""
        compressor = Compressor(DeflateParameters(False, False, 8, 8), role, DeflateOptions(threshold=0))
        for payload in PAYLOADS.values():
            self.assertIsNone(compressor.compress(payload))

    @cases((f"threshold {threshold}", threshold) for threshold in (1, 2, 64, 1000, 5000))
    def test_below_the_threshold_nothing_is_compressed(self, threshold: int) -> None:
        """A message of `threshold` bytes is compressed, one byte less is not."""
        options = DeflateOptions(threshold=threshold)
        compressor = Compressor(DeflateParameters(), Role.CLIENT, options)
        self.assertIsNone(compressor.compress(bytes(threshold - 1)))
        self.assertIsNotNone(compressor.compress(bytes(threshold)))

    def test_an_empty_message_is_one_byte(self) -> None:
        """Rule 199: RFC 7692 section 7.2.3.6."""
        compressor = Compressor(DeflateParameters(), Role.CLIENT, DeflateOptions(threshold=0))
        self.assertEqual([compressor.compress(b"") for _ in range(2)], [b"\x00", b"\x00"])

    def test_the_window_is_shared_by_messages(self) -> None:
        """Rule 198: a message that repeats the last one costs next to nothing."""
        compressor = Compressor(DeflateParameters(), Role.CLIENT, DeflateOptions())
        first, second = compressor.compress(NOISE[:500]), compressor.compress(NOISE[:500])
        assert first is not None and second is not None
        self.assertGreater(len(first), 500)
        self.assertLess(len(second), 20)

    @cases(client=Role.CLIENT, server=Role.SERVER)
    def test_without_takeover_every_message_stands_alone(self, role: Role) -> None:
        """Rule 198: the same message gives the same bytes, and a fresh inflater reads each."""
        flags = {"client_no_context_takeover": role is Role.CLIENT, "server_no_context_takeover": role is Role.SERVER}
        compressor = Compressor(DeflateParameters(**flags), role, DeflateOptions())
        first, second = compressor.compress(JSON), compressor.compress(JSON)
        assert first is not None and second is not None
        self.assertEqual(first, second)
        self.assertEqual(inflate(second), JSON)

    def test_what_does_not_become_smaller_is_left_alone_where_it_may_be(self) -> None:
        """Rule 198: without takeover noise goes out as it is; with it the window has seen it, so it may not."""
        for forgets in (True, False):
            parameters = DeflateParameters(client_no_context_takeover=forgets)
            made = Compressor(parameters, Role.CLIENT, DeflateOptions()).compress(NOISE[:500])
            self.assertIs(made is None, forgets)

    def test_the_options_reach_zlib(self) -> None:
        """A higher level makes fewer bytes; level 0 makes none fewer."""
        text = b"".join(b"%d %d;" % (number, number * number) for number in range(500))
        sizes = []
        for level in (0, 1, 9):
            made = Compressor(DeflateParameters(), Role.CLIENT, DeflateOptions(level=level)).compress(text)
            assert made is not None
            sizes.append(len(made))
        self.assertGreater(sizes[0], len(text))
        self.assertGreater(sizes[1], sizes[2])
